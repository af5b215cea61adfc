//! The header that every event starts with.

use super::bytes_reader::{Reader, Short};

/// Bytes of the header in binary log version 4 (MySQL 5.0 and later, all of MariaDB).
pub(crate) const HEADER_LENGTH: usize = 19;

/// The server made the event up for this connection; it is not in the file.
pub(crate) const FLAG_ARTIFICIAL: u16 = 0x20;

/// Whoever does not know the type may pass the event over.
pub(crate) const FLAG_IGNORABLE: u16 = 0x80;

/// An event's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventHeader {
    /// Seconds since the epoch; of events that a statement made, when the statement began.
    pub(crate) timestamp: u32,
    pub(crate) kind: u8,
    /// Where the event was first written.
    pub(crate) server_id: u32,
    /// Bytes of the event with this header and the checksum.
    pub(crate) size: u32,
    /// Low 32 bits of the offset behind the event in its file; 0 when it is in none.
    pub(crate) end: u32,
    pub(crate) flags: u16,
}

impl EventHeader {
    /// Reads the header off the front of an event.
    pub(crate) fn parse(event: &[u8]) -> Result<(Self, &[u8]), Short> {
        let mut r = Reader::new(event);
        let header = Self {
            timestamp: r.u32()?,
            kind: r.u8()?,
            server_id: r.u32()?,
            size: r.u32()?,
            end: r.u32()?,
            flags: r.u16()?,
        };
        Ok((header, r.rest()))
    }

    pub(crate) fn is_artificial(&self) -> bool {
        self.flags & FLAG_ARTIFICIAL != 0
    }
}
