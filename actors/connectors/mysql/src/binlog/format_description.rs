//! The event that says how the others of a file are laid out.

use super::{
    bytes_reader::Reader, checksum::CHECKSUM_LENGTH, error::EventError, event_header::HEADER_LENGTH,
    event_kind,
};

/// What of a format description matters here. The lengths of the fixed parts of events are checked
/// against the ones this crate is written for, so that nothing else needs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormatDescription {
    /// Whether the events of the file end with a CRC32.
    pub(crate) checksums: bool,
    /// The server's version text.
    pub(crate) server_version: String,
}

/// Lengths of fixed parts that decoding relies on. A server that does not know a type lists none.
const RELIED_ON: [(u8, u8); 13] = [
    (event_kind::QUERY, 13),
    (event_kind::ROTATE, 8),
    (event_kind::TABLE_MAP, 8),
    (event_kind::WRITE_ROWS_V1, 8),
    (event_kind::UPDATE_ROWS_V1, 8),
    (event_kind::DELETE_ROWS_V1, 8),
    (event_kind::WRITE_ROWS, 10),
    (event_kind::UPDATE_ROWS, 10),
    (event_kind::DELETE_ROWS, 10),
    (event_kind::PARTIAL_UPDATE_ROWS, 10),
    (event_kind::MARIADB_GTID, 19),
    (event_kind::MARIADB_QUERY_COMPRESSED, 13),
    (event_kind::MARIADB_WRITE_ROWS_COMPRESSED_V1, 8),
];

impl FormatDescription {
    /// Reads the body (all behind the event header). A checksum may be behind it or not.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, EventError> {
        let mut r = Reader::new(body);
        let version = r.u16()?;
        if version != 4 {
            return Err(EventError::unknown(format!("binary log version {version}")));
        }
        let name = r.take(50)?;
        let name = name.split(|b| *b == 0).next().unwrap_or_default();
        let _created = r.u32()?;
        let header_length = usize::from(r.u8()?);
        if header_length != HEADER_LENGTH {
            return Err(EventError::unknown(format!(
                "event headers of {header_length} bytes"
            )));
        }
        // Behind the lengths: one byte for the checksum algorithm and four for a checksum, which
        // are there even if the other events have none.
        let rest = r.rest();
        let lengths_end = rest.len().checked_sub(1 + CHECKSUM_LENGTH).ok_or_else(|| {
            EventError::unknown("a format description without checksum algorithm (before MySQL 5.6)")
        })?;
        let (lengths, tail) = rest.split_at(lengths_end);
        let checksums = match tail.first() {
            Some(0) => false,
            Some(1) => true,
            other => return Err(EventError::unknown(format!("checksum algorithm {other:?}"))),
        };
        for (kind, expected) in RELIED_ON {
            match lengths.get(usize::from(kind).wrapping_sub(1)) {
                Some(&length) if length != expected && length != 0 => {
                    return Err(EventError::unknown(format!(
                        "fixed part of {length} bytes in events of type {kind}, expected {expected}"
                    )));
                }
                _ => {}
            }
        }
        Ok(Self {
            checksums,
            server_version: String::from_utf8_lossy(name).into_owned(),
        })
    }
}
