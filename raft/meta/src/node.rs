//! Commands on nodes.

use std::sync::Arc;

use oms_proto::{
    meta::{AdmitNode, ChangeNode, NodeRecord},
    v1::NodeState,
};
use oms_types::codes;

use crate::state::{MetaState, Outcome, refuse};

/// Removed nodes that are remembered by more than the fact that their id was given away.
const MAX_TOMBSTONES: usize = 256;
/// Characters of a reason, an address, a region and the like.
const MAX_TEXT: usize = 500;

/// Whether the node is out of the cluster for good.
pub(crate) fn is_removed(node: &NodeRecord) -> bool {
    node.state() == NodeState::Removed
}

/// The state that others decided; records from before there were states are active.
pub(crate) fn state_of(node: &NodeRecord) -> NodeState {
    match node.state() {
        NodeState::Unspecified => NodeState::Active,
        other => other,
    }
}

impl MetaState {
    /// Lets a node in; gives its id.
    pub(crate) fn admit_node(&mut self, now: i64, c: &AdmitNode) -> Outcome {
        let Some(node) = &c.node else {
            return refuse(codes::api::INVALID_ARGUMENT, "the node is missing");
        };
        if node.folder_id.is_empty() || node.address.is_empty() {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "a node needs an address and the id of its data folder",
            );
        }
        bounded(node)?;
        self.knows_enough(node)?;
        self.check_token(now, &c.token_id)?;
        let known = self.nodes.values().find(|n| n.folder_id == node.folder_id);
        if let Some(known) = known {
            let id = known.id;
            // An answer that got lost: the node asks again and gets the same one.
            if is_removed(known) {
                return refuse(
                    codes::cluster::NODE_REMOVED,
                    format!("node {id} was removed from the cluster; its data folder cannot join again"),
                );
            }
            self.address_is_free(&node.address, id)?;
            let record = said_by_itself(node, Some(known), id);
            self.insert_node(record);
            return Ok(id);
        }
        let Some(id) = self.last_node_id.checked_add(1) else {
            return refuse(codes::api::INTERNAL, "there are no more node ids");
        };
        self.address_is_free(&node.address, id)?;
        self.use_token(now, &c.token_id)?;
        let mut record = said_by_itself(node, None, id);
        record.joined_at_ms = now;
        self.insert_node(record);
        Ok(id)
    }

    /// What a node says about itself at every start; gives its generation.
    pub(crate) fn register_node(&mut self, now: i64, node: Option<&NodeRecord>) -> Outcome {
        let Some(node) = node.filter(|n| n.id != 0) else {
            return refuse(codes::api::INVALID_ARGUMENT, "a node needs an id");
        };
        bounded(node)?;
        let known = self.nodes.get(&node.id);
        match known {
            Some(known) if is_removed(known) => {
                return refuse(
                    codes::cluster::NODE_REMOVED,
                    format!("node {} was removed from the cluster", node.id),
                );
            }
            Some(_) => {}
            None if self.nodes.is_empty() => {}
            None if node.id <= self.last_node_id => {
                return refuse(
                    codes::cluster::NODE_REMOVED,
                    format!("node {} was removed from the cluster long ago", node.id),
                );
            }
            None => {
                return refuse(
                    codes::api::NOT_FOUND,
                    format!("node {} was never admitted to this cluster", node.id),
                );
            }
        }
        if !self.nodes.is_empty() {
            self.knows_enough(node)?;
        }
        self.address_is_free(&node.address, node.id)?;
        let mut record = said_by_itself(node, known, node.id);
        record.generation = known.map_or(0, |n| n.generation).saturating_add(1);
        if record.joined_at_ms == 0 {
            record.joined_at_ms = now;
        }
        let generation = record.generation;
        self.insert_node(record);
        Ok(generation)
    }

    pub(crate) fn change_node(&mut self, c: &ChangeNode) -> Outcome {
        if c.reason.chars().count() > MAX_TEXT {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!("a reason has at most {MAX_TEXT} characters"),
            );
        }
        if c.state == NodeState::Removed as i32 || NodeState::try_from(c.state).is_err() {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "a node can be made active, cordoned or draining; removing it is a command of its own",
            );
        }
        let mut record = self.live_node(c.id)?.clone();
        if c.state() != NodeState::Unspecified {
            record.state = c.state;
            c.reason.trim().clone_into(&mut record.reason);
        }
        if let Some(quota) = c.quota {
            record.quota = quota;
        }
        let id = record.id;
        self.insert_node(record);
        Ok(id)
    }

    pub(crate) fn remove_node(&mut self, id: u64) -> Outcome {
        let mut record = match self.live_node(id) {
            Ok(record) => record.clone(),
            // Asked twice.
            Err(_) if self.nodes.get(&id).is_some_and(is_removed) => return Ok(id),
            Err(refusal) => return Err(refusal),
        };
        let others = self.nodes.values().any(|n| n.id != id && !is_removed(n));
        if !others {
            return refuse(
                codes::cluster::MEMBERSHIP_REFUSED,
                format!("node {id} is the last one of the cluster"),
            );
        }
        record.set_state(NodeState::Removed);
        self.insert_node(record);
        self.forget_oldest_tombstones();
        Ok(id)
    }

    fn live_node(&self, id: u64) -> Result<&NodeRecord, (oms_types::ErrorCode, String)> {
        match self.nodes.get(&id) {
            Some(node) if is_removed(node) => Err((
                codes::cluster::NODE_REMOVED,
                format!("node {id} was removed from the cluster"),
            )),
            Some(node) => Ok(node),
            None => Err((codes::api::NOT_FOUND, format!("node {id} does not exist"))),
        }
    }

    /// A node that knows less than all others together would not understand what is in the log.
    fn knows_enough(&self, node: &NodeRecord) -> Outcome {
        let (has, needs) = (node.feature_level.max(1), self.feature_level());
        if has < needs {
            return refuse(
                codes::cluster::FEATURE_LEVEL,
                format!("the cluster has feature level {needs}, the node's version has {has}"),
            );
        }
        Ok(0)
    }

    fn address_is_free(&self, address: &str, id: u64) -> Outcome {
        let same = |n: &&NodeRecord| {
            n.id != id && !is_removed(n) && !address.is_empty() && n.address.eq_ignore_ascii_case(address)
        };
        match self.nodes.values().find(same) {
            Some(other) => refuse(
                codes::cluster::DUPLICATE_ADDRESS,
                format!("node {} has the address {address}", other.id),
            ),
            None => Ok(0),
        }
    }

    fn insert_node(&mut self, node: NodeRecord) {
        self.last_node_id = self.last_node_id.max(node.id);
        Arc::make_mut(&mut self.nodes).insert(node.id, node);
    }

    /// A tombstone that a component still names is kept: the component has to be taken from it first.
    fn forget_oldest_tombstones(&mut self) {
        let named: std::collections::BTreeSet<u64> = self
            .projects
            .values()
            .flat_map(|p| p.components.iter().map(|c| c.node))
            .collect();
        let removed: Vec<u64> = self
            .nodes
            .values()
            .filter(|n| is_removed(n))
            .map(|n| n.id)
            .collect();
        let excess = removed.len().saturating_sub(MAX_TOMBSTONES);
        for id in removed.iter().filter(|id| !named.contains(id)).take(excess) {
            Arc::make_mut(&mut self.nodes).remove(id);
        }
    }
}

/// The node's own words, with what others decided about it.
fn said_by_itself(node: &NodeRecord, known: Option<&NodeRecord>, id: u64) -> NodeRecord {
    let mut record = NodeRecord {
        id,
        generation: 0,
        state: NodeState::Active as i32,
        reason: String::new(),
        joined_at_ms: 0,
        ..node.clone()
    };
    if let Some(known) = known {
        record.generation = known.generation;
        record.set_state(state_of(known));
        record.reason.clone_from(&known.reason);
        record.quota = known.quota;
        record.joined_at_ms = known.joined_at_ms;
        if !known.folder_id.is_empty() {
            record.folder_id.clone_from(&known.folder_id);
        }
    }
    record
}

fn bounded(node: &NodeRecord) -> Outcome {
    let texts = [
        &node.address,
        &node.region,
        &node.zone,
        &node.version,
        &node.folder_id,
    ];
    if texts.iter().any(|t| t.chars().count() > MAX_TEXT) {
        return refuse(
            codes::api::INVALID_ARGUMENT,
            format!("address, region, zone, version and folder of a node have at most {MAX_TEXT} characters"),
        );
    }
    Ok(0)
}
