//! Reading: schema, snapshot and log.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    ChunkDigest, DigestColumn, Failure, LogEvent, Position, Row, RowCondition, TableMap, TableName,
    TableSchema,
};

/// A database that rows are read from. Cheap to share; every method may be called at any time and
/// from many places at once.
///
/// Nothing here locks tables or writes to the source.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// The definitions of the tables, in the order asked for.
    ///
    /// # Errors
    /// `OMS-SRC-0011` names every table that does not exist; `OMS-SRC-0016` the columns whose type
    /// cannot be read exactly.
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<TableSchema>, Failure>;

    /// How a table looks through this source whose definition came from elsewhere than [`Source::load_tables`], for
    /// example because statements of the log were followed. Differs only where rows or columns are chosen.
    ///
    /// # Errors
    /// `OMS-FILTER-0001` when what is chosen does not fit the definition.
    fn seen(&self, table: TableSchema) -> Result<TableSchema, Failure> {
        Ok(table)
    }

    /// The end of the log now. Everything committed before the call is before it.
    async fn current_position(&self) -> Result<Position, Failure>;

    /// A position to begin capture at. Everything committed before the call is before it, and every
    /// transaction that a capture from it delivers is behind it, by the order of positions.
    ///
    /// [`Source::current_position`] promises the second only of servers whose log's end and list of
    /// transactions are one.
    async fn start_position(&self) -> Result<Position, Failure> {
        self.current_position().await
    }

    /// Whether the log can still be read from the position.
    ///
    /// # Errors
    /// `OMS-SRC-0008` names the missing range, `OMS-SRC-0014` when another server answers.
    async fn check_position(&self, position: &Position) -> Result<(), Failure>;

    /// Follows the log from a position. The position must lie between transactions.
    async fn open_capture(&self, from: &Position) -> Result<Box<dyn Capture>, Failure>;

    /// A decoder of this source's records for the given tables, starting behind a position.
    fn decoder(&self, tables: Arc<TableMap>, from: &Position) -> Result<Box<dyn LogDecoder>, Failure>;

    /// A reader of rows, on its own connection.
    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure>;
}

/// What a log record means for transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordFlags(pub u8);

impl RecordFlags {
    /// First record of a transaction.
    pub const TXN_FIRST: Self = Self(1);
    /// Last record of a transaction: it is committed.
    pub const TXN_LAST: Self = Self(2);
    /// Everything since the last `TXN_FIRST` is void. Has no payload.
    pub const TXN_ABORT: Self = Self(4);
    /// The position moved on without data. Has no payload.
    pub const HEARTBEAT: Self = Self(8);
    /// State that later records need (for example a format description); not part of a transaction
    /// and repeated by the source after every reconnect.
    pub const CONTEXT: Self = Self(16);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A record of a source's log in the source's own format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedRecord {
    /// Its place in a transaction.
    pub flags: RecordFlags,
    /// The source's time of it, in microseconds since the epoch.
    pub source_time_us: i64,
    /// The position behind it, on records with `TXN_LAST` or `HEARTBEAT`.
    pub position: Option<Position>,
    /// The source's bytes.
    pub payload: Bytes,
}

/// A running capture: one connection that follows a log.
///
/// Records come in the order of the log, transactions never interleave. After an error the capture
/// is finished; the caller opens a new one behind the last `TXN_LAST` it made durable, and notes an
/// abort if it had made part of a transaction durable.
#[async_trait]
pub trait Capture: Send {
    /// The next record; waits for it. Cancel safe: a record is never lost by dropping the future.
    /// An idle source yields heartbeats at least every few seconds.
    async fn next(&mut self) -> Result<CapturedRecord, Failure>;

    /// Tells the source that everything up to here is durable on our side, if the source wants to
    /// know (semi-synchronous replication, slots).
    async fn acknowledge(&mut self, position: &Position) -> Result<(), Failure>;
}

/// Turns records into events. Pure: no I/O, no clock; equal records give equal events.
pub trait LogDecoder: Send {
    /// Decodes one record and appends its events to `out`.
    ///
    /// # Errors
    /// Anything unknown stops with a code and the position (`OMS-SRC-0009`, `-0010`); a row event
    /// that does not fit the table's definition with `OMS-SCHEMA-0005`. Nothing is skipped
    /// silently. After an error the decoder must not be used again.
    fn decode(&mut self, record: &CapturedRecord, out: &mut Vec<LogEvent>) -> Result<(), Failure>;

    /// Like [`LogDecoder::decode`], in parts: for records that hold more than should be in memory
    /// at once. Stops when the rows appended have about `max_bytes`. After
    /// [`DecodeProgress::More`] it is called again with the same record, and with no other.
    fn decode_part(
        &mut self,
        record: &CapturedRecord,
        out: &mut Vec<LogEvent>,
        max_bytes: usize,
    ) -> Result<DecodeProgress, Failure> {
        let _ = max_bytes;
        self.decode(record, out)?;
        Ok(DecodeProgress::Done)
    }
}

/// Whether a record is decoded completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeProgress {
    /// All of its events were given.
    Done,
    /// It holds more events.
    More,
}

/// A part of a table by its row key: `after < key <= through`, in the order of the server that is
/// asked. `None` is open. Bounds are rows of the key's columns only, in key order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChunkRange {
    /// The greatest key before the chunk.
    pub after: Option<Row>,
    /// The greatest key of the chunk.
    pub through: Option<Row>,
}

/// Rows read together.
#[derive(Clone, Debug, Default)]
pub struct RowBatch {
    /// The rows: all columns of the table, in its order, generated ones included.
    pub rows: Vec<Row>,
    /// Their bytes.
    pub bytes: u64,
    /// Room that a large row takes of what readers share ([`SnapshotReader::share_room`]), given back when the last
    /// copy of the batch is dropped and its reader has no more. Whoever holds one must not wait for another reader's.
    pub room: Option<Arc<OwnedSemaphorePermit>>,
}

/// How rows of a chunk come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrder {
    /// In key order, by the server's collations.
    Ordered,
    /// In any order.
    Any,
}

/// Reads rows over one connection. Used by one reader at a time.
#[async_trait]
pub trait SnapshotReader: Send {
    /// The least and the greatest key of a table. `None`: it has no rows. Takes no longer the more rows there are.
    async fn key_span(&mut self, table: &TableSchema) -> Result<Option<(Row, Row)>, Failure>;

    /// About how many rows lie in a range, as the server's index tells without reading them. `None`: it does not tell.
    async fn estimate_rows(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
    ) -> Result<Option<u64>, Failure> {
        let _ = (table, range);
        Ok(None)
    }

    /// A key of the table that lies between two others, behind `after` and before `before`, near a guess: the least
    /// that is not less than `guess`, and if there is none the greatest. `None`: no key lies between the two, or this reader does
    /// not tell. Takes no longer the more rows there are.
    ///
    /// All comparisons are the server's. A guess need not exist nor lie between the two, and may have fewer values than the key
    /// has columns: then it lies before all keys that begin with these values.
    async fn key_near(
        &mut self,
        table: &TableSchema,
        after: &Row,
        before: &Row,
        guess: &Row,
    ) -> Result<Option<Row>, Failure> {
        let _ = (table, after, before, guess);
        Ok(None)
    }

    /// The key of the row that lies `rows` rows behind `after` in key order, that is the end of a
    /// chunk of `rows` rows. `None`: fewer rows are left, the chunk is open-ended. So many keys are read for it:
    /// [`ChunkEnds`](crate::ChunkEnds) finds ends without it where the server tells enough.
    async fn chunk_end(
        &mut self,
        table: &TableSchema,
        after: Option<&Row>,
        rows: u64,
    ) -> Result<Option<Row>, Failure>;

    /// Starts reading the rows of a chunk as they are committed now. The batches are read with
    /// [`SnapshotReader::next_batch`]. Starting again drops what was not read.
    async fn read_chunk(
        &mut self,
        table: Arc<TableSchema>,
        range: &ChunkRange,
        order: KeyOrder,
    ) -> Result<(), Failure>;

    /// Of this table, rows for which the condition is not true may be left out of what is read from now on: of chunks,
    /// keys and whole tables. They need not be. `None`: all rows are wanted again. The ends of chunks are found among
    /// all rows in any case.
    fn restrict(&mut self, table: &TableName, condition: Option<&RowCondition>) {
        let _ = (table, condition);
    }

    /// Lets the server digest the rows of a chunk as they are committed now, in key order. `None`: this server
    /// cannot, or not this chunk, or what it said is not certain; nothing is known then.
    async fn digest_chunk(
        &mut self,
        table: &TableSchema,
        range: &ChunkRange,
        columns: &[DigestColumn],
    ) -> Result<Option<ChunkDigest>, Failure> {
        let _ = (table, range, columns);
        Ok(None)
    }

    /// Starts reading the rows with these keys (rows of the key's columns), in any order.
    async fn read_keys(&mut self, table: Arc<TableSchema>, keys: &[Row]) -> Result<(), Failure>;

    /// From now on a chunk that is read in [`KeyOrder::Any`] gives its large rows last, each as it is then, in a batch
    /// of its own, and only when the room has as many permits, one per KiB, as the largest of them needs; one that is
    /// larger than all of it takes all. They are given back behind the last one. So what is on the way of large rows
    /// is bounded over all readers that share a room. Without it, or where a reader cannot, rows come as they are.
    fn share_room(&mut self, room: Arc<Semaphore>, permits: u32) {
        let _ = (room, permits);
    }

    /// Begins one consistent snapshot over the tables and returns the position it is at: for each
    /// of these tables, a change is in the snapshot if and only if its transaction ends at or
    /// before that position. Taken without locking tables. All reads until
    /// [`SnapshotReader::end_consistent`] are in it.
    ///
    /// # Errors
    /// `OMS-IMPORT-0002` when the source cannot tell the position.
    async fn begin_consistent(&mut self, tables: &[TableName]) -> Result<Position, Failure>;

    /// Ends the snapshot.
    async fn end_consistent(&mut self) -> Result<(), Failure>;

    /// Starts reading all rows of a table (one without a key) in any order.
    async fn read_all(&mut self, table: Arc<TableSchema>) -> Result<TableRead, Failure>;

    /// The next rows of what was started, at most about `max_bytes` (at least one row); `None` at
    /// the end. Memory is bounded by `max_bytes` and the largest row. Not cancel safe: after a
    /// dropped call the read must be started again.
    async fn next_batch(&mut self, max_bytes: usize) -> Result<Option<RowBatch>, Failure>;

    /// Counts the rows of a table exactly.
    async fn count(&mut self, table: &TableSchema) -> Result<u64, Failure>;
}

/// What a started read is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableRead {
    /// The server's estimate of the rows to come.
    pub estimated_rows: u64,
}
