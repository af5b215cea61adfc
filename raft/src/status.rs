//! What a node can say about its part in consensus.

use std::collections::{BTreeMap, BTreeSet};

use openraft::ServerState;

use crate::config::NodeInfo;
use crate::types::TypeConfig;

/// What a node is at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Proposes and replicates.
    Leader,
    /// Votes and follows.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Follows without a vote, or is not a member yet.
    Learner,
    /// Takes no part any more: shut down, or its storage failed.
    Stopped,
}

/// The part of a node's state that others wait for; see [`RaftHandle::watch`](crate::RaftHandle::watch).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftStatus {
    /// What this node is.
    pub role: Role,
    /// The current term.
    pub term: u64,
    /// The leader, as far as this node knows.
    pub leader: Option<u64>,
    /// Index up to which the local state is applied; views taken from now on are at least this new.
    pub applied: u64,
}

/// Everything a node reports about consensus, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftMetrics {
    /// This node.
    pub node_id: u64,
    /// Role, term, leader and applied index.
    pub status: RaftStatus,
    /// Why consensus stopped, when it did.
    pub stopped_because: Option<String>,
    /// Index of the last entry in the log.
    pub last_log: u64,
    /// Index the current snapshot ends at.
    pub snapshot: u64,
    /// Index up to which the log was purged.
    pub purged: u64,
    /// Nodes with a vote.
    pub voters: BTreeSet<u64>,
    /// Sets of voters of which each must agree by majority: one, or two while a change is under way, the new voters last.
    pub voter_sets: Vec<BTreeSet<u64>>,
    /// Index of the entry that made them the voters. It counts as soon as it is in the log, and may be dropped again
    /// until it is applied.
    pub voters_at: u64,
    /// Every known node.
    pub members: BTreeMap<u64, NodeInfo>,
    /// On the leader: index up to which each member has stored the log.
    pub matched: BTreeMap<u64, u64>,
    /// On the leader: milliseconds since a majority last answered.
    pub quorum_silent_ms: Option<u64>,
}

type OpenraftMetrics = openraft::RaftMetrics<u64, NodeInfo>;

impl RaftStatus {
    pub(crate) fn of(metrics: &OpenraftMetrics) -> Self {
        let role = match (&metrics.running_state, metrics.state) {
            (Err(_), _) | (_, ServerState::Shutdown) => Role::Stopped,
            (_, ServerState::Leader) => Role::Leader,
            (_, ServerState::Follower) => Role::Follower,
            (_, ServerState::Candidate) => Role::Candidate,
            (_, ServerState::Learner) => Role::Learner,
        };
        Self {
            role,
            term: metrics.current_term,
            leader: metrics.current_leader.filter(|_| role != Role::Stopped),
            applied: metrics.last_applied.map_or(0, |id| id.index),
        }
    }
}

impl RaftMetrics {
    /// Whether this node's vote may be asked for: it votes, or it cannot be certain yet that it does not any more.
    #[must_use]
    pub fn may_vote(&self, id: u64) -> bool {
        self.voters.contains(&id) || self.status.applied < self.voters_at
    }

    pub(crate) fn of(metrics: &OpenraftMetrics) -> Self {
        let membership = metrics.membership_config.membership();
        Self {
            node_id: metrics.id,
            status: RaftStatus::of(metrics),
            stopped_because: metrics.running_state.as_ref().err().map(ToString::to_string),
            last_log: metrics.last_log_index.unwrap_or(0),
            snapshot: metrics.snapshot.map_or(0, |id| id.index),
            purged: metrics.purged.map_or(0, |id| id.index),
            voters: membership.voter_ids().collect(),
            voter_sets: membership.get_joint_config().clone(),
            voters_at: metrics.membership_config.log_id().map_or(0, |id| id.index),
            members: membership.nodes().map(|(id, node)| (*id, node.clone())).collect(),
            matched: metrics
                .replication
                .iter()
                .flatten()
                .filter_map(|(id, matched)| Some((*id, matched.as_ref()?.index)))
                .collect(),
            quorum_silent_ms: metrics.millis_since_quorum_ack,
        }
    }
}

/// openraft's own watch of metrics.
pub(crate) type MetricsWatch = tokio::sync::watch::Receiver<OpenraftMetrics>;

const _: fn(&openraft::Raft<TypeConfig>) -> MetricsWatch = |raft| raft.metrics();
