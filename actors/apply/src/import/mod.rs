//! Full import: copying the rows that exist.

mod backoff;
mod config;
mod copy_keyed;
mod copy_keyless;
mod crew;
mod importer;
mod load;
mod pass;
mod plan;
mod progress;
mod report;
mod throttle;
mod tuning;
mod work;

pub use config::{ExistingPolicy, ImportConfig, RetryPolicy};
pub use importer::{ImportEnd, Importer};
pub use plan::ChunkPlan;
pub use progress::{ImportProgress, TableProgress, TableState};
pub use report::{ConflictedChunk, ImportReport, TableReport};
pub use throttle::TokenBucket;
pub use tuning::{ImportTuning, Workers};
