//! The daemon: API services, controller, node agent and the wiring of connectors.
//!
//! Every node runs the same [`Daemon`]. It opens the metadata (consensus over a key-value engine),
//! serves the API, and runs two loops over the replicated state: the *controller*, which on the
//! leader proposes what should happen next, and the *agent*, which starts and stops the components
//! that the state assigns to this node. The replicated log is the only channel between them.

mod agent;
mod api;
mod backup;
mod behaviors;
mod connectors;
mod controller;
mod daemon;
mod durable_file;
mod ending;
mod guard;
mod heartbeat;
mod identity;
mod join;
mod lease;
mod leftovers;
mod liveness;
mod load;
mod membership;
mod metadata;
mod observer;
mod office;
mod peer;
mod recovery;
mod removal;
mod reporter;
mod reverse;
mod secrets;
mod selection;
mod server;

pub use daemon::{Daemon, DaemonError, StopReason};
pub use join::JoinOptions;
pub use recovery::{Recovered, force_recover, restore_backup};
