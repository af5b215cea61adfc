//! One statement of the source in the history of a project.

use std::cmp::Ordering;

use oms_core::{Position, TableName};
use oms_schema::{DdlFact, DdlStep, StatementContext};
use serde::{Deserialize, Serialize};

/// What has become of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// It stopped the project: it cannot be carried over, or the destination refused a step of it.
    Waiting,
    /// Its steps are being executed.
    Running,
    /// Its steps were executed.
    Done,
    /// The user left it out.
    Skipped,
    /// Nothing was to be done at the destination.
    Passed,
}

impl EntryState {
    /// Whether nothing more happens to it.
    pub fn is_closed(self) -> bool {
        matches!(self, Self::Done | Self::Skipped | Self::Passed)
    }
}

/// A statement for the destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryStep {
    /// The statement.
    pub sql: String,
    /// Whether running it twice does the same as running it once.
    pub repeatable: bool,
    /// What holds at the destination when it ran and does not before. Empty where that is not known.
    pub facts: Vec<DdlFact>,
}

impl From<DdlStep> for EntryStep {
    fn from(step: DdlStep) -> Self {
        Self {
            sql: step.sql,
            repeatable: step.repeatable,
            facts: step.facts,
        }
    }
}

impl EntryStep {
    /// A statement that is told as it is, once.
    pub(super) fn told(statement: &str) -> Self {
        Self {
            sql: statement.to_owned(),
            repeatable: true,
            facts: Vec::new(),
        }
    }

    /// A statement of the user's. Whether it ran can be known only from the answer to it.
    pub(super) fn of_user(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            repeatable: false,
            facts: Vec::new(),
        }
    }
}

/// What the user decided about a statement that stopped the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdlDecision {
    /// Number of the entry.
    pub number: u64,
    /// When it was decided; a later decision replaces an earlier one.
    pub decided_at_ms: i64,
    /// What is to be executed instead; empty: nothing, the statement is skipped.
    pub statements: Vec<String>,
}

/// One statement of the source in the history of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdlEntry {
    /// Number in the history, from 1.
    pub number: u64,
    /// The position behind it; of one that begins a transaction the one before it.
    pub position: Position,
    /// It begins a transaction.
    pub in_transaction: bool,
    /// When the source executed it, in microseconds since the epoch.
    pub source_time_us: i64,
    /// Its default database.
    pub database: String,
    /// Its text.
    pub statement: String,
    /// What it was run under.
    pub context: StatementContext,
    /// What has become of it.
    pub state: EntryState,
    /// The same in words: why nothing was done, why it stopped.
    pub outcome: String,
    /// The code of the reason why it stopped; empty if it did not.
    pub error_code: String,
    /// What is not the same at the destination, and what was left out.
    pub notes: Vec<String>,
    /// What is executed at the destination.
    pub steps: Vec<EntryStep>,
    /// Steps that are known to have run.
    pub done: usize,
    /// The step behind those was begun.
    pub begun: bool,
    /// Tables of which nothing is known behind the statement.
    pub forgotten: Vec<TableName>,
    /// Columns that the destination lacks because the statement was skipped; without columns: the whole table.
    pub left_out: Vec<(TableName, Vec<String>)>,
    /// The decision that was followed, by its time; 0: none.
    pub decided_at_ms: i64,
    /// When it was met first.
    pub started_at_ms: i64,
    /// When it was closed; 0: it is not.
    pub ended_at_ms: i64,
}

impl DdlEntry {
    /// Where another statement of the log lies, seen from this one; `None` if the positions do not compare.
    pub(super) fn compare(&self, position: &Position, in_transaction: bool) -> Option<Ordering> {
        let order = self.position.partial_cmp(position)?;
        Some(order.then(self.in_transaction.cmp(&in_transaction)))
    }
}
