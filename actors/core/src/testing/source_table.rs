//! The tables and changes of the suite for sources.

use std::sync::Arc;

use super::TableShape;
use crate::{Key, KeyPart, Row, TableName, TableSchema};

/// A table of the suite for sources: the columns of [`TableShape`], with a primary key over any of
/// them. Columns of the key are NOT NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceTable {
    /// Its name.
    pub name: TableName,
    /// The columns of the primary key in order; none: no key at all.
    pub key: &'static [&'static str],
}

impl SourceTable {
    /// Its definition.
    pub fn schema(&self) -> Arc<TableSchema> {
        let mut schema = TableShape::Keyless.schema(self.name.clone()).as_ref().clone();
        let mut parts = Vec::new();
        for name in self.key {
            let column = schema.column_index(name);
            if let Some(column) = column.and_then(|c| schema.columns.get_mut(c)) {
                column.nullable = false;
            }
            parts.push(KeyPart { column, prefix: None });
        }
        if !parts.is_empty() {
            schema.keys.push(Key {
                name: "PRIMARY".into(),
                primary: true,
                parts,
            });
        }
        Arc::new(schema)
    }
}

/// A change that the suite asks for: an insert (`after` only), a delete (`before` only) or an
/// update. Rows of tables without a key stand for one of the rows that are equal to them.
#[derive(Clone, Debug)]
pub struct SourceChange {
    /// The table.
    pub table: TableName,
    /// The row as it is.
    pub before: Option<Row>,
    /// The row as it is to be.
    pub after: Option<Row>,
}
