//! Giving leadership to a chosen voter.
//!
//! The protocol library cannot do it. What it has is enough: a leader that falls silent, and a voter that stands for
//! election the moment the others would vote for it, before anybody else's patience ends.

use std::sync::Arc;
use std::time::Duration;

use openraft::ServerState;
use tokio::sync::OwnedRwLockWriteGuard;
use tokio::time::Instant;

use crate::config::{RaftConfig, RaftTimings};
use crate::error::{RaftError, RaftResult};
use crate::types::Raft;

impl RaftTimings {
    /// How long after the last word of a leader all these voters vote for another one: until then each refuses, for the
    /// longest election timeout of its own range. One step more bears differences of the ways.
    pub(crate) fn silence(&self, voters: impl Iterator<Item = u64>) -> Duration {
        let slot = voters
            .map(|id| id % RaftConfig::ELECTION_SLOTS)
            .max()
            .unwrap_or(0);
        let steps = u32::try_from(slot + 2).unwrap_or(u32::MAX);
        self.election_base + self.election_step * steps
    }
}

/// A leader that is silent: it sends nothing and takes no operations, so that voters come to accept another one. What it
/// has acknowledged the chosen voter has.
///
/// Dropping it ends the silence: if this node still leads, it goes on as before.
pub struct Silence {
    raft: Raft,
    term: u64,
    last_log: u64,
    begun: Instant,
    length: Duration,
    // Operations that arrive meanwhile are told to look for a leader.
    _closed: OwnedRwLockWriteGuard<()>,
}

impl Silence {
    /// Falls silent, once `to` has this leader's whole log and no operation is under way.
    ///
    /// # Errors
    /// [`RaftError::Membership`] when this node does not lead, `to` has no vote, or neither comes true `within` that time;
    /// then nothing has changed.
    pub(crate) async fn begin(
        raft: &Raft,
        gate: Arc<tokio::sync::RwLock<()>>,
        timings: &RaftTimings,
        to: u64,
        within: Duration,
    ) -> RaftResult<Self> {
        let refuse = |what: &str| RaftError::Membership(what.to_owned());
        let deadline = Instant::now() + within;
        let closed = tokio::time::timeout_at(deadline, gate.write_owned())
            .await
            .map_err(|_| refuse("operations under way did not end in time"))?;
        let mut metrics = raft.metrics();
        let (term, length) = {
            let now = metrics.borrow();
            let membership = now.membership_config.membership();
            if now.state != ServerState::Leader {
                return Err(refuse("this node does not lead"));
            }
            if membership.get_joint_config().len() != 1 || !membership.voter_ids().any(|id| id == to) {
                return Err(refuse("the voters are being changed, or the node is none"));
            }
            (now.current_term, timings.silence(membership.voter_ids()))
        };
        raft.runtime_config().heartbeat(false);
        let mut silence = Self {
            raft: raft.clone(),
            term,
            last_log: 0,
            begun: Instant::now(),
            length,
            _closed: closed,
        };
        let ready = metrics.wait_for(|now| {
            let led = now.state == ServerState::Leader && now.current_term == term;
            let matched = now
                .replication
                .as_ref()
                .and_then(|r| r.get(&to).copied().flatten());
            let has_all = matched.map(|id| id.index) >= now.last_log_index;
            let applied = now.last_applied.map(|id| id.index) >= now.last_log_index;
            !led || (has_all && applied)
        });
        match tokio::time::timeout_at(deadline, ready).await {
            Ok(Ok(now)) if now.state == ServerState::Leader && now.current_term == term => {
                silence.last_log = now.last_log_index.unwrap_or(0);
            }
            Ok(_) => return Err(refuse("this node does not lead any more")),
            Err(_) => return Err(refuse("the node did not get the whole log in time")),
        }
        silence.begun = Instant::now();
        Ok(silence)
    }

    /// The term that ends.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// The end of the log, which does not grow during the silence.
    #[must_use]
    pub fn last_log(&self) -> u64 {
        self.last_log
    }

    /// How long from now until every voter accepts another leader.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        (self.begun + self.length).saturating_duration_since(Instant::now())
    }

    /// Waits until another node leads, as this one knows. False when the deadline comes first. Cancel safe.
    pub async fn ended_by_another(&self, deadline: Instant) -> bool {
        let mut metrics = self.raft.metrics();
        let me = metrics.borrow().id;
        let other = metrics.wait_for(|now| {
            now.current_term > self.term && now.current_leader.is_some_and(|leader| leader != me)
        });
        matches!(tokio::time::timeout_at(deadline, other).await, Ok(Ok(_)))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.raft.runtime_config().heartbeat(true);
    }
}

/// Asks for votes on this node after `after`, if until then it follows `leader` in `term`, and has the log up to
/// `last_log` by then. The leader knows that it has; what this node knows of itself comes a moment later.
///
/// Returns when the votes have been asked for; dropping the future before that calls it off.
pub(crate) async fn stand(
    raft: &Raft,
    (leader, term): (u64, u64),
    last_log: u64,
    after: Duration,
) -> RaftResult<()> {
    let metrics = raft.metrics();
    let follows = || {
        let now = metrics.borrow();
        if now.current_term != term || now.current_leader != Some(leader) || now.id == leader {
            return Err(RaftError::Membership(format!(
                "this node does not follow node {leader} in term {term}"
            )));
        }
        Ok(now.last_log_index)
    };
    follows()?;
    tokio::time::sleep(after).await;
    let last = follows()?;
    if last < Some(last_log) {
        return Err(RaftError::Membership(format!(
            "this node has the log up to {}, the leader up to {last_log}",
            last.unwrap_or(0)
        )));
    }
    raft.trigger()
        .elect()
        .await
        .map_err(|fatal| RaftError::Stopped(fatal.to_string()))
}
