//! A full verification: chunks, candidates, rounds behind a barrier, and a journal of all that.

use std::collections::{BTreeMap, BTreeSet};

use oms_proto::{meta::ProjectRecord, v1::ComponentState};

use super::{Phase, Surroundings, Worker};
use crate::{
    breach::Breach,
    database::{CHUNKS, Effect, Journal, Note, Op, ROWS, Source},
};

/// Rounds in a row that must prove a difference.
const CONFIRMATIONS: u64 = 2;

#[derive(Clone, Debug, Default)]
enum Stage {
    /// Nothing is under way.
    #[default]
    Choose,
    /// Rows of a chunk are being read; the source was read here.
    Scan { chunk: u64, end: u64 },
    /// The rows of a chunk that differed.
    Note { chunk: u64, candidates: BTreeSet<u64> },
    /// Only the chunk is left to be noted, or, where the order is wrong, the candidates.
    Rest(Note),
    /// A round waits for the destination to reach the source.
    Barrier { end: u64 },
    /// It has, and the candidates are being read.
    Round { end: u64 },
    /// They were read; what the source holds now decides.
    Decide { end: u64, rows: BTreeMap<u64, u64> },
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Verifying {
    journals: BTreeMap<u64, Journal>,
    run: Option<u64>,
    journal: Journal,
    stage: Stage,
    /// Candidates of the re-check under way, with the rounds that proved them.
    left: BTreeMap<u64, u64>,
    proven: BTreeSet<u64>,
}

impl Verifying {
    pub(super) fn take_up(&mut self, journals: BTreeMap<u64, Journal>) {
        self.journals = journals;
    }

    fn begin(&mut self, run: u64, breach: Option<Breach>) {
        if self.run != Some(run) {
            self.journal = match breach {
                Some(Breach::FormerJournal) => self.journals.values().next().cloned().unwrap_or_default(),
                _ => self.journals.get(&run).cloned().unwrap_or_default(),
            };
            self.run = Some(run);
            self.stage = Stage::Choose;
        }
    }

    /// Rows of the destination arrived; the run and the chunk that are compared with that.
    pub(super) fn read(&mut self, rows: BTreeMap<u64, u64>, watermark: Option<u64>) -> Option<(u64, u64)> {
        match std::mem::take(&mut self.stage) {
            Stage::Scan { chunk, end } => {
                let differs = |(key, value): &(&u64, &u64)| Source::value(**key, end) != **value;
                let candidates = rows.iter().filter(differs).map(|(key, _)| *key).collect();
                self.stage = Stage::Note { chunk, candidates };
                self.run.map(|run| (run, chunk))
            }
            Stage::Barrier { end } if watermark.is_some_and(|w| w >= end) => {
                self.stage = Stage::Round { end };
                None
            }
            Stage::Round { end } => {
                self.stage = Stage::Decide { end, rows };
                None
            }
            other => {
                self.stage = other;
                None
            }
        }
    }

    pub(super) fn noted(&mut self, note: Note) {
        self.journal.note(note);
    }

    /// Compares what a round read with what the source holds now.
    fn decide(&mut self, before: u64, rows: &BTreeMap<u64, u64>, after: u64) {
        for (key, found) in rows {
            let (first, second) = (Source::value(*key, before), Source::value(*key, after));
            let Some(proofs) = self.left.get_mut(key) else {
                continue;
            };
            if *found == first || *found == second {
                self.left.remove(key);
            } else if first == second {
                *proofs += 1;
                if *proofs == CONFIRMATIONS {
                    self.left.remove(key);
                    self.proven.insert(*key);
                }
            } else {
                *proofs = 0;
            }
        }
    }

    /// What a chunk leaves behind: first its candidates, then that it was compared.
    fn note_chunk(&mut self, chunk: u64, candidates: BTreeSet<u64>, breach: Option<Breach>) -> Note {
        let done = Note::Chunk(chunk);
        if candidates.is_empty() {
            return done;
        }
        let candidates = Note::Candidates(candidates);
        let (first, then) = match breach {
            Some(Breach::ChunkBeforeCandidates) => (done, candidates),
            _ => (candidates, done),
        };
        self.stage = Stage::Rest(then);
        first
    }

    /// What a re-check leaves behind: first what it proved, then that no candidate is left.
    fn note_end(&mut self, breach: Option<Breach>) -> Note {
        let found = std::mem::take(&mut self.proven);
        if found.is_empty() {
            return Note::Drained;
        }
        let found = Note::Found(found);
        if breach == Some(Breach::DrainBeforeFound) {
            self.stage = Stage::Rest(found);
            Note::Drained
        } else {
            self.stage = Stage::Rest(Note::Drained);
            found
        }
    }
}

impl Worker {
    pub(super) fn verify(
        &mut self,
        claim: u64,
        record: &ProjectRecord,
        s: &mut Surroundings<'_>,
    ) -> Vec<(u64, Op)> {
        let run = *self.run.get_or_insert(record.verify_run.into());
        let Some(end) = s.source else {
            self.trouble_since.get_or_insert(s.now_us);
            return Vec::new();
        };
        let v = &mut self.verifying;
        v.begin(run, s.breach);
        let note = match std::mem::take(&mut v.stage) {
            Stage::Choose => match (0..CHUNKS).find(|chunk| !v.journal.chunks.contains(chunk)) {
                Some(chunk) => {
                    v.stage = Stage::Scan { chunk, end };
                    let keys = Source::keys(chunk).collect();
                    return vec![self.ask(Op::Read { run, keys }, s.now_us)];
                }
                None if !v.journal.candidates.is_empty() => {
                    if v.left.is_empty() && v.proven.is_empty() {
                        v.left = v.journal.candidates.iter().map(|key| (*key, 0)).collect();
                    }
                    v.stage = Stage::Barrier { end };
                    return Vec::new();
                }
                None if v.journal.result.is_some() => {
                    self.phase = Phase::Done;
                    self.report.0 = ComponentState::Completed;
                    return Vec::new();
                }
                None => Note::Result(v.journal.differences.clone()),
            },
            Stage::Note { chunk, candidates } => v.note_chunk(chunk, candidates, s.breach),
            Stage::Rest(note) => note,
            Stage::Decide { end: before, rows } => {
                v.decide(before, &rows, end);
                if !v.left.is_empty() {
                    v.stage = Stage::Barrier { end };
                    return Vec::new();
                }
                v.note_end(s.breach)
            }
            waiting @ (Stage::Scan { .. } | Stage::Barrier { .. } | Stage::Round { .. }) => {
                let keys = match waiting {
                    Stage::Scan { chunk, .. } => Source::keys(chunk).collect(),
                    _ => (0..ROWS).filter(|key| v.left.contains_key(key)).collect(),
                };
                v.stage = waiting;
                return vec![self.ask(Op::Read { run, keys }, s.now_us)];
            }
        };
        self.write(claim, Some(Effect::Note { run, note }), s.now_us)
    }
}
