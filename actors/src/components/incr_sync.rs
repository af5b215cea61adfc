//! Incremental synchronization: from the change log to the destination.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_apply::{
    ApplyProgress, ClimbConfig, CommitOrder, LeftOut, SyncConfig, SyncEnd, SyncPlan, Synchronizer,
    resume_or_initialize,
};
use oms_core::{
    ApplyCheckpoint, Claim, ClaimToken, Counters, Failure, Position, Sink, SinkOptions, Source, TableMap,
    TableName, TablePair, codes,
};
use tokio::sync::watch;

use super::{
    definitions::{DdlDecision, DefinitionPorts, FollowedSelection, Follower, Parts},
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
/// Changes and their bytes that become messages of one transaction: ending one costs a queue as much as many messages.
const PUBLISHED_ROWS: usize = 32_000;
const PUBLISHED_BYTES: usize = 24 << 20;
/// Transactions that are read ahead of those that are committed: what goes into the next one is ready when one ends.
const PUBLISHED_WINDOW: usize = 16_384;
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
    /// Tables of which not all kinds of changes are applied: always in safe mode, because the rows that a change
    /// expects may not be there, and others may be.
    pub always_safe: Vec<TableName>,
    /// Bring what has begun to an end, say where that is, and apply nothing more.
    pub settle: Option<Settle>,
    /// Changes become messages: they tell their transactions, and more of them are committed together.
    pub publishes: bool,
}

/// How incremental synchronization comes to rest at a position that is exact: everything before it is at the
/// destination and nothing behind it.
#[derive(Clone, Debug, Default)]
pub struct Settle {
    /// It goes on at least to this position first.
    pub behind: Option<Position>,
}

/// How definitions are followed.
#[derive(Clone)]
pub struct FollowSettings {
    /// Both servers.
    pub ports: Arc<dyn DefinitionPorts>,
    /// Which tables are followed, and where they go.
    pub selection: FollowedSelection,
    /// What the user decided about statements.
    pub decisions: Vec<DdlDecision>,
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
    follow: Option<FollowSettings>,
    left_out: Option<Arc<LeftOut>>,
    echoes: Option<EchoCount>,
}

/// How many transactions of the other direction of a link were left out since the component was made.
pub type EchoCount = Arc<dyn Fn() -> u64 + Send + Sync>;

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
            follow: None,
            left_out: None,
            echoes: None,
        }
    }

    /// The same with statements that define carried over. Without that they stop it.
    #[must_use]
    pub fn following(mut self, follow: FollowSettings) -> Self {
        self.follow = Some(follow);
        self
    }

    /// Tells in its progress what the source leaves out.
    pub fn leaving_out(self, left_out: Option<Arc<LeftOut>>) -> Self {
        Self { left_out, ..self }
    }

    /// Tells in its progress how many transactions of the other direction its source has left out.
    pub fn counting_echoes(self, echoes: EchoCount) -> Self {
        Self {
            echoes: Some(echoes),
            ..self
        }
    }

    /// What of the other direction was left out, behind a comma; empty if that is nothing.
    fn echo_words(&self) -> String {
        match self.echoes.as_ref().map(|count| count()) {
            None | Some(0) => String::new(),
            Some(n) => format!(", {n} transactions of the other direction left out"),
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
        caught_up: &mut bool,
    ) -> Result<(), Failure> {
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
                    "{} transactions in flight, {}{}{}",
                    now.transactions_in_flight,
                    link.place(),
                    left_out_words(self.left_out.as_deref()),
                    self.echo_words()
                );
                p.applied = Some(watermark.position.clone());
            });
            let within = lag_ms.is_some_and(|lag| u128::from(lag) <= self.settings.caught_up.as_millis());
            if within && !*caught_up {
                context.reporter.facts(Facts::CaughtUp).await?;
                context.log.info(format!("caught up at {}", watermark.position));
                *caught_up = true;
            }
        }
    }
}

/// What was left out, behind a comma; empty if that is nothing.
pub(super) fn left_out_words(left_out: Option<&LeftOut>) -> String {
    match left_out.map(|l| l.read().words()) {
        Some(words) if !words.is_empty() => format!(", {words}"),
        _ => String::new(),
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

/// What one run of the engine is given.
struct Round {
    pairs: Arc<Vec<TablePair>>,
    claim: Arc<dyn Claim>,
    checkpoint: ApplyCheckpoint,
}

impl IncrSync {
    fn token(context: &Context) -> ClaimToken {
        ClaimToken {
            component: context.id.clone(),
            epoch: context.epoch,
        }
    }

    /// The most lanes there may be, and whether their number is found out.
    fn lanes(&self) -> (u32, Option<ClimbConfig>) {
        match self.settings.lanes {
            Lanes::Fixed(lanes) => (lanes.max(1), None),
            Lanes::Auto(most) => (most.max(1), Some(ClimbConfig::default())),
        }
    }

    async fn claim(&self, context: &Context, pairs: Arc<Vec<TablePair>>) -> Result<Round, Failure> {
        let options = SinkOptions {
            tables: pairs.clone(),
            lanes: self.lanes().0,
        };
        let claim = self.sink.claim(Self::token(context), options).await?;
        let checkpoint = resume_or_initialize(&*claim, &self.settings.start).await?;
        context.log.info(format!(
            "claimed as {}.{}; continuing behind transaction {} at {}",
            context.epoch,
            claim.number(),
            checkpoint.watermark.applied,
            checkpoint.watermark.position
        ));
        Ok(Round {
            pairs,
            claim,
            checkpoint,
        })
    }

    /// Where it stands, if it has settled there.
    ///
    /// The checkpoint is that of a claim, so no earlier owner adds to it; without transactions above the watermark it is
    /// one position of the log.
    fn settled<'c>(settle: &Settle, checkpoint: &'c ApplyCheckpoint) -> Option<&'c Position> {
        let at = &checkpoint.watermark.position;
        let far_enough = settle.behind.as_ref().is_none_or(|behind| at >= behind);
        (checkpoint.above.is_empty() && far_enough).then_some(at)
    }

    fn plan(&self, pairs: Arc<Vec<TablePair>>, stop_at: Option<Position>) -> SyncPlan {
        let tables = TableMap::new(pairs.iter().map(|p| p.source.clone()).collect());
        let skip_until: BTreeMap<u32, Position> = self
            .settings
            .snapshots
            .iter()
            .filter_map(|(name, position)| tables.find(name).map(|i| (i, position.clone())))
            .collect();
        SyncPlan {
            tables: pairs,
            foreign_keys: Vec::new(),
            skip_until,
            safe_until: self.settings.safe_until.clone(),
            always_safe: self
                .settings
                .always_safe
                .iter()
                .filter_map(|name| tables.find(name))
                .collect(),
            stop_at,
        }
    }

    fn feed(
        &self,
        context: &Context,
        tables: Arc<TableMap>,
        marks: Arc<Marks>,
        link: Arc<LogLink>,
    ) -> LogEventSource {
        LogEventSource {
            shelf: self.shelf.clone(),
            project: context.id.project().clone(),
            source: self.source.clone(),
            tables,
            marks,
            link,
            log: context.log.clone(),
        }
    }

    /// Applies until the engine ends.
    async fn round(
        &self,
        context: &Context,
        synchronizer: &Synchronizer,
        round: Round,
        caught_up: &mut bool,
    ) -> Result<Option<SyncEnd>, Failure> {
        let tables = TableMap::new(round.pairs.iter().map(|p| p.source.clone()).collect());
        let tables = Arc::new(match self.follow {
            Some(_) => tables.following_definitions(),
            None => tables,
        });
        let marks = Arc::new(Marks::default());
        let link = Arc::new(LogLink::default());
        let feed = self.feed(context, tables, marks.clone(), link.clone());
        let progress = synchronizer.progress();
        let first = round.checkpoint.watermark.position.clone();
        let note = note_applied(context, first, progress.clone());
        let follow = self.follow(context, progress, synchronizer.counters(), marks, link, caught_up);
        tokio::select! {
            end = synchronizer.run(&*round.claim, &feed, round.checkpoint, &context.cancel) => end.map(Some),
            failed = follow => failed.map(|()| None),
            failed = note => failed.map(|()| None),
        }
    }

    /// Opens what follows definitions, under a claim without tables.
    async fn follower(&self, context: &Context, follow: &FollowSettings) -> Result<Arc<Follower>, Failure> {
        let round = self.claim(context, Arc::default()).await?;
        let records = self.sink.records(&context.id).ok_or_else(|| {
            Failure::new(
                codes::apply::INTERNAL,
                "this destination keeps no records, which following definitions needs",
            )
        })?;
        let parts = Parts {
            ports: follow.ports.clone(),
            sink: self.sink.clone(),
            records,
            selection: follow.selection.clone(),
            decisions: follow.decisions.clone(),
            clock: context.clock.clone(),
            log: context.log.clone(),
        };
        let nothing = Arc::new(TableMap::default().following_definitions());
        let log = self.feed(context, nothing, Arc::default(), Arc::default());
        let from = round.checkpoint.watermark.position.clone();
        let opening = Follower::open(parts, round.claim, &log, &from);
        tokio::select! {
            follower = opening => Ok(Arc::new(follower?)),
            () = context.cancel.cancelled() => Err(Failure::new(codes::dst::TRANSIENT, "stopped")),
        }
    }

    /// Tells the metadata which tables came and went since it was told last.
    async fn tell_tables(
        &self,
        context: &Context,
        known: &mut BTreeMap<TableName, TableName>,
        now: BTreeMap<TableName, TableName>,
    ) -> Result<(), Failure> {
        let added: Vec<Mapping> = now
            .iter()
            .filter(|(source, destination)| known.get(source) != Some(destination))
            .map(|(source, destination)| Mapping {
                source: source.clone(),
                destination: destination.clone(),
            })
            .collect();
        let gone: Vec<TableName> = known
            .keys()
            .filter(|name| !now.contains_key(name))
            .cloned()
            .collect();
        if !added.is_empty() || !gone.is_empty() {
            context.reporter.facts(Facts::Tables { added, gone }).await?;
        }
        *known = now;
        Ok(())
    }
}

#[async_trait]
impl Behavior for IncrSync {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let settings = &self.settings;
        let (most, climb) = self.lanes();
        let config = SyncConfig {
            lanes: most,
            climb,
            commit_order: settings.commit_order,
            ..SyncConfig::default()
        };
        let config = if settings.publishes {
            SyncConfig {
                origins: true,
                batch_rows: PUBLISHED_ROWS,
                batch_bytes: PUBLISHED_BYTES,
                window: PUBLISHED_WINDOW,
                ..config
            }
        } else {
            config
        };
        let follower = match &self.follow {
            Some(follow) => Some(self.follower(context, follow).await?),
            None => None,
        };
        let mut known: BTreeMap<TableName, TableName> = settings
            .tables
            .iter()
            .map(|m| (m.source.clone(), m.destination.clone()))
            .collect();
        let mut synchronizer: Option<Synchronizer> = None;
        let mut caught_up = false;
        loop {
            let pairs = match &follower {
                Some(follower) => follower.pairs().await?,
                None => load_pairs(&*self.source, &*self.sink, &settings.tables).await?,
            };
            let round = self.claim(context, pairs.clone()).await?;
            if let Some(follower) = &follower {
                follower.renew(round.claim.clone());
                self.tell_tables(context, &mut known, follower.tables()).await?;
            }
            let stop_at = match &settings.settle {
                None => None,
                Some(settle) => {
                    if let Some(at) = Self::settled(settle, &round.checkpoint) {
                        context.log.info(format!("settled at {at}"));
                        context.reporter.facts(Facts::Settled(at.clone())).await?;
                        context.cancel.cancelled().await;
                        return Ok(Completion::Stopped);
                    }
                    Some(self.source.current_position().await?)
                }
            };
            let plan = self.plan(pairs, stop_at);
            let next = match (synchronizer.take(), &follower) {
                (Some(before), _) => before.succeeded_by(plan),
                (None, Some(follower)) => Synchronizer::new(plan, config.clone()).following(follower.clone()),
                (None, None) => Synchronizer::new(plan, config.clone()),
            };
            let end = self.round(context, &next, round, &mut caught_up).await?;
            synchronizer = Some(next);
            match end {
                Some(SyncEnd::Redefined(watermark)) => {
                    context
                        .log
                        .info(format!("definitions changed at {}", watermark.position));
                }
                None | Some(SyncEnd::Cancelled) => return Ok(Completion::Stopped),
                // The next claim tells whether this is where it settles.
                Some(SyncEnd::Reached(_)) if settings.settle.is_some() => tokio::select! {
                    () = context.cancel.cancelled() => return Ok(Completion::Stopped),
                    () = tokio::time::sleep(SETTLE) => {}
                },
                Some(SyncEnd::Reached(w) | SyncEnd::FeedEnded(w)) => {
                    return Ok(Completion::Done(format!("applied up to {}", w.position)));
                }
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
