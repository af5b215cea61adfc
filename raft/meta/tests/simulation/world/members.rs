//! The leader's care for who takes part in consensus, as the daemon does it.

use std::collections::BTreeSet;

use oms_meta::{Liveness, Members, MetaState, VoterChange};
use oms_proto::v1::NodeState;

use super::World;
use crate::{
    breach::Breach,
    database::Violation,
    log::{Config, is_majority},
};

/// A learner that lacks more entries than this is not made a voter yet.
const LATE: u64 = 20;
/// Who has not answered for this many ticks is known to be away: the time until a node counts as lost, the latest packets, and
/// a clock that is slow.
const AWAY: u64 = 100;
/// Who handed over does not stand for election for so many ticks: the others are sooner.
const HANDED_OVER: u64 = 30;
/// Whom it handed over to stands as soon as nobody refuses another leader any more.
const STANDS: u64 = 6;

impl World {
    /// One step towards the members that there should be, if a leader is not busy with the last one.
    pub(super) fn care(&mut self, l: usize) -> Result<(), Violation> {
        if self.tick % 3 != l as u64 % 3 || self.nodes[l].last != self.nodes[l].commit {
            return Ok(());
        }
        if self.nodes[l].leading.is_none() {
            return Ok(());
        }
        let config = self.end(l).config.clone();
        let changing = self.nodes[l].leading.as_mut().and_then(|l| l.changing.take());
        if let Some(goal) = changing {
            // Its call may end early, and then nobody remembers.
            if config.sets.last() == Some(&goal) && config.sets.len() > 1 && !self.random.percent(10) {
                return self.change(l, &config, vec![goal]);
            }
            return Ok(());
        }
        let state = self.known(l).clone();
        if self.resigns(l, &state, &config) {
            return Ok(());
        }
        let members = config.members();
        let is_there = |n: &&oms_proto::meta::NodeRecord| n.state() != NodeState::Removed;
        if let Some(node) = state.nodes().filter(is_there).find(|n| !members.contains(&n.id)) {
            let mut next = (*config).clone();
            next.learners.insert(node.id);
            return self.append(l, Some(next), None, None).map(|_| ());
        }
        let mut view = self.nodes[l].view(members.iter().copied());
        if self.breach == Some(Breach::BlindVoters) {
            for node in view.nodes.values_mut() {
                node.liveness = Liveness::Alive;
            }
        }
        if self.breach == Some(Breach::OneStep) {
            // Nor is the only vote kept for the leader: between sets that it is in, one step is seldom noticed.
            let me = self.nodes[l].id;
            let fits =
                |id: &&u64| **id != me && state.node(**id).is_some_and(|n| n.state() == NodeState::Active);
            let other = config.sets.iter().flatten().find(fits);
            view.me = other.copied().unwrap_or(me);
        }
        let (voters, former) = match &config.sets[..] {
            _ if self.breach == Some(Breach::HalfwayUnseen) => {
                (config.sets.iter().flatten().copied().collect(), Vec::new())
            }
            [former @ .., voters] => (voters.clone(), former.to_vec()),
            [] => (BTreeSet::new(), Vec::new()),
        };
        let members = Members {
            voters,
            former,
            learners: config.learners.clone(),
        };
        match self.voters.change(&state, &view, &members) {
            Some(VoterChange::Voters { voters, .. }) => {
                let end = self.end(l).index;
                let late = |id: &u64| {
                    let log = self.place_of(*id).map_or(0, |n| self.end(n).index);
                    !config.votes(*id) && log + LATE < end
                };
                if voters.iter().any(late) && self.breach != Some(Breach::BlindVoters) {
                    return Ok(());
                }
                self.can_agree(l, &voters)?;
                self.tally.halfway += u64::from(config.sets.len() > 1);
                let last = config.sets.last().cloned().unwrap_or_default();
                let direct = config.sets.contains(&voters) || self.breach == Some(Breach::OneStep);
                let sets = if direct { vec![voters] } else { vec![last, voters] };
                self.change(l, &config, sets)
            }
            Some(VoterChange::Forget { node }) => {
                let mut next = (*config).clone();
                next.learners.remove(&node);
                self.append(l, Some(next), None, None).map(|_| ())
            }
            None => Ok(()),
        }
    }

    /// A leader that is to go hands over to a voter that is better and there, sooner or later.
    fn resigns(&mut self, l: usize, state: &MetaState, config: &Config) -> bool {
        if self.breach == Some(Breach::OneStep) {
            return false;
        }
        let rank = |id: u64| match state.node(id).map(|n| n.state()) {
            Some(NodeState::Active) => 0,
            Some(NodeState::Cordoned) => 1,
            Some(NodeState::Draining) => 2,
            _ => 3,
        };
        let (own, tick) = (rank(self.nodes[l].id), self.tick);
        let answered = self.nodes[l].leading.as_ref().map(|l| l.answered.clone());
        let there = |id: u64| {
            answered
                .as_ref()
                .is_some_and(|a| a.get(&id).is_some_and(|at| at + 5 > tick))
        };
        let better = |id: &&u64| own >= 2 && rank(**id) < own && there(**id);
        let next = config.sets.last().and_then(|s| s.iter().find(better));
        let Some(next) = next.and_then(|id| self.place_of(*id)) else {
            return false;
        };
        if !self.random.percent(20) {
            return false;
        }
        let leader = &mut self.nodes[l];
        (leader.leading, leader.leader) = (None, None);
        (leader.heard_at, leader.patience) = (tick, HANDED_OVER);
        let next = &mut self.nodes[next];
        (next.heard_at, next.patience) = (tick, STANDS);
        true
    }

    fn change(&mut self, l: usize, now: &Config, sets: Vec<BTreeSet<u64>>) -> Result<(), Violation> {
        let goal = sets.last().cloned();
        let mut next = Config {
            sets,
            learners: BTreeSet::new(),
        };
        next.learners = now.members().into_iter().filter(|id| !next.votes(*id)).collect();
        let joint = next.sets.len() > 1;
        if let Some(leading) = self.nodes[l].leading.as_mut() {
            leading.changing = goal.filter(|_| joint);
        }
        self.append(l, Some(next), None, None).map(|_| ())
    }

    /// No voters that could agree on nothing: a majority of them answered this leader lately.
    fn can_agree(&self, l: usize, voters: &BTreeSet<u64>) -> Result<(), Violation> {
        let Some(leading) = &self.nodes[l].leading else {
            return Ok(());
        };
        let there = |id: u64| {
            let at = leading.answered.get(&id).copied().unwrap_or(leading.elected);
            id == self.nodes[l].id || at + AWAY > self.tick
        };
        if is_majority(voters, there) {
            Ok(())
        } else {
            Err(format!(
                "the voters are to be {voters:?}, and no majority of them is there"
            ))
        }
    }

    /// Whether a node may be lost for good: never so many that the metadata would be lost with them.
    pub(crate) fn may_lose(&self, n: usize) -> bool {
        // One that was removed ends by itself.
        let left = |id: u64| {
            let stays = self
                .state()
                .node(id)
                .is_some_and(|r| r.state() != NodeState::Removed);
            stays && self.place_of(id).is_some_and(|m| m != n && !self.nodes[m].gone)
        };
        let ends = self.nodes.iter().filter(|m| !m.gone).map(|m| m.last);
        let survives = ends
            .chain([self.committed])
            .all(|e| self.log.entry(e).config.agrees(left));
        let rest = self
            .state()
            .nodes()
            .filter(|m| m.state() == NodeState::Active && !m.witness);
        survives && rest.filter(|m| left(m.id)).count() >= 2
    }

    /// Whether the members are as they should be, long after the last fault.
    pub(crate) fn members_are_well(&self) -> Result<(), Violation> {
        let config = &self.log.entry(self.committed).config;
        let [voters] = &config.sets[..] else {
            return Err(format!(
                "a change of voters was never finished: {:?}",
                config.sets
            ));
        };
        let lives = |id: &u64| self.place_of(*id).is_some_and(|n| !self.nodes[n].gone);
        let state_of = |id: u64| self.state().node(id).map(|n| n.state());
        let fresh = |id: &u64| matches!(state_of(*id), Some(NodeState::Active | NodeState::Cordoned));
        let able = self
            .nodes
            .iter()
            .map(|n| n.id)
            .filter(|id| fresh(id) && lives(id));
        let (able, live) = (able.count(), voters.iter().filter(|id| lives(id)).count());
        if let Some(removed) = voters
            .iter()
            .find(|id| state_of(**id) == Some(NodeState::Removed))
        {
            return Err(format!("node {removed} was removed and votes in {voters:?}"));
        }
        if live <= voters.len() / 2 || live < able.min(3) && able >= 3 {
            return Err(format!(
                "{live} of the voters {voters:?} live, {able} nodes could"
            ));
        }
        Ok(())
    }
}
