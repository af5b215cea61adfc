//! Every type of the corpus is built byte-equal by queries and from the log.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use oms_cluster_tests::{Corpus, Server, ServerKind, ServerOptions};
use oms_core::{LogEvent, Position, Row, Source, TableMap, TableName, TableSchema, Value};
use oms_mysql::{
    MysqlSource,
    binlog::CaptureOptions,
    connection::{Endpoint, Secret, TlsMode},
};

type Multiset = BTreeMap<Vec<u8>, (Row, i64)>;

fn count(rows: &mut Multiset, row: &Row, by: i64) {
    let entry = rows
        .entry(row.as_bytes().to_vec())
        .or_insert_with(|| (row.clone(), 0));
    entry.1 += by;
    if entry.1 == 0 {
        rows.remove(row.as_bytes().as_ref());
    }
}

async fn by_log(source: &MysqlSource, tables: &Arc<TableMap>, from: &Position) -> Vec<Multiset> {
    let to = source.current_position().await.unwrap();
    let mut capture = source.open_capture(from).await.unwrap();
    let mut decoder = source.decoder(Arc::clone(tables), from).unwrap();
    let mut rows = vec![Multiset::new(); tables.len()];
    let mut events = Vec::new();
    loop {
        let record = capture.next().await.unwrap();
        decoder.decode(&record, &mut events).unwrap();
        for event in events.drain(..) {
            // Nothing in the corpus is rolled back in the log.
            assert!(!matches!(event, LogEvent::Abort));
            if let LogEvent::Row(change) = event {
                let rows = &mut rows[change.table as usize];
                change.before.iter().for_each(|r| count(rows, r, -1));
                change.after.iter().for_each(|r| count(rows, r, 1));
            }
        }
        if record.position.is_some_and(|p| p >= to) {
            return rows;
        }
    }
}

async fn by_query(source: &MysqlSource, tables: &TableMap) -> Vec<Multiset> {
    let mut reader = source.open_snapshot().await.unwrap();
    let mut all = Vec::new();
    for table in tables.iter() {
        let mut rows = Multiset::new();
        reader.read_all(Arc::clone(table)).await.unwrap();
        while let Some(batch) = reader.next_batch(1 << 20).await.unwrap() {
            batch.rows.iter().for_each(|r| count(&mut rows, r, 1));
        }
        all.push(rows);
    }
    all
}

/// Names what differs.
fn compare(table: &TableSchema, query: &Multiset, log: &Multiset, kind: ServerKind, when: &str) {
    let only = |a: &Multiset, b: &Multiset| -> Vec<Row> {
        let missing = a.iter().filter(|(k, v)| b.get(*k).map(|o| o.1) != Some(v.1));
        missing.map(|(_, (row, _))| row.clone()).collect()
    };
    let (only_query, only_log) = (only(query, log), only(log, query));
    let mut differences = Vec::new();
    for (a, b) in only_query.iter().zip(&only_log) {
        for (i, column) in table.columns.iter().enumerate() {
            let (x, y): (Value<'_>, Value<'_>) = (a.get(i), b.get(i));
            if x != y {
                differences.push(format!("{}: query {x:?}, log {y:?}", column.name));
            }
        }
    }
    assert!(
        only_query.is_empty() && only_log.is_empty(),
        "{kind} {} after {when}: {} rows only by query, {} only by log: {differences:#?}",
        table.name,
        only_query.len(),
        only_log.len()
    );
}

async fn both_paths_agree(kind: ServerKind, options: ServerOptions) {
    let server = Server::start(kind, options).await.unwrap();
    let corpus = Corpus::new(kind, "corpus");
    let mut client = server.client().await.unwrap();
    client.run_all(&corpus.create).await.unwrap();
    let endpoint = Endpoint {
        host: server.host().into(),
        port: server.port(),
        user: server.user().into(),
        password: Secret::new(server.password()),
        tls: TlsMode::Disable,
        tls_ca_pem: String::new(),
    };
    let options = CaptureOptions {
        server_id: 4711,
        ..CaptureOptions::default()
    };
    let source = MysqlSource::new(endpoint, options);
    let names: Vec<TableName> = corpus
        .tables
        .iter()
        .map(|t| TableName::new("corpus", t))
        .collect();
    let definitions = source.load_tables(&names).await.unwrap();
    let tables = Arc::new(TableMap::new(definitions.into_iter().map(Arc::new).collect()));
    let from = source.current_position().await.unwrap();
    for (when, statements) in [("seed", &corpus.seed), ("mutate", &corpus.mutate)] {
        client.run_all(statements).await.unwrap();
        let (query, log) = (
            by_query(&source, &tables).await,
            by_log(&source, &tables, &from).await,
        );
        assert!(query.iter().filter(|rows| !rows.is_empty()).count() > 5);
        for (table, (query, log)) in tables.iter().zip(query.iter().zip(&log)) {
            // Of these servers only MySQL 9.7 logs what ON DELETE and ON UPDATE rules do to other rows.
            if table.name.table == "fk_child" && kind != ServerKind::Mysql97 && when == "mutate" {
                assert_ne!(
                    query.keys().collect::<Vec<_>>(),
                    log.keys().collect::<Vec<_>>(),
                    "{kind}"
                );
                continue;
            }
            compare(table, query, log, kind, when);
        }
    }
}

#[tokio::test]
async fn mariadb() {
    both_paths_agree(ServerKind::MariaDb, ServerOptions::source()).await;
}

#[tokio::test]
async fn mysql_56() {
    both_paths_agree(ServerKind::Mysql56, ServerOptions::source()).await;
}

#[tokio::test]
async fn mysql_97() {
    both_paths_agree(ServerKind::Mysql97, ServerOptions::source()).await;
}
