//! A table in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use oms_core::{Row, TableSchema};

use super::collate;

/// The values of one unique key, or of all columns of a row of a table without a key: what locks
/// are taken on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Touched {
    Key(usize, Vec<u8>),
    Row(Row),
}

/// Rows with their unique keys. A table without a key is a multiset.
#[derive(Clone, Debug)]
pub struct MemoryTable {
    schema: Arc<TableSchema>,
    rows: BTreeMap<u64, Row>,
    /// By number of the key in the definition.
    indexes: Vec<BTreeMap<Vec<u8>, u64>>,
    /// Of tables without a row key: which rows are equal to this one.
    equal: HashMap<Row, Vec<u64>>,
    next: u64,
}

impl MemoryTable {
    /// An empty table.
    pub fn new(schema: Arc<TableSchema>) -> Self {
        Self {
            indexes: vec![BTreeMap::new(); schema.keys.len()],
            schema,
            rows: BTreeMap::new(),
            equal: HashMap::new(),
            next: 0,
        }
    }

    /// Its definition.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// All rows, sorted by their bytes.
    pub fn sorted_rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.rows.values().cloned().collect();
        rows.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        rows
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn is_keyless(&self) -> bool {
        self.schema.row_key().is_none()
    }

    /// Number of the key that identifies rows.
    pub(super) fn row_key(&self) -> Option<usize> {
        let key = self.schema.row_key()?;
        self.schema.keys.iter().position(|k| k.name == key.name)
    }

    /// The encoded values of a key; `None` when one is NULL.
    pub(super) fn key_of(&self, key: usize, row: &Row) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for part in &self.schema.keys.get(key)?.parts {
            let column = part.column?;
            let ty = &self.schema.columns.get(column)?.ty;
            collate::encode(ty, row.get(column), part.prefix, &mut out)?;
        }
        Some(out)
    }

    /// What changing this row touches.
    pub(super) fn touched(&self, row: &Row) -> Vec<Touched> {
        let keys = (0..self.indexes.len()).filter_map(|k| Some(Touched::Key(k, self.key_of(k, row)?)));
        let whole = self.is_keyless().then(|| Touched::Row(row.clone()));
        keys.chain(whole).collect()
    }

    /// The row that a change of `row` means: the one with its row key, or an equal one.
    pub(super) fn find(&self, row: &Row) -> Option<u64> {
        match self.row_key() {
            Some(key) => self.indexes.get(key)?.get(&self.key_of(key, row)?).copied(),
            None => self.equal.get(row)?.last().copied(),
        }
    }

    /// Rows that share a unique value with this one.
    pub(super) fn rivals(&self, row: &Row) -> Vec<u64> {
        let mut found: Vec<u64> = (0..self.indexes.len())
            .filter_map(|k| self.indexes.get(k)?.get(&self.key_of(k, row)?).copied())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    pub(super) fn row(&self, id: u64) -> Option<&Row> {
        self.rows.get(&id)
    }

    /// Adds a row that has no rivals.
    pub(super) fn add(&mut self, row: Row) -> u64 {
        let id = self.next;
        self.next += 1;
        self.put(id, row);
        id
    }

    /// Puts a row back under its number.
    pub(super) fn put(&mut self, id: u64, row: Row) {
        for key in 0..self.indexes.len() {
            let value = self.key_of(key, &row);
            if let (Some(value), Some(index)) = (value, self.indexes.get_mut(key)) {
                index.insert(value, id);
            }
        }
        if self.is_keyless() {
            self.equal.entry(row.clone()).or_default().push(id);
        }
        self.rows.insert(id, row);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Row> {
        let row = self.rows.remove(&id)?;
        for key in 0..self.indexes.len() {
            let value = self.key_of(key, &row);
            if let (Some(value), Some(index)) = (value, self.indexes.get_mut(key)) {
                index.remove(&value);
            }
        }
        if let Some(equal) = self.equal.get_mut(&row) {
            equal.retain(|other| *other != id);
            if equal.is_empty() {
                self.equal.remove(&row);
            }
        }
        Some(row)
    }

    /// Rows in the order of the row key (in any order without one) with their encoded keys.
    pub(super) fn in_key_order(&self) -> Vec<(Vec<u8>, Row)> {
        match self.row_key().and_then(|k| self.indexes.get(k)) {
            Some(index) => index
                .iter()
                .filter_map(|(key, id)| Some((key.clone(), self.rows.get(id)?.clone())))
                .collect(),
            None => self.rows.values().map(|row| (Vec::new(), row.clone())).collect(),
        }
    }
}
