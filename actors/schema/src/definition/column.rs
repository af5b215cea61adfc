//! Columns.

use oms_core::Generated;
use serde::{Deserialize, Serialize};

use super::DataType;

/// A column as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: DataType,
    /// CHARACTER SET, if written.
    pub charset: Option<String>,
    /// COLLATE, if written.
    pub collation: Option<String>,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// DEFAULT, if written.
    pub default: Option<DefaultValue>,
    /// ON UPDATE CURRENT_TIMESTAMP with this many digits of the fraction.
    pub on_update_now: Option<u8>,
    /// GENERATED ALWAYS AS.
    pub generated: Option<GeneratedColumn>,
    /// AUTO_INCREMENT.
    pub auto_increment: bool,
    /// Whether `SELECT *` leaves it out.
    pub invisible: bool,
    /// COMMENT; empty when there is none.
    pub comment: String,
    /// A CHECK that is part of the column (MariaDB).
    pub check: Option<String>,
    /// SRID attribute of a geometry.
    pub srid: Option<u32>,
    /// GENERATED ALWAYS AS ROW START / ROW END (MariaDB).
    pub row_period: Option<RowPeriod>,
    /// WITH (true) or WITHOUT (false) SYSTEM VERSIONING of this column (MariaDB).
    pub system_versioning: Option<bool>,
    /// How the column is kept on disk, in the words of the server: COMPRESSED, COLUMN_FORMAT,
    /// STORAGE, NOT SECONDARY. It has no effect on values.
    pub storage: Vec<String>,
}

impl ColumnDefinition {
    /// A nullable column without anything else.
    pub fn new(name: impl Into<String>, ty: DataType) -> Self {
        Self {
            name: name.into(),
            ty,
            charset: None,
            collation: None,
            nullable: true,
            default: None,
            on_update_now: None,
            generated: None,
            auto_increment: false,
            invisible: false,
            comment: String::new(),
            check: None,
            srid: None,
            row_period: None,
            system_versioning: None,
            storage: Vec::new(),
        }
    }
}

/// A DEFAULT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultValue {
    /// NULL.
    Null,
    /// A text literal.
    Text(String),
    /// A number, with its sign.
    Number(String),
    /// `b'…'`, `x'…'` or `0x…`.
    Bits(String),
    /// CURRENT_TIMESTAMP with this many digits of the fraction.
    Now(u8),
    /// Any other expression, without the parentheses around it.
    Expression(String),
}

/// GENERATED ALWAYS AS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratedColumn {
    /// The expression, without the parentheses around it.
    pub expression: String,
    /// How it is kept.
    pub kept: Generated,
}

/// Which end of a system-versioned row a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowPeriod {
    /// ROW START.
    Start,
    /// ROW END.
    End,
}
