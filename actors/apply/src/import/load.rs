//! What the workers see of the databases, for whoever decides how many there are.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

/// Read and written without locks.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Workers with this number and higher ones leave after their chunk.
    pub(super) level: AtomicUsize,
    /// Bytes that were written, with something for each row.
    pub(super) done: AtomicU64,
    /// Failures that were worth a repetition.
    pub(super) troubles: AtomicU64,
    /// The longest time that a batch took since the last look, in microseconds.
    pub(super) slowest_us: AtomicU64,
}

/// What a row costs beside its bytes.
const ROW: u64 = 64;

impl Load {
    pub(super) fn wrote(&self, rows: u64, bytes: u64, took: Duration) {
        self.done.fetch_add(bytes + rows * ROW, Ordering::Relaxed);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.slowest_us.fetch_max(took, Ordering::Relaxed);
    }
}
