//! The moving parts of a run: lanes, locks, the watermark.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use oms_core::{AppliedSet, Applier, Claim, Counters, Failure, LaneId, Watermark};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    ApplyProgress, CommitOrder, MemoryGauge, SyncConfig, SyncPlan, Tracker,
    lane::{Lane, LaneReport, LaneWork, Transaction},
    reason::Reason,
};
use crate::{
    ApplyError, ClimbConfig, Climber, ConflictGraph, KeyExtractor, Placement, Sample, Strain, TransactionKeys,
};

/// Why a run leaves its loop early.
#[derive(Debug)]
pub(super) enum Halt {
    Cancelled,
    Failed(Failure),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<ApplyError> for Halt {
    fn from(error: ApplyError) -> Self {
        Self::Failed(error.into())
    }
}

struct LaneHandle {
    work: mpsc::Sender<LaneWork>,
    transactions: usize,
    rows: usize,
}

struct InFlight {
    lane: u32,
    keys: TransactionKeys,
    rows: usize,
}

/// The state of a run. Only the engine's own future touches it.
pub(super) struct Running<'a> {
    pub(super) tracker: Tracker,
    pub(super) gauge: Arc<MemoryGauge>,
    config: &'a SyncConfig,
    counters: &'a Counters,
    progress: &'a watch::Sender<ApplyProgress>,
    cancel: &'a CancellationToken,
    claim: &'a dyn Claim,
    keys: KeyExtractor,
    graph: ConflictGraph,
    lanes: Vec<LaneHandle>,
    /// How many lanes are given work; those behind them finish what they have.
    active: usize,
    climb: Option<Climb>,
    /// The lane that was given the last transaction, and that transaction.
    latest: (u32, u64),
    turn: Option<Arc<watch::Sender<u64>>>,
    /// What the claim's checkpoint names above its watermark: every lane's row begins with it.
    above: AppliedSet,
    report: mpsc::Sender<LaneReport>,
    tasks: JoinSet<()>,
    reports: mpsc::Receiver<LaneReport>,
    halt: CancellationToken,
    reason: Arc<Reason>,
    mark: watch::Sender<Watermark>,
    /// The highest watermark that some lane has written.
    durable: Watermark,
    marking: bool,
    in_flight: HashMap<u64, InFlight>,
    tick: Interval,
    /// Set while a streamed transaction waits for its roll-back.
    aborting: bool,
    pub(super) streaming: bool,
}

/// What a run lends to its parts.
pub(super) struct Environment<'a> {
    pub(super) plan: &'a SyncPlan,
    pub(super) config: &'a SyncConfig,
    pub(super) counters: &'a Counters,
    pub(super) progress: &'a watch::Sender<ApplyProgress>,
    pub(super) cancel: &'a CancellationToken,
}

/// Looks for the best number of lanes.
struct Climb {
    climber: Climber,
    tick: Interval,
    rows: u64,
    /// The lanes had as much to do as they can take when the interval began.
    saturated: bool,
}

impl Climb {
    fn new(config: &ClimbConfig, most: usize, interval_length: Duration) -> Self {
        let config = ClimbConfig {
            most: config.most.min(most),
            ..config.clone()
        };
        let mut tick = interval(interval_length);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            climber: Climber::new(config),
            tick,
            rows: 0,
            saturated: false,
        }
    }
}

impl<'a> Running<'a> {
    /// Starts the lanes.
    pub(super) async fn start(
        claim: &'a dyn Claim,
        environment: Environment<'a>,
        watermark: Watermark,
        above: &AppliedSet,
    ) -> Result<Self, Failure> {
        let Environment {
            plan,
            config,
            counters,
            progress,
            cancel,
        } = environment;
        let count = config.lanes.max(1);
        let gauge = Arc::new(MemoryGauge::default());
        let halt = CancellationToken::new();
        let reason = Arc::new(Reason::default());
        let mark = watch::Sender::new(watermark.clone());
        let (report, reports) = mpsc::channel(count as usize * 4);
        let climb = config
            .climb
            .as_ref()
            .map(|climb| Climb::new(climb, count as usize, config.climb_interval));
        let active = climb.as_ref().map_or(count as usize, |c| c.climber.level());
        let turn = (config.commit_order == CommitOrder::Strict).then(|| Arc::new(watch::Sender::new(0)));
        let mut tick = interval(config.mark_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running = Self {
            tracker: Tracker::new(watermark.clone()),
            gauge,
            config,
            counters,
            progress,
            cancel,
            keys: KeyExtractor::new(&plan.tables, &plan.foreign_keys),
            graph: ConflictGraph::new(),
            claim,
            lanes: Vec::new(),
            active,
            climb,
            latest: (0, 0),
            turn,
            above: above.clone(),
            report,
            tasks: JoinSet::new(),
            reports,
            halt,
            reason,
            mark,
            durable: watermark,
            marking: false,
            in_flight: HashMap::new(),
            tick,
            aborting: false,
            streaming: false,
        };
        while running.lanes.len() < running.active {
            let applier = running.claim.applier(running.next_lane()).await?;
            running.add_lane(applier);
        }
        running.show();
        Ok(running)
    }

    /// Opens the lanes that are to work and do not exist yet. A lane stays when there are fewer later: it ends what it
    /// has and is given nothing more, so nothing that its row names is lost, and its own set goes on when it is needed again.
    ///
    /// A destination that cannot be reached lets nobody in for long, and the lanes that there are learn of it sooner: what
    /// happens to them counts meanwhile, and so does a cancellation.
    async fn open_lanes(&mut self) -> Result<(), Halt> {
        while self.lanes.len() < self.active {
            let claim = self.claim;
            let mut opening = claim.applier(self.next_lane());
            let applier = loop {
                if let Some(opened) = self.step_or(&mut opening).await? {
                    break opened?;
                }
            };
            self.add_lane(applier);
        }
        Ok(())
    }

    fn next_lane(&self) -> LaneId {
        LaneId(u32::try_from(self.lanes.len()).unwrap_or(u32::MAX))
    }

    fn add_lane(&mut self, applier: Box<dyn Applier>) {
        // Never full: no more than `window` transactions are in flight, and one mark.
        let (work, queue) = mpsc::channel(self.config.window + 2);
        let lane = Lane {
            number: self.next_lane().0,
            applier,
            work: queue,
            reports: self.report.clone(),
            mark: self.mark.subscribe(),
            above: self.above.clone(),
            halt: self.halt.clone(),
            reason: self.reason.clone(),
            gauge: self.gauge.clone(),
            config: self.config.clone(),
            turn: self.turn.clone(),
        };
        self.tasks.spawn(lane.run());
        self.lanes.push(LaneHandle {
            work,
            transactions: 0,
            rows: 0,
        });
    }

    /// Ends the lanes: open transactions are rolled back, commits under way are waited for a while.
    pub(super) async fn shut_down(mut self) {
        self.halt.cancel();
        self.lanes.clear();
        // The lanes may be about to report, and the queue of reports is bounded.
        self.reports.close();
        while self.reports.try_recv().is_ok() {}
        let tasks = &mut self.tasks;
        let joined = timeout(self.config.stop_grace, async {
            while tasks.join_next().await.is_some() {}
        });
        if joined.await.is_err() {
            tracing::warn!("a commit at the destination did not end in time; its connection is closed");
            self.tasks.shutdown().await;
        }
        self.show();
    }

    /// Waits until something happens to the lanes, or the other future is ready.
    pub(super) async fn step_or<T>(
        &mut self,
        other: &mut (impl Future<Output = T> + Unpin),
    ) -> Result<Option<T>, Halt> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Halt::Cancelled),
            report = self.reports.recv() => {
                self.on_report(report)?;
                Ok(None)
            }
            ended = self.tasks.join_next() => Err(self.on_lane_ended(ended)),
            _ = self.tick.tick() => {
                self.on_tick()?;
                Ok(None)
            }
            () = looked(&mut self.climb) => {
                self.on_look();
                Ok(None)
            }
            value = other => Ok(Some(value)),
        }
    }

    /// Waits until something happens to the lanes.
    pub(super) async fn step(&mut self) -> Result<(), Halt> {
        self.step_or(&mut std::future::pending::<()>()).await.map(|_| ())
    }

    fn on_report(&mut self, report: Option<LaneReport>) -> Result<(), Halt> {
        match report {
            Some(LaneReport::Committed {
                lane,
                numbers,
                rows,
                bytes,
                watermark,
            }) => {
                self.counters.add_rows(rows, bytes);
                self.counters.add_transactions(numbers.len() as u64);
                if numbers.is_empty() {
                    self.marking = false;
                }
                let newer = watermark.applied > self.durable.applied
                    || watermark.applied == self.durable.applied && numbers.is_empty();
                if newer {
                    self.durable = watermark;
                }
                let mut moved = false;
                for number in numbers {
                    if let Some(done) = self.in_flight.remove(&number) {
                        self.graph.leave(&done.keys, done.lane);
                        if let Some(handle) = self.lanes.get_mut(lane as usize) {
                            handle.transactions = handle.transactions.saturating_sub(1);
                            handle.rows = handle.rows.saturating_sub(done.rows);
                        }
                    }
                    moved |= self.tracker.complete(number);
                }
                if moved {
                    self.publish();
                }
                self.show();
                Ok(())
            }
            Some(LaneReport::Aborted) => {
                self.aborting = false;
                Ok(())
            }
            Some(LaneReport::Failed) | None => Err(self.on_lane_ended(None)),
        }
    }

    fn on_lane_ended(&mut self, ended: Option<Result<(), tokio::task::JoinError>>) -> Halt {
        self.halt.cancel();
        if let Some(failure) = self.reason.take() {
            return Halt::Failed(failure);
        }
        match ended {
            Some(Err(error)) => ApplyError::Protocol(format!("a lane broke off: {error}")).into(),
            _ => lost_lane(),
        }
    }

    fn on_tick(&mut self) -> Result<(), Halt> {
        let idle = self.lanes.first().is_some_and(|lane| lane.transactions == 0);
        if idle && !self.streaming && !self.marking && self.durable != *self.tracker.watermark() {
            self.send(0, LaneWork::Mark)?;
            self.marking = true;
        }
        self.show();
        Ok(())
    }

    /// Whether the lanes have as much to do as they can take, so that their number decides how fast it goes.
    fn is_saturated(&self) -> bool {
        let rows: usize = self.lanes.iter().map(|l| l.rows).sum();
        rows >= self.active * self.config.batch_rows / 2
            || self.in_flight.len() >= self.config.window / 2
            || self.is_over_budget()
    }

    fn on_look(&mut self) {
        let saturated = self.is_saturated();
        let rows = self.counters.read().rows;
        let Some(climb) = &mut self.climb else { return };
        let done = rows.saturating_sub(std::mem::replace(&mut climb.rows, rows));
        // What is seen while there is too little to do says nothing about the number of lanes.
        if std::mem::replace(&mut climb.saturated, saturated) && saturated {
            self.active = climb.climber.observe(Sample {
                throughput: done as f64,
                strain: Strain::None,
            });
        }
    }

    /// Tells the lanes the watermark.
    fn publish(&self) {
        self.mark.send_replace(self.tracker.watermark().clone());
    }

    fn show(&self) {
        self.progress.send_replace(ApplyProgress {
            watermark: Some(self.tracker.watermark().clone()),
            durable: Some(self.durable.clone()),
            source_time_us: self.tracker.time_us(),
            transactions_in_flight: self.tracker.span(),
            bytes_in_memory: self.gauge.now(),
            peak_bytes: self.gauge.peak(),
            streaming: self.streaming,
        });
    }

    pub(super) fn send(&mut self, lane: u32, work: LaneWork) -> Result<(), Halt> {
        let Some(handle) = self.lanes.get_mut(lane as usize) else {
            return Err(ApplyError::Protocol(format!("there is no lane {lane}")).into());
        };
        match handle.work.try_send(work) {
            Ok(()) => Ok(()),
            // The lane has ended; it says why.
            Err(mpsc::error::TrySendError::Closed(_)) => Err(self.on_lane_ended(None)),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(ApplyError::Protocol(format!("the queue of lane {lane} overflowed")).into())
            }
        }
    }

    /// Notes a transaction that is not written: nothing of it is wanted, or it is at the
    /// destination already.
    pub(super) fn pass(&mut self, number: u64) {
        if self.tracker.complete(number) {
            self.publish();
        }
    }

    pub(super) fn heartbeat(&mut self, position: oms_core::Position, time_us: i64) {
        self.tracker.heartbeat(position, time_us);
        if self.tracker.span() == 0 {
            self.publish();
            self.show();
        }
    }

    /// Waits until another transaction may be begun.
    pub(super) async fn make_room(&mut self) -> Result<(), Halt> {
        while self.tracker.span() >= self.config.window.max(1) {
            self.step().await?;
        }
        Ok(())
    }

    /// Gives a transaction to a lane; waits while it conflicts with several.
    pub(super) async fn dispatch(&mut self, mut transaction: Transaction) -> Result<(), Halt> {
        let keys = self.keys.extract(&transaction.ops).map_err(|e| {
            Failure::from(e).context(format_args!("transaction ending at {}", transaction.end))
        })?;
        self.open_lanes().await?;
        let lane = loop {
            match self.graph.place(&keys) {
                Placement::Anywhere => break self.free_lane(),
                // A lane that is given up must come to its end.
                Placement::Behind(lane) if (lane as usize) < self.active => break lane,
                Placement::Behind(_) | Placement::Wait => self.step().await?,
            }
        };
        transaction.previous = std::mem::replace(&mut self.latest, (lane, transaction.number)).1;
        self.graph.enter(&keys, lane);
        let rows = transaction.ops.len();
        self.note(transaction.number, lane, keys, rows);
        self.send(lane, LaneWork::Apply(transaction))
    }

    /// The lane for a transaction that conflicts with none.
    ///
    /// An idle one; or the last one for a while, because neighbours on one lane share statements, and their numbers are
    /// one range of the checkpoint; or the one with the least work.
    fn free_lane(&self) -> u32 {
        let lanes = || (0u32..).zip(self.lanes.iter().take(self.active));
        let Some((number, least)) = lanes().min_by_key(|(_, l)| (l.rows, l.transactions)) else {
            return 0;
        };
        let (latest, _) = self.latest;
        let near = lanes().nth(latest as usize).filter(|(_, lane)| {
            least.transactions > 0 && lane.rows < least.rows + self.config.batch_rows / 4
        });
        near.map_or(number, |(latest, _)| latest)
    }

    fn note(&mut self, number: u64, lane: u32, keys: TransactionKeys, rows: usize) {
        if let Some(handle) = self.lanes.get_mut(lane as usize) {
            handle.transactions += 1;
            handle.rows += rows;
        }
        self.in_flight.insert(number, InFlight { lane, keys, rows });
    }

    /// Notes a transaction that lane 0 has been streamed and now commits.
    pub(super) fn note_streamed(&mut self, number: u64) {
        self.note(number, 0, TransactionKeys::default(), 0);
    }

    /// Waits until nothing is in flight.
    pub(super) async fn drain(&mut self) -> Result<(), Halt> {
        while !self.in_flight.is_empty() || self.marking {
            self.step().await?;
        }
        Ok(())
    }

    /// Waits until a streamed transaction is rolled back.
    pub(super) async fn wait_aborted(&mut self) -> Result<(), Halt> {
        self.aborting = true;
        while self.aborting {
            self.step().await?;
        }
        Ok(())
    }

    /// Drains and makes the watermark durable.
    pub(super) async fn settle(&mut self) -> Result<(), Halt> {
        self.drain().await?;
        while self.durable != *self.tracker.watermark() {
            if !self.marking {
                self.send(0, LaneWork::Mark)?;
                self.marking = true;
            }
            self.step().await?;
        }
        Ok(())
    }

    /// Whether reading must pause.
    pub(super) fn is_over_budget(&self) -> bool {
        self.gauge.now() > self.config.memory_bytes && !self.in_flight.is_empty()
    }
}

/// The end of the present interval of climbing; never where there is no climbing.
async fn looked(climb: &mut Option<Climb>) {
    match climb {
        Some(climb) => {
            climb.tick.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn lost_lane() -> Halt {
    ApplyError::Protocol("a lane ended without a reason".into()).into()
}
