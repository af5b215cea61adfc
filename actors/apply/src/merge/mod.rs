//! Several tables of a source seen as one.
//!
//! [`MergedSource`] stands between a source and everybody who reads it: of the tables that go to one destination table
//! the first stands for all, and has the rows and the changes of all of them. Import, incremental synchronization and
//! verification therefore need not know of the others. Why that is right, and how keys that are in several of the
//! tables are found, is in `node/docs/merged-tables.md`.

mod decoder;
mod groups;
mod keys;
mod reader;
mod source;

pub use groups::{MergedTables, merge_problems};
pub use source::MergedSource;
