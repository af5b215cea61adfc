use std::fmt;
use std::path::PathBuf;

use oms_core::Position;

/// Where and how a log is kept. Sizes are in bytes.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The log's folder; created when missing. Nothing else may live in it.
    pub dir: PathBuf,
    /// A new segment begins before this size would be passed (a larger record gets a segment of its own).
    pub segment_bytes: u64,
    /// Appended records are handed to the file system when this much has gathered.
    pub write_buffer: usize,
    /// How much a reader reads at a time, and holds in advance.
    pub read_ahead: usize,
    /// Appending stops when the file system has less than this free.
    pub reserve_bytes: u64,
}

impl LogConfig {
    /// The defaults for a folder: segments of 128 MiB, 1 MiB buffers, 512 MiB in reserve.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 128 << 20,
            write_buffer: 1 << 20,
            read_ahead: 1 << 20,
            reserve_bytes: 512 << 20,
        }
    }
}

/// Identity of a log: random, chosen once by its creator. Every checksum in the log is bound to it, so that
/// a segment or a block of another log is never taken for one of this.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({:032x})", u128::from_be_bytes(self.0))
    }
}

/// What a log is created with. An existing log must have the same id; its own start position is kept.
#[derive(Clone, Debug)]
pub struct LogOrigin {
    /// The log's identity.
    pub log_id: LogId,
    /// Where capture begins.
    pub start_position: Position,
}
