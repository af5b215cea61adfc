//! Two databases in memory that obey the reader's contract, with writes on both sides while they
//! are read: at the source at once, at the destination later.

mod database;
mod reader;
mod world;

pub use database::{MemoryTable, latin1};
pub use world::{World, Writer};
