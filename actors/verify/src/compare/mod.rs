//! When two rows are equal, and when two keys have an order.

mod charsets;
mod column_rule;
mod digest_plan;
mod json;
mod key_order;
mod key_rule;
mod normal_form;
mod table_rule;

pub use charsets::{Charsets, Utf8Charsets};
pub(crate) use column_rule::ColumnRule;
pub(crate) use key_rule::KeyRule;
pub(crate) use normal_form::{label, labels, text};
pub(crate) use table_rule::{RowDigest, TableRule};

#[cfg(test)]
mod tests;
