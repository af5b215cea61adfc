//! CREATE statements.

use oms_core::TableName;
use serde::{Deserialize, Serialize};

use super::{ColumnSpec, ForeignKeySpec};
use crate::{CheckDefinition, IndexDefinition, Partitioning, PeriodDefinition, ViewDefinition};

/// CREATE TABLE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTable {
    /// The table.
    pub table: TableName,
    /// TEMPORARY.
    pub temporary: bool,
    /// OR REPLACE (MariaDB).
    pub or_replace: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Columns, keys and constraints in order.
    pub elements: Vec<TableElement>,
    /// Options in order.
    pub options: Vec<TableOption>,
    /// PARTITION BY.
    pub partitioning: Option<Partitioning>,
    /// The query that it is filled from, as text.
    pub query: Option<String>,
}

/// CREATE TABLE … LIKE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateTableLike {
    /// The new table.
    pub table: TableName,
    /// The table that it is like.
    pub like: TableName,
    /// TEMPORARY.
    pub temporary: bool,
    /// OR REPLACE (MariaDB).
    pub or_replace: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
}

/// Something between the parentheses of CREATE TABLE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
// Columns are most of all elements, so that a box for each would cost more than it saves.
#[expect(clippy::large_enum_variant)]
pub enum TableElement {
    /// A column.
    Column(ColumnSpec),
    /// A key. Its name is empty if there is none.
    Index(IndexDefinition),
    /// A foreign key.
    ForeignKey(ForeignKeySpec),
    /// A check.
    Check(CheckDefinition),
    /// PERIOD FOR (MariaDB).
    Period(PeriodDefinition),
}

/// An option of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableOption {
    /// ENGINE.
    Engine(String),
    /// AUTO_INCREMENT.
    AutoIncrement(u64),
    /// DEFAULT CHARACTER SET.
    Charset(String),
    /// DEFAULT COLLATE.
    Collation(String),
    /// COMMENT.
    Comment(String),
    /// How the table is kept: (name, value).
    Storage(String, String),
    /// WITH SYSTEM VERSIONING (MariaDB).
    SystemVersioning,
}

/// What is said of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseOptions {
    /// CHARACTER SET, if written.
    pub charset: Option<String>,
    /// COLLATE, if written.
    pub collation: Option<String>,
    /// COMMENT (MariaDB), if written.
    pub comment: Option<String>,
    /// ENCRYPTION (MySQL), if written.
    pub encrypted: Option<bool>,
    /// READ ONLY (MySQL), if written.
    pub read_only: Option<bool>,
}

/// CREATE VIEW or ALTER VIEW.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateView {
    /// The view.
    pub name: TableName,
    /// OR REPLACE.
    pub or_replace: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Whether it is ALTER VIEW.
    pub alter: bool,
    /// The view. Its query is as the user wrote it, with names that need not be complete.
    pub definition: ViewDefinition,
}
