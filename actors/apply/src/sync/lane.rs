//! A lane: the worker that owns one connection to the destination.

use std::{sync::Arc, time::Duration};

use oms_core::{AppliedSet, Applier, Failure, LaneState, Position, RowOp, Watermark};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{MemoryGauge, SyncConfig, reason::Reason};

/// A whole source transaction on its way to the destination.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) number: u64,
    /// The one that was given to some lane before it; 0: none in this run.
    pub(super) previous: u64,
    pub(super) ops: Vec<RowOp>,
    pub(super) bytes: usize,
    pub(super) end: Position,
}

/// What a lane is given.
#[derive(Debug)]
pub(super) enum LaneWork {
    /// Apply it, alone or together with those that follow.
    Apply(Transaction),
    /// Write the watermark without rows.
    Mark,
    /// Apply a transaction in parts, alone.
    Stream {
        number: u64,
        parts: mpsc::Receiver<StreamPart>,
    },
}

/// A part of a transaction that does not fit into memory.
#[derive(Debug)]
pub(super) enum StreamPart {
    /// More rows and their bytes.
    Rows(Vec<RowOp>, usize),
    /// That was all.
    Commit,
    /// It did not happen.
    Abort,
}

/// What a lane reports.
#[derive(Debug)]
pub(super) enum LaneReport {
    /// Committed: these transactions, and the state that was written with them.
    Committed {
        lane: u32,
        numbers: Vec<u64>,
        rows: u64,
        bytes: u64,
        watermark: Watermark,
    },
    /// A streamed transaction was given up as the log asked.
    Aborted,
    /// The lane has ended; its open transaction is void.
    Failed,
}

/// Why a lane leaves its loop.
enum Leave {
    Halted,
    Failed(Failure),
}

impl Leave {
    fn explained(self, what: String) -> Self {
        match self {
            Self::Failed(failure) => Self::Failed(failure.context(what)),
            Self::Halted => Self::Halted,
        }
    }
}

impl From<Failure> for Leave {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

pub(super) struct Lane {
    pub(super) number: u32,
    pub(super) applier: Box<dyn Applier>,
    pub(super) work: mpsc::Receiver<LaneWork>,
    pub(super) reports: mpsc::Sender<LaneReport>,
    /// The watermark; everything up to it is committed.
    pub(super) mark: watch::Receiver<Watermark>,
    /// What the lane's row of the fence table must go on naming.
    pub(super) above: AppliedSet,
    /// Closed by the first failure and when the run ends: nothing new is begun behind it.
    pub(super) halt: CancellationToken,
    /// Where the first failure is kept.
    pub(super) reason: Arc<Reason>,
    pub(super) gauge: Arc<MemoryGauge>,
    pub(super) config: SyncConfig,
    /// In strict order: the last transaction that any lane has committed.
    pub(super) turn: Option<Arc<watch::Sender<u64>>>,
}

/// Rows handed to one `write`, which connectors turn into multi-row statements.
struct Batch {
    /// What was given out before the first of the batch.
    previous: u64,
    numbers: Vec<u64>,
    /// In strict order what was written, to be able to write it again, and its bytes.
    kept: Vec<Vec<RowOp>>,
    kept_bytes: usize,
    rows: usize,
    bytes: usize,
    /// Taken from the queue but not part of the batch.
    next: Option<LaneWork>,
}

impl Lane {
    /// Works until the queue is closed, the run halts, or something fails.
    pub(super) async fn run(mut self) {
        let mut next = None;
        loop {
            let work = match next.take() {
                Some(work) => work,
                None => {
                    let received = tokio::select! {
                        biased;
                        () = self.halt.cancelled() => None,
                        work = self.work.recv() => work,
                    };
                    match received {
                        Some(work) => work,
                        None => return,
                    }
                }
            };
            if self.halt.is_cancelled() {
                return;
            }
            let done = match work {
                LaneWork::Apply(first) => self.apply(first).await.map(|later| next = later),
                LaneWork::Mark => self.mark().await,
                LaneWork::Stream { number, parts } => self.stream(number, parts).await,
            };
            match done {
                Ok(()) => {}
                Err(Leave::Halted) => return,
                Err(Leave::Failed(failure)) => {
                    self.reason
                        .keep(failure.context(format_args!("lane {}", self.number)));
                    self.halt.cancel();
                    // The engine may be gone already; then nobody wants to know.
                    let _ = self.reports.send(LaneReport::Failed).await;
                    return;
                }
            }
        }
    }

    /// One destination transaction of one or more source transactions. Gives back the work it took
    /// from the queue and did not do.
    async fn apply(&mut self, first: Transaction) -> Result<Option<LaneWork>, Leave> {
        let begun = Instant::now();
        let mut batch = Batch {
            previous: first.previous,
            numbers: Vec::new(),
            kept: Vec::new(),
            kept_bytes: 0,
            rows: 0,
            bytes: 0,
            next: Some(LaneWork::Apply(first)),
        };
        let mut open = false;
        loop {
            let (ops, bytes, what) = self.gather(&mut batch);
            if !ops.is_empty() {
                batch.rows += ops.len();
                let step = if open {
                    Step::Write(&ops)
                } else {
                    Step::BeginWriting(&ops)
                };
                let written = self.guarded(step).await;
                open = true;
                if self.turn.is_some() {
                    batch.kept.push(ops);
                    batch.kept_bytes += bytes;
                } else {
                    drop(ops);
                    self.gauge.remove(bytes);
                }
                written.map_err(|leave| leave.explained(what))?;
            }
            if batch.next.is_none() && !self.is_full(&batch) {
                batch.next = self.work.try_recv().ok();
            }
            if !self.fits(&batch) || self.is_full(&batch) || begun.elapsed() >= self.config.batch_age {
                break;
            }
            if self.halt.is_cancelled() {
                return Err(self.give_up().await);
            }
        }
        self.take_turn(&batch).await?;
        let Batch {
            numbers,
            rows,
            bytes,
            next,
            kept,
            kept_bytes,
            ..
        } = batch;
        drop(kept);
        self.gauge.remove(kept_bytes);
        let last = numbers.last().copied();
        self.commit(numbers, rows as u64, bytes as u64).await?;
        if let (Some(turn), Some(last)) = (&self.turn, last) {
            turn.send_replace(last);
        }
        Ok(next)
    }

    /// Whether what comes next may go into the batch.
    fn fits(&self, batch: &Batch) -> bool {
        match &batch.next {
            Some(LaneWork::Apply(next)) => {
                self.turn.is_none() || batch.numbers.last().is_none_or(|last| *last == next.previous)
            }
            _ => false,
        }
    }

    /// In strict order waits until everything before the batch is committed.
    ///
    /// The locks of the open transaction may keep an earlier one waiting although they change no common row: a server
    /// locks more than that. So they are not held for long.
    async fn take_turn(&mut self, batch: &Batch) -> Result<(), Leave> {
        let Some(turn) = self.turn.clone() else {
            return Ok(());
        };
        let mut turns = turn.subscribe();
        let in_time = {
            let mine = turns.wait_for(|committed| *committed == batch.previous);
            tokio::select! {
                biased;
                () = self.halt.cancelled() => None,
                done = timeout(self.config.turn_patience, mine) => Some(done.is_ok()),
            }
        };
        match in_time {
            None => return Err(self.give_up().await),
            Some(true) => return Ok(()),
            Some(false) => {}
        }
        self.applier.rollback().await?;
        let waited = tokio::select! {
            biased;
            () = self.halt.cancelled() => false,
            // Never an error: this lane holds the sender.
            done = turns.wait_for(|committed| *committed == batch.previous) => done.is_ok(),
        };
        if !waited {
            return Err(Leave::Halted);
        }
        for (at, ops) in batch.kept.iter().enumerate() {
            let step = if at == 0 {
                Step::BeginWriting(ops)
            } else {
                Step::Write(ops)
            };
            self.guarded(step)
                .await
                .map_err(|leave| leave.explained("executed again in its turn".to_owned()))?;
        }
        Ok(())
    }

    fn is_full(&self, batch: &Batch) -> bool {
        batch.rows >= self.config.batch_rows || batch.bytes >= self.config.batch_bytes
    }

    /// Joins the operations of waiting transactions, as far as they fit into the batch.
    fn gather(&mut self, batch: &mut Batch) -> (Vec<RowOp>, usize, String) {
        let mut ops: Vec<RowOp> = Vec::new();
        let mut bytes = 0;
        let mut first = 0;
        let mut end: Option<(u64, Position)> = None;
        let mut rows = batch.rows;
        loop {
            let fits = self.fits(batch);
            match batch.next.take() {
                Some(LaneWork::Apply(transaction)) if fits => {
                    bytes += transaction.bytes;
                    batch.bytes += transaction.bytes;
                    rows += transaction.ops.len();
                    batch.numbers.push(transaction.number);
                    if first == 0 {
                        first = transaction.number;
                    }
                    end = Some((transaction.number, transaction.end));
                    if ops.is_empty() {
                        ops = transaction.ops;
                    } else {
                        ops.extend(transaction.ops);
                    }
                }
                Some(other) => {
                    batch.next = Some(other);
                    break;
                }
                None => {}
            }
            if rows >= self.config.batch_rows || batch.bytes >= self.config.batch_bytes {
                break;
            }
            match self.work.try_recv() {
                Ok(work) => batch.next = Some(work),
                Err(_) => break,
            }
        }
        let what = match end {
            Some((last, position)) if last == first => format!("transaction {first}, ending at {position}"),
            Some((last, position)) => {
                format!("transactions {first} to {last} of the lane, the last ending at {position}")
            }
            None => String::new(),
        };
        (ops, bytes, what)
    }

    async fn mark(&mut self) -> Result<(), Leave> {
        self.guarded(Step::Begin).await?;
        self.commit(Vec::new(), 0, 0).await
    }

    /// One source transaction in one destination transaction, in parts.
    async fn stream(&mut self, number: u64, mut parts: mpsc::Receiver<StreamPart>) -> Result<(), Leave> {
        self.guarded(Step::BeginStreamed).await?;
        let (mut rows, mut total) = (0, 0);
        loop {
            let part = tokio::select! {
                biased;
                () = self.halt.cancelled() => None,
                part = parts.recv() => part,
            };
            match part {
                Some(StreamPart::Rows(ops, bytes)) => {
                    rows += ops.len() as u64;
                    total += bytes as u64;
                    let written = self.guarded(Step::Write(&ops)).await;
                    drop(ops);
                    self.gauge.remove(bytes);
                    written.map_err(|leave| leave.explained(format!("large transaction {number}")))?;
                }
                Some(StreamPart::Commit) => return self.commit(vec![number], rows, total).await,
                Some(StreamPart::Abort) => {
                    self.applier.rollback().await?;
                    let _ = self.reports.send(LaneReport::Aborted).await;
                    return Ok(());
                }
                None => return Err(self.give_up().await),
            }
        }
    }

    async fn commit(&mut self, numbers: Vec<u64>, rows: u64, bytes: u64) -> Result<(), Leave> {
        if self.halt.is_cancelled() {
            return Err(self.give_up().await);
        }
        let watermark = self.mark.borrow().clone();
        for number in &numbers {
            self.above.insert(*number);
        }
        self.above.remove_through(watermark.applied);
        let state = LaneState {
            watermark,
            above: self.above.clone(),
        };
        // Not interrupted by a halt: the engine waits for a while, and a commit cut off is unknown.
        self.applier.commit(&state).await?;
        let report = LaneReport::Committed {
            lane: self.number,
            numbers,
            rows,
            bytes,
            watermark: state.watermark,
        };
        let _ = self.reports.send(report).await;
        Ok(())
    }

    /// One step of the applier. A halt in the middle drops the step; the connection is then closed
    /// with the lane, and the server rolls back.
    async fn guarded(&mut self, step: Step<'_>) -> Result<(), Leave> {
        let applier = &mut self.applier;
        let work = async {
            match step {
                Step::Begin => applier.begin().await,
                Step::BeginStreamed => applier.begin_streamed().await,
                Step::BeginWriting(ops) => applier.begin_writing(ops).await,
                Step::Write(ops) => applier.write(ops).await,
            }
        };
        tokio::select! {
            biased;
            () = self.halt.cancelled() => Err(Leave::Halted),
            done = work => done.map_err(Leave::Failed),
        }
    }

    /// Rolls back between two steps; if that takes long, closing the connection does it.
    async fn give_up(&mut self) -> Leave {
        let _ = timeout(Duration::from_secs(1), self.applier.rollback()).await;
        Leave::Halted
    }
}

enum Step<'a> {
    Begin,
    BeginStreamed,
    BeginWriting(&'a [RowOp]),
    Write(&'a [RowOp]),
}
