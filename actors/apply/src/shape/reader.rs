//! Rows of the snapshot, seen through what is chosen.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{
    ChunkDigest, ChunkRange, DigestColumn, Failure, KeyOrder, Position, Row, RowBatch, RowBuilder,
    RowCondition, SnapshotReader, TableName, TableRead, TableSchema,
};
use tokio::sync::Semaphore;

use super::{LeftOutCounts, Shape, source::SeenTables};

/// Filters and converts what a reader gives. Chunks are bounded by the keys of all rows, seen or not.
pub(super) struct ShapedReader {
    inner: Box<dyn SnapshotReader>,
    seen: Arc<SeenTables>,
    /// What is chosen of the table that is being read.
    reading: Option<Arc<Shape>>,
    builder: RowBuilder,
}

impl ShapedReader {
    pub(super) fn new(inner: Box<dyn SnapshotReader>, seen: Arc<SeenTables>) -> Self {
        Self {
            inner,
            seen,
            reading: None,
            builder: RowBuilder::new(),
        }
    }

    /// The table as it is to be read, with what the server may leave out.
    fn begin(&mut self, table: Arc<TableSchema>) -> Result<Arc<TableSchema>, Failure> {
        self.reading = None;
        let Some((shape, layout)) = self.seen.view(&table)? else {
            return Ok(table);
        };
        self.inner.restrict(&table.name, shape.push_down());
        self.reading = Some(shape);
        Ok(layout)
    }
}

#[async_trait]
impl SnapshotReader for ShapedReader {
    async fn key_span(&mut self, table: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
        match self.seen.view(table)? {
            None => self.inner.key_span(table).await,
            Some((_, layout)) => self.inner.key_span(&layout).await,
        }
    }

    async fn estimate_rows(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
    ) -> Result<Option<u64>, Failure> {
        match self.seen.view(table)? {
            None => self.inner.estimate_rows(table, range).await,
            Some((_, layout)) => self.inner.estimate_rows(&layout, range).await,
        }
    }

    async fn key_near(
        &mut self,
        table: &TableSchema,
        after: &Row,
        before: &Row,
        guess: &Row,
    ) -> Result<Option<Row>, Failure> {
        match self.seen.find(table)? {
            None => self.inner.key_near(table, after, before, guess).await,
            Some(shape) => {
                let layout = &shape.snapshot().layout;
                self.inner.key_near(layout, after, before, guess).await
            }
        }
    }

    async fn chunk_end(
        &mut self,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        match self.seen.view(table)? {
            None => self.inner.chunk_end(table, after, rows).await,
            Some((_, layout)) => self.inner.chunk_end(&layout, after, rows).await,
        }
    }

    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        order: KeyOrder,
    ) -> Result<(), Failure> {
        let layout = self.begin(table)?;
        self.inner.read_chunk(layout, range, order).await
    }

    fn restrict(&mut self, _: &TableName, _: Option<&RowCondition>) {
        // The filter of the table is all that is asked of the server.
    }

    async fn digest_chunk(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
        columns: &[DigestColumn],
    ) -> Result<Option<ChunkDigest>, Failure> {
        let Some((shape, layout)) = self.seen.view(table)? else {
            return self.inner.digest_chunk(table, range, columns).await;
        };
        let program = shape.snapshot();
        if program.filter.is_some() {
            // The server's digest would be over all rows.
            return Ok(None);
        }
        let copied = |c: &DigestColumn| {
            Some(DigestColumn {
                column: program.copied_from(c.column)?,
                ..*c
            })
        };
        match columns.iter().map(copied).collect::<Option<Vec<_>>>() {
            Some(columns) => self.inner.digest_chunk(&layout, range, &columns).await,
            None => Ok(None),
        }
    }

    async fn read_keys(&mut self, table: Arc<TableSchema>, keys: &[Row]) -> Result<(), Failure> {
        let layout = self.begin(table)?;
        self.inner.read_keys(layout, keys).await
    }

    fn share_room(&mut self, room: Arc<Semaphore>, permits: u32) {
        self.inner.share_room(room, permits);
    }

    async fn begin_consistent(&mut self, tables: &[TableName]) -> Result<Position, Failure> {
        self.inner.begin_consistent(tables).await
    }

    async fn end_consistent(&mut self) -> Result<(), Failure> {
        self.inner.end_consistent().await
    }

    async fn read_all(&mut self, table: Arc<TableSchema>) -> Result<TableRead, Failure> {
        let layout = self.begin(table)?;
        self.inner.read_all(layout).await
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Option<RowBatch>, Failure> {
        loop {
            let Some(mut batch) = self.inner.next_batch(max_bytes).await? else {
                return Ok(None);
            };
            let Some(shape) = &self.reading else {
                return Ok(Some(batch));
            };
            let program = shape.snapshot();
            let read = batch.rows.len() as u64;
            let mut rows = Vec::with_capacity(batch.rows.len());
            for row in batch.rows.drain(..) {
                if program.takes(&row)? {
                    rows.push(program.convert(row, &mut self.builder)?);
                }
            }
            self.seen.left_out.add(LeftOutCounts {
                rows: read - rows.len() as u64,
                ..LeftOutCounts::default()
            });
            if rows.is_empty() && read > 0 {
                continue;
            }
            batch.bytes = rows.iter().map(|r| r.size() as u64).sum();
            batch.rows = rows;
            return Ok(Some(batch));
        }
    }

    async fn count(&mut self, table: &TableSchema) -> Result<u64, Failure> {
        let Some(shape) = self.seen.find(table)? else {
            return self.inner.count(table).await;
        };
        if shape.snapshot().filter.is_none() {
            return self.inner.count(&shape.snapshot().layout).await;
        }
        self.read_all(shape.seen().clone()).await?;
        let mut rows = 0;
        while let Some(batch) = self.next_batch(1 << 20).await? {
            rows += batch.rows.len() as u64;
        }
        Ok(rows)
    }
}
