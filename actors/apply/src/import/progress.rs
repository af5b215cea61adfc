//! What an import shows of itself.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use oms_core::{TableName, TablePair};

/// Where a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableState {
    /// Not begun in this run.
    Waiting,
    /// Being copied.
    Running,
    /// All of its rows are at the destination.
    Finished,
    /// It failed.
    Failed,
}

/// A reading of a table's progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableProgress {
    /// The source table.
    pub table: TableName,
    /// Where it is.
    pub state: TableState,
    /// Rows that are at the destination, those of earlier runs included.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The source's estimate of its rows.
    pub estimated_rows: u64,
}

/// The progress of all tables. Raised without locks, read at any time.
#[derive(Debug)]
pub struct ImportProgress {
    tables: Vec<Gauges>,
}

#[derive(Debug)]
struct Gauges {
    table: TableName,
    estimated_rows: u64,
    rows: AtomicU64,
    bytes: AtomicU64,
    state: AtomicU8,
}

impl ImportProgress {
    pub(super) fn new(tables: &[TablePair]) -> Self {
        let gauges = |pair: &TablePair| Gauges {
            table: pair.source.name.clone(),
            estimated_rows: pair.source.estimated_rows,
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            state: AtomicU8::new(0),
        };
        Self {
            tables: tables.iter().map(gauges).collect(),
        }
    }

    /// All tables now, in the order of their numbers.
    pub fn read(&self) -> Vec<TableProgress> {
        self.tables
            .iter()
            .map(|t| TableProgress {
                table: t.table.clone(),
                state: match t.state.load(Ordering::Relaxed) {
                    0 => TableState::Waiting,
                    1 => TableState::Running,
                    2 => TableState::Finished,
                    _ => TableState::Failed,
                },
                rows: t.rows.load(Ordering::Relaxed),
                bytes: t.bytes.load(Ordering::Relaxed),
                estimated_rows: t.estimated_rows,
            })
            .collect()
    }

    pub(super) fn set(&self, table: usize, rows: u64, bytes: u64) {
        if let Some(t) = self.tables.get(table) {
            t.rows.store(rows, Ordering::Relaxed);
            t.bytes.store(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn add(&self, table: usize, rows: u64, bytes: u64) {
        if let Some(t) = self.tables.get(table) {
            t.rows.fetch_add(rows, Ordering::Relaxed);
            t.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn enter(&self, table: usize, state: TableState) {
        if let Some(t) = self.tables.get(table) {
            let number = match state {
                TableState::Waiting => 0,
                TableState::Running => 1,
                TableState::Finished => 2,
                TableState::Failed => 3,
            };
            t.state.store(number, Ordering::Relaxed);
        }
    }
}
