//! Incremental synchronization: from log events to destination transactions.

mod config;
mod definitions;
mod engine;
mod feed;
mod gauge;
mod intake;
mod lane;
mod progress;
mod reason;
mod running;
mod stream;
mod tracker;
mod window;

pub use config::{CommitOrder, SyncConfig, SyncPlan};
pub use definitions::{AfterDdl, DefinitionHandler, LoggedDdl};
pub use engine::{SyncEnd, Synchronizer, resume_or_initialize};
pub use feed::{EventFeed, EventSource};
use gauge::MemoryGauge;
pub use progress::ApplyProgress;
pub use tracker::Tracker;
