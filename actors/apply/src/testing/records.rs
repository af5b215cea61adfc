//! The log as records: a format of its own, one record for each event.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use oms_core::{
    Capture, CapturedRecord, DdlContext, Failure, LogDecoder, LogEvent, Position, RecordFlags, Row,
    RowChange, TableMap, TableName, codes,
};

use super::MemorySource;

const BEGIN: u8 = 1;
const ROW: u8 = 2;
const COMMIT: u8 = 3;
const DDL: u8 = 4;
/// Before a row that is there, and for one that is not.
const SOME: u8 = 1;
const NONE: u8 = 0;

/// The records of one entry of the log, whose tables have these names.
pub(super) fn encode(names: &[TableName], entry: &[LogEvent]) -> Vec<CapturedRecord> {
    entry.iter().map(|event| record(names, event)).collect()
}

fn record(names: &[TableName], event: &LogEvent) -> CapturedRecord {
    let mut payload = BytesMut::new();
    let (flags, position, time) = match event {
        LogEvent::Begin { id } => {
            payload.put_u8(BEGIN);
            put_text(&mut payload, id.as_deref().unwrap_or_default());
            (RecordFlags::TXN_FIRST, None, 0)
        }
        LogEvent::Row(change) => {
            payload.put_u8(ROW);
            let name = names.get(change.table as usize);
            put_text(&mut payload, name.map_or("", |n| &n.database));
            put_text(&mut payload, name.map_or("", |n| &n.table));
            put_row(&mut payload, change.before.as_ref());
            put_row(&mut payload, change.after.as_ref());
            (RecordFlags::default(), None, 0)
        }
        LogEvent::Commit {
            position,
            source_time_us,
        } => {
            payload.put_u8(COMMIT);
            (RecordFlags::TXN_LAST, Some(position), *source_time_us)
        }
        LogEvent::Abort => (RecordFlags::TXN_ABORT, None, 0),
        LogEvent::Ddl {
            database,
            statement,
            position,
            source_time_us,
            context: _,
        } => {
            payload.put_u8(DDL);
            put_text(&mut payload, database);
            put_text(&mut payload, statement);
            let flags = RecordFlags::TXN_FIRST.with(RecordFlags::TXN_LAST);
            (flags, Some(position), *source_time_us)
        }
        LogEvent::Heartbeat {
            position,
            source_time_us,
        } => (RecordFlags::HEARTBEAT, Some(position), *source_time_us),
    };
    CapturedRecord {
        flags,
        source_time_us: time,
        position: position.cloned(),
        payload: payload.freeze(),
    }
}

fn put_text(out: &mut BytesMut, text: &str) {
    out.put_u64(text.len() as u64);
    out.put_slice(text.as_bytes());
}

fn put_row(out: &mut BytesMut, row: Option<&Row>) {
    out.put_u8(if row.is_some() { SOME } else { NONE });
    if let Some(row) = row {
        out.put_u64(row.size() as u64);
        out.put_slice(row.as_bytes());
    }
}

/// Follows the log of a [`MemorySource`].
pub(super) struct MemoryCapture {
    source: MemorySource,
    /// The entry that is read next.
    next: usize,
    ready: VecDeque<CapturedRecord>,
}

impl MemoryCapture {
    pub(super) fn new(source: MemorySource, next: usize) -> Self {
        Self {
            source,
            next,
            ready: VecDeque::new(),
        }
    }
}

#[async_trait]
impl Capture for MemoryCapture {
    async fn next(&mut self) -> Result<CapturedRecord, Failure> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(record);
            }
            match self.source.entry(self.next).await {
                Some(records) => {
                    self.ready.extend(records);
                    self.next += 1;
                }
                None => return Ok(self.source.alive(self.next)),
            }
        }
    }

    async fn acknowledge(&mut self, _position: &Position) -> Result<(), Failure> {
        Ok(())
    }
}

/// Turns the records back into events.
pub(super) struct MemoryDecoder {
    tables: Arc<TableMap>,
}

impl MemoryDecoder {
    pub(super) fn new(tables: Arc<TableMap>) -> Self {
        Self { tables }
    }
}

impl LogDecoder for MemoryDecoder {
    fn decode(&mut self, record: &CapturedRecord, out: &mut Vec<LogEvent>) -> Result<(), Failure> {
        if record.flags.has(RecordFlags::TXN_ABORT) {
            out.push(LogEvent::Abort);
            return Ok(());
        }
        let position = || {
            record
                .position
                .clone()
                .ok_or_else(|| broken("a record without its position"))
        };
        let source_time_us = record.source_time_us;
        if record.flags.has(RecordFlags::HEARTBEAT) {
            out.push(LogEvent::Heartbeat {
                position: position()?,
                source_time_us,
            });
            return Ok(());
        }
        let mut payload = record.payload.clone();
        match payload.try_get_u8().map_err(short)? {
            BEGIN => {
                let id = text(&mut payload)?;
                out.push(LogEvent::Begin {
                    id: (!id.is_empty()).then_some(id),
                });
            }
            ROW => {
                let name = TableName::new(text(&mut payload)?, text(&mut payload)?);
                if let Some(table) = self.tables.find(&name) {
                    out.push(LogEvent::Row(RowChange {
                        table,
                        before: row(&mut payload)?,
                        after: row(&mut payload)?,
                    }));
                }
            }
            COMMIT => out.push(LogEvent::Commit {
                position: position()?,
                source_time_us,
            }),
            DDL => out.push(LogEvent::Ddl {
                database: text(&mut payload)?,
                statement: text(&mut payload)?,
                position: position()?,
                source_time_us,
                context: DdlContext {
                    exact: true,
                    ..DdlContext::default()
                },
            }),
            kind => return Err(broken(format!("a record of the unknown kind {kind}"))),
        }
        Ok(())
    }
}

fn broken(what: impl Into<String>) -> Failure {
    Failure::new(codes::src::CORRUPT_EVENT, what)
}

fn short(_: bytes::TryGetError) -> Failure {
    broken("a record breaks off")
}

fn bytes(payload: &mut Bytes) -> Result<Bytes, Failure> {
    let length = usize::try_from(payload.try_get_u64().map_err(short)?).unwrap_or(usize::MAX);
    if length > payload.len() {
        return Err(broken("a record breaks off"));
    }
    Ok(payload.split_to(length))
}

fn text(payload: &mut Bytes) -> Result<String, Failure> {
    String::from_utf8(bytes(payload)?.into()).map_err(|e| broken(e.to_string()))
}

fn row(payload: &mut Bytes) -> Result<Option<Row>, Failure> {
    match payload.try_get_u8().map_err(short)? {
        SOME => Row::from_bytes(bytes(payload)?)
            .map(Some)
            .map_err(|e| broken(e.to_string())),
        NONE => Ok(None),
        other => Err(broken(format!("{other} instead of a row"))),
    }
}
