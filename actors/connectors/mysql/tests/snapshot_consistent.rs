//! Consistent snapshots: what is in one is exactly what the log holds up to its position.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use oms_cluster_tests::{Client, Server, ServerKind, ServerOptions};
use oms_core::{LogEvent, Position, Row, Source, TableMap, TableName, codes};
use oms_mysql::{
    MysqlSource,
    binlog::CaptureOptions,
    connection::{Endpoint, Secret, TlsMode},
};

/// How often each row occurs.
type Multiset = BTreeMap<Vec<u8>, i64>;

fn source(server: &Server) -> MysqlSource {
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
    MysqlSource::new(endpoint, options)
}

fn count(rows: &mut Multiset, row: &Row, by: i64) {
    let entry = rows.entry(row.as_bytes().to_vec()).or_default();
    *entry += by;
    if *entry == 0 {
        rows.remove(row.as_bytes().as_ref());
    }
}

/// The table at `to`, by the log from its creation on.
async fn by_log(source: &MysqlSource, tables: &Arc<TableMap>, from: &Position, to: &Position) -> Multiset {
    let mut capture = source.open_capture(from).await.unwrap();
    let mut decoder = source.decoder(Arc::clone(tables), from).unwrap();
    let mut rows = Multiset::new();
    let (mut events, mut open) = (Vec::new(), Vec::new());
    loop {
        let record = capture.next().await.unwrap();
        decoder.decode(&record, &mut events).unwrap();
        for event in events.drain(..) {
            match event {
                LogEvent::Row(change) => open.push(change),
                LogEvent::Commit { position, .. } => {
                    for change in open.drain(..).filter(|_| position <= *to) {
                        change.before.iter().for_each(|r| count(&mut rows, r, -1));
                        change.after.iter().for_each(|r| count(&mut rows, r, 1));
                    }
                }
                LogEvent::Abort => open.clear(),
                _ => {}
            }
        }
        if record.position.is_some_and(|p| p >= *to) {
            return rows;
        }
    }
}

/// How the table is written to while snapshots are taken.
#[derive(Clone, Copy, PartialEq)]
enum Writers {
    /// In bursts with rests between them, while another table is written to all the time.
    Bursts,
    /// By several connections, all the time.
    Constant,
}

async fn write(mut client: Client, writer: usize, writers: Writers, stop: Arc<AtomicBool>) -> u64 {
    let mut n = 0u64;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        if writers == Writers::Bursts && writer > 0 {
            let insert = "INSERT INTO d.other (b) VALUES (1)";
            client.query_drop(insert).await.unwrap();
            continue;
        }
        let insert = format!("INSERT INTO d.k VALUES ({}, 'x'), (1, 'same')", n % 50);
        client.query_drop(&insert).await.unwrap();
        if n.is_multiple_of(3) {
            let delete = format!("DELETE FROM d.k WHERE a = {} LIMIT 1", n % 50);
            match client.query_drop(&delete).await {
                // Deletes of several connections without an index lock what the others read.
                Err(e) if e.server_code() == Some(1213) => {}
                other => other.unwrap(),
            }
        }
        if writers == Writers::Bursts && n.is_multiple_of(40) {
            // A rest, not a wait: the load is meant to come in bursts.
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    }
    n
}

async fn snapshot_equals_log(kind: ServerKind, options: ServerOptions, writers: Writers) {
    let server = Server::start(kind, options).await.unwrap();
    let mut client = server.client().await.unwrap();
    let setup = [
        "CREATE DATABASE d",
        "CREATE TABLE d.k (a INT, b VARCHAR(20)) ENGINE=InnoDB",
        "CREATE TABLE d.other (a INT PRIMARY KEY AUTO_INCREMENT, b INT) ENGINE=InnoDB",
    ];
    client.run_all(&setup).await.unwrap();
    let source = source(&server);
    let name = TableName::new("d", "k");
    let start = source.current_position().await.unwrap();
    let definition = Arc::new(
        source
            .load_tables(std::slice::from_ref(&name))
            .await
            .unwrap()
            .remove(0),
    );
    assert!(definition.row_key().is_none());
    let tables = Arc::new(TableMap::new(vec![Arc::clone(&definition)]));

    let stop = Arc::new(AtomicBool::new(false));
    let mut running = Vec::new();
    for writer in 0..4 {
        let client = server.client().await.unwrap();
        running.push(tokio::spawn(write(client, writer, writers, Arc::clone(&stop))));
    }
    let begun = Instant::now();
    let snapshots = if writers == Writers::Constant { 12 } else { 4 };
    for _ in 0..snapshots {
        let mut reader = source.open_snapshot().await.unwrap();
        let taken = Instant::now();
        let position = reader
            .begin_consistent(std::slice::from_ref(&name))
            .await
            .unwrap();
        println!("{kind}: a snapshot after {:?}", taken.elapsed());
        // Read late, so that rows that do not belong to the snapshot would have time to appear.
        let at_least = source.current_position().await.unwrap();
        reader.read_all(Arc::clone(&definition)).await.unwrap();
        let mut rows = Multiset::new();
        while let Some(batch) = reader.next_batch(1 << 16).await.unwrap() {
            batch.rows.iter().for_each(|r| count(&mut rows, r, 1));
        }
        reader.end_consistent().await.unwrap();
        assert!(position <= at_least);
        assert_eq!(
            rows,
            by_log(&source, &tables, &start, &position).await,
            "{kind} at {position}"
        );
    }
    stop.store(true, Ordering::Relaxed);
    let mut written = 0;
    for writer in running {
        let rounds = writer.await.unwrap();
        assert!(rounds > 10);
        written += rounds;
    }
    let rate = written as f64 / begun.elapsed().as_secs_f64();
    println!("{kind}: {rate:.0} rounds of writing per second");
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mariadb_equal_its_log() {
    let options = ServerOptions::source();
    snapshot_equals_log(ServerKind::MariaDb, options, Writers::Bursts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_97_equal_its_log() {
    let options = ServerOptions::source();
    snapshot_equals_log(ServerKind::Mysql97, options, Writers::Bursts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_97_under_constant_writes_equal_its_log() {
    let options = ServerOptions::source();
    snapshot_equals_log(ServerKind::Mysql97, options, Writers::Constant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_97_with_commits_in_any_order_equal_its_log() {
    let options = ServerOptions::source()
        .durable(true)
        .set("binlog_order_commits", "OFF");
    snapshot_equals_log(ServerKind::Mysql97, options, Writers::Constant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_97_without_gtid_under_constant_writes_equal_its_log() {
    let options = ServerOptions::source().gtid(false);
    snapshot_equals_log(ServerKind::Mysql97, options, Writers::Constant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_56_with_gtid_equal_its_log() {
    let options = ServerOptions::source();
    snapshot_equals_log(ServerKind::Mysql56, options, Writers::Bursts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_56_under_constant_writes_equal_its_log() {
    let options = ServerOptions::source();
    snapshot_equals_log(ServerKind::Mysql56, options, Writers::Constant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_56_that_syncs_under_constant_writes_equal_its_log() {
    let options = ServerOptions::source().durable(true);
    snapshot_equals_log(ServerKind::Mysql56, options, Writers::Constant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_56_without_gtid_under_constant_writes_equal_its_log() {
    let options = ServerOptions::source().gtid(false);
    snapshot_equals_log(ServerKind::Mysql56, options, Writers::Constant).await;
}

/// The engine's status is not used then, but the list of its transactions.
#[tokio::test(flavor = "multi_thread")]
async fn snapshots_of_mysql_56_whose_status_prints_locks_equal_its_log() {
    let options = ServerOptions::source()
        .gtid(false)
        .set("innodb_status_output_locks", "ON");
    snapshot_equals_log(ServerKind::Mysql56, options, Writers::Bursts).await;
}

#[tokio::test]
async fn tables_without_transactions_are_refused() {
    let server = Server::start(ServerKind::MariaDb, ServerOptions::source())
        .await
        .unwrap();
    let mut client = server.client().await.unwrap();
    let setup = ["CREATE DATABASE d", "CREATE TABLE d.m (a INT) ENGINE=MyISAM"];
    client.run_all(&setup).await.unwrap();
    let mut reader = source(&server).open_snapshot().await.unwrap();
    let e = reader
        .begin_consistent(&[TableName::new("d", "m")])
        .await
        .unwrap_err();
    assert_eq!(e.code(), codes::import::SNAPSHOT_POSITION_UNKNOWN);
    assert!(e.detail().contains("MyISAM"), "{e}");
}
