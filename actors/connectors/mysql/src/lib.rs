//! Source and destination connector of the MySQL family: MySQL, MariaDB and whatever speaks their
//! protocol.

pub mod binlog;
pub mod catalog;
pub mod connection;
pub mod precheck;
pub mod sink;
pub mod snapshot;
mod source;

pub use source::MysqlSource;
