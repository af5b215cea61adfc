//! How a verification is run.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How much load a verification puts on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// 2 workers.
    Stable,
    /// 4 workers.
    #[default]
    Normal,
    /// 8 workers.
    Fast,
}

impl Preset {
    /// Chunks that are compared at the same time, over all tables.
    pub fn workers(self) -> usize {
        match self {
            Self::Stable => 2,
            Self::Normal => 4,
            Self::Fast => 8,
        }
    }
}

/// What a run looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All rows of all tables.
    All,
    /// All rows of the tables that were not consistent in an earlier run.
    TablesWithDifferences {
        /// Number of the earlier run.
        of: u32,
    },
    /// Only the rows that an earlier run recorded; all rows of tables that it could not finish.
    Differences {
        /// Number of the earlier run.
        of: u32,
    },
}

/// An upper bound on reading, over all workers. `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pacing {
    /// Rows per second, both sides counted.
    pub rows_per_second: Option<u64>,
    /// Bytes per second, both sides counted.
    pub bytes_per_second: Option<u64>,
}

/// Settings of a verification.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Chunks that are compared at the same time; at least 1.
    pub workers: usize,
    /// Rows of a chunk.
    pub chunk_rows: u64,
    /// Rows of a chunk with different digests that are read at once; more are divided and digested again.
    pub undivided_rows: u64,
    /// Keys that are looked up together.
    pub lookup_keys: usize,
    /// Bytes of rows that all workers together hold, apart from the largest row of each.
    pub memory_bytes: usize,
    /// A table ends with `OMS-VERIFY-0002` at this many differences.
    pub max_differences: u64,
    /// Candidates that a table keeps (their keys only) before the scan rests and they are re-checked.
    pub max_candidates: usize,
    /// How often candidates are read again; at least 1.
    pub recheck_rounds: u32,
    /// Time between two rounds.
    pub recheck_pause: Duration,
    /// Rounds in a row that must prove a difference behind the barrier before it counts.
    pub confirmations: u32,
    /// How long a round waits for the barrier before it counts as proving nothing.
    pub barrier_wait: Duration,
    /// Rows that are only at the destination are no differences: the destination had rows before.
    pub ignore_destination_only: bool,
    /// Upper bound on reading.
    pub pacing: Pacing,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            workers: Preset::default().workers(),
            chunk_rows: 10_000,
            undivided_rows: 1_500,
            lookup_keys: 400,
            memory_bytes: 64 << 20,
            max_differences: 10_000,
            max_candidates: 20_000,
            recheck_rounds: 20,
            recheck_pause: Duration::from_secs(3),
            confirmations: 2,
            barrier_wait: Duration::from_secs(60),
            ignore_destination_only: false,
            pacing: Pacing::default(),
        }
    }
}

impl VerifyOptions {
    /// Bytes of one batch: each worker holds up to four (two streams, and one to come for each).
    pub(crate) fn batch_bytes(&self) -> usize {
        (self.memory_bytes / (self.workers.max(1) * 4)).clamp(16 << 10, 4 << 20)
    }
}
