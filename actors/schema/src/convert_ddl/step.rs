//! Statements for the destination, and how one tells whether they ran.

use oms_core::TableName;
use serde::{Deserialize, Serialize};

use crate::{IndexKind, TableDefinition, syntax};

/// One statement for the destination.
///
/// Steps are executed in order, and which of them is about to run is kept before it runs. After a
/// crash [`DdlStep::has_run`] tells whether that one ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdlStep {
    /// The statement. All names are complete.
    pub sql: String,
    /// Whether running it twice does the same as running it once.
    pub repeatable: bool,
    /// What holds at the destination when it ran and does not before.
    pub facts: Vec<DdlFact>,
}

impl DdlStep {
    /// Whether the step need not run (again), given the destination's tables as they are now. A
    /// repeatable step always may.
    pub fn has_run(&self, table: &dyn Fn(&TableName) -> Option<TableDefinition>) -> bool {
        !self.repeatable && self.facts.iter().all(|fact| fact.holds(table))
    }
}

/// Something of the destination that can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdlFact {
    /// The table.
    pub table: TableName,
    /// The part of it.
    pub part: DdlPart,
    /// Whether it is there.
    pub there: bool,
}

/// A table or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DdlPart {
    /// The table itself.
    Table,
    /// A column.
    Column(String),
    /// The primary key over these columns.
    PrimaryKey(Vec<String>),
    /// A key by name.
    Index(String),
    /// A foreign key by name.
    ForeignKey(String),
    /// A check by name.
    Check(String),
    /// A check by its condition.
    Condition(String),
    /// A partition by name.
    Partition(String),
    /// Being partitioned.
    Partitioning,
}

impl DdlFact {
    pub(super) fn new(table: &TableName, part: DdlPart, there: bool) -> Self {
        Self {
            table: table.clone(),
            part,
            there,
        }
    }

    /// Whether it holds for the destination's tables.
    pub fn holds(&self, table: &dyn Fn(&TableName) -> Option<TableDefinition>) -> bool {
        let found = table(&self.table).is_some_and(|t| self.part.is_in(&t));
        found == self.there
    }
}

impl DdlPart {
    fn is_in(&self, table: &TableDefinition) -> bool {
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        match self {
            Self::Table => true,
            Self::Column(name) => table.column(name).is_some(),
            Self::PrimaryKey(columns) => table.primary_key().is_some_and(|key| {
                key.whole_columns().is_some_and(|found| {
                    found.len() == columns.len() && found.iter().zip(columns).all(|(a, b)| same(a, b))
                })
            }),
            Self::Index(name) => table
                .indexes
                .iter()
                .any(|i| i.kind != IndexKind::Primary && same(&i.name, name)),
            Self::ForeignKey(name) => table.foreign_keys.iter().any(|k| same(&k.name, name)),
            Self::Check(name) => table
                .checks
                .iter()
                .any(|c| c.name.as_deref().is_some_and(|n| same(n, name))),
            Self::Condition(text) => table
                .checks
                .iter()
                .any(|c| syntax::comparable(&c.expression) == syntax::comparable(text)),
            Self::Partition(name) => table
                .partitioning
                .as_ref()
                .is_some_and(|p| p.definitions.iter().any(|d| same(&d.name, name))),
            Self::Partitioning => table.partitioning.is_some(),
        }
    }
}
