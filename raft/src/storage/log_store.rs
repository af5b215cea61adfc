//! Vote and log.

use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use oms_kv::{Durability, KvEngine, KvResult, ScanLimit, TypedKv, WriteBatch};
use openraft::storage::{LogFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};

use super::blocking;
use super::spaces::{COMMITTED, LogSpace, MarkSpace, PURGED, VoteSpace};
use crate::config::RaftConfig;
use crate::types::{Entry, LogId, StorageError, StorageIOError, TypeConfig, Vote};

/// Entries that one batch of a purge removes.
const PURGE_PART: usize = 64;

/// openraft's log over an engine. Clones share the engine and serve as readers.
///
/// Votes and entries are durable before openraft hears that they are; so are truncations. The purge and
/// committed marks are buffered: losing them costs work after a restart, never data.
///
/// A purge goes in parts, each with the mark of where it ended, so that after every part the log begins where the mark
/// says. One batch over thousands of entries would be as right, but the engine keeps each page that the batch
/// replaces until the batch is over: many megabytes that stay with the process.
#[derive(Clone)]
pub(crate) struct LogStore {
    engine: Arc<dyn KvEngine>,
    last: LastIndex,
}

/// Index of the last entry of the log, as of the last completed write.
#[derive(Clone, Default)]
pub(crate) struct LastIndex(Arc<AtomicU64>);

impl LastIndex {
    /// The index; 0 when the log is empty.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl LogStore {
    pub(crate) fn new(engine: Arc<dyn KvEngine>) -> Self {
        Self {
            engine,
            last: LastIndex::default(),
        }
    }

    /// Follows the last index. It is known from the moment openraft has asked for the log's state.
    pub(crate) fn last_index(&self) -> LastIndex {
        self.last.clone()
    }

    async fn run<T: Send + 'static>(
        &self,
        error: fn(oms_kv::KvError) -> StorageIOError,
        call: impl FnOnce(&dyn KvEngine) -> KvResult<T> + Send + 'static,
    ) -> Result<T, StorageError> {
        let engine = Arc::clone(&self.engine);
        blocking(move || call(&*engine).map_err(|cause| error(cause).into())).await?
    }

    async fn entries(
        &self,
        from: Bound<u64>,
        to: Bound<u64>,
        limit: ScanLimit,
    ) -> Result<Vec<Entry>, StorageError> {
        let found = self
            .run(
                |e| StorageIOError::read_logs(&e),
                move |engine| engine.read_range::<LogSpace>((from, to), limit),
            )
            .await?;
        Ok(found.into_iter().map(|(_, entry)| entry).collect())
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, StorageError> {
        self.entries(
            range.start_bound().cloned(),
            range.end_bound().cloned(),
            ScanLimit::NONE,
        )
        .await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        let limit = ScanLimit {
            records: usize::MAX,
            bytes: RaftConfig::APPEND_BYTES,
        };
        self.entries(Bound::Included(start), Bound::Excluded(end), limit)
            .await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let state = self
            .run(
                |e| StorageIOError::read_logs(&e),
                |engine| {
                    let last_purged_log_id = engine.read::<MarkSpace>(&PURGED)?;
                    let last_log_id = engine
                        .last::<LogSpace>()?
                        .map(|(_, entry)| entry.log_id)
                        .or(last_purged_log_id);
                    Ok(LogState {
                        last_purged_log_id,
                        last_log_id,
                    })
                },
            )
            .await?;
        self.last.0.store(
            state.last_log_id.map_or(0, |id: LogId| id.index),
            Ordering::SeqCst,
        );
        Ok(state)
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.put::<VoteSpace>(&(), vote);
        self.run(
            |e| StorageIOError::write_vote(&e),
            move |engine| engine.write(&batch, Durability::Durable),
        )
        .await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        self.run(
            |e| StorageIOError::read_vote(&e),
            |engine| engine.read::<VoteSpace>(&()),
        )
        .await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        match committed {
            Some(id) => batch.put::<MarkSpace>(&COMMITTED, &id),
            None => batch.delete::<MarkSpace>(&COMMITTED),
        };
        self.run(
            |e| StorageIOError::write_logs(&e),
            move |engine| engine.write(&batch, Durability::Buffered),
        )
        .await
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        self.run(
            |e| StorageIOError::read_logs(&e),
            |engine| engine.read::<MarkSpace>(&COMMITTED),
        )
        .await
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut batch = WriteBatch::new();
        let mut last = None;
        for entry in entries {
            batch.put::<LogSpace>(&entry.log_id.index, &entry);
            last = Some(entry.log_id.index);
        }
        let written = self
            .run(
                |e| StorageIOError::write_logs(&e),
                move |engine| engine.write(&batch, Durability::Durable),
            )
            .await;
        if let (Ok(()), Some(last)) = (&written, last) {
            self.last.0.store(last, Ordering::SeqCst);
        }
        callback.log_io_completed(match &written {
            Ok(()) => Ok(()),
            Err(error) => Err(std::io::Error::other(error.to_string())),
        });
        written
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        let mut batch = WriteBatch::new();
        batch.delete_range::<LogSpace>(log_id.index..);
        self.run(
            |e| StorageIOError::write_logs(&e),
            move |engine| engine.write(&batch, Durability::Durable),
        )
        .await?;
        self.last
            .0
            .store(log_id.index.saturating_sub(1), Ordering::SeqCst);
        Ok(())
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.run(
            |e| StorageIOError::write_logs(&e),
            move |engine| {
                loop {
                    let part =
                        engine.read_range::<LogSpace>(..=log_id.index, ScanLimit::records(PURGE_PART))?;
                    let whole = part.len() < PURGE_PART;
                    let end = match part.last() {
                        Some((_, entry)) if !whole => entry.log_id,
                        _ => log_id,
                    };
                    let mut batch = WriteBatch::new();
                    batch.put::<MarkSpace>(&PURGED, &end);
                    for (index, _) in &part {
                        batch.delete::<LogSpace>(index);
                    }
                    engine.write(&batch, Durability::Buffered)?;
                    if whole {
                        return Ok(());
                    }
                }
            },
        )
        .await?;
        self.last.0.fetch_max(log_id.index, Ordering::SeqCst);
        Ok(())
    }
}
