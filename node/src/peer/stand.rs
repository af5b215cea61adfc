//! The voter that shall lead next.

use std::time::Duration;

use oms_core::{Failure, codes};
use oms_proto::peer::{StandForElectionRequest, StandForElectionResponse};

use crate::api::Backend;

/// The longest time that a leader may ask to wait for. Longer than any lease.
const LONGEST: Duration = Duration::from_secs(60);

/// Stands for election when the time has come. Dropped before that, as when the leader ends the call, it does nothing.
///
/// # Errors
/// `OMS-CLUSTER-0004` for another cluster's leader, `-0011` when this node does not follow it or lacks a part of its log,
/// `OMS-API-0001` for an impossible time.
pub(crate) async fn stand(
    backend: &Backend,
    request: StandForElectionRequest,
) -> Result<StandForElectionResponse, Failure> {
    if request.cluster_id != backend.cluster_id {
        let words = format!(
            "this node belongs to cluster {}, the request came from {}",
            backend.cluster_id, request.cluster_id
        );
        return Err(Failure::new(codes::cluster::WRONG_CLUSTER, words));
    }
    let after = Duration::from_millis(request.after_ms);
    if after > LONGEST {
        let words = format!("{} ms are longer than any lease", request.after_ms);
        return Err(Failure::new(codes::api::INVALID_ARGUMENT, words));
    }
    let from = (request.leader, request.term);
    backend.metadata.stand(from, request.last_log, after).await?;
    tracing::info!(
        leader = request.leader,
        "the leader hands over: this node stands for election"
    );
    Ok(StandForElectionResponse {})
}
