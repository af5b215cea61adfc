//! Reading a binary log file itself, without a server.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Buf, Bytes};
use oms_core::{
    BinlogPosition, Failure, GtidState, LogDecoder, LogEvent, MariaDbGtidPosition, Position, TableMap, codes,
};

use super::{
    BinlogDecoder, LogFollower,
    event_header::{EventHeader, HEADER_LENGTH},
};

/// What every file begins with.
const MAGIC: &[u8] = b"\xfebin";

/// The events of a file, as a server would send them. Ends with an error where the file breaks off
/// inside an event.
pub fn events_of_file(file: Bytes) -> impl Iterator<Item = Result<Bytes, Failure>> {
    let mut rest = Some(file);
    let mut begun = false;
    std::iter::from_fn(move || {
        let mut bytes = rest.take()?;
        if !begun {
            begun = true;
            if !bytes.starts_with(MAGIC) {
                return Some(Err(broken("the file does not begin as a binary log")));
            }
            bytes.advance(MAGIC.len());
        }
        if bytes.is_empty() {
            return None;
        }
        let size = EventHeader::parse(&bytes).map_or(0, |(header, _)| header.size as usize);
        if size < HEADER_LENGTH || size > bytes.len() {
            return Some(Err(broken("the file breaks off inside an event")));
        }
        let event = bytes.split_to(size);
        rest = Some(bytes);
        Some(Ok(event))
    })
}

/// Decodes a whole file for the given tables, giving each event to `each`. For tests, measurements
/// and fuzzing: any bytes either decode or fail.
///
/// # Errors
/// As the capture and the decoder; a file that breaks off with `OMS-SRC-0010`.
pub fn decode_bytes(
    tables: &Arc<TableMap>,
    file: Bytes,
    mut each: impl FnMut(LogEvent),
) -> Result<(), Failure> {
    let from = BinlogPosition {
        server: String::new(),
        file: "file".to_owned(),
        offset: MAGIC.len() as u64,
        gtid: GtidState::MariaDb(MariaDbGtidPosition::default()),
    };
    let mut follower = LogFollower::new(from.clone());
    let mut decoder = BinlogDecoder::new(tables.clone(), Position::Binlog(from));
    let (mut records, mut events) = (VecDeque::new(), Vec::new());
    for event in events_of_file(file) {
        follower.accept(event?, 0, &mut records)?;
        while let Some(record) = records.pop_front() {
            decoder.decode(&record, &mut events)?;
            events.drain(..).for_each(&mut each);
        }
    }
    Ok(())
}

fn broken(what: &str) -> Failure {
    Failure::new(codes::src::CORRUPT_EVENT, what)
}
