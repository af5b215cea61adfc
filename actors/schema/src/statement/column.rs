//! Columns and foreign keys as they are written.

use serde::{Deserialize, Serialize};

use crate::{CheckDefinition, ColumnDefinition, ForeignKeyDefinition};

/// A column as it is written, before the rules of the server have filled in what is not said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnSpec {
    /// What is said. `nullable` is what [`ColumnSpec::null`] says, or else true.
    pub column: ColumnDefinition,
    /// NULL or NOT NULL, if written.
    pub null: Option<bool>,
    /// The length of TEXT(n), which decides how large a TEXT it becomes.
    pub text_length: Option<u64>,
    /// BINARY behind a character type: the binary collation of its character set.
    pub binary: bool,
    /// PRIMARY KEY or UNIQUE, if written.
    pub key: Option<ColumnKey>,
    /// Checks behind the column.
    pub checks: Vec<CheckDefinition>,
    /// REFERENCES behind the column. Its name is empty if there is none.
    pub references: Option<ForeignKeyDefinition>,
}

impl ColumnSpec {
    /// A column about which nothing but its type is said.
    pub fn new(column: ColumnDefinition) -> Self {
        Self {
            column,
            null: None,
            text_length: None,
            binary: false,
            key: None,
            checks: Vec::new(),
            references: None,
        }
    }
}

/// A key behind a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKey {
    /// PRIMARY KEY.
    Primary,
    /// UNIQUE.
    Unique,
}

/// Where a column goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnPosition {
    /// Not said: a new column goes to the end, another stays.
    #[default]
    Unsaid,
    /// FIRST.
    First,
    /// AFTER a column.
    After(String),
}

/// A foreign key as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKeySpec {
    /// The foreign key. Its name is empty if there is none.
    pub key: ForeignKeyDefinition,
    /// The name between FOREIGN KEY and the columns.
    pub index: Option<String>,
    /// IF NOT EXISTS (MariaDB).
    pub if_not_exists: bool,
}
