//! Counters that a worker raises and everybody else reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the worker started. Raised without locks, read at any time.
#[derive(Debug, Default)]
pub struct Counters {
    rows: AtomicU64,
    bytes: AtomicU64,
    transactions: AtomicU64,
}

/// A reading of [`Counters`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountersSnapshot {
    /// Rows.
    pub rows: u64,
    /// Bytes of encoded rows or log records.
    pub bytes: u64,
    /// Transactions or chunks.
    pub transactions: u64,
}

impl Counters {
    /// Adds rows and their bytes.
    pub fn add_rows(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds transactions or chunks.
    pub fn add_transactions(&self, transactions: u64) {
        self.transactions.fetch_add(transactions, Ordering::Relaxed);
    }

    /// The totals now.
    pub fn read(&self) -> CountersSnapshot {
        CountersSnapshot {
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            transactions: self.transactions.load(Ordering::Relaxed),
        }
    }
}
