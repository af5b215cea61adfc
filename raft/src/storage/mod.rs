//! Log, state machine and snapshots over a key-value engine.

// The size of openraft's storage error is not ours to choose.
#![allow(clippy::result_large_err)]

mod check;
mod log_store;
mod machine;
mod salvage;
mod snapshots;
mod spaces;

#[cfg(test)]
mod conformance;

pub(crate) use check::check_folder;
pub(crate) use log_store::{LastIndex, LogStore};
pub(crate) use machine::{Machine, SharedState};
pub use salvage::{Salvaged, salvage, seed};
pub(crate) use snapshots::SnapshotStore;

use crate::types::{StorageError, StorageIOError};

/// Runs a call that may wait for the disk on a thread that may wait.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(call)
        .await
        .map_err(|error| StorageIOError::write(&error).into())
}
