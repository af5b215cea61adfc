//! Calls between nodes over gRPC.

mod client;
mod connect;
mod endpoint;
mod peers;

pub(crate) use client::NetworkFactory;
pub use connect::{Connect, TcpConnect};
pub use endpoint::RaftEndpoint;
pub(crate) use peers::{CallError, Method, Peers};

/// Version of the payload encoding.
const WIRE_VERSION: u32 = 1;
