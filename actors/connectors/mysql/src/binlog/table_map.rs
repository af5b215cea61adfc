//! The event that numbers a table for the row events behind it.

use super::{bytes_reader::Reader, error::EventError};

/// A table map: the table's name and the storage types of its columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableMapEvent<'a> {
    pub(crate) table_id: u64,
    pub(crate) database: &'a [u8],
    pub(crate) table: &'a [u8],
    /// One type number per column.
    pub(crate) types: &'a [u8],
    metadata: &'a [u8],
}

/// The storage type of a column: its number and what the table map says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StorageType {
    pub(crate) number: u8,
    /// Bytes in the order of the event, the first in the low end; 0 where a type has none.
    pub(crate) metadata: u16,
}

impl<'a> TableMapEvent<'a> {
    /// Reads the table's number and leaves the rest, which is equal for equal tables.
    pub(crate) fn split(body: &'a [u8]) -> Result<(u64, &'a [u8]), EventError> {
        let mut r = Reader::new(body);
        let table_id = r.uint(6)?;
        r.u16()?;
        Ok((table_id, r.rest()))
    }

    /// Reads the body.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, EventError> {
        let (table_id, rest) = Self::split(body)?;
        let mut r = Reader::new(rest);
        let mut name = || -> Result<&'a [u8], EventError> {
            let name = r.lenenc_bytes()?;
            match r.u8()? {
                0 => Ok(name),
                _ => Err(EventError::corrupt("a name in the table map is not terminated")),
            }
        };
        let (database, table) = (name()?, name()?);
        let columns = usize::try_from(r.lenenc()?).unwrap_or(usize::MAX);
        let types = r.take(columns)?;
        let metadata = r.lenenc_bytes()?;
        // The bits for nullable columns must be there; the optional metadata behind may not.
        r.take(columns.div_ceil(8))?;
        Ok(Self {
            table_id,
            database,
            table,
            types,
            metadata,
        })
    }

    /// The storage types of all columns, in order.
    pub(crate) fn storage_types(&self) -> Result<Vec<StorageType>, EventError> {
        let mut r = Reader::new(self.metadata);
        let mut out = Vec::with_capacity(self.types.len());
        for &number in self.types {
            let bytes = metadata_bytes(number)
                .ok_or_else(|| EventError::unknown(format!("column type {number} in the table map")))?;
            let metadata = r.uint(bytes)? as u16;
            out.push(StorageType { number, metadata });
        }
        if !r.is_empty() {
            return Err(EventError::corrupt(
                "the table map has more column metadata than columns",
            ));
        }
        Ok(out)
    }
}

/// Numbers of storage types (`enum_field_types` of the servers).
pub(crate) mod storage {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const NEWDATE: u8 = 14;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP2: u8 = 17;
    pub(crate) const DATETIME2: u8 = 18;
    pub(crate) const TIME2: u8 = 19;
    pub(crate) const BLOB_COMPRESSED: u8 = 140;
    pub(crate) const VARCHAR_COMPRESSED: u8 = 141;
    pub(crate) const VECTOR: u8 = 242;
    pub(crate) const JSON: u8 = 245;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const VAR_STRING: u8 = 253;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

fn metadata_bytes(number: u8) -> Option<usize> {
    use storage::*;
    Some(match number {
        TINY | SHORT | LONG | LONGLONG | INT24 | TIMESTAMP | DATE | TIME | DATETIME | YEAR | NEWDATE => 0,
        FLOAT | DOUBLE | TIMESTAMP2 | DATETIME2 | TIME2 | BLOB | BLOB_COMPRESSED | JSON | GEOMETRY
        | VECTOR => 1,
        VARCHAR | VAR_STRING | VARCHAR_COMPRESSED | BIT | NEWDECIMAL | STRING | ENUM | SET => 2,
        _ => return None,
    })
}
