//! Is this folder whole, and is it ours?

use oms_kv::{Durability, KvEngine, ScanLimit, TypedKv, WriteBatch};
use oms_proto::raft as pb;

use super::spaces::{IdentitySpace, LogSpace, MarkSpace, PURGED, SnapshotSpace};
use crate::codec;
use crate::config::RaftConfig;
use crate::error::{RaftError, RaftResult};

/// Version of everything consensus stores.
pub(super) const FORMAT: u32 = 1;

/// Claims an empty folder for this node, or checks that a used one is this node's and holds together:
/// the log has no hole, begins where the purge mark says, and a snapshot covers what was purged. openraft
/// takes all of this for granted.
pub(crate) fn check_folder(engine: &dyn KvEngine, config: &RaftConfig) -> RaftResult<()> {
    match engine.read::<IdentitySpace>(&())? {
        None => {
            if engine.first::<LogSpace>()?.is_some() {
                return Err(RaftError::Damaged("there is a log but no identity".to_owned()));
            }
            let mut batch = WriteBatch::new();
            let identity = pb::Identity {
                format: FORMAT,
                cluster_id: config.cluster_id.clone(),
                node_id: config.node_id,
            };
            batch.put::<IdentitySpace>(&(), &identity);
            engine.write(&batch, Durability::Durable)?;
        }
        Some(identity) if identity.format != FORMAT => {
            return Err(RaftError::Damaged(format!(
                "the consensus records have format {}, this program reads {FORMAT}",
                identity.format
            )));
        }
        Some(identity) if identity.cluster_id != config.cluster_id || identity.node_id != config.node_id => {
            return Err(RaftError::WrongFolder {
                stored_node: identity.node_id,
                stored_cluster: identity.cluster_id,
                node: config.node_id,
                cluster: config.cluster_id.clone(),
            });
        }
        Some(_) => {}
    }
    check_log(engine)
}

fn check_log(engine: &dyn KvEngine) -> RaftResult<()> {
    let purged = engine.read::<MarkSpace>(&PURGED)?;
    let covered = match engine.read::<SnapshotSpace>(&())? {
        Some(record) => {
            let meta = codec::required(record.meta, "meta").and_then(codec::snapshot_meta_from);
            meta.map_err(RaftError::Damaged)?.last_log_id
        }
        None => None,
    };
    if purged > covered {
        return Err(RaftError::Damaged(format!(
            "the log was purged up to {}, but the snapshot ends at {}",
            purged.map_or(0, |id| id.index),
            covered.map_or(0, |id| id.index)
        )));
    }
    let mut next = purged.map(|id| id.index + 1);
    loop {
        let from = next.unwrap_or(0);
        let entries = engine.read_range::<LogSpace>(
            from..,
            ScanLimit {
                records: 1000,
                bytes: 4 << 20,
            },
        )?;
        if entries.is_empty() {
            return Ok(());
        }
        for (index, entry) in entries {
            let expected = next.unwrap_or(0);
            if index != expected || entry.log_id.index != index {
                return Err(RaftError::Damaged(format!(
                    "log entry {expected} is missing; the next is {index}"
                )));
            }
            next = Some(index + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NodeInfo;
    use crate::types::{Entry, LogId};
    use oms_kv::MemoryEngine;
    use openraft::{CommittedLeaderId, EntryPayload};

    fn config(cluster: &str, node: u64) -> RaftConfig {
        RaftConfig::new(cluster, node, NodeInfo::default())
    }

    fn entry(index: u64) -> Entry {
        Entry {
            log_id: LogId::new(CommittedLeaderId::new(1, 1), index),
            payload: EntryPayload::Blank,
        }
    }

    #[test]
    fn a_folder_stays_with_its_node_and_cluster() {
        let engine = MemoryEngine::new();
        check_folder(&engine, &config("a", 1)).unwrap();
        check_folder(&engine, &config("a", 1)).unwrap();
        for other in [config("a", 2), config("b", 1)] {
            assert!(matches!(
                check_folder(&engine, &other),
                Err(RaftError::WrongFolder { stored_node: 1, .. })
            ));
        }
    }

    #[test]
    fn a_hole_in_the_log_is_damage() {
        for (present, whole) in [
            (vec![0, 1, 2], true),
            (vec![1, 2], false),
            (vec![0, 1, 3], false),
            (vec![], true),
        ] {
            let engine = MemoryEngine::new();
            check_folder(&engine, &config("a", 1)).unwrap();
            let mut batch = WriteBatch::new();
            for index in &present {
                batch.put::<LogSpace>(index, &entry(*index));
            }
            engine.write(&batch, Durability::Durable).unwrap();
            assert_eq!(
                check_folder(&engine, &config("a", 1)).is_ok(),
                whole,
                "{present:?}"
            );
        }
    }

    #[test]
    fn a_purged_log_without_its_snapshot_is_damage() {
        let engine = MemoryEngine::new();
        check_folder(&engine, &config("a", 1)).unwrap();
        let mut batch = WriteBatch::new();
        batch
            .put::<MarkSpace>(&PURGED, &entry(4).log_id)
            .put::<LogSpace>(&5, &entry(5));
        engine.write(&batch, Durability::Durable).unwrap();
        let error = check_folder(&engine, &config("a", 1)).unwrap_err();
        assert!(error.to_string().contains("purged up to 4"), "{error}");
    }
}
