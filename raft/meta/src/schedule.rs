//! Who does what.

use oms_proto::v1::NodeState;

use crate::{
    MetaCommand, MetaState,
    node::state_of,
    reconcile::{Placement, reconcile},
    view::ClusterView,
};

/// The commands that bring every project one move closer to what its user wants.
pub fn schedule(state: &MetaState, view: &ClusterView, _now_ms: i64) -> Vec<MetaCommand> {
    let nodes = state
        .nodes()
        .filter(|n| state_of(n) == NodeState::Active && !n.witness && view.is_alive(n.id))
        .map(|n| n.id)
        .collect();
    reconcile(state, &Placement { nodes })
}
