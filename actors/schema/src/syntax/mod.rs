//! Reading what `SHOW CREATE` prints.

mod column;
mod cursor;
mod database;
mod expression;
mod index;
mod options;
mod partition;
mod quote;
mod table;
mod token;
mod view;
mod view_tables;

pub(crate) use expression::{
    call_name, has_function, replace_columns, strip_introducers, unwrap_parentheses,
};
pub(crate) use quote::{identifier, text};
