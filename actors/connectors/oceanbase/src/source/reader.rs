//! Reading rows, as they are or as they were.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{
    ChunkDigest, ChunkRange, DigestColumn, Failure, KeyOrder, Position, Row, RowBatch, RowCondition,
    ScnPosition, SnapshotReader, Source as _, TableName, TableRead, TableSchema,
};
use oms_mysql::snapshot::MysqlSnapshotReader;
use tokio::sync::Semaphore;

use super::{OceanBaseSource, moment};

/// The reader of the MySQL family, which OceanBase can show the rows of a moment: any number of readers see the same.
#[derive(Debug)]
pub(super) struct OceanBaseReader {
    inner: MysqlSnapshotReader,
    source: OceanBaseSource,
    /// The moment that is read whenever no other is.
    always: Option<ScnPosition>,
    scn: Option<u64>,
}

impl OceanBaseReader {
    pub(super) fn new(
        inner: MysqlSnapshotReader,
        source: OceanBaseSource,
        always: Option<ScnPosition>,
    ) -> Self {
        let mut reader = Self {
            inner,
            source,
            always,
            scn: None,
        };
        reader.see_again();
        reader
    }

    fn see(&mut self, scn: Option<u64>) {
        self.scn = scn;
        self.inner.read_as_of(scn);
    }

    fn see_again(&mut self) {
        let scn = self.always.as_ref().map(|moment| moment.scn);
        self.see(scn);
    }

    fn explained<T>(&self, result: Result<T, Failure>) -> Result<T, Failure> {
        result.map_err(|failed| match self.scn {
            Some(scn) => moment::explained(failed, scn),
            None => failed,
        })
    }
}

#[async_trait]
impl SnapshotReader for OceanBaseReader {
    async fn key_span(&mut self, table: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
        let found = self.inner.key_span(table).await;
        self.explained(found)
    }

    async fn estimate_rows(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
    ) -> Result<Option<u64>, Failure> {
        let found = self.inner.estimate_rows(table, range).await;
        self.explained(found)
    }

    async fn key_near(
        &mut self,
        table: &TableSchema,
        after: &Row,
        before: &Row,
        guess: &Row,
    ) -> Result<Option<Row>, Failure> {
        let found = self.inner.key_near(table, after, before, guess).await;
        self.explained(found)
    }

    async fn chunk_end(
        &mut self,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        let found = self.inner.chunk_end(table, after, rows).await;
        self.explained(found)
    }

    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        order: KeyOrder,
    ) -> Result<(), Failure> {
        let begun = self.inner.read_chunk(table, range, order).await;
        self.explained(begun)
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
        // The server's digests are of its rows as they are now.
        match self.scn {
            None => self.inner.digest_chunk(table, range, columns).await,
            Some(_) => Ok(None),
        }
    }

    async fn read_keys(&mut self, table: Arc<TableSchema>, keys: &[Row]) -> Result<(), Failure> {
        let begun = self.inner.read_keys(table, keys).await;
        self.explained(begun)
    }

    fn share_room(&mut self, room: Arc<Semaphore>, permits: u32) {
        self.inner.share_room(room, permits);
    }

    async fn begin_consistent(&mut self, _: &[TableName]) -> Result<Position, Failure> {
        // Nothing of an earlier read is wanted in it.
        self.inner.end_consistent().await?;
        if let Some(always) = &self.always {
            return Ok(Position::Scn(always.clone()));
        }
        let position = self.source.current_position().await?;
        let scn = moment::of(&position)?.scn;
        self.see(Some(scn));
        Ok(position)
    }

    async fn end_consistent(&mut self) -> Result<(), Failure> {
        self.see_again();
        self.inner.end_consistent().await
    }

    async fn read_all(&mut self, table: Arc<TableSchema>) -> Result<TableRead, Failure> {
        let begun = self.inner.read_all(table).await;
        self.explained(begun)
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Option<RowBatch>, Failure> {
        let batch = self.inner.next_batch(max_bytes).await;
        self.explained(batch)
    }

    async fn count(&mut self, table: &TableSchema) -> Result<u64, Failure> {
        let counted = self.inner.count(table).await;
        self.explained(counted)
    }
}
