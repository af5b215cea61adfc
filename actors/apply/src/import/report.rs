//! The result of an import.

use std::collections::BTreeMap;

use oms_core::{ChunkRange, Failure, Position, TableName};

/// A chunk in which rows were kept because their keys were taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictedChunk {
    /// The chunk's keys.
    pub range: ChunkRange,
    /// Rows of the source that were not written.
    pub rows: u64,
}

/// The result for one table.
#[derive(Debug)]
pub struct TableReport {
    /// The source table.
    pub table: TableName,
    /// Rows read, those of earlier runs included.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of a table without a key: the position of the snapshot it was read in.
    pub snapshot: Option<Position>,
    /// Rows that were not written because their keys were taken (counted in this run only).
    pub conflicts: u64,
    /// The first chunks with such rows.
    pub conflicted: Vec<ConflictedChunk>,
    /// Why the table is not complete.
    pub failure: Option<Failure>,
}

/// The results of all tables, in the order of their numbers.
#[derive(Debug)]
pub struct ImportReport {
    /// One per table.
    pub tables: Vec<TableReport>,
}

impl ImportReport {
    /// Whether every table is complete.
    pub fn is_complete(&self) -> bool {
        self.tables.iter().all(|t| t.failure.is_none())
    }

    /// Snapshot positions of the tables without a key, for [`crate::SyncPlan::skip_until`].
    pub fn snapshots(&self) -> BTreeMap<u32, Position> {
        (0u32..)
            .zip(&self.tables)
            .filter_map(|(number, t)| Some((number, t.snapshot.clone()?)))
            .collect()
    }
}
