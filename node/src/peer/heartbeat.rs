//! The leader's side of leases.

use std::time::Duration;

use oms_core::{Failure, codes};
use oms_meta::MetaState;
use oms_proto::{
    peer::{HeartbeatRequest, HeartbeatResponse},
    v1::NodeState,
};
use oms_raft::NodeInfo;
use tokio::time::Instant;
use tonic::Status;

use crate::{
    api::{Backend, status},
    liveness::Heard,
};

/// Deadline of correcting a member's address.
const CORRECTION: Duration = Duration::from_secs(5);

/// Notes that a node is alive and gives it its lease.
///
/// A removed node is told so by every member, because it may not find the leader any more. As long as consensus counts
/// its vote it is not: it gets no lease, but its vote may be needed to end its voting.
///
/// # Errors
/// `OMS-CLUSTER-0004` for another cluster's node, `-0017` for a removed one, `-0033` for one that another
/// process has replaced; `FAILED_PRECONDITION` without a code when this node cannot give leases.
pub(crate) async fn heartbeat(
    backend: &Backend,
    request: HeartbeatRequest,
) -> Result<HeartbeatResponse, Status> {
    if request.cluster_id != backend.cluster_id {
        let words = format!(
            "this node belongs to cluster {}, the heartbeat came from {}",
            backend.cluster_id, request.cluster_id
        );
        return Err(status(Failure::new(codes::cluster::WRONG_CLUSTER, words)));
    }
    let state = backend.metadata.state().map_err(status)?;
    let votes = backend.metadata.metrics().may_vote(request.node);
    check_sender(&state, &request, votes).map_err(status)?;
    let removed = is_removed(&state, request.node);
    let now = Instant::now();
    let consensus = backend.metadata.watch().borrow().clone();
    if !backend.liveness.observe(&consensus, now) {
        return Err(Status::failed_precondition("this node is not the leader"));
    }
    correct_address(backend, &request);
    let lease = match backend.liveness.grant(now) {
        Some(lease) => lease,
        // A goodbye asks for nothing, and is not said twice.
        None if request.leaving => Duration::ZERO,
        None => {
            return Err(Status::failed_precondition(
                "no majority has confirmed this leader lately",
            ));
        }
    };
    let registered = request.generation != 0;
    if registered {
        backend.liveness.hear(
            request.node,
            Heard {
                at: now,
                generation: request.generation,
                applied_index: request.applied_index,
                load: request.load,
                troubles: request.troubles,
                leaving: request.leaving,
                without_lease: request.without_lease && !removed,
            },
        );
    }
    Ok(HeartbeatResponse {
        leader: backend.metadata.node_id(),
        term: consensus.term,
        lease_ms: match registered && !request.leaving && !removed {
            true => u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
            false => 0,
        },
    })
}

fn is_removed(state: &MetaState, node: u64) -> bool {
    state.node(node).is_some_and(|n| n.state() == NodeState::Removed)
}

fn check_sender(state: &MetaState, request: &HeartbeatRequest, votes: bool) -> Result<(), Failure> {
    match state.node(request.node) {
        Some(node) if node.state() == NodeState::Removed && !votes => Err(Failure::new(
            codes::cluster::NODE_REMOVED,
            format!("node {} was removed from the cluster", request.node),
        )),
        Some(node) if request.generation != 0 && request.generation < node.generation => Err(Failure::new(
            codes::cluster::SUPERSEDED,
            format!(
                "node {} has registered again since ({} starts, this process is start {})",
                request.node, node.generation, request.generation
            ),
        )),
        Some(_) => Ok(()),
        // This replica may be late.
        None => Err(Failure::new(
            codes::api::UNAVAILABLE,
            format!("node {} is not known here", request.node),
        )),
    }
}

/// A member that came back under another address cannot be reached by consensus, and so cannot learn who
/// leads: the leader has to correct it.
fn correct_address(backend: &Backend, request: &HeartbeatRequest) {
    let metrics = backend.metadata.metrics();
    let Some(known) = metrics.members.get(&request.node) else {
        return;
    };
    let taken = |address: &str| {
        let mut others = metrics.members.iter().filter(|(id, _)| **id != request.node);
        others.any(|(_, node)| node.address == address)
    };
    if request.address.is_empty() || known.address == request.address || taken(&request.address) {
        return;
    }
    let corrected = NodeInfo {
        address: request.address.clone(),
        ..known.clone()
    };
    tracing::info!(node = request.node, from = %known.address, to = %corrected.address, "a member has moved");
    let (metadata, node) = (backend.metadata.clone(), request.node);
    tokio::spawn(async move {
        let change = tokio::time::timeout(CORRECTION, metadata.set_member(node, corrected)).await;
        if let Ok(Err(failure)) = change {
            tracing::warn!(node, "its address is not corrected yet: {failure}");
        }
    });
}

#[cfg(test)]
mod tests {
    use oms_meta::MetaCommand;
    use oms_proto::meta::{NodeRecord, RegisterNode, RemoveNode};

    use super::*;

    fn state() -> MetaState {
        let mut state = MetaState::default();
        let node = NodeRecord {
            id: 1,
            address: "h:1".into(),
            feature_level: oms_meta::FEATURE_LEVEL,
            ..Default::default()
        };
        for _ in 0..3 {
            let body = MetaCommand::RegisterNode(RegisterNode {
                node: Some(node.clone()),
            });
            state.apply_bytes(&oms_meta::command(1, body));
        }
        state
    }

    fn from(node: u64, generation: u64) -> HeartbeatRequest {
        HeartbeatRequest {
            node,
            generation,
            ..Default::default()
        }
    }

    #[test]
    fn only_the_newest_process_of_a_node_is_heard() {
        let state = state();
        assert!(check_sender(&state, &from(1, 3), false).is_ok());
        assert!(
            check_sender(&state, &from(1, 0), false).is_ok(),
            "not registered yet"
        );
        let refused = check_sender(&state, &from(1, 2), false).unwrap_err();
        assert_eq!(refused.code(), codes::cluster::SUPERSEDED);
        assert_eq!(
            check_sender(&state, &from(9, 1), false).unwrap_err().code(),
            codes::api::UNAVAILABLE
        );
    }

    #[test]
    fn a_removed_node_is_told() {
        let mut state = state();
        state.apply_bytes(&oms_meta::command(
            1,
            MetaCommand::CreateToken(oms_proto::meta::CreateToken {
                token: Some(oms_proto::meta::TokenRecord {
                    public: Some(oms_proto::v1::Token {
                        id: "t".into(),
                        expires_at_ms: 10,
                        uses_left: 1,
                        ..Default::default()
                    }),
                    sealed_secret: vec![1],
                }),
            }),
        ));
        let admit = oms_proto::meta::AdmitNode {
            token_id: "t".into(),
            node: Some(NodeRecord {
                address: "h:2".into(),
                folder_id: "f".into(),
                feature_level: oms_meta::FEATURE_LEVEL,
                ..Default::default()
            }),
        };
        state.apply_bytes(&oms_meta::command(2, MetaCommand::AdmitNode(admit)));
        assert!(check_sender(&state, &from(2, 0), false).is_ok());
        state.apply_bytes(&oms_meta::command(
            3,
            MetaCommand::RemoveNode(RemoveNode { id: 2 }),
        ));
        assert!(check_sender(&state, &from(2, 0), true).is_ok());
        let refused = check_sender(&state, &from(2, 0), false).unwrap_err();
        assert_eq!(refused.code(), codes::cluster::NODE_REMOVED);
    }
}
