//! What can be seen while a verification runs.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU8, AtomicU64, Ordering},
};

use oms_core::{Counters, TableName};

use crate::TableResult;

/// Where a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TableStage {
    /// Nothing was read yet.
    Waiting = 0,
    /// Rows are compared.
    Comparing = 1,
    /// Candidates are read again.
    Rechecking = 2,
    /// It has ended; see the result.
    Ended = 3,
}

/// A reading of a table's progress.
#[derive(Clone, Debug)]
pub struct TableProgress {
    /// The source table.
    pub source: TableName,
    /// The destination table.
    pub destination: TableName,
    /// Where it is.
    pub stage: TableStage,
    /// Rows compared.
    pub rows: u64,
    /// The server's estimate of the rows to compare.
    pub estimated_rows: u64,
    /// Rows that differ so far, proven or not.
    pub candidates: u64,
    /// The result, when it has ended.
    pub result: Option<TableResult>,
}

/// One table's cell of the progress.
#[derive(Debug)]
pub(crate) struct TableCell {
    source: TableName,
    destination: TableName,
    estimated_rows: u64,
    stage: AtomicU8,
    rows: AtomicU64,
    candidates: AtomicU64,
    result: Mutex<Option<TableResult>>,
}

impl TableCell {
    pub(crate) fn set_stage(&self, stage: TableStage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    pub(crate) fn add_rows(&self, rows: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    pub(crate) fn set_candidates(&self, candidates: u64) {
        self.candidates.store(candidates, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, result: TableResult) {
        self.rows.store(result.rows, Ordering::Relaxed);
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.set_stage(TableStage::Ended);
    }
}

/// Progress of a verification. One writer per table, any readers, no waiting.
#[derive(Debug, Default)]
pub struct VerifyProgress {
    /// Rows and bytes read from both sides by this process.
    pub counters: Counters,
    tables: Mutex<Vec<Arc<TableCell>>>,
}

impl VerifyProgress {
    pub(crate) fn add_table(
        &self,
        source: TableName,
        destination: TableName,
        estimated_rows: u64,
    ) -> Arc<TableCell> {
        let cell = Arc::new(TableCell {
            source,
            destination,
            estimated_rows,
            stage: AtomicU8::new(TableStage::Waiting as u8),
            rows: AtomicU64::new(0),
            candidates: AtomicU64::new(0),
            result: Mutex::new(None),
        });
        self.tables
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(cell.clone());
        cell
    }

    /// All tables of the run.
    pub fn tables(&self) -> Vec<TableProgress> {
        let cells = self.tables.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = |cell: &Arc<TableCell>| TableProgress {
            source: cell.source.clone(),
            destination: cell.destination.clone(),
            stage: match cell.stage.load(Ordering::Relaxed) {
                0 => TableStage::Waiting,
                1 => TableStage::Comparing,
                2 => TableStage::Rechecking,
                _ => TableStage::Ended,
            },
            rows: cell.rows(),
            estimated_rows: cell.estimated_rows,
            candidates: cell.candidates.load(Ordering::Relaxed),
            result: cell.result.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        cells.iter().map(read).collect()
    }
}
