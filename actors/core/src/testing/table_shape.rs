//! The tables that contract suites use.

use std::sync::Arc;

use crate::{
    BinlogPosition, Column, ColumnType, GtidState, Key, KeyPart, Position, Row, RowBuilder, TableName,
    TableSchema, Value,
};

/// What a table of a contract suite is like. The columns are always
/// `id BIGINT NOT NULL`, `u INT NULL`, `t VARCHAR(40) NULL` (utf8mb4, a case-insensitive collation),
/// in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableShape {
    /// `id` is the primary key.
    Keyed,
    /// `id` is the primary key, and `u` is unique.
    KeyedAndUnique,
    /// No key at all.
    Keyless,
}

impl TableShape {
    /// The definition.
    pub fn schema(self, name: TableName) -> Arc<TableSchema> {
        let column = |name: &str, ty, nullable| Column {
            name: name.into(),
            ty,
            nullable,
            generated: None,
            invisible: false,
        };
        let key = |name: &str, primary, column| Key {
            name: name.into(),
            primary,
            parts: vec![KeyPart {
                column: Some(column),
                prefix: None,
            }],
        };
        let keys = match self {
            Self::Keyed => vec![key("PRIMARY", true, 0)],
            Self::KeyedAndUnique => vec![key("PRIMARY", true, 0), key("u", false, 1)],
            Self::Keyless => Vec::new(),
        };
        let text = ColumnType::VarChar {
            length: 40,
            charset: "utf8mb4".into(),
            collation: "utf8mb4_general_ci".into(),
        };
        Arc::new(TableSchema {
            name,
            engine: "InnoDB".into(),
            columns: vec![
                column(
                    "id",
                    ColumnType::Integer {
                        bytes: 8,
                        unsigned: false,
                    },
                    false,
                ),
                column(
                    "u",
                    ColumnType::Integer {
                        bytes: 4,
                        unsigned: false,
                    },
                    true,
                ),
                column("t", text, true),
            ],
            keys,
            estimated_rows: 0,
            estimated_bytes: 0,
        })
    }

    /// A row of such a table.
    ///
    /// # Panics
    /// Never: the values are small.
    pub fn row(id: i64, u: Option<i64>, t: Option<&str>) -> Row {
        let values = [
            Value::Int(id),
            u.map_or(Value::Null, Value::Int),
            t.map_or(Value::Null, |t| Value::Text(t.as_bytes())),
        ];
        RowBuilder::build(values.into_iter()).expect("three small values make a row")
    }
}

/// A position that stands for the end of transaction `number`.
pub fn numbered_position(number: u64) -> Position {
    Position::Binlog(BinlogPosition {
        server: "contract".into(),
        file: "log.000001".into(),
        offset: number,
        gtid: GtidState::None,
    })
}
