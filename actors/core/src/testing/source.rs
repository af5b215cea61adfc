//! The contract of [`Source`], checked against a real source.
//!
//! Each function checks one promise and panics where it is broken. All of them, in order, are
//! [`run_all`]. They use tables of their own in the database `source_contract`, which the caller
//! makes.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    SourceChange, SourceTable, TableShape,
    source_log::{all_rows, bytes_of, events, in_time, multiset, parts, records, rest_of, split_at, text},
};
use crate::{
    ErrorCode, Failure, GtidState, LogEvent, Position, RecordFlags, Row, Source, TableMap, TableName, codes,
};

pub use super::source_rows::{
    batches_are_bounded_and_counts_exact, chunks_partition_a_table,
    consistent_snapshots_are_exact_under_writes, keys_find_exactly_their_rows,
};

/// What the suite needs besides the source.
#[async_trait]
pub trait SourceBed: Send + Sync {
    /// The source under test.
    fn source(&self) -> Arc<dyn Source>;

    /// Creates an empty table in place of one that may be there.
    async fn create_table(&self, table: &SourceTable);

    /// Commits the changes, in this order, as one transaction.
    async fn commit(&self, changes: &[SourceChange]);

    /// Executes the changes and takes them back.
    async fn roll_back(&self, changes: &[SourceChange]);

    /// Removes as much of the log as can be removed before its present end.
    async fn purge(&self);
}

/// Runs every check.
pub async fn run_all(bed: &dyn SourceBed) {
    tables_come_in_order_and_missing_ones_are_named(bed).await;
    the_end_lies_behind_what_is_committed(bed).await;
    captures_yield_whole_transactions(bed).await;
    dropped_waits_lose_nothing(bed).await;
    idle_captures_yield_heartbeats(bed).await;
    decoding_gives_whole_transactions(bed).await;
    commits_are_counted_whatever_the_tables(bed).await;
    rows_of_the_log_equal_rows_of_queries(bed).await;
    chunks_partition_a_table(bed).await;
    keys_find_exactly_their_rows(bed).await;
    batches_are_bounded_and_counts_exact(bed).await;
    consistent_snapshots_are_exact_under_writes(bed).await;
    positions_that_cannot_be_read_are_refused(bed).await;
}

const DATABASE: &str = "source_contract";

fn named(table: &str) -> TableName {
    TableName::new(DATABASE, table)
}

pub(super) fn row(id: i64, t: &str) -> Row {
    TableShape::row(id, Some(i32::MIN as i64 + id), Some(t))
}

pub(super) fn change(table: &SourceTable, before: Option<&Row>, after: Option<&Row>) -> SourceChange {
    SourceChange {
        table: table.name.clone(),
        before: before.cloned(),
        after: after.cloned(),
    }
}

pub(super) fn insert(table: &SourceTable, row: &Row) -> SourceChange {
    change(table, None, Some(row))
}

fn refused_with<T>(result: Result<T, Failure>, code: ErrorCode) {
    match result {
        Ok(_) => panic!("{code} was expected"),
        Err(e) => assert_eq!(e.code(), code, "{e}"),
    }
}

pub(super) async fn made(bed: &dyn SourceBed, name: &str, key: &'static [&'static str]) -> SourceTable {
    let table = SourceTable {
        name: named(name),
        key,
    };
    bed.create_table(&table).await;
    table
}

pub(super) async fn definitions(source: &dyn Source, tables: &[&SourceTable]) -> Arc<TableMap> {
    let names: Vec<TableName> = tables.iter().map(|t| t.name.clone()).collect();
    let loaded = source.load_tables(&names).await.expect("load the tables");
    for (table, wanted) in loaded.iter().zip(tables) {
        let key: Option<Vec<&str>> = table
            .row_key_columns()
            .map(|columns| columns.iter().map(|c| table.columns[*c].name.as_str()).collect());
        assert_eq!(key.unwrap_or_default(), wanted.key, "{}", table.name);
    }
    Arc::new(TableMap::new(loaded.into_iter().map(Arc::new).collect()))
}

pub(super) async fn now(source: &dyn Source) -> Position {
    in_time("the end of the log", source.current_position())
        .await
        .expect("the end of the log")
}

/// A history over two tables and one beside them: transactions of one row and of many, over one
/// table and several, of all kinds of changes, and one that is taken back. The number of commits.
async fn write(bed: &dyn SourceBed, a: &SourceTable, b: &SourceTable, beside: &SourceTable) -> usize {
    let rows: Vec<Row> = (0..40)
        .map(|id| row(id, if id % 3 == 0 { "Ärger" } else { "x" }))
        .collect();
    let nulls = TableShape::row(99, None, None);
    let mut commits = 0;
    let mut commit = async |changes: Vec<SourceChange>| {
        bed.commit(&changes).await;
        commits += 1;
    };
    commit(vec![insert(a, &rows[0])]).await;
    commit(vec![insert(beside, &rows[0])]).await;
    commit(rows[1..].iter().map(|r| insert(a, r)).collect()).await;
    commit(vec![
        insert(b, &nulls),
        change(a, Some(&rows[5]), Some(&row(5, "changed"))),
        insert(beside, &rows[7]),
        insert(b, &nulls),
        change(a, Some(&rows[6]), None),
        change(a, Some(&rows[7]), Some(&row(1_007, "moved"))),
    ])
    .await;
    bed.roll_back(&[insert(a, &row(500, "never")), change(a, Some(&rows[8]), None)])
        .await;
    commit(vec![change(b, Some(&nulls), Some(&row(1, "")))]).await;
    commit(vec![change(beside, Some(&rows[7]), None)]).await;
    commit(vec![
        change(a, Some(&rows[9]), None),
        insert(a, &row(9, "again")),
        change(a, Some(&row(9, "again")), Some(&row(9, "and again"))),
    ])
    .await;
    let long = "long ".repeat(8);
    commit((2_000..2_300).map(|id| insert(a, &row(id, &long))).collect()).await;
    commits
}

struct Written {
    source: Arc<dyn Source>,
    a: SourceTable,
    b: SourceTable,
    beside: SourceTable,
    start: Position,
    end: Position,
    commits: usize,
}

async fn written(bed: &dyn SourceBed, name: &str) -> Written {
    let a = made(bed, &format!("{name}_a"), &["id"]).await;
    let b = made(bed, &format!("{name}_b"), &[]).await;
    let beside = made(bed, &format!("{name}_c"), &["id"]).await;
    let source = bed.source();
    let start = now(source.as_ref()).await;
    let commits = write(bed, &a, &b, &beside).await;
    let end = now(source.as_ref()).await;
    Written {
        source,
        a,
        b,
        beside,
        start,
        end,
        commits,
    }
}

/// Definitions come in the order asked for; every table that is not there is named.
pub async fn tables_come_in_order_and_missing_ones_are_named(bed: &dyn SourceBed) {
    let one = made(bed, "load_one", &["id"]).await;
    let two = made(bed, "load_two", &["u", "id"]).await;
    let source = bed.source();
    for tables in [[&one, &two], [&two, &one]] {
        let loaded = definitions(source.as_ref(), &tables).await;
        for (loaded, wanted) in loaded.iter().zip(tables) {
            assert_eq!(loaded.name, wanted.name);
            let columns: Vec<_> = loaded.columns.iter().map(|c| (&c.name, c.nullable)).collect();
            let schema = wanted.schema();
            let expected: Vec<_> = schema.columns.iter().map(|c| (&c.name, c.nullable)).collect();
            assert_eq!(columns, expected);
        }
    }
    let names = [named("no_such"), one.name, named("nor_this")];
    let error = source.load_tables(&names).await.expect_err("two are not there");
    assert_eq!(error.code(), codes::src::TABLE_MISSING, "{error}");
    for missing in ["no_such", "nor_this"] {
        assert!(error.detail().contains(missing), "{missing} is not in: {error}");
    }
    assert!(!error.detail().contains("load_one"), "{error}");
}

/// Everything committed before the call is before the position, and nothing after it.
pub async fn the_end_lies_behind_what_is_committed(bed: &dyn SourceBed) {
    let table = made(bed, "ends", &["id"]).await;
    let source = bed.source();
    let tables = definitions(source.as_ref(), &[&table]).await;
    let mut last = now(source.as_ref()).await;
    for id in 0..8 {
        bed.commit(&[insert(&table, &row(id, "t"))]).await;
        let end = now(source.as_ref()).await;
        assert!(last < end, "{last} and then {end}");
        source
            .check_position(&end)
            .await
            .expect("the end can be read from");
        let seen = events(source.as_ref(), &tables, &last, &end).await;
        let rows: Vec<&Row> = seen
            .iter()
            .filter_map(|e| match e {
                LogEvent::Row(change) => change.after.as_ref(),
                _ => None,
            })
            .collect();
        assert_eq!(rows, [&row(id, "t")], "between {last} and {end}");
        last = end;
    }
}

/// Transactions come whole, in order, and every one's end can be read from.
pub async fn captures_yield_whole_transactions(bed: &dyn SourceBed) {
    let w = written(bed, "borders").await;
    let all = records(w.source.as_ref(), &w.start, &w.end).await;
    let mut inside = false;
    let mut borders: Vec<(usize, Position)> = Vec::new();
    for (number, record) in all.iter().enumerate() {
        let flags = record.flags;
        if flags.has(RecordFlags::TXN_FIRST) {
            assert!(!inside, "a transaction in another");
            inside = true;
        }
        assert!(inside, "record {number} is in no transaction");
        let ends = flags.has(RecordFlags::TXN_LAST);
        assert_eq!(record.position.is_some(), ends, "the position of record {number}");
        if flags.has(RecordFlags::TXN_ABORT) {
            assert!(record.payload.is_empty() && !ends, "record {number}");
        }
        inside = !ends && !flags.has(RecordFlags::TXN_ABORT);
        if let Some(position) = &record.position {
            if let Some((_, before)) = borders.last() {
                assert!(before < position, "{before} and then {position}");
            }
            borders.push((number, position.clone()));
        }
    }
    assert!(!inside, "the last transaction has no end");
    assert!(borders.len() >= w.commits, "{} of {}", borders.len(), w.commits);
    let tables = definitions(w.source.as_ref(), &[&w.a, &w.b]).await;
    let told: Vec<String> = events(w.source.as_ref(), &tables, &w.start, &w.end)
        .await
        .iter()
        .map(text)
        .collect();
    for (number, border) in borders.iter().take(borders.len() - 1) {
        w.source.check_position(border).await.expect("a border");
        let again = records(w.source.as_ref(), border, &w.end).await;
        assert_eq!(bytes_of(&again), bytes_of(&all[number + 1..]), "from {border}");
        let decoded = events(w.source.as_ref(), &tables, border, &w.end).await;
        let decoded: Vec<String> = decoded.iter().map(text).collect();
        assert!(!decoded.is_empty() && told.ends_with(&decoded), "from {border}");
    }
}

/// Waiting for a record can be given up at any time without losing one.
pub async fn dropped_waits_lose_nothing(bed: &dyn SourceBed) {
    let w = written(bed, "drops").await;
    let all = records(w.source.as_ref(), &w.start, &w.end).await;
    let mut capture = w.source.open_capture(&w.start).await.expect("open a capture");
    let (mut again, mut given_up) = (Vec::new(), 0u32);
    loop {
        // Sooner than records come at first, then longer and longer.
        let patience = Duration::from_micros(u64::from(given_up.min(5_000)));
        let Ok(record) = tokio::time::timeout(patience, capture.next()).await else {
            given_up += 1;
            continue;
        };
        let record = record.expect("a record");
        if let (true, Some(position)) = (record.flags.has(RecordFlags::TXN_LAST), &record.position) {
            capture.acknowledge(position).await.expect("acknowledge");
        }
        let reached = record.position.as_ref().is_some_and(|p| *p >= w.end);
        if !record.flags.has(RecordFlags::HEARTBEAT) && !record.flags.has(RecordFlags::CONTEXT) {
            again.push(record);
        }
        if reached {
            break;
        }
    }
    assert_eq!(bytes_of(&again), bytes_of(&all), "after {given_up} dropped waits");
}

/// A source at rest shows that it is alive, and goes on where it was. What it says then is a
/// position that is not before the start, and from which everything that follows comes.
pub async fn idle_captures_yield_heartbeats(bed: &dyn SourceBed) {
    let table = made(bed, "idle", &["id"]).await;
    let source = bed.source();
    let start = now(source.as_ref()).await;
    let mut capture = source.open_capture(&start).await.expect("open a capture");
    let mut rests = Vec::new();
    for number in 0..2 {
        let before = now(source.as_ref()).await;
        let heartbeat = loop {
            let waited = tokio::time::timeout(Duration::from_secs(30), capture.next()).await;
            let record = waited.expect("a heartbeat in time").expect("a record");
            if record.flags.has(RecordFlags::HEARTBEAT) {
                break record;
            }
            assert!(record.flags.has(RecordFlags::CONTEXT), "{:?}", record.flags);
        };
        assert!(heartbeat.payload.is_empty());
        let position = heartbeat.position.expect("a heartbeat tells a position");
        assert!(position >= before, "{position} after {before}");
        bed.commit(&[insert(&table, &row(number, "t"))]).await;
        let end = now(source.as_ref()).await;
        let followed = rest_of(capture.as_mut(), &end).await;
        assert!(!followed.is_empty());
        rests.push((position, end, followed));
    }
    // A second capture may end the first.
    drop(capture);
    for (position, end, followed) in rests {
        source
            .check_position(&position)
            .await
            .expect("the position of a heartbeat");
        let again = records(source.as_ref(), &position, &end).await;
        assert_eq!(bytes_of(&again), bytes_of(&followed), "from {position}");
    }
}

/// Begin, rows, commit; nothing between; in parts as in one; equal whenever it is done.
pub async fn decoding_gives_whole_transactions(bed: &dyn SourceBed) {
    let w = written(bed, "decodes").await;
    let tables = definitions(w.source.as_ref(), &[&w.a, &w.b]).await;
    let all = events(w.source.as_ref(), &tables, &w.start, &w.end).await;
    let (mut inside, mut commits, mut rows) = (false, 0, 0);
    for event in &all {
        match event {
            LogEvent::Begin { .. } => {
                assert!(!inside, "a transaction in another");
                inside = true;
            }
            LogEvent::Row(change) => {
                assert!(inside, "a row outside of a transaction");
                assert!(change.before.is_some() || change.after.is_some());
                let table = tables.get(change.table).expect("a table of the map");
                for row in change.before.iter().chain(&change.after) {
                    assert_eq!(row.len(), table.columns.len());
                    assert!(row.iter().all(|v| !v.is_absent()), "full row images are logged");
                }
                rows += 1;
            }
            LogEvent::Commit { .. } | LogEvent::Abort => {
                assert!(inside, "an end outside of a transaction");
                inside = false;
                commits += usize::from(matches!(event, LogEvent::Commit { .. }));
            }
            LogEvent::Ddl { statement, .. } => panic!("{statement}"),
            LogEvent::Heartbeat { .. } => assert!(!inside),
        }
    }
    assert!(!inside && commits >= w.commits, "{commits} of {}", w.commits);
    assert!(rows >= 1 + 39 + 5 + 1 + 3 + 300, "{rows} rows");
    let told: Vec<String> = all.iter().map(text).collect();
    for max in [None, Some(1), Some(1_000), Some(1 << 20)] {
        let again = parts(w.source.as_ref(), &tables, &w.start, &w.end, max).await;
        assert_eq!(again.iter().map(text).collect::<Vec<_>>(), told, "{max:?}");
    }
}

/// Readers of any tables count the same commits at the same positions, and see the same rows.
pub async fn commits_are_counted_whatever_the_tables(bed: &dyn SourceBed) {
    let w = written(bed, "counts").await;
    let ends = |events: &[LogEvent]| -> Vec<String> {
        let ends = events.iter().filter(|e| matches!(e, LogEvent::Commit { .. }));
        ends.map(text).collect()
    };
    let both = definitions(w.source.as_ref(), &[&w.a, &w.b]).await;
    let all = events(w.source.as_ref(), &both, &w.start, &w.end).await;
    assert!(ends(&all).len() >= w.commits);
    for chosen in [
        vec![],
        vec![&w.a],
        vec![&w.b],
        vec![&w.b, &w.a],
        vec![&w.beside],
        vec![&w.a, &w.b, &w.beside],
    ] {
        let tables = definitions(w.source.as_ref(), &chosen).await;
        let seen = events(w.source.as_ref(), &tables, &w.start, &w.end).await;
        assert_eq!(ends(&seen), ends(&all), "{} tables", chosen.len());
        for (number, table) in (0u32..).zip(tables.iter()) {
            let Some(same) = both.find(&table.name) else {
                continue;
            };
            assert_eq!(
                split_at(&seen, number, &w.end),
                split_at(&all, same, &w.end),
                "{}",
                table.name
            );
        }
        assert!(!chosen.is_empty() || seen.iter().all(|e| !matches!(e, LogEvent::Row(_))));
    }
}

/// A row has the same bytes by both paths, and those of its canonical values.
pub async fn rows_of_the_log_equal_rows_of_queries(bed: &dyn SourceBed) {
    let w = written(bed, "equal").await;
    let tables = definitions(w.source.as_ref(), &[&w.a, &w.b, &w.beside]).await;
    let all = events(w.source.as_ref(), &tables, &w.start, &w.end).await;
    let mut reader = w.source.open_snapshot().await.expect("open a reader");
    for (number, table) in (0u32..).zip(tables.iter()) {
        let logged = split_at(&all, number, &w.end).0;
        assert!(!logged.is_empty());
        assert_eq!(all_rows(reader.as_mut(), table).await, logged, "{}", table.name);
    }
    let expected = multiset(&[TableShape::row(99, None, None), row(1, "")]);
    assert_eq!(split_at(&all, 1, &w.end).0, expected);
}

/// Positions of another server, behind the end and in what was removed are refused by name.
pub async fn positions_that_cannot_be_read_are_refused(bed: &dyn SourceBed) {
    let table = made(bed, "refused", &["id"]).await;
    let source = bed.source();
    let start = now(source.as_ref()).await;
    bed.commit(&[insert(&table, &row(1, "t"))]).await;
    let end = now(source.as_ref()).await;
    for position in [&start, &end] {
        source.check_position(position).await.expect("what is there");
    }
    let Position::Binlog(mut foreign) = end.clone() else {
        panic!("{end} is no position of a binary log");
    };
    // With GTIDs another server may know where to go on.
    foreign.gtid = GtidState::None;
    let mut beyond = foreign.clone();
    foreign.server = "another server".into();
    beyond.offset += 1 << 24;
    refused_with(
        source.check_position(&Position::Binlog(foreign)).await,
        codes::src::SERVER_CHANGED,
    );
    refused_with(
        source.check_position(&Position::Binlog(beyond)).await,
        codes::src::LOG_PURGED,
    );
    bed.purge().await;
    refused_with(source.check_position(&start).await, codes::src::LOG_PURGED);
    let reading = async { source.open_capture(&start).await?.next().await };
    refused_with(in_time("a refusal", reading).await, codes::src::LOG_PURGED);
    let later = now(source.as_ref()).await;
    source.check_position(&later).await.expect("the end");
    bed.commit(&[insert(&table, &row(2, "t"))]).await;
    let end = now(source.as_ref()).await;
    assert!(!records(source.as_ref(), &later, &end).await.is_empty());
}
