//! Reading rows by queries.

mod by_engine;
mod by_gtid;
mod cell;
mod consistent;
mod digest;
mod engine_list;
mod gap;
mod literal;
mod reader;
mod rounds;
mod statement;

pub use reader::MysqlSnapshotReader;
