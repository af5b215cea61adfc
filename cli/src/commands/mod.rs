//! The commands, one module per noun.

pub(crate) mod admin;
pub(crate) mod cluster;
pub(crate) mod component;
pub(crate) mod config;
pub(crate) mod datasource;
pub(crate) mod explain;
#[cfg(feature = "daemon")]
pub(crate) mod join;
pub(crate) mod node;
pub(crate) mod project;
#[cfg(feature = "daemon")]
pub(crate) mod start;
pub(crate) mod token;
