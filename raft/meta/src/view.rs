//! The cluster as its leader sees it now. Never replicated.

use std::collections::{BTreeMap, BTreeSet};

use oms_proto::{peer::Trouble, v1::NodeLoad};

/// Whether a node is there, as the leader sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Liveness {
    /// Its heartbeats arrive.
    Alive,
    /// Its lease has certainly run out.
    Lost {
        /// Since when, in milliseconds of the leader's monotonic clock.
        for_ms: u64,
    },
    /// The leader is too new to tell.
    #[default]
    Unknown,
}

/// A node as the leader sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeView {
    /// Whether it is there.
    pub liveness: Liveness,
    /// What it said about its resources, if it did.
    pub load: Option<NodeLoad>,
    /// Components of it that run and get nowhere.
    pub troubles: Vec<Trouble>,
}

/// All nodes as the leader sees them. A node that is missing here is [`Liveness::Unknown`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClusterView {
    /// The leader itself.
    pub me: u64,
    /// By id.
    pub nodes: BTreeMap<u64, NodeView>,
}

impl ClusterView {
    /// Whether a node is there.
    pub fn liveness(&self, node: u64) -> Liveness {
        self.nodes.get(&node).map(|n| n.liveness).unwrap_or_default()
    }

    /// Whether a node's heartbeats arrive.
    pub fn is_alive(&self, node: u64) -> bool {
        self.liveness(node) == Liveness::Alive
    }
}

/// Who takes part in consensus, by the committed configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    /// Nodes with a vote. While a change is under way: those that are to vote when it is done.
    pub voters: BTreeSet<u64>,
    /// Further sets of voters of which each must agree by majority, as long as a change is under way: first the voters
    /// before it. Empty otherwise.
    pub former: Vec<BTreeSet<u64>>,
    /// Nodes that receive everything and have no vote. Naming one says that it may get one: whoever fills this in
    /// leaves out those that are there but far behind.
    pub learners: BTreeSet<u64>,
}
