use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::chain::Chain;
use crate::{ChangeLogError, EncodedPosition, LogSeq, NewRecord, RecordFlags, Result};

use super::disk::is_full;
use super::engine::{Engine, SegmentInfo};
use super::frame::{FrameHead, HEAD};
use super::header::SegmentHeader;

/// Payloads from this size on are written from where they are, without a copy.
const DIRECT: usize = 64 << 10;
/// Smaller ones are gathered up to this size.
const GATHER: usize = 256 << 10;

/// A record whose order and position were checked.
#[derive(Debug)]
pub(crate) struct Staged {
    flags: RecordFlags,
    source_time_us: i64,
    position: Option<EncodedPosition>,
    payload: Bytes,
}

impl Staged {
    pub(crate) fn new(record: NewRecord, position: Option<EncodedPosition>) -> Self {
        let NewRecord {
            flags,
            source_time_us,
            payload,
            ..
        } = record;
        Self {
            flags,
            source_time_us,
            position,
            payload,
        }
    }

    fn position(&self) -> &[u8] {
        self.position.as_ref().map_or(&[], |position| position.as_bytes())
    }

    pub(crate) fn frame_len(&self) -> usize {
        HEAD + self.position().len() + self.payload.len()
    }
}

/// The appending end of the log: what is written, durable or not. Blocking.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The last segment.
    file: File,
    /// The last durable segment and those begun since, as far as written.
    segments: Vec<SegmentInfo>,
    /// The point after what is written.
    chain: Chain,
    gather: Vec<u8>,
    /// Written bytes must be cut off before anything else is written.
    dirty: bool,
    /// Which writer may write; raised to shut out the work of an earlier one.
    generation: u64,
}

struct Failed {
    path: PathBuf,
    source: io::Error,
}

impl Tail {
    /// The end of a log whose every byte is durable.
    pub(crate) fn new(file: File, last: SegmentInfo, chain: Chain) -> Self {
        Self {
            file,
            segments: vec![last],
            chain,
            gather: Vec::new(),
            dirty: false,
            generation: 0,
        }
    }

    /// Begins a new writer: earlier writers are shut out and what they left uncommitted is cut off.
    pub(crate) fn take_over(&mut self, engine: &Engine) -> Result<(u64, Chain)> {
        engine.check_open()?;
        self.generation += 1;
        if self.chain != engine.state().chain {
            self.dirty = true;
        }
        self.ensure_clean(engine)?;
        Ok((self.generation, self.chain.clone()))
    }

    /// Shuts out every writer for good.
    pub(crate) fn shut(&mut self) {
        self.generation += 1;
    }

    /// Writes records without making them durable. On an error the log is cut back to its durable end.
    pub(crate) fn write(&mut self, engine: &Engine, generation: u64, records: &[Staged]) -> Result<()> {
        self.check(engine, generation)?;
        let written = self.write_all(engine, records);
        self.conclude(engine, written)
    }

    /// Writes records, makes all that is written durable and shows it to the readers.
    pub(crate) fn commit(&mut self, engine: &Engine, generation: u64, records: &[Staged]) -> Result<()> {
        self.check(engine, generation)?;
        let synced = self.write_all(engine, records).and_then(|()| self.sync(engine));
        self.conclude(engine, synced)?;
        self.publish(engine);
        Ok(())
    }

    fn check(&mut self, engine: &Engine, generation: u64) -> Result<()> {
        if generation != self.generation {
            return Err(ChangeLogError::Closed);
        }
        self.ensure_clean(engine)
    }

    fn write_all(&mut self, engine: &Engine, records: &[Staged]) -> Result<(), Failed> {
        // Until this ends well, so that not even a panic leaves half a batch behind.
        self.dirty = true;
        self.gather.clear();
        let durable = engine.published.borrow().last;
        for record in records {
            self.write_one(engine, durable, record)?;
        }
        self.flush(engine)
    }

    fn write_one(&mut self, engine: &Engine, durable: LogSeq, record: &Staged) -> Result<(), Failed> {
        let (len, begun) = self
            .current()
            .map_or((0, false), |now| (now.len, now.len > now.header.len()));
        let at = len + self.gather.len() as u64;
        if (begun || !self.gather.is_empty()) && at + record.frame_len() as u64 > engine.config.segment_bytes
        {
            self.flush(engine)?;
            self.rotate(engine)?;
        }
        let position = record.position();
        let head = FrameHead {
            crc: 0,
            body_len: (position.len() + record.payload.len()) as u32,
            seq: self.chain.last.next(),
            durable,
            source_time_us: record.source_time_us,
            position_len: position.len() as u32,
            flags: record.flags,
        };
        self.gather
            .extend_from_slice(&head.encode(engine.seed, position, &record.payload));
        self.gather.extend_from_slice(position);
        if let Err(reason) = self.chain.admit(
            record.flags,
            record.source_time_us,
            record.position.as_ref(),
            record.payload.len(),
        ) {
            return Err(self.failed(engine, io::Error::new(io::ErrorKind::InvalidData, reason)));
        }
        if let Some(now) = self.segments.last_mut() {
            now.first_time_us.get_or_insert(record.source_time_us);
        }
        if record.payload.len() >= DIRECT {
            self.flush(engine)?;
            self.put(engine, &record.payload)?;
        } else {
            self.gather.extend_from_slice(&record.payload);
            if self.gather.len() >= GATHER {
                self.flush(engine)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, engine: &Engine) -> Result<(), Failed> {
        let gather = std::mem::take(&mut self.gather);
        let written = if gather.is_empty() {
            Ok(())
        } else {
            self.put(engine, &gather)
        };
        self.gather = gather;
        self.gather.clear();
        written
    }

    fn put(&mut self, engine: &Engine, bytes: &[u8]) -> Result<(), Failed> {
        let Some(now) = self.segments.last_mut() else {
            return Ok(());
        };
        let written = engine.disk.write(now.first(), &self.file, bytes, now.len);
        if written.is_ok() {
            now.len += bytes.len() as u64;
        }
        written.map_err(|error| self.failed(engine, error))
    }

    /// Begins a new segment. The finished one is durable first: only the last can ever be torn.
    fn rotate(&mut self, engine: &Engine) -> Result<(), Failed> {
        self.sync(engine)?;
        let Some(finished) = self.current() else {
            return Ok(());
        };
        let header = SegmentHeader {
            log_id: finished.header.log_id,
            start: self.chain.clone(),
            prev_first: finished.first(),
            prev_len: finished.len,
        };
        let first = header.first();
        // Noted before it exists, so that a roll-back also removes one whose creation failed half-way.
        self.segments.push(SegmentInfo {
            len: header.len(),
            header: Arc::new(header.clone()),
            first_time_us: None,
        });
        self.file = engine
            .disk
            .create(first, &header.encode())
            .map_err(|error| self.failed(engine, error))?;
        Ok(())
    }

    fn sync(&mut self, engine: &Engine) -> Result<(), Failed> {
        let Some(now) = self.current() else { return Ok(()) };
        engine
            .disk
            .sync(now.first(), &self.file)
            .map_err(|error| self.failed(engine, error))
    }

    fn publish(&mut self, engine: &Engine) {
        let Some(now) = self.current().cloned() else {
            return;
        };
        if let Err(error) = engine.mark.set(self.chain.last) {
            // The note only ever adds proof; without it recovery is as good as after a power cut.
            tracing::warn!(dir = %engine.disk.dir().display(), %error, "cannot note the acknowledged record");
        }
        let mut state = engine.state();
        state.segments.pop_back();
        state.segments.extend(self.segments.drain(..));
        state.chain = self.chain.clone();
        drop(state);
        self.segments.push(now);
        engine
            .published
            .send_modify(|published| published.last = self.chain.last);
    }

    /// Turns a failure into the caller's error and cuts back what was written.
    fn conclude(&mut self, engine: &Engine, result: Result<(), Failed>) -> Result<()> {
        let Err(Failed { path, source }) = result else {
            self.dirty = false;
            return Ok(());
        };
        let rolled_back_to = engine.published.borrow().last;
        if let Err(error) = self.ensure_clean(engine) {
            tracing::warn!(%error, "the change log is cut back with the next write");
        }
        Err(if is_full(&source) {
            ChangeLogError::DiskFull {
                dir: engine.disk.dir().to_owned(),
                free: engine.disk.free().unwrap_or(0),
                needed: engine.config.reserve_bytes,
                rolled_back_to: Some(rolled_back_to),
            }
        } else {
            ChangeLogError::WriteFailed {
                path,
                rolled_back_to,
                source,
            }
        })
    }

    /// Cuts the files back to the durable end, if they may be longer.
    fn ensure_clean(&mut self, engine: &Engine) -> Result<()> {
        if !self.dirty {
            return Ok(());
        }
        let (durable, chain) = {
            let state = engine.state();
            (state.segments.back().cloned(), state.chain.clone())
        };
        let Some(durable) = durable else { return Ok(()) };
        let path = engine.disk.path(durable.first());
        let io = |source| ChangeLogError::io(path.clone(), source);
        for begun in self.segments.iter().skip(1).rev() {
            engine.disk.remove(begun.first()).map_err(io)?;
        }
        self.file = File::options().read(true).write(true).open(&path).map_err(io)?;
        engine
            .disk
            .truncate(durable.first(), &self.file, durable.len)
            .map_err(io)?;
        self.segments = vec![durable];
        self.chain = chain;
        self.gather.clear();
        self.dirty = false;
        Ok(())
    }

    fn current(&self) -> Option<&SegmentInfo> {
        self.segments.last()
    }

    fn failed(&self, engine: &Engine, source: io::Error) -> Failed {
        let path = self.current().map_or_else(
            || engine.disk.dir().to_owned(),
            |now| engine.disk.path(now.first()),
        );
        Failed { path, source }
    }
}
