//! The leader's loop: proposes what should happen next.

use std::{sync::Arc, time::Duration};

use oms_meta::schedule;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{liveness::LivenessTable, metadata::Metadata};

/// How often the leader looks although nothing was changed: nodes fall silent without a word.
const LOOK: Duration = Duration::from_millis(200);
/// The same for who has nobody to look after.
const IDLE: Duration = Duration::from_secs(2);

/// Schedules after every change of the state and as time goes on. Only the leader proposes; a former leader's
/// proposals are refused by what they expect.
pub(crate) async fn run(metadata: Metadata, liveness: Arc<LivenessTable>, cancel: CancellationToken) {
    let mut status = metadata.watch();
    loop {
        let now = status.borrow_and_update().clone();
        let leads = liveness.observe(&now, Instant::now());
        if leads {
            // One command per project and round; go on until nothing is left to do.
            while step(&metadata, &liveness).await && !cancel.is_cancelled() {}
        }
        let alone = metadata.state().is_ok_and(|s| s.nodes().count() < 2);
        let pause = if leads && !alone { LOOK } else { IDLE };
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One round; true when something was changed.
async fn step(metadata: &Metadata, liveness: &LivenessTable) -> bool {
    let Ok(state) = metadata.state() else { return false };
    let view = liveness.view(state.nodes().map(|n| n.id), Instant::now());
    let mut changed = false;
    for body in schedule(&state, &view, metadata.now_ms()) {
        match metadata.propose(body).await {
            Ok(_) => changed = true,
            // The state moved on meanwhile; the next round sees it.
            Err(failure) => tracing::debug!("not carried out: {failure}"),
        }
    }
    changed
}
