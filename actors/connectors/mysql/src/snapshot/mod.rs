//! Reading rows by queries.

mod cell;
mod consistent;
mod literal;
mod reader;
mod statement;

pub use reader::MysqlSnapshotReader;
