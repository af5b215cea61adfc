//! Tables.

use serde::{Deserialize, Serialize};

use super::{
    CheckDefinition, ColumnDefinition, ForeignKeyDefinition, IndexDefinition, IndexKind, Partitioning,
    PeriodDefinition,
};

/// A table as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDefinition {
    /// Its name.
    pub name: String,
    /// Columns in order.
    pub columns: Vec<ColumnDefinition>,
    /// Indexes in the server's order.
    pub indexes: Vec<IndexDefinition>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKeyDefinition>,
    /// Checks of the table.
    pub checks: Vec<CheckDefinition>,
    /// Periods (MariaDB).
    pub periods: Vec<PeriodDefinition>,
    /// Table options.
    pub options: TableOptions,
    /// WITH SYSTEM VERSIONING (MariaDB).
    pub system_versioned: bool,
    /// PARTITION BY.
    pub partitioning: Option<Partitioning>,
}

impl TableDefinition {
    /// The column of this name, compared without regard to case.
    pub fn column(&self, name: &str) -> Option<&ColumnDefinition> {
        let lower = name.to_lowercase();
        self.columns.iter().find(|c| c.name.to_lowercase() == lower)
    }

    /// The primary key.
    pub fn primary_key(&self) -> Option<&IndexDefinition> {
        self.indexes.iter().find(|i| i.kind == IndexKind::Primary)
    }
}

/// Options of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableOptions {
    /// ENGINE.
    pub engine: Option<String>,
    /// DEFAULT CHARSET.
    pub charset: Option<String>,
    /// COLLATE.
    pub collation: Option<String>,
    /// AUTO_INCREMENT: the next value.
    pub auto_increment: Option<u64>,
    /// COMMENT; empty when there is none.
    pub comment: String,
    /// Options that say how the table is kept, as (name, value). They have no effect on values.
    pub storage: Vec<(String, String)>,
}
