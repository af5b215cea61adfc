//! What has been applied: a low watermark and the set above it.

use serde::{Deserialize, Serialize};

use crate::Position;

/// Every transaction up to and including number `applied` is at the destination.
///
/// Transactions are numbered from 1 in the order of the source's log, starting behind the position
/// at which the component first read. The numbers are reproducible: reading the log again from
/// `position` gives number `applied + 1` to the next transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    /// Number of the last transaction of the gapless prefix.
    pub applied: u64,
    /// The source position behind it.
    pub position: Position,
}

/// Transaction numbers as sorted, disjoint, inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppliedSet {
    ranges: Vec<(u64, u64)>,
}

impl AppliedSet {
    /// Adds one number.
    pub fn insert(&mut self, number: u64) {
        self.insert_range(number, number);
    }

    /// Adds `first..=last`.
    pub fn insert_range(&mut self, first: u64, last: u64) {
        if first > last {
            return;
        }
        if let Some(tail) = self.ranges.last_mut()
            && first >= tail.0
        {
            if first <= tail.1.saturating_add(1) {
                tail.1 = tail.1.max(last);
                return;
            }
            self.ranges.push((first, last));
            return;
        }
        self.ranges.push((first, last));
        self.ranges.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::with_capacity(self.ranges.len());
        for &(s, e) in &self.ranges {
            match merged.last_mut() {
                Some(m) if s <= m.1.saturating_add(1) => m.1 = m.1.max(e),
                _ => merged.push((s, e)),
            }
        }
        self.ranges = merged;
    }

    /// Whether the number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        let at = self.ranges.partition_point(|r| r.1 < number);
        self.ranges.get(at).is_some_and(|r| r.0 <= number)
    }

    /// Removes every number up to and including `number`.
    pub fn remove_through(&mut self, number: u64) {
        self.ranges.retain(|r| r.1 > number);
        if let Some(head) = self.ranges.first_mut() {
            head.0 = head.0.max(number.saturating_add(1));
        }
    }

    /// Adds all numbers of another set.
    pub fn merge(&mut self, other: &Self) {
        for &(s, e) in &other.ranges {
            self.insert_range(s, e);
        }
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.ranges
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// What one lane writes into its row of the fence table, in the transaction that applies a batch:
/// the low watermark that was known, and what *this lane* has applied above it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneState {
    /// The low watermark, when the batch was formed.
    pub watermark: Watermark,
    /// Numbers above the watermark that this lane has applied, this batch included.
    pub above: AppliedSet,
}

/// What a destination knows of a component: the union of its lanes' states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyCheckpoint {
    /// The highest watermark of any lane.
    pub watermark: Watermark,
    /// Everything above it that some lane has applied.
    pub above: AppliedSet,
}

impl ApplyCheckpoint {
    /// Joins the lanes' states. `None` when there are none: nothing was ever applied.
    ///
    /// Lanes may have been more or fewer in the past; every row counts.
    pub fn from_lanes(lanes: impl IntoIterator<Item = LaneState>) -> Option<Self> {
        let mut best: Option<Watermark> = None;
        let mut above = AppliedSet::default();
        for lane in lanes {
            above.merge(&lane.above);
            if best.as_ref().is_none_or(|b| b.applied < lane.watermark.applied) {
                best = Some(lane.watermark);
            }
        }
        best.map(|watermark| {
            above.remove_through(watermark.applied);
            Self { watermark, above }
        })
    }

    /// Whether the transaction with this number is at the destination already.
    pub fn contains(&self, number: u64) -> bool {
        number <= self.watermark.applied || self.above.contains(number)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{BinlogPosition, GtidState};

    fn mark(applied: u64) -> Watermark {
        let at = BinlogPosition {
            server: "s".into(),
            file: "b.1".into(),
            offset: applied,
            gtid: GtidState::None,
        };
        Watermark {
            applied,
            position: Position::Binlog(at),
        }
    }

    proptest! {
        #[test]
        fn set_agrees_with_a_plain_set(numbers in prop::collection::vec(1u64..80, 0..60), cut in 0u64..80) {
            let mut set = AppliedSet::default();
            let mut plain = BTreeSet::new();
            for n in numbers { set.insert(n); plain.insert(n); }
            set.remove_through(cut);
            plain.retain(|n| *n > cut);
            for n in 0..90 { prop_assert_eq!(set.contains(n), plain.contains(&n)); }
            prop_assert!(set.ranges().windows(2).all(|w| w[0].1 + 1 < w[1].0));
        }
    }

    #[test]
    fn lanes_join_to_the_highest_watermark_and_the_union_above() {
        let lane = |w, above: &[u64]| {
            let mut set = AppliedSet::default();
            above.iter().for_each(|n| set.insert(*n));
            LaneState {
                watermark: mark(w),
                above: set,
            }
        };
        let joined = ApplyCheckpoint::from_lanes([lane(3, &[5, 9]), lane(6, &[8])]).unwrap();
        assert_eq!(joined.watermark.applied, 6);
        assert!(joined.contains(5) && !joined.contains(7) && joined.contains(8) && joined.contains(9));
        assert_eq!(ApplyCheckpoint::from_lanes([]), None);
    }
}
