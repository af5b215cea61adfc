//! The commands, one module per noun.

pub(crate) mod component;
pub(crate) mod config;
pub(crate) mod datasource;
pub(crate) mod explain;
pub(crate) mod node;
pub(crate) mod project;
#[cfg(feature = "daemon")]
pub(crate) mod start;
