//! The Store's change log: what the capture worker read from the source, durable on local disk, in the
//! source's order, until every reader is done with it.
//!
//! - [`ChangeLog`] is the contract: one [`LogWriter`], any number of [`LogReader`]s, retention.
//! - [`SegmentLog`] keeps the log in checksummed segment files; [`MemoryLog`] keeps it in bounded memory
//!   for simulation. Both pass the same suite in [`testing`].
//! - Records are opaque source-format bytes between transaction marks; see [`RecordFlags`].
//!
//! The format and the reasons are on the page `node/docs/change-log.md`.

mod chain;
mod error;
mod log;
mod memory;
mod pins;
mod position;
mod record;
mod segment;
mod seq;
pub mod testing;

pub use error::{ChangeLogError, Result};
pub use log::{ChangeLog, LogReader, LogStats, LogWriter, ReadFrom, Retained, RetentionPolicy};
pub use memory::MemoryLog;
pub use position::EncodedPosition;
pub use record::{LogRecord, MAX_PAYLOAD, NewRecord, RecordFlags};
pub use segment::{LogConfig, LogId, LogOrigin, Recovery, SegmentLog};
pub use seq::LogSeq;
