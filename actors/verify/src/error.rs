//! Errors of verification.

use std::path::PathBuf;

use oms_core::{Failure, RowError, TableName, codes};
use thiserror::Error;

/// Why a verification, or a table of it, ended.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The results cannot be written or read.
    #[error("{path}: {cause}")]
    Folder {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file of the results is damaged.
    #[error("{path}: {detail}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and how.
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

fn is_full(cause: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(cause.kind(), StorageFull | QuotaExceeded)
}

impl VerifyError {
    /// Whether trying again may help: the run then ends, and continues when it is started again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Database(failure) => failure.is_transient(),
            Self::Folder { cause, .. } => is_full(cause),
            _ => false,
        }
    }

    /// Whether the whole run ends, not only the table.
    pub(crate) fn ends_run(&self) -> bool {
        match self {
            Self::Cancelled | Self::Folder { .. } | Self::Damaged { .. } => true,
            Self::Database(failure) => failure.is_transient() || failure.is_fenced(),
            _ => false,
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        let code = match &error {
            VerifyError::Database(_) => codes::verify::INTERNAL,
            VerifyError::Folder { cause, .. } if is_full(cause) => codes::verify::DISK_FULL,
            VerifyError::Folder { .. } | VerifyError::Damaged { .. } => codes::verify::RESULTS_UNUSABLE,
            VerifyError::Unknown(_) => codes::verify::RESULTS_UNUSABLE,
            VerifyError::NotComparable { .. } => codes::verify::TABLE_NOT_COMPARABLE,
            VerifyError::TooMany { .. } => codes::verify::TOO_MANY_DIFFERENCES,
            VerifyError::Shape { .. } | VerifyError::Row(_) => codes::schema::DEFINITION_DIFFERS,
            VerifyError::Cancelled | VerifyError::Internal(_) => codes::verify::INTERNAL,
        };
        match error {
            VerifyError::Database(failure) => failure,
            other => Self::new(code, other.to_string()),
        }
    }
}
