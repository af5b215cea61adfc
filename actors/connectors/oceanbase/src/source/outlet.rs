//! From changes to records.

use std::sync::Arc;

use bytes::Bytes;
use oms_core::{CapturedRecord, Failure, Position, RecordFlags, ScnPosition, TableSchema};
use tokio::sync::mpsc;

use super::batch::{BatchWriter, Change, end};

/// A batch is closed when it has so many bytes.
const BATCH_BYTES: usize = 256 << 10;

/// The reader of the records went away: the round is of no use any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

/// Takes the changes of one round and gives its records.
#[derive(Debug)]
pub(super) struct Outlet<'s> {
    records: &'s mpsc::Sender<Result<CapturedRecord, Failure>>,
    time_us: i64,
    begun: bool,
    batch: Option<(Arc<TableSchema>, BatchWriter)>,
}

impl<'s> Outlet<'s> {
    /// Of a round that ends at `scn`.
    pub(super) fn new(records: &'s mpsc::Sender<Result<CapturedRecord, Failure>>, scn: u64) -> Self {
        Self {
            records,
            time_us: i64::try_from(scn / 1_000).unwrap_or(i64::MAX),
            begun: false,
            batch: None,
        }
    }

    /// Adds a change. Those of a table come one after the other.
    pub(super) async fn push(&mut self, table: &Arc<TableSchema>, change: &Change) -> Result<(), Gone> {
        let fits = self
            .batch
            .as_ref()
            .is_some_and(|(of, batch)| of.name == table.name && batch.len() < BATCH_BYTES);
        if !fits {
            self.flush().await?;
        }
        let (_, batch) = self
            .batch
            .get_or_insert_with(|| (table.clone(), BatchWriter::new(table)));
        batch.push(change);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let Some((_, batch)) = self.batch.take() else {
            return Ok(());
        };
        let flags = if self.begun {
            RecordFlags::default()
        } else {
            RecordFlags::TXN_FIRST
        };
        self.begun = true;
        self.send(flags, None, batch.finish()).await
    }

    async fn send(&self, flags: RecordFlags, position: Option<Position>, payload: Bytes) -> Result<(), Gone> {
        let record = CapturedRecord {
            flags,
            source_time_us: self.time_us,
            position,
            payload,
        };
        self.records.send(Ok(record)).await.map_err(|_| Gone)
    }

    /// Ends the round; one without changes only moves the position.
    pub(super) async fn finish(mut self, position: ScnPosition) -> Result<(), Gone> {
        self.flush().await?;
        let position = Some(Position::Scn(position));
        if self.begun {
            self.send(RecordFlags::TXN_LAST, position, end()).await
        } else {
            self.send(RecordFlags::HEARTBEAT, position, Bytes::new()).await
        }
    }
}
