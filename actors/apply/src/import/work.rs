//! What is left to do, and who does it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use oms_core::{ChunkEnds, ChunkRange, Failure, Position, TablePair};

use super::{ChunkPlan, ConflictedChunk, ImportReport, TableReport};

/// The tables of an import. Lives over all passes.
#[derive(Debug)]
pub(super) struct Work {
    tables: Mutex<Vec<Table>>,
    /// Chunk plans and what finds the ends of chunks, by table; made when a table is first worked on in a pass.
    pub(super) plans: Vec<tokio::sync::Mutex<Option<(ChunkPlan, ChunkEnds)>>>,
}

#[derive(Debug)]
struct Table {
    keyed: bool,
    workers: usize,
    /// Nothing is left to take; the last worker on it finishes it.
    taken: bool,
    finished: bool,
    target_rows: u64,
    remaining: u64,
    report: TableReport,
}

impl Work {
    pub(super) fn new(tables: &[TablePair], target_rows: impl Fn(&TablePair) -> u64) -> Self {
        let table = |pair: &TablePair| Table {
            keyed: pair.key.is_some(),
            workers: 0,
            taken: false,
            finished: false,
            target_rows: target_rows(pair),
            remaining: pair.source.estimated_rows,
            report: TableReport {
                table: pair.source.name.clone(),
                rows: 0,
                bytes: 0,
                snapshot: None,
                conflicts: 0,
                conflicted: Vec::new(),
                failure: None,
            },
        };
        Self {
            tables: Mutex::new(tables.iter().map(table).collect()),
            plans: tables.iter().map(|_| tokio::sync::Mutex::new(None)).collect(),
        }
    }

    fn tables(&self) -> MutexGuard<'_, Vec<Table>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a new pass: nobody works, and what is not finished is looked at again.
    pub(super) async fn reset(&self) {
        for plan in &self.plans {
            *plan.lock().await = None;
        }
        for table in self.tables().iter_mut() {
            table.workers = 0;
            table.taken = table.finished || table.report.failure.is_some();
        }
    }

    /// A table to work on: of those with work left the one with the fewest workers, then the one
    /// with the most rows to come.
    pub(super) fn pick(&self) -> Option<usize> {
        let mut tables = self.tables();
        let (number, table) = tables
            .iter_mut()
            .enumerate()
            .filter(|(_, t)| !t.taken && (t.keyed || t.workers == 0))
            .min_by_key(|(_, t)| (t.workers, std::cmp::Reverse(t.remaining)))?;
        table.workers += 1;
        Some(number)
    }

    /// Whether [`Work::pick`] would find a table now.
    pub(super) fn has_more(&self) -> bool {
        self.tables()
            .iter()
            .any(|t| !t.taken && (t.keyed || t.workers == 0))
    }

    /// Nothing of the table is left to take.
    pub(super) fn exhaust(&self, table: usize) {
        if let Some(t) = self.tables().get_mut(table) {
            t.taken = true;
        }
    }

    /// A worker leaves the table. Says whether that finished it.
    pub(super) fn leave(&self, table: usize) -> bool {
        let mut tables = self.tables();
        let Some(t) = tables.get_mut(table) else {
            return false;
        };
        t.workers = t.workers.saturating_sub(1);
        if t.taken && t.workers == 0 && !t.finished {
            t.finished = true;
            return t.report.failure.is_none();
        }
        false
    }

    /// The table cannot be completed; what others do on it ends by itself.
    pub(super) fn fail(&self, table: usize, failure: Failure) {
        if let Some(t) = self.tables().get_mut(table) {
            t.taken = true;
            t.report.failure.get_or_insert(failure);
        }
    }

    /// What earlier runs or passes have done.
    pub(super) fn restore(&self, table: usize, rows: u64, bytes: u64, snapshot: Option<Position>) {
        if let Some(t) = self.tables().get_mut(table) {
            t.report.rows = rows;
            t.report.bytes = bytes;
            t.report.snapshot = snapshot;
            t.remaining = t.remaining.saturating_sub(rows);
        }
    }

    /// The table is complete and was read in this snapshot.
    pub(super) fn set_snapshot(&self, table: usize, snapshot: Position) {
        if let Some(t) = self.tables().get_mut(table) {
            t.report.snapshot = Some(snapshot);
        }
    }

    /// A chunk is done.
    pub(super) fn add(&self, table: usize, rows: u64, bytes: u64) {
        if let Some(t) = self.tables().get_mut(table) {
            t.report.rows += rows;
            t.report.bytes += bytes;
            t.remaining = t.remaining.saturating_sub(rows);
        }
    }

    /// Rows of a chunk were not written. Gives the table's total.
    pub(super) fn conflict(&self, table: usize, range: &ChunkRange, rows: u64, listed: usize) -> u64 {
        let mut tables = self.tables();
        let Some(t) = tables.get_mut(table) else {
            return 0;
        };
        t.report.conflicts += rows;
        if t.report.conflicted.len() < listed {
            t.report.conflicted.push(ConflictedChunk {
                range: range.clone(),
                rows,
            });
        }
        t.report.conflicts
    }

    pub(super) fn target_rows(&self, table: usize) -> u64 {
        self.tables().get(table).map_or(1, |t| t.target_rows)
    }

    pub(super) fn set_target_rows(&self, table: usize, rows: u64) {
        if let Some(t) = self.tables().get_mut(table) {
            t.target_rows = rows;
        }
    }

    pub(super) fn into_report(self) -> ImportReport {
        let tables = self.tables.into_inner().unwrap_or_else(PoisonError::into_inner);
        ImportReport {
            tables: tables.into_iter().map(|t| t.report).collect(),
        }
    }
}
