//! Tables in memory, ordered as a server would order them.

use std::{collections::BTreeMap, sync::Arc};

use oms_core::{ColumnType, Row, TableSchema, Value};

/// Characters of `latin1`, as far as ISO 8859-1 goes.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// A table in memory.
#[derive(Clone, Debug)]
pub struct MemoryTable {
    pub(super) schema: Arc<TableSchema>,
    rows: BTreeMap<Vec<u8>, Vec<Row>>,
}

impl MemoryTable {
    /// An empty table.
    pub fn new(schema: Arc<TableSchema>) -> Self {
        Self {
            schema,
            rows: BTreeMap::new(),
        }
    }

    /// Its definition.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    fn place(&self, row: &Row) -> Vec<u8> {
        match self.schema.row_key_columns() {
            None => row.as_bytes().to_vec(),
            Some(columns) => {
                let mut out = Vec::new();
                for column in columns {
                    if let Some(definition) = self.schema.columns.get(column) {
                        encode(&definition.ty, &definition.ty, row.get(column), &mut out);
                    }
                }
                out
            }
        }
    }

    /// Inserts a row, or replaces the one with its key.
    pub fn put(&mut self, row: Row) {
        let place = self.place(&row);
        let slot = self.rows.entry(place).or_default();
        if self.schema.row_key().is_some() {
            slot.clear();
        }
        slot.push(row);
    }

    /// Removes the row with this row's key, or one row like this. `false`: there is none.
    pub fn remove(&mut self, row: &Row) -> bool {
        let place = self.place(row);
        let Some(slot) = self.rows.get_mut(&place) else {
            return false;
        };
        slot.pop();
        if slot.is_empty() {
            self.rows.remove(&place);
        }
        true
    }

    /// All rows in the order of the key.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values().flatten()
    }

    /// Rows by a key given with another definition's types, in that definition's key order.
    pub(super) fn matching(
        &self,
        view: &TableSchema,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Vec<(Vec<u8>, Row)> {
        let mut out: Vec<(Vec<u8>, Row)> = self
            .rows()
            .map(|row| (self.encoded(view, row), row.clone()))
            .filter(|(key, _)| wanted(key))
            .collect();
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    }

    /// The encoded key of a stored row by the view's key columns.
    fn encoded(&self, view: &TableSchema, row: &Row) -> Vec<u8> {
        let mut out = Vec::new();
        for column in view.row_key_columns().unwrap_or_default() {
            if let Some(definition) = self.schema.columns.get(column) {
                encode(&definition.ty, &definition.ty, row.get(column), &mut out);
            }
        }
        out
    }

    /// The encoded key of a bound or wanted key: its values are in the view's character sets, and
    /// compare by the stored column's collation.
    pub(super) fn encoded_key(&self, view: &TableSchema, key: &Row) -> Vec<u8> {
        let mut out = Vec::new();
        for (part, column) in view.row_key_columns().unwrap_or_default().into_iter().enumerate() {
            if let (Some(given), Some(stored)) = (view.columns.get(column), self.schema.columns.get(column)) {
                encode(&given.ty, &stored.ty, key.get(part), &mut out);
            }
        }
        out
    }
}

/// Appends an encoding whose byte order is the order of the stored column. `given` tells the
/// character set of the value.
fn encode(given: &ColumnType, stored: &ColumnType, value: Value<'_>, out: &mut Vec<u8>) {
    let number = |n: i128, out: &mut Vec<u8>| out.extend((n + (1 << 64)).to_be_bytes());
    match value {
        Value::Int(v) => number(v.into(), out),
        Value::UInt(v) | Value::Bit(v) | Value::Set(v) => number(v.into(), out),
        Value::Year(v) | Value::Enum(v) => number(v.into(), out),
        Value::Timestamp(v) => number(v.into(), out),
        Value::Decimal(text) => {
            // Two digits behind the point are enough for tests.
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let digits = format!("{whole}{fraction:0<2}");
            number(digits.parse().unwrap_or(0), out);
        }
        Value::Text(bytes) => {
            let latin = given.charset().is_some_and(|c| c == "latin1");
            let text = if latin {
                latin1(bytes)
            } else {
                String::from_utf8_lossy(bytes).into_owned()
            };
            let binary = stored.collation().is_none_or(|c| c.ends_with("_bin"));
            let text = if binary { text } else { text.to_lowercase() };
            // Padding: what is behind the end compares as a space.
            out.extend(text.trim_end_matches(' ').bytes().flat_map(|b| [b.max(1), 0]));
            out.extend([b' ', 0, 0]);
        }
        Value::Bytes(bytes) => {
            out.extend(
                bytes
                    .iter()
                    .flat_map(|b| if *b == 0 { vec![0, 1] } else { vec![*b] }),
            );
            out.extend([0, 0]);
        }
        Value::Date(d) => number(
            i128::from(d.year) * 400 + i128::from(d.month) * 32 + i128::from(d.day),
            out,
        ),
        _ => out.push(0),
    }
}
