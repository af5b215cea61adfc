//! A source that is written to, and a destination that keeps fences, positions and receipts.
//!
//! Transaction `n` of the source sets row `n mod KEYS` of a table with a key to `n`, and adds a row `n` to a table
//! without one. The destination checks with every commit what must hold: it knows what nobody else knows.

use std::collections::BTreeMap;

use oms_types::ComponentKind;

/// Rows of the table with a key.
pub(crate) const KEYS: u64 = 12;
/// Chunks in which these are copied; one more holds the table without a key.
pub(crate) const CHUNKS: u64 = 4;

/// What must never happen, in words.
pub(crate) type Violation = String;

/// The rows of a source: the number of its last transaction says everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    pub(crate) end: u64,
}

impl Source {
    /// The last transaction up to `n` that set this key; 0: none.
    pub(crate) fn value(key: u64, n: u64) -> u64 {
        let back = (n + KEYS - key % KEYS) % KEYS;
        n.saturating_sub(back)
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
    /// Source transactions and the position, together.
    Apply {
        first: u64,
        last: u64,
        safe_until: u64,
        snapshot: u64,
    },
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Claim,
    Write { claim: u64, effect: Effect },
}

/// Its answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Claimed {
        claim: u64,
        applied: Option<u64>,
        receipts: BTreeMap<u64, u64>,
    },
    Written,
    Fenced,
}

#[derive(Clone, Debug, Default)]
struct Fence {
    epoch: u64,
    claim: u64,
}

/// What is watched or left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guards {
    /// The destination compares epoch and claim.
    pub(crate) fence: bool,
    /// A commit below the highest claimed epoch is a violation by itself.
    pub(crate) watch_epochs: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Destination {
    guards: Guards,
    fences: BTreeMap<ComponentKind, Fence>,
    /// The highest epoch that ever claimed, kept apart from the fences.
    claimed: BTreeMap<ComponentKind, u64>,
    pub(crate) applied: Option<u64>,
    receipts: BTreeMap<u64, u64>,
    keyed: Vec<u64>,
    /// How often each row of the table without a key is there.
    keyless: Vec<u8>,
    pub(crate) refused: u64,
}

impl Destination {
    pub(crate) fn new(guards: Guards) -> Self {
        Self {
            guards,
            fences: BTreeMap::new(),
            claimed: BTreeMap::new(),
            applied: None,
            receipts: BTreeMap::new(),
            keyed: vec![0; usize::try_from(KEYS).unwrap()],
            keyless: Vec::new(),
            refused: 0,
        }
    }

    /// Carries out a request in one transaction.
    pub(crate) fn execute(&mut self, kind: ComponentKind, epoch: u64, op: &Op) -> Result<Answer, Violation> {
        let fence = self.fences.entry(kind).or_default();
        match op {
            Op::Claim => {
                if self.guards.fence && fence.epoch > epoch {
                    self.refused += 1;
                    return Ok(Answer::Fenced);
                }
                fence.epoch = epoch;
                fence.claim += 1;
                let claim = fence.claim;
                let highest = self.claimed.entry(kind).or_default();
                *highest = epoch.max(*highest);
                Ok(Answer::Claimed {
                    claim,
                    applied: self.applied,
                    receipts: self.receipts.clone(),
                })
            }
            Op::Write { claim, effect } => {
                if self.guards.fence && (fence.epoch != epoch || fence.claim != *claim) {
                    self.refused += 1;
                    return Ok(Answer::Fenced);
                }
                let highest = self.claimed.get(&kind).copied().unwrap_or_default();
                if self.guards.watch_epochs && epoch < highest {
                    return Err(format!(
                        "{kind} committed under epoch {epoch} after {highest} had claimed"
                    ));
                }
                self.commit(effect)?;
                Ok(Answer::Written)
            }
        }
    }

    fn commit(&mut self, effect: &Effect) -> Result<(), Violation> {
        match effect {
            Effect::Chunk {
                chunk,
                rows,
                snapshot,
            } => {
                for (key, value) in rows {
                    self.keyed[usize::try_from(*key).unwrap()] = *value;
                }
                if *chunk == CHUNKS {
                    for n in 1..=*snapshot {
                        self.add_row(n)?;
                    }
                }
                self.receipts.insert(*chunk, *snapshot);
            }
            Effect::Apply {
                first,
                last,
                safe_until,
                snapshot,
            } => {
                if let Some(applied) = self.applied
                    && *first != applied + 1
                {
                    return Err(format!("{first} was applied after {applied}"));
                }
                for n in *first..=*last {
                    let before = Source::value(n % KEYS, n - 1);
                    let row = &mut self.keyed[usize::try_from(n % KEYS).unwrap()];
                    if n > *safe_until && *row != before {
                        return Err(format!("transaction {n} expected {before} and found {row}"));
                    }
                    *row = n;
                    if n > *snapshot {
                        self.add_row(n)?;
                    }
                }
                self.applied = Some(*last);
            }
        }
        Ok(())
    }

    fn add_row(&mut self, n: u64) -> Result<(), Violation> {
        let at = usize::try_from(n).unwrap();
        if self.keyless.len() <= at {
            self.keyless.resize(at + 1, 0);
        }
        self.keyless[at] += 1;
        if self.keyless[at] > 1 {
            return Err(format!("row {n} of the table without a key is there twice"));
        }
        Ok(())
    }

    /// Whether everything of the source is here, once.
    pub(crate) fn equals(&self, source: &Source) -> Result<(), Violation> {
        for key in 0..KEYS {
            let (found, wanted) = (
                self.keyed[usize::try_from(key).unwrap()],
                Source::value(key, source.end),
            );
            if found != wanted {
                return Err(format!("row {key} is {found}, not {wanted}"));
            }
        }
        let rows = self.keyless.iter().skip(1).filter(|n| **n == 1).count() as u64;
        if rows != source.end {
            return Err(format!(
                "{rows} rows of {} are in the table without a key",
                source.end
            ));
        }
        Ok(())
    }
}
