//! Reading a source's log and rows to their end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    Capture, CapturedRecord, DecodeProgress, LogEvent, Position, RecordFlags, Row, SnapshotReader, Source,
    TableMap, TableSchema,
};

/// How often each row occurs.
pub(crate) type Multiset = BTreeMap<Vec<u8>, i64>;

/// Longer than anything here takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits, but not without end.
pub(crate) async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}

/// The records from a position on, up to and with the first whose position is not before `until`.
/// Heartbeats and context are left out.
pub(crate) async fn records(source: &dyn Source, from: &Position, until: &Position) -> Vec<CapturedRecord> {
    let mut capture = in_time("a capture", source.open_capture(from))
        .await
        .expect("open a capture");
    rest_of(capture.as_mut(), until).await
}

/// The same for a capture that is open.
pub(crate) async fn rest_of(capture: &mut dyn Capture, until: &Position) -> Vec<CapturedRecord> {
    let mut records = Vec::new();
    loop {
        let record = in_time("a record", capture.next()).await.expect("a record");
        let reached = record.position.as_ref().is_some_and(|p| p >= until);
        if !record.flags.has(RecordFlags::HEARTBEAT) && !record.flags.has(RecordFlags::CONTEXT) {
            records.push(record);
        }
        if reached {
            return records;
        }
    }
}

/// What must be equal when records are read again.
pub(crate) fn bytes_of(records: &[CapturedRecord]) -> Vec<(u8, Vec<u8>)> {
    let one = |r: &CapturedRecord| (r.flags.0, r.payload.to_vec());
    records.iter().map(one).collect()
}

/// All events of a log from a position on, context included.
pub(crate) async fn events(
    source: &dyn Source,
    tables: &Arc<TableMap>,
    from: &Position,
    until: &Position,
) -> Vec<LogEvent> {
    parts(source, tables, from, until, None).await
}

/// The same, decoded in parts of about so many bytes.
pub(crate) async fn parts(
    source: &dyn Source,
    tables: &Arc<TableMap>,
    from: &Position,
    until: &Position,
    max_bytes: Option<usize>,
) -> Vec<LogEvent> {
    let mut capture = in_time("a capture", source.open_capture(from))
        .await
        .expect("open a capture");
    let mut decoder = source.decoder(Arc::clone(tables), from).expect("a decoder");
    let mut events = Vec::new();
    loop {
        let record = in_time("a record", capture.next()).await.expect("a record");
        match max_bytes {
            None => decoder.decode(&record, &mut events).expect("decode"),
            Some(max) => {
                while decoder
                    .decode_part(&record, &mut events, max)
                    .expect("decode a part")
                    == DecodeProgress::More
                {}
            }
        }
        if record.position.as_ref().is_some_and(|p| p >= until) {
            events.retain(|e| !matches!(e, LogEvent::Heartbeat { .. }));
            return events;
        }
    }
}

/// An event with everything in it, to be compared.
pub(crate) fn text(event: &LogEvent) -> String {
    let row = |row: &Option<Row>| row.as_ref().map(|r| r.as_bytes().to_vec());
    match event {
        LogEvent::Row(c) => format!("row of {}: {:?} {:?}", c.table, row(&c.before), row(&c.after)),
        LogEvent::Commit {
            position,
            source_time_us,
        } => format!("commit {} {source_time_us}", position.encode()),
        other => format!("{other:?}"),
    }
}

/// The changes of one table up to a position and those behind it, as they happened.
pub(crate) fn split_at(events: &[LogEvent], table: u32, at: &Position) -> (Multiset, Multiset) {
    let (mut until, mut behind) = (Multiset::new(), Multiset::new());
    let mut open = Vec::new();
    for event in events {
        match event {
            LogEvent::Begin { .. } => open.clear(),
            LogEvent::Row(change) if change.table == table => open.push(change),
            LogEvent::Commit { position, .. } => {
                let side = if position <= at { &mut until } else { &mut behind };
                for change in open.drain(..) {
                    change.before.iter().for_each(|r| count(side, r, -1));
                    change.after.iter().for_each(|r| count(side, r, 1));
                }
            }
            LogEvent::Abort => open.clear(),
            _ => {}
        }
    }
    for side in [&mut until, &mut behind] {
        side.retain(|_, n| *n != 0);
    }
    (until, behind)
}

/// Adds a row so many times.
pub(crate) fn count(rows: &mut Multiset, row: &Row, by: i64) {
    *rows.entry(row.as_bytes().to_vec()).or_default() += by;
}

/// Both together.
pub(crate) fn sum(mut a: Multiset, b: &Multiset) -> Multiset {
    for (row, by) in b {
        *a.entry(row.clone()).or_default() += by;
    }
    a.retain(|_, n| *n != 0);
    a
}

/// All rows of what was started.
pub(crate) async fn drain(reader: &mut dyn SnapshotReader) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(batch) = in_time("rows", reader.next_batch(4096)).await.expect("a batch") {
        assert!(!batch.rows.is_empty(), "a batch has at least one row");
        rows.extend(batch.rows);
    }
    rows
}

/// All rows of a table now, or in the reader's snapshot.
pub(crate) async fn all_rows(reader: &mut dyn SnapshotReader, table: &Arc<TableSchema>) -> Multiset {
    reader.read_all(Arc::clone(table)).await.expect("read a table");
    multiset(&drain(reader).await)
}

/// How often each of the rows occurs.
pub(crate) fn multiset(rows: &[Row]) -> Multiset {
    let mut all = Multiset::new();
    for row in rows {
        *all.entry(row.as_bytes().to_vec()).or_default() += 1;
    }
    all
}
