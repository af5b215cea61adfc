//! The CRC32 behind an event.

use bytes::Bytes;

use super::{error::EventError, event_header::HEADER_LENGTH};

/// Bytes of a checksum.
pub(crate) const CHECKSUM_LENGTH: usize = 4;

/// Whether the last four bytes are the checksum of those before them.
pub(crate) fn matches(event: &[u8]) -> bool {
    event
        .split_last_chunk::<CHECKSUM_LENGTH>()
        .is_some_and(|(body, sum)| crc32fast::hash(body) == u32::from_le_bytes(*sum))
}

/// Verifies the checksum and takes it off.
pub(crate) fn verify_and_strip(event: &mut Bytes) -> Result<(), EventError> {
    if event.len() < HEADER_LENGTH + CHECKSUM_LENGTH {
        return Err(EventError::corrupt("the event is too short for its checksum"));
    }
    if !matches(event) {
        return Err(EventError::corrupt("the checksum of the event is wrong"));
    }
    event.truncate(event.len() - CHECKSUM_LENGTH);
    Ok(())
}
