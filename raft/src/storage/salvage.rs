//! What a folder knows when the cluster it belonged to is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oms_kv::{Durability, KvEngine, ScanLimit, TypedKv, WriteBatch};
use oms_proto::raft as pb;
use openraft::EntryPayload;

use super::check::{FORMAT, check_folder};
use super::snapshots::{SnapshotError, SnapshotStore};
use super::spaces::{COMMITTED, IdentitySpace, LogSpace, MarkSpace, PURGED, SnapshotSpace, VoteSpace};
use crate::config::RaftConfig;
use crate::error::{RaftError, RaftResult};
use crate::state_machine::StateMachine;
use crate::types::{LogId, Membership, SnapshotMeta, StoredMembership, Vote};

/// What [`salvage`] found.
#[derive(Debug)]
pub struct Salvaged<S> {
    /// The state after everything that the folder holds.
    pub machine: S,
    /// Cluster that the folder belongs to.
    pub cluster_id: String,
    /// Node that the folder belongs to.
    pub node_id: u64,
    /// The last entry that was applied to `machine`.
    pub last_index: u64,
    /// The last entry that this node knew to be committed; entries behind it may have been, or not.
    pub committed_index: u64,
}

/// Reads a folder without taking part in anything: the snapshot, and *every* entry of the log behind it.
///
/// Entries that this node did not know to be committed are included: one of them may have been
/// acknowledged by a majority that is gone, and what was acknowledged must not be lost, while a command
/// that was never acknowledged has an unknown outcome for whoever proposed it in any case. Writes nothing.
///
/// # Errors
/// [`RaftError::Damaged`] for a folder that does not hold together or was never used.
pub fn salvage<S: StateMachine>(engine: &Arc<dyn KvEngine>, mut machine: S) -> RaftResult<Salvaged<S>> {
    let Some(identity) = engine.read::<IdentitySpace>(&())? else {
        return Err(RaftError::Damaged(
            "the folder was never part of a cluster".to_owned(),
        ));
    };
    // Checks the log for holes, as at every start.
    check_folder(
        &**engine,
        &RaftConfig::new(identity.cluster_id.clone(), identity.node_id, Default::default()),
    )?;
    let loaded = SnapshotStore::new(Arc::clone(engine))
        .load()
        .map_err(|error| match error {
            SnapshotError::Engine(error) => RaftError::Storage(error),
            SnapshotError::Damaged(what) => RaftError::Damaged(format!("snapshot: {what}")),
        })?;
    let mut last = None;
    if let Some((meta, bytes)) = loaded {
        machine
            .restore(&bytes)
            .map_err(|error| RaftError::Damaged(error.to_string()))?;
        last = meta.last_log_id.map(|id| id.index);
    }
    loop {
        let from = last.map_or(0, |index| index + 1);
        let limit = ScanLimit {
            records: 1000,
            bytes: 4 << 20,
        };
        let entries = engine.read_range::<LogSpace>(from.., limit)?;
        if entries.is_empty() {
            break;
        }
        for (index, entry) in entries {
            if let EntryPayload::Normal(command) = &entry.payload {
                machine.apply(index, &command.0);
            }
            last = Some(index);
        }
    }
    let committed = engine.read::<MarkSpace>(&COMMITTED)?;
    Ok(Salvaged {
        machine,
        cluster_id: identity.cluster_id,
        node_id: identity.node_id,
        last_index: last.unwrap_or_default(),
        committed_index: committed.map_or(0, |id| id.index),
    })
}

/// Makes an empty folder that of a cluster of one voter, this node, whose state is `state`: as if it had
/// applied commands, taken a snapshot and purged its log. Opened, it elects itself. Durable on return.
///
/// # Errors
/// [`RaftError::Config`] when the folder is not empty.
pub fn seed(engine: &Arc<dyn KvEngine>, config: &RaftConfig, state: &[u8]) -> RaftResult<()> {
    config.to_openraft()?;
    let used = engine.read::<IdentitySpace>(&())?.is_some()
        || engine.read::<SnapshotSpace>(&())?.is_some()
        || engine.first::<LogSpace>()?.is_some();
    if used {
        return Err(RaftError::Config("the folder is not empty".to_owned()));
    }
    let leader = openraft::CommittedLeaderId::new(1, config.node_id);
    let last = LogId::new(leader, 1);
    let nodes = BTreeMap::from([(config.node_id, config.node.clone())]);
    let membership = Membership::new(vec![BTreeSet::from([config.node_id])], nodes);
    let meta = SnapshotMeta {
        last_log_id: Some(last),
        last_membership: StoredMembership::new(Some(last), membership),
        snapshot_id: "seed".to_owned(),
    };
    // The vote and the marks only count together with the snapshot, which is written last but for the
    // identity: an interrupted seed leaves a folder that is neither a node's nor empty.
    let mut batch = WriteBatch::new();
    batch
        .put::<VoteSpace>(&(), &Vote::new(1, config.node_id))
        .put::<MarkSpace>(&PURGED, &last)
        .put::<MarkSpace>(&COMMITTED, &last);
    engine.write(&batch, Durability::Durable)?;
    SnapshotStore::new(Arc::clone(engine)).save(&meta, state)?;
    let mut batch = WriteBatch::new();
    let identity = pb::Identity {
        format: FORMAT,
        cluster_id: config.cluster_id.clone(),
        node_id: config.node_id,
    };
    batch.put::<IdentitySpace>(&(), &identity);
    engine.write(&batch, Durability::Durable)?;
    check_folder(&**engine, config)
}
