//! Starting again at every border between transactions.
#![allow(clippy::unwrap_used)]

mod binlog_bed;

use std::sync::Arc;

use binlog_bed::{Bed, Content, apply, assert_equal, decode};
use oms_cluster_tests::{ServerKind, ServerOptions};
use oms_core::{CapturedRecord, GtidState, LogEvent, Position, RecordFlags, TableMap, codes};
use oms_mysql::binlog::check_position;
use oms_mysql::connection::{ServerInfo, Side, connect};

/// Transactions of all shapes over two log files, of a project table and of others.
async fn write(bed: &mut Bed) {
    bed.run(&[
        "INSERT INTO t VALUES (1, 'one')",
        "BEGIN",
        "INSERT INTO t VALUES (2, 'two'), (3, 'three')",
        "SAVEPOINT s",
        "INSERT INTO t VALUES (4, 'four')",
        "ROLLBACK TO s",
        "UPDATE t SET b = 'zwei' WHERE a = 2",
        "COMMIT",
        "INSERT INTO other VALUES (1)",
        "CREATE TABLE later (x INT)",
        "FLUSH BINARY LOGS",
        "BEGIN",
        "DELETE FROM t WHERE a = 1",
        "INSERT INTO other VALUES (2)",
        "COMMIT",
        "BEGIN",
        "INSERT INTO t VALUES (9, 'never')",
        "ROLLBACK",
        "INSERT INTO plain VALUES (1)",
        "INSERT INTO t SELECT a + 100, REPEAT('x', 3000) FROM t",
        "DROP TABLE later",
        "UPDATE t SET b = NULL",
    ])
    .await;
}

fn by_file(position: &Position) -> Position {
    let Position::Binlog(mut p) = position.clone() else {
        panic!("{position}");
    };
    p.gtid = GtidState::None;
    Position::Binlog(p)
}

fn shape(records: &[CapturedRecord]) -> Vec<(u8, Vec<u8>)> {
    records
        .iter()
        .filter(|r| !r.flags.has(RecordFlags::CONTEXT))
        .map(|r| (r.flags.0, r.payload.to_vec()))
        .collect()
}

async fn restarts_at_every_border(kind: ServerKind, options: ServerOptions, has_gtid: bool) {
    let mut bed = Bed::start(kind, options).await;
    bed.run(&[
        "CREATE TABLE t (a INT PRIMARY KEY, b TEXT)",
        "CREATE TABLE other (a INT PRIMARY KEY)",
        "CREATE TABLE plain (a INT) ENGINE=MyISAM",
    ])
    .await;
    let tables = bed.tables("d", &["t", "plain"]).await;
    let start = bed.position().await;
    write(&mut bed).await;
    let end = bed.position().await;
    let all = bed.records(&start, &end).await;
    let Position::Binlog(p) = &start else { panic!() };
    assert_eq!(p.gtid != GtidState::None, has_gtid);

    let mut logged = Content::new();
    apply(&mut logged, &decode(&tables, &start, &all).unwrap());
    assert_equal(&tables, &logged, &bed.content(&tables).await);

    let borders: Vec<(usize, Position)> = all
        .iter()
        .enumerate()
        .filter_map(|(i, r)| Some((i, r.position.clone()?)))
        .collect();
    assert!(borders.len() >= 9, "{} transactions", borders.len());
    assert!(
        borders.windows(2).all(|w| w[0].1 < w[1].1),
        "positions do not grow"
    );
    for (index, border) in borders.iter().take(borders.len() - 1) {
        let rest = shape(&all[index + 1..]);
        assert_eq!(shape(&bed.records(border, &end).await), rest, "from {border}");
        assert_eq!(
            shape(&bed.records(&by_file(border), &end).await),
            rest,
            "by file from {border}"
        );
        let decoded = decode(&tables, border, &all[index + 1..]).unwrap();
        assert!(matches!(
            decoded.first(),
            Some(LogEvent::Begin { .. } | LogEvent::Heartbeat { .. })
        ));
    }
    what_cannot_be_reached_is_named(&mut bed, &tables, &start, &end).await;
}

async fn what_cannot_be_reached_is_named(
    bed: &mut Bed,
    tables: &Arc<TableMap>,
    start: &Position,
    end: &Position,
) {
    let mut conn = connect(&bed.endpoint, Side::Source).await.unwrap();
    let info = ServerInfo::probe(&mut conn, Side::Source).await.unwrap();
    check_position(&mut conn, &info, start).await.unwrap();
    check_position(&mut conn, &info, end).await.unwrap();

    let Position::Binlog(mut elsewhere) = by_file(end) else {
        panic!()
    };
    elsewhere.server = "somewhere else".into();
    let elsewhere = Position::Binlog(elsewhere);
    let error = check_position(&mut conn, &info, &elsewhere).await.unwrap_err();
    assert_eq!(error.code(), codes::src::SERVER_CHANGED, "{error}");

    let Position::Binlog(last) = end else { panic!() };
    bed.run(&[
        "FLUSH BINARY LOGS",
        &format!("PURGE BINARY LOGS TO '{}'", last.file),
    ])
    .await;
    for from in [start.clone(), by_file(start)] {
        let error = check_position(&mut conn, &info, &from).await.unwrap_err();
        assert_eq!(error.code(), codes::src::LOG_PURGED, "{error}");
        assert!(error.detail().contains(&last.file), "{error}");
        let error = bed.capture(&from).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code(), codes::src::LOG_PURGED, "{error}");
    }
    check_position(&mut conn, &info, end).await.unwrap();
    let Position::Binlog(mut beyond) = by_file(end) else {
        panic!()
    };
    beyond.offset += 1_000_000;
    let error = check_position(&mut conn, &info, &Position::Binlog(beyond))
        .await
        .unwrap_err();
    assert_eq!(error.code(), codes::src::LOG_PURGED, "{error}");
    bed.run(&["ALTER TABLE t ADD c INT"]).await;
    let now = bed.position().await;
    let events = bed.events(tables, end, &now).await;
    assert!(
        matches!(events.as_slice(), [LogEvent::Ddl { statement, database, .. }]
            if statement == "ALTER TABLE t ADD c INT" && database == "d"),
        "{events:?}"
    );
    bed.run(&["INSERT INTO t VALUES (50, 'x', 1)"]).await;
    let last = bed.position().await;
    let error = decode(tables, &now, &bed.records(&now, &last).await).unwrap_err();
    assert_eq!(error.code(), codes::schema::DEFINITION_DIFFERS, "{error}");
    assert!(error.detail().contains("`d`.`t`"), "{error}");
    bed.run(&[
        "SET SESSION binlog_format = 'STATEMENT'",
        "DELETE FROM t WHERE a = 50",
    ])
    .await;
    let end = bed.position().await;
    let error = decode(tables, &last, &bed.records(&last, &end).await).unwrap_err();
    assert_eq!(error.code(), codes::src::LOG_FORMAT, "{error}");
}

#[tokio::test]
async fn mariadb() {
    restarts_at_every_border(ServerKind::MariaDb, ServerOptions::source(), true).await;
}

#[tokio::test]
async fn mysql56() {
    restarts_at_every_border(ServerKind::Mysql56, ServerOptions::source().gtid(false), false).await;
}

#[tokio::test]
async fn mysql97() {
    restarts_at_every_border(ServerKind::Mysql97, ServerOptions::source(), true).await;
}

#[tokio::test]
async fn mysql97_without_gtid() {
    restarts_at_every_border(ServerKind::Mysql97, ServerOptions::source().gtid(false), false).await;
}
