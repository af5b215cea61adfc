//! Tables seen through a choice of rows, columns and changes.
//!
//! [`ShapedSource`] stands between a source and everybody who reads it: definitions, rows of the snapshot and changes of
//! the log come out of it as if the source had only the chosen rows and columns, under their names at the destination.
//! Import, incremental synchronization and verification therefore need not know of the choice. Why that is right is in
//! `node/docs/row-and-column-filters.md`.

mod change;
mod column_type;
mod decoder;
mod left_out;
mod program;
mod reader;
mod source;
mod spec;

pub use column_type::added_column_type;
pub use left_out::{LeftOut, LeftOutCounts};
pub use program::Shape;
pub use source::ShapedSource;
pub use spec::{AddedColumn, ChangeKinds, TableShape};
