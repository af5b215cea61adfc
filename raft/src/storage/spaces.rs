//! What consensus keeps in the engine. Numbers and encodings are released: they never change.

use oms_kv::{KeySpace, SpaceId};
use oms_proto::raft as pb;
use prost::Message;

use crate::codec;
use crate::types::{Entry, LogId, Vote};

macro_rules! message_space {
    ($(#[$doc:meta])* $name:ident, $number:literal, $text:literal, $key:ty => $message:ty) => {
        $(#[$doc])*
        pub(super) struct $name;
        impl KeySpace for $name {
            const ID: SpaceId = SpaceId::new($number);
            const NAME: &'static str = $text;
            type Key = $key;
            type Value = $message;
            fn encode(value: &$message) -> Vec<u8> {
                value.encode_to_vec()
            }
            fn decode(bytes: &[u8]) -> Result<$message, String> {
                codec::decode(bytes)
            }
        }
    };
}

message_space!(
    /// Whose folder this is.
    IdentitySpace, 1, "raft-identity", () => pb::Identity
);
message_space!(
    /// The current snapshot.
    SnapshotSpace, 5, "raft-snapshot", () => pb::SnapshotRecord
);

/// The last vote.
pub(super) struct VoteSpace;
impl KeySpace for VoteSpace {
    const ID: SpaceId = SpaceId::new(2);
    const NAME: &'static str = "raft-vote";
    type Key = ();
    type Value = Vote;
    fn encode(value: &Vote) -> Vec<u8> {
        codec::vote_to(value).encode_to_vec()
    }
    fn decode(bytes: &[u8]) -> Result<Vote, String> {
        codec::decode(bytes).map(|ballot| codec::vote_from(&ballot))
    }
}

/// The log, by index.
pub(super) struct LogSpace;
impl KeySpace for LogSpace {
    const ID: SpaceId = SpaceId::new(3);
    const NAME: &'static str = "raft-log";
    type Key = u64;
    type Value = Entry;
    fn encode(value: &Entry) -> Vec<u8> {
        codec::entry_to(value).encode_to_vec()
    }
    fn decode(bytes: &[u8]) -> Result<Entry, String> {
        codec::decode(bytes).and_then(codec::entry_from)
    }
}

/// Marks in the log: [`PURGED`] and [`COMMITTED`].
pub(super) struct MarkSpace;
impl KeySpace for MarkSpace {
    const ID: SpaceId = SpaceId::new(4);
    const NAME: &'static str = "raft-marks";
    type Key = u64;
    type Value = LogId;
    fn encode(value: &LogId) -> Vec<u8> {
        codec::log_id_to(value).encode_to_vec()
    }
    fn decode(bytes: &[u8]) -> Result<LogId, String> {
        codec::decode(bytes).map(|id| codec::log_id_from(&id))
    }
}

/// The last entry removed from the front of the log.
pub(super) const PURGED: u64 = 1;
/// The last entry known to be committed.
pub(super) const COMMITTED: u64 = 2;

/// Snapshot bytes, by generation and chunk.
pub(super) struct ChunkSpace;
impl KeySpace for ChunkSpace {
    const ID: SpaceId = SpaceId::new(6);
    const NAME: &'static str = "raft-snapshot-chunks";
    type Key = (u64, u32);
    type Value = Vec<u8>;
    fn encode(value: &Vec<u8>) -> Vec<u8> {
        value.clone()
    }
    fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
        Ok(bytes.to_vec())
    }
}
