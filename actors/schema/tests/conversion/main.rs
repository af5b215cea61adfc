//! Conversions without servers.

mod corpus;
mod plans;
mod rewrites;
mod support;
