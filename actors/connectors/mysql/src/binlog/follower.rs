//! From the events of a dump to records: transaction borders, positions, checksums. Pure.

use std::collections::VecDeque;

use bytes::Bytes;
use oms_core::{BinlogPosition, CapturedRecord, Failure, GtidState, Position, RecordFlags, codes};

use super::{
    bytes_reader::Reader,
    checksum::{self, CHECKSUM_LENGTH},
    error::EventError,
    event_header::{EventHeader, FLAG_IGNORABLE, HEADER_LENGTH},
    event_kind::{self, Role},
    format_description::FormatDescription,
    gtid_event::{Gtid, GtidEvent, MARIADB_STANDALONE, uuid_text},
    query_event::{QueryEvent, begins_with, is_word},
};

/// Follows the events of one dump connection and turns them into records.
///
/// A record's payload is the event with its header and without its checksum, which was verified.
/// The size in the header still counts the checksum. Events that are made up for the connection
/// are context or heartbeats and never part of a transaction.
#[derive(Debug)]
pub struct LogFollower {
    place: BinlogPosition,
    /// What the dump was asked to follow, if that is a place in this server's files.
    asked: Option<BinlogPosition>,
    checksums: bool,
    described: bool,
    group: Group,
    name: Option<Name>,
    committed_us: Option<i64>,
    uuid_text: ([u8; 16], String),
}

/// Where the follower stands in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    /// Between two transactions.
    Between,
    /// In one of which it is not known yet whether it is a single statement.
    Begun,
    /// Behind BEGIN.
    Inside,
}

/// The name of the transaction that is read, kept until it ends.
#[derive(Clone, Debug)]
enum Name {
    Anonymous,
    Mysql { tag: String, number: u64 },
    MariaDb { domain: u32, server: u32, sequence: u64 },
}

impl LogFollower {
    /// Starts behind a position, which lies between transactions. Its server is the one followed.
    pub fn new(from: BinlogPosition) -> Self {
        Self {
            place: from,
            asked: None,
            checksums: false,
            described: false,
            group: Group::Between,
            name: None,
            committed_us: None,
            uuid_text: ([0; 16], String::new()),
        }
    }

    /// Notes that the start is a place in the files of the server that is followed.
    ///
    /// A dump that is asked for by transactions begins at the head of a file and leaves out what was
    /// asked to be left out. Some servers (MySQL 5.6) tell heartbeats the place of the last event that
    /// was sent, which then lies before the start. As long as no further transaction has come, the
    /// start is what was reached.
    pub fn resumed(mut self) -> Self {
        self.asked = Some(self.place.clone());
        self
    }

    /// The place reached: behind the last event, while [`BinlogPosition::gtid`] holds the
    /// transactions that are complete.
    pub fn place(&self) -> &BinlogPosition {
        &self.place
    }

    /// Whether no transaction is open.
    pub fn is_between_transactions(&self) -> bool {
        self.group == Group::Between
    }

    /// Takes the next event of the dump, as sent, and appends what it means to `out`.
    ///
    /// `now_us` is the source's time now, for heartbeats, which carry none.
    ///
    /// # Errors
    /// `OMS-SRC-0009` for events that are not known, `OMS-SRC-0010` for damaged ones,
    /// `OMS-SRC-0008` where the server notes that it lost events. All name file and offset.
    pub fn accept(
        &mut self,
        event: Bytes,
        now_us: i64,
        out: &mut VecDeque<CapturedRecord>,
    ) -> Result<(), Failure> {
        let kind = event.get(4).copied().unwrap_or_default();
        self.take(event, now_us, out)
            .map_err(|e| e.at(format_args!("event of type {kind} behind {}", self.place)))
    }

    fn take(
        &mut self,
        mut event: Bytes,
        now_us: i64,
        out: &mut VecDeque<CapturedRecord>,
    ) -> Result<(), EventError> {
        let (header, _) = EventHeader::parse(&event)?;
        if u32::try_from(event.len()) != Ok(header.size) {
            return Err(EventError::corrupt(format!(
                "{} bytes came for an event of {}",
                event.len(),
                header.size
            )));
        }
        let role = event_kind::role(header.kind);
        self.strip_checksum(&header, role, &mut event)?;
        if role == Role::Unknown {
            if header.flags & FLAG_IGNORABLE != 0 || header.kind == event_kind::IGNORABLE {
                self.advance(&header);
                return Ok(());
            }
            return Err(EventError::unknown(format!(
                "events of type {} are not known",
                header.kind
            )));
        }
        let mut flags = RecordFlags::default();
        let mut source_time_us = i64::from(header.timestamp) * 1_000_000;
        let body = event.get(HEADER_LENGTH..).unwrap_or_default();
        match role {
            Role::Heartbeat => {
                self.heartbeat(&header, body)?;
                if self.group == Group::Between {
                    out.push_back(CapturedRecord {
                        flags: RecordFlags::HEARTBEAT,
                        source_time_us: now_us,
                        position: Some(self.at_rest()),
                        payload: Bytes::new(),
                    });
                }
                return Ok(());
            }
            Role::Context => {
                self.context(&header, body, out)?;
                if header.timestamp == 0 {
                    source_time_us = now_us;
                }
                out.push_back(CapturedRecord {
                    flags: RecordFlags::CONTEXT,
                    source_time_us,
                    position: None,
                    payload: event,
                });
                return Ok(());
            }
            _ => {}
        }
        if !self.described {
            return Err(EventError::corrupt("an event came before the format description"));
        }
        if header.is_artificial() {
            return Err(EventError::unknown(format!(
                "an artificial event of type {}",
                header.kind
            )));
        }
        self.advance(&header);
        match role {
            Role::TransactionName => {
                if self.group != Group::Between {
                    return Err(EventError::corrupt("a transaction begins inside another"));
                }
                let named = GtidEvent::parse(&header, body)?;
                self.begin_named(named);
                flags = RecordFlags::TXN_FIRST;
            }
            Role::Statement => {
                let word = QueryEvent::framing_word(&header, body)?;
                flags = self.statement(word, header.kind)?;
            }
            Role::End => {
                if self.group == Group::Between {
                    return Err(EventError::corrupt("a transaction ends that did not begin"));
                }
                flags = RecordFlags::TXN_LAST;
            }
            Role::WholeTransaction => {
                if self.group != Group::Begun {
                    return Err(EventError::corrupt(
                        "a transaction payload without its GTID event",
                    ));
                }
                flags = RecordFlags::TXN_LAST;
            }
            Role::StatementInput if self.group == Group::Between => {
                self.group = Group::Begun;
                flags = RecordFlags::TXN_FIRST;
            }
            Role::Body if self.group == Group::Between => {
                // Statement texts for people may stand in front of BEGIN; nothing else may.
                if !matches!(
                    header.kind,
                    event_kind::ROWS_QUERY | event_kind::MARIADB_ANNOTATE_ROWS
                ) {
                    return Err(EventError::corrupt("rows outside of a transaction"));
                }
                return Ok(());
            }
            Role::Incident => {
                return Err(EventError::of(
                    codes::src::LOG_PURGED,
                    "the server notes here that events were lost, so the log has a gap",
                ));
            }
            _ => {}
        }
        let mut position = None;
        if flags.has(RecordFlags::TXN_LAST) {
            if let Some(us) = self.committed_us {
                source_time_us = us;
            }
            self.finish_group();
            position = Some(self.position());
        } else if flags.has(RecordFlags::TXN_ABORT) {
            self.finish_group();
            event = Bytes::new();
        }
        // The event itself, not another reference to it: this is done for every event there is.
        out.push_back(CapturedRecord {
            flags,
            source_time_us,
            position,
            payload: event,
        });
        Ok(())
    }

    /// Events in the file have a checksum if the format description says so. Events made up for
    /// this connection have one if the connection asked for it, whatever the file says, so they
    /// are recognised by the checksum itself.
    fn strip_checksum(
        &mut self,
        header: &EventHeader,
        role: Role,
        event: &mut Bytes,
    ) -> Result<(), EventError> {
        if header.kind == event_kind::FORMAT_DESCRIPTION {
            let body = event.get(HEADER_LENGTH..).unwrap_or_default();
            let description = FormatDescription::parse(body)?;
            self.checksums = description.checksums;
            self.described = true;
            if description.checksums && !header.is_artificial() && !checksum::matches(event) {
                return Err(EventError::corrupt(
                    "the checksum of the format description is wrong",
                ));
            }
            event.truncate(event.len().saturating_sub(CHECKSUM_LENGTH));
            return Ok(());
        }
        let made_up = header.is_artificial() || header.end == 0 || role == Role::Heartbeat;
        if made_up {
            if checksum::matches(event) {
                event.truncate(event.len() - CHECKSUM_LENGTH);
            }
            return Ok(());
        }
        if self.checksums {
            checksum::verify_and_strip(event)?;
        }
        Ok(())
    }

    /// Moves behind the event. Headers hold only the low 32 bits of the offset.
    fn advance(&mut self, header: &EventHeader) {
        if header.end == 0 || header.is_artificial() {
            return;
        }
        self.place.offset = unwrap_offset(self.place.offset, header.end);
    }

    fn heartbeat(&mut self, header: &EventHeader, body: &[u8]) -> Result<(), EventError> {
        let (file, offset) = if header.kind == event_kind::HEARTBEAT_V2 {
            let mut r = Reader::new(body);
            let (mut file, mut offset) = (None, None);
            while !r.is_empty() {
                let field = r.lenenc()?;
                if field == 0 {
                    break;
                }
                let value = r.lenenc_bytes()?;
                match field {
                    1 => file = Some(value),
                    2 => offset = Some(Reader::new(value).lenenc()?),
                    _ => {}
                }
            }
            match (file, offset) {
                (Some(file), Some(offset)) => (file, offset),
                _ => return Err(EventError::corrupt("heartbeat without position")),
            }
        } else {
            let base = if body == self.place.file.as_bytes() {
                self.place.offset
            } else {
                0
            };
            (body, unwrap_offset(base, header.end))
        };
        let file = file_name(file)?;
        if file == self.place.file {
            if self.group == Group::Between {
                self.place.offset = self.place.offset.max(offset);
            }
        } else if self.group == Group::Between && offset != 0 {
            self.place.file = file;
            self.place.offset = offset;
        }
        Ok(())
    }

    fn context(
        &mut self,
        header: &EventHeader,
        body: &[u8],
        out: &mut VecDeque<CapturedRecord>,
    ) -> Result<(), EventError> {
        let starts_file = header.kind == event_kind::FORMAT_DESCRIPTION && header.end != 0;
        if self.group != Group::Between && (starts_file || header.kind == event_kind::ROTATE) {
            // The server died while it wrote the transaction.
            self.finish_group();
            out.push_back(CapturedRecord {
                flags: RecordFlags::TXN_ABORT,
                source_time_us: i64::from(header.timestamp) * 1_000_000,
                position: None,
                payload: Bytes::new(),
            });
        }
        if header.kind != event_kind::ROTATE {
            if header.kind != event_kind::FORMAT_DESCRIPTION || header.end != 0 {
                self.advance(header);
            }
            return Ok(());
        }
        let mut r = Reader::new(body);
        let offset = r.u64()?;
        let file = file_name(r.rest())?;
        if offset < 4 {
            return Err(EventError::corrupt(format!("rotation to offset {offset}")));
        }
        self.place.file = file;
        self.place.offset = offset;
        Ok(())
    }

    fn begin_named(&mut self, event: GtidEvent<'_>) {
        self.group = Group::Begun;
        self.committed_us = event.committed_us.filter(|us| *us > 0);
        self.name = Some(match event.gtid {
            Gtid::Anonymous => Name::Anonymous,
            Gtid::Mysql { uuid, tag, number } => {
                if self.uuid_text.0 != uuid || self.uuid_text.1.is_empty() {
                    self.uuid_text = (uuid, uuid_text(&uuid));
                }
                Name::Mysql {
                    tag: tag.to_owned(),
                    number,
                }
            }
            Gtid::MariaDb {
                domain,
                server,
                sequence,
                flags,
            } => {
                if flags & MARIADB_STANDALONE == 0 {
                    self.group = Group::Inside;
                }
                Name::MariaDb {
                    domain,
                    server,
                    sequence,
                }
            }
        });
    }

    /// The flags of a statement, given its text if that is short enough to matter.
    fn statement(&mut self, word: Option<&[u8]>, kind: u8) -> Result<RecordFlags, EventError> {
        let text = word.unwrap_or_default();
        let begins = is_word(text, "BEGIN") || begins_with(text, "XA START") || begins_with(text, "XA BEGIN");
        match self.group {
            Group::Between if begins => {
                self.group = Group::Inside;
                Ok(RecordFlags::TXN_FIRST)
            }
            Group::Between if is_word(text, "COMMIT") || is_word(text, "ROLLBACK") => {
                Err(EventError::corrupt("a transaction ends that did not begin"))
            }
            Group::Between if kind == event_kind::EXECUTE_LOAD_QUERY => {
                Ok(RecordFlags::TXN_FIRST.with(RecordFlags::TXN_LAST))
            }
            Group::Between => Ok(RecordFlags::TXN_FIRST.with(RecordFlags::TXN_LAST)),
            Group::Begun if begins => {
                self.group = Group::Inside;
                Ok(RecordFlags::default())
            }
            Group::Begun => Ok(RecordFlags::TXN_LAST),
            Group::Inside if is_word(text, "COMMIT") => Ok(RecordFlags::TXN_LAST),
            Group::Inside if is_word(text, "ROLLBACK") => Ok(RecordFlags::TXN_ABORT),
            Group::Inside => Ok(RecordFlags::default()),
        }
    }

    /// Counts the transaction as seen and leaves it.
    fn finish_group(&mut self) {
        self.group = Group::Between;
        self.committed_us = None;
        match self.name.take() {
            Some(Name::Mysql { tag, number }) => {
                if let GtidState::Mysql(set) = &mut self.place.gtid {
                    set.insert(&self.uuid_text.1, &tag, number);
                }
            }
            // A set that misses transactions must not be used to ask for the rest.
            Some(Name::Anonymous) => self.place.gtid = GtidState::None,
            Some(Name::MariaDb {
                domain,
                server,
                sequence,
            }) => {
                if let GtidState::MariaDb(position) = &mut self.place.gtid {
                    position.set(domain, server, sequence);
                }
            }
            None => {}
        }
    }

    fn position(&self) -> Position {
        Position::Binlog(self.place.clone())
    }

    /// The position between two transactions, which never lies before the start.
    fn at_rest(&self) -> Position {
        match &self.asked {
            Some(asked) if asked.gtid == self.place.gtid && self.place < *asked => {
                Position::Binlog(asked.clone())
            }
            _ => self.position(),
        }
    }
}

/// The offset whose low half is `low` that follows `base`.
fn unwrap_offset(base: u64, low: u32) -> u64 {
    let same_high = base & !0xffff_ffff | u64::from(low);
    if same_high < base {
        same_high + (1 << 32)
    } else {
        same_high
    }
}

fn file_name(bytes: &[u8]) -> Result<String, EventError> {
    match std::str::from_utf8(bytes) {
        Ok(name) if !name.is_empty() && !name.contains(char::is_control) => Ok(name.to_owned()),
        _ => Err(EventError::corrupt("the name of the log file is not readable")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARTIFICIAL: u16 = 0x20;

    fn event(kind: u8, end: u32, flags: u16, body: &[u8]) -> Bytes {
        let mut event = vec![0; 4];
        event.push(kind);
        event.extend(1u32.to_le_bytes());
        event.extend((HEADER_LENGTH as u32 + body.len() as u32).to_le_bytes());
        event.extend(end.to_le_bytes());
        event.extend(flags.to_le_bytes());
        event.extend(body);
        event.into()
    }

    fn rests(follower: &mut LogFollower, events: &[Bytes]) -> Vec<u64> {
        let mut out = VecDeque::new();
        for event in events {
            follower.accept(event.clone(), 0, &mut out).unwrap();
        }
        let offset = |r: CapturedRecord| match r.position {
            Some(Position::Binlog(p)) => Some(p.offset),
            _ => None,
        };
        out.into_iter().filter_map(offset).collect()
    }

    /// MySQL 5.6 tells heartbeats the place of the last event that it sent, not of those it skipped.
    #[test]
    fn heartbeats_do_not_go_back_behind_the_start() {
        let file = b"log.000007";
        let head = [&4u64.to_le_bytes()[..], file].concat();
        let events = [
            event(event_kind::ROTATE, 0, ARTIFICIAL, &head),
            event(event_kind::HEARTBEAT, 199, 0, file),
            event(event_kind::HEARTBEAT, 2_000, 0, file),
        ];
        let start = BinlogPosition {
            server: "s".into(),
            file: "log.000007".into(),
            offset: 1_000,
            gtid: GtidState::Mysql("6f6d736e-6f64-4500-8000-000000000001:1-5".parse().unwrap()),
        };
        let mut here = LogFollower::new(start.clone()).resumed();
        assert_eq!(rests(&mut here, &events), [1_000, 2_000]);
        // A place in the files of another server says nothing about those of this one.
        let mut elsewhere = LogFollower::new(start);
        assert_eq!(rests(&mut elsewhere, &events), [199, 2_000]);
    }
}
