//! Running `omsnode` as a real process, and talking to it through its API.

mod process;
mod project;
mod scenario;

pub use process::OmsNode;
pub use project::ProjectClient;
pub use scenario::{Scenario, data_source_kind};
