//! A source that is written to, and a destination that keeps fences, positions, receipts and the records of
//! verification.
//!
//! Transaction `n` of the source sets row `n mod KEYS` of a table with a key to `n`; every third also adds a row `n` to a
//! table without one. Rows from `KEYS` on never change. The destination checks with every commit what must hold: it
//! knows what nobody else knows.

mod fences;
mod journal;
mod rows;

use std::collections::{BTreeMap, BTreeSet};

use oms_types::ComponentKind;

use crate::breach::Breach;

use fences::Fences;
pub(crate) use journal::{Journal, Note};
pub(crate) use rows::Rows;

/// Rows of the table with a key that change.
pub(crate) const KEYS: u64 = 12;
/// Rows of the table with a key in all.
pub(crate) const ROWS: u64 = KEYS + 8;
/// Chunks in which these are copied and compared; one more holds the table without a key.
pub(crate) const CHUNKS: u64 = 4;
/// Every such transaction adds a row to the table without a key.
pub(crate) const KEYLESS: u64 = 3;

/// What must never happen, in words.
pub(crate) type Violation = String;

/// The rows of a source: the number of its last transaction says everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) end: u64,
}

impl Source {
    /// The value of a row with a key behind transaction `n`: the last one up to `n` that set it; 0: none.
    pub(crate) fn value(key: u64, n: u64) -> u64 {
        if key >= KEYS {
            return 1_000_000 + key;
        }
        let back = (n + KEYS - key) % KEYS;
        n.saturating_sub(back)
    }

    /// Whether two transactions touch the same: they must be applied in their order.
    pub(crate) fn conflict(a: u64, b: u64) -> bool {
        a % KEYS == b % KEYS || (a.is_multiple_of(KEYLESS) && b.is_multiple_of(KEYLESS))
    }

    /// The keys of a chunk.
    pub(crate) fn keys(chunk: u64) -> impl Iterator<Item = u64> {
        (0..ROWS).filter(move |key| key % CHUNKS == chunk)
    }
}

/// What a transaction of a component does.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Rows that were read, and the receipt. The last chunk holds the rows without a key up to `snapshot`.
    Chunk {
        chunk: u64,
        rows: Vec<(u64, u64)>,
        snapshot: u64,
    },
    /// Source transactions and the lane's row, together.
    Apply {
        numbers: Vec<u64>,
        safe_until: u64,
        snapshot: u64,
        /// What the lane knows to be applied without a gap, and what it names above that.
        watermark: u64,
        above: BTreeSet<u64>,
    },
    /// A record of a run of verification.
    Note { run: u64, note: Note },
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// For so many lanes.
    Claim {
        lanes: u64,
    },
    Write {
        claim: u64,
        lane: u64,
        effect: Effect,
    },
    /// Rows by key, for a run of verification. Anybody may.
    Read {
        run: u64,
        keys: Vec<u64>,
    },
}

/// Its answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Claimed {
        claim: u64,
        checkpoint: Option<(u64, BTreeSet<u64>)>,
        receipts: BTreeMap<u64, u64>,
        journals: BTreeMap<u64, Journal>,
    },
    Written,
    Fenced,
    Rows {
        rows: BTreeMap<u64, u64>,
        /// What is applied without a gap.
        watermark: Option<u64>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Destination {
    breach: Option<Breach>,
    fences: BTreeMap<ComponentKind, Fences>,
    /// The highest epoch that ever claimed, kept apart from the fences.
    claimed: BTreeMap<ComponentKind, u64>,
    pub(crate) receipts: BTreeMap<u64, u64>,
    pub(crate) rows: Rows,
    pub(crate) journals: BTreeMap<u64, Journal>,
    /// Chunks that somebody truly compared, by run. For the rules alone.
    compared: BTreeMap<u64, BTreeSet<u64>>,
    /// The last run that read anything.
    latest: Option<u64>,
    pub(crate) refused: u64,
}

impl Destination {
    pub(crate) fn new(breach: Option<Breach>) -> Self {
        Self {
            breach,
            fences: BTreeMap::new(),
            claimed: BTreeMap::new(),
            receipts: BTreeMap::new(),
            rows: Rows::default(),
            journals: BTreeMap::new(),
            compared: BTreeMap::new(),
            latest: None,
            refused: 0,
        }
    }

    /// Carries out a request in one transaction.
    pub(crate) fn execute(&mut self, kind: ComponentKind, epoch: u64, op: Op) -> Result<Answer, Violation> {
        let watched = self.breach != Some(Breach::FenceUnwatched);
        let guarded = watched && self.breach != Some(Breach::Fence);
        let fences = self.fences.entry(kind).or_default();
        match op {
            Op::Read { run, keys } => {
                self.latest = self.latest.max(Some(run));
                let sync = self.fences.get(&ComponentKind::IncrSync);
                Ok(Answer::Rows {
                    rows: keys.into_iter().map(|key| (key, self.rows.keyed(key))).collect(),
                    watermark: sync.and_then(|f| f.checkpoint(self.breach)).map(|(w, _)| w),
                })
            }
            Op::Claim { lanes } => {
                let Some(claim) = fences.claim(epoch, lanes, guarded, self.breach) else {
                    self.refused += 1;
                    return Ok(Answer::Fenced);
                };
                let checkpoint = fences.checkpoint(self.breach);
                let highest = self.claimed.entry(kind).or_default();
                *highest = epoch.max(*highest);
                Ok(Answer::Claimed {
                    claim,
                    checkpoint,
                    receipts: self.receipts.clone(),
                    journals: self.journals.clone(),
                })
            }
            Op::Write { claim, lane, effect } => {
                if guarded && !fences.allow(lane, epoch, claim) {
                    self.refused += 1;
                    return Ok(Answer::Fenced);
                }
                let highest = self.claimed.get(&kind).copied().unwrap_or_default();
                if watched && epoch < highest {
                    return Err(format!(
                        "{kind} committed on lane {lane} under epoch {epoch} after {highest} had claimed"
                    ));
                }
                self.commit(kind, lane, effect)?;
                Ok(Answer::Written)
            }
        }
    }

    fn commit(&mut self, kind: ComponentKind, lane: u64, effect: Effect) -> Result<(), Violation> {
        match effect {
            Effect::Chunk {
                chunk,
                rows,
                snapshot,
            } => {
                let added = (chunk == CHUNKS).then_some(snapshot);
                self.rows.copy(&rows, added)?;
                self.receipts.insert(chunk, snapshot);
                Ok(())
            }
            Effect::Apply {
                numbers,
                safe_until,
                snapshot,
                watermark,
                above,
            } => {
                self.rows.begin(watermark);
                for n in numbers {
                    self.rows.apply(n, safe_until, snapshot)?;
                }
                let fences = self.fences.entry(kind).or_default();
                fences.note(lane, watermark, above);
                let (low, last) = self.rows.applied();
                let (watermark, above) = fences.checkpoint(None).unwrap_or_default();
                let untrue = above.iter().find(|n| !self.rows.is_applied(**n));
                if watermark > low || untrue.is_some() {
                    return Err(format!(
                        "the lanes say {watermark} and {above:?}, applied is {low} and not {untrue:?}"
                    ));
                }
                let unsaid = (watermark + 1..=last).find(|n| self.rows.is_applied(*n) && !above.contains(n));
                match unsaid {
                    Some(n) => Err(format!(
                        "{n} is applied and no lane says so: {watermark} and {above:?}"
                    )),
                    None => Ok(()),
                }
            }
            Effect::Note { run, note } => {
                if let Note::Chunk(chunk) = &note
                    && !self.has_compared(run, *chunk)
                {
                    return Err(format!(
                        "chunk {chunk} is noted and was not compared in run {run}"
                    ));
                }
                if let Note::Result(found) = &note {
                    if let Some(chunk) = (0..CHUNKS).find(|chunk| !self.has_compared(run, *chunk)) {
                        return Err(format!(
                            "a result is told and chunk {chunk} was not compared in run {run}"
                        ));
                    }
                    self.rows.judge(found)?;
                }
                self.journals.entry(run).or_default().note(note);
                Ok(())
            }
        }
    }

    fn has_compared(&self, run: u64, chunk: u64) -> bool {
        self.compared.get(&run).is_some_and(|c| c.contains(&chunk))
    }

    /// Somebody saw both sides of a chunk.
    pub(crate) fn compares(&mut self, run: u64, chunk: u64) {
        self.compared.entry(run).or_default().insert(chunk);
    }

    /// Whether a verification has begun and not told its result.
    pub(crate) fn is_verifying(&self) -> bool {
        self.latest.is_some_and(|run| !self.has_result(run))
    }

    /// Whether this run of verification has told its result.
    pub(crate) fn has_result(&self, run: u64) -> bool {
        self.journals.get(&run).is_some_and(|j| j.result.is_some())
    }
}
