//! Running `omsnode` as a real process, and talking to it through its API.

mod corpus_run;
mod operations;
mod process;
mod project;
mod scenario;

pub use corpus_run::CorpusRun;
pub use operations::Answer;
pub(crate) use process::tail;
pub use process::{Admission, OmsNode};
pub use project::ProjectClient;
pub use scenario::{Scenario, data_source_kind};
