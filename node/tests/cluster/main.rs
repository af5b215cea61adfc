//! Nodes of one cluster in one process, each on a runtime of its own that can be torn down like a process.
#![allow(clippy::unwrap_used)]

mod any_node;
mod bed;
mod join;
mod leadership;
mod members;
mod older;
