//! Errors of verification.

use oms_core::{Failure, RowError, TableName, codes};
use thiserror::Error;

/// Why a verification, or a table of it, ended.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The results cannot be written or read at the destination.
    #[error(transparent)]
    Records(Failure),
    /// A record of the results is damaged.
    #[error("record {number} of {list}: {detail}")]
    Damaged {
        /// The list.
        list: String,
        /// Number in the list.
        number: u64,
        /// What is wrong.
        detail: String,
    },
    /// The table cannot be compared.
    #[error("{table}: {detail}")]
    NotComparable {
        /// The source table.
        table: TableName,
        /// Column and reason.
        detail: String,
    },
    /// The cap was reached.
    #[error("{table}: {found} differences, the limit is {limit}")]
    TooMany {
        /// The source table.
        table: TableName,
        /// How many were found.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A row is not as its definition says.
    #[error("{table}: {detail}")]
    Shape {
        /// The table that was read.
        table: TableName,
        /// What is wrong.
        detail: String,
    },
    /// A row could not be built.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The database refused something.
    #[error(transparent)]
    Database(#[from] Failure),
    /// A run, project or table that does not exist, or whose name cannot be used.
    #[error("{0}")]
    Unknown(String),
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// An invariant of the engine was broken.
    #[error("{0}")]
    Internal(&'static str),
}

impl VerifyError {
    /// Whether trying again may help: the run then ends, and continues when it is started again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(failure) | Self::Records(failure) => failure.is_transient(),
            _ => false,
        }
    }

    /// Whether the whole run ends, not only the table.
    pub(crate) fn ends_run(&self) -> bool {
        match self {
            Self::Cancelled | Self::Records(_) | Self::Damaged { .. } => true,
            Self::Database(failure) => failure.is_transient() || failure.is_fenced(),
            _ => false,
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let code = match &error {
            VerifyError::Database(_) | VerifyError::Records(_) => codes::verify::INTERNAL,
            VerifyError::Damaged { .. } | VerifyError::Unknown(_) => codes::verify::RESULTS_UNUSABLE,
            VerifyError::NotComparable { .. } => codes::verify::TABLE_NOT_COMPARABLE,
            VerifyError::TooMany { .. } => codes::verify::TOO_MANY_DIFFERENCES,
            VerifyError::Shape { .. } | VerifyError::Row(_) => codes::schema::DEFINITION_DIFFERS,
            VerifyError::Cancelled | VerifyError::Internal(_) => codes::verify::INTERNAL,
        };
        match error {
            VerifyError::Database(failure) => failure,
            VerifyError::Records(failure) => failure.context("the results of the verification"),
            other => Self::new(code, other.to_string()),
        }
    }
}
