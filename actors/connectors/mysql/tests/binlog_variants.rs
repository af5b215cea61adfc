//! What servers can be set to log, and what clients can make them log.
#![allow(clippy::unwrap_used)]

mod binlog_bed;

use binlog_bed::{Bed, Content, apply, assert_equal, decode};
use oms_cluster_tests::{ServerKind, ServerOptions};
use oms_core::{
    Capture, DecodeProgress, GtidState, LogDecoder, LogEvent, Position, RecordFlags, RowChange, Value, codes,
};
use oms_mysql::{
    binlog::BinlogDecoder,
    connection::{Secret, TlsMode},
};

fn changes(events: &[LogEvent]) -> Vec<&RowChange> {
    events
        .iter()
        .filter_map(|e| match e {
            LogEvent::Row(change) => Some(change),
            _ => None,
        })
        .collect()
}

async fn partial_images_leave_columns_absent(kind: ServerKind) {
    let mut bed = Bed::start(kind, ServerOptions::source()).await;
    bed.run(&["CREATE TABLE t (a INT, k INT PRIMARY KEY, b TEXT, c VARCHAR(5)) CHARSET latin1"])
        .await;
    let tables = bed.tables("d", &["t"]).await;
    let start = bed.position().await;
    bed.run(&[
        "INSERT INTO t VALUES (1, 2, 'text', 'c')",
        "SET SESSION binlog_row_image = 'MINIMAL'",
        "UPDATE t SET c = 'new' WHERE k = 2",
        "INSERT INTO t (k, a) VALUES (3, NULL)",
        "DELETE FROM t WHERE k = 2",
        "SET SESSION binlog_row_image = 'NOBLOB'",
        "UPDATE t SET c = 'x' WHERE k = 3",
    ])
    .await;
    let end = bed.position().await;
    let events = bed.events(&tables, &start, &end).await;
    let changes = changes(&events);
    let rows = |i: usize| {
        let of = |row: &Option<oms_core::Row>| {
            row.as_ref()
                .map(|r| r.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(" "))
        };
        (of(&changes[i].before), of(&changes[i].after))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(changes.len(), 5);
    assert_eq!(rows(1).0, some("Absent Int(2) Absent Absent"));
    assert_eq!(rows(1).1, some("Absent Absent Absent Text([110, 101, 119])"));
    assert_eq!(rows(2).1.unwrap().split(' ').nth(1), Some("Int(3)"));
    assert_eq!(rows(3), (some("Absent Int(2) Absent Absent"), None));
    assert_eq!(rows(4).0, some("Null Int(3) Absent Null"));
    assert_eq!(rows(4).1, some("Null Int(3) Absent Text([120])"));
}

#[tokio::test]
async fn partial_images_mariadb() {
    partial_images_leave_columns_absent(ServerKind::MariaDb).await;
}

#[tokio::test]
async fn partial_images_mysql56() {
    partial_images_leave_columns_absent(ServerKind::Mysql56).await;
}

#[tokio::test]
async fn partial_images_mysql97() {
    partial_images_leave_columns_absent(ServerKind::Mysql97).await;
}

/// Documents with everything JSON can hold in MySQL.
const DOCUMENTS: &[&str] = &[
    r#"'{"b":1,"aa":[1,2.5,-3,null,true,false],"a":{"x":"q\\"\\\\\\n\\u0001\\u00fc\\u007f/","":{}}}'"#,
    "'[]'",
    "'{}'",
    "'null'",
    "'\"s\"'",
    "'1'",
    "'[1.0,-0.0,0.0,1e20,123456789012345,123456789012345.0,1234567890123456.0,1e15,1e14,999999999999999.9]'",
    "'[1e-5,1e-14,1.5e-14,1e-15,1.5e-15,1.7976931348623157e308,5e-324,0.1,-2.5e-7,1e22,1e23,3e100]'",
    "'[18446744073709551615,-9223372036854775808,65535,65536,-32768,-32769,2147483648,3000000000]'",
    "'12345678901234567890123'",
    "CAST(1.10 AS JSON)",
    "CAST(CAST(-0.000001 AS DECIMAL(65,30)) AS JSON)",
    "CAST(CAST('2024-02-03' AS DATE) AS JSON)",
    "CAST(CAST('2024-02-03 04:05:06.789' AS DATETIME(3)) AS JSON)",
    "CAST(CAST('-838:59:59' AS TIME(6)) AS JSON)",
    "CAST(CAST('00:00:00.000001' AS TIME(6)) AS JSON)",
    "CAST(CAST(REPEAT(X'0102030405', 11) AS BINARY) AS JSON)",
    "CAST(CAST(REPEAT(X'010203', 19) AS BINARY) AS JSON)",
    "CAST(CAST(REPEAT(X'010203', 200) AS BINARY) AS JSON)",
    "JSON_OBJECT('k', b'101', 'y', CAST(2024 AS YEAR), 'g', ST_GeomFromText('POINT(1 2)'))",
    "JSON_OBJECT('long', REPEAT('ü\\n', 70000), 'n', JSON_ARRAY(REPEAT('a', 127), REPEAT('a', 128), 100000))",
    "CONCAT('[', REPEAT('[', 90), REPEAT(']', 90), ']')",
    "CONCAT('[1', REPEAT(',70000', 20000), ']')",
];

#[tokio::test]
async fn json_is_printed_as_the_server_prints_it() {
    let mut bed = Bed::start(ServerKind::Mysql97, ServerOptions::source()).await;
    bed.run(&["CREATE TABLE t (k INT PRIMARY KEY AUTO_INCREMENT, j JSON)"])
        .await;
    let tables = bed.tables("d", &["t"]).await;
    let start = bed.position().await;
    for document in DOCUMENTS {
        bed.run(&[&format!("INSERT INTO t (j) VALUES ({document})")])
            .await;
    }
    let end = bed.position().await;
    let mut logged = Content::new();
    apply(&mut logged, &bed.events(&tables, &start, &end).await);
    assert_eq!(logged.len(), DOCUMENTS.len());
    assert_equal(&tables, &logged, &bed.content(&tables).await);
}

#[tokio::test]
async fn partial_json_updates_are_applied_to_the_value_before() {
    let options = ServerOptions::source().set("binlog_row_value_options", "PARTIAL_JSON");
    let mut bed = Bed::start(ServerKind::Mysql97, options).await;
    bed.run(&["CREATE TABLE t (k INT PRIMARY KEY, a JSON, n INT, b JSON, c JSON)"])
        .await;
    let tables = bed.tables("d", &["t"]).await;
    let start = bed.position().await;
    let filler = "REPEAT('x', 500)";
    bed.run(&[
        &format!(
            "INSERT INTO t SELECT n, JSON_OBJECT('f', {filler}, 'l', JSON_ARRAY(1, 2, 3), 'o', JSON_OBJECT('a b', 1)), n, \
             JSON_ARRAY({filler}, JSON_OBJECT('q\"', 'x')), NULL FROM \
             (SELECT 1 n UNION SELECT 2 UNION SELECT 3) x"
        ),
        "UPDATE t SET a = JSON_SET(a, '$.l[1]', 99)",
        "UPDATE t SET a = JSON_REMOVE(a, '$.l[0]'), n = n + 1",
        "UPDATE t SET b = JSON_REPLACE(b, '$[1].\"q\\\\\"\"', 'longer than before, so that it does not fit')",
        "UPDATE t SET a = JSON_SET(a, '$.o.\"a b\"', JSON_OBJECT('deep', JSON_ARRAY(1.50, 'z'))), b = JSON_REMOVE(b, '$[1]')",
        "UPDATE t SET c = JSON_OBJECT('new', k) WHERE k < 3",
        "UPDATE t SET a = JSON_SET(a, '$.l[0]', NULL), c = JSON_SET(c, '$.new', 'n') WHERE k < 3",
        "UPDATE t SET a = JSON_SET(a, '$.o', k), b = NULL WHERE k = 3",
        "UPDATE t SET a = JSON_REMOVE(a, '$.f')",
    ])
    .await;
    let end = bed.position().await;
    let records = bed.records(&start, &end).await;
    let partial = records.iter().filter(|r| r.payload.get(4) == Some(&39)).count();
    assert!(partial >= 6, "only {partial} partial updates were logged");
    let mut logged = Content::new();
    apply(&mut logged, &decode(&tables, &start, &records).unwrap());
    assert_equal(&tables, &logged, &bed.content(&tables).await);

    // Two JSON columns, of which one is in no image: the change of the other cannot be applied.
    bed.run(&[
        "SET SESSION binlog_row_image = 'MINIMAL'",
        "UPDATE t SET a = JSON_SET(a, '$.l[0]', 7) WHERE k = 1",
    ])
    .await;
    let last = bed.position().await;
    let error = decode(&tables, &end, &bed.records(&end, &last).await).unwrap_err();
    assert_eq!(error.code(), codes::src::ROW_IMAGE, "{error}");
    assert!(error.detail().contains("`d`.`t`"), "{error}");
}

#[tokio::test]
async fn a_compressed_transaction_is_decoded_in_parts() {
    let options = ServerOptions::source().set("binlog_transaction_compression", "ON");
    let mut bed = Bed::start(ServerKind::Mysql97, options).await;
    bed.run(&[
        "CREATE TABLE t (a INT PRIMARY KEY AUTO_INCREMENT, b VARCHAR(50))",
        "CREATE TABLE other (a INT)",
    ])
    .await;
    let tables = bed.tables("d", &["t"]).await;
    let start = bed.position().await;
    bed.run(&[
        "BEGIN",
        "INSERT INTO other VALUES (1)",
        "INSERT INTO t (b) VALUES ('a'), ('b')",
    ])
    .await;
    for _ in 0..16 {
        bed.run(&["INSERT INTO t (b) SELECT b FROM t"]).await;
    }
    bed.run(&["COMMIT"]).await;
    let end = bed.position().await;
    let records = bed.records(&start, &end).await;
    let data: Vec<_> = records
        .iter()
        .filter(|r| !r.flags.has(RecordFlags::CONTEXT))
        .collect();
    assert_eq!(data.len(), 2, "GTID and payload");
    let mut decoder = BinlogDecoder::new(tables.clone(), start.clone());
    let mut out = Vec::new();
    decoder.decode(data[0], &mut out).unwrap();
    let (mut parts, mut rows, mut commits) = (0, 0, 0);
    loop {
        let progress = decoder.decode_part(data[1], &mut out, 100_000).unwrap();
        parts += 1;
        assert!(out.len() < 3_000, "{} events in one part", out.len());
        rows += out.iter().filter(|e| matches!(e, LogEvent::Row(_))).count();
        commits += out
            .iter()
            .filter(|e| matches!(e, LogEvent::Commit { .. }))
            .count();
        out.clear();
        if progress == DecodeProgress::Done {
            break;
        }
    }
    assert_eq!((rows, commits), (131_072, 1));
    assert!(parts > 50, "{parts} parts");
}

async fn values_of_many_packets(kind: ServerKind) {
    let options = ServerOptions::source().set("max_allowed_packet", "268435456");
    let options = match kind {
        ServerKind::Mysql56 => options.set("innodb_log_file_size", "734003200"),
        _ => options,
    };
    let mut bed = Bed::start(kind, options).await;
    bed.run(&["CREATE TABLE t (a INT PRIMARY KEY, b LONGBLOB)"]).await;
    let tables = bed.tables("d", &["t"]).await;
    let start = bed.position().await;
    let statements: Vec<String> = [16_777_215 - 30, 16_777_216, 64 << 20]
        .iter()
        .enumerate()
        .map(|(i, n)| format!("INSERT INTO t VALUES ({i}, REPEAT(X'00ff27', {}))", n / 3))
        .collect();
    bed.client.run_all(&statements).await.unwrap();
    let end = bed.position().await;
    let mut logged = Content::new();
    apply(&mut logged, &bed.events(&tables, &start, &end).await);
    assert_eq!(logged.len(), 3);
    assert!(logged == bed.content(&tables).await, "large values differ");
}

#[tokio::test]
async fn large_values_mariadb() {
    values_of_many_packets(ServerKind::MariaDb).await;
}

#[tokio::test]
async fn large_values_mysql56() {
    values_of_many_packets(ServerKind::Mysql56).await;
}

#[tokio::test]
async fn large_values_mysql97() {
    values_of_many_packets(ServerKind::Mysql97).await;
}

#[tokio::test]
async fn an_idle_source_beats_and_a_dead_one_is_noticed() {
    let mut bed = Bed::start(ServerKind::MariaDb, ServerOptions::source()).await;
    bed.run(&["CREATE TABLE t (a INT PRIMARY KEY)"]).await;
    let start = bed.position().await;
    let mut capture = bed.capture(&start).await.unwrap();
    loop {
        let record = capture.next().await.unwrap();
        if record.flags.has(RecordFlags::HEARTBEAT) {
            assert_eq!(record.position.as_ref(), Some(&start));
            break;
        }
    }
    bed.server.freeze().unwrap();
    let error = loop {
        if let Err(error) = capture.next().await {
            break error;
        }
    };
    assert!(error.is_transient(), "{error}");
    assert_eq!(error.code(), codes::src::UNREACHABLE);
    bed.server.thaw().unwrap();
    bed.server.kill().unwrap();
}

#[tokio::test]
async fn logins_of_all_kinds() {
    for kind in [ServerKind::MariaDb, ServerKind::Mysql56, ServerKind::Mysql97] {
        let mut bed = Bed::start(kind, ServerOptions::source()).await;
        let start = bed.position().await;
        let accounts: &[(&str, &str)] = match kind {
            ServerKind::Mysql97 => &[("sha2", "IDENTIFIED WITH caching_sha2_password BY 'secret'")],
            _ => &[("native", "IDENTIFIED BY 'secret'")],
        };
        for (name, how) in accounts {
            bed.run(&[
                &format!("CREATE USER {name}@'%' {how}"),
                &format!("GRANT REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.* TO {name}@'%'"),
            ])
            .await;
            let right = bed.endpoint.clone();
            bed.endpoint.user = (*name).to_owned();
            bed.endpoint.password = Secret::new("secret");
            let modes: &[TlsMode] = match kind {
                ServerKind::Mysql97 => &[TlsMode::Disable, TlsMode::Require, TlsMode::Prefer],
                _ => &[TlsMode::Disable, TlsMode::Prefer],
            };
            for mode in modes {
                bed.endpoint.tls = *mode;
                let mut capture = bed
                    .capture(&start)
                    .await
                    .unwrap_or_else(|e| panic!("{kind} {name} {mode:?}: {e}"));
                capture.next().await.unwrap();
            }
            bed.endpoint.password = Secret::new("wrong");
            let error = bed.capture(&start).await.map(|_| ()).unwrap_err();
            assert_eq!(error.code(), codes::src::ACCESS_DENIED, "{kind}: {error}");
            bed.endpoint = right;
        }
    }
}

#[tokio::test]
async fn tagged_transactions_are_counted() {
    let mut bed = Bed::start(ServerKind::Mysql97, ServerOptions::source()).await;
    bed.run(&["CREATE TABLE t (a INT PRIMARY KEY)"]).await;
    let tables = bed.tables("d", &["t"]).await;
    let start = bed.position().await;
    bed.run(&[
        "INSERT INTO t VALUES (1)",
        "SET gtid_next = 'AUTOMATIC:blue'",
        "INSERT INTO t VALUES (2)",
        "INSERT INTO t VALUES (3)",
        "SET gtid_next = 'AUTOMATIC'",
        "INSERT INTO t VALUES (4)",
    ])
    .await;
    let end = bed.position().await;
    let records = bed.records(&start, &end).await;
    let last = records.iter().rev().find_map(|r| r.position.clone()).unwrap();
    assert_eq!(last, end);
    let Position::Binlog(p) = &last else { panic!() };
    let GtidState::Mysql(set) = &p.gtid else { panic!() };
    assert!(set.to_string().contains(":blue:1-2"), "{set}");
    let borders: Vec<_> = records.iter().filter_map(|r| r.position.clone()).collect();
    assert_eq!(borders.len(), 4);
    for (i, border) in borders.iter().enumerate().take(3) {
        let rest = bed.events(&tables, border, &end).await;
        assert_eq!(changes(&rest).len(), 3 - i, "behind {border}");
    }
}

#[tokio::test]
async fn hidden_columns_are_left_out() {
    let mut bed = Bed::start(ServerKind::MariaDb, ServerOptions::source()).await;
    bed.run(&["CREATE TABLE t (a INT PRIMARY KEY, b TEXT, c TEXT, UNIQUE (b), UNIQUE (c, b), h INT INVISIBLE DEFAULT 5)"])
        .await;
    let tables = bed.tables("d", &["t"]).await;
    let start = bed.position().await;
    bed.run(&[
        "INSERT INTO t (a, b, c) VALUES (1, 'x', NULL), (2, NULL, 'y')",
        "UPDATE t SET b = 'z' WHERE a = 1",
    ])
    .await;
    let end = bed.position().await;
    let mut logged = Content::new();
    apply(&mut logged, &bed.events(&tables, &start, &end).await);
    assert_equal(&tables, &logged, &bed.content(&tables).await);

    let mut bed = Bed::start(ServerKind::Mysql97, ServerOptions::source()).await;
    bed.run(&[
        "SET sql_generate_invisible_primary_key = ON",
        "CREATE TABLE t (a INT, b TEXT, h INT INVISIBLE DEFAULT 5, j JSON, KEY k ((a * 2)), \
         KEY m ((CAST(j->'$.x' AS UNSIGNED ARRAY))))",
    ])
    .await;
    let shown = bed.tables("d", &["t"]).await;
    bed.run(&["SET GLOBAL show_gipk_in_create_table_and_information_schema = OFF"])
        .await;
    let hidden = bed.tables("d", &["t"]).await;
    let start = bed.position().await;
    bed.run(&[
        "INSERT INTO t (a, b, j) VALUES (1, 'x', '{\"x\":[1,2]}'), (2, NULL, NULL)",
        "UPDATE t SET b = 'z'",
    ])
    .await;
    let end = bed.position().await;
    for tables in [shown, hidden] {
        let events = bed.events(&tables, &start, &end).await;
        let columns = tables.get(0).unwrap().columns.len();
        let changes = changes(&events);
        assert_eq!(changes.len(), 4);
        let after = changes[3].after.as_ref().unwrap();
        assert_eq!(after.len(), columns);
        let tail: Vec<_> = after.iter().skip(columns - 4).collect();
        assert_eq!(
            tail,
            [Value::Int(2), Value::Text(b"z"), Value::Int(5), Value::Null]
        );
    }
}

#[tokio::test]
async fn prepared_transactions_of_managers_stop_only_projects_they_touch() {
    for kind in [ServerKind::MariaDb, ServerKind::Mysql97] {
        let mut bed = Bed::start(kind, ServerOptions::source()).await;
        bed.run(&[
            "CREATE TABLE t (a INT PRIMARY KEY)",
            "CREATE TABLE other (a INT PRIMARY KEY)",
        ])
        .await;
        let tables = bed.tables("d", &["t"]).await;
        let start = bed.position().await;
        bed.run(&[
            "XA START 'x'",
            "INSERT INTO other VALUES (1)",
            "XA END 'x'",
            "XA PREPARE 'x'",
            "XA COMMIT 'x'",
            "XA START 'y'",
            "INSERT INTO t VALUES (1)",
            "XA END 'y'",
            "XA COMMIT 'y' ONE PHASE",
            "INSERT INTO t VALUES (2)",
        ])
        .await;
        let end = bed.position().await;
        let mut logged = Content::new();
        apply(&mut logged, &bed.events(&tables, &start, &end).await);
        assert_equal(&tables, &logged, &bed.content(&tables).await);
        bed.run(&[
            "XA START 'z'",
            "INSERT INTO t VALUES (3)",
            "XA END 'z'",
            "XA PREPARE 'z'",
            "XA ROLLBACK 'z'",
        ])
        .await;
        let last = bed.position().await;
        let error = decode(&tables, &end, &bed.records(&end, &last).await).unwrap_err();
        assert_eq!(error.code(), codes::src::UNKNOWN_EVENT, "{kind}: {error}");
    }
}
