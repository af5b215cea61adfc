//! Conversions without servers.

#![allow(clippy::unwrap_used)]

mod case;
mod columns;
mod corpus;
mod keys;
mod plans;
mod refusals;
mod support;
mod tables;
