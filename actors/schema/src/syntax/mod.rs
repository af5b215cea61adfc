//! Reading what `SHOW CREATE` prints and what clients write.

mod column;
mod cursor;
mod database;
mod ddl;
mod dialect;
mod expression;
mod index;
mod options;
mod partition;
mod quote;
mod table;
mod token;
mod view;
mod view_tables;

pub(crate) use ddl::{parse_ddl, tier_of};
pub(crate) use expression::{
    call_name, comparable, has_function, rename_columns, replace_columns, strip_introducers,
    unwrap_parentheses, words,
};
pub(crate) use quote::{identifier, text};
