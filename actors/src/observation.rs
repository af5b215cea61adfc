//! What can be seen of a component without asking its worker.

use std::time::Duration;

use oms_core::{ErrorCode, Position};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Progress of a component since it started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Rows done.
    pub rows: u64,
    /// Rows to do, by the server's estimate; 0 when unknown or endless.
    pub total_rows: u64,
    /// Bytes done.
    pub bytes: u64,
    /// Objects or tables done.
    pub objects: u64,
    /// Objects or tables to do.
    pub total_objects: u64,
    /// How far behind the source.
    pub lag_ms: Option<u64>,
    /// Source position reached, for people.
    pub position: String,
    /// Incremental synchronization: everything up to here is at the destination.
    pub applied: Option<Position>,
    /// What is being worked on.
    pub detail: String,
}

/// The present progress with its rate. One writer, any readers.
#[derive(Debug)]
pub struct ProgressCell {
    inner: Mutex<Cell>,
}

#[derive(Debug)]
struct Cell {
    progress: Progress,
    sample_at: Instant,
    sample: (u64, u64),
    rate: (u64, u64),
}

impl Default for ProgressCell {
    fn default() -> Self {
        let cell = Cell {
            progress: Progress::default(),
            sample_at: Instant::now(),
            sample: (0, 0),
            rate: (0, 0),
        };
        Self {
            inner: Mutex::new(cell),
        }
    }
}

impl ProgressCell {
    /// Changes the progress.
    pub fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.inner.lock().progress);
    }

    /// The progress and its rate in rows and bytes per second, measured over the last second or
    /// more between two readings.
    pub fn read(&self) -> (Progress, u64, u64) {
        let mut cell = self.inner.lock();
        let now = Instant::now();
        let elapsed = now.duration_since(cell.sample_at);
        if elapsed.as_millis() >= 900 {
            let (rows, bytes) = (cell.progress.rows, cell.progress.bytes);
            let per_second = |new: u64, old: u64| {
                let delta = u128::from(new.saturating_sub(old)) * 1_000 / elapsed.as_millis().max(1);
                u64::try_from(delta).unwrap_or(u64::MAX)
            };
            let (old_rows, old_bytes) = cell.sample;
            cell.rate = (per_second(rows, old_rows), per_second(bytes, old_bytes));
            cell.sample = (rows, bytes);
            cell.sample_at = now;
        }
        (cell.progress.clone(), cell.rate.0, cell.rate.1)
    }
}

/// Where a component is in its life on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Its worker runs, or waits to run again.
    Running,
    /// It was stopped.
    Stopped,
    /// It ended with this error.
    Failed(ErrorCode, String),
    /// It has done all its work.
    Completed,
}

/// Errors that follow each other without progress between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// From the first of them to the newest, on this machine's monotonic clock.
    pub lasting: Duration,
    /// The last of them.
    pub code: ErrorCode,
}

/// A reading of a component.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Its state.
    pub state: RunState,
    /// Its progress.
    pub progress: Progress,
    /// Rows per second.
    pub rows_per_second: u64,
    /// Bytes per second.
    pub bytes_per_second: u64,
    /// Errors that were retried.
    pub retries: u64,
    /// The last of them.
    pub last_retry: Option<String>,
    /// It runs and gets nowhere.
    pub trouble: Option<Trouble>,
}
