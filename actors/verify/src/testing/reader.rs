//! The reader.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use oms_core::{
    ChunkDigest, ChunkRange, DigestColumn, DigestForm, Failure, KeyOrder, Position, Row, RowBatch,
    RowBuilder, SnapshotReader, TableName, TableRead, TableSchema, Value, codes,
};

use super::world::World;
use crate::Side;

pub(super) struct MemoryReader {
    pub(super) world: World,
    pub(super) side: Side,
    pub(super) rows: VecDeque<Row>,
}

impl MemoryReader {
    fn start(&mut self, rows: Vec<Row>, order: KeyOrder) {
        self.rows = rows.into();
        if order == KeyOrder::Any {
            // Any order: not the one that is nicest.
            let half = self.rows.len() / 2;
            self.rows.rotate_left(half);
        }
    }

    /// In key order.
    fn in_range(&self, table: &TableSchema, range: &ChunkRange) -> Result<Vec<Row>, Failure> {
        self.world.tick()?;
        self.world.with(self.side, &table.name, |stored| {
            let after = range.after.as_ref().map(|key| stored.encoded_key(table, key));
            let through = range.through.as_ref().map(|key| stored.encoded_key(table, key));
            let inside = |key: &[u8]| {
                after.as_ref().is_none_or(|a| key > a.as_slice())
                    && through.as_ref().is_none_or(|t| key <= t.as_slice())
            };
            stored
                .matching(table, inside)
                .into_iter()
                .map(|(_, row)| row)
                .collect()
        })
    }
}

/// The key of a row.
fn key_row(table: &TableSchema, row: &Row) -> Row {
    let columns = table.row_key_columns().unwrap_or_default();
    let mut builder = RowBuilder::new();
    builder.begin(columns.len() as u16);
    columns.iter().for_each(|c| builder.push_cell(row.cell(*c)));
    builder.finish().unwrap_or_else(|_| row.clone())
}

/// A value as a server would write it into a row's text.
fn written(form: DigestForm, value: Value<'_>) -> String {
    match (form, value) {
        (DigestForm::Real, Value::Float(v)) => f64::from(v).to_bits().to_string(),
        (DigestForm::Real, Value::Double(v)) => v.to_bits().to_string(),
        (_, Value::Bit(n) | Value::UInt(n)) => n.to_string(),
        (_, Value::Int(n)) => n.to_string(),
        (_, Value::Decimal(text)) => text.to_owned(),
        (_, other) => format!("{other:?}"),
    }
}

#[async_trait]
impl SnapshotReader for MemoryReader {
    async fn key_span(&mut self, table: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
        self.world.tick()?;
        self.world.with(self.side, &table.name, |stored| {
            let found = stored.matching(table, |_| true);
            let ends = found.first().zip(found.last());
            ends.map(|((_, a), (_, b))| (key_row(table, a), key_row(table, b)))
        })
    }

    async fn chunk_end(
        &mut self,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        self.world.tick()?;
        self.world.with(self.side, &table.name, |stored| {
            let after = after.map(|key| stored.encoded_key(table, key));
            let found = stored.matching(table, |key| after.as_ref().is_none_or(|a| key > a.as_slice()));
            let at = usize::try_from(rows.saturating_sub(1)).unwrap_or(usize::MAX);
            found.get(at).map(|(_, row)| key_row(table, row))
        })
    }

    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        order: KeyOrder,
    ) -> Result<(), Failure> {
        let rows = self.in_range(&table, range)?;
        self.start(rows, order);
        Ok(())
    }

    async fn digest_chunk(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
        columns: &[DigestColumn],
    ) -> Result<Option<ChunkDigest>, Failure> {
        if !self.world.can_digest() {
            return Ok(None);
        }
        let rows = self.in_range(table, range)?;
        // A real reader waits for its server here.
        tokio::task::yield_now().await;
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for row in &rows {
            for column in columns {
                let text = written(column.form, row.get(column.column));
                context.update(&(text.len() as u64).to_le_bytes());
                context.update(text.as_bytes());
            }
        }
        let bytes = context.finish();
        Ok(Some(ChunkDigest {
            rows: rows.len() as u64,
            digest: bytes.as_ref().iter().map(|b| format!("{b:02x}")).collect(),
        }))
    }

    async fn read_keys(&mut self, table: Arc<TableSchema>, keys: &[Row]) -> Result<(), Failure> {
        self.world.tick()?;
        let rows = self.world.with(self.side, &table.name, |stored| {
            let wanted: std::collections::BTreeSet<_> =
                keys.iter().map(|k| stored.encoded_key(&table, k)).collect();
            stored
                .matching(&table, |key| wanted.contains(key))
                .into_iter()
                .map(|(_, row)| row)
                .collect()
        })?;
        self.start(rows, KeyOrder::Any);
        Ok(())
    }

    async fn begin_consistent(&mut self, _tables: &[TableName]) -> Result<Position, Failure> {
        Err(Failure::new(
            codes::import::SNAPSHOT_POSITION_UNKNOWN,
            "memory has no log",
        ))
    }

    async fn end_consistent(&mut self) -> Result<(), Failure> {
        self.rows.clear();
        Ok(())
    }

    async fn read_all(&mut self, table: Arc<TableSchema>) -> Result<TableRead, Failure> {
        self.world.tick()?;
        let rows = self.world.with(self.side, &table.name, |stored| {
            stored.rows().cloned().collect::<Vec<_>>()
        })?;
        let read = TableRead {
            estimated_rows: rows.len() as u64,
        };
        self.start(rows, KeyOrder::Any);
        Ok(read)
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Option<RowBatch>, Failure> {
        self.world.tick()?;
        // A real reader waits for its server here.
        tokio::task::yield_now().await;
        let mut batch = RowBatch::default();
        while batch.bytes < max_bytes as u64 && batch.rows.len() < 7 {
            let Some(row) = self.rows.pop_front() else { break };
            batch.bytes += row.size() as u64;
            batch.rows.push(row);
        }
        Ok((!batch.rows.is_empty()).then_some(batch))
    }

    async fn count(&mut self, table: &TableSchema) -> Result<u64, Failure> {
        self.world
            .with(self.side, &table.name, |stored| stored.rows().count() as u64)
    }
}
