//! Conversions without servers.

#![allow(clippy::unwrap_used)]

mod corpus;
mod plans;
mod rewrites;
mod support;
