//! How many bytes of rows are alive in the engine.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of rows that were taken from the feed and are not written yet, and the most there ever were.
#[derive(Debug, Default)]
pub(super) struct MemoryGauge {
    now: AtomicUsize,
    peak: AtomicUsize,
}

impl MemoryGauge {
    pub(super) fn add(&self, bytes: usize) {
        let now = self.now.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.now.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes now.
    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// The most bytes at any time.
    pub(super) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}
