//! Results of a table and of a run.

use oms_core::TableName;
use serde::{Deserialize, Serialize};

use crate::Scope;

/// How a table ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableVerdict {
    /// It has not ended.
    Unfinished,
    /// Both sides are equal.
    Consistent,
    /// Both sides were compared completely, and differ (`OMS-VERIFY-0001`).
    Different,
    /// It could not be compared, or not to its end.
    Failed,
}

/// The result of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableResult {
    /// The source table.
    pub source: TableName,
    /// The destination table.
    pub destination: TableName,
    /// How it ended.
    pub verdict: TableVerdict,
    /// Rows compared: rows of the source, and rows that only the destination had.
    pub rows: u64,
    /// Rows that are at the source only.
    pub source_only: u64,
    /// Rows that are at the destination only.
    pub destination_only: u64,
    /// Rows with different values.
    pub mismatched: u64,
    /// How many of them could not be proven (see [`crate::Difference::settled`]).
    pub unsettled: u64,
    /// Code of the error.
    pub error_code: Option<String>,
    /// Its text; never with row values.
    pub error: Option<String>,
}

impl TableResult {
    /// A table that has not ended.
    pub fn unfinished(source: TableName, destination: TableName) -> Self {
        Self {
            source,
            destination,
            verdict: TableVerdict::Unfinished,
            rows: 0,
            source_only: 0,
            destination_only: 0,
            mismatched: 0,
            unsettled: 0,
            error_code: None,
            error: None,
        }
    }

    /// All differences.
    pub fn differences(&self) -> u64 {
        self.source_only + self.destination_only + self.mismatched
    }
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Number of the run.
    pub run: u32,
    /// What it looked at.
    pub scope: Scope,
    /// Tables.
    pub tables: u64,
    /// Rows compared.
    pub rows: u64,
    /// Rows that are at the source only.
    pub source_only: u64,
    /// Rows that are at the destination only.
    pub destination_only: u64,
    /// Rows with different values.
    pub mismatched: u64,
    /// Tables that could not be compared to their end.
    pub failed_tables: u64,
    /// Every table of the run was compared to its end without a difference.
    pub consistent: bool,
}

impl RunSummary {
    /// Adds the tables up.
    pub fn of(run: u32, scope: Scope, tables: &[TableResult]) -> Self {
        let sum = |value: fn(&TableResult) -> u64| tables.iter().map(value).sum();
        Self {
            run,
            scope,
            tables: tables.len() as u64,
            rows: sum(|t| t.rows),
            source_only: sum(|t| t.source_only),
            destination_only: sum(|t| t.destination_only),
            mismatched: sum(|t| t.mismatched),
            failed_tables: sum(|t| u64::from(t.verdict == TableVerdict::Failed)),
            consistent: tables.iter().all(|t| t.verdict == TableVerdict::Consistent),
        }
    }
}
