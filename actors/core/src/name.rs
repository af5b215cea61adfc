//! Names of database objects: always tuples, never dotted text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table or view in a database. Dots, quotes and any other legal character are plain content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The database (schema) it is in.
    pub database: String,
    /// Its own name.
    pub table: String,
}

impl TableName {
    /// Names a table.
    pub fn new(database: impl Into<String>, table: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            table: table.into(),
        }
    }
}

impl fmt::Display for TableName {
    /// For people: both parts quoted with backticks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}`.`{}`",
            self.database.replace('`', "``"),
            self.table.replace('`', "``")
        )
    }
}

/// What kind of object a schema migration creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// A database.
    Database,
    /// A table with its keys and constraints.
    Table,
    /// A secondary index that is created on its own.
    Index,
    /// A foreign key that is created on its own.
    ForeignKey,
    /// A view.
    View,
    /// A check that is created on its own.
    Check,
    /// A trigger. Never created.
    Trigger,
}

/// An object of a schema migration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    /// Its kind.
    pub kind: ObjectKind,
    /// The database.
    pub database: String,
    /// The table or view; empty for a database.
    pub table: String,
    /// The index, foreign key, check or trigger; empty otherwise.
    pub part: String,
}
