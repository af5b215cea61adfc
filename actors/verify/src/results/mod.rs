//! What was found, on disk: `<root>/<project>/<run>/`.
//!
//! | File | Content |
//! |---|---|
//! | `run.json` | number, scope and tables of the run; written first |
//! | `<table>.journal` | chunks done, candidates, proven differences: for resuming; removed at the end |
//! | `<table>.differences` | one difference per line: kind and key, no row values |
//! | `<table>.json` | the table's result; it is complete when this file is there |
//! | `summary.json` | the run's result; the run is complete when this file is there |

mod difference;
mod files;
mod folder;
mod journal;
mod table_result;

pub use difference::{Difference, DifferenceKey, DifferenceKind};
pub use folder::{DifferenceReader, Results, RunFolder};
pub(crate) use journal::{DoneChunk, Journal, JournalState};
pub use table_result::{RunSummary, TableResult, TableVerdict};
