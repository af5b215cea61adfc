//! Where durable facts of a component go.

use async_trait::async_trait;
use oms_core::{Failure, Position, TableName};

use oms_verify::{RunSummary, TableResult};

use crate::{Mapping, RunState};

/// Facts that later steps, later owners or users need.
#[derive(Clone, Debug, PartialEq)]
pub enum Facts {
    /// The Store has made this start position durable.
    StoreStart(Position),
    /// Full import: changes up to here may be in the copied rows already, and the tables that were
    /// read in one consistent snapshot with its position.
    Imported {
        /// End of the source's log after the last chunk was read.
        safe_until: Position,
        /// Snapshot positions of tables without a key.
        snapshots: Vec<(TableName, Position)>,
    },
    /// Incremental synchronization: everything up to here is durable at the destination.
    Applied(Position),
    /// Incremental synchronization that settles: exactly the changes up to here are at the destination, and no more will
    /// be applied under this order.
    Settled(Position),
    /// Incremental synchronization: followed statements made these tables part of the project, or took them out of it.
    Tables {
        /// Tables that are followed now.
        added: Vec<Mapping>,
        /// Tables that are gone.
        gone: Vec<TableName>,
    },
    /// Incremental synchronization has caught up once.
    CaughtUp,
    /// A verification run has ended.
    Verified {
        /// Its result.
        summary: RunSummary,
        /// The results of its tables.
        tables: Vec<TableResult>,
    },
}

/// Records facts durably in the metadata, under the component's epoch.
///
/// Every call returns when the fact is committed. A call under an epoch that is no longer current
/// fails with `OMS-APPLY-0004`.
#[async_trait]
pub trait Reporter: Send + Sync {
    /// The component's state changed.
    async fn state(&self, state: &RunState, summary: &str) -> Result<(), Failure>;

    /// A fact was found.
    async fn facts(&self, facts: Facts) -> Result<(), Failure>;

    /// Everything that the component kept was removed.
    async fn removed(&self) -> Result<(), Failure>;
}
