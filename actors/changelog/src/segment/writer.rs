use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::chain::Chain;
use crate::position::MAX_POSITION;
use crate::{ChangeLogError, EncodedPosition, LogSeq, LogWriter, MAX_PAYLOAD, NewRecord, Result};

use super::engine::{Engine, blocking, interrupted};
use super::tail::Staged;

/// Gives the right to write back when dropped.
struct Taken(Arc<Engine>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.writer_taken.store(false, Ordering::Release);
    }
}

/// The writer of a [`SegmentLog`](crate::SegmentLog).
pub(crate) struct SegmentWriter {
    engine: Arc<Engine>,
    generation: u64,
    /// The point after everything that was taken.
    chain: Chain,
    staged: Vec<Staged>,
    staged_bytes: usize,
    /// The write under way. Kept here so that a dropped call loses nothing.
    running: Option<JoinHandle<Result<()>>>,
    /// How much may be appended before free space is looked at again.
    allowance: u64,
    _taken: Taken,
}

impl SegmentWriter {
    pub(crate) async fn open(engine: Arc<Engine>) -> Result<Self> {
        engine.check_open()?;
        if engine.writer_taken.swap(true, Ordering::AcqRel) {
            return Err(ChangeLogError::WriterTaken);
        }
        let taken = Taken(engine.clone());
        let shared = engine.clone();
        let (generation, chain) = blocking(move || shared.tail().take_over(&shared)).await?;
        let mut writer = Self {
            engine,
            generation,
            chain,
            staged: Vec::new(),
            staged_bytes: 0,
            running: None,
            allowance: 0,
            _taken: taken,
        };
        if writer.chain.open_txn.is_some() {
            let time = writer.chain.last_time_us;
            writer.append(vec![NewRecord::abort(time)]).await?;
            writer.commit().await?;
        }
        Ok(writer)
    }

    /// Waits for the write under way. When it failed, what was taken since is void, too.
    async fn settle(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let result = running.await.unwrap_or_else(|error| Err(interrupted(&error)));
        self.running = None;
        if let Err(error) = result {
            self.staged.clear();
            self.staged_bytes = 0;
            self.allowance = 0;
            self.chain = self.engine.state().chain.clone();
            return Err(error);
        }
        Ok(())
    }

    fn start(&mut self, commit: bool) {
        let engine = self.engine.clone();
        let generation = self.generation;
        let records = std::mem::take(&mut self.staged);
        self.staged_bytes = 0;
        self.running = Some(tokio::task::spawn_blocking(move || {
            let mut tail = engine.tail();
            if commit {
                tail.commit(&engine, generation, &records)
            } else {
                tail.write(&engine, generation, &records)
            }
        }));
    }

    /// Refuses bytes that would leave less than the reserve free.
    fn check_room(&mut self, bytes: u64) -> Result<()> {
        let config = &self.engine.config;
        if bytes > self.allowance {
            let free = self
                .engine
                .disk
                .free()
                .map_err(|error| ChangeLogError::io(self.engine.disk.dir(), error))?;
            let needed = config
                .reserve_bytes
                .saturating_add(bytes)
                .saturating_add(self.staged_bytes as u64);
            if free < needed {
                return Err(ChangeLogError::DiskFull {
                    dir: self.engine.disk.dir().to_owned(),
                    free,
                    needed,
                    rolled_back_to: None,
                });
            }
            // Others fill the disk too: look again well before the reserve could be gone.
            self.allowance = bytes.saturating_add((config.reserve_bytes / 8).min(free - needed));
        }
        self.allowance -= bytes;
        Ok(())
    }
}

#[async_trait]
impl LogWriter for SegmentWriter {
    async fn append(&mut self, records: Vec<NewRecord>) -> Result<LogSeq> {
        self.settle().await?;
        self.engine.check_open()?;
        // No waiting from here on: the batch is taken as a whole.
        let mut chain = self.chain.clone();
        let mut batch = Vec::with_capacity(records.len());
        for (index, record) in records.into_iter().enumerate() {
            let refuse = |reason| ChangeLogError::InvalidRecord { index, reason };
            if record.payload.len() > MAX_PAYLOAD {
                return Err(refuse("the payload is larger than 1 GiB"));
            }
            let position = record
                .position
                .as_ref()
                .map(EncodedPosition::encode)
                .transpose()?;
            debug_assert!(
                position
                    .as_ref()
                    .is_none_or(|position| position.as_bytes().len() <= MAX_POSITION)
            );
            chain
                .admit(
                    record.flags,
                    record.source_time_us,
                    position.as_ref(),
                    record.payload.len(),
                )
                .map_err(refuse)?;
            batch.push(Staged::new(record, position));
        }
        let bytes = batch.iter().map(Staged::frame_len).sum::<usize>();
        self.check_room(bytes as u64)?;
        self.chain = chain;
        self.staged_bytes += bytes;
        self.staged.append(&mut batch);
        if self.staged_bytes >= self.engine.config.write_buffer {
            self.start(false);
        }
        Ok(self.chain.last)
    }

    async fn commit(&mut self) -> Result<LogSeq> {
        self.settle().await?;
        self.engine.check_open()?;
        if self.chain.last > self.engine.published.borrow().last {
            self.start(true);
            self.settle().await?;
        }
        Ok(self.chain.last)
    }

    fn next_seq(&self) -> LogSeq {
        self.chain.last.next()
    }

    fn open_transaction(&self) -> Option<LogSeq> {
        self.chain.open_txn
    }
}
