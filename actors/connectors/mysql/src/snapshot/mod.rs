//! Reading rows by queries.

mod by_engine;
mod by_gtid;
mod cell;
mod condition;
mod consistent;
mod digest;
mod engine_list;
mod gap;
mod images;
mod literal;
mod reader;
mod rounds;
mod statement;

pub use condition::sql_condition;
pub use images::{connect_for_images, image, image_list};
pub use reader::MysqlSnapshotReader;
