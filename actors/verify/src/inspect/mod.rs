//! Recorded differences, read again: values and correction statements.

mod inspector;
mod literal;
mod statement;

pub use inspector::{ColumnValues, InspectedDifference, Inspector, KeyValue};
pub use statement::PREAMBLE;
