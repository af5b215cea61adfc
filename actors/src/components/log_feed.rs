//! From the change log to events.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use oms_apply::{EventFeed, EventSource};
use oms_changelog::{LogId, LogRecord, LogSeq, RecordFlags as LogFlags};
use oms_core::{
    CapturedRecord, DecodeProgress, Failure, LogDecoder, LogEvent, Position, RecordFlags, Row, Source,
    TableMap,
};
use oms_types::ProjectId;

use super::{
    followed_log::{FollowedLog, LogLink},
    shelf::Shelf,
    store::failure_of,
};
use crate::ComponentLog;

/// Records between two marks.
const MARK_EVERY: u64 = 2_000;

/// Opens feeds over the project's change log.
pub(crate) struct LogEventSource {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) project: ProjectId,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) tables: Arc<TableMap>,
    pub(crate) marks: Arc<Marks>,
    pub(crate) link: Arc<LogLink>,
    pub(crate) log: Arc<ComponentLog>,
}

/// Which record of which log follows which position, now and then: lets a position be turned back
/// into the record number that retention needs.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    marks: Mutex<VecDeque<(LogId, LogSeq, Position)>>,
}

impl Marks {
    fn push(&self, log_id: LogId, next: LogSeq, position: Position) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.push_back((log_id, next, position));
    }

    fn clear(&self) {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The log and the number of the first record that is still needed when everything up to `applied`
    /// is at the destination; `None` when no further mark was passed.
    pub(crate) fn passed(&self, applied: &Position) -> Option<(LogId, LogSeq)> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut passed = None;
        while marks.front().is_some_and(|(_, _, position)| position <= applied) {
            passed = marks.pop_front().map(|(log_id, seq, _)| (log_id, seq));
        }
        passed
    }
}

#[async_trait]
impl EventSource for LogEventSource {
    async fn open(&self, from: &Position) -> Result<Box<dyn EventFeed>, Failure> {
        let decoder = self.source.decoder(self.tables.clone(), from)?;
        let (shelf, project) = (self.shelf.clone(), self.project.clone());
        let reader = FollowedLog::open(shelf, project, from, self.link.clone(), self.log.clone()).await?;
        self.marks.clear();
        Ok(Box::new(LogEventFeed {
            reader,
            decoder,
            marks: self.marks.clone(),
            since_mark: 0,
            waiting: VecDeque::new(),
            partial: None,
        }))
    }
}

struct LogEventFeed {
    reader: FollowedLog,
    decoder: Box<dyn LogDecoder>,
    marks: Arc<Marks>,
    since_mark: u64,
    /// Records that were read and not decoded yet.
    waiting: VecDeque<LogRecord>,
    /// The record of which only a part was decoded: one record may hold a whole compressed transaction.
    partial: Option<CapturedRecord>,
}

impl LogEventFeed {
    /// Prepares a record for decoding and notes where it ends.
    fn begin(&mut self, record: &LogRecord) -> Result<CapturedRecord, Failure> {
        let captured = captured(record)?;
        if let Some(position) = &captured.position {
            self.since_mark += 1;
            if self.since_mark >= MARK_EVERY || captured.flags.has(RecordFlags::HEARTBEAT) {
                self.since_mark = 0;
                // Records of one log only wait at a time: they were read together.
                if let Some(log_id) = self.reader.log_id() {
                    self.marks.push(log_id, record.seq.next(), position.clone());
                }
            }
        }
        Ok(captured)
    }
}

#[async_trait]
impl EventFeed for LogEventFeed {
    async fn next(&mut self, max_bytes: usize) -> Result<Option<Vec<LogEvent>>, Failure> {
        let mut events = Vec::new();
        let mut bytes = 0;
        while bytes < max_bytes {
            let record = if let Some(partial) = self.partial.take() {
                partial
            } else if let Some(next) = self.waiting.pop_front() {
                self.begin(&next)?
            } else if events.is_empty() {
                self.waiting = self.reader.next_batch(max_bytes).await?.into();
                continue;
            } else {
                break;
            };
            let known = events.len();
            let progress = self
                .decoder
                .decode_part(&record, &mut events, max_bytes - bytes)?;
            bytes += events.iter().skip(known).map(size).sum::<usize>();
            let defines = events
                .iter()
                .skip(known)
                .any(|e| matches!(e, LogEvent::Ddl { .. }));
            if progress == DecodeProgress::More {
                self.partial = Some(record);
                if !events.is_empty() {
                    break;
                }
            }
            if defines {
                break;
            }
        }
        Ok(Some(events))
    }
}

/// Bytes of an event's rows.
fn size(event: &LogEvent) -> usize {
    match event {
        LogEvent::Row(change) => [&change.before, &change.after]
            .into_iter()
            .flatten()
            .map(Row::size)
            .sum(),
        _ => 0,
    }
}

fn captured(record: &LogRecord) -> Result<CapturedRecord, Failure> {
    let mut flags = RecordFlags::default();
    for (theirs, ours) in [
        (LogFlags::TXN_FIRST, RecordFlags::TXN_FIRST),
        (LogFlags::TXN_LAST, RecordFlags::TXN_LAST),
        (LogFlags::TXN_ABORT, RecordFlags::TXN_ABORT),
        (LogFlags::HEARTBEAT, RecordFlags::HEARTBEAT),
    ] {
        if record.flags.contains(theirs) {
            flags = flags.with(ours);
        }
    }
    let position = match &record.position {
        Some(position) => Some(position.decode().map_err(failure_of)?),
        None => None,
    };
    Ok(CapturedRecord {
        flags,
        source_time_us: record.source_time_us,
        position,
        payload: record.payload.clone(),
    })
}
