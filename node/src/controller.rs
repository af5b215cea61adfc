//! The leader's loop: proposes what should happen next.

use std::{collections::BTreeMap, time::Duration};

use oms_meta::{ClusterView, Liveness, NodeView, schedule};
use tokio_util::sync::CancellationToken;

use crate::metadata::Metadata;

/// Reconciles after every change and, to recover from lost races, every few seconds. Only the leader
/// proposes; a former leader's proposals are refused by what they expect.
pub(crate) async fn run(metadata: Metadata, cancel: CancellationToken) {
    let mut status = metadata.watch();
    loop {
        let me = metadata.node_id();
        if status.borrow_and_update().leader == Some(me) {
            // One command per project and round; go on until nothing is left to do.
            while step(&metadata).await && !cancel.is_cancelled() {}
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = status.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(Duration::from_secs(2)) => {}
        }
    }
}

/// One round; true when something was changed.
async fn step(metadata: &Metadata) -> bool {
    let Ok(state) = metadata.state() else { return false };
    let me = metadata.node_id();
    let alone = NodeView {
        liveness: Liveness::Alive,
        ..Default::default()
    };
    let view = ClusterView {
        me,
        nodes: BTreeMap::from([(me, alone)]),
    };
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
