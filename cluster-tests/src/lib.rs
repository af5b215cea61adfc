//! Testbed with real servers: starts the databases that `deploy/servers` installed, fills them with a corpus of every type
//! and shape, writes to them, judges their content, and takes everything away again.
//!
//! End-to-end tests, fault injection and benches stand on it.

mod client;
mod error;
mod port;
mod server;

pub use client::{Client, RawValue};
pub use error::{Result, TestbedError};
pub use port::PortLease;
pub use server::{Role, Server, ServerKind, ServerOptions, servers_folder};
