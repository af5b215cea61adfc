//! Consensus on metadata: openraft embedded over an omsnode key-value engine.
//!
//! [`RaftHandle`] is the only thing the rest of the program sees. It replicates opaque commands,
//! applies them to a [`StateMachine`] on every node, and hands out views of that state. There is no
//! mode without consensus: a single node is a cluster of one voter.
//!
//! What is durable when, and what survives which failure, is written down in `node/docs/consensus.md`.
//! This is the only crate that names openraft.

mod codec;
mod config;
mod error;
mod handle;
mod handover;
mod network;
mod operation;
mod state_machine;
mod status;
mod storage;
mod types;

pub use config::{NodeInfo, RaftConfig, RaftTimings};
pub use error::{RaftError, RaftResult};
pub use handle::RaftHandle;
pub use handover::Silence;
pub use network::{Connect, RaftEndpoint, TcpConnect};
pub use operation::Applied;
pub use state_machine::{RestoreError, StateMachine};
pub use status::{RaftMetrics, RaftStatus, Role};
pub use storage::{Salvaged, salvage, seed};
