//! Chunks of full import to their topics.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use oms_core::{
    ChunkReceipt, ChunkWriter, ExistingRows, Failure, LaneId, MessageProducer, Row, TableName, WriteOutcome,
};
use parking_lot::Mutex;

use crate::{composer::Composer, receipt_note};

/// Lanes of a claim that no writer has, and the receipts as of now.
#[derive(Debug, Default)]
pub(crate) struct Import {
    pub(crate) free: Mutex<Vec<LaneId>>,
    pub(crate) receipts: Mutex<BTreeMap<(TableName, u64), ChunkReceipt>>,
}

/// Writes chunks over one lane, and gives it back if nothing is under way there.
pub(crate) struct TopicChunkWriter {
    pub(crate) import: Arc<Import>,
    pub(crate) lane: LaneId,
    pub(crate) producer: Option<Box<dyn MessageProducer>>,
    pub(crate) composer: Composer,
    pub(crate) table: u32,
    /// A transaction is under way, or its end is not known.
    pub(crate) open: bool,
}

impl TopicChunkWriter {
    fn producer(&mut self) -> Result<&mut Box<dyn MessageProducer>, Failure> {
        self.producer
            .as_mut()
            .ok_or_else(|| Failure::new(oms_core::codes::apply::INTERNAL, "a writer without a producer"))
    }
}

impl Drop for TopicChunkWriter {
    fn drop(&mut self) {
        // The producer goes first: a lane has one at a time.
        self.producer = None;
        if !self.open {
            self.import.free.lock().push(self.lane);
        }
    }
}

#[async_trait]
impl ChunkWriter for TopicChunkWriter {
    async fn begin(&mut self, table: u32, _existing: ExistingRows) -> Result<(), Failure> {
        self.table = table;
        self.open = true;
        self.producer()?.begin().await
    }

    async fn write(&mut self, rows: &[Row]) -> Result<WriteOutcome, Failure> {
        let mut rest = rows;
        while !rest.is_empty() {
            let (messages, done) = self.composer.rows(self.table, rest)?;
            self.producer()?.write(&messages).await?;
            rest = rest.get(done..).unwrap_or_default();
        }
        Ok(WriteOutcome {
            written: rows.len() as u64,
            kept: 0,
        })
    }

    async fn commit(&mut self, receipt: &ChunkReceipt) -> Result<(), Failure> {
        let name = receipt_note::name(&receipt.table, receipt.number);
        let note = receipt_note::note(receipt)?;
        self.producer()?.commit_notes(&[(name, Some(note))]).await?;
        self.open = false;
        let key = (receipt.table.clone(), receipt.number);
        self.import.receipts.lock().insert(key, receipt.clone());
        Ok(())
    }
}
