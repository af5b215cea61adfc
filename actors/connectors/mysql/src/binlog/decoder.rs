//! From records to row changes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use oms_core::{
    CapturedRecord, DdlContext, DecodeProgress, Failure, LogDecoder, LogEvent, Position, RecordFlags,
    RowChange, TableMap, TableName, codes,
};

use super::{
    bytes_reader::Reader,
    error::EventError,
    event_header::{EventHeader, FLAG_IGNORABLE, HEADER_LENGTH},
    event_kind::{self, Role},
    gtid_event::GtidEvent,
    own_writes::OwnWrites,
    payload::PayloadReader,
    query_event::{QueryEvent, begins_with, is_word},
    rows_event::{RowsEvent, RowsKind},
    statement::{Meaning, ProjectNames},
    table_map::TableMapEvent,
    table_plan::{RowScratch, TablePlan},
};
use crate::sink::META_DATABASE;

/// Table maps that are kept for the next transaction.
const KEPT_TABLE_MAPS: usize = 4096;

/// Decodes the records of a [`super::LogFollower`] for the tables of a project.
///
/// It needs no record before a `TXN_FIRST`: what events look like follows from their types, and
/// the follower refuses logs in which it does not.
///
/// A group that is a single statement (a definition, a grant) gives [`LogEvent::Ddl`] if it
/// concerns the project and [`LogEvent::Heartbeat`] if not, never `Begin` and `Commit`, so that the
/// number of commits does not depend on the tables of the project.
///
/// Memory: one event, and of a compressed transaction one event of those inside at a time.
#[derive(Debug)]
pub struct BinlogDecoder {
    tables: Arc<TableMap>,
    indexes: HashMap<TableName, u32>,
    names: ProjectNames,
    /// By the number of the table. Few at a time: looked up twice for every event of rows.
    maps: BTreeMap<u64, MappedTable>,
    scratch: RowScratch,
    transaction: u64,
    open: Option<Open>,
    payload: Option<PayloadReader>,
    last: Position,
    limit: usize,
    refuse_partial_rows: bool,
    /// Whose transactions are left out.
    own: Option<OwnWrites>,
}

/// The transaction that is being decoded.
#[derive(Debug, Default)]
struct Open {
    id: Option<String>,
    /// `Begin` was given.
    begun: bool,
    /// It bears the mark of a writer whose transactions are left out.
    own: bool,
    /// It changed rows of the project that are left out.
    left_out: bool,
    /// It was prepared for a two-phase commit by the client.
    xa: bool,
    /// What its only statement means, if it is one.
    statement: Option<LoggedStatement>,
}

/// A statement that is a group of its own.
#[derive(Debug)]
struct LoggedStatement {
    defines: bool,
    database: String,
    text: String,
    context: DdlContext,
}

/// What a table number means.
#[derive(Debug)]
struct MappedTable {
    /// The transaction that used it last. A number is only valid in the transaction of its map.
    transaction: u64,
    map: Vec<u8>,
    holds: Holds,
}

/// What a table is to the project.
#[derive(Clone, Debug)]
enum Holds {
    /// Nothing.
    Nothing,
    /// A table of it.
    Rows(Arc<TablePlan>),
    /// The table in which its own writes are marked.
    Marks(Arc<TablePlan>),
}

impl BinlogDecoder {
    /// A decoder for records behind `from`.
    pub fn new(tables: Arc<TableMap>, from: Position) -> Self {
        let indexes = (0u32..)
            .zip(tables.iter())
            .map(|(i, t)| (t.name.clone(), i))
            .collect();
        Self {
            indexes,
            names: ProjectNames::new(&tables),
            tables,
            maps: BTreeMap::new(),
            scratch: RowScratch::default(),
            transaction: 0,
            open: None,
            payload: None,
            last: from,
            limit: (1 << 30) + (16 << 20),
            refuse_partial_rows: false,
            own: None,
        }
    }

    /// Leaves the changes of these transactions out. Such a transaction begins and commits like others, so that transactions keep
    /// their numbers, and has no rows.
    pub fn leaving_out(mut self, own: Option<OwnWrites>) -> Self {
        if own.is_some() {
            self.names = self.names.with_marks(META_DATABASE);
        }
        self.own = own;
        self
    }

    /// Whether rows that lack columns stop the decoder (`OMS-SRC-0015`) instead of being decoded in part.
    pub fn refuse_partial_rows(mut self, refuse: bool) -> Self {
        self.refuse_partial_rows = refuse;
        self
    }

    fn place(&self, kind: u8, end: u32) -> String {
        format!("event of type {kind} ending at {end}, after {}", self.last)
    }

    fn go_on(
        &mut self,
        record: &CapturedRecord,
        out: &mut Vec<LogEvent>,
        max_bytes: usize,
    ) -> Result<DecodeProgress, Failure> {
        let flags = record.flags;
        if flags.has(RecordFlags::HEARTBEAT) {
            let position = record.position.clone().ok_or_else(|| no_position(&self.last))?;
            self.last.clone_from(&position);
            out.push(LogEvent::Heartbeat {
                position,
                source_time_us: record.source_time_us,
            });
            return Ok(DecodeProgress::Done);
        }
        if flags.has(RecordFlags::CONTEXT) {
            return Ok(DecodeProgress::Done);
        }
        if flags.has(RecordFlags::TXN_ABORT) {
            self.payload = None;
            if self.open.take().is_some_and(|o| o.begun) {
                out.push(LogEvent::Abort);
            }
            return Ok(DecodeProgress::Done);
        }
        let (header, _) = EventHeader::parse(&record.payload)
            .map_err(|e| EventError::from(e).at(format_args!("after {}", self.last)))?;
        let result = self.event_of_record(record, &header, out, max_bytes);
        let progress = result.map_err(|e| e.at(self.place(header.kind, header.end)))?;
        if progress == DecodeProgress::Done && flags.has(RecordFlags::TXN_LAST) {
            self.finish(record, out)?;
        }
        Ok(progress)
    }

    fn event_of_record(
        &mut self,
        record: &CapturedRecord,
        header: &EventHeader,
        out: &mut Vec<LogEvent>,
        max_bytes: usize,
    ) -> Result<DecodeProgress, EventError> {
        if self.payload.is_none() {
            if record.flags.has(RecordFlags::TXN_FIRST) {
                if self.open.is_some() {
                    return Err(EventError::corrupt("a transaction begins inside another"));
                }
                self.begin_transaction();
            } else if self.open.is_none() {
                return Err(EventError::corrupt("a record outside of a transaction"));
            }
            if header.kind != event_kind::TRANSACTION_PAYLOAD {
                let body = record.payload.get(HEADER_LENGTH..).unwrap_or_default();
                let alone = record.flags.has(RecordFlags::TXN_LAST);
                self.event(header, body, alone, out)?;
                return Ok(DecodeProgress::Done);
            }
            let body: Bytes = record.payload.slice(HEADER_LENGTH..);
            self.payload = Some(PayloadReader::open(&body, self.limit)?);
        }
        self.payload_events(out, max_bytes)
    }

    /// Goes on with the events of a transaction payload until `out` has grown by about `max_bytes`.
    fn payload_events(
        &mut self,
        out: &mut Vec<LogEvent>,
        max_bytes: usize,
    ) -> Result<DecodeProgress, EventError> {
        let Some(mut payload) = self.payload.take() else {
            return Ok(DecodeProgress::Done);
        };
        let mut counted = out.len();
        let mut bytes = 0usize;
        while let Some(event) = payload.next()? {
            let (header, body) = EventHeader::parse(event)?;
            let allowed = matches!(
                event_kind::role(header.kind),
                Role::Body | Role::Statement | Role::StatementInput
            ) || header.kind == event_kind::XID;
            if !allowed {
                return Err(EventError::unknown(format!(
                    "an event of type {} in a transaction payload",
                    header.kind
                )));
            }
            self.event(&header, body, false, out).map_err(|e| {
                e.context(format_args!(
                    "event of type {} in a transaction payload",
                    header.kind
                ))
            })?;
            bytes += out
                .get(counted..)
                .unwrap_or_default()
                .iter()
                .map(size)
                .sum::<usize>();
            counted = out.len();
            if bytes >= max_bytes {
                self.payload = Some(payload);
                return Ok(DecodeProgress::More);
            }
        }
        Ok(DecodeProgress::Done)
    }

    fn begin_transaction(&mut self) {
        self.transaction += 1;
        self.open = Some(Open::default());
        if self.maps.len() > KEPT_TABLE_MAPS {
            self.maps.clear();
        }
    }

    fn event(
        &mut self,
        header: &EventHeader,
        body: &[u8],
        last: bool,
        out: &mut Vec<LogEvent>,
    ) -> Result<(), EventError> {
        match event_kind::role(header.kind) {
            Role::TransactionName => {
                let named = GtidEvent::parse(header, body)?;
                if let Some(open) = &mut self.open
                    && named.gtid != super::gtid_event::Gtid::Anonymous
                {
                    open.id = Some(named.gtid.to_string());
                }
                Ok(())
            }
            Role::Statement => self.statement(header, body, last, out),
            Role::Body => match header.kind {
                event_kind::TABLE_MAP => self.table_map(body),
                event_kind::ROWS_QUERY
                | event_kind::MARIADB_ANNOTATE_ROWS
                | event_kind::TRANSACTION_CONTEXT
                | event_kind::VIEW_CHANGE => Ok(()),
                _ => self.rows(header.kind, body, out),
            },
            Role::End => self.end(header, body),
            Role::StatementInput => Ok(()),
            _ if header.flags & FLAG_IGNORABLE != 0 => Ok(()),
            _ => Err(EventError::unknown(format!(
                "events of type {} are not known here",
                header.kind
            ))),
        }
    }

    fn end(&mut self, header: &EventHeader, body: &[u8]) -> Result<(), EventError> {
        if header.kind != event_kind::XA_PREPARE {
            return Ok(());
        }
        let one_phase = Reader::new(body).u8()? != 0;
        match &self.open {
            // Its end, and whether it is committed at all, comes much later and out of order.
            Some(open) if open.begun && !one_phase => Err(EventError::unknown(
                "a transaction of an XA transaction manager that changed tables of the project was prepared; \
                 such transactions are not supported",
            )),
            _ => Ok(()),
        }
    }

    fn statement(
        &mut self,
        header: &EventHeader,
        body: &[u8],
        last: bool,
        out: &mut Vec<LogEvent>,
    ) -> Result<(), EventError> {
        let event = QueryEvent::parse(header, body, self.limit)?;
        let text = event.statement.trim_ascii();
        if is_word(text, "BEGIN") || is_word(text, "COMMIT") {
            return Ok(());
        }
        if begins_with(text, "XA START") || begins_with(text, "XA BEGIN") {
            if let Some(open) = &mut self.open {
                open.xa = true;
            }
            return Ok(());
        }
        let database = String::from_utf8_lossy(event.database).into_owned();
        let statement = event.text();
        let meaning = self.names.judge(&database, &statement);
        let mut context = DdlContext {
            sql_mode: event.session.sql_mode,
            server_collation: event.session.server_collation,
            explicit_timestamps: event.session.explicit_timestamps,
            exact: event.is_exact(),
            in_transaction: false,
        };
        let follows = self.tables.follows_definitions()
            && match meaning {
                Meaning::Definition => true,
                Meaning::Other => ProjectNames::may_define_tables(&statement),
                Meaning::Framing | Meaning::PartialRollback | Meaning::Rows => false,
            };
        let begun = self.open.as_ref().is_some_and(|o| o.begun);
        match meaning {
            Meaning::Rows => Err(EventError::of(
                codes::src::LOG_FORMAT,
                format!(
                    "a statement that may change tables of the project (default database `{database}`) was logged as \
                     text: {}",
                    verb(&statement)
                ),
            )),
            Meaning::PartialRollback if begun => Err(EventError::unknown(
                "part of a transaction that changed tables of the project was rolled back after it was logged \
                 (a transaction that also changed tables without transactions)",
            )),
            // CREATE TABLE … SELECT: the rows follow in the same transaction.
            Meaning::Definition | Meaning::Other
                if follows && !last && !begun && ProjectNames::creates_table(&statement) =>
            {
                context.in_transaction = true;
                out.push(LogEvent::Ddl {
                    database,
                    statement,
                    position: self.last.clone(),
                    source_time_us: i64::from(header.timestamp) * 1_000_000,
                    context,
                });
                Ok(())
            }
            Meaning::Definition if !last => Err(EventError::definition(format!(
                "a statement that may change the definition of tables of the project is part of a transaction: {}",
                verb(&statement)
            ))),
            _ => {
                if let Some(open) = &mut self.open
                    && last
                {
                    open.statement = Some(LoggedStatement {
                        defines: meaning == Meaning::Definition || follows,
                        database,
                        text: statement,
                        context,
                    });
                }
                Ok(())
            }
        }
    }

    fn table_map(&mut self, body: &[u8]) -> Result<(), EventError> {
        let (id, map) = TableMapEvent::split(body)?;
        if let Some(known) = self.maps.get_mut(&id)
            && known.map == map
        {
            known.transaction = self.transaction;
            return Ok(());
        }
        let event = TableMapEvent::parse(body)?;
        let (Ok(database), Ok(table)) = (
            std::str::from_utf8(event.database),
            std::str::from_utf8(event.table),
        ) else {
            return Err(EventError::corrupt("the name of a table is not UTF-8"));
        };
        let known = self.indexes.get(&TableName::new(database, table)).copied();
        let holds = match known.and_then(|index| Some((index, self.tables.get(index)?))) {
            Some((index, schema)) => Holds::Rows(Arc::new(TablePlan::new(index, schema, &event)?)),
            None => match &self.own {
                Some(own) => own
                    .plan(&event)?
                    .map_or(Holds::Nothing, |plan| Holds::Marks(Arc::new(plan))),
                None => Holds::Nothing,
            },
        };
        self.maps.insert(
            event.table_id,
            MappedTable {
                transaction: self.transaction,
                map: map.to_vec(),
                holds,
            },
        );
        Ok(())
    }

    fn rows(&mut self, kind: u8, body: &[u8], out: &mut Vec<LogEvent>) -> Result<(), EventError> {
        let Some(id) = RowsEvent::table_id(body)? else {
            return Ok(());
        };
        let (plan, marks) = match self.maps.get(&id) {
            Some(table) if table.transaction == self.transaction => match &table.holds {
                Holds::Rows(plan) => (plan.clone(), false),
                Holds::Marks(plan) => (plan.clone(), true),
                Holds::Nothing => return Ok(()),
            },
            _ => {
                return Err(EventError::corrupt(format!(
                    "rows of table number {id}, which has no table map"
                )));
            }
        };
        if let Some(open) = self.open.as_mut().filter(|open| open.own) {
            open.left_out |= !marks;
            return Ok(());
        }
        let event = RowsEvent::parse(kind, body, self.limit)?;
        if event.columns != plan.event_columns() {
            return Err(EventError::corrupt(format!(
                "{}: rows and table map differ",
                plan.name
            )));
        }
        let carried = event.present.count() + event.present_after.count();
        if event.rows.is_empty() || carried == 0 {
            // Rows of no columns take no bytes: there is no telling how many they are.
            return Err(EventError::of(
                codes::src::ROW_IMAGE,
                format!(
                    "{}: the log holds rows without any column (binlog_row_image)",
                    plan.name
                ),
            ));
        }
        if self.refuse_partial_rows && !marks {
            let missing = plan
                .missing(event.present)
                .or_else(|| plan.missing(event.present_after));
            if let Some(column) = missing {
                return Err(EventError::of(
                    codes::src::ROW_IMAGE,
                    format!(
                        "{}: the log holds rows without column {column} (binlog_row_image was not FULL in the \
                         session that wrote them)",
                        plan.name
                    ),
                ));
            }
        }
        let Some(open) = &mut self.open else {
            return Err(EventError::corrupt("rows outside of a transaction"));
        };
        if !open.begun && !marks {
            open.begun = true;
            out.push(LogEvent::Begin { id: open.id.take() });
        }
        let rows = &event.rows;
        let mut r = Reader::new(rows);
        let mut before_rest = usize::MAX;
        while !r.is_empty() {
            // A row without any column takes no bytes and would come for ever.
            if r.len() == before_rest {
                return Err(EventError::corrupt(format!(
                    "{}: rows without columns",
                    plan.name
                )));
            }
            before_rest = r.len();
            let scratch = &mut self.scratch;
            let (before, after) = match event.kind {
                RowsKind::Write => (None, Some(plan.read_row(&mut r, event.present, scratch, None)?)),
                RowsKind::Delete => (Some(plan.read_row(&mut r, event.present, scratch, None)?), None),
                RowsKind::Update => {
                    let base = event.partial_json.then_some(&rows[..]);
                    let before = plan.read_row(&mut r, event.present, scratch, base)?;
                    let after = match event.partial_json {
                        true => plan.read_partial_row(&mut r, event.present_after, scratch, rows)?,
                        false => plan.read_row(&mut r, event.present_after, scratch, None)?,
                    };
                    (Some(before), Some(after))
                }
            };
            if !marks {
                out.push(LogEvent::Row(RowChange {
                    table: plan.index,
                    before,
                    after,
                }));
                continue;
            }
            let made = match &self.own {
                Some(own) => own.made(before.as_ref(), after.as_ref())?,
                None => false,
            };
            // Whoever reads has got changes of it already, and cannot give them back.
            if made && open.begun {
                return Err(EventError::of(
                    codes::src::MARK_TOO_LATE,
                    "a transaction of the other direction of this link has changes in front of its mark",
                ));
            }
            open.own |= made;
        }
        Ok(())
    }

    fn finish(&mut self, record: &CapturedRecord, out: &mut Vec<LogEvent>) -> Result<(), Failure> {
        let position = record.position.clone().ok_or_else(|| no_position(&self.last))?;
        let source_time_us = record.source_time_us;
        self.last.clone_from(&position);
        let open = self.open.take().unwrap_or_default();
        if let Some(own) = self.own.as_ref().filter(|_| open.own) {
            own.count(open.left_out);
        }
        if let Some(logged) = open.statement
            && !open.begun
        {
            out.push(if logged.defines {
                LogEvent::Ddl {
                    database: logged.database,
                    statement: logged.text,
                    position,
                    source_time_us,
                    context: logged.context,
                }
            } else {
                LogEvent::Heartbeat {
                    position,
                    source_time_us,
                }
            });
            return Ok(());
        }
        if !open.begun {
            out.push(LogEvent::Begin { id: open.id });
        }
        out.push(LogEvent::Commit {
            position,
            source_time_us,
        });
        Ok(())
    }
}

impl LogDecoder for BinlogDecoder {
    fn decode(&mut self, record: &CapturedRecord, out: &mut Vec<LogEvent>) -> Result<(), Failure> {
        while self.go_on(record, out, usize::MAX)? == DecodeProgress::More {}
        Ok(())
    }

    fn decode_part(
        &mut self,
        record: &CapturedRecord,
        out: &mut Vec<LogEvent>,
        max_bytes: usize,
    ) -> Result<DecodeProgress, Failure> {
        self.go_on(record, out, max_bytes)
    }
}

fn no_position(last: &Position) -> Failure {
    Failure::new(
        codes::src::CORRUPT_EVENT,
        format!("a record that needs a position has none, after {last}"),
    )
}

fn size(event: &LogEvent) -> usize {
    match event {
        LogEvent::Row(change) => [&change.before, &change.after]
            .into_iter()
            .flatten()
            .map(|r| r.size() + 64)
            .sum(),
        _ => 64,
    }
}

/// The first words of a statement, which hold no values.
fn verb(statement: &str) -> String {
    let words = statement.split_whitespace().take(2);
    words
        .map(|w| {
            w.chars()
                .take_while(|c| c.is_ascii_alphabetic() || *c == '_')
                .collect::<String>()
        })
        .collect::<Vec<_>>()
        .join(" ")
}
