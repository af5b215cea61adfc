//! Writing to servers of the MySQL family, fenced.
//!
//! A hidden database at the destination holds the fences and the receipts ([`MetaTables`]). A
//! [`MysqlSink`] hands out claims; appliers and chunk writers write only through one. How that
//! keeps effects exactly once is argued in `node/docs/fencing-and-exactly-once.md`.
//!
//! Values travel as literals in multi-row statements of the text protocol, and in an import as the text of LOAD DATA
//! where that is as exact. Every literal is exact:
//! a value that the destination's column cannot hold as it is stops the writer with
//! `OMS-DST-0008`; the strict SQL mode of the session is the second guard and the server's warnings
//! the third.

mod applier;
mod batch;
pub mod charset;
mod chunk_writer;
mod claim;
mod definer;
mod dialect;
mod fence;
mod form;
mod literal;
mod load;
mod locker;
mod meta;
mod mysql_sink;
mod packet;
mod plan;
mod receipt;
mod record;
mod session;
mod statement;
mod value;

pub use dialect::{Dialect, MysqlDialect, SessionFacts};
pub(crate) use meta::FENCE_TABLE;
pub use meta::{META_DATABASE, MetaTables};
pub use mysql_sink::MysqlSink;
