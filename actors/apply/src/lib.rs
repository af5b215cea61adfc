//! Incremental apply and full import, without a database and without actors.
//!
//! * [`Synchronizer`] applies a log: it numbers transactions, finds out which of them may run side by
//!   side ([`KeyExtractor`], [`ConflictGraph`]), gives them to lanes, and keeps at the destination
//!   what was applied;
//! * [`Importer`] copies the rows that exist, in chunks that can be resumed;
//! * [`ShapedSource`] shows a source as if it had only the rows, columns and changes that were chosen; [`Condition`] is
//!   the language of row filters;
//! * [`MergedSource`] shows several tables of a source as one;
//! * [`Climber`] finds out how many workers are worth having;
//! * `node/docs/incremental-apply.md` is the argument why the destination is right at any moment.

mod climb;
mod condition;
mod conflict;
mod error;
mod import;
mod merge;
mod shape;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;

pub use climb::{ClimbConfig, Climber, Sample, Strain};
pub use condition::{Computed, Condition, Mistake, TextDecoder, Utf8Only, check_syntax};
pub use conflict::{ConflictGraph, ForeignKeyEdge, KeyExtractor, KeyLock, Placement, TransactionKeys};
pub use error::ApplyError;
pub use import::{
    ChunkPlan, ConflictedChunk, ExistingPolicy, ImportConfig, ImportEnd, ImportProgress, ImportReport,
    ImportTuning, Importer, RetryPolicy, TableProgress, TableReport, TableState, TokenBucket, Workers,
};
pub use merge::{MergedSource, MergedTables, merge_problems};
pub use shape::{
    AddedColumn, ChangeKinds, LeftOut, LeftOutCounts, Shape, ShapedSource, TableShape, added_column_type,
};
pub use sync::{
    AfterDdl, ApplyProgress, CommitOrder, DefinitionHandler, EventFeed, EventSource, LoggedDdl, SyncConfig,
    SyncEnd, SyncPlan, Synchronizer, Tracker, resume_or_initialize,
};
