//! Copying a chunk of a table with a key.

use std::sync::atomic::Ordering;

use oms_core::{
    ChunkEnds, ChunkRange, ChunkReceipt, ColumnType, ExistingRows, Failure, KeyOrder, TablePair,
    WriteOutcome, codes,
};

use tokio::time::Instant;

use super::{
    ChunkPlan, ExistingPolicy,
    backoff::Backoff,
    pass::{Connections, Pass, Trouble},
};

/// Fewest rows of a chunk, however large they are.
const LEAST_ROWS: u64 = 50;

struct Copied {
    rows: u64,
    bytes: u64,
    kept: u64,
}

impl Pass {
    /// Takes the next chunk of the table and copies it.
    pub(super) async fn copy_chunk(
        &self,
        table: usize,
        pair: &TablePair,
        connections: &mut Connections,
    ) -> Result<(), Trouble> {
        let mut backoff = Backoff::new(&self.config.retry);
        let taken = loop {
            match self.take(table, pair, connections).await {
                Ok(taken) => break taken,
                Err(failure) => {
                    connections.drop_all();
                    self.again(&mut backoff, failure).await?;
                }
            }
        };
        let Some((number, range)) = taken else {
            return Ok(());
        };
        backoff.reset();
        loop {
            match self.copy_range(table, pair, number, &range, connections).await {
                Ok(copied) => return self.note(table, pair, &range, &copied).await,
                Err(failure) => {
                    connections.drop_all();
                    self.again(&mut backoff, failure).await?;
                }
            }
        }
    }

    /// Waits before a repetition, unless the failure stands or ends the pass.
    pub(super) async fn again(&self, backoff: &mut Backoff, failure: Failure) -> Result<(), Trouble> {
        if failure.is_transient() {
            self.load.troubles.fetch_add(1, Ordering::Relaxed);
        }
        match Trouble::from(failure) {
            Trouble::Table(failure) => backoff.pause(failure).await.map_err(Trouble::Table),
            pass => Err(pass),
        }
    }

    async fn take(
        &self,
        table: usize,
        pair: &TablePair,
        connections: &mut Connections,
    ) -> Result<Option<(u64, ChunkRange)>, Failure> {
        let Some(plan) = self.work.plans.get(table) else {
            return Ok(None);
        };
        let mut plan = plan.lock().await;
        if plan.is_none() {
            let chunks = self.prepare(table, pair).await?;
            *plan = Some((chunks, ChunkEnds::new(&pair.source)));
        }
        let Some((plan, ends)) = plan.as_mut() else {
            return Ok(None);
        };
        let mut taken = plan.take_gap();
        if taken.is_none()
            && let Some(after) = plan.frontier()
        {
            let rows = self.work.target_rows(table);
            let (most, _) = self.tuning.borrow().bound_chunk(rows, u64::MAX);
            let rows = rows.min(most);
            let reader = connections.reader(self).await?;
            let end = ends.next(reader.as_mut(), &pair.source, after, rows).await?;
            taken = plan.advance(end);
        }
        if plan.is_empty() {
            self.work.exhaust(table);
        }
        Ok(taken)
    }

    async fn prepare(&self, table: usize, pair: &TablePair) -> Result<ChunkPlan, Failure> {
        let inexact = |column: &usize| {
            let column = pair.source.columns.get(*column);
            column.is_some_and(|c| matches!(c.ty, ColumnType::Float | ColumnType::Double))
        };
        if pair
            .source
            .row_key_columns()
            .unwrap_or_default()
            .iter()
            .any(inexact)
        {
            let text = format!("{} is identified by a floating point column", pair.source.name);
            return Err(Failure::new(codes::import::KEY_NOT_USABLE, text));
        }
        let receipts = self.claim.receipts(&pair.source.name).await?;
        let first = receipts.is_empty();
        if first
            && self.config.existing == ExistingPolicy::Stop
            && self.config.check_empty
            && self.sink.has_rows(&pair.destination.name).await?
        {
            return Err(self.not_empty(pair, ""));
        }
        let rows = receipts.iter().map(|r| r.rows).sum();
        let bytes = receipts.iter().map(|r| r.bytes).sum();
        self.work.restore(table, rows, bytes, None);
        self.progress.set(table, rows, bytes);
        Ok(ChunkPlan::after(receipts)?)
    }

    async fn copy_range(
        &self,
        table: usize,
        pair: &TablePair,
        number: u64,
        range: &ChunkRange,
        connections: &mut Connections,
    ) -> Result<Copied, Failure> {
        let existing = match self.config.existing {
            ExistingPolicy::Stop => ExistingRows::Replace,
            ExistingPolicy::Ignore => ExistingRows::Ignore,
        };
        let (reader, writer) = connections.both(self).await?;
        reader
            .read_chunk(pair.source.clone(), range, KeyOrder::Any)
            .await?;
        let mut batch = reader.next_batch(self.config.batch_bytes).await?;
        let mut copied = Copied {
            rows: 0,
            bytes: 0,
            kept: 0,
        };
        // The destination's transaction begins when there is something to write, and when it may be written.
        if let Some(rows) = &batch {
            self.throttle.pass(rows.rows.len() as u64, rows.bytes).await;
        }
        writer
            .begin(u32::try_from(table).unwrap_or(u32::MAX), existing)
            .await?;
        let mut large = false;
        while let Some(rows) = batch.take() {
            let (count, bytes) = (rows.rows.len() as u64, rows.bytes);
            let alone = rows.room.is_some();
            large |= alone;
            let begun = Instant::now();
            let write = async {
                // A large row is gone before its room is given back.
                let rows = rows;
                let written = writer.write(&rows.rows).await;
                self.load.wrote(count, bytes, begun.elapsed());
                written
            };
            let (written, next) = if alone {
                let written = write.await?;
                (Ok(written), reader.next_batch(self.config.batch_bytes).await)
            } else {
                // The next rows are read while these are written.
                tokio::join!(write, reader.next_batch(self.config.batch_bytes))
            };
            let WriteOutcome { kept, .. } = written?;
            copied.rows += count;
            copied.bytes += bytes;
            copied.kept += kept;
            batch = next?;
            if let Some(rows) = &batch {
                self.throttle.pass(rows.rows.len() as u64, rows.bytes).await;
            }
        }
        let receipt = ChunkReceipt {
            table: pair.source.name.clone(),
            number,
            range: range.clone(),
            rows: copied.rows,
            bytes: copied.bytes,
            snapshot: None,
        };
        writer.commit(&receipt).await?;
        if large {
            // Connections keep buffers of the size of what went through them.
            connections.drop_all();
        }
        Ok(copied)
    }

    async fn note(
        &self,
        table: usize,
        pair: &TablePair,
        range: &ChunkRange,
        copied: &Copied,
    ) -> Result<(), Trouble> {
        self.work.add(table, copied.rows, copied.bytes);
        self.progress.add(table, copied.rows, copied.bytes);
        self.counters.add_rows(copied.rows, copied.bytes);
        self.counters.add_transactions(1);
        if let Some(plan) = self.work.plans.get(table)
            && let Some((_, ends)) = plan.lock().await.as_mut()
        {
            ends.saw(range, copied.rows);
        }
        if let Some(mean) = copied.bytes.checked_div(copied.rows) {
            let (_, bytes) = self
                .tuning
                .borrow()
                .bound_chunk(u64::MAX, self.config.chunk_bytes);
            let rows = (bytes / mean.max(1)).clamp(LEAST_ROWS, self.config.chunk_rows.max(LEAST_ROWS));
            self.work
                .set_target_rows(table, rows.min(self.config.chunk_rows.max(1)));
        }
        if copied.kept > 0 {
            let total = self
                .work
                .conflict(table, range, copied.kept, self.config.listed_conflicts);
            if total > self.config.max_conflicts {
                return Err(Trouble::Table(Failure::new(
                    codes::import::TOO_MANY_CONFLICTS,
                    format!("{}: {total} rows", pair.destination.name),
                )));
            }
        }
        Ok(())
    }
}
