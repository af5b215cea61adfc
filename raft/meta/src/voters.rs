//! Who should vote.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use oms_proto::{meta::NodeRecord, v1::NodeState};

use crate::{
    MetaState,
    node::{is_removed, state_of},
    view::{ClusterView, Liveness, Members},
};

/// When voters change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoterPolicy {
    /// A voter that has been lost for this long gives its vote to a learner, if one is there. Milliseconds.
    pub lost_ms: u64,
}

impl Default for VoterPolicy {
    fn default() -> Self {
        Self { lost_ms: 30_000 }
    }
}

/// The next change of who takes part in consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VoterChange {
    /// Exactly these nodes vote, in one step; who loses its vote stays a learner. An odd number, never none.
    Voters {
        /// All voters after the change; each is a voter or a learner now.
        voters: BTreeSet<u64>,
        /// Why, for the log.
        because: String,
    },
    /// A learner leaves consensus: its node was removed from the cluster.
    Forget {
        /// The learner.
        node: u64,
    },
}

/// The next change of voters, if one is due: [`VoterPolicy::change`] with the default policy.
pub fn voter_change(
    state: &MetaState,
    view: &ClusterView,
    members: &Members,
    _now_ms: i64,
) -> Option<VoterChange> {
    VoterPolicy::default().change(state, view, members)
}

/// Whether a node may vote: removed ones may not.
fn may_vote(node: &NodeRecord) -> bool {
    !is_removed(node)
}

/// A draining node keeps its vote until another can have it: a vote costs it nothing, and with one voter less there
/// would be one copy less of what was acknowledged.
fn is_leaving(node: &NodeRecord) -> bool {
    state_of(node) == NodeState::Draining
}

/// How good a set of voters is; more is better, in the order of the fields. Says nothing about which node leads, so
/// that two leaders agree and every change is a gain.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    /// Members that must not vote.
    forbidden: Reverse<usize>,
    /// Distance from the number that there should be.
    missing: Reverse<usize>,
    /// Members that have been lost for long, or are leaving.
    lost: Reverse<usize>,
    regions: usize,
    most_in_region: Reverse<usize>,
    zones: usize,
    most_in_zone: Reverse<usize>,
    witnesses: usize,
}

impl VoterPolicy {
    /// The next change, if one is due.
    ///
    /// There should be one voter for fewer than three nodes that may vote, three for three or four, five for more,
    /// spread over regions and zones as evenly as can be, witnesses first. A change that was begun and not finished is
    /// finished before anything else. Nothing changes while the leader does not
    /// know about a voter, while the present voters have no majority, or when the new ones would have none. Of several
    /// voters none but the leader is made the only one: another leads first. At most one change must be under way at a
    /// time: call again when it is done.
    pub fn change(&self, state: &MetaState, view: &ClusterView, members: &Members) -> Option<VoterChange> {
        let removed = |id: &&u64| state.node(**id).is_none_or(is_removed);
        let unknown = |id: &u64| view.liveness(*id) == Liveness::Unknown;
        if members.voters.is_empty() || members.voters.iter().any(unknown) {
            return None;
        }
        let has_majority =
            |set: &BTreeSet<u64>| set.iter().filter(|id| view.is_alive(**id)).count() > set.len() / 2;
        if !members.former.iter().chain([&members.voters]).all(has_majority) {
            return None;
        }
        // The leader that began it did not get to its end. Until then each set must agree, and losing a majority of
        // the smaller one would stop the cluster.
        if !members.former.is_empty() {
            return Some(VoterChange::Voters {
                voters: members.voters.clone(),
                because: "a change of voters that was begun is finished".to_owned(),
            });
        }
        let eligible = state
            .nodes()
            .filter(|n| may_vote(n) && (!is_leaving(n) || members.voters.contains(&n.id)))
            .count();
        let target = match eligible {
            0..=2 => 1,
            3 | 4 => 3,
            _ => 5,
        };
        let chosen = self.choose(state, view, members, target);
        let chosen = self.safely(state, view, members, chosen);
        let now = self.worth(state, view, &members.voters, target);
        let better =
            !chosen.is_empty() && self.worth(state, view, &chosen, target) > now && has_majority(&chosen);
        if better {
            let because = self.because(state, view, members, &chosen);
            return Some(VoterChange::Voters {
                voters: chosen,
                because,
            });
        }
        let node = members.learners.iter().find(removed).copied()?;
        Some(VoterChange::Forget { node })
    }

    /// Of several voters none but the leader becomes the only one. Another may have been lost a moment ago, and nobody has noticed:
    /// the rest could go on without it, but not once a change has begun that only its vote completes. That the leader is there is
    /// certain. One that is to go hands over first: an empty set as long as a voter is there that may lead in its place.
    fn safely(
        &self,
        state: &MetaState,
        view: &ClusterView,
        members: &Members,
        chosen: BTreeSet<u64>,
    ) -> BTreeSet<u64> {
        if chosen.len() != 1 || members.voters.len() == 1 || chosen.contains(&view.me) {
            return chosen;
        }
        let own = state.node(view.me);
        let better = |node: &NodeRecord| {
            may_vote(node)
                && view.is_alive(node.id)
                && own.is_none_or(|own| !may_vote(own) || is_leaving(own) && !is_leaving(node))
        };
        let mut others = members.voters.iter().filter(|id| **id != view.me);
        match others.any(|id| state.node(*id).is_some_and(better)) {
            true => BTreeSet::new(),
            false => chosen,
        }
    }

    fn long_lost(&self, view: &ClusterView, id: u64) -> bool {
        matches!(view.liveness(id), Liveness::Lost { for_ms } if for_ms >= self.lost_ms)
    }

    /// Picks one after the other where there are fewest yet. An odd number of at most `target`.
    fn choose(
        &self,
        state: &MetaState,
        view: &ClusterView,
        members: &Members,
        target: usize,
    ) -> BTreeSet<u64> {
        let mut pool: Vec<&NodeRecord> = state
            .nodes()
            .filter(|n| may_vote(n))
            .filter(|n| {
                members.voters.contains(&n.id)
                    || (members.learners.contains(&n.id) && view.is_alive(n.id) && !is_leaving(n))
            })
            .collect();
        let size = match pool.len().min(target) {
            even if even % 2 == 0 => even.saturating_sub(1),
            odd => odd,
        };
        let mut chosen: Vec<&NodeRecord> = Vec::new();
        while chosen.len() < size {
            let best = pool.iter().enumerate().min_by_key(|(_, n)| {
                let in_region = chosen.iter().filter(|c| c.region == n.region).count();
                let in_zone = chosen
                    .iter()
                    .filter(|c| c.region == n.region && c.zone == n.zone)
                    .count();
                (
                    is_leaving(n) || self.long_lost(view, n.id),
                    // The leader keeps its vote, so that changing voters does not cost an election.
                    n.id != view.me,
                    self.long_lost(view, n.id),
                    in_region,
                    in_zone,
                    !n.witness,
                    !members.voters.contains(&n.id),
                    n.id,
                )
            });
            let Some((at, _)) = best else { break };
            chosen.push(pool.remove(at));
        }
        chosen.iter().map(|n| n.id).collect()
    }

    fn worth(&self, state: &MetaState, view: &ClusterView, set: &BTreeSet<u64>, target: usize) -> Worth {
        let mut regions: BTreeMap<&str, usize> = BTreeMap::new();
        let mut zones: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let (mut forbidden, mut lost, mut witnesses) = (0, 0, 0);
        for id in set {
            let Some(node) = state.node(*id).filter(|n| may_vote(n)) else {
                forbidden += 1;
                continue;
            };
            lost += usize::from(self.long_lost(view, *id) || is_leaving(node));
            witnesses += usize::from(node.witness);
            *regions.entry(&node.region).or_default() += 1;
            *zones.entry((&node.region, &node.zone)).or_default() += 1;
        }
        Worth {
            forbidden: Reverse(forbidden),
            missing: Reverse(set.len().abs_diff(target)),
            lost: Reverse(lost),
            regions: regions.len(),
            most_in_region: Reverse(regions.values().copied().max().unwrap_or_default()),
            zones: zones.len(),
            most_in_zone: Reverse(zones.values().copied().max().unwrap_or_default()),
            witnesses,
        }
    }

    fn because(
        &self,
        state: &MetaState,
        view: &ClusterView,
        members: &Members,
        chosen: &BTreeSet<u64>,
    ) -> String {
        let reasons = members.voters.difference(chosen).map(|id| {
            let why = match state.node(*id).map(state_of) {
                None | Some(NodeState::Removed) => "was removed",
                Some(NodeState::Draining) => "is drained",
                Some(_) if self.long_lost(view, *id) => "is down",
                Some(_) => "makes room for a better spread",
            };
            format!("node {id} {why}")
        });
        let gained = chosen
            .difference(&members.voters)
            .map(|id| format!("node {id} joins the voters"));
        reasons.chain(gained).collect::<Vec<_>>().join(", ")
    }
}
