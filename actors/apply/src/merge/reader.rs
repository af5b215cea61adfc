//! Rows of several tables as rows of the one that stands for them.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use oms_core::{
    ChunkDigest, ChunkRange, ColumnType, DigestColumn, Failure, KeyOrder, Position, Row, RowBatch,
    RowCondition, RowError, SnapshotReader, TableName, TableRead, TableSchema, codes,
};
use tokio::sync::Semaphore;

use super::{
    keys::{SeenKeys, key_bytes, order},
    source::{KnownTables, Members},
};

/// How often a key must be found in several tables. Orders alternate, so that a row that moves from one table to another
/// meanwhile is not taken for two.
const ROUNDS: usize = 3;
/// Bytes of a batch when keys are looked at again.
const BATCH: usize = 1 << 20;

/// Reads the tables one after the other, over the one connection.
pub(super) struct MergedReader {
    inner: Box<dyn SnapshotReader>,
    known: Arc<KnownTables>,
    reading: Option<Reading>,
}

/// What is being read of merged tables.
struct Reading {
    members: Members,
    /// The columns of the key.
    key: Vec<usize>,
    /// The table that comes next.
    next: usize,
    what: What,
    seen: SeenKeys,
}

enum What {
    Chunk(ChunkRange),
    Keys(Vec<Row>),
}

fn unreadable(error: RowError) -> Failure {
    Failure::new(codes::apply::INTERNAL, "a key of merged tables").with_source(error)
}

fn key_is_one_integer(table: &TableSchema) -> bool {
    let columns = table.row_key_columns().unwrap_or_default();
    let integer = |at: &usize| {
        let column = table.columns.get(*at);
        column.is_some_and(|c| matches!(c.ty, ColumnType::Integer { .. }))
    };
    matches!(columns.as_slice(), [at] if integer(at))
}

impl MergedReader {
    pub(super) fn new(inner: Box<dyn SnapshotReader>, known: Arc<KnownTables>) -> Self {
        Self {
            inner,
            known,
            reading: None,
        }
    }

    async fn begin(&mut self, members: Members, what: What) -> Result<(), Failure> {
        let key = members
            .own
            .first()
            .and_then(|first| first.row_key_columns())
            .unwrap_or_default();
        self.reading = Some(Reading {
            members,
            key,
            next: 0,
            what,
            seen: SeenKeys::default(),
        });
        self.start_next().await.map(|_| ())
    }

    /// Starts reading the next table. `false`: there is none.
    async fn start_next(&mut self) -> Result<bool, Failure> {
        let Some(reading) = &mut self.reading else {
            return Ok(false);
        };
        let Some(member) = reading.members.read.get(reading.next).cloned() else {
            return Ok(false);
        };
        reading.next += 1;
        match &reading.what {
            What::Chunk(range) => self.inner.read_chunk(member, range, KeyOrder::Any).await?,
            What::Keys(keys) => self.inner.read_keys(member, keys).await?,
        }
        Ok(true)
    }

    /// Stops if keys that were read are in several of the tables.
    async fn judge(&mut self, mut reading: Reading) -> Result<(), Failure> {
        let mut keys = reading.seen.suspects();
        let mut places = BTreeSet::new();
        for round in 0..ROUNDS {
            if keys.is_empty() {
                return Ok(());
            }
            let mut found: BTreeMap<Vec<Vec<u8>>, BTreeSet<usize>> = BTreeMap::new();
            let mut numbers: Vec<usize> = (0..reading.members.own.len()).collect();
            if round % 2 == 0 {
                numbers.reverse();
            }
            for number in numbers {
                let Some(member) = reading.members.own.get(number) else {
                    continue;
                };
                self.inner.read_keys(member.clone(), &keys).await?;
                while let Some(batch) = self.inner.next_batch(BATCH).await? {
                    for row in &batch.rows {
                        found
                            .entry(key_bytes(row, &reading.key))
                            .or_default()
                            .insert(number);
                    }
                }
            }
            places.clear();
            let whole: Vec<usize> = (0..reading.key.len()).collect();
            keys.retain(|key| {
                let at = found.get(&key_bytes(key, &whole)).filter(|at| at.len() > 1);
                places.extend(at.into_iter().flatten().copied());
                at.is_some()
            });
        }
        if keys.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = places
            .iter()
            .filter_map(|n| reading.members.own.get(*n))
            .map(|t| t.name.to_string())
            .collect();
        Err(Failure::new(
            codes::src::KEYS_COLLIDE,
            format!(
                "at least {} keys are in more than one of {}",
                keys.len(),
                names.join(", ")
            ),
        ))
    }

    fn not_merged(&self, name: &TableName) -> Failure {
        Failure::new(
            codes::apply::INTERNAL,
            format!("{name}: merged tables are not read like this"),
        )
    }
}

#[async_trait]
impl SnapshotReader for MergedReader {
    async fn key_span(&mut self, table: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
        let Some(members) = self.known.find(table)? else {
            return self.inner.key_span(table).await;
        };
        let mut span: Option<(Row, Row)> = None;
        for member in members.read.iter() {
            let Some((least, greatest)) = self.inner.key_span(member).await? else {
                continue;
            };
            span = Some(match span {
                None => (least, greatest),
                Some((low, high)) => match (order(&least, &low), order(&greatest, &high)) {
                    (Some(below), Some(above)) => (
                        if below == Ordering::Less { least } else { low },
                        if above == Ordering::Greater {
                            greatest
                        } else {
                            high
                        },
                    ),
                    _ => return Err(self.not_merged(&table.name)),
                },
            });
        }
        Ok(span)
    }

    /// Tells nothing of merged tables whose keys are not one integer: keys of several tables cannot be ordered here, so nothing but
    /// reading them finds where chunks end.
    async fn estimate_rows(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
    ) -> Result<Option<u64>, Failure> {
        let Some(members) = self.known.find(table)? else {
            return self.inner.estimate_rows(table, range).await;
        };
        if !key_is_one_integer(table) {
            return Ok(None);
        }
        let mut sum = 0_u64;
        for member in members.read.iter() {
            match self.inner.estimate_rows(member, range).await? {
                Some(rows) => sum = sum.saturating_add(rows),
                None => return Ok(None),
            }
        }
        Ok(Some(sum))
    }

    async fn key_near(
        &mut self,
        table: &TableSchema,
        after: &Row,
        before: &Row,
        guess: &Row,
    ) -> Result<Option<Row>, Failure> {
        match self.known.find(table)? {
            None => self.inner.key_near(table, after, before, guess).await,
            Some(_) => Ok(None),
        }
    }

    /// The least of the tables' ends. Where keys cannot be ordered here it is the first table's that has one: a chunk then
    /// holds more rows of the others than wanted, and every key is in one chunk all the same.
    async fn chunk_end(
        &mut self,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        let Some(members) = self.known.find(table)? else {
            return self.inner.chunk_end(table, after, rows).await;
        };
        let part = rows.div_ceil(members.read.len().max(1) as u64).max(1);
        let mut end: Option<Row> = None;
        for member in members.read.iter() {
            let Some(here) = self.inner.chunk_end(member, after, part).await? else {
                continue;
            };
            end = Some(match end {
                Some(least) if order(&here, &least) != Some(Ordering::Less) => least,
                _ => here,
            });
        }
        Ok(end)
    }

    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        order: KeyOrder,
    ) -> Result<(), Failure> {
        self.reading = None;
        let Some(members) = self.known.find(&table)? else {
            return self.inner.read_chunk(table, range, order).await;
        };
        if order == KeyOrder::Ordered {
            return Err(self.not_merged(&table.name));
        }
        self.begin(members, What::Chunk(range.clone())).await
    }

    fn restrict(&mut self, table: &TableName, condition: Option<&RowCondition>) {
        self.inner.restrict(table, condition);
    }

    async fn digest_chunk(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
        columns: &[DigestColumn],
    ) -> Result<Option<ChunkDigest>, Failure> {
        match self.known.find(table)? {
            None => self.inner.digest_chunk(table, range, columns).await,
            // A digest of several tables is none of their union in key order.
            Some(_) => Ok(None),
        }
    }

    async fn read_keys(&mut self, table: Arc<TableSchema>, keys: &[Row]) -> Result<(), Failure> {
        self.reading = None;
        match self.known.find(&table)? {
            None => self.inner.read_keys(table, keys).await,
            Some(members) => self.begin(members, What::Keys(keys.to_vec())).await,
        }
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
        self.reading = None;
        match self.known.find(&table)? {
            None => self.inner.read_all(table).await,
            // They have a key.
            Some(_) => Err(self.not_merged(&table.name)),
        }
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Option<RowBatch>, Failure> {
        loop {
            let batch = self.inner.next_batch(max_bytes).await?;
            let Some(reading) = &mut self.reading else {
                return Ok(batch);
            };
            if let Some(batch) = batch {
                for row in &batch.rows {
                    reading.seen.see(row, &reading.key).map_err(unreadable)?;
                }
                return Ok(Some(batch));
            }
            if !self.start_next().await? {
                if let Some(reading) = self.reading.take() {
                    self.judge(reading).await?;
                }
                return Ok(None);
            }
        }
    }

    async fn count(&mut self, table: &TableSchema) -> Result<u64, Failure> {
        let Some(members) = self.known.find(table)? else {
            return self.inner.count(table).await;
        };
        let mut sum = 0_u64;
        for member in members.read.iter() {
            sum = sum.saturating_add(self.inner.count(member).await?);
        }
        Ok(sum)
    }
}
