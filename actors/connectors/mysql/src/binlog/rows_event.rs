//! The events that hold changed rows.

use std::borrow::Cow;

use super::{bytes_reader::Reader, compressed, error::EventError, event_kind::*};

/// What happened to the rows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowsKind {
    Write,
    Update,
    Delete,
}

/// A bit per column of the table: whether the event's rows carry it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnBits<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> ColumnBits<'a> {
    /// Bits of so many columns.
    pub(crate) fn new(bytes: &'a [u8], columns: usize) -> Self {
        let mut bits = Self { bytes, count: 0 };
        bits.count = (0..columns).filter(|i| bits.has(*i)).count();
        bits
    }

    #[inline]
    pub(crate) fn has(&self, index: usize) -> bool {
        has_bit(self.bytes, index)
    }

    /// How many columns are carried.
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

/// Whether the bit is set; low bits first.
#[inline]
pub(crate) fn has_bit(bytes: &[u8], index: usize) -> bool {
    bytes.get(index / 8).is_some_and(|b| b >> (index % 8) & 1 != 0)
}

/// An event of rows.
#[derive(Debug)]
pub(crate) struct RowsEvent<'a> {
    pub(crate) kind: RowsKind,
    pub(crate) columns: usize,
    /// Of the rows before the change, or of the only rows.
    pub(crate) present: ColumnBits<'a>,
    /// Of the rows after an update.
    pub(crate) present_after: ColumnBits<'a>,
    /// Whether rows after the change may hold changes of JSON values instead of values.
    pub(crate) partial_json: bool,
    pub(crate) rows: Cow<'a, [u8]>,
}

/// Number and flags of an event of rows with nothing in it, which only ends a statement.
const NO_TABLE: u64 = 0xff_ffff;

impl<'a> RowsEvent<'a> {
    /// The number of the table, which is enough to pass events of other tables over. `None`: the
    /// event concerns no table.
    pub(crate) fn table_id(body: &[u8]) -> Result<Option<u64>, EventError> {
        let id = Reader::new(body).uint(6)?;
        Ok((id != NO_TABLE).then_some(id))
    }

    /// Reads the body of an event of any of the row types. `limit` bounds what compressed rows
    /// inflate to.
    pub(crate) fn parse(kind: u8, body: &'a [u8], limit: usize) -> Result<Self, EventError> {
        let (rows_kind, extended, packed) = match kind {
            WRITE_ROWS_V1 => (RowsKind::Write, false, false),
            UPDATE_ROWS_V1 => (RowsKind::Update, false, false),
            DELETE_ROWS_V1 => (RowsKind::Delete, false, false),
            WRITE_ROWS => (RowsKind::Write, true, false),
            UPDATE_ROWS | PARTIAL_UPDATE_ROWS => (RowsKind::Update, true, false),
            DELETE_ROWS => (RowsKind::Delete, true, false),
            MARIADB_WRITE_ROWS_COMPRESSED_V1 => (RowsKind::Write, false, true),
            MARIADB_UPDATE_ROWS_COMPRESSED_V1 => (RowsKind::Update, false, true),
            MARIADB_DELETE_ROWS_COMPRESSED_V1 => (RowsKind::Delete, false, true),
            MARIADB_WRITE_ROWS_COMPRESSED => (RowsKind::Write, true, true),
            MARIADB_UPDATE_ROWS_COMPRESSED => (RowsKind::Update, true, true),
            MARIADB_DELETE_ROWS_COMPRESSED => (RowsKind::Delete, true, true),
            other => return Err(EventError::unknown(format!("row events of type {other}"))),
        };
        let mut r = Reader::new(body);
        r.take(6)?;
        let flags = r.u16()?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(EventError::unknown(format!("flags {flags:#06x} of a row event")));
        }
        if extended {
            // Where a row's partition is, or what a storage engine adds: the length counts itself.
            let length = usize::from(r.u16()?);
            r.take(
                length
                    .checked_sub(2)
                    .ok_or_else(|| EventError::corrupt("extra row information"))?,
            )?;
        }
        let columns = usize::try_from(r.lenenc()?).unwrap_or(usize::MAX);
        let bitmap = columns.div_ceil(8);
        let present = ColumnBits::new(r.take(bitmap)?, columns);
        let present_after = match rows_kind {
            RowsKind::Update => ColumnBits::new(r.take(bitmap)?, columns),
            _ => present,
        };
        let rows = match packed {
            true => compressed::inflate(r.rest(), limit)?.into(),
            false => r.rest().into(),
        };
        Ok(Self {
            kind: rows_kind,
            columns,
            present,
            present_after,
            partial_json: kind == PARTIAL_UPDATE_ROWS,
            rows,
        })
    }
}

/// End of statement, foreign keys unchecked, unique keys relaxed, rows complete; of MySQL from 9.6
/// 0x10, that cascades of foreign keys are logged as rows of their own; of MariaDB 0x80, that check
/// constraints were skipped.
const KNOWN_FLAGS: u16 = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x80;
