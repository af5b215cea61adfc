//! Statements of a log: what they are read as, how a schema follows them, what they become for the
//! destination.

#![allow(clippy::unwrap_used)]

#[path = "../../fuzz/any_ddl.rs"]
mod any_ddl;
#[allow(dead_code)]
#[path = "../cells/mod.rs"]
mod cells;
mod conversion;
mod property;
mod reading;
mod refusals;
