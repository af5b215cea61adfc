//! Made-up histories of a table.

use std::collections::BTreeMap;

use super::TableShape;
use crate::{ApplyMode, Row, RowOp};

/// A small generator: the suite's histories are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number from 0 to `bound - 1`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    /// All states of a table from a first one on, and the changes between them.
    pub(crate) fn history(&mut self, shape: TableShape) -> (Vec<BTreeMap<i64, Row>>, Vec<RowOp>) {
        let random = self;
        let unique = shape == TableShape::KeyedAndUnique;
        let mut now: BTreeMap<i64, (Option<i64>, Row)> = BTreeMap::new();
        let free = |now: &BTreeMap<i64, (Option<i64>, Row)>, random: &mut Random| {
            let u = Some(random.below(6) as i64);
            if unique && now.values().any(|(other, _)| *other == u) {
                None
            } else {
                u
            }
        };
        let make =
            |id, u, random: &mut Random| (u, TableShape::row(id, u, Some(["a", "b", "c"][random.below(3)])));
        for id in 0..6 {
            let u = free(&now, random);
            let row = make(id, u, random);
            now.insert(id, row);
        }
        let plain =
            |now: &BTreeMap<i64, (Option<i64>, Row)>| now.iter().map(|(id, r)| (*id, r.1.clone())).collect();
        let mut states = vec![plain(&now)];
        let mut ops = Vec::new();
        for _ in 0..80 {
            let id = random.below(12) as i64;
            let before = now.remove(&id);
            let u = free(&now, random);
            match (before, random.below(4)) {
                (None, _) => {
                    let row = make(id, u, random);
                    ops.push(op(None, Some(&row.1)));
                    now.insert(id, row);
                }
                (Some(before), 0) => ops.push(op(Some(&before.1), None)),
                (Some(before), kind) => {
                    let moved = random.below(12) as i64;
                    let to = if kind == 1 && !now.contains_key(&moved) {
                        moved
                    } else {
                        id
                    };
                    let row = make(to, u, random);
                    ops.push(op(Some(&before.1), Some(&row.1)));
                    now.insert(to, row);
                }
            }
            states.push(plain(&now));
        }
        (states, ops)
    }
}

fn op(before: Option<&Row>, after: Option<&Row>) -> RowOp {
    RowOp {
        table: 0,
        mode: ApplyMode::Safe,
        before: before.cloned(),
        after: after.cloned(),
        origin: None,
    }
}
