//! Reading and comparing: chunks, lookups, multisets, re-checks.

mod chunk_scan;
mod cursor;
mod digesting;
mod fetch;
mod multiset;
mod pace;
mod readers;
mod recheck;

pub(crate) use chunk_scan::{ChunkOutcome, ChunkScan, Scanned, Way};
pub(crate) use cursor::{Cursor, NextChunk, Plan};
pub(crate) use digesting::Digesting;
pub(crate) use multiset::compare_multisets;
pub(crate) use pace::Pace;
pub(crate) use readers::Readers;
pub(crate) use recheck::{Recheck, Rounds};
