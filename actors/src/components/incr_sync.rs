//! Incremental synchronization: from the change log to the destination.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_apply::{ApplyProgress, SyncConfig, SyncEnd, SyncPlan, Synchronizer, resume_or_initialize};
use oms_changelog::ChangeLogError;
use oms_core::{ClaimToken, Counters, Failure, Position, Sink, SinkOptions, Source, TableMap, TableName};
use tokio::sync::watch;

use super::{
    log_feed::{LogEventSource, Marks},
    pairs::{Mapping, load_pairs},
    shelf::Shelf,
    store::{CONSUMER, failure_of},
};
use crate::{Behavior, Completion, Context, Facts};

/// How often progress is published and retention is told what is still needed.
const TICK: Duration = Duration::from_millis(200);

/// What incremental synchronization works on.
#[derive(Clone, Debug)]
pub struct IncrSyncSettings {
    /// The tables.
    pub tables: Vec<Mapping>,
    /// Where the Store began: the position of the first transaction that may be needed.
    pub start: Position,
    /// Changes up to here may be in the copied rows already.
    pub safe_until: Option<Position>,
    /// Tables that were copied in one consistent snapshot, and its position.
    pub snapshots: Vec<(TableName, Position)>,
    /// Parallel lanes.
    pub lanes: u32,
    /// It has caught up when the lag is below this.
    pub caught_up: Duration,
}

/// Applies a project's changes. Runs until it is stopped.
///
/// Claims the destination before it reads the checkpoint, at every run: what an earlier run left
/// under way can then no longer commit.
pub struct IncrSync {
    source: Arc<dyn Source>,
    sink: Arc<dyn Sink>,
    shelf: Arc<Shelf>,
    settings: IncrSyncSettings,
}

impl IncrSync {
    /// Applies the log that is on the shelf to the sink.
    pub fn new(
        source: Arc<dyn Source>,
        sink: Arc<dyn Sink>,
        shelf: Arc<Shelf>,
        settings: IncrSyncSettings,
    ) -> Self {
        Self {
            source,
            sink,
            shelf,
            settings,
        }
    }

    /// Publishes progress until dropped.
    async fn follow(
        &self,
        context: &Context,
        progress: watch::Receiver<ApplyProgress>,
        counters: Arc<Counters>,
        marks: Arc<Marks>,
    ) -> Result<(), Failure> {
        let mut caught_up = false;
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            let now = progress.borrow().clone();
            let done = counters.read();
            let Some(watermark) = now.watermark else { continue };
            let lag_ms = now
                .source_time_us
                .map(|t| u64::try_from(context.clock.now_ms().saturating_sub(t / 1_000)).unwrap_or_default());
            if let Some(seq) = marks.passed(&watermark.position)
                && let Some(shelved) = self.shelf.get(context.id.project())
            {
                match shelved.log.set_low_watermark(CONSUMER, seq).await {
                    Ok(()) | Err(ChangeLogError::Closed) => {}
                    Err(error) => return Err(failure_of(error)),
                }
            }
            self.shelf
                .note_applied(context.id.project(), watermark.position.clone());
            context.progress.update(|p| {
                p.rows = done.rows;
                p.bytes = done.bytes;
                p.objects = done.transactions;
                p.lag_ms = lag_ms;
                p.position = watermark.position.to_string();
                p.detail = format!("{} transactions in flight", now.transactions_in_flight);
                p.applied = Some(watermark.position.clone());
            });
            let within = lag_ms.is_some_and(|lag| u128::from(lag) <= self.settings.caught_up.as_millis());
            if within && !caught_up {
                context.reporter.facts(Facts::CaughtUp).await?;
                context.log.info(format!("caught up at {}", watermark.position));
                caught_up = true;
            }
        }
    }
}

#[async_trait]
impl Behavior for IncrSync {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let settings = &self.settings;
        let pairs = load_pairs(&*self.source, &*self.sink, &settings.tables).await?;
        let tables = Arc::new(TableMap::new(pairs.iter().map(|p| p.source.clone()).collect()));
        let token = ClaimToken {
            component: context.id.clone(),
            epoch: context.epoch,
        };
        let options = SinkOptions {
            tables: pairs.clone(),
            lanes: settings.lanes,
        };
        let claim = self.sink.claim(token, options).await?;
        let checkpoint = resume_or_initialize(&*claim, &settings.start).await?;
        context.log.info(format!(
            "claimed as {}.{}; continuing behind transaction {} at {}",
            context.epoch,
            claim.number(),
            checkpoint.watermark.applied,
            checkpoint.watermark.position
        ));
        let skip_until: BTreeMap<u32, Position> = settings
            .snapshots
            .iter()
            .filter_map(|(name, position)| tables.find(name).map(|i| (i, position.clone())))
            .collect();
        let plan = SyncPlan {
            tables: pairs,
            foreign_keys: Vec::new(),
            skip_until,
            safe_until: settings.safe_until.clone(),
            stop_at: None,
        };
        let config = SyncConfig {
            lanes: settings.lanes,
            ..SyncConfig::default()
        };
        let synchronizer = Synchronizer::new(plan, config);
        let marks = Arc::new(Marks::default());
        let feed = LogEventSource {
            shelf: self.shelf.clone(),
            project: context.id.project().clone(),
            source: self.source.clone(),
            tables,
            marks: marks.clone(),
        };
        let follow = self.follow(context, synchronizer.progress(), synchronizer.counters(), marks);
        let end = tokio::select! {
            end = synchronizer.run(&*claim, &feed, checkpoint, &context.cancel) => end?,
            failed = follow => return failed.map(|()| Completion::Stopped),
        };
        Ok(match end {
            SyncEnd::Cancelled => Completion::Stopped,
            SyncEnd::Reached(w) | SyncEnd::FeedEnded(w) => {
                Completion::Done(format!("applied up to {}", w.position))
            }
        })
    }

    async fn remove(&self, context: &Context) -> Result<(), Failure> {
        self.sink.forget(&context.id).await
    }
}
