//! Tables without a key are copied while several connections write to them without pause.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::time::{Duration, Instant};

use oms_cluster_tests::{Client, Scenario, ServerKind, ServerOptions};
use oms_proto::v1::{StepKind, StepState};
use tokio::sync::watch;
use tokio::task::JoinSet;

const WRITERS: u64 = 4;
/// Transactions per second, of all writers together.
const RATE: u64 = 400;
/// What must have been reached for the test to mean anything.
const LEAST_RATE: f64 = 200.0;
const ROWS_BEFORE: u64 = 100_000;

/// Inserts rows of which many are equal; now and then removes or changes one.
async fn write(mut client: Client, writer: u64, stop: watch::Receiver<bool>, written: Arc<AtomicU64>) {
    let mut pace = tokio::time::interval(Duration::from_micros(1_000_000 * WRITERS / RATE));
    let mut n = 0u64;
    while !*stop.borrow() {
        pace.tick().await;
        n += 1;
        let insert = format!(
            "INSERT INTO bare.events VALUES ({}, 'of {writer}'), (7, 'all the same')",
            n % 100
        );
        client.query_drop(&insert).await.unwrap();
        if n.is_multiple_of(100) {
            // With the rows of others before it, so that which one goes is decided by the order of the log.
            let change = if n.is_multiple_of(200) {
                "DELETE FROM bare.events WHERE a = 7 LIMIT 1"
            } else {
                "UPDATE bare.events SET b = 'changed' WHERE a = 7 LIMIT 1"
            };
            match client.query_drop(change).await {
                Err(e) if matches!(e.server_code(), Some(1205 | 1213)) => {}
                other => other.unwrap(),
            }
        }
        written.fetch_add(1, Ordering::Relaxed);
    }
}

async fn is_copied_exactly(source: ServerKind, options: ServerOptions, destination: ServerKind) {
    let scenario = Scenario::start_with(source, options, destination, ServerOptions::destination())
        .await
        .unwrap();
    let mut client = scenario.source.client().await.unwrap();
    let user = scenario.source.oms_user();
    let setup = [
        "CREATE DATABASE bare".to_owned(),
        "CREATE TABLE bare.events (a INT NOT NULL, b VARCHAR(40) NOT NULL) ENGINE=InnoDB".to_owned(),
        format!("GRANT PROCESS ON *.* TO '{user}'@'%'"),
    ];
    client.run_all(&setup).await.unwrap();
    let rows: Vec<String> = (0..1000u64).map(|n| format!("({}, 'before')", n % 90)).collect();
    for _ in 0..ROWS_BEFORE / 1000 {
        let insert = format!("INSERT INTO bare.events VALUES {}", rows.join(", "));
        client.query_drop(&insert).await.unwrap();
    }

    let (stop, stopped) = watch::channel(false);
    let written = Arc::new(AtomicU64::new(0));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let client = scenario.source.client().await.unwrap();
        writers.spawn(write(client, writer, stopped.clone(), Arc::clone(&written)));
    }
    let begun = Instant::now();
    scenario.launch(scenario.spec(&["bare"])).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    project
        .wait_step(node, StepKind::FullTransfer, &[StepState::Finished])
        .await
        .unwrap();
    let rate = written.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "{source}: copied under {rate:.0} transactions per second, {:?}",
        begun.elapsed()
    );
    assert!(
        rate >= LEAST_RATE,
        "only {rate:.0} transactions per second were written"
    );
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    stop.send(true).unwrap();
    while let Some(writer) = writers.join_next().await {
        writer.unwrap();
    }
    project.wait_caught_up(node).await.unwrap();
    let rows = scenario.assert_equal("bare", &["events"]).await.unwrap();
    println!("{source}: {rows} rows are equal");
    assert!(rows > ROWS_BEFORE + written.load(Ordering::Relaxed));
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mysql97() {
    is_copied_exactly(ServerKind::Mysql97, ServerOptions::source(), ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mysql56() {
    is_copied_exactly(ServerKind::Mysql56, ServerOptions::source(), ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mysql97_that_commits_in_any_order() {
    let options = ServerOptions::source()
        .durable(true)
        .set("binlog_order_commits", "OFF");
    is_copied_exactly(ServerKind::Mysql97, options, ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_mysql56_without_gtid() {
    let options = ServerOptions::source().gtid(false);
    is_copied_exactly(ServerKind::Mysql56, options, ServerKind::MariaDb).await;
}
