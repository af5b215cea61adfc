//! A component as its owner runs it: asks, waits for the answer, gives up on a connection that says nothing.

mod capture;
mod copy;
mod lanes;
mod verify;

use std::collections::BTreeMap;

use oms_meta::MetaState;
use oms_proto::{
    meta::{ComponentFacts, ProjectRecord, ReportComponent},
    v1::{ComponentState, ErrorInfo},
};
use oms_types::{ComponentKind, codes};

use crate::{
    breach::Breach,
    database::{Answer, Effect, Op, Violation},
    random::Random,
};

use lanes::Lanes;
use verify::Verifying;

/// A request without an answer for this long is lost, and the connection with it.
const TIMEOUT_US: i64 = 1_500_000;
/// Lanes that an owner may use.
const MOST_LANES: u64 = 4;

/// What a worker sees of the world while it is at work.
pub(crate) struct Surroundings<'a> {
    pub(crate) state: &'a MetaState,
    /// By the node's own clock.
    pub(crate) now_us: i64,
    /// The end of the source's log; `None`: it cannot be reached.
    pub(crate) source: Option<u64>,
    /// What this node's Store has on disk: behind the first, up to the second.
    pub(crate) disk: &'a mut Option<(u64, u64)>,
    /// The same of the Store's owner; `None`: it cannot be reached.
    pub(crate) store: Option<(u64, u64)>,
    /// Whether this epoch is the latest that is committed, which the node itself cannot know.
    pub(crate) current: bool,
    pub(crate) breach: Option<Breach>,
    pub(crate) random: &'a mut Random,
}

#[derive(Clone, Debug)]
enum Phase {
    /// No claim: a new run or a lost connection.
    Start,
    Claimed(u64),
    Done,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) project: usize,
    pub(crate) id: String,
    pub(crate) kind: ComponentKind,
    pub(crate) epoch: u64,
    phase: Phase,
    /// Number of the request that is no lane's, and when it was sent.
    outstanding: Option<(u64, i64)>,
    sent: u64,
    /// What the outstanding request does, once it is known to have worked.
    writing: Option<Effect>,
    receipts: BTreeMap<u64, u64>,
    lanes: Lanes,
    verifying: Verifying,
    /// The run of verification that it was started for.
    run: Option<u64>,
    /// Since when nothing works.
    trouble_since: Option<i64>,
    report: (ComponentState, ComponentFacts),
    pub(crate) failed: bool,
    /// It was refused by a newer claim, and when by its node's clock.
    pub(crate) fenced: Option<i64>,
    /// A chunk that was just compared, and in which run. For the rules alone.
    pub(crate) compared: Option<(u64, u64)>,
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn facts(record: &ProjectRecord, kind: ComponentKind) -> ComponentFacts {
    let c = record.components.iter().find(|c| c.kind == kind.as_str());
    c.and_then(|c| c.facts.clone()).unwrap_or_default()
}

impl Worker {
    /// `requests`: a number that no earlier request reached, so that no answer to another worker is taken for one to this.
    pub(crate) fn new(project: usize, id: &str, kind: ComponentKind, epoch: u64, requests: u64) -> Self {
        Self {
            project,
            id: id.to_owned(),
            kind,
            epoch,
            phase: Phase::Start,
            outstanding: None,
            sent: requests,
            writing: None,
            receipts: BTreeMap::new(),
            lanes: Lanes::default(),
            verifying: Verifying::default(),
            run: None,
            trouble_since: None,
            report: (ComponentState::Running, ComponentFacts::default()),
            failed: false,
            fenced: None,
            compared: None,
        }
    }

    pub(crate) fn trouble_ms(&self, now_us: i64) -> Option<u64> {
        let since = self.trouble_since?;
        u64::try_from((now_us - since) / 1000).ok()
    }

    /// A defect of its own.
    pub(crate) fn crash(&mut self) {
        self.failed = true;
    }

    /// It is to use another number of lanes: it claims anew.
    pub(crate) fn resize(&mut self) {
        if matches!(self.phase, Phase::Claimed(_)) {
            self.reconnect();
        }
    }

    /// Whether what was sent was carried out is not known. The claim will tell.
    fn reconnect(&mut self) {
        self.outstanding = None;
        self.writing = None;
        self.phase = Phase::Start;
        self.lanes = Lanes::default();
        self.verifying = Verifying::default();
    }

    /// One step; the requests that it makes.
    pub(crate) fn step(&mut self, s: &mut Surroundings<'_>) -> Result<Vec<(u64, Op)>, Violation> {
        if self.failed || self.fenced.is_some() || matches!(self.phase, Phase::Done) {
            return Ok(Vec::new());
        }
        let oldest = self
            .outstanding
            .map(|(_, at)| at)
            .into_iter()
            .chain(self.lanes.oldest());
        if oldest.min().is_some_and(|at| s.now_us - at > TIMEOUT_US) {
            self.reconnect();
            self.trouble_since.get_or_insert(s.now_us);
            return Ok(Vec::new());
        }
        if self.outstanding.is_some() {
            return Ok(Vec::new());
        }
        let Some(record) = s.state.project(&self.id) else {
            return Ok(Vec::new());
        };
        match self.kind {
            ComponentKind::Precheck => {
                if s.random.percent(30) {
                    self.phase = Phase::Done;
                    self.report.0 = ComponentState::Completed;
                }
                Ok(Vec::new())
            }
            ComponentKind::Store => {
                self.capture(record, s);
                Ok(Vec::new())
            }
            ComponentKind::FullImport | ComponentKind::IncrSync | ComponentKind::FullVerification => {
                match self.phase {
                    Phase::Start => {
                        let lanes = match self.kind {
                            ComponentKind::IncrSync => s.random.within(1, MOST_LANES),
                            _ => 1,
                        };
                        self.lanes = Lanes::new(lanes);
                        Ok(vec![self.ask(Op::Claim { lanes }, s.now_us)])
                    }
                    Phase::Claimed(claim) if self.kind == ComponentKind::IncrSync => {
                        self.apply(claim, record, s)
                    }
                    Phase::Claimed(claim) if self.kind == ComponentKind::FullImport => {
                        let effect = self.copy(s);
                        Ok(self.write(claim, effect, s.now_us))
                    }
                    Phase::Claimed(claim) => Ok(self.verify(claim, record, s)),
                    Phase::Done => Ok(Vec::new()),
                }
            }
            // These projects have no schema, and nobody switches them over.
            ComponentKind::SchemaMigration | ComponentKind::Switchover => Ok(Vec::new()),
        }
    }

    fn ask(&mut self, op: Op, now_us: i64) -> (u64, Op) {
        self.sent += 1;
        self.outstanding = Some((self.sent, now_us));
        (self.sent, op)
    }

    fn write(&mut self, claim: u64, effect: Option<Effect>, now_us: i64) -> Vec<(u64, Op)> {
        let Some(effect) = effect else {
            return Vec::new();
        };
        self.writing = Some(effect.clone());
        let lane = 0;
        vec![self.ask(Op::Write { claim, lane, effect }, now_us)]
    }

    /// The answer to a request.
    pub(crate) fn answered(&mut self, request: u64, answer: Answer, now_us: i64) {
        let mine = self.outstanding.is_some_and(|(number, _)| number == request);
        if !mine && !self.lanes.waits_for(request) {
            return;
        }
        if mine {
            self.outstanding = None;
        }
        self.trouble_since = None;
        match answer {
            Answer::Fenced => {
                self.fenced = Some(now_us);
            }
            Answer::Claimed {
                claim,
                checkpoint,
                receipts,
                journals,
            } => {
                self.phase = Phase::Claimed(claim);
                self.receipts = receipts;
                self.lanes.take_up(checkpoint);
                self.verifying.take_up(journals);
            }
            Answer::Rows { rows, watermark } => {
                self.compared = self.verifying.read(rows, watermark);
            }
            Answer::Written if !mine => self.lanes.written(request),
            Answer::Written => match self.writing.take() {
                Some(Effect::Chunk { chunk, snapshot, .. }) => {
                    self.receipts.insert(chunk, snapshot);
                }
                Some(Effect::Note { note, .. }) => self.verifying.noted(note),
                Some(Effect::Apply { .. }) | None => {}
            },
        }
    }

    /// What the metadata do not say yet, if anything.
    pub(crate) fn news(&self, state: &MetaState) -> Option<ReportComponent> {
        if self.fenced.is_some() {
            return None;
        }
        let c = state
            .component(&self.id, self.kind)
            .filter(|c| c.epoch == self.epoch)?;
        let (mut to, facts) = self.report.clone();
        if self.failed {
            to = ComponentState::Failed;
        }
        let known = c.facts.clone().unwrap_or_default();
        let lag = number(&facts.applied)
            .unwrap_or_default()
            .abs_diff(number(&known.applied).unwrap_or_default());
        let told = c.state() == to
            && (facts.store_start.is_empty() || facts.store_start == known.store_start)
            && (facts.safe_until.is_empty() || facts.safe_until == known.safe_until)
            && (!facts.caught_up || known.caught_up)
            && lag < 10;
        if told {
            return None;
        }
        Some(ReportComponent {
            project: self.id.clone(),
            kind: self.kind.as_str().to_owned(),
            epoch: self.epoch,
            state: to as i32,
            error: self.failed.then(|| ErrorInfo {
                code: codes::api::INTERNAL.as_str().to_owned(),
                ..Default::default()
            }),
            facts: Some(facts),
            ..Default::default()
        })
    }
}
