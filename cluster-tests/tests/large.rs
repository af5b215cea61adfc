//! Large transactions and large values pass with bounded memory.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use oms_cluster_tests::{Client, Corpus, Scenario, ServerKind, ServerOptions};
use oms_proto::v1::{StepKind, StepState};
use tokio::time::Instant;

const ROWS: u64 = 2_000_000;
/// Most memory that a node may have in RAM during a transaction of two million rows; stated in
/// `node/docs/incremental-apply.md`, section 6.
const LARGE_TRANSACTION: u64 = 500 << 20;
/// Most memory that a node may have in RAM while values of 64 MB move.
const LARGE_VALUES: u64 = 1_500 << 20;

async fn wait_monitoring(scenario: &Scenario) {
    let states = [StepState::Monitoring];
    let waited = scenario
        .project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &states);
    waited.await.unwrap();
}

/// One statement inserts two million rows while the project synchronizes.
async fn two_million_rows(source: ServerKind, options: ServerOptions, destination: ServerKind) {
    let scenario = Scenario::start_with(source, options, destination, ServerOptions::destination())
        .await
        .unwrap();
    let mut client = scenario.source.client().await.unwrap();
    for statement in [
        "CREATE DATABASE large",
        "USE large",
        "CREATE TABLE digits (d INT PRIMARY KEY)",
        "INSERT INTO digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)",
        "CREATE TABLE narrow (id INT PRIMARY KEY, n INT NOT NULL)",
    ] {
        client.query_drop(statement).await.unwrap();
    }
    scenario.launch(scenario.spec(&["large"])).await.unwrap();
    wait_monitoring(&scenario).await;
    let idle = scenario.node.peak_memory().unwrap();
    scenario.node.reset_peak_memory().unwrap();

    let began = Instant::now();
    let insert = format!(
        "INSERT INTO narrow SELECT x.id, x.id * 7 % 1000003 FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d \
         + 10000 * e.d + 100000 * f.d + 1000000 * g.d AS id FROM digits a, digits b, digits c, digits d, digits e, \
         digits f, digits g WHERE g.d < 2) x WHERE x.id < {ROWS}"
    );
    client.query_drop(&insert).await.unwrap();
    assert_eq!(client.affected_rows(), ROWS);
    let written = began.elapsed();
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();
    let applied = began.elapsed();
    let peak = scenario.node.peak_memory().unwrap();
    println!(
        "written in {written:.1?}, applied after {applied:.1?}; at most {} MiB in RAM, {} MiB before",
        peak >> 20,
        idle >> 20
    );
    assert!(peak <= LARGE_TRANSACTION, "{} MiB", peak >> 20);
    let rows = scenario
        .assert_equal("large", &["narrow", "digits"])
        .await
        .unwrap();
    assert_eq!(rows, ROWS + 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_million_rows_from_mariadb_to_seekdb() {
    let options = ServerOptions::source();
    two_million_rows(ServerKind::MariaDb, options, ServerKind::SeekDb).await;
}

/// The whole transaction is one compressed event.
#[tokio::test(flavor = "multi_thread")]
async fn two_million_rows_in_a_compressed_transaction() {
    let options = ServerOptions::source().set("binlog_transaction_compression", "ON");
    two_million_rows(ServerKind::Mysql97, options, ServerKind::MariaDb).await;
}

async fn run(client: &mut Client, statements: &[String]) {
    for statement in statements {
        client.query_drop(statement).await.unwrap();
    }
}

/// Values of 64 MB by full import and by the log.
async fn large_values(destination: ServerKind) {
    let options = ServerOptions::source().set("max_allowed_packet", "1G");
    let to = match destination {
        ServerKind::SeekDb => ServerOptions::destination(),
        _ => ServerOptions::destination().set("max_allowed_packet", "1G"),
    };
    let scenario = Scenario::start_with(ServerKind::MariaDb, options, destination, to)
        .await
        .unwrap();
    let corpus = Corpus::new(ServerKind::MariaDb, "huge");
    let table = Corpus::large_table();
    let mut client = scenario.source.client().await.unwrap();
    // Only the table of large values, once filled before full import and once through the log.
    client
        .query_drop("CREATE DATABASE huge DEFAULT CHARACTER SET utf8mb4")
        .await
        .unwrap();
    client.query_drop("USE huge").await.unwrap();
    let wanted = |s: &&String| s.contains(&format!("CREATE TABLE {table}"));
    let create: Vec<_> = corpus.create.iter().filter(wanted).cloned().collect();
    assert_eq!(create.len(), 1);
    run(&mut client, &create).await;
    run(&mut client, &corpus.large).await;
    let began = Instant::now();
    scenario.launch(scenario.spec(&["huge"])).await.unwrap();
    wait_monitoring(&scenario).await;
    println!(
        "imported after {:.1?}; at most {} MiB in RAM",
        began.elapsed(),
        scenario.node.peak_memory().unwrap() >> 20
    );
    assert_eq!(scenario.assert_equal("huge", &[table]).await.unwrap(), 2);

    scenario.node.reset_peak_memory().unwrap();
    let began = Instant::now();
    for statement in [
        "INSERT INTO large_values SELECT id + 10, b, t FROM large_values",
        "UPDATE large_values SET b = REVERSE(b), t = CONCAT(t, 'x') WHERE id < 10",
        "DELETE FROM large_values WHERE id = 12",
    ] {
        client.query_drop(statement).await.unwrap();
    }
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();
    let peak = scenario.node.peak_memory().unwrap();
    println!(
        "synchronized after {:.1?}; at most {} MiB in RAM",
        began.elapsed(),
        peak >> 20
    );
    assert_eq!(scenario.assert_equal("huge", &[table]).await.unwrap(), 3);
    let result = scenario.project.verify(&scenario.node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    let peak = peak.max(scenario.node.peak_memory().unwrap());
    assert!(peak <= LARGE_VALUES, "{} MiB", peak >> 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_64_mb_to_seekdb() {
    large_values(ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_64_mb_to_mysql97() {
    large_values(ServerKind::Mysql97).await;
}
