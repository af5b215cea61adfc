//! Following and decoding the binary log of MySQL (5.6 and later) and MariaDB.
//!
//! [`BinlogCapture`] speaks the replication protocol on a connection of its own and yields records:
//! the events as logged, with transaction borders and positions ([`LogFollower`] finds them, without
//! I/O). [`BinlogDecoder`] turns records into row changes, with definitions that were read from the
//! catalog and are checked against what the log says. [`current_position`] and [`check_position`]
//! ask a server about its log.

mod auth;
mod bytes_reader;
mod capture;
mod checksum;
mod column_plan;
mod compressed;
mod decimal;
mod decoder;
mod dump;
mod encryption;
mod error;
mod event_header;
mod event_kind;
mod follower;
mod format_description;
mod gtid_event;
mod json;
mod log_file;
mod login;
mod own_writes;
mod owned;
mod packet;
mod payload;
mod place;
mod query_event;
mod rows_event;
mod statement;
mod table_map;
mod table_plan;
mod temporal;
mod tokens;
mod value_reader;

pub use capture::BinlogCapture;
pub use decoder::BinlogDecoder;
pub use dump::CaptureOptions;
pub use follower::LogFollower;
pub use log_file::{decode_bytes, events_of_file};
pub use own_writes::OwnWrites;
pub(crate) use owned::owned;
pub use place::{check_position, current_position, start_position};
