use std::io;
use std::path::PathBuf;

use oms_core::Position;
use oms_types::{ErrorCode, codes};

use crate::LogSeq;

/// The result of a change-log operation.
pub type Result<T, E = ChangeLogError> = std::result::Result<T, E>;

/// What can go wrong with a change log. No message holds payload bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeLogError {
    /// Another process or handle has the folder open.
    #[error("the change log {} is in use", dir.display())]
    InUse {
        /// The log's folder.
        dir: PathBuf,
    },
    /// The folder holds a different log than the one asked for.
    #[error("{} belongs to another change log", file.display())]
    WrongLog {
        /// The segment that says so.
        file: PathBuf,
    },
    /// A writer exists already; a log has one.
    #[error("the change log has a writer already")]
    WriterTaken,
    /// The log was closed; a reader gets this only after it has read all that was durable.
    #[error("the change log is closed")]
    Closed,
    /// Not enough room. With `rolled_back_to` empty, nothing of the call was taken and nothing was lost:
    /// repeat the same call when there is room. Otherwise everything after that record was discarded, and
    /// the writer continues from there: read again from the resume position.
    #[error(
        "not enough room for the change log in {}: {free} bytes are free, {needed} are needed{}", dir.display(),
        rolled_back(rolled_back_to)
    )]
    DiskFull {
        /// The log's folder.
        dir: PathBuf,
        /// Free bytes.
        free: u64,
        /// Bytes that must be free to go on, the reserve included.
        needed: u64,
        /// The last record that is kept, when appended records were discarded.
        rolled_back_to: Option<LogSeq>,
    },
    /// Writing failed. Everything after `rolled_back_to` was discarded, as with a full disk.
    #[error("cannot write {}{}: {source}", path.display(), rolled_back(&Some(*rolled_back_to)))]
    WriteFailed {
        /// The file.
        path: PathBuf,
        /// The last record that is kept.
        rolled_back_to: LogSeq,
        /// The system's error.
        source: io::Error,
    },
    /// Opening or reading failed; the log is unchanged.
    #[error("cannot access {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The log is damaged where it had been durable. Nothing is skipped and nothing was changed.
    #[error("the change log is damaged: {} at byte {offset}, record {seq}: {reason}", file.display())]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Where in the file.
        offset: u64,
        /// The record that should be there.
        seq: LogSeq,
        /// What does not fit.
        reason: &'static str,
    },
    /// The log ends before a record that had been acknowledged.
    #[error("the change log {} ends at record {found}, but {acknowledged} had been acknowledged", dir.display())]
    AcknowledgedMissing {
        /// The log's folder.
        dir: PathBuf,
        /// The last acknowledged record.
        acknowledged: LogSeq,
        /// The last record that was found.
        found: LogSeq,
    },
    /// The segment was written by a newer version.
    #[error("{} has format version {version}, which this version does not know", file.display())]
    UnknownVersion {
        /// The segment.
        file: PathBuf,
        /// The version it names.
        version: u16,
    },
    /// The caller broke a rule of the record order; nothing of the call was taken.
    #[error("record {index} of the batch is refused: {reason}")]
    InvalidRecord {
        /// Index in the batch.
        index: usize,
        /// The rule.
        reason: &'static str,
    },
    /// The record was removed by retention.
    #[error("record {wanted} is no longer in the change log, which begins at {oldest}")]
    SeqPurged {
        /// What was asked for.
        wanted: LogSeq,
        /// The oldest record.
        oldest: LogSeq,
    },
    /// The record is not there yet.
    #[error("record {wanted} is not in the change log yet, the next one is {next}")]
    SeqAhead {
        /// What was asked for.
        wanted: LogSeq,
        /// The record that will be written next.
        next: LogSeq,
    },
    /// Retention removed records that follow the position.
    #[error("the position is no longer in the change log, which begins at {oldest}")]
    PositionPurged {
        /// The oldest position a reader can start from.
        oldest: Box<Position>,
    },
    /// The position lies after everything in the log: capture has not come that far yet.
    #[error("the position is not in the change log yet, which ends at {newest}")]
    PositionAhead {
        /// The position of the last complete transaction.
        newest: Box<Position>,
    },
    /// The position is not a transaction border of this log.
    #[error("the position is not in the change log, which spans {oldest} to {newest}")]
    PositionUnknown {
        /// The oldest position a reader can start from.
        oldest: Box<Position>,
        /// The position of the last complete transaction.
        newest: Box<Position>,
    },
    /// A position cannot be encoded or decoded.
    #[error("the position cannot be kept: {reason}")]
    PositionCodec {
        /// What is wrong with it.
        reason: String,
    },
    /// A background operation ended without an answer.
    #[error("an operation on the change log was interrupted: {reason}")]
    Interrupted {
        /// How.
        reason: String,
    },
}

impl ChangeLogError {
    /// The public code.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::InUse { .. } | Self::WriterTaken => codes::store::IN_USE,
            Self::DiskFull { .. } => codes::store::DISK_FULL,
            Self::WrongLog { .. }
            | Self::Corrupt { .. }
            | Self::AcknowledgedMissing { .. }
            | Self::UnknownVersion { .. } => codes::store::CORRUPT,
            Self::SeqPurged { .. } | Self::PositionPurged { .. } => codes::store::POSITION_PURGED,
            Self::SeqAhead { .. } | Self::PositionAhead { .. } => codes::store::POSITION_AHEAD,
            Self::PositionUnknown { .. } => codes::store::POSITION_UNKNOWN,
            Self::Closed | Self::WriteFailed { .. } | Self::Io { .. } => codes::store::IO,
            Self::InvalidRecord { .. } | Self::PositionCodec { .. } | Self::Interrupted { .. } => {
                codes::store::INTERNAL
            }
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io {
            path: path.into(),
            source,
        }
    }
}

fn rolled_back(to: &Option<LogSeq>) -> String {
    to.map_or_else(String::new, |seq| {
        format!("; the log was cut back to record {seq}")
    })
}
