//! Statements as clients write them: the model that the parser gives and the printer takes.

mod alter;
mod column;
mod context;
mod create;
mod other;
mod print;
mod print_alter;

use oms_core::TableName;
use serde::{Deserialize, Serialize};

pub use alter::{AlterClause, AlterTable, MaintenanceVerb, PartitionNames};
pub use column::{ColumnKey, ColumnPosition, ColumnSpec, ForeignKeySpec};
pub use context::StatementContext;
pub use create::{CreateTable, CreateTableLike, CreateView, DatabaseOptions, TableElement, TableOption};
pub use other::{OtherKind, OtherStatement};

use crate::IndexDefinition;

/// A statement of the log. Names are complete: the default database has been put in front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DdlStatement {
    /// CREATE TABLE with columns, or from a query.
    CreateTable(CreateTable),
    /// CREATE TABLE … LIKE.
    CreateTableLike(CreateTableLike),
    /// ALTER TABLE.
    AlterTable(AlterTable),
    /// DROP TABLE.
    DropTable {
        /// The tables.
        tables: Vec<TableName>,
        /// TEMPORARY.
        temporary: bool,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// RENAME TABLE.
    RenameTable {
        /// (old, new), one after another.
        pairs: Vec<(TableName, TableName)>,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// TRUNCATE TABLE.
    TruncateTable {
        /// The table.
        table: TableName,
    },
    /// CREATE INDEX.
    CreateIndex {
        /// The table.
        table: TableName,
        /// The index.
        index: IndexDefinition,
        /// IF NOT EXISTS (MariaDB).
        if_not_exists: bool,
        /// OR REPLACE (MariaDB).
        or_replace: bool,
    },
    /// DROP INDEX. The name of the primary key is `PRIMARY`.
    DropIndex {
        /// The table.
        table: TableName,
        /// The index.
        name: String,
        /// IF EXISTS (MariaDB).
        if_exists: bool,
    },
    /// CREATE DATABASE.
    CreateDatabase {
        /// The database.
        name: String,
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// OR REPLACE (MariaDB).
        or_replace: bool,
        /// What is said of it.
        options: DatabaseOptions,
    },
    /// ALTER DATABASE.
    AlterDatabase {
        /// The database.
        name: String,
        /// What is said of it.
        options: DatabaseOptions,
    },
    /// DROP DATABASE.
    DropDatabase {
        /// The database.
        name: String,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// CREATE VIEW and ALTER VIEW.
    CreateView(CreateView),
    /// DROP VIEW.
    DropView {
        /// The views.
        views: Vec<TableName>,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// CREATE, ALTER and DROP SEQUENCE (MariaDB).
    Sequence {
        /// CREATE, ALTER or DROP.
        verb: String,
        /// The sequences.
        names: Vec<TableName>,
    },
    /// Everything that defines neither tables nor databases nor views.
    Other(OtherStatement),
}

impl DdlStatement {
    /// Reads one statement of a log.
    ///
    /// The text is UTF-8; whoever has it in another character set decodes it before.
    ///
    /// # Errors
    /// Names the first construct that is not known and its offset in bytes; nothing is guessed.
    pub fn parse(source: &str, context: &StatementContext) -> Result<Self, crate::SchemaError> {
        crate::syntax::parse_ddl(source, context)
    }

    /// Tables and views that the statement names as what it changes.
    pub fn objects(&self) -> Vec<&TableName> {
        match self {
            Self::CreateTable(create) => vec![&create.table],
            Self::CreateTableLike(create) => vec![&create.table],
            Self::AlterTable(alter) => {
                let mut list = vec![&alter.table];
                for clause in &alter.clauses {
                    match clause {
                        AlterClause::Rename { to } => list.push(to),
                        AlterClause::ExchangePartition { table, .. }
                        | AlterClause::ConvertPartitionToTable { table, .. }
                        | AlterClause::ConvertTableToPartition { table, .. } => list.push(table),
                        _ => {}
                    }
                }
                list
            }
            Self::DropTable { tables, .. } => tables.iter().collect(),
            Self::RenameTable { pairs, .. } => pairs.iter().flat_map(|(a, b)| [a, b]).collect(),
            Self::TruncateTable { table }
            | Self::CreateIndex { table, .. }
            | Self::DropIndex { table, .. } => vec![table],
            Self::CreateView(create) => vec![&create.name],
            Self::DropView { views, .. } => views.iter().collect(),
            Self::Sequence { names, .. } => names.iter().collect(),
            Self::CreateDatabase { .. }
            | Self::AlterDatabase { .. }
            | Self::DropDatabase { .. }
            | Self::Other(_) => Vec::new(),
        }
    }
}
