//! What runs on other nodes, as components of this node reach it.

use std::sync::Arc;

use async_trait::async_trait;
use oms_changelog::{LogId, LogRecord, LogSeq};
use oms_core::{Failure, Position};
use oms_types::{Epoch, ProjectId};

/// Where a project's Store is assigned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreSite {
    /// To this node: its log comes on this node's shelf.
    Here,
    /// To another node, under this epoch.
    On {
        /// The node.
        node: u64,
        /// The epoch of the assignment.
        epoch: Epoch,
    },
    /// To none that is known.
    Nowhere,
}

/// Where reading of a change log begins.
#[derive(Clone, Debug)]
pub struct LogStart {
    /// A border of the source: every transaction that ends behind it is wanted.
    pub position: Position,
    /// The record that comes next if the log is this very one; it may lie within a transaction. In any
    /// other log reading begins behind `position`.
    pub next: Option<(LogId, LogSeq)>,
}

/// A change log that is being read, on this node or another.
#[async_trait]
pub trait LogStream: Send {
    /// The log's identity. With one that [`LogStart::next`] named reading goes on at that record,
    /// with any other behind [`LogStart::position`].
    fn log_id(&self) -> LogId;

    /// The next records, in order and without a gap: at least one, waiting for it if need be, and not
    /// more than `max_bytes` unless the first alone is larger.
    ///
    /// After an error, and after a dropped call, the stream must not be used again: the caller opens
    /// another one at the record behind the last one it got.
    async fn next_batch(&mut self, max_bytes: usize) -> Result<Vec<LogRecord>, Failure>;

    /// Tells this log what is still needed of it, also while records are waited for.
    fn consumer(&self) -> Arc<dyn LogConsumer>;
}

/// Tells a log what incremental synchronization still needs.
#[async_trait]
pub trait LogConsumer: Send + Sync {
    /// No record before this one will be asked for again. May arrive late or never; then more is kept
    /// than needed.
    async fn needs_from(&self, seq: LogSeq) -> Result<(), Failure>;
}

/// Reaches components on other nodes. Answers come from this node's copy of the metadata and may be
/// behind: a caller that meets an error looks again.
#[async_trait]
pub trait OtherNodes: Send + Sync + 'static {
    /// Where the Store of a project is.
    fn store_site(&self, project: &ProjectId) -> StoreSite;

    /// Returns when the Store of a project is elsewhere than at `site`. Cancel safe.
    async fn store_left(&self, project: &ProjectId, site: StoreSite);

    /// Opens the log of a Store on another node. Waits while the log has not come as far; gives up with
    /// a transient error when the node does not answer for a few seconds.
    ///
    /// # Errors
    /// `OMS-STORE-0004` when the log does not reach back to the position; transient ones when the node
    /// cannot be reached or the Store is not up there.
    async fn open_log(
        &self,
        project: &ProjectId,
        site: StoreSite,
        from: &LogStart,
    ) -> Result<Box<dyn LogStream>, Failure>;
}

/// There are no other nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

#[async_trait]
impl OtherNodes for Alone {
    fn store_site(&self, _: &ProjectId) -> StoreSite {
        StoreSite::Here
    }

    async fn store_left(&self, _: &ProjectId, _: StoreSite) {
        std::future::pending().await
    }

    async fn open_log(
        &self,
        project: &ProjectId,
        _: StoreSite,
        _: &LogStart,
    ) -> Result<Box<dyn LogStream>, Failure> {
        Err(Failure::new(
            oms_core::codes::store::IO,
            format!("the Store of {project} is on no node"),
        ))
    }
}
