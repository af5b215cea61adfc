//! One claim's worth of work.

use std::sync::{Arc, atomic::Ordering};

use oms_core::{ChunkWriter, Claim, Counters, Failure, Sink, SnapshotReader, Source, TablePair, codes};
use tokio::sync::{Semaphore, watch};

use super::{
    ImportConfig, ImportProgress, ImportTuning, TableState, load::Load, throttle::Throttle, work::Work,
};

/// What the workers of a pass share.
pub(super) struct Pass {
    pub(super) source: Arc<dyn Source>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) claim: Arc<dyn Claim>,
    pub(super) tables: Arc<Vec<TablePair>>,
    pub(super) config: ImportConfig,
    pub(super) work: Arc<Work>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) tuning: watch::Receiver<ImportTuning>,
    pub(super) load: Load,
    /// What large rows on the way may take, a permit per KiB.
    pub(super) room: Arc<Semaphore>,
    pub(super) counters: Arc<Counters>,
    pub(super) progress: Arc<ImportProgress>,
}

/// KiB that large rows of all workers take at most, but for a row that is larger.
pub(super) const ROOM: u32 = 64 << 10;

/// Why working on a table ended early.
pub(super) enum Trouble {
    /// The table cannot be completed.
    Table(Failure),
    /// Nobody can go on under this claim.
    Pass(Failure),
}

impl From<Failure> for Trouble {
    /// A lost claim and a commit that nobody knows the outcome of end the pass.
    fn from(failure: Failure) -> Self {
        if failure.is_fenced() || failure.code() == codes::apply::COMMIT_UNKNOWN {
            Self::Pass(failure)
        } else {
            Self::Table(failure)
        }
    }
}

async fn open_reader(pass: &Pass) -> Result<Box<dyn SnapshotReader>, Failure> {
    let mut reader = pass.source.open_snapshot().await?;
    reader.share_room(pass.room.clone(), ROOM);
    Ok(reader)
}

/// A worker's connections. Opened when needed, dropped after any error.
#[derive(Default)]
pub(super) struct Connections {
    reader: Option<Box<dyn SnapshotReader>>,
    writer: Option<Box<dyn ChunkWriter>>,
}

impl Connections {
    pub(super) async fn reader(&mut self, pass: &Pass) -> Result<&mut Box<dyn SnapshotReader>, Failure> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => open_reader(pass).await?,
        };
        Ok(self.reader.insert(reader))
    }

    pub(super) async fn both(
        &mut self,
        pass: &Pass,
    ) -> Result<(&mut Box<dyn SnapshotReader>, &mut Box<dyn ChunkWriter>), Failure> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => open_reader(pass).await?,
        };
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => pass.claim.chunk_writer().await?,
        };
        Ok((self.reader.insert(reader), self.writer.insert(writer)))
    }

    pub(super) fn drop_reader(&mut self) {
        self.reader = None;
    }

    pub(super) fn drop_writer(&mut self) {
        self.writer = None;
    }

    pub(super) fn drop_all(&mut self) {
        *self = Self::default();
    }
}

impl Pass {
    /// Works until nothing is left to take, or until there are to be no more workers than its number.
    pub(super) async fn worker(self: Arc<Self>, number: usize) -> Result<(), Failure> {
        let mut connections = Connections::default();
        while number < self.load.level.load(Ordering::Relaxed)
            && let Some(table) = self.work.pick()
        {
            let Some(pair) = self.tables.get(table) else {
                self.work.exhaust(table);
                continue;
            };
            self.progress.enter(table, TableState::Running);
            let done = if pair.key.is_some() {
                self.copy_chunk(table, pair, &mut connections).await
            } else {
                self.copy_whole(table, pair, &mut connections).await
            };
            match done {
                Ok(()) => {}
                Err(Trouble::Table(failure)) => {
                    connections.drop_all();
                    self.progress.enter(table, TableState::Failed);
                    let failure = failure.context(&pair.source.name);
                    tracing::warn!(code = %failure.code(), "the import of a table failed: {failure}");
                    self.work.fail(table, failure);
                }
                Err(Trouble::Pass(failure)) => return Err(failure),
            }
            if self.work.leave(table) {
                self.progress.enter(table, TableState::Finished);
            }
        }
        Ok(())
    }

    /// Refuses a destination table that holds rows before its first chunk.
    pub(super) fn not_empty(&self, pair: &TablePair, more: &str) -> Failure {
        let text = format!("{} holds rows{more}", pair.destination.name);
        Failure::new(codes::import::DESTINATION_NOT_EMPTY, text)
    }
}
