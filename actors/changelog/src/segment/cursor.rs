use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use bytes::Bytes;

use crate::{ChangeLogError, EncodedPosition, LogRecord, LogSeq, Result};

use super::engine::{Engine, Readable};
use super::frame::{FrameHead, HEAD, checksum};

/// A place in the durable part of the log. Blocking; makes no change to anything but itself.
#[derive(Debug)]
pub(crate) struct Cursor {
    next: LogSeq,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    segment: Readable,
    offset: u64,
    /// The number of the frame at `offset`; behind `next` while a reader that began in the middle skips.
    seq: LogSeq,
}

/// How much one read may bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// At most one buffer; nothing when the next record is larger.
    Buffer,
    /// One buffer, or one record when that is larger.
    AtLeastOne,
}

impl Cursor {
    pub(crate) fn new(next: LogSeq) -> Self {
        Self { next, open: None }
    }

    /// Reads on. Nothing comes back at the durable end, and where `amount` says so.
    pub(crate) fn read(&mut self, engine: &Engine, amount: Amount) -> Result<Vec<LogRecord>> {
        let mut records = Vec::new();
        while records.is_empty() {
            let Some(segment) = engine.readable(self.next)? else {
                break;
            };
            let open = match &mut self.open {
                Some(open) if open.segment.first == segment.first => {
                    open.segment = segment;
                    open
                }
                open => open.insert(Open::new(segment)?),
            };
            let buffer = engine.config.read_ahead.max(HEAD) as u64;
            let next = open.read(engine.seed, buffer, amount, self.next, &mut records)?;
            if next == self.next && amount == Amount::Buffer && records.is_empty() {
                break;
            }
            self.next = next;
        }
        Ok(records)
    }
}

impl Open {
    fn new(segment: Readable) -> Result<Self> {
        let file = File::open(&segment.path).map_err(|error| ChangeLogError::io(&segment.path, error))?;
        let (offset, seq) = (segment.header_len, segment.first);
        Ok(Self {
            file,
            segment,
            offset,
            seq,
        })
    }

    /// Reads one buffer and takes the records from `wanted` on out of it. Returns the next wanted number.
    fn read(
        &mut self,
        seed: u32,
        buffer: u64,
        amount: Amount,
        wanted: LogSeq,
        out: &mut Vec<LogRecord>,
    ) -> Result<LogSeq> {
        let left = self.segment.len.saturating_sub(self.offset);
        let mut bytes = self.fetch(left.min(buffer))?;
        let mut next = wanted;
        loop {
            let mut used = 0;
            while let Some(head) = self.head(&bytes, used)? {
                let rest = bytes.len() - used;
                let Some(len) = usize::try_from(head.frame_len()).ok().filter(|len| *len <= rest) else {
                    break;
                };
                let record = self.record(seed, &head, bytes.slice(used..used + len))?;
                used += len;
                self.offset += len as u64;
                self.seq = self.seq.next();
                if record.seq >= next {
                    next = record.seq.next();
                    out.push(record);
                }
            }
            if used > 0 {
                return Ok(next);
            }
            let Some(head) = self.head(&bytes, 0)? else {
                return Err(self.damaged("the record is incomplete"));
            };
            if amount == Amount::Buffer && self.seq >= wanted {
                return Ok(next);
            }
            bytes = self.fetch(head.frame_len())?;
        }
    }

    /// The head at a place in the buffer, checked against what must be there; `None` when it is cut off.
    fn head(&self, bytes: &Bytes, at: usize) -> Result<Option<FrameHead>> {
        let Some(bytes) = bytes.get(at..).filter(|bytes| bytes.len() >= HEAD) else {
            return Ok(None);
        };
        let head = FrameHead::decode(bytes).map_err(|reason| self.damaged(reason))?;
        if head.seq != self.seq {
            return Err(self.damaged("another record is in its place"));
        }
        if head.frame_len() > self.segment.len.saturating_sub(self.offset) {
            return Err(self.damaged("the record is incomplete"));
        }
        Ok(Some(head))
    }

    fn record(&self, seed: u32, head: &FrameHead, frame: Bytes) -> Result<LogRecord> {
        if checksum(seed, frame.get(4..).unwrap_or_default()) != head.crc {
            return Err(self.damaged("the record does not pass its check"));
        }
        let body = HEAD + head.position_len as usize;
        let position = (head.position_len > 0).then(|| EncodedPosition::from_bytes(frame.slice(HEAD..body)));
        Ok(LogRecord {
            seq: head.seq,
            flags: head.flags,
            source_time_us: head.source_time_us,
            position,
            payload: frame.slice(body..),
        })
    }

    fn fetch(&self, len: u64) -> Result<Bytes> {
        let io = |error| ChangeLogError::io(&self.segment.path, error);
        let mut bytes = Vec::with_capacity(len as usize);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.offset)).map_err(io)?;
        file.take(len).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 != len {
            return Err(self.damaged("the file is shorter than it was"));
        }
        Ok(Bytes::from(bytes))
    }

    fn damaged(&self, reason: &'static str) -> ChangeLogError {
        ChangeLogError::Corrupt {
            file: self.segment.path.clone(),
            offset: self.offset,
            seq: self.seq,
            reason,
        }
    }
}
