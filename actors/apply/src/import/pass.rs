//! One claim's worth of work.

use std::sync::Arc;

use oms_core::{ChunkWriter, Claim, Counters, Failure, Sink, SnapshotReader, Source, TablePair, codes};

use super::{ImportConfig, ImportProgress, TableState, throttle::Throttle, work::Work};

/// What the workers of a pass share.
pub(super) struct Pass {
    pub(super) source: Arc<dyn Source>,
    pub(super) sink: Arc<dyn Sink>,
    pub(super) claim: Arc<dyn Claim>,
    pub(super) tables: Arc<Vec<TablePair>>,
    pub(super) config: ImportConfig,
    pub(super) work: Arc<Work>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) counters: Arc<Counters>,
    pub(super) progress: Arc<ImportProgress>,
}

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
            None => pass.source.open_snapshot().await?,
        };
        Ok(self.reader.insert(reader))
    }

    pub(super) async fn both(
        &mut self,
        pass: &Pass,
    ) -> Result<(&mut Box<dyn SnapshotReader>, &mut Box<dyn ChunkWriter>), Failure> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => pass.source.open_snapshot().await?,
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
    /// Works until nothing is left to take.
    pub(super) async fn worker(self: Arc<Self>) -> Result<(), Failure> {
        let mut connections = Connections::default();
        while let Some(table) = self.work.pick() {
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
