//! Writing, fenced.

use std::sync::Arc;

use async_trait::async_trait;
use oms_types::{ClaimNumber, ComponentId, Epoch, codes};
use serde::{Deserialize, Serialize};

use crate::{
    ApplyCheckpoint, ChunkRange, Failure, LaneState, Position, RecordReader, RecordWriter, Row, TableName,
    TablePair, TableSchema,
};

/// A database that rows are written to. Cheap to share.
///
/// The destination keeps, in a hidden table of its own, one row per (component, lane) with the
/// owner's epoch, the number of its claim and the lane's [`LaneState`]. Every transaction that
/// writes rows updates such a row under the condition that epoch and claim are still the writer's,
/// *in the same transaction*. A transaction of a former owner therefore cannot commit, and position
/// and data commit together.
#[async_trait]
pub trait Sink: Send + Sync + std::fmt::Debug {
    /// The definitions of the tables, in the order asked for; `None` for one that does not exist.
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<Option<TableSchema>>, Failure>;

    /// Whether the table holds any row.
    async fn has_rows(&self, name: &TableName) -> Result<bool, Failure>;

    /// Executes one statement of a schema migration in a database (none for CREATE DATABASE).
    /// The caller makes statements idempotent.
    async fn execute_ddl(&self, database: Option<&str>, statement: &str) -> Result<(), Failure>;

    /// Takes over writing for a component.
    ///
    /// Raises epoch and claim number on all of the component's rows and waits until transactions of
    /// earlier claims have ended, so that what the claim reads afterwards is final. Claiming again
    /// with the same epoch is how an owner reconnects; its earlier claim is fenced too.
    ///
    /// # Errors
    /// `OMS-APPLY-0004` when a higher epoch has claimed already.
    async fn claim(&self, token: ClaimToken, options: SinkOptions) -> Result<Arc<dyn Claim>, Failure>;

    /// What was applied for a component, without claiming: as far as it is committed now. The owner may
    /// commit more at any moment. `None`: nothing ever.
    async fn applied(&self, component: &ComponentId) -> Result<Option<ApplyCheckpoint>, Failure>;

    /// A reader of the component's records ([`Claim::record_writer`]); `None` where the destination cannot
    /// keep any.
    fn records(&self, _component: &ComponentId) -> Option<Arc<dyn RecordReader>> {
        None
    }

    /// Whether statements that define are told of ([`Claim::announce`]) instead of executed: its tables then look as they
    /// do at the source.
    fn announces(&self) -> bool {
        false
    }

    /// Removes everything that the sink keeps for a component. Idempotent.
    async fn forget(&self, component: &ComponentId) -> Result<(), Failure>;

    /// In words for the user: what [`Sink::forget`] would remove, and where it is.
    fn keeps(&self, component: &ComponentId) -> String {
        format!("what the destination keeps for {component}")
    }

    /// A reader of the destination's rows, for verification. Values come as the source's reader
    /// would give them for the destination's definition.
    async fn open_snapshot(&self) -> Result<Box<dyn crate::SnapshotReader>, Failure>;
}

/// Who claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimToken {
    /// The component.
    pub component: ComponentId,
    /// The epoch under which the metadata assigned it to this owner.
    pub epoch: Epoch,
}

/// What a claim will write.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// The tables; [`RowOp::table`] counts in this list.
    pub tables: Arc<Vec<TablePair>>,
    /// Number of lanes that will be used: 0 to `lanes - 1`.
    pub lanes: u32,
}

/// A lane: one ordered stream of destination transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LaneId(pub u32);

/// Executes statements that define, one after the other ([`Claim::definer`]).
///
/// The claim is checked in the packet of the statement and, where there is one, under the component's lock: once a later
/// claim has got a definer, no statement of this one begins to run, and with the lock none runs.
#[async_trait]
pub trait Definer: Send {
    /// Executes one statement. Its names are complete.
    ///
    /// # Errors
    /// `OMS-APPLY-0004` when the claim is no longer the latest: the statement was not executed. After a transient
    /// error, or when the call was dropped, it is not known whether it was, or still is: get another definer and look
    /// at the outcome.
    async fn execute(&mut self, statement: &str) -> Result<(), Failure>;

    /// Gives the lock back. Without it the destination does when it notices that the connection is gone.
    async fn close(self: Box<Self>);
}

/// What kind of definition a statement changes, as far as messages tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefinitionKind {
    /// CREATE TABLE.
    CreateTable,
    /// ALTER TABLE.
    AlterTable,
    /// DROP TABLE.
    DropTable,
    /// TRUNCATE TABLE.
    TruncateTable,
    /// RENAME TABLE.
    RenameTable,
    /// CREATE INDEX.
    CreateIndex,
    /// DROP INDEX.
    DropIndex,
    /// ALTER TABLE … TRUNCATE PARTITION.
    TruncatePartition,
    /// Anything else.
    Other,
}

/// A statement that defines, for destinations that tell of it instead of executing it ([`Claim::announce`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Which of the component's announcements: these numbers only rise. First the statement in the component's history, then
    /// its part.
    pub number: (u64, u64),
    /// What kind of statement.
    pub kind: DefinitionKind,
    /// Its text.
    pub statement: String,
    /// The tables of the project that it is about, before and after it: at the source and at the destination.
    pub tables: Vec<(TableName, TableName)>,
    /// The position behind it.
    pub position: Position,
    /// When the source executed it, in microseconds since the epoch.
    pub source_time_us: i64,
}

/// The right to write for a component until somebody claims after us.
#[async_trait]
pub trait Claim: Send + Sync + std::fmt::Debug {
    /// The number of this claim within the epoch.
    fn number(&self) -> ClaimNumber;

    /// What was applied, as of this claim. `None`: nothing ever.
    async fn checkpoint(&self) -> Result<Option<ApplyCheckpoint>, Failure>;

    /// Writes the first checkpoint of a component that has none. Refused if there is one.
    async fn initialize(&self, state: &LaneState) -> Result<(), Failure>;

    /// The writer of a lane, on its own connection. At most one per lane at a time.
    async fn applier(&self, lane: LaneId) -> Result<Box<dyn Applier>, Failure>;

    /// A writer of import chunks, on its own connection. Any number at a time.
    async fn chunk_writer(&self) -> Result<Box<dyn ChunkWriter>, Failure>;

    /// The writer of the component's records.
    ///
    /// # Errors
    /// `OMS-APPLY-0008` where the destination cannot keep any ([`Sink::records`] tells before).
    fn record_writer(&self) -> Result<Arc<dyn RecordWriter>, Failure> {
        Err(Failure::new(
            codes::apply::INTERNAL,
            "this destination keeps no records of components",
        ))
    }

    /// A session for statements that define (DDL), under these session settings; those that the server does not know
    /// are passed over. At most one at a time.
    ///
    /// Where the destination has locks that end with their session, this waits until no statement of an earlier claim is
    /// executed any more: such statements cannot be rolled back with the fence, so they run under a lock of the component
    /// at the destination, which this takes. Elsewhere none of an earlier claim begins any more.
    ///
    /// # Errors
    /// `OMS-APPLY-0004` when the claim is no longer the latest; a transient one while a former owner's statement
    /// still runs; `OMS-APPLY-0008` where the destination has none.
    async fn definer(&self, settings: &[&str]) -> Result<Box<dyn Definer>, Failure> {
        let _ = settings;
        Err(Failure::new(
            codes::apply::INTERNAL,
            "this destination takes no statements that define",
        ))
    }

    /// Tells of a statement that defines, where [`Sink::announces`]. In order behind everything that was committed before.
    /// Idempotent: one that was told under this or an earlier claim is not told again. No lane may have a transaction
    /// under way.
    ///
    /// # Errors
    /// `OMS-APPLY-0004` when the claim is no longer the latest; `OMS-APPLY-0008` where statements are executed.
    async fn announce(&self, announcement: &Announcement) -> Result<(), Failure> {
        Err(Failure::new(
            codes::apply::INTERNAL,
            format!(
                "this destination cannot tell of statement {}",
                announcement.number.0
            ),
        ))
    }

    /// The receipts of a table's chunks, by chunk number.
    async fn receipts(&self, table: &TableName) -> Result<Vec<ChunkReceipt>, Failure>;

    /// Removes all rows of a destination table and its receipts, in fenced transactions of bounded
    /// size (never TRUNCATE, which a former owner could execute too late). The receipts go last: who ends in
    /// between leaves what tells the next owner that the rows are its own. Not for a table whose import is complete.
    async fn clear_table(&self, table: u32) -> Result<(), Failure>;
}

/// What is done when the destination is not as the change expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplyMode {
    /// An insert finds no row, an update and a delete exactly one; anything else is an error.
    Strict,
    /// Replaying changes over rows that may already contain them: inserts replace, updates delete
    /// the old and replace the new row, deletes of a missing row are nothing. Tables without a key
    /// are never written in this mode.
    Safe,
}

/// A change of a destination row, still in the source's columns.
#[derive(Clone, Debug)]
pub struct RowOp {
    /// Index in [`SinkOptions::tables`].
    pub table: u32,
    /// How strict.
    pub mode: ApplyMode,
    /// The row before: of updates and deletes.
    pub before: Option<Row>,
    /// The row after: of inserts and updates.
    pub after: Option<Row>,
    /// The transaction it is of, for destinations that tell it. `None` where nobody asked.
    pub origin: Option<Arc<Origin>>,
}

/// The source's transaction that a change is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its number in the component.
    pub number: u64,
    /// The source's name of it.
    pub id: Option<String>,
    /// When the source committed it, in microseconds since the epoch. `None` of one that is written before its end is
    /// known, because it does not fit into memory.
    pub source_time_us: Option<i64>,
    /// The position in front of it.
    pub behind: Position,
}

/// Writes the transactions of one lane.
///
/// `begin`, any number of `write`, then `commit` or `rollback`. After an error the transaction is
/// void and the applier must be dropped; the component claims again. An error with
/// `OMS-APPLY-0005` means that the commit may or may not have happened: claiming again settles it.
#[async_trait]
pub trait Applier: Send {
    /// Begins a destination transaction and locks the lane's fence row.
    ///
    /// # Errors
    /// `OMS-APPLY-0004` when this claim is no longer the latest.
    async fn begin(&mut self) -> Result<(), Failure>;

    /// As [`Applier::begin`], for a transaction whose size is not known and that may take long: one that is
    /// streamed because it does not fit into memory. A destination may bound the time of others more tightly.
    async fn begin_streamed(&mut self) -> Result<(), Failure> {
        self.begin().await
    }

    /// [`Applier::begin`] and the first [`Applier::write`] in one call, which a destination may turn into one round trip.
    /// Nothing is written under a claim that is no longer the latest.
    ///
    /// # Errors
    /// As the two.
    async fn begin_writing(&mut self, ops: &[RowOp]) -> Result<(), Failure> {
        self.begin().await?;
        self.write(ops).await
    }

    /// Applies changes in order. May be called often in one transaction; memory is bounded by the
    /// call's arguments.
    ///
    /// # Errors
    /// `OMS-APPLY-0001`/`-0002` in strict mode, naming table and key columns (not values).
    async fn write(&mut self, ops: &[RowOp]) -> Result<(), Failure>;

    /// Writes the lane's state and commits; durable as far as the destination is.
    async fn commit(&mut self, state: &LaneState) -> Result<(), Failure>;

    /// Gives the transaction up.
    async fn rollback(&mut self) -> Result<(), Failure>;
}

/// What to do with rows that are at the destination already when a chunk is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingRows {
    /// There can be none but those of a concurrent chunk: a row replaces what has one of its keys.
    Replace,
    /// Keep what is there and report the conflict.
    Ignore,
}

/// A chunk that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkReceipt {
    /// The source table.
    pub table: TableName,
    /// Number of the chunk in the table, from 0.
    pub number: u64,
    /// Its range.
    pub range: ChunkRange,
    /// Rows it had.
    pub rows: u64,
    /// Bytes it had.
    pub bytes: u64,
    /// For a table read in one consistent snapshot: the snapshot's position.
    pub snapshot: Option<Position>,
}

/// The result of writing part of a chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Rows written.
    pub written: u64,
    /// Rows that were not written because a row with their key was there (policy `Ignore`).
    pub kept: u64,
}

/// Writes import chunks: `begin`, any number of `write`, `commit`. Rows and receipt commit
/// together. After an error the chunk is void and the writer must be dropped.
#[async_trait]
pub trait ChunkWriter: Send {
    /// Begins a chunk of a table and locks the fence.
    async fn begin(&mut self, table: u32, existing: ExistingRows) -> Result<(), Failure>;

    /// Inserts rows of the source's definition.
    async fn write(&mut self, rows: &[Row]) -> Result<WriteOutcome, Failure>;

    /// Writes the receipt and commits.
    async fn commit(&mut self, receipt: &ChunkReceipt) -> Result<(), Failure>;
}
