//! How a node takes part.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{RaftError, RaftResult};

/// Where a node is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeInfo {
    /// `host:port` of its gRPC endpoint, as other nodes reach it.
    pub address: String,
    /// Its region.
    pub region: String,
    /// Its zone inside the region.
    pub zone: String,
}

/// Times of the protocol. The defaults fit nodes up to about 100 ms apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RaftTimings {
    /// How often a leader shows that it is there; also the deadline of one replication call, so it must
    /// exceed a round trip plus a disk sync.
    pub heartbeat: Duration,
    /// Shortest election timeout of all voters.
    pub election_base: Duration,
    /// Width of one voter's range of election timeouts. The protocol library draws the timeout once per
    /// process, so voters with overlapping ranges could collide for ever; see
    /// [`RaftConfig::election_slot`].
    pub election_step: Duration,
    /// Deadline of a proposal or read barrier, waiting for a leader included.
    pub operation: Duration,
    /// Deadline of a membership change, waiting for a learner to catch up included.
    pub membership: Duration,
    /// Deadline of one chunk of a snapshot.
    pub snapshot_chunk: Duration,
}

impl Default for RaftTimings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(200),
            election_base: Duration::from_millis(800),
            election_step: Duration::from_millis(200),
            operation: Duration::from_secs(10),
            membership: Duration::from_secs(60),
            snapshot_chunk: Duration::from_secs(10),
        }
    }
}

/// Configuration of [`RaftHandle::open`](crate::RaftHandle::open).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftConfig {
    /// Identity of the cluster; nodes of different clusters refuse each other.
    pub cluster_id: String,
    /// This node. Stored in its folder at first start and checked afterwards.
    pub node_id: u64,
    /// Where this node is.
    pub node: NodeInfo,
    /// Times.
    pub timings: RaftTimings,
    /// Which of [`RaftConfig::ELECTION_SLOTS`] disjoint ranges this voter draws its election timeout
    /// from; `None` takes the node id modulo their number. Voters should differ.
    pub election_slot: Option<u64>,
    /// Take a snapshot after this many commands since the last one.
    pub snapshot_every: u64,
    /// Commands kept in the log behind a snapshot, for followers that are a little late.
    pub keep_in_log: u64,
    /// Largest command accepted, in bytes.
    pub max_command_bytes: usize,
    /// Largest snapshot accepted from a leader, in bytes.
    pub max_snapshot_bytes: u64,
}

impl RaftConfig {
    /// Number of disjoint ranges of election timeouts.
    pub const ELECTION_SLOTS: u64 = 7;
    /// Entries of together about this size travel in one replication call.
    pub(crate) const APPEND_BYTES: usize = 1 << 20;
    /// Size of a snapshot chunk.
    pub(crate) const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;

    /// A configuration with defaults for everything else.
    #[must_use]
    pub fn new(cluster_id: impl Into<String>, node_id: u64, node: NodeInfo) -> Self {
        Self {
            cluster_id: cluster_id.into(),
            node_id,
            node,
            timings: RaftTimings::default(),
            election_slot: None,
            snapshot_every: 5_000,
            keep_in_log: 1_000,
            max_command_bytes: 4 << 20,
            max_snapshot_bytes: 1 << 30,
        }
    }

    /// Largest gRPC message: one command on top of a full replication call, and room for framing.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.max_command_bytes + Self::APPEND_BYTES.max(Self::SNAPSHOT_CHUNK_BYTES) + (1 << 20)
    }

    pub(crate) fn to_openraft(&self) -> RaftResult<openraft::Config> {
        let refuse = |what: &str| RaftError::Config(what.to_owned());
        if self.cluster_id.is_empty() {
            return Err(refuse("the cluster id is empty"));
        }
        if self.max_command_bytes == 0 || self.max_command_bytes > oms_kv::MAX_VALUE_BYTES - 1024 {
            return Err(refuse("the largest command must fit a stored value"));
        }
        if self.snapshot_every == 0 {
            return Err(refuse("snapshots must be at least one command apart"));
        }
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let slot = self.election_slot.unwrap_or(self.node_id) % Self::ELECTION_SLOTS;
        let step = millis(self.timings.election_step).max(1);
        let election_timeout_min =
            millis(self.timings.election_base).saturating_add(slot.saturating_mul(step));
        openraft::Config {
            cluster_name: self.cluster_id.clone(),
            heartbeat_interval: millis(self.timings.heartbeat).max(1),
            election_timeout_min,
            election_timeout_max: election_timeout_min.saturating_add(step),
            install_snapshot_timeout: millis(self.timings.snapshot_chunk),
            snapshot_policy: openraft::SnapshotPolicy::LogsSinceLast(self.snapshot_every),
            replication_lag_threshold: self.snapshot_every.saturating_mul(2).max(self.keep_in_log),
            max_in_snapshot_log_to_keep: self.keep_in_log,
            snapshot_max_chunk_size: Self::SNAPSHOT_CHUNK_BYTES as u64,
            ..openraft::Config::default()
        }
        .validate()
        .map_err(|error| RaftError::Config(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_voters_never_share_an_election_timeout() {
        let ranges: Vec<_> = (1..=RaftConfig::ELECTION_SLOTS)
            .map(|id| {
                let config = RaftConfig::new("c", id, NodeInfo::default())
                    .to_openraft()
                    .unwrap();
                config.election_timeout_min..config.election_timeout_max
            })
            .collect();
        for (index, one) in ranges.iter().enumerate() {
            assert!(!one.is_empty());
            for other in &ranges[index + 1..] {
                assert!(
                    one.end <= other.start || other.end <= one.start,
                    "{one:?} and {other:?}"
                );
            }
        }
    }

    #[test]
    fn impossible_settings_are_refused() {
        let mut config = RaftConfig::new("c", 1, NodeInfo::default());
        config.timings.heartbeat = config.timings.election_base * 10;
        assert!(matches!(config.to_openraft(), Err(RaftError::Config(_))));
        let config = RaftConfig::new("", 1, NodeInfo::default());
        assert!(matches!(config.to_openraft(), Err(RaftError::Config(_))));
    }
}
