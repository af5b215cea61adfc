//! The applied state, in memory, with durable snapshots.

use std::io::Cursor;
use std::sync::{Arc, PoisonError, RwLock};

use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};

use super::blocking;
use super::snapshots::{SnapshotError, SnapshotStore};
use crate::error::{RaftError, RaftResult};
use crate::state_machine::StateMachine;
use crate::types::{
    Entry, LogId, Reply, Snapshot, SnapshotMeta, StorageError, StorageIOError, StoredMembership, TypeConfig,
};

struct AppliedState<S> {
    machine: S,
    last: Option<LogId>,
    membership: StoredMembership,
}

/// The state machine with what it has applied, behind one lock: one writer, many readers.
pub(crate) struct SharedState<S> {
    applied: RwLock<AppliedState<S>>,
}

impl<S: StateMachine> SharedState<S> {
    /// Reads the state and the index it stands at. A state machine that panicked while applying leaves
    /// nothing that may be read.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&S, u64) -> R) -> RaftResult<R> {
        let applied = self
            .applied
            .read()
            .map_err(|_| RaftError::Stopped("the state machine panicked".to_owned()))?;
        Ok(look(&applied.machine, applied.last.map_or(0, |id| id.index)))
    }
}

/// openraft's view of the state machine.
pub(crate) struct Machine<S> {
    shared: Arc<SharedState<S>>,
    snapshots: SnapshotStore,
}

impl<S> Clone for Machine<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            snapshots: self.snapshots.clone(),
        }
    }
}

impl<S: StateMachine> Machine<S> {
    /// Restores the state from the current snapshot, if there is one. Blocks on the disk.
    pub(crate) fn open(mut machine: S, snapshots: SnapshotStore) -> RaftResult<Self> {
        let (mut last, mut membership) = (None, StoredMembership::default());
        let loaded = snapshots.load().map_err(|error| match error {
            SnapshotError::Engine(error) => RaftError::Storage(error),
            SnapshotError::Damaged(what) => RaftError::Damaged(format!("snapshot: {what}")),
        })?;
        if let Some((meta, bytes)) = loaded {
            machine
                .restore(&bytes)
                .map_err(|error| RaftError::Damaged(error.to_string()))?;
            (last, membership) = (meta.last_log_id, meta.last_membership);
        }
        let applied = RwLock::new(AppliedState {
            machine,
            last,
            membership,
        });
        Ok(Self {
            shared: Arc::new(SharedState { applied }),
            snapshots,
        })
    }

    pub(crate) fn shared(&self) -> Arc<SharedState<S>> {
        Arc::clone(&self.shared)
    }

    fn panicked() -> StorageError {
        StorageIOError::read_state_machine(openraft::AnyError::error("the state machine panicked")).into()
    }
}

impl<S: StateMachine> RaftSnapshotBuilder<TypeConfig> for Machine<S> {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let this = self.clone();
        blocking(move || {
            let (meta, bytes) = {
                let applied = this.shared.applied.read().map_err(|_| Self::panicked())?;
                let id = applied.last.map_or_else(
                    || "empty".to_owned(),
                    |id| format!("{}-{}-{}", id.leader_id.term, id.leader_id.node_id, id.index),
                );
                let meta = SnapshotMeta {
                    last_log_id: applied.last,
                    last_membership: applied.membership.clone(),
                    snapshot_id: id,
                };
                (meta, applied.machine.snapshot())
            };
            this.snapshots
                .save(&meta, &bytes)
                .map_err(|error| StorageIOError::write_snapshot(Some(meta.signature()), &error))?;
            tracing::info!(snapshot = %meta.snapshot_id, bytes = bytes.len(), "metadata snapshot stored");
            Ok(Snapshot {
                meta,
                snapshot: Box::new(Cursor::new(bytes)),
            })
        })
        .await?
    }
}

impl<S: StateMachine> RaftStateMachine<TypeConfig> for Machine<S> {
    type SnapshotBuilder = Self;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let applied = self.shared.applied.read().map_err(|_| Self::panicked())?;
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut replies = Vec::new();
        let mut applied = self.shared.applied.write().map_err(|_| Self::panicked())?;
        for entry in entries {
            let reply = match entry.payload {
                EntryPayload::Blank => Vec::new(),
                EntryPayload::Normal(command) => applied.machine.apply(entry.log_id.index, &command.0),
                EntryPayload::Membership(membership) => {
                    applied.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Vec::new()
                }
            };
            applied.last = Some(entry.log_id);
            replies.push(Reply(reply));
        }
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let (this, meta, bytes) = (self.clone(), meta.clone(), snapshot.into_inner());
        blocking(move || {
            let signature = Some(meta.signature());
            let mut applied = this
                .shared
                .applied
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            // Restored first: bytes that do not restore must never become the stored snapshot.
            applied
                .machine
                .restore(&bytes)
                .map_err(|error| StorageIOError::read_snapshot(signature.clone(), &error))?;
            applied.last = meta.last_log_id;
            applied.membership = meta.last_membership.clone();
            drop(applied);
            this.snapshots
                .save(&meta, &bytes)
                .map_err(|error| StorageIOError::write_snapshot(signature, &error))?;
            tracing::info!(snapshot = %meta.snapshot_id, bytes = bytes.len(), "metadata snapshot installed");
            Ok(())
        })
        .await?
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let snapshots = self.snapshots.clone();
        let loaded = blocking(move || snapshots.load()).await?;
        let loaded = loaded.map_err(|error| StorageIOError::read_snapshot(None, &error))?;
        Ok(loaded.map(|(meta, bytes)| Snapshot {
            meta,
            snapshot: Box::new(Cursor::new(bytes)),
        }))
    }
}
