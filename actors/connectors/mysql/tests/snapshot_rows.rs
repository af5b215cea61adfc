//! Values at their limits, read from real servers, against what the rows must hold.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::{
    ChunkRange, CivilDate, CivilDateTime, ColumnType, Duration, KeyOrder, Row, SnapshotReader, TableName,
    TableSchema, Value,
};
use oms_mysql::{
    catalog::Catalog,
    connection::{Endpoint, Secret, ServerInfo, Side, TlsMode, connect},
    snapshot::MysqlSnapshotReader,
};

fn endpoint(server: &Server) -> Endpoint {
    Endpoint {
        host: server.host().into(),
        port: server.port(),
        user: server.user().into(),
        password: Secret::new(server.password()),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    }
}

async fn definition(endpoint: &Endpoint, table: &str) -> Arc<TableSchema> {
    let mut conn = connect(endpoint, Side::Source).await.unwrap();
    let info = ServerInfo::probe(&mut conn, Side::Source).await.unwrap();
    let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
    let tables = catalog.load_tables(&[TableName::new("d", table)]).await.unwrap();
    Arc::new(tables.into_iter().next().unwrap())
}

async fn drain(reader: &mut MysqlSnapshotReader, max_bytes: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    while let Some(batch) = reader.next_batch(max_bytes).await.unwrap() {
        assert!(!batch.rows.is_empty());
        rows.extend(batch.rows);
    }
    rows
}

async fn start(kind: ServerKind) -> (Server, Client, Endpoint) {
    let options = match kind {
        ServerKind::SeekDb => ServerOptions::destination(),
        _ => ServerOptions::source().set("max_allowed_packet", "268435456"),
    };
    let options = match kind {
        ServerKind::Mysql56 => options.set("innodb_log_file_size", "734003200"),
        _ => options,
    };
    let server = Server::start(kind, options).await.unwrap();
    let mut client = server.client().await.unwrap();
    for statement in [
        "SET sql_mode = ''",
        "SET time_zone = '+00:00'",
        "CREATE DATABASE d",
        "USE d",
    ] {
        client.query_drop(statement).await.unwrap();
    }
    let endpoint = endpoint(&server);
    (server, client, endpoint)
}

fn date(year: u16, month: u8, day: u8) -> CivilDate {
    CivilDate { year, month, day }
}

fn at(date: CivilDate, hour: u8, minute: u8, second: u8, micros: u32) -> Value<'static> {
    Value::DateTime(CivilDateTime {
        date,
        hour,
        minute,
        second,
        micros,
    })
}

async fn values_are_exact(kind: ServerKind) {
    let (_server, mut client, endpoint) = start(kind).await;
    let charset = if kind == ServerKind::SeekDb {
        "utf8mb4"
    } else {
        "latin1"
    };
    client
        .query_drop(&format!(
            "CREATE TABLE v (id BIGINT UNSIGNED NOT NULL PRIMARY KEY, ti TINYINT, tu TINYINT UNSIGNED, mi MEDIUMINT, \
             bi BIGINT, z INT(8) UNSIGNED ZEROFILL, b BIT(64), b3 BIT(3), d DECIMAL(65,30), dz DECIMAL(8,2), \
             f FLOAT, g DOUBLE, y YEAR, da DATE, t TIME(6), dt DATETIME(6), ts TIMESTAMP(6) NULL, \
             c CHAR(6) CHARACTER SET {charset}, vc VARCHAR(40) CHARACTER SET {charset}, bn BINARY(5), vb VARBINARY(9), \
             tx LONGTEXT, bl LONGBLOB, e ENUM('a','it''s','c,d'), s SET('x','y','z'))"
        ))
        .await
        .unwrap();
    client
        .run_all(&[
            "INSERT INTO v VALUES (18446744073709551615,-128,255,-8388608,-9223372036854775808,7,\
             18446744073709551615,5,-99999999999999999999999999999999999.999999999999999999999999999999,-0.05,\
             1.17549e-38,1.7976931348623157e308,2155,'9999-12-31','-838:59:59.999999','9999-12-31 23:59:59.999999',\
             '2038-01-19 03:14:07.999999',' e  ','tail  ',X'0100',X'00',REPEAT('é',3),X'00FF',2,5)",
            "INSERT INTO v VALUES (1,127,0,8388607,9223372036854775807,12345678,0,0,0,12.5,\
             0.1,-0.0,1901,'0000-00-00','838:59:59.999999','0000-00-00 00:00:00',\
             '1970-01-01 00:00:01',_utf8mb4 X'C3A9','',X'',X'','','',1,0)",
            "INSERT INTO v (id) VALUES (2)",
            "INSERT INTO v (id, da, dt, t, y) VALUES (3, '2024-00-00', '2024-05-00 10:00:00', '-00:00:00.000001', 0)",
        ])
        .await
        .unwrap();
    let table = definition(&endpoint, "v").await;
    let mut reader = MysqlSnapshotReader::open(endpoint, Side::Source, None)
        .await
        .unwrap();
    reader
        .read_chunk(Arc::clone(&table), &ChunkRange::default(), KeyOrder::Ordered)
        .await
        .unwrap();
    let rows = drain(&mut reader, 1).await;
    assert_eq!(rows.len(), 4);
    let is = |row: usize, column: &str, want: Value<'_>| {
        let index = table.column_index(column).unwrap();
        assert_eq!(rows[row].get(index), want, "{kind} row {row} column {column}");
    };
    let e_acute: &[u8] = if charset == "latin1" {
        &[0xe9]
    } else {
        "é".as_bytes()
    };
    // Only MariaDB has a fraction behind the last second of TIME.
    let longest = if kind == ServerKind::MariaDb {
        3_020_399_999_999
    } else {
        3_020_399_000_000
    };
    // Row 0 has id 1.
    is(0, "id", Value::UInt(1));
    is(0, "ti", Value::Int(127));
    is(0, "tu", Value::UInt(0));
    is(0, "mi", Value::Int(8_388_607));
    is(0, "bi", Value::Int(i64::MAX));
    is(0, "z", Value::UInt(12_345_678));
    is(0, "b", Value::Bit(0));
    is(0, "d", Value::Decimal("0.000000000000000000000000000000"));
    is(0, "dz", Value::Decimal("12.50"));
    is(0, "f", Value::Float(0.1));
    is(0, "y", Value::Year(1901));
    is(0, "da", Value::Date(date(0, 0, 0)));
    is(0, "t", Value::Time(Duration(longest)));
    is(0, "dt", at(date(0, 0, 0), 0, 0, 0, 0));
    is(0, "ts", Value::Timestamp(1_000_000));
    is(0, "c", Value::Text(e_acute));
    is(0, "vc", Value::Text(b""));
    is(0, "bn", Value::Bytes(&[0; 5]));
    is(0, "vb", Value::Bytes(b""));
    is(0, "tx", Value::Text(b""));
    is(0, "e", Value::Enum(1));
    is(0, "s", Value::Set(0));
    // Row 1 has id 2 and nothing else.
    for column in &table.columns[1..] {
        is(1, &column.name, Value::Null);
    }
    is(2, "da", Value::Date(date(2024, 0, 0)));
    is(2, "dt", at(date(2024, 5, 0), 10, 0, 0, 0));
    is(2, "t", Value::Time(Duration(-1)));
    is(2, "y", Value::Year(0));
    is(3, "id", Value::UInt(u64::MAX));
    is(3, "ti", Value::Int(-128));
    is(3, "tu", Value::UInt(255));
    is(3, "mi", Value::Int(-8_388_608));
    is(3, "bi", Value::Int(i64::MIN));
    is(3, "z", Value::UInt(7));
    is(3, "b", Value::Bit(u64::MAX));
    is(3, "b3", Value::Bit(5));
    is(
        3,
        "d",
        Value::Decimal("-99999999999999999999999999999999999.999999999999999999999999999999"),
    );
    is(3, "dz", Value::Decimal("-0.05"));
    is(3, "f", Value::Float(1.17549e-38));
    is(3, "g", Value::Double(f64::MAX));
    is(3, "y", Value::Year(2155));
    is(3, "da", Value::Date(date(9999, 12, 31)));
    is(3, "t", Value::Time(Duration(-longest)));
    is(3, "dt", at(date(9999, 12, 31), 23, 59, 59, 999_999));
    is(3, "ts", Value::Timestamp(2_147_483_647_999_999));
    is(3, "c", Value::Text(b" e"));
    is(3, "vc", Value::Text(b"tail  "));
    is(3, "bn", Value::Bytes(&[1, 0, 0, 0, 0]));
    is(3, "vb", Value::Bytes(&[0]));
    is(3, "bl", Value::Bytes(&[0, 255]));
    is(3, "e", Value::Enum(2));
    is(3, "s", Value::Set(5));
    let tx = table.column_index("tx").unwrap();
    let ColumnType::Text { charset, tier: 4, .. } = &table.columns[tx].ty else {
        panic!("LONGTEXT is {:?}", table.columns[tx].ty)
    };
    let three = if charset == "latin1" {
        vec![0xe9; 3]
    } else {
        "ééé".as_bytes().to_vec()
    };
    is(3, "tx", Value::Text(&three));
}

#[tokio::test]
async fn values_of_mariadb_are_exact() {
    values_are_exact(ServerKind::MariaDb).await;
}

#[tokio::test]
async fn values_of_mysql_56_are_exact() {
    values_are_exact(ServerKind::Mysql56).await;
}

#[tokio::test]
async fn values_of_mysql_97_are_exact() {
    values_are_exact(ServerKind::Mysql97).await;
}

#[tokio::test]
async fn values_of_oceanbase_are_exact() {
    values_are_exact(ServerKind::SeekDb).await;
}

async fn large_values_come_one_by_one(kind: ServerKind) {
    let (_server, mut client, endpoint) = start(kind).await;
    client
        .query_drop("CREATE TABLE big (id INT PRIMARY KEY, b LONGBLOB)")
        .await
        .unwrap();
    let bytes = 64usize << 20;
    for id in 0..2 {
        let insert = format!("INSERT INTO big VALUES ({id}, REPEAT(X'0{id}', {bytes}))");
        client.query_drop(&insert).await.unwrap();
    }
    let table = definition(&endpoint, "big").await;
    let mut reader = MysqlSnapshotReader::open(endpoint, Side::Source, None)
        .await
        .unwrap();
    reader
        .read_chunk(table, &ChunkRange::default(), KeyOrder::Ordered)
        .await
        .unwrap();
    for id in 0..2u8 {
        let batch = reader.next_batch(1 << 20).await.unwrap().unwrap();
        assert_eq!(batch.rows.len(), 1);
        let Value::Bytes(value) = batch.rows[0].get(1) else {
            panic!("not bytes")
        };
        assert!(value.len() == bytes && value.iter().all(|b| *b == id));
    }
    assert!(reader.next_batch(1 << 20).await.unwrap().is_none());
}

#[tokio::test]
async fn large_values_of_mysql_56() {
    large_values_come_one_by_one(ServerKind::Mysql56).await;
}

#[tokio::test]
async fn large_values_of_mariadb() {
    large_values_come_one_by_one(ServerKind::MariaDb).await;
}

#[tokio::test]
async fn an_unfinished_read_can_be_dropped_for_another() {
    let (_server, mut client, endpoint) = start(ServerKind::MariaDb).await;
    client
        .query_drop("CREATE TABLE n (id INT PRIMARY KEY, p CHAR(200))")
        .await
        .unwrap();
    client
        .query_drop("INSERT INTO n SELECT seq, REPEAT('p', 200) FROM seq_1_to_200000")
        .await
        .unwrap();
    let table = definition(&endpoint, "n").await;
    let mut reader = MysqlSnapshotReader::open(endpoint, Side::Source, None)
        .await
        .unwrap();
    reader.read_all(Arc::clone(&table)).await.unwrap();
    assert!(reader.next_batch(1000).await.unwrap().is_some());
    // The rest is dropped, inside and outside a snapshot.
    assert_eq!(reader.count(&table).await.unwrap(), 200_000);
    let end = reader.chunk_end(&table, None, 150_000).await.unwrap().unwrap();
    assert_eq!(end.get(0), Value::Int(150_000));
    let range = ChunkRange {
        after: Some(end),
        through: None,
    };
    reader
        .read_chunk(Arc::clone(&table), &range, KeyOrder::Any)
        .await
        .unwrap();
    assert_eq!(drain(&mut reader, 1 << 20).await.len(), 50_000);
}
