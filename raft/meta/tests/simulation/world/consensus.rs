//! Elections, replication and commits: Raft as every node sees it for itself.
//!
//! A leader's round is one moment: who hears it and is heard answers at once, over slow links only now and then. What
//! matters are the logs, the terms and the sets of voters that each node goes by, and these are its own.

use std::collections::BTreeSet;

use oms_meta::{MetaCommand, MetaState};
use oms_proto::meta::{Command, command::Body};

use super::World;
use crate::{
    breach::Breach,
    database::Violation,
    log::{Config, Entry},
    node::LEASE_US,
};

/// A voter that heard a leader within this many ticks gives its vote to nobody.
const LOYALTY: u64 = 5;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is committed; the version or id that it gave.
    Done(u64),
    Refused(String),
    /// It may be committed later, or never.
    Unknown,
}

impl World {
    /// The metadata that are committed.
    pub(crate) fn state(&self) -> &MetaState {
        &self.log.entry(self.committed).state
    }

    /// The metadata as this node knows them.
    pub(crate) fn known(&self, n: usize) -> &MetaState {
        &self.log.entry(self.nodes[n].commit).state
    }

    /// The end of a node's log.
    pub(crate) fn end(&self, n: usize) -> &Entry {
        self.log.entry(self.nodes[n].last)
    }

    /// Whether a vote may be asked for, as far as this node knows: an entry that takes it away may be dropped again until
    /// it is committed.
    pub(super) fn may_vote(&self, n: usize, id: u64) -> bool {
        let known = &self.log.entry(self.nodes[n].commit).config;
        known.votes(id) || self.end(n).config.votes(id)
    }

    /// The node with this id, if its process was ever started.
    pub(crate) fn place_of(&self, id: u64) -> Option<usize> {
        self.nodes.iter().position(|n| n.id == id)
    }

    /// Everybody who believes to lead and does anything, the latest last.
    pub(super) fn leaders(&self) -> Vec<usize> {
        let leads = |n: &usize| self.nodes[*n].leading.is_some() && self.nodes[*n].acts(self.tick);
        let mut leaders: Vec<usize> = (0..self.nodes.len()).filter(leads).collect();
        leaders.sort_by_key(|n| self.nodes[*n].term);
        leaders
    }

    /// The leader that a user would find.
    pub(crate) fn speaker(&self) -> Option<usize> {
        self.leaders().pop()
    }

    /// Proposes a command to a node that believes to lead. Its clock is the command's.
    pub(crate) fn commit(&mut self, leader: usize, body: MetaCommand) -> Result<Outcome, Violation> {
        let now_ms = self.nodes[leader].wall_ms(self.tick);
        let mut state = self.end(leader).state.clone();
        let report = match &body {
            Body::ReportComponent(r) => Some(Box::new(r.clone())),
            _ => None,
        };
        let moved = match &body {
            Body::AssignComponent(a) if a.raise_epoch => Some((a.failover, a.expected_epoch)),
            _ => None,
        };
        let reply = state.apply(&Command {
            version: oms_meta::VERSION,
            now_ms,
            body: Some(body),
        });
        if let Some(refusal) = reply.refusal {
            return Ok(Outcome::Refused(format!("{}: {}", refusal.code, refusal.message)));
        }
        let done = self.append(leader, None, Some(state), report)?;
        if done && let Some((failover, former)) = moved {
            self.tally.failovers += u64::from(failover);
            self.tally.moves += u64::from(!failover && former > 0);
        }
        Ok(if done {
            Outcome::Done(reply.object_version)
        } else {
            Outcome::Unknown
        })
    }

    /// Appends to a leader's log and tries to have it committed; whether it is.
    pub(super) fn append(
        &mut self,
        leader: usize,
        config: Option<Config>,
        state: Option<MetaState>,
        report: Option<Box<oms_proto::meta::ReportComponent>>,
    ) -> Result<bool, Violation> {
        let node = &self.nodes[leader];
        if node.leading.is_none() {
            return Ok(false);
        }
        let entry = self.log.append(node.last, node.term, config, state, report);
        self.nodes[leader].last = entry;
        self.replicate(leader)?;
        Ok(self.log.contains(self.nodes[leader].commit, entry))
    }

    /// Whether something passes at this tick.
    fn passes(&mut self, from: usize, to: usize) -> bool {
        self.linked(from, to)
            && self
                .slow
                .get(&(from, to))
                .copied()
                .is_none_or(|delay| self.random.below(delay + 1) == 0)
    }

    pub(super) fn elect(&mut self) -> Result<(), Violation> {
        for n in 0..self.nodes.len() {
            let node = &self.nodes[n];
            let (id, silent) = (node.id, self.tick.saturating_sub(node.heard_at));
            if !node.acts(self.tick) || node.leading.is_some() || silent <= node.patience {
                continue;
            }
            if self.may_vote(n, id) {
                self.campaign(n)?;
            }
        }
        Ok(())
    }

    fn campaign(&mut self, n: usize) -> Result<(), Violation> {
        let patience = self.random.within(8, 20);
        let (tick, config) = (self.tick, self.end(n).config.clone());
        let node = &mut self.nodes[n];
        let (term, last, id) = (node.term + 1, node.last, node.id);
        node.enter(term);
        node.voted = true;
        node.heard_at = tick;
        node.patience = patience;
        let mut votes = BTreeSet::from([id]);
        for member in config.sets.iter().flatten() {
            let Some(m) = self.place_of(*member).filter(|m| *m != n) else {
                continue;
            };
            if !self.nodes[m].acts(tick) || !self.passes(n, m) {
                continue;
            }
            let new = self.breach == Some(Breach::ShortLogs) || self.log.is_as_new(last, self.nodes[m].last);
            let voter = &mut self.nodes[m];
            if voter.heard_at + LOYALTY > tick {
                continue;
            }
            voter.enter(term);
            let gives = voter.term == term && !voter.voted && new;
            voter.voted |= gives;
            let theirs = voter.term;
            if self.passes(m, n) {
                self.nodes[n].enter(theirs);
                if gives {
                    votes.insert(*member);
                }
            }
        }
        if self.nodes[n].term == term && config.agrees(|id| votes.contains(&id)) {
            self.rules.leads(term, n)?;
            self.tally.leaders += 1;
            let node = &mut self.nodes[n];
            node.lead(tick);
            node.leader = Some(n);
            // Entries of earlier terms are committed with the first of its own.
            self.append(n, None, None, None)?;
        }
        Ok(())
    }

    /// A leader's round.
    pub(super) fn replicate(&mut self, l: usize) -> Result<(), Violation> {
        if self.nodes[l].leading.is_none() {
            return Ok(());
        }
        let (tick, id, term, last) = {
            let node = &self.nodes[l];
            (self.tick, node.id, node.term, node.last)
        };
        let config = self.end(l).config.clone();
        let (mut follow, mut have) = (BTreeSet::from([id]), BTreeSet::from([id]));
        for member in config.members() {
            let Some(m) = self.place_of(member).filter(|m| *m != l) else {
                continue;
            };
            if !self.nodes[m].acts(tick) || !self.passes(l, m) {
                continue;
            }
            let answers = self.passes(m, l);
            let slow = self.random.percent(20);
            if self.nodes[m].term > term {
                if answers {
                    let theirs = self.nodes[m].term;
                    self.nodes[l].enter(theirs);
                    return Ok(());
                }
                continue;
            }
            let commit = self.nodes[l].commit;
            let node = &mut self.nodes[m];
            node.enter(term);
            node.leader = Some(l);
            node.heard_at = tick;
            if !slow {
                if !self.log.contains(last, node.commit) {
                    return Err(format!("node {member} is to give up entries that were committed"));
                }
                node.last = last;
                if self.log.contains(commit, node.commit) {
                    node.commit = commit;
                }
            }
            if answers {
                follow.insert(member);
                if node.last == last {
                    have.insert(member);
                }
                if let Some(leading) = self.nodes[l].leading.as_mut() {
                    leading.answered.insert(member, tick);
                }
            }
        }
        if config.agrees(|id| follow.contains(&id)) {
            let node = &mut self.nodes[l];
            node.confirm();
            node.lease_until = node.mono_us + LEASE_US;
            node.heard_at = tick;
        }
        if self.log.entry(last).term == term
            && self.nodes[l].commit != last
            && config.agrees(|id| have.contains(&id))
        {
            self.committed(l, last)?;
        }
        Ok(())
    }

    /// A leader finds that all of its log is committed.
    fn committed(&mut self, l: usize, last: usize) -> Result<(), Violation> {
        if !self.log.contains(last, self.committed) {
            return Err(format!(
                "two leaders have both committed: node {} something that is not behind what was committed before",
                self.nodes[l].id
            ));
        }
        for entry in self.log.between(self.committed, last) {
            let Entry {
                state,
                report,
                config,
                ..
            } = self.log.entry(entry);
            if let Some(violation) = report.as_ref().and_then(|r| self.rules.is_former(r)) {
                return Err(violation);
            }
            self.rules.state(state)?;
            let before = &self.log.entry(self.committed).config;
            self.tally.voters += u64::from(before.sets != config.sets && config.sets.len() == 1);
            self.committed = entry;
            self.verified()?;
        }
        self.nodes[l].commit = last;
        let config = &self.end(l).config;
        if config.sets.len() == 1 && !config.votes(self.nodes[l].id) {
            // It has no vote any more: the others elect one of theirs.
            let node = &mut self.nodes[l];
            node.leading = None;
            node.leader = None;
        }
        Ok(())
    }
}
