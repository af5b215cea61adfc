//! What can go wrong in consensus.

use oms_kv::KvError;
use oms_types::ErrorCode;
use oms_types::codes::cluster as codes;

/// Result of a consensus call.
pub type RaftResult<T> = Result<T, RaftError>;

/// A refusal or failure. No variant carries the content of a command.
#[derive(Debug, thiserror::Error)]
pub enum RaftError {
    /// The configuration cannot work.
    #[error("consensus configuration: {0}")]
    Config(String),
    /// The storage engine failed.
    #[error(transparent)]
    Storage(#[from] KvError),
    /// What is stored contradicts itself.
    #[error("the stored consensus state is damaged: {0}")]
    Damaged(String),
    /// The folder belongs to another node or cluster.
    #[error(
        "the data folder belongs to node {stored_node} of cluster \"{stored_cluster}\", not to node {node} of cluster \
         \"{cluster}\""
    )]
    WrongFolder {
        /// Node found.
        stored_node: u64,
        /// Cluster found.
        stored_cluster: String,
        /// Node configured.
        node: u64,
        /// Cluster configured.
        cluster: String,
    },
    /// No leader appeared in time. Nothing was proposed; trying again is safe.
    #[error("no leader within {waited_ms} ms")]
    NoLeader {
        /// How long was waited.
        waited_ms: u64,
    },
    /// The leader could not reach a majority for a read. Trying again is safe.
    #[error("the leader cannot reach a majority of the voters")]
    NoQuorum,
    /// The command is larger than the cluster replicates. Nothing was proposed.
    #[error("a command of {size} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The leader accepts only smaller commands than this node does. Nothing was proposed.
    #[error("the leader refused the command: {0}")]
    TooLargeForLeader(String),
    /// The change was proposed, and then the answer was lost: it may have been made, may still be made,
    /// or may never be. Only looking at the state tells.
    #[error("the outcome of the change is not known: {0}")]
    Indeterminate(String),
    /// The membership change was refused; nothing changed.
    #[error("the membership change was refused: {0}")]
    Membership(String),
    /// A peer is not the node or not of the cluster it was taken for.
    #[error("peer refused: {0}")]
    WrongPeer(String),
    /// This node's consensus has stopped: by `shutdown`, or because its storage failed.
    #[error("consensus has stopped on this node: {0}")]
    Stopped(String),
}

impl RaftError {
    /// The stable public code of this error.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Config(_) => oms_types::codes::config::INVALID,
            Self::Storage(error) => error.code(),
            Self::Damaged(_) => codes::METADATA_CORRUPT,
            Self::WrongFolder { .. } => codes::WRONG_NODE,
            Self::NoLeader { .. } | Self::NoQuorum => codes::NO_LEADER,
            Self::TooLarge { .. } | Self::TooLargeForLeader(_) => codes::METADATA_TOO_LARGE,
            Self::Indeterminate(_) => codes::OUTCOME_UNKNOWN,
            Self::Membership(_) => codes::MEMBERSHIP_REFUSED,
            Self::WrongPeer(_) => codes::WRONG_CLUSTER,
            Self::Stopped(_) => codes::NODE_STOPPED,
        }
    }
}
