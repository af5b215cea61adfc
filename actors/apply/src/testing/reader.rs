//! A connection that reads rows.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use oms_core::{
    ChunkRange, Failure, KeyOrder, Position, Row, RowBatch, SnapshotReader, TableName, TableRead,
    TableSchema, Value, codes,
};

use super::{MemoryTable, collate};

/// All tables at one moment.
pub(super) struct View {
    pub(super) tables: HashMap<TableName, MemoryTable>,
    pub(super) position: Option<Position>,
}

type Look = Box<dyn Fn() -> View + Send + Sync>;

pub(super) struct MemoryReader {
    look: Look,
    consistent: Option<View>,
    started: VecDeque<Row>,
    /// Asked before every call; an error is returned.
    gate: Box<dyn Fn() -> Result<(), Failure> + Send + Sync>,
}

fn missing(name: &TableName) -> Failure {
    Failure::new(codes::src::TABLE_MISSING, name.to_string())
}

fn encoded(table: &TableSchema, key: &Row) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, column) in table
        .row_key_columns()
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        if let Some(column) = table.columns.get(column) {
            collate::encode(&column.ty, key.get(number), None, &mut out);
        }
    }
    out
}

fn key_row(table: &TableSchema, row: &Row) -> Option<Row> {
    let columns = table.row_key_columns()?;
    let values: Vec<Value<'_>> = columns.iter().map(|c| row.get(*c)).collect();
    oms_core::RowBuilder::build(values.into_iter()).ok()
}

impl MemoryReader {
    pub(super) fn new(look: Look) -> Self {
        Self {
            look,
            consistent: None,
            started: VecDeque::new(),
            gate: Box::new(|| Ok(())),
        }
    }

    pub(super) fn with_gate(mut self, gate: Box<dyn Fn() -> Result<(), Failure> + Send + Sync>) -> Self {
        self.gate = gate;
        self
    }

    fn rows(&self, name: &TableName) -> Result<Vec<(Vec<u8>, Row)>, Failure> {
        let of = |view: &View| view.tables.get(name).map(MemoryTable::in_key_order);
        match &self.consistent {
            Some(view) => of(view),
            None => of(&(self.look)()),
        }
        .ok_or_else(|| missing(name))
    }
}

#[async_trait]
impl SnapshotReader for MemoryReader {
    async fn key_span(&mut self, table: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
        (self.gate)()?;
        tokio::task::yield_now().await;
        let all = self.rows(&table.name)?;
        let key = |row: Option<&(Vec<u8>, Row)>| key_row(table, &row?.1);
        Ok(key(all.first()).zip(key(all.last())))
    }

    async fn chunk_end(
        &mut self,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        (self.gate)()?;
        tokio::task::yield_now().await;
        let after = after.map(|key| encoded(table, key));
        let all = self.rows(&table.name)?;
        let mut behind = all
            .iter()
            .filter(|(key, _)| after.as_ref().is_none_or(|a| key > a));
        let nth = behind.nth(usize::try_from(rows.saturating_sub(1)).unwrap_or(usize::MAX));
        Ok(nth.and_then(|(_, row)| key_row(table, row)))
    }

    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        _order: KeyOrder,
    ) -> Result<(), Failure> {
        (self.gate)()?;
        tokio::task::yield_now().await;
        let after = range.after.as_ref().map(|key| encoded(&table, key));
        let through = range.through.as_ref().map(|key| encoded(&table, key));
        self.started = self
            .rows(&table.name)?
            .into_iter()
            .filter(|(key, _)| {
                after.as_ref().is_none_or(|a| key > a) && through.as_ref().is_none_or(|t| key <= t)
            })
            .map(|(_, row)| row)
            .collect();
        Ok(())
    }

    async fn read_keys(&mut self, table: Arc<TableSchema>, keys: &[Row]) -> Result<(), Failure> {
        (self.gate)()?;
        let wanted: Vec<_> = keys.iter().map(|key| encoded(&table, key)).collect();
        self.started = self
            .rows(&table.name)?
            .into_iter()
            .filter(|(key, _)| wanted.contains(key))
            .map(|(_, row)| row)
            .collect();
        Ok(())
    }

    async fn begin_consistent(&mut self, tables: &[TableName]) -> Result<Position, Failure> {
        (self.gate)()?;
        let view = (self.look)();
        if let Some(name) = tables.iter().find(|n| !view.tables.contains_key(n)) {
            return Err(missing(name));
        }
        let position = view
            .position
            .clone()
            .ok_or_else(|| Failure::new(codes::import::SNAPSHOT_POSITION_UNKNOWN, "this side has no log"))?;
        self.consistent = Some(view);
        Ok(position)
    }

    async fn end_consistent(&mut self) -> Result<(), Failure> {
        self.consistent = None;
        Ok(())
    }

    async fn read_all(&mut self, table: Arc<TableSchema>) -> Result<TableRead, Failure> {
        (self.gate)()?;
        self.started = self.rows(&table.name)?.into_iter().map(|(_, row)| row).collect();
        Ok(TableRead {
            estimated_rows: self.started.len() as u64,
        })
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Option<RowBatch>, Failure> {
        (self.gate)()?;
        tokio::task::yield_now().await;
        let mut batch = RowBatch::default();
        while let Some(row) = self.started.front() {
            let size = row.size() as u64;
            if !batch.rows.is_empty() && batch.bytes + size > max_bytes as u64 {
                break;
            }
            batch.bytes += size;
            batch.rows.extend(self.started.pop_front());
        }
        Ok((!batch.rows.is_empty()).then_some(batch))
    }

    async fn count(&mut self, table: &TableSchema) -> Result<u64, Failure> {
        Ok(self.rows(&table.name)?.len() as u64)
    }
}
