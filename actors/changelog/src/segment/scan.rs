use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use bytes::Bytes;

use crate::{EncodedPosition, LogSeq};

use super::frame::{FrameHead, HEAD};

const BUFFER: usize = 1 << 20;

/// Walks the frames of a segment with bounded memory, checking each, without keeping payloads.
pub(crate) struct Scanner<'a> {
    input: BufReader<&'a File>,
    seed: u32,
    offset: u64,
    end: u64,
}

/// A frame that passed its check.
pub(crate) struct Scanned {
    pub(crate) head: FrameHead,
    pub(crate) position: Option<EncodedPosition>,
}

/// How a walk stopped.
pub(crate) enum Stop {
    /// The bytes at the current offset are not a whole, sound frame.
    Bad(&'static str),
    /// The file cannot be read.
    Io(io::Error),
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(file: &'a File, seed: u32, offset: u64, end: u64) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(BUFFER, file);
        input.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            input,
            seed,
            offset,
            end,
        })
    }

    /// The end of the last sound frame.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next frame; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Scanned>, Stop> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Ok(None);
        }
        if left < HEAD as u64 {
            return Err(Stop::Bad("the record's head is incomplete"));
        }
        let mut bytes = [0u8; HEAD];
        self.input.read_exact(&mut bytes).map_err(Stop::Io)?;
        let head = FrameHead::decode(&bytes).map_err(Stop::Bad)?;
        if head.frame_len() > left {
            return Err(Stop::Bad("the record is incomplete"));
        }
        let mut hasher = crc32fast::Hasher::new_with_initial(self.seed);
        hasher.update(&bytes[4..]);
        let mut position = vec![0u8; head.position_len as usize];
        self.input.read_exact(&mut position).map_err(Stop::Io)?;
        hasher.update(&position);
        let mut payload = (head.body_len - head.position_len) as usize;
        while payload > 0 {
            let available = self.input.fill_buf().map_err(Stop::Io)?;
            if available.is_empty() {
                return Err(Stop::Bad("the record is incomplete"));
            }
            let piece = available.get(..payload).unwrap_or(available);
            hasher.update(piece);
            let len = piece.len();
            self.input.consume(len);
            payload -= len;
        }
        if hasher.finalize() != head.crc {
            return Err(Stop::Bad("the record does not pass its check"));
        }
        self.offset += head.frame_len();
        let position = (!position.is_empty()).then(|| EncodedPosition::from_bytes(Bytes::from(position)));
        Ok(Some(Scanned { head, position }))
    }
}

/// Looks behind a bad frame for proof that it had been durable: a sound later frame that was written when
/// `missing` or a later record was known to be durable. Returns the offset of the proof.
pub(crate) fn find_proof(
    file: &File,
    seed: u32,
    from: u64,
    end: u64,
    missing: LogSeq,
) -> io::Result<Option<u64>> {
    let mut window = vec![0u8; BUFFER];
    let mut start = from;
    while end.saturating_sub(start) >= HEAD as u64 {
        let len = usize::try_from(end - start).unwrap_or(BUFFER).min(BUFFER);
        let Some(window) = window.get_mut(..len) else {
            break;
        };
        file.read_exact_at(window, start)?;
        for (at, bytes) in window.windows(HEAD).enumerate() {
            let offset = start + at as u64;
            let Ok(head) = FrameHead::decode(bytes) else {
                continue;
            };
            let likely =
                head.durable >= missing && head.seq > head.durable && head.frame_len() <= end - offset;
            if likely && matches!(Scanner::new(file, seed, offset, end)?.next(), Ok(Some(_))) {
                return Ok(Some(offset));
            }
        }
        start += (len - HEAD + 1) as u64;
    }
    Ok(None)
}
