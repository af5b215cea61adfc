//! Keys that were read, to see whether one comes from two tables.

use std::{
    cmp::Ordering,
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use oms_core::{Row, RowBuilder, RowError, Value};

/// Most keys that are looked at again; more than these need not be known to stop.
const SUSPECTS: usize = 500;

/// The keys of what is being read of several tables. Holds eight bytes for each.
#[derive(Debug, Default)]
pub(super) struct SeenKeys {
    hashes: HashSet<u64>,
    suspects: Vec<Row>,
}

impl SeenKeys {
    /// Takes a row's key, given by its columns. A key that may have been there before is suspected.
    pub(super) fn see(&mut self, row: &Row, columns: &[usize]) -> Result<(), RowError> {
        let mut hasher = DefaultHasher::new();
        for column in columns {
            identity(row.get(*column)).hash(&mut hasher);
        }
        if !self.hashes.insert(hasher.finish()) && self.suspects.len() < SUSPECTS {
            self.suspects.push(key_of(row, columns)?);
        }
        Ok(())
    }

    /// Keys that are to be looked at again.
    pub(super) fn suspects(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.suspects)
    }
}

/// The key of a row.
fn key_of(row: &Row, columns: &[usize]) -> Result<Row, RowError> {
    let values: Vec<Value<'_>> = columns.iter().map(|c| row.get(*c)).collect();
    RowBuilder::build(values.into_iter())
}

/// What tells a row's key from others, of the types that keys of merged tables may have.
pub(super) fn key_bytes(row: &Row, columns: &[usize]) -> Vec<Vec<u8>> {
    columns.iter().map(|c| identity(row.get(*c))).collect()
}

/// Equal for equal values of one column. Texts may end with spaces, which many collations do not count.
fn identity(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::Text(text) => {
            let end = text.iter().rposition(|b| *b != b' ').map_or(0, |last| last + 1);
            text.get(..end).unwrap_or_default().to_vec()
        }
        Value::Bytes(bytes) => bytes.to_vec(),
        Value::Int(n) => n.to_be_bytes().to_vec(),
        Value::UInt(n) | Value::Bit(n) => n.to_be_bytes().to_vec(),
        other => format!("{other:?}").into_bytes(),
    }
}

/// How two keys are ordered, where that is known here without asking the server.
pub(super) fn order(a: &Row, b: &Row) -> Option<Ordering> {
    for (x, y) in a.iter().zip(b.iter()) {
        let order = match (x, y) {
            (Value::Int(x), Value::Int(y)) | (Value::Timestamp(x), Value::Timestamp(y)) => x.cmp(&y),
            (Value::UInt(x), Value::UInt(y)) | (Value::Bit(x), Value::Bit(y)) => x.cmp(&y),
            (Value::Year(x), Value::Year(y)) => x.cmp(&y),
            (Value::Bytes(x), Value::Bytes(y)) | (Value::Text(x), Value::Text(y)) => x.cmp(y),
            _ => return None,
        };
        if order != Ordering::Equal {
            return Some(order);
        }
    }
    Some(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[Value<'_>]) -> Row {
        RowBuilder::build(values.iter().copied()).unwrap()
    }

    #[test]
    fn a_key_that_comes_twice_is_suspected() {
        let mut seen = SeenKeys::default();
        for n in 0..1_000 {
            seen.see(&row(&[Value::Text(b"x"), Value::Int(n)]), &[1]).unwrap();
        }
        assert!(seen.suspects().is_empty());
        seen.see(&row(&[Value::Null, Value::Int(7)]), &[1]).unwrap();
        assert_eq!(seen.suspects(), [row(&[Value::Int(7)])]);
        let mut seen = SeenKeys::default();
        for text in ["a", "a  ", "A", " a"] {
            seen.see(&row(&[Value::Text(text.as_bytes())]), &[0]).unwrap();
        }
        assert_eq!(seen.suspects().len(), 1);
    }

    #[test]
    fn keys_are_ordered_where_that_is_certain() {
        let (a, b) = (
            row(&[Value::Int(-1), Value::Int(5)]),
            row(&[Value::Int(1), Value::Int(2)]),
        );
        assert_eq!(order(&a, &b), Some(Ordering::Less));
        assert_eq!(
            order(&row(&[Value::Decimal("1")]), &row(&[Value::Decimal("2")])),
            None
        );
    }
}
