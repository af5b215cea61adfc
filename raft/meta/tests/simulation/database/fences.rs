//! The fence rows of a component: one of its own, and one for each lane that it ever had.

use std::collections::{BTreeMap, BTreeSet};

use crate::breach::Breach;

#[derive(Clone, Debug, Default)]
struct Fence {
    epoch: u64,
    claim: u64,
    /// What the lane knew to be applied without a gap, and what it named above that.
    state: Option<(u64, BTreeSet<u64>)>,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fences {
    own: Fence,
    lanes: BTreeMap<u64, Fence>,
}

impl Fences {
    /// Raises every row; `None`: a higher epoch was here.
    pub(crate) fn claim(
        &mut self,
        epoch: u64,
        lanes: u64,
        guarded: bool,
        breach: Option<Breach>,
    ) -> Option<u64> {
        if guarded && self.own.epoch > epoch {
            return None;
        }
        for lane in 0..lanes {
            self.lanes.entry(lane).or_default();
        }
        let claim = self.own.claim + 1;
        let all = breach != Some(Breach::OldLanes);
        let used = self.lanes.iter_mut().filter(|(lane, _)| all || **lane < lanes);
        for row in used.map(|(_, row)| row).chain([&mut self.own]) {
            row.epoch = epoch;
            row.claim = claim;
        }
        Some(claim)
    }

    /// Whether this owner may write through this lane.
    pub(crate) fn allow(&self, lane: u64, epoch: u64, claim: u64) -> bool {
        self.lanes
            .get(&lane)
            .is_some_and(|row| row.epoch == epoch && row.claim == claim)
    }

    pub(crate) fn note(&mut self, lane: u64, watermark: u64, above: BTreeSet<u64>) {
        self.lanes.entry(lane).or_default().state = Some((watermark, above));
    }

    /// What all rows together say: the highest watermark, and everything that any row names above it.
    pub(crate) fn checkpoint(&self, breach: Option<Breach>) -> Option<(u64, BTreeSet<u64>)> {
        let states = || self.lanes.values().filter_map(|row| row.state.as_ref());
        let watermark = states().map(|(w, _)| *w).max()?;
        let mut above = BTreeSet::new();
        if breach != Some(Breach::WatermarkAlone) {
            above.extend(states().flat_map(|(_, a)| a).filter(|n| **n > watermark));
        }
        Some((watermark, above))
    }
}
