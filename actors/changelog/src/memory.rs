use std::cmp::Ordering;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic};

use async_trait::async_trait;
use oms_core::Position;
use tokio::sync::watch;

use crate::chain::Chain;
use crate::pins::{Pin, Pins};
use crate::{
    ChangeLog, ChangeLogError, EncodedPosition, LogReader, LogRecord, LogSeq, LogStats, LogWriter,
    MAX_PAYLOAD, NewRecord, ReadFrom, Result, Retained, RetentionPolicy,
};

/// A change log in bounded memory, for simulation: what is committed counts as durable while the value lives.
#[derive(Debug)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    capacity: usize,
    state: Mutex<State>,
    published: watch::Sender<(LogSeq, bool)>,
    writer_taken: AtomicBool,
}

#[derive(Debug)]
struct State {
    records: VecDeque<LogRecord>,
    bytes: usize,
    /// The point before the first record held.
    oldest: Chain,
    chain: Chain,
    pins: Pins,
}

impl MemoryLog {
    /// An empty log that refuses, as a full disk does, to hold more than `capacity` bytes.
    pub fn new(start_position: &Position, capacity: usize) -> Result<Self> {
        let chain = Chain::start(EncodedPosition::encode(start_position)?);
        let state = State {
            records: VecDeque::new(),
            bytes: 0,
            oldest: chain.clone(),
            chain,
            pins: Pins::default(),
        };
        let shared = Shared {
            capacity,
            state: Mutex::new(state),
            published: watch::Sender::new((LogSeq::NONE, false)),
            writer_taken: AtomicBool::new(false),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self) -> Result<()> {
        if self.published.borrow().1 {
            Err(ChangeLogError::Closed)
        } else {
            Ok(())
        }
    }
}

impl State {
    fn first(&self) -> LogSeq {
        self.oldest.last.next()
    }

    fn check_inside(&self, seq: LogSeq) -> Result<()> {
        let (oldest, next) = (self.first(), self.chain.last.next());
        if seq < oldest {
            return Err(ChangeLogError::SeqPurged { wanted: seq, oldest });
        }
        if seq > next {
            return Err(ChangeLogError::SeqAhead { wanted: seq, next });
        }
        Ok(())
    }

    fn index(&self, seq: LogSeq) -> usize {
        seq.0.saturating_sub(self.first().0) as usize
    }

    fn find(&self, wanted: &Position, between: bool) -> Result<LogSeq> {
        let (oldest, newest) = (self.oldest.resume.decode()?, self.chain.resume.decode()?);
        match wanted.partial_cmp(&oldest) {
            Some(Ordering::Equal) => return Ok(self.first()),
            Some(Ordering::Less) => {
                return Err(ChangeLogError::PositionPurged {
                    oldest: Box::new(oldest),
                });
            }
            _ => {}
        }
        let mut behind = (wanted.partial_cmp(&oldest) == Some(Ordering::Greater)).then(|| self.first());
        for record in &self.records {
            let Some(position) = &record.position else {
                continue;
            };
            match wanted.partial_cmp(&position.decode()?) {
                Some(Ordering::Equal) => return Ok(record.seq.next()),
                Some(Ordering::Greater) => behind = Some(record.seq.next()),
                Some(Ordering::Less) if between => {
                    if let Some(seq) = behind {
                        return Ok(seq);
                    }
                    break;
                }
                _ => {}
            }
        }
        if wanted.partial_cmp(&newest) == Some(Ordering::Greater) {
            return Err(ChangeLogError::PositionAhead {
                newest: Box::new(newest),
            });
        }
        Err(ChangeLogError::PositionUnknown {
            oldest: Box::new(oldest),
            newest: Box::new(newest),
        })
    }

    /// Removes whole transactions from the front.
    fn retain(&mut self, now_us: i64, policy: RetentionPolicy) -> Retained {
        let lowest = self.pins.lowest();
        let (mut at, mut bytes) = (self.oldest.clone(), self.bytes as u64);
        let (mut border, mut count) = (at.clone(), 0);
        for (index, record) in self.records.iter().enumerate() {
            let old = now_us.saturating_sub(record.source_time_us) > policy.min_age_us;
            if lowest.is_some_and(|lowest| lowest <= record.seq) || (!old && bytes <= policy.max_bytes) {
                break;
            }
            let admitted = at.admit(
                record.flags,
                record.source_time_us,
                record.position.as_ref(),
                record.payload.len(),
            );
            if admitted.is_err() {
                break;
            }
            bytes = bytes.saturating_sub(record.size() as u64);
            if at.open_txn.is_none() {
                (border, count) = (at.clone(), index + 1);
            }
        }
        let removed: usize = self.records.drain(..count).map(|record| record.size()).sum();
        self.oldest = border;
        self.bytes = self.bytes.saturating_sub(removed);
        Retained {
            segments: u64::from(count > 0),
            bytes: removed as u64,
        }
    }
}

impl Drop for MemoryLog {
    fn drop(&mut self) {
        self.shared.published.send_modify(|published| published.1 = true);
    }
}

#[async_trait]
impl ChangeLog for MemoryLog {
    async fn writer(&self) -> Result<Box<dyn LogWriter>> {
        self.shared.check_open()?;
        if self.shared.writer_taken.swap(true, atomic::Ordering::AcqRel) {
            return Err(ChangeLogError::WriterTaken);
        }
        let chain = self.shared.state().chain.clone();
        let mut writer = MemoryWriter {
            shared: self.shared.clone(),
            chain,
            staged: Vec::new(),
            staged_bytes: 0,
        };
        if writer.chain.open_txn.is_some() {
            let time = writer.chain.last_time_us;
            writer.append(vec![NewRecord::abort(time)]).await?;
            writer.commit().await?;
        }
        Ok(Box::new(writer))
    }

    async fn open_reader(&self, from: ReadFrom) -> Result<Box<dyn LogReader>> {
        self.shared.check_open()?;
        let mut state = self.shared.state();
        let next = match from {
            ReadFrom::Start => state.first(),
            ReadFrom::Seq(seq) => seq,
            ReadFrom::Position(position) => state.find(&position, false)?,
            ReadFrom::Behind(position) => state.find(&position, true)?,
        };
        state.check_inside(next)?;
        let pin = state.pins.pin(next);
        let published = self.shared.published.subscribe();
        Ok(Box::new(MemoryReader {
            shared: self.shared.clone(),
            published,
            pin,
            next,
        }))
    }

    fn resume_position(&self) -> Result<Position> {
        let resume = self.shared.state().chain.resume.clone();
        resume.decode()
    }

    fn durable_seq(&self) -> LogSeq {
        self.shared.published.borrow().0
    }

    async fn set_low_watermark(&self, consumer: &str, needs_from: LogSeq) -> Result<()> {
        self.shared.check_open()?;
        let mut state = self.shared.state();
        state.check_inside(needs_from)?;
        state.pins.consumers.insert(consumer.to_owned(), needs_from);
        Ok(())
    }

    async fn remove_consumer(&self, consumer: &str) -> Result<bool> {
        self.shared.check_open()?;
        Ok(self.shared.state().pins.consumers.remove(consumer).is_some())
    }

    async fn retain(&self, now_us: i64, policy: RetentionPolicy) -> Result<Retained> {
        self.shared.check_open()?;
        Ok(self.shared.state().retain(now_us, policy))
    }

    fn stats(&self) -> LogStats {
        let state = self.shared.state();
        LogStats {
            first_seq: state.first(),
            last_seq: state.chain.last,
            bytes: state.bytes as u64,
            segments: 1,
            first_source_time_us: state.records.front().map(|record| record.source_time_us),
            last_source_time_us: state.records.back().map(|record| record.source_time_us),
        }
    }

    async fn close(&self) -> Result<()> {
        self.shared.published.send_modify(|published| published.1 = true);
        Ok(())
    }
}

struct MemoryWriter {
    shared: Arc<Shared>,
    chain: Chain,
    staged: Vec<LogRecord>,
    staged_bytes: usize,
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.shared.writer_taken.store(false, atomic::Ordering::Release);
    }
}

#[async_trait]
impl LogWriter for MemoryWriter {
    async fn append(&mut self, records: Vec<NewRecord>) -> Result<LogSeq> {
        self.shared.check_open()?;
        let mut chain = self.chain.clone();
        let mut batch = Vec::with_capacity(records.len());
        for (index, record) in records.into_iter().enumerate() {
            let refuse = |reason| ChangeLogError::InvalidRecord { index, reason };
            if record.payload.len() > MAX_PAYLOAD {
                return Err(refuse("the payload is larger than 1 GiB"));
            }
            let NewRecord {
                flags,
                source_time_us,
                position,
                payload,
            } = record;
            let position = position.as_ref().map(EncodedPosition::encode).transpose()?;
            let seq = chain
                .admit(flags, source_time_us, position.as_ref(), payload.len())
                .map_err(refuse)?;
            batch.push(LogRecord {
                seq,
                flags,
                source_time_us,
                position,
                payload,
            });
        }
        let bytes: usize = batch.iter().map(LogRecord::size).sum();
        let used = self.shared.state().bytes + self.staged_bytes;
        let free = self.shared.capacity.saturating_sub(used);
        if bytes > free {
            return Err(ChangeLogError::DiskFull {
                dir: PathBuf::from("(memory)"),
                free: free as u64,
                needed: bytes as u64,
                rolled_back_to: None,
            });
        }
        self.chain = chain;
        self.staged_bytes += bytes;
        self.staged.append(&mut batch);
        Ok(self.chain.last)
    }

    async fn commit(&mut self) -> Result<LogSeq> {
        self.shared.check_open()?;
        let mut state = self.shared.state();
        state.records.extend(self.staged.drain(..));
        state.bytes += std::mem::take(&mut self.staged_bytes);
        state.chain = self.chain.clone();
        drop(state);
        self.shared
            .published
            .send_modify(|published| published.0 = self.chain.last);
        Ok(self.chain.last)
    }

    fn next_seq(&self) -> LogSeq {
        self.chain.last.next()
    }

    fn open_transaction(&self) -> Option<LogSeq> {
        self.chain.open_txn
    }
}

struct MemoryReader {
    shared: Arc<Shared>,
    published: watch::Receiver<(LogSeq, bool)>,
    pin: Pin,
    next: LogSeq,
}

#[async_trait]
impl LogReader for MemoryReader {
    async fn next_batch(&mut self, max_bytes: usize) -> Result<Vec<LogRecord>> {
        loop {
            let (last, closed) = *self.published.borrow_and_update();
            if last >= self.next {
                break;
            }
            if closed || self.published.changed().await.is_err() {
                return Err(ChangeLogError::Closed);
            }
        }
        let state = self.shared.state();
        state.check_inside(self.next)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for record in state
            .records
            .range(state.index(self.next).min(state.records.len())..)
        {
            bytes += record.size();
            if !batch.is_empty() && bytes > max_bytes {
                break;
            }
            batch.push(record.clone());
        }
        if let Some(last) = batch.last() {
            self.next = last.seq.next();
            self.pin.move_to(self.next);
        }
        Ok(batch)
    }

    fn next_seq(&self) -> LogSeq {
        self.next
    }
}
