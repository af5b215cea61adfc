//! Logs that real servers wrote, kept as files: what they decode to, and that damage to them is
//! noticed and never worse.
#![allow(clippy::unwrap_used)]

mod binlog_bed;

use std::{collections::VecDeque, fmt::Write, fs, path::PathBuf, sync::Arc};

use binlog_bed::Bed;
use bytes::{Bytes, BytesMut};
use oms_cluster_tests::{ServerKind, ServerOptions};
use oms_core::{
    BinlogPosition, CapturedRecord, GtidState, LogDecoder, LogEvent, Position, RecordFlags, Row, TableMap,
    codes,
};
use oms_mysql::binlog::{BinlogDecoder, LogFollower, decode_bytes, events_of_file};
use proptest::prelude::*;

const NAMES: [&str; 3] = ["mariadb", "mysql56", "mysql97"];

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "fixtures", name]
        .iter()
        .collect()
}

fn log(name: &str) -> Bytes {
    fs::read(path(&format!("{name}.binlog"))).unwrap().into()
}

fn tables(name: &str) -> Arc<TableMap> {
    let text = fs::read(path(&format!("{name}.json"))).unwrap();
    let tables: Vec<_> = serde_json::from_slice::<Vec<_>>(&text).unwrap();
    Arc::new(TableMap::new(tables.into_iter().map(Arc::new).collect()))
}

/// Makes a fixture anew: the log of a server with one table of many types, its changes, and what
/// the server can be told to compress.
async fn write_fixture(kind: ServerKind, name: &str) {
    let mut bed = Bed::start(kind, ServerOptions::source()).await;
    let json = if kind == ServerKind::Mysql97 {
        ", j JSON"
    } else {
        ""
    };
    let own = if kind == ServerKind::MariaDb {
        ", u UUID, i6 INET6, i4 INET4, z VARCHAR(200) COMPRESSED"
    } else {
        ""
    };
    bed.run(&[
        &format!(
            "CREATE TABLE t (a INT PRIMARY KEY, ti TINYINT, mi MEDIUMINT, bu BIGINT UNSIGNED, d DECIMAL(20,6), f FLOAT, \
             g DOUBLE, y YEAR, da DATE, tm TIME(3), dt DATETIME(6), ts TIMESTAMP(1) NULL, b BIT(11), c CHAR(9), v VARCHAR(300), \
             bn BINARY(5), bl BLOB, e ENUM('x','y'), s SET('p','q','r'){json}{own}) CHARSET utf8mb4"
        ),
        "CREATE TABLE other (a INT)",
    ])
    .await;
    let tables = bed.tables("d", &["t"]).await;
    bed.run(&[
        "FLUSH BINARY LOGS",
        "INSERT INTO t (a, ti, mi, bu, d, f, g, y, da, tm, dt, ts, b, c, v, bn, bl, e, s) VALUES \
         (1, -128, -8388608, 18446744073709551615, -12345.000001, 1.5, -0.1, 2000, '2024-02-29', '-12:34:56.789', \
         '2024-01-02 03:04:05.000006', '2024-01-02 03:04:05.6', 1025, 'é', REPEAT('v', 280), X'0100', X'00FF', 2, 5)",
        "INSERT INTO t (a) VALUES (2), (3)",
        "BEGIN",
        "UPDATE t SET v = 'new', d = 0.5 WHERE a = 1",
        "INSERT INTO other VALUES (1)",
        "DELETE FROM t WHERE a = 3",
        "COMMIT",
        "CREATE TABLE more (a INT)",
    ])
    .await;
    match kind {
        ServerKind::MariaDb => {
            bed.run(&[
                "SET GLOBAL log_bin_compress = ON",
                "SET GLOBAL log_bin_compress_min_len = 10",
                "UPDATE t SET u = '123e4567-e89b-12d3-a456-426655440000', i6 = '::ffff:1.2.3.4', i4 = '1.2.3.0', \
                 z = REPEAT('zip', 60)",
            ])
            .await;
        }
        ServerKind::Mysql97 => {
            bed.run(&[
                "UPDATE t SET j = '{\"a\": [1, 2.50, \"x\"], \"bb\": null}'",
                "SET SESSION binlog_row_value_options = 'PARTIAL_JSON'",
                "UPDATE t SET j = JSON_SET(j, '$.a[0]', 7)",
                "SET SESSION binlog_transaction_compression = ON",
                "UPDATE t SET v = REPEAT('w', 290)",
            ])
            .await;
        }
        _ => {}
    }
    let Position::Binlog(end) = bed.position().await else {
        panic!()
    };
    bed.run(&["DROP TABLE t"]).await;
    bed.run(&["FLUSH BINARY LOGS"]).await;
    let file = fs::read(bed.server.data_folder().join(&end.file)).unwrap();
    fs::create_dir_all(path("")).unwrap();
    fs::write(path(&format!("{name}.binlog")), file).unwrap();
    let definitions: Vec<_> = tables.iter().map(|t| t.as_ref().clone()).collect();
    fs::write(
        path(&format!("{name}.json")),
        serde_json::to_string_pretty(&definitions).unwrap(),
    )
    .unwrap();
}

#[tokio::test]
#[ignore = "writes the fixtures"]
async fn write_fixtures() {
    for (kind, name) in [ServerKind::MariaDb, ServerKind::Mysql56, ServerKind::Mysql97]
        .into_iter()
        .zip(NAMES)
    {
        write_fixture(kind, name).await;
    }
}

fn row(row: &Option<Row>) -> String {
    let text = |r: &Row| r.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(", ");
    row.as_ref().map_or("-".to_owned(), text)
}

fn describe(event: &LogEvent) -> String {
    match event {
        LogEvent::Begin { id } => format!("begin {}", if id.is_some() { "named" } else { "unnamed" }),
        LogEvent::Row(c) => format!(
            "row {}\n  before {}\n  after  {}",
            c.table,
            row(&c.before),
            row(&c.after)
        ),
        LogEvent::Commit { .. } => "commit".to_owned(),
        LogEvent::Abort => "abort".to_owned(),
        LogEvent::Ddl {
            database, statement, ..
        } => format!("ddl in {database}: {statement}"),
        LogEvent::Heartbeat { .. } => "heartbeat".to_owned(),
    }
}

#[test]
fn kept_logs_decode_as_they_always_did() {
    for name in NAMES {
        let mut text = String::new();
        decode_bytes(&tables(name), log(name), |event| {
            writeln!(text, "{}", describe(&event)).unwrap()
        })
        .unwrap();
        insta::assert_snapshot!(format!("log_of_{name}"), text);
    }
}

/// The records of a kept log, without checksums to protect them.
fn records(name: &str) -> Vec<CapturedRecord> {
    let mut follower = LogFollower::new(BinlogPosition {
        server: "s".into(),
        file: "f.000001".into(),
        offset: 4,
        gtid: GtidState::None,
    });
    let mut out = VecDeque::new();
    for event in events_of_file(log(name)) {
        follower.accept(event.unwrap(), 0, &mut out).unwrap();
    }
    out.into_iter()
        .filter(|r| !r.flags.has(RecordFlags::CONTEXT))
        .collect()
}

fn start() -> Position {
    Position::Binlog(BinlogPosition {
        server: "s".into(),
        file: "f.000001".into(),
        offset: 4,
        gtid: GtidState::None,
    })
}

#[test]
fn every_flipped_byte_is_noticed_by_the_checksum() {
    for name in NAMES {
        let whole = log(name);
        let tables = tables(name);
        // Behind the magic and the header of the first event, whose flags may be anything.
        for at in (23..whole.len()).step_by(7) {
            let mut bytes = BytesMut::from(&whole[..]);
            bytes[at] ^= 0x10;
            let mut seen = 0;
            let result = decode_bytes(&tables, bytes.freeze(), |_| seen += 1);
            assert!(
                result.is_err(),
                "{name}: byte {at} changed and {seen} events came"
            );
        }
    }
}

#[test]
fn a_file_that_breaks_off_says_so() {
    let whole = log("mysql56");
    let cut = whole.slice(..whole.len() - 1);
    let error = decode_bytes(&tables("mysql56"), cut, |_| {}).unwrap_err();
    assert_eq!(error.code(), codes::src::CORRUPT_EVENT);
    assert!(decode_bytes(&tables("mysql56"), Bytes::from_static(b"\xfebin"), |_| {}).is_ok());
    assert!(decode_bytes(&tables("mysql56"), Bytes::from_static(b"PK"), |_| {}).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_records_decode_or_fail(
        which in 0usize..3,
        record in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let name = NAMES[which];
        let mut records = records(name);
        let chosen = record.index(records.len());
        let mut bytes = BytesMut::from(&records[chosen].payload[..]);
        for (at, with) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = with;
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len().max(1)));
        }
        records[chosen].payload = bytes.freeze();
        let mut decoder = BinlogDecoder::new(tables(name), start());
        let mut out = Vec::new();
        for record in &records {
            if decoder.decode(record, &mut out).is_err() {
                break;
            }
        }
    }

    #[test]
    fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..=172) {
        let mut event = vec![0; 4];
        event.push(kind);
        event.extend([1, 0, 0, 0]);
        event.extend((19 + bytes.len() as u32).to_le_bytes());
        event.extend((19 + bytes.len() as u32).to_le_bytes());
        event.extend([0, 0]);
        event.extend(bytes);
        let event = Bytes::from(event);
        let tables = tables("mysql97");
        let mut decoder = BinlogDecoder::new(tables.clone(), start());
        let record = CapturedRecord {
            flags: RecordFlags::TXN_FIRST,
            source_time_us: 0,
            position: None,
            payload: event.clone(),
        };
        let _ = decoder.decode(&record, &mut Vec::new());
        let mut file = BytesMut::from(&log("mysql97")[..160]);
        file.extend_from_slice(&event);
        let _ = decode_bytes(&tables, file.freeze(), |_| {});
    }
}
