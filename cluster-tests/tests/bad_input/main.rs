//! Wrong input gets a clear error with a code and a way out, and nothing is half-done: connections, spec files, and
//! what prechecks find.
#![allow(clippy::unwrap_used)]

mod connections;
mod objects;
mod privileges;
mod source_log;
mod spec_file;
mod words;
