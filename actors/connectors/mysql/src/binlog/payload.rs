//! MySQL's compressed transactions (`binlog_transaction_compression`).

use std::io::Read;

use bytes::{Buf, Bytes, buf::Reader as BufReader};
use zstd::stream::read::Decoder;

use super::{bytes_reader::Reader, error::EventError, event_header::HEADER_LENGTH};

/// Gives the events of a transaction payload one after the other. In memory is one event and the
/// decompressor's window.
pub(crate) struct PayloadReader {
    stream: Stream,
    event: Vec<u8>,
    left: u64,
    limit: usize,
}

enum Stream {
    Plain(BufReader<Bytes>),
    Zstd(Box<Decoder<'static, std::io::BufReader<BufReader<Bytes>>>>),
}

impl std::fmt::Debug for PayloadReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadReader").field("left", &self.left).finish()
    }
}

const END: u64 = 0;
const SIZE: u64 = 1;
const COMPRESSION: u64 = 2;
const UNCOMPRESSED_SIZE: u64 = 3;

const ZSTD: u64 = 0;
const NONE: u64 = 255;

impl PayloadReader {
    /// Opens the body of a TRANSACTION_PAYLOAD event. Events above `limit` bytes are refused.
    pub(crate) fn open(body: &Bytes, limit: usize) -> Result<Self, EventError> {
        let mut r = Reader::new(body);
        let (mut size, mut compression, mut uncompressed) = (None, None, None);
        loop {
            let field = r.lenenc()?;
            if field == END {
                break;
            }
            let value = r.lenenc_bytes()?;
            let number = Reader::new(value).lenenc()?;
            match field {
                SIZE => size = Some(number),
                COMPRESSION => compression = Some(number),
                UNCOMPRESSED_SIZE => uncompressed = Some(number),
                other => {
                    return Err(EventError::unknown(format!(
                        "field {other} of a transaction payload"
                    )));
                }
            }
        }
        if size != Some(r.len() as u64) {
            return Err(EventError::corrupt(
                "a transaction payload has another size than announced",
            ));
        }
        let payload = body.slice(body.len() - r.len()..);
        let stream = match compression {
            Some(NONE) => Stream::Plain(payload.reader()),
            Some(ZSTD) => Decoder::new(payload.reader())
                .map(|d| Stream::Zstd(Box::new(d)))
                .map_err(|e| EventError::corrupt(format!("a transaction payload: {e}")))?,
            other => {
                return Err(EventError::unknown(format!(
                    "compression {other:?} of a transaction payload"
                )));
            }
        };
        let left = match (compression, uncompressed) {
            (_, Some(n)) => n,
            (Some(NONE), None) => r.len() as u64,
            _ => return Err(EventError::corrupt("a transaction payload without its size")),
        };
        Ok(Self {
            stream,
            event: Vec::new(),
            left,
            limit,
        })
    }

    /// The next event; `None` at the end. Events have no checksums of their own.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, EventError> {
        if self.left == 0 {
            let mut one = [0u8; 1];
            return match self.read(&mut one)? {
                0 => Ok(None),
                _ => Err(EventError::corrupt(
                    "a transaction payload is longer than announced",
                )),
            };
        }
        let mut head = [0u8; HEADER_LENGTH];
        self.read_exact(&mut head)?;
        let size = Reader::new(head.get(9..).unwrap_or_default()).u32()? as usize;
        if size < HEADER_LENGTH || size > self.limit || size as u64 > self.left {
            return Err(EventError::corrupt(format!(
                "an event of {size} bytes in a transaction payload with {} left",
                self.left
            )));
        }
        self.left -= size as u64;
        let mut event = std::mem::take(&mut self.event);
        event.clear();
        event.extend(head);
        // Memory is taken as it is filled: the size is only a claim.
        while event.len() < size {
            let at = event.len();
            event.resize(size.min(at + (1 << 20)), 0);
            self.read_exact(event.get_mut(at..).unwrap_or_default())?;
        }
        self.event = event;
        Ok(Some(&self.event))
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, EventError> {
        let result = match &mut self.stream {
            Stream::Plain(s) => s.read(out),
            Stream::Zstd(s) => s.read(out),
        };
        result.map_err(|e| EventError::corrupt(format!("a transaction payload cannot be inflated: {e}")))
    }

    fn read_exact(&mut self, out: &mut [u8]) -> Result<(), EventError> {
        let mut filled = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|r| !r.is_empty()) {
            match self.read(rest)? {
                0 => return Err(EventError::corrupt("a transaction payload ends too early")),
                n => filled += n,
            }
        }
        Ok(())
    }
}
