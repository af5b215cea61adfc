//! Keeps reading below a rate, over all workers.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use oms_core::Counters;
use tokio::time::{Instant, sleep_until};

use crate::{Pacing, VerifyProgress};

/// Counts what was read and makes readers wait.
#[derive(Debug)]
pub(crate) struct Pace {
    pacing: Pacing,
    /// When what was read so far is paid for.
    free_at: Mutex<Option<Instant>>,
    progress: std::sync::Arc<VerifyProgress>,
}

impl Pace {
    pub(crate) fn new(pacing: Pacing, progress: std::sync::Arc<VerifyProgress>) -> Self {
        Self {
            pacing,
            free_at: Mutex::new(None),
            progress,
        }
    }

    fn counters(&self) -> &Counters {
        &self.progress.counters
    }

    /// Counts a chunk that was compared.
    pub(crate) fn count_chunk(&self) {
        self.counters().add_transactions(1);
    }

    /// Counts a batch and waits until it fits the rate.
    pub(crate) async fn took(&self, rows: u64, bytes: u64) {
        self.counters().add_rows(rows, bytes);
        self.wait(rows, bytes).await;
    }

    /// Counts rows that servers digested and waits until they, with about these bytes, fit the rate. The bytes are
    /// no bytes read: they never left the servers.
    pub(crate) async fn digested(&self, rows: u64, bytes: u64) {
        self.counters().add_rows(rows, 0);
        self.wait(rows, bytes).await;
    }

    async fn wait(&self, rows: u64, bytes: u64) {
        let cost = |amount: u64, rate: Option<u64>| match rate {
            Some(rate) => Duration::from_secs_f64(amount as f64 / rate.max(1) as f64),
            None => Duration::ZERO,
        };
        let cost = cost(rows, self.pacing.rows_per_second).max(cost(bytes, self.pacing.bytes_per_second));
        if cost.is_zero() {
            return;
        }
        let until = {
            let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let until = free_at.map_or(now, |at| at.max(now)) + cost;
            *free_at = Some(until);
            until
        };
        sleep_until(until).await;
    }
}
