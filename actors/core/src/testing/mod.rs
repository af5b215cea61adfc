//! Contract suites for implementations of this crate's traits (feature `testing`).

mod history;
mod memory_records;
pub mod records;
pub mod sink;
pub mod source;
mod source_log;
mod source_rows;
mod source_table;
mod table_shape;

pub use memory_records::MemoryRecords;
pub use source_table::{SourceChange, SourceTable};
pub use table_shape::{TableShape, numbered_position};
