//! The snapshot reader.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use mysql_async::{BinaryProtocol, Conn, Error, QueryResult, Statement, prelude::Queryable};
use oms_core::{
    ChunkDigest, ChunkRange, Column, DigestColumn, Failure, KeyOrder, Position, Row, RowBatch, RowBuilder,
    RowCondition, SnapshotReader, Source, TableName, TableRead, TableSchema, codes,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    cell, consistent, digest, sql_condition,
    statement::{self, KeyEnd, View},
};
use crate::connection::{Endpoint, Flavor, Side, connect, failure};

/// Reads rows over one connection, by prepared statements, because only the binary protocol carries
/// floats and temporal values exactly.
///
/// Rows are read from the connection as they are asked for; the server waits meanwhile. Starting a
/// read while rows of the last one are unread drops the connection and opens a new one, because
/// reading a large rest only to forget it could take hours (inside a consistent snapshot the rest
/// is read: the connection *is* the snapshot).
#[derive(Debug)]
pub struct MysqlSnapshotReader {
    endpoint: Endpoint,
    side: Side,
    flavor: Flavor,
    conn: Option<Conn>,
    reading: Option<Reading>,
    consistent: bool,
    /// For the position of consistent snapshots; a destination has none.
    source: Option<Arc<dyn Source>>,
    builder: RowBuilder,
    /// What large rows on the way may take, shared with other readers, and all of its permits.
    room: Option<(Arc<Semaphore>, u32)>,
    /// Whether the connection's server digests as it should; `None`: not tried yet.
    digests: Option<bool>,
    /// Conditions of the rows that are wanted, as SQL.
    only: BTreeMap<TableName, String>,
    /// The moment whose rows are read, where it is not now.
    as_of: Option<u64>,
}

/// What was started.
#[derive(Debug)]
struct Reading {
    table: Arc<TableSchema>,
    /// Statements still to run.
    waiting: VecDeque<String>,
    /// The statement whose rows are being read.
    running: Option<Statement>,
    /// Whether the rows of the first statement have their size behind their columns.
    sized: bool,
    /// Keys and bytes of large rows, still to be read.
    large: VecDeque<(Row, u64)>,
    /// Room for the largest of them, kept until the last is read: readers that took turns row by row would all
    /// come to have large buffers.
    room: Option<Arc<OwnedSemaphorePermit>>,
}

impl MysqlSnapshotReader {
    /// Opens a reader of a source (with positions for consistent snapshots) or, without `source`, of
    /// either side.
    pub async fn open(
        endpoint: Endpoint,
        side: Side,
        source: Option<Arc<dyn Source>>,
    ) -> Result<Self, Failure> {
        let mut reader = Self {
            endpoint,
            side,
            flavor: Flavor::Mysql,
            conn: None,
            reading: None,
            consistent: false,
            source,
            builder: RowBuilder::new(),
            room: None,
            digests: None,
            only: BTreeMap::new(),
            as_of: None,
        };
        reader.conn().await?;
        Ok(reader)
    }

    /// From the next read on, rows, keys and counts are those of this system change number. Only OceanBase can. `None`:
    /// as they are when they are asked for.
    pub fn read_as_of(&mut self, scn: Option<u64>) {
        self.as_of = scn;
    }

    fn view(&self) -> View {
        View {
            flavor: self.flavor,
            as_of: self.as_of,
        }
    }

    /// The connection; a new one if there is none.
    async fn conn(&mut self) -> Result<&mut Conn, Failure> {
        if self.conn.is_none() {
            if self.consistent {
                // Its snapshot died with it.
                return Err(self.fail(Error::Driver(mysql_async::DriverError::ConnectionClosed)));
            }
            let mut conn = connect(&self.endpoint, self.side).await?;
            self.flavor = prepare(&mut conn).await.map_err(|e| failure(e, self.side))?;
            self.conn = Some(conn);
            // Another server may answer at the same address.
            self.digests = None;
        }
        match &mut self.conn {
            Some(conn) => Ok(conn),
            None => Err(Failure::new(codes::src::UNREACHABLE, "no connection")),
        }
    }

    fn fail(&self, error: Error) -> Failure {
        failure(error, self.side)
    }

    /// Ends what is being read, so that the connection is free.
    async fn stop_reading(&mut self) -> Result<(), Failure> {
        let Some(reading) = self.reading.take() else {
            return Ok(());
        };
        let Some(running) = reading.running else {
            return Ok(());
        };
        let Some(mut conn) = self.conn.take() else {
            return Ok(());
        };
        if self.consistent {
            let result = QueryResult::<'_, '_, BinaryProtocol>::new(&mut conn)
                .drop_result()
                .await;
            result.map_err(|e| self.fail(e))?;
            conn.close(running).await.map_err(|e| self.fail(e))?;
            self.conn = Some(conn);
        } else {
            // Dropping a connection would read the rest in the background; closing the socket does not.
            abandon(conn, &self.endpoint, self.side).await;
        }
        Ok(())
    }

    async fn start(&mut self, table: Arc<TableSchema>, statements: Vec<String>) -> Result<(), Failure> {
        self.start_sized(table, statements, false).await
    }

    async fn start_sized(
        &mut self,
        table: Arc<TableSchema>,
        statements: Vec<String>,
        sized: bool,
    ) -> Result<(), Failure> {
        self.stop_reading().await?;
        let name = table.name.clone();
        self.reading = Some(Reading {
            table,
            waiting: statements.into(),
            running: None,
            sized,
            large: VecDeque::new(),
            room: None,
        });
        // The first statement is run at once: the rows are those of now, not of the first batch.
        self.run_next().await.map_err(|e| e.context(name))?;
        Ok(())
    }

    /// Runs the next waiting statement. `false`: there is none.
    async fn run_next(&mut self) -> Result<bool, Failure> {
        let side = self.side;
        let sql = match &mut self.reading {
            Some(reading) if reading.running.is_some() => return Ok(true),
            Some(reading) => reading.waiting.pop_front(),
            None => None,
        };
        let Some(sql) = sql else { return Ok(false) };
        let conn = self.conn().await?;
        let prepared = conn.prep(sql).await.map_err(|e| failure(e, side))?;
        // The result stays with the connection; `next_batch` takes it up again.
        match conn.exec_iter(&prepared, ()).await {
            Ok(result) => drop(result),
            Err(e) => return Err(failure(e, side)),
        }
        if let Some(reading) = &mut self.reading {
            reading.running = Some(prepared);
        }
        Ok(true)
    }

    /// Reads one row of small results completely.
    async fn first_row(&mut self, sql: String, columns: &[&Column]) -> Result<Option<Row>, Failure> {
        let side = self.side;
        let conn = self.conn().await?;
        let prepared = conn.prep(sql).await.map_err(|e| failure(e, side))?;
        let wire: Option<mysql_async::Row> = conn
            .exec_first(&prepared, ())
            .await
            .map_err(|e| failure(e, side))?;
        conn.close(prepared).await.map_err(|e| failure(e, side))?;
        match wire {
            None => Ok(None),
            Some(wire) => self.build(columns.iter().copied(), &wire).map(Some),
        }
    }

    /// The last of so many rows of small results; `None`: there are fewer.
    async fn last_of(&mut self, sql: String, rows: u64, columns: &[&Column]) -> Result<Option<Row>, Failure> {
        let side = self.side;
        let conn = self.conn().await?;
        let prepared = conn.prep(sql).await.map_err(|e| failure(e, side))?;
        let mut result = conn
            .exec_iter(&prepared, ())
            .await
            .map_err(|e| failure(e, side))?;
        let (mut last, mut seen) = (None, 0u64);
        while let Some(wire) = result.next().await.map_err(|e| failure(e, side))? {
            seen += 1;
            last = Some(wire);
        }
        drop(result);
        conn.close(prepared).await.map_err(|e| failure(e, side))?;
        match last.filter(|_| seen >= rows) {
            None => Ok(None),
            Some(wire) => self.build(columns.iter().copied(), &wire).map(Some),
        }
    }

    fn build<'c>(
        &mut self,
        columns: impl ExactSizeIterator<Item = &'c Column>,
        wire: &mysql_async::Row,
    ) -> Result<Row, Failure> {
        build(&mut self.builder, columns, wire, 0, self.side)
    }
}

/// Builds a row of these columns; the wire has `behind` more values.
fn build<'c>(
    builder: &mut RowBuilder,
    columns: impl ExactSizeIterator<Item = &'c Column>,
    wire: &mysql_async::Row,
    behind: usize,
    side: Side,
) -> Result<Row, Failure> {
    let changed = |detail: String| Failure::new(codes::schema::DEFINITION_DIFFERS, detail);
    if wire.len() != columns.len() + behind {
        let detail = format!("{} values for {} columns", wire.len(), columns.len());
        return Err(changed(detail));
    }
    let count = u16::try_from(columns.len()).map_err(|_| changed("too many columns".into()))?;
    builder.begin(count);
    for (index, column) in columns.enumerate() {
        let value = wire.as_ref(index).unwrap_or(&mysql_async::Value::NULL);
        cell::push(builder, column, value).map_err(|expected| {
            let words = format!("column `{}` is not {expected}", column.name);
            changed(words)
        })?;
    }
    builder.finish().map_err(|e| {
        let code = match side {
            Side::Source => codes::src::STATEMENT_FAILED,
            Side::Destination => codes::dst::STATEMENT_FAILED,
        };
        Failure::new(code, "a row cannot be held").with_source(e)
    })
}

/// The key of a row.
fn key_of(
    builder: &mut RowBuilder,
    table: &TableSchema,
    wire: &mysql_async::Row,
    side: Side,
) -> Result<Row, Failure> {
    let columns = table.row_key_columns().unwrap_or_default();
    let refused = |detail: String| Failure::new(codes::schema::DEFINITION_DIFFERS, detail);
    builder.begin(u16::try_from(columns.len()).unwrap_or(u16::MAX));
    for index in columns {
        let (Some(column), Some(value)) = (table.columns.get(index), wire.as_ref(index)) else {
            return Err(refused("a key column was not read".into()));
        };
        cell::push(builder, column, value)
            .map_err(|expected| refused(format!("column `{}` is not {expected}", column.name)))?;
    }
    builder.finish().map_err(|e| {
        let code = match side {
            Side::Source => codes::src::STATEMENT_FAILED,
            Side::Destination => codes::dst::STATEMENT_FAILED,
        };
        Failure::new(code, "a key cannot be held").with_source(e)
    })
}

/// Waits until there is room for a row of so many bytes.
async fn take_room(room: Option<&(Arc<Semaphore>, u32)>, bytes: u64) -> Option<Arc<OwnedSemaphorePermit>> {
    let (room, all) = room?;
    let wanted = u32::try_from(bytes >> 10)
        .unwrap_or(u32::MAX)
        .clamp(1, (*all).max(1));
    // Nobody closes it.
    room.clone().acquire_many_owned(wanted).await.ok().map(Arc::new)
}

/// Results come as the bytes that are stored: no conversion to the connection's character set.
pub(super) async fn prepare(conn: &mut Conn) -> Result<Flavor, Error> {
    let version: Option<String> = conn
        .query_first("SELECT CONCAT(VERSION(), ' ', @@version_comment)")
        .await?;
    conn.query_drop("SET character_set_results = NULL").await?;
    Ok(Flavor::of(&version.unwrap_or_default()))
}

/// Ends a connection whose result is not wanted any more: its thread at the server is killed from
/// another connection, after which little is left to read.
async fn abandon(conn: Conn, endpoint: &Endpoint, side: Side) {
    let id = conn.id();
    match connect(endpoint, side).await {
        Ok(mut other) => {
            if let Err(e) = other.query_drop(format!("KILL {id}")).await {
                tracing::debug!(error = %e, "an abandoned read could not be ended early");
            }
            drop(conn);
            let _ = other.disconnect().await;
        }
        Err(e) => {
            tracing::debug!(error = %e, "an abandoned read could not be ended early");
            drop(conn);
        }
    }
}

#[async_trait]
impl SnapshotReader for MysqlSnapshotReader {
    async fn key_span(&mut self, table: &TableSchema) -> Result<Option<(Row, Row)>, Failure> {
        self.stop_reading().await?;
        self.conn().await?;
        let mut ends = [None, None];
        for (found, end) in ends.iter_mut().zip([KeyEnd::Least, KeyEnd::Greatest]) {
            let (sql, columns) = statement::key_at(table, end, self.view())?;
            *found = self
                .first_row(sql, &columns)
                .await
                .map_err(|e| e.context(&table.name))?;
        }
        let [least, greatest] = ends;
        Ok(least.zip(greatest))
    }

    async fn estimate_rows(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
    ) -> Result<Option<u64>, Failure> {
        self.stop_reading().await?;
        let side = self.side;
        self.conn().await?;
        let Some(sql) = statement::estimate(table, range, self.view())? else {
            return Ok(None);
        };
        let plan: Option<mysql_async::Row> = self
            .conn()
            .await?
            .query_first(sql)
            .await
            .map_err(|e| failure(e, side).context(&table.name))?;
        // NULL where the optimizer already knows that there are no rows.
        Ok(plan
            .and_then(|plan| plan.get_opt::<Option<u64>, _>("rows")?.ok())
            .map(|rows| rows.unwrap_or(0)))
    }

    async fn key_near(
        &mut self,
        table: &TableSchema,
        after: &Row,
        before: &Row,
        guess: &Row,
    ) -> Result<Option<Row>, Failure> {
        self.stop_reading().await?;
        self.conn().await?;
        let near = statement::key_near(table, after, before, guess, self.view())?;
        for sql in near.statements {
            let found = self.first_row(sql, &near.columns).await;
            if let Some(key) = found.map_err(|e| e.context(&table.name))? {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    async fn chunk_end(
        &mut self,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure> {
        self.stop_reading().await?;
        self.conn().await?;
        let (sql, columns) = statement::keys_behind(table, after, rows, self.view())?;
        self.last_of(sql, rows.max(1), &columns)
            .await
            .map_err(|e| e.context(&table.name))
    }

    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        order: KeyOrder,
    ) -> Result<(), Failure> {
        let only = self.only.get(&table.name).map(String::as_str);
        if order == KeyOrder::Any
            && self.room.is_some()
            && !self.consistent
            && let Some(sql) = statement::chunk_of_small(&table, range, self.view(), only)?
        {
            return self.start_sized(table, vec![sql], true).await;
        }
        let sql = statement::chunk(&table, range, order, self.view(), only)?;
        self.start(table, vec![sql]).await
    }

    fn restrict(&mut self, table: &TableName, condition: Option<&RowCondition>) {
        match condition {
            Some(condition) => self.only.insert(table.clone(), sql_condition(condition)),
            None => self.only.remove(table),
        };
    }

    async fn digest_chunk(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
        columns: &[DigestColumn],
    ) -> Result<Option<ChunkDigest>, Failure> {
        self.stop_reading().await?;
        let (side, known) = (self.side, self.digests);
        self.conn().await?;
        let flavor = self.flavor;
        let Some(sql) = digest::statement(table, range, columns, flavor)? else {
            return Ok(None);
        };
        let conn = self.conn().await?;
        let able = match known {
            Some(able) => able,
            None => digest::is_right(conn).await.map_err(|e| failure(e, side))?,
        };
        let found = match able {
            true => digest::ask(conn, sql).await,
            false => Ok(None),
        };
        self.digests = Some(able);
        match found {
            // A server that refuses the statement may still give the rows; if not, reading them says why.
            Err(Error::Server(e)) => {
                tracing::debug!(errno = e.code, table = %table.name, "a chunk was not digested");
                Ok(None)
            }
            other => other.map_err(|e| self.fail(e).context(&table.name)),
        }
    }

    async fn read_keys(&mut self, table: Arc<TableSchema>, keys: &[Row]) -> Result<(), Failure> {
        let statements = statement::keys(&table, keys, self.view())?;
        self.start(table, statements).await
    }

    fn share_room(&mut self, room: Arc<Semaphore>, permits: u32) {
        self.room = Some((room, permits));
    }

    async fn begin_consistent(&mut self, tables: &[TableName]) -> Result<Position, Failure> {
        self.end_consistent().await?;
        let Some(source) = self.source.clone() else {
            return Err(Failure::new(
                codes::import::SNAPSHOT_POSITION_UNKNOWN,
                "only a source has a log position",
            ));
        };
        self.conn().await?;
        let flavor = self.flavor;
        let conn = self.conn().await?;
        let position = consistent::begin(conn, flavor, source.as_ref(), tables).await?;
        self.consistent = true;
        Ok(position)
    }

    async fn end_consistent(&mut self) -> Result<(), Failure> {
        if !self.consistent {
            return self.stop_reading().await;
        }
        // The connection's only use was the snapshot: a new one is as good and needs no clearing.
        self.consistent = false;
        if self.reading.as_ref().is_some_and(|r| r.running.is_some()) {
            return self.stop_reading().await;
        }
        self.reading = None;
        if let Some(mut conn) = self.conn.take() {
            conn.query_drop("ROLLBACK").await.map_err(|e| self.fail(e))?;
            self.conn = Some(conn);
        }
        Ok(())
    }

    async fn read_all(&mut self, table: Arc<TableSchema>) -> Result<TableRead, Failure> {
        let read = TableRead {
            estimated_rows: table.estimated_rows,
        };
        let sql = statement::all(
            &table,
            self.only.get(&table.name).map(String::as_str),
            self.view(),
        );
        self.start(table, vec![sql]).await?;
        Ok(read)
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Option<RowBatch>, Failure> {
        let mut batch = RowBatch::default();
        let (side, view) = (self.side, self.view());
        loop {
            if let Some(reading) = &mut self.reading
                && reading.running.is_none()
                && reading.waiting.is_empty()
                && !reading.large.is_empty()
            {
                if !batch.rows.is_empty() {
                    return Ok(Some(batch));
                }
                if reading.room.is_none() {
                    let largest = reading.large.iter().map(|(_, size)| *size).max();
                    reading.room = take_room(self.room.as_ref(), largest.unwrap_or(0)).await;
                }
                batch.room.clone_from(&reading.room);
                if let Some((key, _)) = reading.large.pop_front() {
                    reading.waiting = statement::keys(&reading.table, &[key], view)?.into();
                }
            }
            if !self.run_next().await? {
                break;
            }
            let (Some(conn), Some(reading)) = (&mut self.conn, &mut self.reading) else {
                break;
            };
            let table = &reading.table;
            let mut result = QueryResult::<'_, '_, BinaryProtocol>::new(&mut *conn);
            loop {
                let wire = match result.next().await {
                    Ok(wire) => wire,
                    Err(e) => {
                        let failed = failure(e, side).context(&table.name);
                        // What is left of the result cannot be trusted.
                        self.reading = None;
                        self.conn = None;
                        return Err(failed);
                    }
                };
                let Some(mut wire) = wire else { break };
                if reading.sized {
                    let size = match wire.take::<mysql_async::Value, _>(table.columns.len()) {
                        Some(mysql_async::Value::Int(n)) => u64::try_from(n).unwrap_or(u64::MAX),
                        Some(mysql_async::Value::UInt(n)) => n,
                        _ => {
                            let text = "the size of a row is no number";
                            return Err(
                                Failure::new(codes::schema::DEFINITION_DIFFERS, text).context(&table.name)
                            );
                        }
                    };
                    if size > statement::LARGE {
                        let key = key_of(&mut self.builder, table, &wire, side)
                            .map_err(|e| e.context(&table.name))?;
                        reading.large.push_back((key, size));
                        continue;
                    }
                }
                let behind = usize::from(reading.sized);
                let row = build(&mut self.builder, table.columns.iter(), &wire, behind, side)
                    .map_err(|e| e.context(&table.name))?;
                batch.bytes += row.size() as u64;
                batch.rows.push(row);
                if batch.bytes >= max_bytes as u64 {
                    return Ok(Some(batch));
                }
            }
            reading.sized = false;
            if let Some(done) = reading.running.take() {
                conn.close(done).await.map_err(|e| failure(e, side))?;
            }
        }
        Ok((!batch.rows.is_empty()).then_some(batch))
    }

    async fn count(&mut self, table: &TableSchema) -> Result<u64, Failure> {
        self.stop_reading().await?;
        let side = self.side;
        self.conn().await?;
        let place = statement::place(table, self.view());
        let conn = self.conn().await?;
        let counted: Option<u64> = conn
            .query_first(format!("SELECT COUNT(*) FROM {place}"))
            .await
            .map_err(|e| failure(e, side).context(&table.name))?;
        Ok(counted.unwrap_or(0))
    }
}
