//! Which chunks of a table are left.

use std::collections::VecDeque;

use oms_core::{ChunkRange, ChunkReceipt, Row};

use crate::ApplyError;

/// The chunks of a table with a key, planned as they are taken. Pure.
///
/// Chunks are numbered in key order. Keys are never compared, only tested for being the same:
/// a chunk begins where the one before it ends.
#[derive(Debug)]
pub struct ChunkPlan {
    gaps: VecDeque<(u64, ChunkRange)>,
    /// Number and lower end of the first chunk that has no upper end yet; `None` when all have.
    frontier: Option<(u64, Option<Row>)>,
}

impl ChunkPlan {
    /// What the receipts leave, which may come in any order.
    ///
    /// # Errors
    /// [`ApplyError::Protocol`] when they do not fit together.
    pub fn after(mut receipts: Vec<ChunkReceipt>) -> Result<Self, ApplyError> {
        receipts.sort_by_key(|r| r.number);
        let mut gaps = VecDeque::new();
        let mut next = 0;
        let mut cursor: Option<Row> = None;
        let mut ended = false;
        for receipt in receipts {
            let bad = || {
                ApplyError::Protocol(format!(
                    "the receipt of chunk {} of {} does not fit to those before it",
                    receipt.number, receipt.table
                ))
            };
            if ended || receipt.number < next {
                return Err(bad());
            }
            if receipt.range.after != cursor {
                // Its numbers were given to chunks that were not finished.
                if receipt.number == next || receipt.range.after.is_none() {
                    return Err(bad());
                }
                let range = ChunkRange {
                    after: cursor,
                    through: receipt.range.after.clone(),
                };
                gaps.push_back((next, range));
            }
            next = receipt.number + 1;
            ended = receipt.range.through.is_none();
            cursor = receipt.range.through;
        }
        Ok(Self {
            gaps,
            frontier: (!ended).then_some((next, cursor)),
        })
    }

    /// A chunk whose both ends are known, if one is left.
    pub fn take_gap(&mut self) -> Option<(u64, ChunkRange)> {
        self.gaps.pop_front()
    }

    /// Where the next chunk begins: `None` if every chunk has an end, `Some(None)` for the
    /// beginning of the table.
    pub fn frontier(&self) -> Option<Option<&Row>> {
        self.frontier.as_ref().map(|(_, after)| after.as_ref())
    }

    /// Ends the next chunk at a key (`None`: it is the last one) and takes it.
    pub fn advance(&mut self, through: Option<Row>) -> Option<(u64, ChunkRange)> {
        let (number, after) = self.frontier.take()?;
        if through.is_some() {
            self.frontier = Some((number + 1, through.clone()));
        }
        Some((number, ChunkRange { after, through }))
    }

    /// Whether nothing is left to take.
    pub fn is_empty(&self) -> bool {
        self.gaps.is_empty() && self.frontier.is_none()
    }
}

#[cfg(test)]
mod tests {
    use oms_core::{RowBuilder, TableName, Value};
    use proptest::prelude::*;

    use super::*;

    fn key(v: i64) -> Row {
        RowBuilder::build([Value::Int(v)].into_iter()).unwrap()
    }

    fn value(row: &Option<Row>) -> Option<i64> {
        row.as_ref().map(|r| match r.get(0) {
            Value::Int(v) => v,
            _ => unreachable!(),
        })
    }

    fn receipt(number: u64, range: ChunkRange) -> ChunkReceipt {
        ChunkReceipt {
            table: TableName::new("d", "t"),
            number,
            range,
            rows: 1,
            bytes: 1,
            snapshot: None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Over any number of passes that each finish some of the chunks they took, every key ends
        /// up in exactly one chunk.
        #[test]
        fn passes_cover_every_key_once(passes in prop::collection::vec(prop::collection::vec((1i64..8, any::<bool>()), 0..12), 0..6)) {
            const END: i64 = 40;
            let mut receipts: Vec<ChunkReceipt> = Vec::new();
            let mut run = |steps: &mut dyn Iterator<Item = (i64, bool)>| -> Result<(), TestCaseError> {
                let mut plan = ChunkPlan::after(receipts.clone()).unwrap();
                for (size, finished) in steps {
                    let taken = plan.take_gap().or_else(|| {
                        let after = plan.frontier()?.map(|r| value(&Some(r.clone())).unwrap()).unwrap_or(0);
                        let through = (after + size < END).then(|| key(after + size));
                        plan.advance(through)
                    });
                    match taken {
                        Some((number, range)) if finished => receipts.push(receipt(number, range)),
                        Some(_) => {}
                        None => break,
                    }
                }
                Ok(())
            };
            for pass in &passes {
                run(&mut pass.iter().copied())?;
            }
            run(&mut std::iter::repeat((5, true)))?;
            prop_assert!(ChunkPlan::after(receipts.clone()).unwrap().is_empty());
            for k in 1..60 {
                let holders = receipts.iter().filter(|r| {
                    value(&r.range.after).is_none_or(|a| k > a) && value(&r.range.through).is_none_or(|t| k <= t)
                });
                prop_assert_eq!(holders.count(), 1, "{}", k);
            }
        }
    }

    #[test]
    fn receipts_that_contradict_each_other_are_refused() {
        let range = |a: Option<i64>, b: Option<i64>| ChunkRange {
            after: a.map(key),
            through: b.map(key),
        };
        let overlap = vec![
            receipt(0, range(None, Some(5))),
            receipt(1, range(Some(4), Some(9))),
        ];
        assert!(ChunkPlan::after(overlap).is_err());
        let behind_the_end = vec![receipt(0, range(None, None)), receipt(1, range(Some(4), Some(9)))];
        assert!(ChunkPlan::after(behind_the_end).is_err());
    }
}
