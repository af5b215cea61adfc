//! Foreign keys, checks and periods.

use serde::{Deserialize, Serialize};

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKeyDefinition {
    /// Its name.
    pub name: String,
    /// Columns of this table.
    pub columns: Vec<String>,
    /// Database of the referenced table, if written; else the table's own.
    pub database: Option<String>,
    /// The referenced table.
    pub table: String,
    /// Columns of the referenced table.
    pub referenced: Vec<String>,
    /// ON DELETE, if written.
    pub on_delete: Option<ReferenceAction>,
    /// ON UPDATE, if written.
    pub on_update: Option<ReferenceAction>,
}

/// What happens to the referring rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceAction {
    /// RESTRICT.
    Restrict,
    /// CASCADE.
    Cascade,
    /// SET NULL.
    SetNull,
    /// NO ACTION.
    NoAction,
    /// SET DEFAULT.
    SetDefault,
}

impl ReferenceAction {
    /// The words of it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::NoAction => "NO ACTION",
            Self::SetDefault => "SET DEFAULT",
        }
    }
}

/// A CHECK of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckDefinition {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The condition, without the parentheses around it.
    pub expression: String,
    /// Whether rows must fulfil it.
    pub enforced: bool,
}

/// PERIOD FOR (MariaDB).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodDefinition {
    /// Its name; `SYSTEM_TIME` for the period of system versioning.
    pub name: String,
    /// Column of the start.
    pub start: String,
    /// Column of the end.
    pub end: String,
}
