//! Why a change cannot be a message.

use oms_core::{ErrorCode, Failure, TableName, ValueKind, codes};
use thiserror::Error;

/// Why a change cannot be a message. Names table and column, never a value.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum CodecError {
    /// Text whose bytes are not characters of the column's character set.
    #[error("{table}: column `{column}` holds bytes that are not {charset}")]
    NotText {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// Its character set.
        charset: String,
    },
    /// An ENUM or SET value without a member of its number, or a number that is not finite.
    #[error("{table}: column `{column}` holds a value that its type does not have")]
    NoSuchMember {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// A value of a kind that the column's type never has.
    #[error("{table}: column `{column}` cannot hold a value of kind {kind:?}")]
    WrongKind {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The value's kind.
        kind: ValueKind,
    },
    /// A character set that cannot be read.
    #[error("{table}: column `{column}` has the character set {charset}, which cannot be written as UTF-8")]
    UnknownCharset {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// Its character set.
        charset: String,
    },
    /// A column of a name that the format uses itself.
    #[error("{table}: a column named `{column}` cannot be sent in the format {format}")]
    ReservedColumn {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
        /// The format.
        format: &'static str,
    },
    /// A column that is to be sent or to choose the partition does not exist.
    #[error("{table}: there is no column `{column}`")]
    NoSuchColumn {
        /// The table.
        table: TableName,
        /// The name as given.
        column: String,
    },
    /// The log does not carry a column that makes the message's key.
    #[error("{table}: the log does not carry column `{column}`, which is part of the message key")]
    KeyAbsent {
        /// The table.
        table: TableName,
        /// The column.
        column: String,
    },
    /// A setting that no message can be written with.
    #[error("{0}")]
    Setting(String),
}

impl CodecError {
    /// Its public code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotText { .. } | Self::NoSuchMember { .. } | Self::WrongKind { .. } => {
                codes::message::VALUE
            }
            Self::UnknownCharset { .. }
            | Self::ReservedColumn { .. }
            | Self::NoSuchColumn { .. }
            | Self::Setting(_) => codes::message::TABLE,
            Self::KeyAbsent { .. } => codes::message::KEY_ABSENT,
        }
    }
}

impl From<CodecError> for Failure {
    fn from(error: CodecError) -> Self {
        Failure::new(error.code(), error.to_string())
    }
}
