//! The moving parts of a run: lanes, locks, the watermark.

use std::{collections::HashMap, future::Future, sync::Arc};

use oms_core::{AppliedSet, Counters, Failure, LaneId, Watermark};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    ApplyProgress, MemoryGauge, SyncConfig, SyncPlan, Tracker,
    lane::{Lane, LaneReport, LaneWork, Transaction},
    reason::Reason,
};
use crate::{ApplyError, ConflictGraph, KeyExtractor, Placement, TransactionKeys};

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
    keys: KeyExtractor,
    graph: ConflictGraph,
    lanes: Vec<LaneHandle>,
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

impl<'a> Running<'a> {
    /// Starts the lanes.
    pub(super) async fn start(
        claim: &dyn oms_core::Claim,
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
        let (mark, marks) = watch::channel(watermark.clone());
        let (report, reports) = mpsc::channel(count as usize * 4);
        let mut appliers = Vec::new();
        for number in 0..count {
            appliers.push(claim.applier(LaneId(number)).await?);
        }
        let mut tasks = JoinSet::new();
        let mut lanes = Vec::new();
        for (number, applier) in (0..count).zip(appliers) {
            // Never full: no more than `window` transactions are in flight, and one mark.
            let (work, queue) = mpsc::channel(config.window + 2);
            let lane = Lane {
                number,
                applier,
                work: queue,
                reports: report.clone(),
                mark: marks.clone(),
                above: above.clone(),
                halt: halt.clone(),
                reason: reason.clone(),
                gauge: gauge.clone(),
                config: config.clone(),
            };
            tasks.spawn(lane.run());
            lanes.push(LaneHandle {
                work,
                transactions: 0,
                rows: 0,
            });
        }
        let mut tick = interval(config.mark_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let running = Self {
            tracker: Tracker::new(watermark.clone()),
            gauge,
            config,
            counters,
            progress,
            cancel,
            keys: KeyExtractor::new(&plan.tables, &plan.foreign_keys),
            graph: ConflictGraph::new(),
            lanes,
            tasks,
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
        running.show();
        Ok(running)
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
    pub(super) async fn dispatch(&mut self, transaction: Transaction) -> Result<(), Halt> {
        let keys = self.keys.extract(&transaction.ops).map_err(|e| {
            Failure::from(e).context(format_args!("transaction ending at {}", transaction.end))
        })?;
        let lane = loop {
            match self.graph.place(&keys) {
                Placement::Anywhere => {
                    let least = (0u32..)
                        .zip(&self.lanes)
                        .min_by_key(|(_, l)| (l.rows, l.transactions));
                    break least.map_or(0, |(number, _)| number);
                }
                Placement::Behind(lane) => break lane,
                Placement::Wait => self.step().await?,
            }
        };
        self.graph.enter(&keys, lane);
        let rows = transaction.ops.len();
        self.note(transaction.number, lane, keys, rows);
        self.send(lane, LaneWork::Apply(transaction))
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

fn lost_lane() -> Halt {
    ApplyError::Protocol("a lane ended without a reason".into()).into()
}
