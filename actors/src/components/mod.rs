//! The components of a migration project.

mod full_import;
mod full_verification;
mod incr_sync;
mod log_feed;
mod pairs;
mod shelf;
mod store;

pub use full_import::{FullImport, FullImportSettings};
pub use full_verification::{FullVerification, FullVerificationSettings};
pub use incr_sync::{IncrSync, IncrSyncSettings};
pub use pairs::{Mapping, load_pairs_each};
pub use shelf::{Shelf, ShelvedLog};
pub use store::{Store, StoreSettings};
