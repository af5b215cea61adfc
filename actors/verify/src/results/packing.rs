//! Values in records.

use bytes::Bytes;
use oms_core::{Record, RecordReader};
use serde::{Serialize, de::DeserializeOwned};

use crate::VerifyError;

/// Bytes at which a record takes no further value of a sequence.
const RECORD_BYTES: usize = 48 << 10;

/// Records that are read together.
pub(super) const PAGE: u32 = 200;

/// A value as the content of a record.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Bytes, VerifyError> {
    match serde_json::to_vec(value) {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => Err(VerifyError::Internal("a result cannot be encoded")),
    }
}

/// The value in a record.
pub(super) fn decode<T: DeserializeOwned>(record: &Record) -> Result<T, VerifyError> {
    serde_json::from_slice(&record.content).map_err(|e| VerifyError::Damaged {
        list: record.list.clone(),
        number: record.number,
        detail: e.to_string(),
    })
}

/// A sequence of values as contents of records of bounded size (but for a single long value).
pub(super) fn pack<T: Serialize>(values: &[T]) -> Result<Vec<Bytes>, VerifyError> {
    let mut packed = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    for value in values {
        let next = encode(value)?;
        if !open.is_empty() && open.len() + next.len() > RECORD_BYTES {
            open.push(b']');
            packed.push(std::mem::take(&mut open).into());
        }
        open.push(if open.is_empty() { b'[' } else { b',' });
        open.extend_from_slice(&next);
    }
    if !open.is_empty() {
        open.push(b']');
        packed.push(open.into());
    }
    Ok(packed)
}

/// The value of one record; `None` when it is not there.
pub(super) async fn one<T: DeserializeOwned>(
    reader: &dyn RecordReader,
    list: &str,
    number: u64,
) -> Result<Option<T>, VerifyError> {
    let found = reader.read(list, number, 1).await.map_err(VerifyError::Records)?;
    found.iter().find(|r| r.number == number).map(decode).transpose()
}

/// All values of a list from a number on, with their numbers.
pub(super) async fn all<T: DeserializeOwned>(
    reader: &dyn RecordReader,
    list: &str,
    mut from: u64,
) -> Result<Vec<(u64, T)>, VerifyError> {
    let mut values = Vec::new();
    loop {
        let page = reader
            .read(list, from, PAGE)
            .await
            .map_err(VerifyError::Records)?;
        for record in &page {
            values.push((record.number, decode(record)?));
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => from = last.number.saturating_add(1),
            _ => return Ok(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_cut_at_the_size_and_lose_nothing() {
        let values: Vec<String> = (0..400).map(|n| "x".repeat(n * 7 % 1_000)).collect();
        let packed = pack(&values).unwrap_or_default();
        assert!(packed.len() > 2 && packed.iter().all(|p| p.len() <= RECORD_BYTES + 2));
        let read: Vec<String> = packed
            .iter()
            .flat_map(|p| serde_json::from_slice::<Vec<String>>(p).unwrap_or_default())
            .collect();
        assert_eq!(read, values);
        let none: [String; 0] = [];
        assert!(pack(&none).is_ok_and(|p| p.is_empty()));
    }
}
