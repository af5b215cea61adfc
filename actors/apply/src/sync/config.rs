//! What to apply, and how much at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use oms_core::{Position, TablePair};

use crate::{ClimbConfig, ForeignKeyEdge};

/// What is applied. Fixed for a run.
#[derive(Clone, Debug)]
pub struct SyncPlan {
    /// The tables, in the order of the decoder's [`oms_core::TableMap`] and of
    /// [`oms_core::SinkOptions::tables`].
    pub tables: Arc<Vec<TablePair>>,
    /// Foreign keys between them that the destination checks while rows are applied.
    pub foreign_keys: Vec<ForeignKeyEdge>,
    /// Tables without a key that were imported in one snapshot: its position. Changes in
    /// transactions that end at or before it are skipped.
    pub skip_until: BTreeMap<u32, Position>,
    /// Transactions that end at or before this position are applied in safe mode (tables with a
    /// key): the position noted after the last chunk of full import.
    pub safe_until: Option<Position>,
    /// Tables with a key whose changes are always applied in safe mode.
    pub always_safe: BTreeSet<u32>,
    /// Apply everything up to this position, then end.
    pub stop_at: Option<Position>,
}

/// In which order the source's transactions become visible at the destination. Each is visible as a whole in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitOrder {
    /// Those that change a common key value in the source's order, others in any.
    #[default]
    Relaxed,
    /// All in the source's order: who sees one sees all before it.
    Strict,
}

/// Sizes and times.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncConfig {
    /// Number of lanes; at least 1. Where the number is found out, the most there may be.
    pub lanes: u32,
    /// Finds the number of lanes out while running, between 1 and `lanes`. `None`: all of them work.
    pub climb: Option<ClimbConfig>,
    /// Time between two looks at the throughput.
    pub climb_interval: Duration,
    /// In which order transactions become visible.
    pub commit_order: CommitOrder,
    /// In strict order: how long a destination transaction may hold its locks while it waits for its turn. Then it is
    /// rolled back, and executed again when it is its turn.
    pub turn_patience: Duration,
    /// Rows after which a destination transaction is committed.
    pub batch_rows: usize,
    /// Bytes of rows after which a destination transaction is committed.
    pub batch_bytes: usize,
    /// Age at which a destination transaction is committed although more is waiting. It never
    /// waits for more.
    pub batch_age: Duration,
    /// Reading pauses while the rows that are collected or queued occupy more than this.
    pub memory_bytes: usize,
    /// Bytes of rows above which a source transaction is streamed instead of collected.
    pub large_bytes: usize,
    /// Rows above which a source transaction is streamed instead of collected.
    pub large_rows: usize,
    /// Bytes that are asked of the feed at once; also the size of the parts in which a large
    /// transaction is written.
    pub feed_bytes: usize,
    /// How many transactions the last one started may be ahead of the watermark. Bounds the
    /// checkpoint's size.
    pub window: usize,
    /// Least time between two watermarks that are written without rows.
    pub mark_interval: Duration,
    /// How long to wait for a commit that is under way when the run ends early.
    pub stop_grace: Duration,
    /// Tell the destination of which transaction each change is ([`oms_core::RowOp::origin`]).
    pub origins: bool,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            lanes: 8,
            climb: None,
            climb_interval: Duration::from_millis(500),
            commit_order: CommitOrder::Relaxed,
            turn_patience: Duration::from_secs(1),
            batch_rows: 1_000,
            batch_bytes: 4 << 20,
            batch_age: Duration::from_millis(500),
            memory_bytes: 128 << 20,
            large_bytes: 16 << 20,
            large_rows: 100_000,
            feed_bytes: 1 << 20,
            window: 4_096,
            mark_interval: Duration::from_secs(1),
            stop_grace: Duration::from_secs(10),
            origins: false,
        }
    }
}
