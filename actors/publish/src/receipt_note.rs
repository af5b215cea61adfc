//! Receipts of chunks as notes of the component.

use bytes::Bytes;
use oms_core::{ChunkRange, ChunkReceipt, Failure, Position, Row, TableName, codes};
use serde::{Deserialize, Serialize};

/// What names of these notes begin with.
const PREFIX: &str = "chunk/";

#[derive(Serialize, Deserialize)]
struct ReceiptNote {
    database: String,
    table: String,
    number: u64,
    /// Bounds as the bytes of their rows, in hexadecimal.
    after: Option<String>,
    through: Option<String>,
    rows: u64,
    bytes: u64,
    snapshot: Option<Position>,
}

/// The name of a chunk's note.
pub(crate) fn name(table: &TableName, number: u64) -> String {
    format!("{PREFIX}{number}/{}/{}", table.database, table.table)
}

/// The note of a receipt.
pub(crate) fn note(receipt: &ChunkReceipt) -> Result<Bytes, Failure> {
    let bound = |row: &Option<Row>| row.as_ref().map(|row| hexadecimal(row.as_bytes()));
    let note = ReceiptNote {
        database: receipt.table.database.clone(),
        table: receipt.table.table.clone(),
        number: receipt.number,
        after: bound(&receipt.range.after),
        through: bound(&receipt.range.through),
        rows: receipt.rows,
        bytes: receipt.bytes,
        snapshot: receipt.snapshot.clone(),
    };
    serde_json::to_vec(&note)
        .map(Bytes::from)
        .map_err(|e| Failure::new(codes::apply::INTERNAL, "writing a receipt").with_source(e))
}

/// Reads a note; `None` if it is another's.
pub(crate) fn read(name: &str, note: &Bytes) -> Result<Option<ChunkReceipt>, Failure> {
    if !name.starts_with(PREFIX) {
        return Ok(None);
    }
    let damaged = || {
        Failure::new(
            codes::apply::INTERNAL,
            "a receipt of the component cannot be read",
        )
    };
    let note: ReceiptNote = serde_json::from_slice(note).map_err(|e| damaged().with_source(e))?;
    let bound = |text: Option<String>| -> Result<Option<Row>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let bytes = from_hexadecimal(&text).ok_or_else(damaged)?;
        let row = Row::from_bytes(Bytes::from(bytes)).map_err(|e| damaged().with_source(e))?;
        Ok(Some(row))
    };
    Ok(Some(ChunkReceipt {
        table: TableName::new(&note.database, &note.table),
        number: note.number,
        range: ChunkRange {
            after: bound(note.after)?,
            through: bound(note.through)?,
        },
        rows: note.rows,
        bytes: note.bytes,
        snapshot: note.snapshot,
    }))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use oms_core::{RowBuilder, Value};

    use super::*;

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        let key = RowBuilder::build([Value::Int(-7), Value::Text(b"\xff/\0")].into_iter()).unwrap();
        let receipt = ChunkReceipt {
            table: TableName::new("a/b", "c.d"),
            number: 12,
            range: ChunkRange {
                after: Some(key),
                through: None,
            },
            rows: 3,
            bytes: 99,
            snapshot: None,
        };
        let name = name(&receipt.table, receipt.number);
        let note = note(&receipt).unwrap();
        assert_eq!(read(&name, &note).unwrap(), Some(receipt));
        assert_eq!(read("partitions/t", &note).unwrap(), None);
        assert!(read(&name, &Bytes::from_static(b"{}")).is_err());
        assert_eq!(from_hexadecimal("0g"), None);
        assert_eq!(from_hexadecimal("012"), None);
    }
}
