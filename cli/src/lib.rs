//! The `omsnode` command: the daemon (`omsnode start`) and the client of its API.
//!
//! Data goes to standard output, everything else to standard error, and both go through one module.
//! What a command does is in `commands`, one file per noun; the exit codes are [`Exit`].
//! [`parse_spec`] reads a project's spec file and never panics, whatever the bytes are.

mod app;
mod client;
mod column_mapping;
mod commands;
mod confirm;
mod error;
mod exit;
mod nearest;
mod object_list;
mod output;
mod password;
mod spec;
mod statements;
mod watch;

pub use app::{command_line, run};
pub use exit::Exit;
pub use object_list::{ObjectList, ObjectListError, parse_object_list, write_object_list};
pub use spec::{SpecError, parse_spec};
pub use statements::{StatementError, split_statements};
