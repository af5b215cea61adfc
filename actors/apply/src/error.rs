//! Errors of this crate.

use oms_core::{Failure, Position, TableName, codes};
use thiserror::Error;

/// Why applying stops, besides failures of the connectors.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// An image lacks a column that is needed to find conflicts.
    #[error("a change of {table} does not carry the value of column number {column} (from 0)")]
    PartialImage {
        /// The source table.
        table: TableName,
        /// Index of the column.
        column: usize,
    },
    /// A statement changed a table of the component.
    #[error("{kind} in database `{database}`, ending at {position}: {statement}")]
    DdlNotFollowed {
        /// First words of the statement.
        kind: String,
        /// Its default database.
        database: String,
        /// The statement, shortened.
        statement: String,
        /// The position behind it.
        position: Box<Position>,
    },
    /// Two positions are not ordered.
    #[error("{reached} was reached, which cannot be compared with {what} {bound}")]
    PositionsNotComparable {
        /// The position behind a transaction of the log.
        reached: Box<Position>,
        /// What the bound is for.
        what: &'static str,
        /// The bound.
        bound: Box<Position>,
    },
    /// The feed or a lane did what its contract excludes.
    #[error("{0}")]
    Protocol(String),
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let code = match &error {
            ApplyError::PartialImage { .. } => codes::apply::PARTIAL_IMAGE,
            ApplyError::DdlNotFollowed { .. } => codes::apply::DDL_NOT_FOLLOWED,
            ApplyError::PositionsNotComparable { .. } => codes::apply::POSITION_NOT_COMPARABLE,
            ApplyError::Protocol(_) => codes::apply::INTERNAL,
        };
        Failure::new(code, error.to_string())
    }
}
