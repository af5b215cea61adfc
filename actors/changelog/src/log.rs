use async_trait::async_trait;
use oms_core::Position;

use crate::{LogRecord, LogSeq, NewRecord, Result};

/// A durable, ordered log of source records with one writer and many readers.
///
/// - **Order.** Records have dense numbers in the order they were appended; every reader sees them in this
///   order, without gaps, across writers and restarts.
/// - **Durability.** A reader never sees a record before it is durable, and a durable record is never lost
///   or changed. What was appended and not committed may vanish.
/// - **Border.** A log always begins at a transaction border: retention never cuts a transaction.
#[async_trait]
pub trait ChangeLog: Send + Sync {
    /// The log's one writer, or `WriterTaken` while another lives.
    ///
    /// What an earlier writer left uncommitted is gone. When the log ends inside a transaction, a durable
    /// `TXN_ABORT` record is written first, so that readers drop the part they have: the source sends the
    /// whole transaction again after [`resume_position`](Self::resume_position).
    async fn writer(&self) -> Result<Box<dyn LogWriter>>;

    /// Opens a reader; it holds back retention from its place on while it lives.
    async fn open_reader(&self, from: ReadFrom) -> Result<Box<dyn LogReader>>;

    /// The position of the last complete durable record that carries one, or the log's start position:
    /// where the source must resume for the log to have no gap.
    fn resume_position(&self) -> Result<Position>;

    /// The last durable record; [`LogSeq::NONE`] in a log that never had one.
    fn durable_seq(&self) -> LogSeq;

    /// Says that `consumer` will not ask for a record before `needs_from`. A consumer is remembered across
    /// restarts from the first call on, and holds back retention until it is removed.
    /// Fails with `SeqPurged` or `SeqAhead` when `needs_from` is outside of the log (the next number is inside).
    async fn set_low_watermark(&self, consumer: &str, needs_from: LogSeq) -> Result<()>;

    /// Forgets a consumer; returns whether it was known.
    async fn remove_consumer(&self, consumer: &str) -> Result<bool>;

    /// Removes old records that no consumer and no reader needs, as far as the policy wants. Without any
    /// consumer and reader nothing is held back. Removes whole segments; may remove less than wanted, never more.
    async fn retain(&self, now_us: i64, policy: RetentionPolicy) -> Result<Retained>;

    /// Figures for display and metrics.
    fn stats(&self) -> LogStats;

    /// Ends the log: waits for the write that is under way, then refuses everything. Readers get what is
    /// durable, then `Closed`. May be repeated.
    async fn close(&self) -> Result<()>;
}

/// The one writer of a log. Dropping it discards what was not committed.
#[async_trait]
pub trait LogWriter: Send {
    /// Takes records, in order; returns the number of the last one. They are neither durable nor visible
    /// before [`commit`](Self::commit). All are taken or, on an error, none.
    ///
    /// An error of earlier, still uncommitted appends may be reported here too; `rolled_back_to` in it says
    /// how far the log was cut back. Cancel-safe: a dropped call has taken nothing.
    async fn append(&mut self, records: Vec<NewRecord>) -> Result<LogSeq>;

    /// Makes everything appended durable and visible, with one sync; returns the last durable number.
    ///
    /// Cancel-safe: a dropped call may still take effect; the next call waits for it.
    async fn commit(&mut self) -> Result<LogSeq>;

    /// The number the next record will get.
    fn next_seq(&self) -> LogSeq;

    /// The first record of the transaction that is open after what was appended. A caller that reconnects
    /// to the source appends [`NewRecord::abort`] when this is set.
    fn open_transaction(&self) -> Option<LogSeq>;
}

/// A place in a log that moves forward.
#[async_trait]
pub trait LogReader: Send {
    /// The next durable records: at least one, waiting for it if need be, and not more than `max_bytes`
    /// unless the first alone is larger. After an error the same place is tried again.
    ///
    /// Cancel-safe: a dropped call has consumed nothing.
    async fn next_batch(&mut self, max_bytes: usize) -> Result<Vec<LogRecord>>;

    /// The number of the record that is handed out next.
    fn next_seq(&self) -> LogSeq;
}

/// Where a reader begins.
#[derive(Clone, Debug)]
pub enum ReadFrom {
    /// The oldest record there is.
    Start,
    /// This record; it may be the one that is written next.
    Seq(LogSeq),
    /// The record after the one that carries this position. Never a guess: `PositionPurged` when it is
    /// older than the log, `PositionAhead` when it is newer, `PositionUnknown` when it is neither and no
    /// record carries exactly it.
    Position(Position),
    /// The first record behind the last border at or before this position, for a position that is a border
    /// of the *source* and may come from another log of the same source: that log may have noted a heartbeat
    /// where this one did not. As positions lie between transactions, exactly the transactions that end behind
    /// it follow. `PositionPurged` and `PositionAhead` as with [`ReadFrom::Position`]; `PositionUnknown` when
    /// it does not compare with what this log holds.
    Behind(Position),
}

/// How much a log keeps of what nobody needs any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Keep records at least this long, measured on the source's time of the newest record in a segment.
    pub min_age_us: i64,
    /// But not more than this many bytes.
    pub max_bytes: u64,
}

/// What retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segments removed.
    pub segments: u64,
    /// Bytes removed.
    pub bytes: u64,
}

/// Figures about a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStats {
    /// The oldest record; the next number when the log is empty.
    pub first_seq: LogSeq,
    /// The newest durable record; [`LogSeq::NONE`] when there never was one.
    pub last_seq: LogSeq,
    /// Bytes held.
    pub bytes: u64,
    /// Segments held.
    pub segments: u64,
    /// The source's time of the oldest record.
    pub first_source_time_us: Option<i64>,
    /// The source's time of the newest record.
    pub last_source_time_us: Option<i64>,
}
