//! What was found, in records that the component keeps at the destination.
//!
//! | List | Content |
//! |---|---|
//! | `runs` | the runs, by number: scope and how many tables; written when the tables are named |
//! | `<run>/tables` | names of the tables |
//! | `<run>/journal/<table>` | chunks done, proven differences: for resuming; removed at the end |
//! | `<run>/candidates/<table>` | keys to be read again; removed when they were |
//! | `<run>/differences/<table>` | kind and key of each difference, no row values |
//! | `<run>/result` | the tables' results, by table; a table is complete when its result is there |
//! | `runs/done` | the runs' results, by number; a run is complete when its result is there |

mod difference;
mod journal;
mod packing;
mod recorder;
mod run;
mod table_result;

pub use difference::{Difference, DifferenceKey, DifferenceKind};
pub(crate) use journal::{DoneChunk, Journal, JournalState};
pub(crate) use recorder::Recorder;
pub use run::{DifferenceReader, Results, RunResults};
pub use table_result::{RunSummary, TableResult, TableVerdict};
