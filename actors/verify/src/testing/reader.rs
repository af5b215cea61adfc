//! The reader.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use oms_core::{
    ChunkRange, Failure, KeyOrder, Position, Row, RowBatch, RowBuilder, SnapshotReader, TableName, TableRead,
    TableSchema, codes,
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
}

#[async_trait]
impl SnapshotReader for MemoryReader {
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
            found.get(at).map(|(_, row)| {
                let columns = table.row_key_columns().unwrap_or_default();
                let mut builder = RowBuilder::new();
                builder.begin(columns.len() as u16);
                columns.iter().for_each(|c| builder.push_cell(row.cell(*c)));
                builder.finish().unwrap_or_else(|_| row.clone())
            })
        })
    }

    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        order: KeyOrder,
    ) -> Result<(), Failure> {
        self.world.tick()?;
        let rows = self.world.with(self.side, &table.name, |stored| {
            let after = range.after.as_ref().map(|key| stored.encoded_key(&table, key));
            let through = range.through.as_ref().map(|key| stored.encoded_key(&table, key));
            let inside = |key: &[u8]| {
                after.as_ref().is_none_or(|a| key > a.as_slice())
                    && through.as_ref().is_none_or(|t| key <= t.as_slice())
            };
            stored
                .matching(&table, inside)
                .into_iter()
                .map(|(_, row)| row)
                .collect()
        })?;
        self.start(rows, order);
        Ok(())
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
