//! The engine of full import.

use std::sync::Arc;

use oms_core::{ClaimToken, Counters, Failure, Sink, SinkOptions, Source, TablePair, codes};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{
    ImportConfig, ImportProgress, ImportReport, ImportTuning,
    backoff::Backoff,
    crew::Crew,
    load::Load,
    pass::{Pass, ROOM},
    throttle::Throttle,
    work::Work,
};

/// How an import ended.
#[derive(Debug)]
pub enum ImportEnd {
    /// Every table was tried to the end; look into the report for those that failed.
    Finished(ImportReport),
    /// It was cancelled. Running again continues.
    Cancelled,
}

/// Copies the rows that exist, table by table and chunk by chunk. Tables are never locked.
///
/// Running again, here or by a later owner, continues: chunks with a receipt are not read again.
#[derive(Debug)]
pub struct Importer {
    source: Arc<dyn Source>,
    sink: Arc<dyn Sink>,
    token: ClaimToken,
    tables: Arc<Vec<TablePair>>,
    config: ImportConfig,
    tuning: watch::Sender<ImportTuning>,
    counters: Arc<Counters>,
    progress: Arc<ImportProgress>,
}

impl Importer {
    /// An import of these tables under the right of `token`, which it uses to claim by itself.
    pub fn new(
        source: Arc<dyn Source>,
        sink: Arc<dyn Sink>,
        token: ClaimToken,
        tables: Arc<Vec<TablePair>>,
        config: ImportConfig,
    ) -> Self {
        Self {
            progress: Arc::new(ImportProgress::new(&tables)),
            tuning: watch::Sender::new(config.tuning),
            counters: Arc::default(),
            source,
            sink,
            token,
            tables,
            config,
        }
    }

    /// Rows, bytes and chunks that were written by this value.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// The progress of each table.
    pub fn progress(&self) -> Arc<ImportProgress> {
        self.progress.clone()
    }

    /// Changes workers and limits, also while it runs: the new ones hold at once, workers that are too many leave
    /// after the chunk at which they are.
    pub fn tune(&self, tuning: ImportTuning) {
        self.tuning.send_if_modified(|now| {
            let changed = *now != tuning;
            *now = tuning;
            changed
        });
    }

    /// Copies until every table is complete or has failed, or until cancelled.
    ///
    /// Transient failures are repeated with growing pauses, for [`super::RetryPolicy::window`] at
    /// most. A table that fails does not stop the others. When this returns `Finished`, no
    /// transaction of the import can commit any more: the caller may note
    /// [`Source::current_position`] as the end of the safe-mode window. Dropping the future, like
    /// cancelling, closes all connections.
    ///
    /// # Errors
    /// `OMS-APPLY-0004` when another owner has claimed; what claiming fails with.
    pub async fn run(&self, cancel: &CancellationToken) -> Result<ImportEnd, Failure> {
        let most = self.config.chunk_rows.max(1);
        let bytes = self.config.chunk_bytes;
        let work = Arc::new(Work::new(&self.tables, |pair| {
            let mean = pair
                .source
                .estimated_bytes
                .checked_div(pair.source.estimated_rows)
                .unwrap_or(0)
                .max(1);
            (bytes / mean).clamp(1, most)
        }));
        let throttle = Arc::new(Throttle::new());
        let mut backoff = Backoff::new(&self.config.retry);
        let mut seen = self.counters.read();
        loop {
            let failure = match self.pass(&work, &throttle, cancel).await {
                Ok(()) if cancel.is_cancelled() => return Ok(ImportEnd::Cancelled),
                Ok(()) => break,
                Err(failure) => failure,
            };
            let now = self.counters.read();
            if now != seen {
                backoff.reset();
                seen = now;
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(ImportEnd::Cancelled),
                paused = backoff.pause(failure) => paused?,
            }
            work.reset().await;
        }
        let report = Arc::into_inner(work)
            .map(Work::into_report)
            .ok_or_else(|| Failure::new(codes::apply::INTERNAL, "a worker of the import outlived it"))?;
        Ok(ImportEnd::Finished(report))
    }

    /// One claim. When it returns no worker is left; cancelled, it may return `Ok` early.
    async fn pass(
        &self,
        work: &Arc<Work>,
        throttle: &Arc<Throttle>,
        cancel: &CancellationToken,
    ) -> Result<(), Failure> {
        let options = SinkOptions {
            tables: self.tables.clone(),
            lanes: 1,
        };
        let claim = tokio::select! {
            biased;
            () = cancel.cancelled() => return Ok(()),
            claim = self.sink.claim(self.token.clone(), options) => claim?,
        };
        let pass = Arc::new(Pass {
            source: self.source.clone(),
            sink: self.sink.clone(),
            claim,
            tables: self.tables.clone(),
            config: self.config.clone(),
            work: work.clone(),
            throttle: throttle.clone(),
            tuning: self.tuning.subscribe(),
            load: Load::default(),
            room: Arc::new(Semaphore::new(ROOM as usize)),
            counters: self.counters.clone(),
            progress: self.progress.clone(),
        });
        Crew::new(pass, self.tuning.subscribe()).work(cancel).await
    }
}
