//! Identifiers, epochs and other small value types shared by every omsnode crate.
//!
//! This crate depends on nothing of ours. Whatever two crates must agree on without knowing each
//! other (a component's name, an epoch, an error code) is defined here once.

mod component;
mod epoch;
mod error_code;
mod id;

pub use component::{ComponentKind, StepKind};
pub use epoch::{ClaimNumber, Epoch};
pub use error_code::{Disposition, ErrorCode, catalogue, codes};
pub use id::{ComponentId, DataSourceId, IdError, NodeId, ProjectId};
