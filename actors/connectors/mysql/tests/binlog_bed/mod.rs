//! A real server whose log is followed.
#![allow(dead_code, unreachable_pub)]

use std::{collections::HashMap, sync::Arc, time::Duration};

use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::{
    Capture, CapturedRecord, Failure, LogDecoder, LogEvent, Position, RecordFlags, Row, SnapshotReader,
    TableMap, TableName, TableSchema, Value,
};
use oms_mysql::{
    binlog::{BinlogCapture, BinlogDecoder, CaptureOptions, current_position},
    catalog::Catalog,
    connection::{Endpoint, Secret, ServerInfo, Side, TlsMode, connect},
    snapshot::MysqlSnapshotReader,
};

/// A server, a connection of its administrator and the address of our account.
pub struct Bed {
    pub server: Server,
    pub client: Client,
    pub endpoint: Endpoint,
}

/// How many rows of a table are equal to the bytes of one.
pub type Content = HashMap<(u32, Vec<u8>), i64>;

impl Bed {
    /// Starts a server with a database `d`, in which the client is.
    pub async fn start(kind: ServerKind, options: ServerOptions) -> Self {
        let server = Server::start(kind, options).await.unwrap();
        let mut client = server.client().await.unwrap();
        client
            .run_all(&[
                "SET NAMES utf8mb4",
                "SET sql_mode = ''",
                "SET time_zone = '+00:00'",
                "CREATE DATABASE d DEFAULT CHARACTER SET utf8mb4",
                "USE d",
            ])
            .await
            .unwrap();
        let endpoint = Endpoint {
            host: server.host().into(),
            port: server.port(),
            user: server.oms_user().into(),
            password: Secret::new(server.password()),
            tls: TlsMode::Disable,
            tls_ca_pem: String::new(),
        };
        Self {
            server,
            client,
            endpoint,
        }
    }

    pub async fn run(&mut self, statements: &[&str]) {
        self.client.run_all(statements).await.unwrap();
    }

    pub async fn position(&self) -> Position {
        let mut conn = connect(&self.endpoint, Side::Source).await.unwrap();
        let info = ServerInfo::probe(&mut conn, Side::Source).await.unwrap();
        current_position(&mut conn, &info).await.unwrap()
    }

    pub async fn tables(&self, database: &str, names: &[&str]) -> Arc<TableMap> {
        let mut conn = connect(&self.endpoint, Side::Source).await.unwrap();
        let info = ServerInfo::probe(&mut conn, Side::Source).await.unwrap();
        let names: Vec<_> = names.iter().map(|n| TableName::new(database, *n)).collect();
        let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
        let tables = catalog.load_tables(&names).await.unwrap();
        Arc::new(TableMap::new(tables.into_iter().map(Arc::new).collect()))
    }

    pub async fn capture(&self, from: &Position) -> Result<BinlogCapture, Failure> {
        let options = CaptureOptions {
            server_id: 900_000 + u32::from(self.endpoint.port),
            heartbeat: Duration::from_millis(500),
            ..CaptureOptions::default()
        };
        BinlogCapture::open(&self.endpoint, &options, from).await
    }

    /// The records between two positions.
    pub async fn records(&self, from: &Position, until: &Position) -> Vec<CapturedRecord> {
        let mut capture = self.capture(from).await.unwrap();
        let mut records = Vec::new();
        loop {
            let record = capture.next().await.unwrap();
            let reached = record.position.as_ref().is_some_and(|p| p >= until);
            if !record.flags.has(RecordFlags::HEARTBEAT) {
                records.push(record);
            }
            if reached {
                return records;
            }
        }
    }

    /// The events between two positions.
    pub async fn events(&self, tables: &Arc<TableMap>, from: &Position, until: &Position) -> Vec<LogEvent> {
        decode(tables, from, &self.records(from, until).await).unwrap()
    }

    /// The tables' rows now, by queries.
    pub async fn content(&self, tables: &Arc<TableMap>) -> Content {
        let mut content = Content::new();
        let mut reader = MysqlSnapshotReader::open(self.endpoint.clone(), Side::Source, None)
            .await
            .unwrap();
        for (index, table) in (0u32..).zip(tables.iter()) {
            for row in read_all(&mut reader, table).await {
                *content.entry((index, row.as_bytes().to_vec())).or_default() += 1;
            }
        }
        content
    }
}

async fn read_all(reader: &mut MysqlSnapshotReader, table: &Arc<TableSchema>) -> Vec<Row> {
    reader.read_all(table.clone()).await.unwrap();
    let mut rows = Vec::new();
    while let Some(batch) = reader.next_batch(8 << 20).await.unwrap() {
        rows.extend(batch.rows);
    }
    rows
}

/// Decodes records that lie behind a position.
pub fn decode(
    tables: &Arc<TableMap>,
    from: &Position,
    records: &[CapturedRecord],
) -> Result<Vec<LogEvent>, Failure> {
    let mut decoder = BinlogDecoder::new(tables.clone(), from.clone());
    let mut events = Vec::new();
    for record in records {
        decoder.decode(record, &mut events)?;
    }
    Ok(events)
}

/// Applies the changes of full row images to a content, transaction by transaction.
pub fn apply(content: &mut Content, events: &[LogEvent]) {
    let mut inside = false;
    for event in events {
        match event {
            LogEvent::Begin { .. } => {
                assert!(!inside, "a transaction in another");
                inside = true;
            }
            LogEvent::Row(change) => {
                assert!(inside, "a row outside of transactions");
                for (row, by) in [(&change.before, -1), (&change.after, 1)] {
                    if let Some(row) = row {
                        *content
                            .entry((change.table, row.as_bytes().to_vec()))
                            .or_default() += by;
                    }
                }
            }
            LogEvent::Commit { .. } => {
                assert!(inside, "a commit outside of transactions");
                inside = false;
            }
            LogEvent::Abort => panic!("an abort"),
            LogEvent::Ddl { statement, .. } => panic!("unexpected: {statement}"),
            LogEvent::Heartbeat { .. } => assert!(!inside),
        }
    }
    content.retain(|_, n| *n != 0);
}

/// Fails with the first difference in words.
pub fn assert_equal(tables: &TableMap, logged: &Content, queried: &Content) {
    for (side, ours, theirs) in [("log", logged, queried), ("query", queried, logged)] {
        for ((table, bytes), count) in ours {
            if theirs.get(&(*table, bytes.clone())) == Some(count) {
                continue;
            }
            let schema = tables.get(*table).unwrap();
            let row = Row::from_bytes(bytes.clone().into()).unwrap();
            // The row of the other side that differs least, for the message.
            let nearest = theirs
                .keys()
                .filter(|(t, _)| t == table)
                .map(|(_, b)| Row::from_bytes(b.clone().into()).unwrap())
                .min_by_key(|r| r.iter().zip(row.iter()).filter(|(a, b)| a != b).count());
            let columns: Vec<String> = (0..row.len())
                .map(|i| {
                    (
                        schema.columns[i].name.clone(),
                        row.get(i),
                        nearest.as_ref().map_or(Value::Absent, |r| r.get(i)),
                    )
                })
                .filter(|(_, a, b)| a != b)
                .map(|(n, a, b)| format!("{n}: {} against {}", short(&a), short(&b)))
                .collect();
            panic!(
                "{}: {count} rows only by {side}: {}",
                schema.name,
                columns.join("; ")
            );
        }
    }
}

fn short(value: &Value<'_>) -> String {
    let text = format!("{value:?}");
    text.chars().take(300).collect()
}
