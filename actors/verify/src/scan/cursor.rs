//! Which chunk comes next.

use oms_core::{ChunkRange, Row};

use crate::{Side, results::DoneChunk};

/// A chunk to compare.
#[derive(Clone, Debug)]
pub(crate) struct NextChunk {
    pub(crate) side: Side,
    pub(crate) number: u64,
    pub(crate) range: ChunkRange,
}

/// Where the scan of a table is. Chunks are planned one after the other, along the keys of the side
/// that is scanned, and together hold every key: the first is open below, the last above.
#[derive(Debug)]
pub(crate) struct Cursor {
    /// Parts that were planned before and not finished.
    holes: Vec<NextChunk>,
    /// The scans to do, each with where it is.
    scans: Vec<Scan>,
}

#[derive(Debug)]
struct Scan {
    side: Side,
    number: u64,
    after: Option<Row>,
}

/// What is to be planned.
pub(crate) enum Plan {
    /// A range that is known.
    Known(NextChunk),
    /// The chunk behind this key, whose end is to be asked for.
    Behind {
        side: Side,
        number: u64,
        after: Option<Row>,
    },
    /// Everything is planned.
    Exhausted,
}

impl Cursor {
    /// Nothing to scan.
    pub(crate) fn exhausted() -> Self {
        Self {
            holes: Vec::new(),
            scans: Vec::new(),
        }
    }

    /// Scans of these sides, without the chunks that are done.
    pub(crate) fn new(sides: &[Side], done: &[DoneChunk]) -> Self {
        let mut cursor = Self::exhausted();
        // Taken from the end.
        for side in sides.iter().rev() {
            let mut chunks: Vec<&DoneChunk> = done.iter().filter(|c| c.side == *side).collect();
            chunks.sort_by_key(|c| c.number);
            let (mut number, mut after, mut open_end) = (0, None, false);
            for chunk in chunks {
                let range = chunk.range();
                if range.after != after {
                    cursor.holes.push(NextChunk {
                        side: *side,
                        number,
                        range: ChunkRange {
                            after,
                            through: range.after,
                        },
                    });
                }
                number = chunk.number + 1;
                open_end = range.through.is_none();
                after = range.through;
            }
            if !open_end {
                cursor.scans.push(Scan {
                    side: *side,
                    number,
                    after,
                });
            }
        }
        cursor
    }

    /// What comes next.
    pub(crate) fn plan(&mut self) -> Plan {
        if let Some(hole) = self.holes.pop() {
            return Plan::Known(hole);
        }
        match self.scans.last() {
            Some(scan) => Plan::Behind {
                side: scan.side,
                number: scan.number,
                after: scan.after.clone(),
            },
            None => Plan::Exhausted,
        }
    }

    /// The chunk that [`Plan::Behind`] asked for ends here; `None`: it is the last.
    pub(crate) fn planned(&mut self, through: Option<Row>) {
        match (self.scans.last_mut(), through) {
            (Some(scan), Some(key)) => {
                scan.number += 1;
                scan.after = Some(key);
            }
            _ => {
                self.scans.pop();
            }
        }
    }

    /// Whether nothing is left to plan.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.holes.is_empty() && self.scans.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use oms_core::{RowBuilder, Value};
    use proptest::prelude::*;

    use super::*;

    fn key(n: i64) -> Row {
        RowBuilder::build([Value::Int(n)].into_iter()).unwrap()
    }

    /// Runs a cursor over keys 0..100 with chunks of ten, as a worker does.
    fn next(cursor: &mut Cursor) -> Option<NextChunk> {
        match cursor.plan() {
            Plan::Known(chunk) => Some(chunk),
            Plan::Exhausted => None,
            Plan::Behind { side, number, after } => {
                let start = after.as_ref().map_or(0, |k| match k.get(0) {
                    Value::Int(n) => n + 1,
                    _ => unreachable!(),
                });
                let through = (start + 10 <= 95).then(|| key(start + 9));
                cursor.planned(through.clone());
                Some(NextChunk {
                    side,
                    number,
                    range: ChunkRange { after, through },
                })
            }
        }
    }

    proptest! {
        /// Whatever was done before any number of crashes, what is done in the end covers every key once.
        #[test]
        fn resumed_chunks_cover_all_keys_once(crashes in prop::collection::vec(prop::collection::vec(any::<bool>(), 1..9), 0..6)) {
            let mut done: Vec<DoneChunk> = Vec::new();
            for crash in crashes {
                let mut cursor = Cursor::new(&[Side::Source], &done);
                for finished in crash {
                    let Some(chunk) = next(&mut cursor) else { break };
                    if finished {
                        done.push(DoneChunk::new(chunk.side, chunk.number, &chunk.range));
                    }
                }
            }
            let mut cursor = Cursor::new(&[Side::Source], &done);
            while let Some(chunk) = next(&mut cursor) {
                done.push(DoneChunk::new(chunk.side, chunk.number, &chunk.range));
            }
            prop_assert!(cursor.is_exhausted() && Cursor::new(&[Side::Source], &done).is_exhausted());
            for n in -5..120 {
                let holds = |c: &&DoneChunk| {
                    let bound = |k: &Option<Row>| k.as_ref().map(|k| match k.get(0) { Value::Int(v) => v, _ => 0 });
                    let range = c.range();
                    bound(&range.after).is_none_or(|a| a < n) && bound(&range.through).is_none_or(|t| n <= t)
                };
                prop_assert_eq!(done.iter().filter(holds).count(), 1, "key {}", n);
            }
        }
    }
}
