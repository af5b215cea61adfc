//! What can go wrong in an engine.

use std::io;
use std::path::PathBuf;

use oms_types::ErrorCode;
use oms_types::codes::cluster as codes;

/// Result of an engine call.
pub type KvResult<T> = Result<T, KvError>;

/// An engine's refusal or failure. No variant carries a stored value.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The operating system refused a file operation.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted, as a verb phrase.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Another process (or another engine in this one) has the folder open.
    #[error("data folder {path} is in use by another process")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// What is on disk is not what was acknowledged. The folder is left for inspection and must not be
    /// used to run a node: restore it from a backup, or remove it and let the node join again.
    #[error("data folder {path} is damaged: {detail}")]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What does not match, without any stored value.
        detail: String,
    },
    /// The folder was written by a version of the program this one does not know.
    #[error("data folder {path} has format {found}, this program reads format {supported}")]
    UnknownFormat {
        /// The folder.
        path: PathBuf,
        /// Format found on disk.
        found: u32,
        /// Format this program reads and writes.
        supported: u32,
    },
    /// A key or value is larger than every engine accepts.
    #[error("{what} of {size} bytes in key space {space} is over the limit of {limit} bytes")]
    TooLarge {
        /// `key` or `value`.
        what: &'static str,
        /// The number of the key space.
        space: u8,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A stored record does not decode as its key space says it must.
    #[error("record in key space {space} does not decode: {detail}")]
    Undecodable {
        /// Name of the key space.
        space: &'static str,
        /// What is wrong, without any stored value.
        detail: String,
    },
    /// An earlier write or sync failed; what is durable is no longer known, so nothing more is
    /// accepted until the engine is opened again.
    #[error("the storage engine stopped after a failure: {cause}")]
    Stopped {
        /// The first failure.
        cause: String,
    },
}

impl KvError {
    /// The stable public code of this error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => codes::DISK_FULL,
            Self::Io { .. } | Self::Stopped { .. } => codes::METADATA_IO,
            Self::Locked { .. } => codes::DATA_DIR_IN_USE,
            Self::Damaged { .. } | Self::Undecodable { .. } => codes::METADATA_CORRUPT,
            Self::UnknownFormat { .. } => codes::UNSUPPORTED_FORMAT,
            Self::TooLarge { .. } => codes::METADATA_TOO_LARGE,
        }
    }
}
