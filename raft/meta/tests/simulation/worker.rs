//! A component as its owner runs it: asks, waits for the answer, gives up on a connection that says nothing.

use std::collections::BTreeMap;

use oms_meta::MetaState;
use oms_proto::{
    meta::{ComponentFacts, ProjectRecord, QualifiedName, ReportComponent, SnapshotPosition},
    v1::{ComponentState, ErrorInfo},
};
use oms_types::{ComponentKind, codes};

use crate::{
    database::{Answer, CHUNKS, Effect, KEYS, Op, Source, Violation},
    random::Random,
};

/// A request without an answer for this long is lost, and the connection with it.
const TIMEOUT_US: i64 = 1_500_000;

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
    /// Number of the request, and when it was sent.
    outstanding: Option<(u64, i64)>,
    sent: u64,
    /// What the outstanding request does, once it is known to have worked.
    writing: Option<Effect>,
    applied: Option<u64>,
    receipts: BTreeMap<u64, u64>,
    /// Since when nothing works.
    trouble_since: Option<i64>,
    report: (ComponentState, ComponentFacts),
    pub(crate) failed: bool,
    /// It was refused by a newer claim, and when by its node's clock.
    pub(crate) fenced: Option<i64>,
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
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
            applied: None,
            receipts: BTreeMap::new(),
            trouble_since: None,
            report: (ComponentState::Running, ComponentFacts::default()),
            failed: false,
            fenced: None,
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

    /// One step; a request, if it makes one.
    pub(crate) fn step(&mut self, s: &mut Surroundings<'_>) -> Result<Option<(u64, Op)>, Violation> {
        if self.failed || self.fenced.is_some() || matches!(self.phase, Phase::Done) {
            return Ok(None);
        }
        if let Some((_, sent)) = self.outstanding {
            if s.now_us - sent > TIMEOUT_US {
                // Whether it was carried out is not known. The claim will tell.
                self.outstanding = None;
                self.writing = None;
                self.phase = Phase::Start;
                self.trouble_since.get_or_insert(s.now_us);
            }
            return Ok(None);
        }
        let Some(record) = s.state.project(&self.id) else {
            return Ok(None);
        };
        match self.kind {
            ComponentKind::Precheck => {
                if s.random.percent(30) {
                    self.phase = Phase::Done;
                    self.report.0 = ComponentState::Completed;
                }
                Ok(None)
            }
            ComponentKind::Store => {
                self.capture(record, s);
                Ok(None)
            }
            ComponentKind::FullImport | ComponentKind::IncrSync => {
                let op = match self.phase {
                    Phase::Start => Some(Op::Claim),
                    Phase::Claimed(claim) => {
                        let effect = if self.kind == ComponentKind::FullImport {
                            self.copy(s)
                        } else {
                            self.apply(record, s)?
                        };
                        self.writing.clone_from(&effect);
                        effect.map(|effect| Op::Write { claim, effect })
                    }
                    Phase::Done => None,
                };
                Ok(op.map(|op| {
                    self.sent += 1;
                    self.outstanding = Some((self.sent, s.now_us));
                    (self.sent, op)
                }))
            }
            ComponentKind::SchemaMigration | ComponentKind::FullVerification => Ok(None),
        }
    }

    fn capture(&mut self, record: &ProjectRecord, s: &mut Surroundings<'_>) {
        let Some(end) = s.source else {
            self.trouble_since.get_or_insert(s.now_us);
            return;
        };
        self.trouble_since = None;
        let facts = |kind: ComponentKind| {
            let c = record.components.iter().find(|c| c.kind == kind.as_str());
            c.and_then(|c| c.facts.clone()).unwrap_or_default()
        };
        let recorded = facts(ComponentKind::Store).store_start;
        let applied = facts(ComponentKind::IncrSync).applied;
        let needed = number(&applied).or(number(&recorded));
        // What an earlier run left here may begin behind what is needed: its start was never reported.
        if let (Some((from, _)), Some(needed)) = (*s.disk, needed)
            && from > needed
        {
            *s.disk = None;
        }
        let (_, upto) = s.disk.get_or_insert_with(|| {
            let from = needed.unwrap_or(end);
            (from, from)
        });
        *upto = end.min(*upto + s.random.within(0, 6)).max(*upto);
        if recorded.is_empty()
            && let Some((from, _)) = s.disk
        {
            self.report.1.store_start = from.to_string();
        }
    }

    fn copy(&mut self, s: &mut Surroundings<'_>) -> Option<Effect> {
        let Some(end) = s.source else {
            self.trouble_since.get_or_insert(s.now_us);
            return None;
        };
        match (0..=CHUNKS).find(|chunk| !self.receipts.contains_key(chunk)) {
            Some(chunk) => Some(Effect::Chunk {
                chunk,
                rows: (0..KEYS)
                    .filter(|key| key % CHUNKS == chunk)
                    .map(|key| (key, Source::value(key, end)))
                    .collect(),
                snapshot: end,
            }),
            None => {
                self.phase = Phase::Done;
                self.report = (
                    ComponentState::Completed,
                    ComponentFacts {
                        safe_until: end.to_string(),
                        snapshots: vec![SnapshotPosition {
                            table: Some(QualifiedName::default()),
                            position: self.receipts.get(&CHUNKS)?.to_string(),
                        }],
                        ..Default::default()
                    },
                );
                None
            }
        }
    }

    fn apply(
        &mut self,
        record: &ProjectRecord,
        s: &mut Surroundings<'_>,
    ) -> Result<Option<Effect>, Violation> {
        let facts = |kind: ComponentKind| {
            let c = record.components.iter().find(|c| c.kind == kind.as_str());
            c.and_then(|c| c.facts.clone()).unwrap_or_default()
        };
        let import = facts(ComponentKind::FullImport);
        let start = number(&facts(ComponentKind::Store).store_start);
        let snapshot = import.snapshots.first().and_then(|p| number(&p.position));
        let (Some(start), Some(safe_until), Some(snapshot)) = (start, number(&import.safe_until), snapshot)
        else {
            return Err(format!("{} has an incr-sync without what came before", self.id));
        };
        let Some((from, upto)) = s.store else {
            return Ok(None);
        };
        let applied = self.applied.unwrap_or(start);
        if from > applied {
            // A former owner may ask for what its successors have applied: it gets nothing, and nobody hears its
            // complaint.
            if s.current {
                return Err(format!(
                    "the Store of {} begins behind {from}, {applied} is applied",
                    self.id
                ));
            }
            return Ok(None);
        }
        self.report.1.applied = applied.to_string();
        if applied >= upto {
            self.report.1.caught_up = true;
            return Ok(None);
        }
        let last = upto.min(applied + s.random.within(1, 4));
        Ok(Some(Effect::Apply {
            first: applied + 1,
            last,
            safe_until,
            snapshot,
        }))
    }

    /// The answer to a request.
    pub(crate) fn answered(&mut self, request: u64, answer: Answer, now_us: i64) {
        if self.outstanding.is_none_or(|(number, _)| number != request) {
            return;
        }
        self.outstanding = None;
        self.trouble_since = None;
        match answer {
            Answer::Fenced => {
                self.fenced = Some(now_us);
            }
            Answer::Claimed {
                claim,
                applied,
                receipts,
            } => {
                self.phase = Phase::Claimed(claim);
                self.applied = applied;
                self.receipts = receipts;
            }
            Answer::Written => match self.writing.take() {
                Some(Effect::Chunk { chunk, snapshot, .. }) => {
                    self.receipts.insert(chunk, snapshot);
                }
                Some(Effect::Apply { last, .. }) => self.applied = Some(last),
                None => {}
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
