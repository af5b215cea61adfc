//! Copying a table without a key.

use oms_core::{
    ChunkRange, ChunkReceipt, ChunkWriter, ExistingRows, Failure, Position, RowBatch, SnapshotReader,
    TablePair,
};

use tokio::time::Instant;

use super::{
    backoff::Backoff,
    pass::{Connections, Pass, Trouble},
};

impl Pass {
    /// Copies the whole table in one snapshot, from the beginning unless it is complete.
    pub(super) async fn copy_whole(
        &self,
        table: usize,
        pair: &TablePair,
        connections: &mut Connections,
    ) -> Result<(), Trouble> {
        self.work.exhaust(table);
        let mut backoff = Backoff::new(&self.config.retry);
        loop {
            match self.copy_once(table, pair, connections).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Table(failure)) => {
                    connections.drop_all();
                    self.again(&mut backoff, failure).await?;
                }
                Err(pass) => return Err(pass),
            }
        }
    }

    async fn copy_once(
        &self,
        table: usize,
        pair: &TablePair,
        connections: &mut Connections,
    ) -> Result<(), Trouble> {
        let receipts = self.claim.receipts(&pair.source.name).await?;
        let rows = receipts.iter().map(|r| r.rows).sum();
        let bytes = receipts.iter().map(|r| r.bytes).sum();
        let last = receipts.iter().max_by_key(|r| r.number);
        // Only the chunk that says "that was all" has no rows.
        if let Some(last) = last.filter(|r| r.rows == 0) {
            self.work.restore(table, rows, bytes, last.snapshot.clone());
            self.progress.set(table, rows, bytes);
            return Ok(());
        }
        let mut clear = last.is_some();
        if !clear && self.sink.has_rows(&pair.destination.name).await? {
            if self.config.check_empty {
                let more = " and has no key to tell them from those of the source; resuming empties it first";
                return Err(Trouble::Table(self.not_empty(pair, more)));
            }
            clear = true;
        }
        if clear {
            self.claim.clear_table(number_of(table)).await?;
        }
        self.work.restore(table, 0, 0, None);
        self.progress.set(table, 0, 0);
        let reader = connections.reader(self).await?;
        let snapshot = reader
            .begin_consistent(std::slice::from_ref(&pair.source.name))
            .await?;
        reader.read_all(pair.source.clone()).await?;
        let mut number = 0;
        loop {
            let reader = connections.reader(self).await?;
            let batch = match next_batch(&mut **reader, self.config.batch_bytes).await {
                Ok(batch) => batch,
                Err(failure) => {
                    connections.drop_reader();
                    return Err(failure.into());
                }
            };
            let end = batch.rows.is_empty();
            let receipt = receipt(pair, number, &batch, &snapshot);
            self.throttle.pass(receipt.rows, receipt.bytes).await;
            // The rows are still in memory, so a failure to write them does not cost the snapshot.
            let mut backoff = Backoff::new(&self.config.retry);
            loop {
                let (_, writer) = connections.both(self).await?;
                let begun = Instant::now();
                match write(&mut **writer, table, &batch, &receipt).await {
                    Ok(()) => {
                        self.load.wrote(receipt.rows, receipt.bytes, begun.elapsed());
                        break;
                    }
                    Err(failure) => {
                        connections.drop_writer();
                        self.again(&mut backoff, failure).await?;
                    }
                }
            }
            self.work.add(table, receipt.rows, receipt.bytes);
            self.progress.add(table, receipt.rows, receipt.bytes);
            self.counters.add_rows(receipt.rows, receipt.bytes);
            self.counters.add_transactions(1);
            number += 1;
            if end {
                break;
            }
        }
        let done = connections.reader(self).await?;
        if done.end_consistent().await.is_err() {
            // All rows are written; only the connection is of no use any more.
            connections.drop_reader();
        }
        self.work.set_snapshot(table, snapshot);
        Ok(())
    }
}

fn number_of(table: usize) -> u32 {
    u32::try_from(table).unwrap_or(u32::MAX)
}

/// The next rows; none at the end.
async fn next_batch(reader: &mut dyn SnapshotReader, bytes: usize) -> Result<RowBatch, Failure> {
    loop {
        match reader.next_batch(bytes).await? {
            None => return Ok(RowBatch::default()),
            Some(batch) if batch.rows.is_empty() => {}
            Some(batch) => return Ok(batch),
        }
    }
}

fn receipt(pair: &TablePair, number: u64, batch: &RowBatch, snapshot: &Position) -> ChunkReceipt {
    ChunkReceipt {
        table: pair.source.name.clone(),
        number,
        range: ChunkRange::default(),
        rows: batch.rows.len() as u64,
        bytes: batch.bytes,
        snapshot: Some(snapshot.clone()),
    }
}

async fn write(
    writer: &mut dyn ChunkWriter,
    table: usize,
    batch: &RowBatch,
    receipt: &ChunkReceipt,
) -> Result<(), Failure> {
    writer.begin(number_of(table), ExistingRows::Replace).await?;
    if !batch.rows.is_empty() {
        writer.write(&batch.rows).await?;
    }
    writer.commit(receipt).await
}
