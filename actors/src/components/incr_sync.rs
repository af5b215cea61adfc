//! Incremental synchronization: from the change log to the destination.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_apply::{
    ApplyProgress, ClimbConfig, CommitOrder, SyncConfig, SyncEnd, SyncPlan, Synchronizer,
    resume_or_initialize,
};
use oms_core::{
    ApplyCheckpoint, ClaimToken, Counters, Failure, Position, Sink, SinkOptions, Source, TableMap, TableName,
};
use tokio::sync::watch;

use super::{
    followed_log::LogLink,
    log_feed::{LogEventSource, Marks},
    pairs::{Mapping, load_pairs},
    shelf::Shelf,
};
use crate::{Behavior, Completion, Context, Facts};

/// How often progress is published and retention is told what is still needed.
const TICK: Duration = Duration::from_millis(200);
/// How often the metadata is told what is applied, for a Store that must begin anew.
const NOTE_APPLIED: Duration = Duration::from_secs(5);
/// Between two looks at the end of the source's log while settling.
const SETTLE: Duration = Duration::from_millis(100);

/// How many lanes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// So many.
    Fixed(u32),
    /// As many as make it faster, up to this number.
    Auto(u32),
}

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
    pub lanes: Lanes,
    /// In which order transactions become visible.
    pub commit_order: CommitOrder,
    /// It has caught up when the lag is below this.
    pub caught_up: Duration,
    /// Bring what has begun to an end, say where that is, and apply nothing more.
    pub settle: Option<Settle>,
}

/// How incremental synchronization comes to rest at a position that is exact: everything before it is at the
/// destination and nothing behind it.
#[derive(Clone, Debug, Default)]
pub struct Settle {
    /// It goes on at least to this position first.
    pub behind: Option<Position>,
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
    /// Applies the project's log, which is on the shelf or found through it on another node.
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
        link: Arc<LogLink>,
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
            // A later run begins where the destination says, not where this one has come in memory.
            if let Some(durable) = now.durable
                && let Some((log_id, seq)) = marks.passed(&durable.position)
            {
                link.needs_from(log_id, seq).await?;
            }
            context.progress.update(|p| {
                p.rows = done.rows;
                p.bytes = done.bytes;
                p.objects = done.transactions;
                p.lag_ms = lag_ms;
                p.position = watermark.position.to_string();
                p.detail = format!(
                    "{} transactions in flight, {}",
                    now.transactions_in_flight,
                    link.place()
                );
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

/// Tells the metadata what is durable at the destination, at once and then now and then, until dropped.
///
/// Each note is at or before the checkpoint of any later claim, so a Store that begins there misses
/// nothing. Without one it begins at the project's start, which is right, too.
async fn note_applied(
    context: &Context,
    first: Position,
    progress: watch::Receiver<ApplyProgress>,
) -> Result<(), Failure> {
    let mut noted = None;
    let mut durable = first;
    loop {
        if noted.as_ref() != Some(&durable) {
            match context.reporter.facts(Facts::Applied(durable.clone())).await {
                Ok(()) => noted = Some(durable.clone()),
                // The next note says more.
                Err(failure) if failure.is_transient() => {
                    tracing::debug!(component = %context.id, "not noted yet: {failure}");
                }
                Err(failure) => return Err(failure),
            }
        }
        tokio::time::sleep(NOTE_APPLIED).await;
        if let Some(now) = progress.borrow().durable.clone() {
            durable = now.position;
        }
    }
}

/// Why one claim's work ended.
enum Pass {
    /// For good.
    Ended(Completion),
    /// It has come as far as the source's log was when it began.
    Reached,
}

impl IncrSync {
    /// Where it stands, if it has settled there.
    ///
    /// The checkpoint is that of a claim, so no earlier owner adds to it; without transactions above the watermark it is
    /// one position of the log.
    fn settled<'c>(&self, settle: &Settle, checkpoint: &'c ApplyCheckpoint) -> Option<&'c Position> {
        let at = &checkpoint.watermark.position;
        let far_enough = settle.behind.as_ref().is_none_or(|behind| at >= behind);
        (checkpoint.above.is_empty() && far_enough).then_some(at)
    }

    /// Claims and applies.
    async fn pass(&self, context: &Context) -> Result<Pass, Failure> {
        let settings = &self.settings;
        let pairs = load_pairs(&*self.source, &*self.sink, &settings.tables).await?;
        let tables = Arc::new(TableMap::new(pairs.iter().map(|p| p.source.clone()).collect()));
        let token = ClaimToken {
            component: context.id.clone(),
            epoch: context.epoch,
        };
        let (most, climb) = match settings.lanes {
            Lanes::Fixed(lanes) => (lanes.max(1), None),
            Lanes::Auto(most) => (most.max(1), Some(ClimbConfig::default())),
        };
        let options = SinkOptions {
            tables: pairs.clone(),
            lanes: most,
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
        let stop_at = match &settings.settle {
            None => None,
            Some(settle) => {
                if let Some(at) = self.settled(settle, &checkpoint) {
                    context.log.info(format!("settled at {at}"));
                    context.reporter.facts(Facts::Settled(at.clone())).await?;
                    context.cancel.cancelled().await;
                    return Ok(Pass::Ended(Completion::Stopped));
                }
                Some(self.source.current_position().await?)
            }
        };
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
            stop_at,
        };
        let config = SyncConfig {
            lanes: most,
            climb,
            commit_order: settings.commit_order,
            ..SyncConfig::default()
        };
        let synchronizer = Synchronizer::new(plan, config);
        let marks = Arc::new(Marks::default());
        let link = Arc::new(LogLink::default());
        let feed = LogEventSource {
            shelf: self.shelf.clone(),
            project: context.id.project().clone(),
            source: self.source.clone(),
            tables,
            marks: marks.clone(),
            link: link.clone(),
            log: context.log.clone(),
        };
        let progress = synchronizer.progress();
        let note = note_applied(context, checkpoint.watermark.position.clone(), progress.clone());
        let follow = self.follow(context, progress, synchronizer.counters(), marks, link);
        let end = tokio::select! {
            end = synchronizer.run(&*claim, &feed, checkpoint, &context.cancel) => end?,
            failed = follow => return failed.map(|()| Pass::Ended(Completion::Stopped)),
            failed = note => return failed.map(|()| Pass::Ended(Completion::Stopped)),
        };
        Ok(match end {
            SyncEnd::Cancelled => Pass::Ended(Completion::Stopped),
            SyncEnd::Reached(_) if settings.settle.is_some() => Pass::Reached,
            SyncEnd::Reached(w) | SyncEnd::FeedEnded(w) => {
                Pass::Ended(Completion::Done(format!("applied up to {}", w.position)))
            }
        })
    }
}

#[async_trait]
impl Behavior for IncrSync {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        loop {
            match self.pass(context).await? {
                Pass::Ended(completion) => return Ok(completion),
                // The next claim tells whether this is where it settles.
                Pass::Reached => tokio::select! {
                    () = context.cancel.cancelled() => return Ok(Completion::Stopped),
                    () = tokio::time::sleep(SETTLE) => {}
                },
            }
        }
    }

    async fn remove(&self, context: &Context) -> Result<(), Failure> {
        self.sink.forget(&context.id).await
    }

    fn keeps(&self, context: &Context) -> String {
        self.sink.keeps(&context.id)
    }
}
