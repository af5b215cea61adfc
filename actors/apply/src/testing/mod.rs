//! An in-memory source and sink that obey the connector contracts, with faults on demand.
//!
//! Rows are compared as a server with a case-insensitive, accent-insensitive, padding collation
//! would (other collations than `_bin` are all treated so), which is coarser than the collations
//! that the conflict rule knows.

mod applier;
mod chunk_writer;
mod collate;
mod reader;
mod records;
mod sink;
mod source;
mod table;
mod transaction;

pub use sink::{Fault, MemorySink};
pub use source::MemorySource;
pub use table::MemoryTable;
