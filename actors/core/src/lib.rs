//! Rows, positions, checkpoints and the connector traits.
//!
//! Everything that moves data speaks in the terms of this crate and knows databases only through
//! its traits:
//!
//! * a [`Row`] is one contiguous buffer with offsets; its values are borrowed [`Value`] views. The
//!   encoding is canonical: a row read by a snapshot query and the same row decoded from the log
//!   have equal bytes;
//! * a [`Position`] is a coordinate in a source's log. Positions are only partially ordered;
//! * a [`Source`] reads (schema, snapshot chunks, log), a [`Sink`] writes. The only way to write
//!   rows is a [`Claim`], which fences every earlier owner first.

mod change;
mod checkpoint;
mod chunk_ends;
mod condition;
mod digest;
mod error;
mod gtid;
mod message_sink;
mod name;
mod position;
mod precheck;
mod progress;
mod records;
mod row;
mod sink;
mod source;
mod table;
mod table_pair;
mod temporal;
#[cfg(feature = "testing")]
pub mod testing;
mod value;

pub use change::{DdlContext, LogEvent, RowChange, TableMap};
pub use checkpoint::{AppliedSet, ApplyCheckpoint, LaneState, Watermark};
pub use chunk_ends::ChunkEnds;
pub use condition::{ConditionValue, RowCondition, RowOperator};
pub use digest::{ChunkDigest, DigestColumn, DigestForm};
pub use error::Failure;
pub use gtid::{GtidParseError, MariaDbGtidPosition, MysqlGtidSet};
pub use message_sink::{Message, MessageClaim, MessageProducer, MessageSink, TopicPlan};
pub use name::{ObjectKind, ObjectName, TableName};
pub use position::{BinlogPosition, GtidState, Position, ScnPosition};
pub use precheck::{PrecheckItem, PrecheckSide, PrecheckStatus};
pub use progress::{Counters, CountersSnapshot};
pub use records::{Record, RecordReader, RecordWriter};
pub use row::{Row, RowBuilder, RowError};
pub use sink::{
    Announcement, Applier, ApplyMode, ChunkReceipt, ChunkWriter, Claim, ClaimToken, Definer, DefinitionKind,
    ExistingRows, LaneId, Origin, RowOp, Sink, SinkOptions, WriteOutcome,
};
pub use source::{
    Capture, CapturedRecord, ChunkRange, DecodeProgress, KeyOrder, LogDecoder, RecordFlags, RowBatch,
    SnapshotReader, Source, TableRead,
};
pub use table::{Column, ColumnType, Generated, Key, KeyPart, TableSchema};
pub use table_pair::{ColumnPair, TablePair};
pub use temporal::{CivilDate, CivilDateTime, Duration, format_fraction};
pub use value::{Value, ValueKind};

pub use oms_types::{
    ClaimNumber, ComponentId, ComponentKind, Disposition, Epoch, ErrorCode, ProjectId, codes,
};
