//! Table definitions, as far as moving rows needs them.

use serde::{Deserialize, Serialize};

use crate::TableName;

/// The definition of a table at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// Its name.
    pub name: TableName,
    /// Storage engine as the server names it.
    pub engine: String,
    /// Columns in the order of the table (which is the order of log events).
    pub columns: Vec<Column>,
    /// Primary key first, then unique keys, in the server's order. Non-unique indexes are not here.
    pub keys: Vec<Key>,
    /// The server's estimate of the number of rows, for progress only.
    pub estimated_rows: u64,
    /// The server's estimate of the bytes of data, for progress only.
    pub estimated_bytes: u64,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: ColumnType,
    /// Whether it may hold NULL.
    pub nullable: bool,
    /// Set when the server computes the value; such a column is never written.
    pub generated: Option<Generated>,
    /// Whether `SELECT *` leaves it out.
    pub invisible: bool,
}

/// How a generated column is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Generated {
    /// Computed when read.
    Virtual,
    /// Computed when written.
    Stored,
}

/// A column's type: what is needed to decode, write and compare its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum ColumnType {
    /// TINYINT to BIGINT.
    Integer {
        /// 1, 2, 3, 4 or 8.
        bytes: u8,
        /// Whether it is unsigned.
        unsigned: bool,
    },
    /// DECIMAL.
    Decimal {
        /// Total digits.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
        /// Whether negative values are refused.
        unsigned: bool,
    },
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// BIT(n).
    Bit {
        /// 1 to 64.
        bits: u8,
    },
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME(f).
    Time {
        /// Digits of the fraction, 0 to 6.
        fraction: u8,
    },
    /// DATETIME(f).
    DateTime {
        /// Digits of the fraction, 0 to 6.
        fraction: u8,
    },
    /// TIMESTAMP(f).
    Timestamp {
        /// Digits of the fraction, 0 to 6.
        fraction: u8,
    },
    /// CHAR(n), NCHAR(n).
    Char {
        /// Characters.
        length: u32,
        /// Character set, as the server names it.
        charset: String,
        /// Collation.
        collation: String,
    },
    /// VARCHAR(n).
    VarChar {
        /// Characters.
        length: u32,
        /// Character set.
        charset: String,
        /// Collation.
        collation: String,
    },
    /// TINYTEXT to LONGTEXT.
    Text {
        /// Bytes of the length prefix: 1 to 4.
        tier: u8,
        /// Character set.
        charset: String,
        /// Collation.
        collation: String,
    },
    /// BINARY(n).
    Binary {
        /// Bytes.
        length: u32,
    },
    /// VARBINARY(n).
    VarBinary {
        /// Bytes.
        length: u32,
    },
    /// TINYBLOB to LONGBLOB.
    Blob {
        /// Bytes of the length prefix: 1 to 4.
        tier: u8,
    },
    /// ENUM.
    Enum {
        /// The members, UTF-8, in order.
        members: Vec<String>,
        /// Character set.
        charset: String,
        /// Collation.
        collation: String,
    },
    /// SET.
    Set {
        /// The members, UTF-8, in order.
        members: Vec<String>,
        /// Character set.
        charset: String,
        /// Collation.
        collation: String,
    },
    /// JSON with a type of its own (MySQL, OceanBase). MariaDB's JSON is a LONGTEXT.
    Json,
    /// Any geometry type; the name as the server gives it.
    Geometry {
        /// `geometry`, `point`, …
        kind: String,
    },
    /// MariaDB's UUID. Values are [`crate::Value::Text`], lower case with dashes.
    Uuid,
    /// MariaDB's INET4. Values are [`crate::Value::Text`] in the server's form.
    Inet4,
    /// MariaDB's INET6. Values are [`crate::Value::Text`] in the server's form.
    Inet6,
}

impl ColumnType {
    /// Character set of a character column (of ENUM and SET: of their members).
    pub fn charset(&self) -> Option<&str> {
        match self {
            Self::Char { charset, .. }
            | Self::VarChar { charset, .. }
            | Self::Text { charset, .. }
            | Self::Enum { charset, .. }
            | Self::Set { charset, .. } => Some(charset),
            _ => None,
        }
    }

    /// Collation of a character column.
    pub fn collation(&self) -> Option<&str> {
        match self {
            Self::Char { collation, .. }
            | Self::VarChar { collation, .. }
            | Self::Text { collation, .. }
            | Self::Enum { collation, .. }
            | Self::Set { collation, .. } => Some(collation),
            _ => None,
        }
    }
}

/// A primary or unique key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The server's name of it; `PRIMARY` for the primary key.
    pub name: String,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Its columns in order.
    pub parts: Vec<KeyPart>,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPart {
    /// Index into [`TableSchema::columns`]; `None` for an expression.
    pub column: Option<usize>,
    /// Characters or bytes that are indexed, when it is not the whole column.
    pub prefix: Option<u32>,
}

impl TableSchema {
    /// The key that identifies rows: the primary key, else the first unique key whose columns are
    /// all whole and NOT NULL. `None`: the table has no key and its rows are a multiset.
    pub fn row_key(&self) -> Option<&Key> {
        let usable = |key: &&Key| {
            !key.parts.is_empty()
                && key.parts.iter().all(|part| {
                    part.prefix.is_none()
                        && part
                            .column
                            .and_then(|i| self.columns.get(i))
                            .is_some_and(|c| !c.nullable)
                })
        };
        self.keys
            .iter()
            .find(|k| k.primary)
            .filter(usable)
            .or_else(|| self.keys.iter().find(usable))
    }

    /// Column indexes of [`TableSchema::row_key`].
    pub fn row_key_columns(&self) -> Option<Vec<usize>> {
        self.row_key()
            .map(|key| key.parts.iter().filter_map(|part| part.column).collect())
    }

    /// Index of the column of this name. Column names compare without regard to ASCII case.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|c| c.name == name).or_else(|| {
            let lower = name.to_lowercase();
            self.columns.iter().position(|c| c.name.to_lowercase() == lower)
        })
    }

    /// Whether a key besides the row key restricts the rows.
    pub fn has_other_unique_keys(&self) -> bool {
        let row_key = self.row_key().map(|k| &k.name);
        self.keys.iter().any(|k| Some(&k.name) != row_key)
    }
}
