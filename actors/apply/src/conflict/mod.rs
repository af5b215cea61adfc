//! Which transactions may run side by side.

mod fold;
mod graph;
mod hash;
mod keys;
mod specs;

pub use graph::{ConflictGraph, Placement};
pub use keys::{KeyExtractor, KeyLock, TransactionKeys};
pub use specs::ForeignKeyEdge;
