//! The leader's care for who takes part in consensus.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use oms_core::Failure;
use oms_meta::{VoterChange, voter_change};
use oms_proto::v1::NodeState;
use oms_raft::NodeInfo;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{liveness::LivenessTable, metadata::Metadata, office::Office};

/// How often it is looked whether a change is due.
const LOOK: Duration = Duration::from_millis(250);
/// Pause after a change that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A learner that lacks more of the log than this is not made a voter yet: commits would wait for it.
const LATE: u64 = 1_000;

/// Makes consensus follow the nodes: who was admitted becomes a learner, voters are chosen among the members,
/// removed nodes leave. One change at a time, and only while this node leads.
///
/// Leadership itself comes first: whoever has to go hands it over before its vote goes.
pub(crate) async fn run(
    metadata: Metadata,
    liveness: Arc<LivenessTable>,
    mut office: Office,
    cancel: CancellationToken,
) {
    loop {
        let status = metadata.watch().borrow().clone();
        let mut pause = LOOK;
        if liveness.observe(&status, Instant::now()) {
            let round = async {
                office.look().await;
                step(&metadata, &liveness, &office).await
            };
            let change = tokio::select! {
                () = cancel.cancelled() => return,
                change = round => change,
            };
            if let Err(failure) = change {
                tracing::info!("the members were not changed: {failure}");
                pause = PAUSE;
            }
        } else {
            office.leave();
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn step(metadata: &Metadata, liveness: &LivenessTable, office: &Office) -> Result<(), Failure> {
    let state = metadata.state()?;
    let metrics = metadata.metrics();
    let newcomer = state
        .nodes()
        .find(|n| n.state() != NodeState::Removed && !metrics.members.contains_key(&n.id));
    if let Some(node) = newcomer {
        tracing::info!(node = node.id, address = %node.address, "adding a learner");
        let info = NodeInfo {
            address: node.address.clone(),
            region: node.region.clone(),
            zone: node.zone.clone(),
        };
        return metadata.add_learner(node.id, info).await;
    }
    let members = metadata.members();
    let view = liveness.view(metrics.members.keys().copied(), Instant::now());
    match voter_change(&state, &view, &members, metadata.now_ms()) {
        Some(VoterChange::Voters { voters, because }) => {
            let end = metrics.last_log;
            let late: BTreeSet<_> = voters
                .difference(&members.voters)
                .filter(|id| metrics.matched.get(id).is_none_or(|at| at + LATE < end))
                .collect();
            if !late.is_empty() {
                tracing::debug!(?late, "voters wait until they have caught up");
                return Ok(());
            }
            if !voters.contains(&metadata.node_id()) && office.is_about_to_hand_over() {
                tracing::debug!(because, "the voters are changed by the next leader");
                return Ok(());
            }
            tracing::info!(?voters, because, "changing the voters");
            metadata.change_voters(voters).await
        }
        Some(VoterChange::Forget { node }) => {
            tracing::info!(node, "a removed node leaves consensus");
            metadata.remove_learner(node).await
        }
        None => Ok(()),
    }
}
