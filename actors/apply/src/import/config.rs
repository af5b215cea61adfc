//! How to import.

use std::time::Duration;

use super::ImportTuning;

/// What is done about rows that are at the destination before the import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingPolicy {
    /// A table that holds rows when its import begins fails with `OMS-IMPORT-0001`.
    Stop,
    /// Rows that are there stay; rows of the source with one of their keys are counted and not
    /// written. Tables without a key cannot do this and behave as with `Stop`.
    Ignore,
}

/// How often transient failures are tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Pause before the first repetition; it doubles every time.
    pub first_delay: Duration,
    /// The longest pause.
    pub max_delay: Duration,
    /// After this time without success the failure stands.
    pub window: Duration,
}

/// Sizes, limits and policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportConfig {
    /// Workers and limits at the beginning; [`super::Importer::tune`] changes them.
    pub tuning: ImportTuning,
    /// Most rows of a chunk.
    pub chunk_rows: u64,
    /// Bytes of rows that a chunk should have; the number of rows follows from those seen.
    pub chunk_bytes: u64,
    /// Bytes that are read at once. Rows in memory are at most two such batches per worker.
    pub batch_bytes: usize,
    /// What is done about rows that are there already.
    pub existing: ExistingPolicy,
    /// Whether a table that holds rows is refused when its import begins. Set to false when the user
    /// resumes in spite of `OMS-IMPORT-0001`: keys are then replaced, tables without a key emptied.
    pub check_empty: bool,
    /// Conflicting rows of a table above which it fails with `OMS-IMPORT-0004`.
    pub max_conflicts: u64,
    /// Chunks with conflicts that are listed per table.
    pub listed_conflicts: usize,
    /// Repetition of transient failures.
    pub retry: RetryPolicy,
}

impl Default for ImportConfig {
    fn default() -> Self {
        Self {
            tuning: ImportTuning::default(),
            chunk_rows: 20_000,
            chunk_bytes: 8 << 20,
            batch_bytes: 1 << 20,
            existing: ExistingPolicy::Stop,
            check_empty: true,
            max_conflicts: 10_000,
            listed_conflicts: 100,
            retry: RetryPolicy {
                first_delay: Duration::from_millis(100),
                max_delay: Duration::from_secs(10),
                window: Duration::from_secs(3_600),
            },
        }
    }
}
