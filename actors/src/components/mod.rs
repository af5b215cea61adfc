//! The components of a migration project.

mod definitions;
mod followed_log;
mod full_import;
mod full_verification;
mod incr_sync;
mod log_feed;
mod other_nodes;
mod pairs;
mod shelf;
mod store;
mod store_log;

pub use definitions::{
    DdlDecision, DdlEntry, DefinitionPorts, EntryState, EntryStep, FollowedSelection, History, NewTables,
    SourceDefinitions, SourceFacts,
};
pub use full_import::{FullImport, FullImportSettings};
pub use full_verification::{FullVerification, FullVerificationSettings};
pub use incr_sync::{EchoCount, FollowSettings, IncrSync, IncrSyncSettings, Lanes, Settle};
pub use other_nodes::{Alone, LogConsumer, LogStart, LogStream, OtherNodes, StoreSite};
pub use pairs::{Mapping, load_pairs_each};
pub use shelf::{Shelf, ShelfGuard, ShelvedLog};
pub use store::{Store, StoreSettings};
