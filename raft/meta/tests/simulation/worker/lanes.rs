//! An incremental synchronization on several lanes.

use std::collections::{BTreeSet, VecDeque};

use oms_proto::meta::ProjectRecord;
use oms_types::ComponentKind;

use super::{Surroundings, Worker, facts, number};
use crate::{
    breach::Breach,
    database::{Effect, Op, Source, Violation},
};

/// Transactions that may be placed ahead of the watermark.
const WINDOW: u64 = 16;
/// Source transactions in one transaction of a lane.
const BATCH: usize = 3;

#[derive(Clone, Debug, Default)]
struct Lane {
    outstanding: Option<(u64, i64)>,
    /// What the outstanding request applies.
    batch: Vec<u64>,
    /// The watermark that it writes with that.
    marks: u64,
    queue: VecDeque<u64>,
    /// What its row names above the watermark.
    above: BTreeSet<u64>,
}

impl Lane {
    fn holds(&self, n: u64) -> bool {
        self.batch
            .iter()
            .chain(&self.queue)
            .any(|m| Source::conflict(*m, n))
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    /// How many of them are given work; the others finish what they have.
    active: usize,
    /// From the claim to the first step: what was found there.
    found: Option<(u64, BTreeSet<u64>)>,
    /// Everything up to this one is applied.
    watermark: Option<u64>,
    above: BTreeSet<u64>,
    /// The highest watermark that a lane has written: what the next claim will find at least.
    durable: u64,
    next: u64,
}

impl Lanes {
    pub(super) fn new(lanes: u64) -> Self {
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            ..Self::default()
        }
    }

    /// When the oldest request without an answer was sent.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.lanes
            .iter()
            .filter_map(|l| l.outstanding)
            .map(|(_, at)| at)
            .min()
    }

    pub(super) fn waits_for(&self, request: u64) -> bool {
        let is = |l: &Lane| l.outstanding.is_some_and(|(number, _)| number == request);
        self.lanes.iter().any(is)
    }

    pub(super) fn take_up(&mut self, checkpoint: Option<(u64, BTreeSet<u64>)>) {
        self.found = checkpoint;
    }

    /// Nobody knows any more which lane applied what: each names all of it.
    fn begin(&mut self, start: u64, breach: Option<Breach>) {
        let (watermark, above) = self.found.take().unwrap_or((start, BTreeSet::new()));
        self.watermark = Some(watermark);
        self.durable = watermark;
        self.next = watermark + 1;
        self.active = 1;
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            if breach != Some(Breach::ForgetfulLane) || at == 0 {
                lane.above.clone_from(&above);
            }
        }
        self.above = above;
    }

    pub(super) fn written(&mut self, request: u64) {
        for lane in &mut self.lanes {
            if lane.outstanding.is_some_and(|(number, _)| number == request) {
                lane.outstanding = None;
                self.durable = self.durable.max(lane.marks);
                self.above.extend(lane.batch.drain(..));
            }
        }
        self.settle();
    }

    /// Moves the watermark over what is applied behind it, as far as the log was read again.
    fn settle(&mut self) {
        if let Some(watermark) = self.watermark.as_mut() {
            while *watermark + 1 < self.next && self.above.remove(&(*watermark + 1)) {
                *watermark += 1;
            }
        }
    }

    fn is_idle(&self) -> bool {
        let idle = |l: &Lane| l.outstanding.is_none() && l.queue.is_empty();
        self.lanes.iter().all(idle)
    }

    /// Gives transactions to lanes in the order of the log, as long as it is clear to which.
    fn place(&mut self, watermark: u64, upto: u64, s: &mut Surroundings<'_>) {
        while self.next <= upto.min(watermark + WINDOW) {
            let n = self.next;
            if !self.above.contains(&n) {
                let holding: Vec<usize> = (0..self.lanes.len())
                    .filter(|l| self.lanes[*l].holds(n))
                    .collect();
                let lane = match holding[..] {
                    [] => s.random.index(self.active),
                    [only] => only,
                    _ => return,
                };
                self.lanes[lane].queue.push_back(n);
            }
            self.next += 1;
        }
        // What was found above the watermark has now been read again.
        self.settle();
    }
}

impl Worker {
    pub(super) fn apply(
        &mut self,
        claim: u64,
        record: &ProjectRecord,
        s: &mut Surroundings<'_>,
    ) -> Result<Vec<(u64, Op)>, Violation> {
        let import = facts(record, ComponentKind::FullImport);
        let start = number(&facts(record, ComponentKind::Store).store_start);
        let snapshot = import.snapshots.first().and_then(|p| number(&p.position));
        let (Some(start), Some(safe_until), Some(snapshot)) = (start, number(&import.safe_until), snapshot)
        else {
            return Err(format!("{} has an incr-sync without what came before", self.id));
        };
        let watermark = match self.lanes.watermark {
            Some(watermark) => watermark,
            None => {
                self.lanes.begin(start, s.breach);
                self.lanes.watermark.unwrap_or(start)
            }
        };
        let Some((from, upto)) = s.store else {
            return Ok(Vec::new());
        };
        if from >= self.lanes.next {
            // A former owner may ask for what its successors have applied: it gets nothing, and nobody hears its
            // complaint.
            if s.current {
                return Err(format!(
                    "the Store of {} begins behind {from}, {} is read next",
                    self.id, self.lanes.next
                ));
            }
            return Ok(Vec::new());
        }
        // A Store that is begun anew begins here: not behind what the next claim finds.
        let told = match s.breach {
            Some(Breach::HastyNote) => watermark,
            _ => self.lanes.durable,
        };
        self.report.1.applied = told.to_string();
        if watermark >= upto {
            self.report.1.caught_up = true;
        }
        if s.random.percent(5) {
            self.lanes.active = 1 + s.random.index(self.lanes.lanes.len());
        }
        self.lanes.place(watermark, upto, s);
        let idle = self.lanes.is_idle() && self.lanes.durable < watermark;
        let mut requests = Vec::new();
        for (at, lane) in self.lanes.lanes.iter_mut().enumerate() {
            // A lane is not always quick.
            if lane.outstanding.is_some() || s.random.percent(30) {
                continue;
            }
            // When nothing is to do, the watermark alone is written.
            if lane.queue.is_empty() && !(idle && at == 0) {
                continue;
            }
            let size = lane.queue.len().min(1 + s.random.index(BATCH));
            lane.batch = lane.queue.drain(..size).collect();
            lane.above.extend(lane.batch.iter().copied());
            lane.above = lane.above.split_off(&(watermark + 1));
            lane.marks = watermark;
            self.sent += 1;
            lane.outstanding = Some((self.sent, s.now_us));
            let effect = Effect::Apply {
                numbers: lane.batch.clone(),
                safe_until,
                snapshot,
                watermark,
                above: lane.above.clone(),
            };
            let lane = at as u64;
            requests.push((self.sent, Op::Write { claim, lane, effect }));
        }
        Ok(requests)
    }
}
