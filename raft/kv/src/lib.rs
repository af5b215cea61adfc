//! Key-value engines that hold the replicated metadata durably.
//!
//! [`KvEngine`] is the whole interface: point reads, ordered scans and atomic [`WriteBatch`]es over
//! numbered key spaces, each write either [`Durability::Durable`] (survives a power cut once the call
//! has returned) or [`Durability::Buffered`] (promises nothing until a later durable write or
//! [`KvEngine::sync`]). Callers declare a [`KeySpace`] per kind of record and use the typed methods of
//! [`TypedKv`] and [`WriteBatch`], so that keys and values are encoded in one place.
//!
//! Two engines implement it: [`SledEngine`] for a node's data folder and [`MemoryEngine`] for tests and
//! simulation, where it also plays power cuts. Both pass the one contract suite in [`testing`].
//!
//! This is the only crate that names sled.

mod batch;
mod engine;
mod error;
mod header;
mod memory;
mod sled_engine;
mod space;
pub mod testing;

pub use batch::{Operation, WriteBatch};
pub use engine::{Durability, KvEngine, MAX_KEY_BYTES, MAX_VALUE_BYTES, Order, Record, ScanLimit, TypedKv};
pub use error::{KvError, KvResult};
pub use header::DataHeader;
pub use memory::MemoryEngine;
pub use sled_engine::{FileSync, OsFileSync, SledEngine, SledOptions};
pub use space::{KeyCodec, KeyRange, KeySpace, SpaceId};
