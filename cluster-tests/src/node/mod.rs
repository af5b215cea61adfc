//! Running `omsnode` as a real process, and talking to it through its API.

mod corpus_run;
mod operations;
mod process;
mod project;
mod scenario;

pub use corpus_run::CorpusRun;
pub use operations::Answer;
pub use process::OmsNode;
pub use project::ProjectClient;
pub use scenario::{Scenario, data_source_kind};
