//! Message formats: changes and rows as consumers of Kafka and RocketMQ topics expect them.
//!
//! Pure: no I/O, no clock, no randomness; the same input gives the same bytes. A [`TablePlan`] holds what a
//! table's messages have in common, an [`Encoder`] appends one message after the other to a buffer of the
//! caller's, and a [`Router`] makes the message's key and chooses its partition. What each format is, and what
//! was chosen where its documentation is silent, is on the page `node/docs/message-formats.md`.

mod binary;
mod change;
mod charset;
mod encoder;
mod error;
mod format;
mod json;
mod moment;
mod number;
mod route;
mod settings;
mod table_plan;
mod temporal;
mod type_name;
mod value;

pub use change::{Change, Ddl, DdlKind};
pub use encoder::{Encoder, Written};
pub use error::CodecError;
pub use moment::{Moment, Sequence};
pub use route::{HEARTBEAT_KEY, PartitionRule, Router, Target, murmur2};
pub use settings::{DbType, Format, SchemaBlock, Settings, Unchanged};
pub use table_plan::TablePlan;
