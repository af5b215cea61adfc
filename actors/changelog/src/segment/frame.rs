use crate::position::MAX_POSITION;
use crate::{LogSeq, MAX_PAYLOAD, RecordFlags};

use super::config::LogId;

/// Bytes before position and payload.
///
/// ```text
///  0 u32 checksum of all that follows, seeded with the log id
///  4 u32 length of position and payload
///  8 u64 sequence number
/// 16 u64 last number known to be durable when the frame was written
/// 24 i64 source time, microseconds
/// 32 u32 length of the position
/// 36 u16 flags
/// 38 u16 zero
/// ```
/// All little-endian. Position and payload follow.
pub(crate) const HEAD: usize = 40;

/// The checksum seed of a log.
pub(crate) fn seed(log_id: LogId) -> u32 {
    crc32fast::hash(&log_id.0)
}

/// A frame's head, not yet checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FrameHead {
    pub(crate) crc: u32,
    pub(crate) body_len: u32,
    pub(crate) seq: LogSeq,
    pub(crate) durable: LogSeq,
    pub(crate) source_time_us: i64,
    pub(crate) position_len: u32,
    pub(crate) flags: RecordFlags,
}

impl FrameHead {
    /// Reads a head. The error says what no writer of this format can have written.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let (Some(crc), Some(body_len), Some(seq), Some(durable), Some(time), Some(position_len), Some(tail)) = (
            array::<4>(bytes, 0),
            array::<4>(bytes, 4),
            array::<8>(bytes, 8),
            array::<8>(bytes, 16),
            array::<8>(bytes, 24),
            array::<4>(bytes, 32),
            array::<4>(bytes, 36),
        ) else {
            return Err("the record's head is incomplete");
        };
        let body_len = u32::from_le_bytes(body_len);
        let position_len = u32::from_le_bytes(position_len);
        if position_len > body_len
            || position_len as usize > MAX_POSITION
            || (body_len - position_len) as usize > MAX_PAYLOAD
        {
            return Err("the record's length makes no sense");
        }
        let [flags_low, flags_high, zero_a, zero_b] = tail;
        if (zero_a, zero_b) != (0, 0) {
            return Err("the record's head makes no sense");
        }
        let flags = RecordFlags::from_bits(u16::from_le_bytes([flags_low, flags_high]))
            .ok_or("the record has an unknown flag")?;
        Ok(Self {
            crc: u32::from_le_bytes(crc),
            body_len,
            seq: LogSeq(u64::from_le_bytes(seq)),
            durable: LogSeq(u64::from_le_bytes(durable)),
            source_time_us: i64::from_le_bytes(time),
            position_len,
            flags,
        })
    }

    /// Writes the head; the checksum is computed here over head, position and payload.
    pub(crate) fn encode(&self, seed: u32, position: &[u8], payload: &[u8]) -> [u8; HEAD] {
        let mut head = [0u8; HEAD];
        head[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        head[8..16].copy_from_slice(&self.seq.0.to_le_bytes());
        head[16..24].copy_from_slice(&self.durable.0.to_le_bytes());
        head[24..32].copy_from_slice(&self.source_time_us.to_le_bytes());
        head[32..36].copy_from_slice(&self.position_len.to_le_bytes());
        head[36..38].copy_from_slice(&self.flags.bits().to_le_bytes());
        let mut hasher = crc32fast::Hasher::new_with_initial(seed);
        hasher.update(&head[4..]);
        hasher.update(position);
        hasher.update(payload);
        head[..4].copy_from_slice(&hasher.finalize().to_le_bytes());
        head
    }

    /// Bytes of the whole frame.
    pub(crate) fn frame_len(&self) -> u64 {
        HEAD as u64 + u64::from(self.body_len)
    }
}

/// The checksum of a frame's bytes after the checksum field.
pub(crate) fn checksum(seed: u32, after_crc: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(after_crc);
    hasher.finalize()
}

/// `N` bytes at an offset, if they are there.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(seq: u64, durable: u64, time: i64, flags: u16, position: &[u8], payload: &[u8]) -> FrameHead {
        FrameHead {
            crc: 0,
            body_len: (position.len() + payload.len()) as u32,
            seq: LogSeq(seq),
            durable: LogSeq(durable),
            source_time_us: time,
            position_len: position.len() as u32,
            flags: RecordFlags::from_bits(flags).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn round_trips_and_notices_every_flipped_bit(
            seq: u64, durable: u64, time: i64, flags in 0u16..16, id: [u8; 16],
            position in prop::collection::vec(any::<u8>(), 0..40),
            payload in prop::collection::vec(any::<u8>(), 0..200),
            flip: prop::sample::Index,
        ) {
            let seed = seed(LogId(id));
            let written = head(seq, durable, time, flags, &position, &payload);
            let mut frame = written.encode(seed, &position, &payload).to_vec();
            frame.extend_from_slice(&position);
            frame.extend_from_slice(&payload);
            let read = FrameHead::decode(&frame).unwrap();
            prop_assert_eq!(
                (read.seq, read.durable, read.source_time_us, read.flags, read.position_len, read.frame_len()),
                (written.seq, written.durable, time, written.flags, written.position_len, frame.len() as u64)
            );
            prop_assert_eq!(read.crc, checksum(seed, &frame[4..]));
            prop_assert_ne!(read.crc, checksum(seed ^ 1, &frame[4..]));
            let bit = flip.index(frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            let noticed = match FrameHead::decode(&frame) {
                Err(_) => true,
                Ok(read) => read.crc != checksum(seed, &frame[4..]),
            };
            prop_assert!(noticed, "bit {} went unnoticed", bit);
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = FrameHead::decode(&bytes);
        }
    }
}
