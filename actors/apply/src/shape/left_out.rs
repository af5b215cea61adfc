//! What did not move because it was not chosen.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what filters and the choice of changes left out, since the component started. Raised without locks.
#[derive(Debug, Default)]
pub struct LeftOut {
    rows: AtomicU64,
    filtered: AtomicU64,
    unwanted: AtomicU64,
    entered: AtomicU64,
    left: AtomicU64,
}

/// A reading of [`LeftOut`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOutCounts {
    /// Rows of the snapshot that were read and for which the filter is not true.
    pub rows: u64,
    /// Changes of rows for which the filter is true neither before nor after.
    pub filtered: u64,
    /// Changes of kinds that are not applied.
    pub unwanted: u64,
    /// Updates that became inserts, because the filter is true only afterwards.
    pub entered: u64,
    /// Updates that became deletes, because the filter was true only before.
    pub left: u64,
}

impl LeftOut {
    /// The totals now.
    pub fn read(&self) -> LeftOutCounts {
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        LeftOutCounts {
            rows: read(&self.rows),
            filtered: read(&self.filtered),
            unwanted: read(&self.unwanted),
            entered: read(&self.entered),
            left: read(&self.left),
        }
    }

    pub(super) fn add(&self, counts: LeftOutCounts) {
        for (total, n) in [
            (&self.rows, counts.rows),
            (&self.filtered, counts.filtered),
            (&self.unwanted, counts.unwanted),
            (&self.entered, counts.entered),
            (&self.left, counts.left),
        ] {
            if n > 0 {
                total.fetch_add(n, Ordering::Relaxed);
            }
        }
    }
}

impl LeftOutCounts {
    /// The counts in words; empty if there are none.
    pub fn words(&self) -> String {
        let parts = [
            (self.rows, "rows filtered out"),
            (self.filtered, "changes filtered out"),
            (self.unwanted, "changes of kinds that are not applied"),
            (self.entered, "updates that brought a row into the filter"),
            (self.left, "updates that took a row out of the filter"),
        ];
        let words: Vec<_> = parts
            .iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"))
            .collect();
        words.join(", ")
    }
}
