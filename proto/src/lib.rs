//! gRPC contracts of omsnode: messages, services and the mapping between errors and status codes.
//!
//! The `.proto` files beside this crate are the contract; everything in [`v1`], [`meta`] and
//! [`raft`] is generated from them. Messages of the public API can be read from and written to
//! JSON and YAML in the same shape, with enum values in short form ([`v1::ProjectState::name`]).

/// Generated modules, nested as their packages are.
#[allow(missing_docs, clippy::all, unreachable_pub, rustdoc::all)]
mod oms {
    pub mod v1 {
        tonic::include_proto!("oms.v1");
    }
    pub mod peer {
        pub mod v1 {
            tonic::include_proto!("oms.peer.v1");
        }
    }
    pub mod meta {
        pub mod v1 {
            tonic::include_proto!("oms.meta.v1");
        }
    }
    pub mod raft {
        pub mod v1 {
            tonic::include_proto!("oms.raft.v1");
        }
    }
}

/// The replicated metadata.
pub use oms::meta::v1 as meta;
/// What nodes ask of each other besides consensus.
pub use oms::peer::v1 as peer;
/// Consensus between nodes.
pub use oms::raft::v1 as raft;
/// The public API.
pub use oms::v1;

mod names;
mod status;

pub use status::{error_of, status_of};

/// The encoded descriptors of all contracts, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
