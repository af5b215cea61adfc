use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::pins::Pin;
use crate::{ChangeLogError, LogReader, LogRecord, LogSeq, Result};

use super::cursor::{Amount, Cursor};
use super::engine::{Engine, Published, interrupted};

/// A reader of a [`SegmentLog`](crate::SegmentLog): hands out one buffer while the next is being read.
pub(crate) struct SegmentReader {
    engine: Arc<Engine>,
    published: watch::Receiver<Published>,
    pin: Pin,
    ready: VecDeque<LogRecord>,
    ready_bytes: usize,
    /// The next record that is not in `ready`.
    fetch_next: LogSeq,
    cursor: Option<Cursor>,
    /// The read under way. Kept here so that a dropped call loses nothing.
    running: Option<JoinHandle<(Cursor, Result<Vec<LogRecord>>)>>,
}

impl SegmentReader {
    pub(crate) fn new(engine: Arc<Engine>, from: LogSeq, pin: Pin) -> Self {
        let published = engine.published.subscribe();
        Self {
            engine,
            published,
            pin,
            ready: VecDeque::new(),
            ready_bytes: 0,
            fetch_next: from,
            cursor: None,
            running: None,
        }
    }

    fn start(&mut self, amount: Amount) {
        let mut cursor = self.cursor.take().unwrap_or_else(|| Cursor::new(self.fetch_next));
        let engine = self.engine.clone();
        self.running = Some(tokio::task::spawn_blocking(move || {
            let records = cursor.read(&engine, amount);
            (cursor, records)
        }));
    }

    async fn settle(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let result = running.await;
        self.running = None;
        let (cursor, records) = result.map_err(|error| interrupted(&error))?;
        // After an error the next attempt begins with a fresh cursor at the same record.
        let records = records?;
        self.cursor = Some(cursor);
        if let Some(last) = records.last() {
            self.fetch_next = last.seq.next();
        }
        self.ready_bytes = records.iter().map(LogRecord::size).sum();
        self.ready = VecDeque::from(records);
        Ok(())
    }

    fn take(&mut self, max_bytes: usize) -> Vec<LogRecord> {
        if self.ready_bytes <= max_bytes {
            self.ready_bytes = 0;
            return Vec::from(std::mem::take(&mut self.ready));
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(size) = self.ready.front().map(LogRecord::size) {
            if !batch.is_empty() && bytes + size > max_bytes {
                break;
            }
            bytes += size;
            batch.extend(self.ready.pop_front());
        }
        self.ready_bytes -= bytes;
        batch
    }
}

#[async_trait]
impl LogReader for SegmentReader {
    async fn next_batch(&mut self, max_bytes: usize) -> Result<Vec<LogRecord>> {
        while self.ready.is_empty() {
            if self.running.is_none() {
                let published = *self.published.borrow_and_update();
                if published.last < self.fetch_next {
                    if published.closed || self.published.changed().await.is_err() {
                        return Err(ChangeLogError::Closed);
                    }
                    continue;
                }
                self.start(Amount::AtLeastOne);
            }
            self.settle().await?;
        }
        let buffered = self.ready_bytes;
        let batch = self.take(max_bytes);
        if let Some(last) = batch.last() {
            self.pin.move_to(last.seq.next());
        }
        // Read ahead one buffer, but hold no second large record.
        let ahead =
            self.ready.is_empty() && self.running.is_none() && buffered <= self.engine.config.read_ahead;
        if ahead && self.published.borrow().last >= self.fetch_next {
            self.start(Amount::Buffer);
        }
        Ok(batch)
    }

    fn next_seq(&self) -> LogSeq {
        self.ready.front().map_or(self.fetch_next, |record| record.seq)
    }
}
