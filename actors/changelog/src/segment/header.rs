use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;

use crate::chain::Chain;
use crate::position::MAX_POSITION;
use crate::{ChangeLogError, EncodedPosition, LogSeq, Result};

use super::config::LogId;
use super::frame::array;

const MAGIC: [u8; 8] = *b"omsclog\n";
const VERSION: u16 = 1;
/// Bytes before the start position.
const FIXED: usize = 84;

/// What a segment says about itself and about the one before it.
///
/// ```text
///  0 magic, 8 bytes            52 i64 source time of the record before
///  8 u16 format version        60 u64 first number of the segment before, 0 for none
/// 10 u16 zero                  68 u64 length of the segment before
/// 12 u32 length of the header  76 u32 length of the start position
/// 16 u32 checksum of the rest  80 u32 zero
/// 20 log id, 16 bytes          84 start position
/// 36 u64 first number
/// 44 u64 first number of the transaction that is open at the start, 0 for none
/// ```
/// followed, after the position, by the u64 number of the record that carried it. Little-endian. A header
/// is on disk, whole, before its segment gets its name; the segment before is on disk, whole, before that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) log_id: LogId,
    /// The point at which the segment begins.
    pub(crate) start: Chain,
    pub(crate) prev_first: LogSeq,
    pub(crate) prev_len: u64,
}

impl SegmentHeader {
    pub(crate) fn first(&self) -> LogSeq {
        self.start.last.next()
    }

    pub(crate) fn len(&self) -> u64 {
        (FIXED + self.start.resume.as_bytes().len() + 8) as u64
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let position = self.start.resume.as_bytes();
        let mut out = Vec::with_capacity(FIXED + position.len() + 8);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&(self.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.log_id.0);
        out.extend_from_slice(&self.first().0.to_le_bytes());
        out.extend_from_slice(&self.start.open_txn.unwrap_or(LogSeq::NONE).0.to_le_bytes());
        out.extend_from_slice(&self.start.last_time_us.to_le_bytes());
        out.extend_from_slice(&self.prev_first.0.to_le_bytes());
        out.extend_from_slice(&self.prev_len.to_le_bytes());
        out.extend_from_slice(&(position.len() as u32).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(position);
        out.extend_from_slice(&self.start.resume_seq.0.to_le_bytes());
        let crc = header_checksum(&out);
        out[16..20].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads and checks the header of an open segment file.
    pub(crate) fn read(path: &Path, file: &mut File) -> Result<Self> {
        let damaged = |reason| ChangeLogError::Corrupt {
            file: path.to_owned(),
            offset: 0,
            seq: name_to_seq(path).unwrap_or(LogSeq::NONE),
            reason,
        };
        let io = |source| ChangeLogError::io(path, source);
        let mut bytes = Vec::with_capacity(1024);
        Read::by_ref(file)
            .take(FIXED as u64)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if bytes.get(..8) != Some(&MAGIC[..]) {
            return Err(damaged("this is not a segment of a change log"));
        }
        let version = array::<2>(&bytes, 8)
            .map(u16::from_le_bytes)
            .ok_or_else(|| damaged("the header is incomplete"))?;
        if version != VERSION {
            return Err(ChangeLogError::UnknownVersion {
                file: path.to_owned(),
                version,
            });
        }
        let len = array::<4>(&bytes, 12).map(u32::from_le_bytes).unwrap_or(0) as usize;
        if !(FIXED + 8..=FIXED + 8 + MAX_POSITION).contains(&len) {
            return Err(damaged("the header's length makes no sense"));
        }
        Read::by_ref(file)
            .take((len - FIXED) as u64)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        if bytes.len() != len
            || array::<4>(&bytes, 16).map(u32::from_le_bytes) != Some(header_checksum(&bytes))
        {
            return Err(damaged("the header does not pass its check"));
        }
        Self::parse(&bytes).ok_or_else(|| damaged("the header contradicts itself"))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let number = |at| array::<8>(bytes, at).map(u64::from_le_bytes);
        let position_len = array::<4>(bytes, 76).map(u32::from_le_bytes)? as usize;
        let position = bytes.get(FIXED..FIXED.checked_add(position_len)?)?;
        if bytes.len() != FIXED + position_len + 8 {
            return None;
        }
        let open_txn = Some(LogSeq(number(44)?)).filter(|seq| *seq != LogSeq::NONE);
        Some(Self {
            log_id: LogId(array(bytes, 20)?),
            start: Chain {
                last: LogSeq(number(36)?.checked_sub(1)?),
                open_txn,
                resume: EncodedPosition::from_bytes(Bytes::copy_from_slice(position)),
                resume_seq: LogSeq(number(FIXED + position_len)?),
                last_time_us: number(52)? as i64,
            },
            prev_first: LogSeq(number(60)?),
            prev_len: number(68)?,
        })
    }
}

fn header_checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.get(..16).unwrap_or(bytes));
    hasher.update(bytes.get(20..).unwrap_or(&[]));
    hasher.finalize()
}

/// The name of the segment that begins with a record.
pub(crate) fn segment_name(first: LogSeq) -> String {
    format!("{:020}.seg", first.0)
}

/// The inverse of [`segment_name`].
pub(crate) fn name_to_seq(path: &Path) -> Option<LogSeq> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".seg")?;
    (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok().map(LogSeq))?
}
