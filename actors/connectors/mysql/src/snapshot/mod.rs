//! Reading rows by queries.

mod by_engine;
mod by_gtid;
mod cell;
mod condition;
mod consistent;
mod digest;
mod engine_list;
mod gap;
mod literal;
mod reader;
mod rounds;
mod statement;

pub use condition::sql_condition;
pub use reader::MysqlSnapshotReader;
