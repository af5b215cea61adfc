//! Commands of the replicated log.

use oms_proto::meta::{Command, command::Body};
use prost::Message as _;

use crate::VERSION;

/// The body of a command.
pub type MetaCommand = Body;

/// Wraps a body for the log. `now_ms` is the proposer's clock.
pub fn command(now_ms: i64, body: Body) -> Vec<u8> {
    Command {
        version: VERSION,
        now_ms,
        body: Some(body),
    }
    .encode_to_vec()
}
