//! The source.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use oms_core::{
    BinlogPosition, Capture, CapturedRecord, Failure, GtidState, LogDecoder, LogEvent, Position, RecordFlags,
    RowChange, SnapshotReader, Source, TableMap, TableName, TableSchema, codes,
};
use tokio::sync::Notify;

use super::{
    Fault, MemoryTable,
    reader::{MemoryReader, View},
    records::{self, MemoryCapture, MemoryDecoder},
};
use crate::{EventFeed, EventSource};

/// A database in memory whose transactions are kept as a log. Clones are the same database.
///
/// Its log is read through [`EventSource`], or as records, one for each event.
#[derive(Clone, Debug)]
pub struct MemorySource {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    grown: Notify,
}

#[derive(Debug)]
struct State {
    names: Vec<TableName>,
    tables: HashMap<TableName, MemoryTable>,
    /// One entry per commit or other event between transactions.
    log: Vec<Vec<LogEvent>>,
    /// Entries that captures can no longer read.
    purged: usize,
    closed: bool,
    reads: u64,
    faults: Vec<Fault>,
}

/// How long captures wait before they say that nothing happened.
const HEARTBEAT: Duration = Duration::from_millis(500);
const SERVER: &str = "memory";

/// The position behind so many entries of the log.
fn position(entries: usize) -> Position {
    Position::Binlog(BinlogPosition {
        server: SERVER.into(),
        file: "log.000001".into(),
        offset: entries as u64,
        gtid: GtidState::None,
    })
}

fn entries(position: &Position) -> usize {
    match position {
        Position::Binlog(p) => usize::try_from(p.offset).unwrap_or(usize::MAX),
        _ => 0,
    }
}

impl MemorySource {
    /// An empty database with these tables, numbered in this order.
    pub fn new(tables: impl IntoIterator<Item = Arc<TableSchema>>) -> Self {
        let tables: Vec<_> = tables.into_iter().collect();
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    names: tables.iter().map(|t| t.name.clone()).collect(),
                    tables: tables
                        .into_iter()
                        .map(|t| (t.name.clone(), MemoryTable::new(t)))
                        .collect(),
                    log: Vec::new(),
                    purged: 0,
                    closed: false,
                    reads: 0,
                    faults: Vec::new(),
                }),
                grown: Notify::new(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an empty table behind the others, or empties the table of this name and gives it this
    /// definition. Gives its number. The log does not tell it.
    pub fn create_table(&self, schema: Arc<TableSchema>) -> u32 {
        let mut state = self.state();
        let name = schema.name.clone();
        state.tables.insert(name.clone(), MemoryTable::new(schema));
        let number = state.names.iter().position(|n| *n == name).unwrap_or_else(|| {
            state.names.push(name);
            state.names.len() - 1
        });
        u32::try_from(number).unwrap_or(u32::MAX)
    }

    /// Makes everything that the log holds now unreadable for captures.
    pub fn purge(&self) {
        let mut state = self.state();
        state.purged = state.log.len();
    }

    /// Commits a transaction. Changes that the tables refuse (a taken key, a missing row) are left
    /// out; gives those that happened.
    pub fn commit(&self, changes: Vec<RowChange>) -> Vec<RowChange> {
        let mut state = self.state();
        let mut done = Vec::new();
        for change in changes {
            let Some(name) = state.names.get(change.table as usize).cloned() else {
                continue;
            };
            let Some(table) = state.tables.get_mut(&name) else {
                continue;
            };
            let removed = match &change.before {
                None => None,
                Some(before) => match table.find(before).and_then(|id| table.remove(id)) {
                    // The log carries the row as it was.
                    Some(row) => Some(row),
                    None => continue,
                },
            };
            if let Some(after) = &change.after {
                if table.rivals(after).is_empty() {
                    table.add(after.clone());
                } else {
                    if let Some(row) = removed {
                        table.add(row);
                    }
                    continue;
                }
            }
            done.push(RowChange {
                before: removed,
                ..change
            });
        }
        let mut events = vec![LogEvent::Begin { id: None }];
        events.extend(done.iter().cloned().map(LogEvent::Row));
        events.push(LogEvent::Commit {
            position: position(state.log.len() + 1),
            source_time_us: state.log.len() as i64 * 1_000,
        });
        state.log.push(events);
        drop(state);
        self.shared.grown.notify_waiters();
        done
    }

    /// Logs a transaction that did not happen: what [`MemorySource::commit`] would have logged, with
    /// an abort at its end.
    pub fn abort(&self, changes: Vec<RowChange>) {
        let tables = self.state().tables.clone();
        self.commit(changes);
        let mut state = self.state();
        state.tables = tables;
        if let Some(end) = state.log.last_mut().and_then(|entry| entry.last_mut()) {
            *end = LogEvent::Abort;
        }
    }

    /// Logs that nothing happened.
    pub fn heartbeat(&self) {
        let mut state = self.state();
        let event = LogEvent::Heartbeat {
            position: position(state.log.len() + 1),
            source_time_us: state.log.len() as i64 * 1_000,
        };
        state.log.push(vec![event]);
        drop(state);
        self.shared.grown.notify_waiters();
    }

    /// Logs a statement.
    pub fn ddl(&self, database: &str, statement: &str) {
        let mut state = self.state();
        let event = LogEvent::Ddl {
            database: database.into(),
            statement: statement.into(),
            position: position(state.log.len() + 1),
            source_time_us: state.log.len() as i64 * 1_000,
            context: Default::default(),
        };
        state.log.push(vec![event]);
        drop(state);
        self.shared.grown.notify_waiters();
    }

    /// Feeds end where the log ends, instead of waiting for more.
    pub fn close(&self) {
        self.state().closed = true;
        self.shared.grown.notify_waiters();
    }

    /// The position at which the log begins.
    pub fn start(&self) -> Position {
        position(0)
    }

    /// The position of the end of the log.
    pub fn end(&self) -> Position {
        position(self.state().log.len())
    }

    /// A copy of a table.
    pub fn table(&self, name: &TableName) -> Option<MemoryTable> {
        self.state().tables.get(name).cloned()
    }

    /// Makes reading of rows fail: [`Fault::at_step`] counts calls of readers.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.state().faults = faults;
    }
}

impl MemorySource {
    /// Entry `number` of the log as records, once it is there. `None`: nothing came for a while.
    pub(super) async fn entry(&self, number: usize) -> Option<Vec<CapturedRecord>> {
        loop {
            let grown = self.shared.grown.notified();
            {
                let state = self.state();
                if let Some(entry) = state.log.get(number) {
                    return Some(records::encode(&state.names, entry));
                }
            }
            tokio::time::timeout(HEARTBEAT, grown).await.ok()?;
        }
    }

    /// What a capture says that has nothing else to say behind so many entries.
    pub(super) fn alive(&self, number: usize) -> CapturedRecord {
        CapturedRecord {
            flags: RecordFlags::HEARTBEAT,
            source_time_us: number as i64 * 1_000,
            position: Some(position(number)),
            payload: Bytes::new(),
        }
    }
}

#[async_trait]
impl EventSource for MemorySource {
    async fn open(&self, from: &Position) -> Result<Box<dyn EventFeed>, Failure> {
        Ok(Box::new(MemoryFeed {
            source: self.clone(),
            next: entries(from),
            within: 0,
        }))
    }
}

struct MemoryFeed {
    source: MemorySource,
    next: usize,
    /// Events of the entry that were given already.
    within: usize,
}

#[async_trait]
impl EventFeed for MemoryFeed {
    async fn next(&mut self, max_bytes: usize) -> Result<Option<Vec<LogEvent>>, Failure> {
        loop {
            let grown = self.source.shared.grown.notified();
            {
                let state = self.source.state();
                let mut events = Vec::new();
                let mut bytes = 0;
                while let Some(entry) = state.log.get(self.next) {
                    let Some(event) = entry.get(self.within) else {
                        self.next += 1;
                        self.within = 0;
                        continue;
                    };
                    if let LogEvent::Row(change) = event {
                        let rows = change.before.iter().chain(&change.after);
                        bytes += rows.map(oms_core::Row::size).sum::<usize>();
                        if bytes > max_bytes && !events.is_empty() {
                            break;
                        }
                    }
                    events.push(event.clone());
                    self.within += 1;
                    if matches!(event, LogEvent::Ddl { .. }) {
                        break;
                    }
                }
                if !events.is_empty() {
                    return Ok(Some(events));
                }
                if state.closed {
                    return Ok(None);
                }
            }
            grown.await;
        }
    }
}

#[async_trait]
impl Source for MemorySource {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<TableSchema>, Failure> {
        let state = self.state();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for name in names {
            match state.tables.get(name) {
                Some(table) => found.push((**table.schema()).clone()),
                None => missing.push(name.to_string()),
            }
        }
        if missing.is_empty() {
            Ok(found)
        } else {
            Err(Failure::new(codes::src::TABLE_MISSING, missing.join(", ")))
        }
    }

    async fn current_position(&self) -> Result<Position, Failure> {
        Ok(self.end())
    }

    async fn check_position(&self, position: &Position) -> Result<(), Failure> {
        let Position::Binlog(p) = position else {
            return Err(Failure::new(codes::src::SERVER_CHANGED, position.to_string()));
        };
        if p.server != SERVER {
            return Err(Failure::new(codes::src::SERVER_CHANGED, p.server.clone()));
        }
        let state = self.state();
        if !(state.purged..=state.log.len()).contains(&entries(position)) {
            let there = format!("the log goes from {} to {}", state.purged, state.log.len());
            return Err(Failure::new(
                codes::src::LOG_PURGED,
                format!("{position}: {there}"),
            ));
        }
        Ok(())
    }

    async fn open_capture(&self, from: &Position) -> Result<Box<dyn Capture>, Failure> {
        self.check_position(from).await?;
        Ok(Box::new(MemoryCapture::new(self.clone(), entries(from))))
    }

    fn decoder(&self, tables: Arc<TableMap>, _from: &Position) -> Result<Box<dyn LogDecoder>, Failure> {
        Ok(Box::new(MemoryDecoder::new(tables)))
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        let (look, gate) = (self.clone(), self.clone());
        let reader = MemoryReader::new(Box::new(move || {
            let state = look.state();
            View {
                tables: state.tables.clone(),
                position: Some(position(state.log.len())),
            }
        }));
        Ok(Box::new(reader.with_gate(Box::new(move || {
            let mut state = gate.state();
            let step = state.reads;
            state.reads += 1;
            match state.faults.iter().find(|f| f.at_step == step) {
                Some(fault) => Err(fault.failure()),
                None => Ok(()),
            }
        }))))
    }
}
