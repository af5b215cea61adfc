//! A row: one contiguous buffer with offsets.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::{CivilDate, CivilDateTime, Duration, Value, ValueKind};

/// Why bytes are not a row.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum RowError {
    /// The buffer ends too early, or an offset points outside.
    #[error("the row's buffer is malformed")]
    Malformed,
    /// A row was finished with another number of values than it was begun with.
    #[error("{pushed} values for {columns} columns")]
    WrongCount {
        /// Values pushed.
        pushed: usize,
        /// Columns announced.
        columns: usize,
    },
    /// The values of one row exceed 4 GiB.
    #[error("the row exceeds 4 GiB")]
    TooLarge,
}

/// A row of canonical values.
///
/// Layout: `u16` number of values, per value the `u32` end of its bytes (relative to the end of
/// this table), then the values, each a tag byte ([`ValueKind`]) and its payload. All numbers are
/// little endian. Equal rows have equal bytes, so comparing rows is comparing buffers. Cloning is
/// a reference count; rows built by one [`RowBuilder`] share its allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Row {
    bytes: Bytes,
}

impl Row {
    /// Takes over bytes that [`Row::as_bytes`] gave, checking their structure.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, RowError> {
        let row = Self { bytes };
        let table = 2 + row.checked_len()? * 4;
        let body = row.bytes.get(table..).ok_or(RowError::Malformed)?;
        let mut start = 0usize;
        for i in 0..row.len() {
            let end = row.end(i);
            let cell = body.get(start..end).ok_or(RowError::Malformed)?;
            decode(cell).ok_or(RowError::Malformed)?;
            start = end;
        }
        if start == body.len() {
            Ok(row)
        } else {
            Err(RowError::Malformed)
        }
    }

    fn checked_len(&self) -> Result<usize, RowError> {
        match self.bytes.first_chunk::<2>() {
            Some(n) => Ok(usize::from(u16::from_le_bytes(*n))),
            None => Err(RowError::Malformed),
        }
    }

    /// The encoded row.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.checked_len().unwrap_or_default()
    }

    /// Whether it has no columns.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes it occupies.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    fn end(&self, index: usize) -> usize {
        let at = 2 + index * 4;
        match self.bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            Some(end) => u32::from_le_bytes(*end) as usize,
            None => 0,
        }
    }

    /// The encoded value (tag and payload) of a column; empty when there is no such column.
    pub fn cell(&self, index: usize) -> &[u8] {
        let n = self.len();
        if index >= n {
            return &[];
        }
        let start = if index == 0 { 0 } else { self.end(index - 1) };
        let base = 2 + n * 4;
        self.bytes
            .get(base + start..base + self.end(index))
            .unwrap_or_default()
    }

    /// The value of a column; [`Value::Absent`] when there is no such column.
    pub fn get(&self, index: usize) -> Value<'_> {
        decode(self.cell(index)).unwrap_or(Value::Absent)
    }

    /// All values in column order.
    pub fn iter(&self) -> impl Iterator<Item = Value<'_>> {
        (0..self.len()).map(|i| self.get(i))
    }
}

impl std::fmt::Debug for Row {
    /// Kinds and sizes only: rows must not leak their values into logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({} columns, {} bytes)", self.len(), self.size())
    }
}

fn decode(cell: &[u8]) -> Option<Value<'_>> {
    let (&tag, p) = cell.split_first()?;
    fn fixed<const N: usize>(p: &[u8]) -> Option<[u8; N]> {
        p.try_into().ok()
    }
    Some(match ValueKind::from_tag(tag)? {
        ValueKind::Null if p.is_empty() => Value::Null,
        ValueKind::Absent if p.is_empty() => Value::Absent,
        ValueKind::Null | ValueKind::Absent => return None,
        ValueKind::Int => Value::Int(i64::from_le_bytes(fixed(p)?)),
        ValueKind::UInt => Value::UInt(u64::from_le_bytes(fixed(p)?)),
        ValueKind::Float => Value::Float(f32::from_bits(u32::from_le_bytes(fixed(p)?))),
        ValueKind::Double => Value::Double(f64::from_bits(u64::from_le_bytes(fixed(p)?))),
        ValueKind::Decimal => Value::Decimal(std::str::from_utf8(p).ok()?),
        ValueKind::Bit => Value::Bit(u64::from_le_bytes(fixed(p)?)),
        ValueKind::Year => Value::Year(u16::from_le_bytes(fixed(p)?)),
        ValueKind::Date => {
            let [a, b, month, day] = fixed(p)?;
            Value::Date(CivilDate {
                year: u16::from_le_bytes([a, b]),
                month,
                day,
            })
        }
        ValueKind::DateTime => {
            let [a, b, month, day, hour, minute, second, m0, m1, m2, m3] = fixed(p)?;
            Value::DateTime(CivilDateTime {
                date: CivilDate {
                    year: u16::from_le_bytes([a, b]),
                    month,
                    day,
                },
                hour,
                minute,
                second,
                micros: u32::from_le_bytes([m0, m1, m2, m3]),
            })
        }
        ValueKind::Timestamp => Value::Timestamp(i64::from_le_bytes(fixed(p)?)),
        ValueKind::Time => Value::Time(Duration(i64::from_le_bytes(fixed(p)?))),
        ValueKind::Text => Value::Text(p),
        ValueKind::Bytes => Value::Bytes(p),
        ValueKind::Json => Value::Json(std::str::from_utf8(p).ok()?),
        ValueKind::Enum => Value::Enum(u16::from_le_bytes(fixed(p)?)),
        ValueKind::Set => Value::Set(u64::from_le_bytes(fixed(p)?)),
        ValueKind::Geometry => Value::Geometry(p),
    })
}

/// Builds rows one after the other into shared allocations.
///
/// `begin(n)`, then `n` times `push`, then `finish`. Beginning again drops an unfinished row.
#[derive(Debug, Default)]
pub struct RowBuilder {
    buffer: BytesMut,
    columns: usize,
    pushed: usize,
    /// Bytes of the last allocation, which the next one doubles.
    block: usize,
}

/// The largest allocation that rows share.
const LARGEST_BLOCK: usize = 64 << 10;

impl RowBuilder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a row.
    pub fn begin(&mut self, columns: u16) {
        self.buffer.clear();
        let room = usize::from(columns) * 20 + 64;
        if self.buffer.capacity() < room {
            self.block = (self.block * 2).min(LARGEST_BLOCK).max(room);
            self.buffer = BytesMut::with_capacity(self.block);
        }
        self.columns = usize::from(columns);
        self.pushed = 0;
        self.buffer.put_u16_le(columns);
        self.buffer.put_bytes(0, self.columns * 4);
    }

    /// Appends the next column's value.
    pub fn push(&mut self, value: Value<'_>) {
        // Tag and payload of fixed size in one piece: one look at the room that is left instead of two.
        let b = &mut self.buffer;
        let tag = value.kind() as u8;
        match value {
            Value::Null | Value::Absent => b.put_u8(tag),
            Value::Int(v) | Value::Timestamp(v) | Value::Time(Duration(v)) => {
                put_eight(b, tag, v.to_le_bytes())
            }
            Value::UInt(v) | Value::Bit(v) | Value::Set(v) => put_eight(b, tag, v.to_le_bytes()),
            Value::Double(v) => put_eight(b, tag, v.to_bits().to_le_bytes()),
            Value::Float(v) => put_four(b, tag, v.to_bits().to_le_bytes()),
            Value::Decimal(v) | Value::Json(v) => put_long(b, tag, v.as_bytes()),
            Value::Year(v) | Value::Enum(v) => {
                let [low, high] = v.to_le_bytes();
                b.put_slice(&[tag, low, high]);
            }
            Value::Date(v) => {
                let [low, high] = v.year.to_le_bytes();
                put_four(b, tag, [low, high, v.month, v.day]);
            }
            Value::DateTime(v) => {
                let [low, high] = v.date.year.to_le_bytes();
                let [m0, m1, m2, m3] = v.micros.to_le_bytes();
                let (month, day) = (v.date.month, v.date.day);
                b.put_slice(&[
                    tag, low, high, month, day, v.hour, v.minute, v.second, m0, m1, m2, m3,
                ]);
            }
            Value::Text(v) | Value::Bytes(v) | Value::Geometry(v) => put_long(b, tag, v),
        }
        self.note_end();
    }

    /// Appends an already encoded value, as [`Row::cell`] gave it.
    pub fn push_cell(&mut self, cell: &[u8]) {
        self.buffer.put_slice(cell);
        self.note_end();
    }

    fn note_end(&mut self) {
        if self.pushed < self.columns {
            // A row above 4 GiB is refused in `finish`, so truncation here is never seen.
            let end = (self.buffer.len() - 2 - self.columns * 4) as u32;
            let at = 2 + self.pushed * 4;
            if let Some(slot) = self.buffer.get_mut(at..at + 4) {
                slot.copy_from_slice(&end.to_le_bytes());
            }
        }
        self.pushed += 1;
    }

    /// Ends the row.
    pub fn finish(&mut self) -> Result<Row, RowError> {
        let (pushed, columns) = (self.pushed, self.columns);
        if pushed != columns {
            self.buffer.clear();
            return Err(RowError::WrongCount { pushed, columns });
        }
        if u32::try_from(self.buffer.len()).is_err() {
            self.buffer.clear();
            return Err(RowError::TooLarge);
        }
        self.columns = 0;
        self.pushed = 0;
        let bytes = if self.buffer.len() > LARGEST_BLOCK {
            // What is left of its block would keep all of it from being freed with the row.
            std::mem::take(&mut self.buffer)
        } else {
            self.buffer.split()
        };
        Ok(Row {
            bytes: bytes.freeze(),
        })
    }

    /// Builds one row from values.
    pub fn build<'v>(values: impl ExactSizeIterator<Item = Value<'v>>) -> Result<Row, RowError> {
        let mut builder = Self::new();
        let count = values.len();
        builder.begin(u16::try_from(count).map_err(|_| RowError::TooLarge)?);
        values.for_each(|v| builder.push(v));
        builder.finish()
    }
}

fn put_four(b: &mut BytesMut, tag: u8, [c0, c1, c2, c3]: [u8; 4]) {
    b.put_slice(&[tag, c0, c1, c2, c3]);
}

fn put_eight(b: &mut BytesMut, tag: u8, [c0, c1, c2, c3, c4, c5, c6, c7]: [u8; 8]) {
    b.put_slice(&[tag, c0, c1, c2, c3, c4, c5, c6, c7]);
}

fn put_long(b: &mut BytesMut, tag: u8, payload: &[u8]) {
    b.reserve(1 + payload.len());
    b.put_u8(tag);
    b.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_large_row_belongs_to_nobody_else() {
        let mut builder = RowBuilder::new();
        for size in [10, LARGEST_BLOCK, 3 << 20, 10, 1 << 20] {
            let value = vec![7; size];
            builder.begin(1);
            builder.push(Value::Bytes(&value));
            let row = builder.finish().unwrap();
            assert_eq!(row.get(0), Value::Bytes(&value));
            assert!(size < LARGEST_BLOCK || row.as_bytes().is_unique(), "{size}");
        }
    }

    fn values() -> Vec<Value<'static>> {
        let dt = CivilDateTime {
            date: CivilDate {
                year: 2024,
                month: 2,
                day: 29,
            },
            hour: 23,
            minute: 59,
            second: 58,
            micros: 999_999,
        };
        vec![
            Value::Null,
            Value::Absent,
            Value::Int(i64::MIN),
            Value::UInt(u64::MAX),
            Value::Float(-0.0),
            Value::Double(f64::NAN),
            Value::Decimal("-12.30"),
            Value::Bit(5),
            Value::Year(0),
            Value::Date(CivilDate {
                year: 2024,
                month: 0,
                day: 0,
            }),
            Value::DateTime(dt),
            Value::Timestamp(-1),
            Value::Time(Duration(-3_020_399_000_000)),
            Value::Text(b"\xff'"),
            Value::Bytes(b""),
            Value::Json("{}"),
            Value::Enum(3),
            Value::Set(u64::MAX),
            Value::Geometry(&[0; 25]),
        ]
    }

    #[test]
    fn every_kind_round_trips() {
        let row = RowBuilder::build(values().into_iter()).unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), values());
        let again = Row::from_bytes(row.as_bytes().clone()).unwrap();
        assert_eq!(again, row);
        assert!(row.get(99).is_absent());
        for (i, value) in values().iter().enumerate() {
            assert_eq!(ValueKind::from_tag(value.kind() as u8), Some(value.kind()), "{i}");
        }
    }

    #[test]
    fn wrong_count_is_refused_and_the_builder_stays_usable() {
        let mut b = RowBuilder::new();
        b.begin(2);
        b.push(Value::Null);
        assert_eq!(
            b.finish(),
            Err(RowError::WrongCount {
                pushed: 1,
                columns: 2
            })
        );
        b.begin(1);
        b.push(Value::Int(1));
        assert_eq!(b.finish().unwrap().get(0), Value::Int(1));
    }

    proptest! {
        #[test]
        fn any_bytes_either_fail_or_decode(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(row) = Row::from_bytes(Bytes::from(bytes)) {
                let again = RowBuilder::build(row.iter().collect::<Vec<_>>().into_iter()).unwrap();
                prop_assert_eq!(again, row);
            }
        }

        #[test]
        fn a_damaged_row_never_panics(at in 0usize..400, with in any::<u8>()) {
            let row = RowBuilder::build(values().into_iter()).unwrap();
            let mut bytes = row.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = with;
            let _ = Row::from_bytes(Bytes::from(bytes)).map(|r| r.iter().count());
        }
    }
}
