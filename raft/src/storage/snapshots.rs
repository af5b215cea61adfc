//! The current snapshot on disk.

use std::sync::{Arc, Mutex, PoisonError};

use oms_kv::{Durability, KvEngine, KvResult, ScanLimit, TypedKv, WriteBatch};
use oms_proto::raft as pb;

use super::spaces::{ChunkSpace, SnapshotSpace};
use crate::codec;
use crate::types::SnapshotMeta;

const FORMAT: u32 = 1;
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks written in one batch.
const CHUNKS_PER_BATCH: usize = 16;

/// Why a snapshot cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] oms_kv::KvError),
    /// Record and chunks do not fit together.
    #[error("the stored snapshot is damaged: {0}")]
    Damaged(String),
}

/// Keeps exactly one snapshot. A new one is written beside the old and takes its place in one durable
/// batch; a crash in between leaves the old one and some unused chunks, which the next save removes.
#[derive(Clone)]
pub(crate) struct SnapshotStore {
    engine: Arc<dyn KvEngine>,
    /// Building and installing may meet; they write one after the other.
    saving: Arc<Mutex<()>>,
}

impl SnapshotStore {
    pub(crate) fn new(engine: Arc<dyn KvEngine>) -> Self {
        Self {
            engine,
            saving: Arc::new(Mutex::new(())),
        }
    }

    /// Makes this the current snapshot, durably. One that ends before the current one is not stored.
    pub(crate) fn save(&self, meta: &SnapshotMeta, bytes: &[u8]) -> KvResult<()> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.engine.read::<SnapshotSpace>(&())?;
        let last = meta.last_log_id.as_ref().map(|id| id.index);
        let current_last = current
            .as_ref()
            .and_then(|record| record.meta.as_ref()?.last.as_ref())
            .map(|id| id.index);
        if current_last > last {
            return Ok(());
        }
        let generation = current.map_or(0, |record| record.generation) + 1;
        let mut cleanup = WriteBatch::new();
        cleanup.delete_range::<ChunkSpace>((generation, 0)..);
        self.engine.write(&cleanup, Durability::Buffered)?;
        let mut count = 0u32;
        let chunks: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
        for group in chunks.chunks(CHUNKS_PER_BATCH) {
            let mut batch = WriteBatch::new();
            for chunk in group {
                batch.put::<ChunkSpace>(&(generation, count), &chunk.to_vec());
                count += 1;
            }
            self.engine.write(&batch, Durability::Buffered)?;
        }
        let record = pb::SnapshotRecord {
            format: FORMAT,
            meta: Some(codec::snapshot_meta_to(meta)),
            generation,
            length: bytes.len() as u64,
            chunks: count,
            crc32: crc32fast::hash(bytes),
        };
        let mut batch = WriteBatch::new();
        batch
            .put::<SnapshotSpace>(&(), &record)
            .delete_range::<ChunkSpace>(..(generation, 0));
        self.engine.write(&batch, Durability::Durable)
    }

    /// The current snapshot, checked.
    pub(crate) fn load(&self) -> Result<Option<(SnapshotMeta, Vec<u8>)>, SnapshotError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = self.engine.read::<SnapshotSpace>(&())? else {
            return Ok(None);
        };
        if record.format != FORMAT {
            return Err(SnapshotError::Damaged(format!(
                "it has the unknown format {}",
                record.format
            )));
        }
        let generation = record.generation;
        let mut bytes = Vec::new();
        for chunk in 0..record.chunks {
            let part = self
                .engine
                .read_range::<ChunkSpace>((generation, chunk)..=(generation, chunk), ScanLimit::records(1))?;
            let (_, part) = part
                .into_iter()
                .next()
                .ok_or_else(|| SnapshotError::Damaged(format!("chunk {chunk} is missing")))?;
            bytes.extend_from_slice(&part);
        }
        if bytes.len() as u64 != record.length || crc32fast::hash(&bytes) != record.crc32 {
            return Err(SnapshotError::Damaged(
                "length or checksum do not match".to_owned(),
            ));
        }
        let meta = codec::required(record.meta, "meta").and_then(codec::snapshot_meta_from);
        Ok(Some((meta.map_err(SnapshotError::Damaged)?, bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LogId, StoredMembership};
    use oms_kv::MemoryEngine;
    use openraft::CommittedLeaderId;

    fn meta(index: u64) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: Some(LogId::new(CommittedLeaderId::new(1, 1), index)),
            last_membership: StoredMembership::default(),
            snapshot_id: format!("s{index}"),
        }
    }

    #[test]
    fn the_newest_snapshot_replaces_the_one_before_entirely() {
        let engine = MemoryEngine::new();
        let store = SnapshotStore::new(Arc::new(engine.clone()));
        assert!(store.load().unwrap().is_none());
        for (index, size) in [(1, 0), (2, CHUNK_BYTES * 20 + 1), (3, CHUNK_BYTES), (4, 10)] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 253) as u8).collect();
            store.save(&meta(index), &bytes).unwrap();
            let (found, loaded) = store.load().unwrap().unwrap();
            assert_eq!(found, meta(index));
            assert!(loaded == bytes);
            let chunks = engine
                .read_range::<ChunkSpace>(.., ScanLimit::NONE)
                .unwrap()
                .len();
            assert_eq!(chunks, size.div_ceil(CHUNK_BYTES));
        }
        store.save(&meta(3), b"older").unwrap();
        assert_eq!(store.load().unwrap().unwrap().0, meta(4));
    }

    #[test]
    fn a_power_cut_at_any_moment_leaves_the_old_or_the_new_snapshot() {
        let engine = MemoryEngine::new();
        let store = SnapshotStore::new(Arc::new(engine.clone()));
        store.save(&meta(1), &vec![1; CHUNK_BYTES * 40]).unwrap();
        engine.write(&WriteBatch::new(), Durability::Buffered).unwrap();
        store.save(&meta(2), &vec![2; CHUNK_BYTES * 40]).unwrap();
        let (found, _) = SnapshotStore::new(Arc::new(engine.after_power_loss(0).unwrap()))
            .load()
            .unwrap()
            .unwrap();
        assert_eq!(found, meta(2), "a returned save is durable");

        // A save that fails half way: its chunks are there, the record is not.
        let mut unfinished = WriteBatch::new();
        unfinished
            .put::<ChunkSpace>(&(3, 0), &vec![3; 10])
            .put::<ChunkSpace>(&(3, 9), &vec![3; 10]);
        engine.write(&unfinished, Durability::Durable).unwrap();
        assert_eq!(store.load().unwrap().unwrap().0, meta(2));
        store.save(&meta(3), &[3; 5]).unwrap();
        assert_eq!(store.load().unwrap().unwrap().1, [3; 5]);
        assert_eq!(
            engine
                .read_range::<ChunkSpace>(.., ScanLimit::NONE)
                .unwrap()
                .len(),
            1
        );
    }

    #[test]
    fn a_missing_or_altered_chunk_is_noticed() {
        for damage in [None, Some(vec![9; CHUNK_BYTES])] {
            let engine = MemoryEngine::new();
            let store = SnapshotStore::new(Arc::new(engine.clone()));
            store.save(&meta(1), &vec![1; CHUNK_BYTES * 3]).unwrap();
            let mut batch = WriteBatch::new();
            match damage {
                None => batch.delete::<ChunkSpace>(&(1, 1)),
                Some(bytes) => batch.put::<ChunkSpace>(&(1, 1), &bytes),
            };
            engine.write(&batch, Durability::Durable).unwrap();
            assert!(matches!(store.load(), Err(SnapshotError::Damaged(_))));
        }
    }
}
