//! Checks before anything is changed.

mod grants;
mod keys;
mod ledger;
mod log;
mod moments;
mod objects;
mod pair;
mod plan;
mod privileges;
mod run;

pub use grants::Grants;
pub use keys::KEYS;
pub use plan::{PrecheckPlan, Seen, Steps};
pub use run::{run, run_source};
