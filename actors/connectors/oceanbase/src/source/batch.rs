//! Changes as bytes of the change log. Pure.
//!
//! A batch holds changes of one table: a version byte, the table's name, the digest of its columns and then the changes,
//! each a tag and its rows. Numbers are little endian; rows are as [`Row`] defines them. The end of a round is a batch
//! of the version byte alone.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use oms_core::{Row, TableName, TableSchema};

const VERSION: u8 = 1;
const INSERT: u8 = 1;
const UPDATE: u8 = 2;
const DELETE: u8 = 3;

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It is new.
    Insert(Row),
    /// It stays.
    Update { before: Row, after: Row },
    /// It is gone.
    Delete(Row),
}

impl Change {
    /// Bytes of its rows.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Insert(row) | Self::Delete(row) => row.size(),
            Self::Update { before, after } => before.size() + after.size(),
        }
    }
}

/// Stands for the columns of a table: rows can be read only by the columns they were written with.
pub(super) fn columns_digest(table: &TableSchema) -> u64 {
    // Names, types and what is generated, in order; JSON of plain data cannot fail.
    let text = serde_json::to_string(&table.columns).unwrap_or_default();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A batch under construction.
#[derive(Debug)]
pub(super) struct BatchWriter {
    bytes: BytesMut,
}

impl BatchWriter {
    /// An empty batch of a table.
    pub(super) fn new(table: &TableSchema) -> Self {
        let mut bytes = BytesMut::new();
        bytes.put_u8(VERSION);
        put_text(&mut bytes, &table.name.database);
        put_text(&mut bytes, &table.name.table);
        bytes.put_u64_le(columns_digest(table));
        Self { bytes }
    }

    pub(super) fn push(&mut self, change: &Change) {
        match change {
            Change::Insert(after) => {
                self.bytes.put_u8(INSERT);
                put_row(&mut self.bytes, after);
            }
            Change::Update { before, after } => {
                self.bytes.put_u8(UPDATE);
                put_row(&mut self.bytes, before);
                put_row(&mut self.bytes, after);
            }
            Change::Delete(before) => {
                self.bytes.put_u8(DELETE);
                put_row(&mut self.bytes, before);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn finish(self) -> Bytes {
        self.bytes.freeze()
    }
}

/// The batch at the end of a round.
pub(super) fn end() -> Bytes {
    Bytes::from_static(&[VERSION])
}

fn put_text(bytes: &mut BytesMut, text: &str) {
    // Identifiers have at most 128 characters.
    let text = text.as_bytes();
    bytes.put_u16_le(u16::try_from(text.len()).unwrap_or(u16::MAX));
    bytes.put_slice(text);
}

fn put_row(bytes: &mut BytesMut, row: &Row) {
    // A row has less than 4 GiB.
    bytes.put_u32_le(u32::try_from(row.size()).unwrap_or(u32::MAX));
    bytes.put_slice(row.as_bytes());
}

/// A batch being read; its rows share its bytes.
#[derive(Debug)]
pub(super) struct BatchReader {
    /// The table and the digest of its columns; `None` at the end of a round.
    pub(super) table: Option<(TableName, u64)>,
    rest: Bytes,
}

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotABatch {
    /// Written by a version that this one does not know.
    Version(u8),
    /// Torn, or something else.
    Malformed,
}

impl BatchReader {
    pub(super) fn new(mut bytes: Bytes) -> Result<Self, NotABatch> {
        match bytes.try_get_u8() {
            Ok(VERSION) => {}
            Ok(other) => return Err(NotABatch::Version(other)),
            Err(_) => return Err(NotABatch::Malformed),
        }
        let table = if bytes.is_empty() {
            None
        } else {
            let database = text(&mut bytes)?;
            let table = text(&mut bytes)?;
            let digest = bytes.try_get_u64_le().map_err(|_| NotABatch::Malformed)?;
            Some((TableName::new(database, table), digest))
        };
        Ok(Self { table, rest: bytes })
    }

    /// The next change; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Change>, NotABatch> {
        let Ok(tag) = self.rest.try_get_u8() else {
            return Ok(None);
        };
        Ok(Some(match tag {
            INSERT => Change::Insert(row(&mut self.rest)?),
            UPDATE => Change::Update {
                before: row(&mut self.rest)?,
                after: row(&mut self.rest)?,
            },
            DELETE => Change::Delete(row(&mut self.rest)?),
            _ => return Err(NotABatch::Malformed),
        }))
    }
}

fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes, NotABatch> {
    if length <= bytes.len() {
        Ok(bytes.split_to(length))
    } else {
        Err(NotABatch::Malformed)
    }
}

fn text(bytes: &mut Bytes) -> Result<String, NotABatch> {
    let length = bytes.try_get_u16_le().map_err(|_| NotABatch::Malformed)?;
    let taken = take(bytes, usize::from(length))?;
    String::from_utf8(taken.to_vec()).map_err(|_| NotABatch::Malformed)
}

fn row(bytes: &mut Bytes) -> Result<Row, NotABatch> {
    let length = bytes.try_get_u32_le().map_err(|_| NotABatch::Malformed)?;
    let taken = take(bytes, length as usize)?;
    Row::from_bytes(taken).map_err(|_| NotABatch::Malformed)
}

#[cfg(test)]
mod tests {
    use oms_core::{RowBuilder, Value, testing::TableShape};

    use super::*;

    fn row(n: i64, text: &str) -> Row {
        RowBuilder::build([Value::Int(n), Value::Text(text.as_bytes())].into_iter()).unwrap()
    }

    #[test]
    fn batches_come_back_whole_and_no_torn_one_does() {
        let table = TableShape::Keyless.schema(TableName::new("d", "tä"));
        let changes = [
            Change::Insert(row(1, "a")),
            Change::Update {
                before: row(2, ""),
                after: row(2, "b"),
            },
            Change::Delete(row(3, "c")),
        ];
        let mut writer = BatchWriter::new(&table);
        let head = writer.len();
        changes.iter().for_each(|c| writer.push(c));
        let bytes = writer.finish();
        let read = |bytes: Bytes| -> Result<Vec<Change>, NotABatch> {
            let mut reader = BatchReader::new(bytes)?;
            let mut all = Vec::new();
            while let Some(change) = reader.next()? {
                all.push(change);
            }
            Ok(all)
        };
        assert_eq!(read(bytes.clone()).unwrap(), changes);
        let reader = BatchReader::new(bytes.clone()).unwrap();
        assert_eq!(reader.table, Some((table.name.clone(), columns_digest(&table))));
        for length in 0..bytes.len() {
            match read(bytes.slice(..length)) {
                // Only at a border between two changes; that nothing is cut off is for the change log's checksums.
                Ok(some) => assert!(
                    length == 1 || length >= head && changes.starts_with(&some),
                    "{length}"
                ),
                Err(e) => assert_eq!(e, NotABatch::Malformed),
            }
        }
        assert!(BatchReader::new(end()).unwrap().table.is_none());
        assert_eq!(
            BatchReader::new(Bytes::from_static(&[9])).unwrap_err(),
            NotABatch::Version(9)
        );
    }

    #[test]
    fn columns_that_differ_have_other_digests() {
        let table = TableShape::Keyless.schema(TableName::new("d", "t"));
        let mut other = TableSchema::clone(&table);
        assert_eq!(columns_digest(&table), columns_digest(&other));
        other.columns[0].nullable = !other.columns[0].nullable;
        assert_ne!(columns_digest(&table), columns_digest(&other));
    }
}
