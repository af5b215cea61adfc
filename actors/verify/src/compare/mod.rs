//! When two rows are equal, and when two keys have an order.

mod charsets;
mod column_rule;
mod json;
mod key_order;
mod key_rule;
mod normal_form;
mod table_rule;

pub use charsets::{Charsets, Utf8Charsets};
pub(crate) use key_rule::KeyRule;
pub(crate) use table_rule::{RowDigest, TableRule};
