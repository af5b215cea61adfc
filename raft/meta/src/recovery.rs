//! A state that outlived its cluster.

use std::sync::Arc;

use oms_proto::{
    meta::{NodeRecord, RaiseEpochs},
    v1::NodeState,
};

use crate::{node::is_removed, state::MetaState};

/// More than any cluster assigns its components while it lives: what the lost part of a cluster assigned
/// without this part's knowledge stays below.
const EPOCHS: u64 = 1 << 20;

impl MetaState {
    /// Makes the state that of a new cluster with one node: `survivor`, which is one of its nodes or, with id
    /// 0, a new one. Gives the node's id.
    ///
    /// All other nodes are removed: they cannot come back, only join anew with an empty folder. Every component
    /// gets an epoch above all that may have been given out, so that no former owner can write to a
    /// destination once the new one has claimed it. Join tokens and freezes end, because both were
    /// decided about nodes that are no more.
    pub fn recover(&mut self, now_ms: i64, survivor: NodeRecord) -> u64 {
        let id = match survivor.id {
            0 => self.last_node_id.saturating_add(1),
            id => id,
        };
        let nodes = Arc::make_mut(&mut self.nodes);
        for node in nodes.values_mut().filter(|n| n.id != id && !is_removed(n)) {
            node.set_state(NodeState::Removed);
            node.reason = "lost before the cluster was recovered".to_owned();
        }
        let mut record = nodes.remove(&id).unwrap_or_default();
        if record.joined_at_ms == 0 {
            record.joined_at_ms = now_ms;
        }
        nodes.insert(
            id,
            NodeRecord {
                id,
                state: NodeState::Active as i32,
                reason: String::new(),
                witness: survivor.witness,
                address: survivor.address,
                region: survivor.region,
                zone: survivor.zone,
                version: survivor.version,
                feature_level: survivor.feature_level,
                folder_id: survivor.folder_id,
                ..record
            },
        );
        self.last_node_id = self.last_node_id.max(id);
        self.tokens = Arc::default();
        for project in self.projects.values_mut() {
            let frozen =
                |p: &oms_proto::meta::ProjectRecord| p.components.iter().any(|c| !c.frozen_reason.is_empty());
            if frozen(project) {
                for component in &mut Arc::make_mut(project).components {
                    component.frozen_reason.clear();
                }
            }
        }
        // It only refuses to raise by zero.
        let _ = self.raise_epochs(now_ms, &RaiseEpochs { by: EPOCHS });
        id
    }
}
