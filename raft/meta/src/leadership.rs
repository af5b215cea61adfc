//! Who should lead.

use std::{cmp::Reverse, collections::BTreeMap};

use oms_proto::{meta::NodeRecord, v1::NodeState};
use oms_types::codes;

use crate::{
    MetaState,
    node::state_of,
    state::{Outcome, refuse},
    view::{ClusterView, Members},
};

/// Regions that can be preferred.
const MAX_REGIONS: usize = 16;
/// Characters of a region's name.
const MAX_NAME: usize = 500;

impl MetaState {
    /// Replaces the list of regions that the leader should be in.
    pub(crate) fn set_preferred_regions(&mut self, regions: &[String]) -> Outcome {
        if regions.len() > MAX_REGIONS {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!("at most {MAX_REGIONS} regions can be preferred"),
            );
        }
        for (at, region) in regions.iter().enumerate() {
            if region.trim().is_empty() || region.chars().count() > MAX_NAME {
                return refuse(
                    codes::api::INVALID_ARGUMENT,
                    format!("the name of a region has 1 to {MAX_NAME} characters"),
                );
            }
            if regions.iter().take(at).any(|earlier| earlier == region) {
                return refuse(
                    codes::api::INVALID_ARGUMENT,
                    format!("region {region:?} is named twice"),
                );
            }
        }
        self.preferred_regions = regions.into();
        Ok(0)
    }
}

/// When leadership is handed over. All times are milliseconds of the leader's monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeadershipPolicy {
    /// A leader that may stay, and only stands in a region that is not the best one, stays at least this long.
    pub residence_ms: u64,
    /// A voter must have been there for this long before it is preferred for its region.
    pub steady_ms: u64,
    /// A leader that is cordoned, draining or removed stays at least this long: until every lease that an earlier
    /// leader may have given is over.
    pub leaving_ms: u64,
    /// After a handover that failed, nothing is tried for this long; twice as long after each further one.
    pub pause_ms: u64,
    /// The longest pause.
    pub longest_pause_ms: u64,
}

impl LeadershipPolicy {
    /// The times that fit a lease: 20 s, 10 s, 3 s, 10 s and 10 minutes with the default of 2,500 ms.
    pub fn of_lease(lease_ms: u64) -> Self {
        Self {
            residence_ms: lease_ms.saturating_mul(8),
            steady_ms: lease_ms.saturating_mul(4),
            leaving_ms: lease_ms.saturating_mul(6) / 5,
            pause_ms: lease_ms.saturating_mul(4),
            longest_pause_ms: lease_ms.saturating_mul(240),
        }
    }
}

/// What a leader knows about its own time in office.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenure {
    /// How long it has led.
    pub led_ms: u64,
    /// How many handovers in a row failed.
    pub failures: u32,
    /// How long ago the last one was tried, if one was.
    pub tried_ms: Option<u64>,
}

/// What the leader knows about the voters besides whether they are alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followers {
    /// The end of the leader's log.
    pub last_log: u64,
    /// Up to where each member has stored it.
    pub matched: BTreeMap<u64, u64>,
    /// For how long each has been alive without a break.
    pub steady_ms: BTreeMap<u64, u64>,
}

/// Entries that a voter may lack and still be caught up: it gets them while the leader waits.
const LATE: u64 = 64;
/// The feature level that a node needs to understand that it shall stand for election.
const LEVEL: u32 = 3;

/// To whom the leader should hand over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// A voter that is alive and has the leader's log, nearly.
    pub to: u64,
    /// Why, for the log.
    pub because: String,
}

/// How good a node is as the leader; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Active before cordoned before draining before removed.
    standing: u8,
    /// The place of its region in the list.
    region: usize,
}

fn rank(state: &MetaState, node: Option<&NodeRecord>) -> Rank {
    let regions = state.preferred_regions();
    let standing = match node.map(state_of) {
        Some(NodeState::Active | NodeState::Unspecified) => 0,
        Some(NodeState::Cordoned) => 1,
        Some(NodeState::Draining) => 2,
        Some(NodeState::Removed) | None => 3,
    };
    let region = node.and_then(|n| regions.iter().position(|r| *r == n.region));
    Rank {
        standing,
        region: region.unwrap_or(regions.len()),
    }
}

impl LeadershipPolicy {
    /// To whom the leader, `view.me`, should hand over now, if to anybody.
    ///
    /// To the best voter that [`successor`] finds, when it is strictly better than the leader: its state is better
    /// (active, cordoned, draining, removed in this order), or as good and its region stands earlier in the list.
    /// `Better` is a strict order that depends on state and regions alone, so while those stay as they are,
    /// leadership never goes round in a circle.
    pub fn handover(
        &self,
        state: &MetaState,
        view: &ClusterView,
        members: &Members,
        followers: &Followers,
        tenure: Tenure,
    ) -> Option<Handover> {
        if !members.voters.contains(&view.me) || self.pauses(tenure) {
            return None;
        }
        let mine = rank(state, state.node(view.me));
        let steady = |n: &NodeRecord| {
            let leaving = rank(state, Some(n)).standing < mine.standing;
            leaving
                || followers
                    .steady_ms
                    .get(&n.id)
                    .is_some_and(|ms| *ms >= self.steady_ms)
        };
        let node = best(state, view, members, followers, steady)?;
        let theirs = rank(state, Some(node));
        let leaving = theirs.standing < mine.standing;
        let residence = if leaving {
            self.leaving_ms
        } else {
            self.residence_ms
        };
        if theirs >= mine || tenure.led_ms < residence {
            return None;
        }
        let because = match (leaving, mine.standing) {
            (true, 1) => format!("node {} is cordoned", view.me),
            (true, 2) => format!("node {} is drained", view.me),
            (true, _) => format!("node {} was removed", view.me),
            (false, _) => format!("region {:?} is preferred", node.region),
        };
        Some(Handover { to: node.id, because })
    }

    fn pauses(&self, tenure: Tenure) -> bool {
        let doubled = tenure.failures.saturating_sub(1).min(32);
        let pause = self
            .pause_ms
            .saturating_mul(1 << doubled)
            .min(self.longest_pause_ms);
        tenure.failures > 0 && tenure.tried_ms.is_some_and(|ago| ago < pause)
    }
}

/// The voter that should lead when `view.me` does not: one that is alive, has the log and understands the request.
/// The best by state, then by region; among equals no witness before a witness, then the one with more of the log.
pub fn successor(
    state: &MetaState,
    view: &ClusterView,
    members: &Members,
    followers: &Followers,
) -> Option<u64> {
    best(state, view, members, followers, |_| true).map(|n| n.id)
}

fn best<'a>(
    state: &'a MetaState,
    view: &ClusterView,
    members: &Members,
    followers: &Followers,
    fits: impl Fn(&NodeRecord) -> bool,
) -> Option<&'a NodeRecord> {
    let others = members.voters.iter().filter(|id| **id != view.me);
    others
        .filter(|id| view.is_alive(**id))
        .filter_map(|id| state.node(*id))
        .filter(|n| n.feature_level >= LEVEL && state_of(n) != NodeState::Removed && fits(n))
        .filter_map(|n| {
            let matched = followers.matched.get(&n.id).copied()?;
            (matched.saturating_add(LATE) >= followers.last_log).then_some((n, matched))
        })
        .min_by_key(|(n, matched)| (rank(state, Some(n)), n.witness, Reverse(*matched), n.id))
        .map(|(n, _)| n)
}
