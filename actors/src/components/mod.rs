//! The components of a migration project.

mod shelf;
mod store;

pub use shelf::{Shelf, ShelvedLog};
pub use store::{Store, StoreSettings};
