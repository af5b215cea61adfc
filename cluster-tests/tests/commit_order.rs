//! Every setting of lanes and commit order gives the source's rows; in strict order nobody sees a gap on the way.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::time::Duration;

use oms_cluster_tests::{Client, Scenario, ServerKind};
use oms_proto::v1::{CommitOrder, Concurrency, IncrementalOptions, StepKind, StepState};

/// Transactions of which each is independent of all others.
const TRANSACTIONS: u64 = 4_000;

async fn write(scenario: &Scenario) {
    let mut client = scenario.source.client().await.unwrap();
    for n in 1..=TRANSACTIONS {
        let table = if n % 2 == 0 { "even" } else { "odd" };
        let insert = format!("INSERT INTO chain.{table} VALUES ({n}, REPEAT('x', {}))", n % 200);
        client.query_drop(&insert).await.unwrap();
        // Now and then one that changes many rows, behind which the short ones would overtake.
        if n % 500 == 0 {
            let update = "UPDATE chain.wide SET n = n + 1";
            client.query_drop(update).await.unwrap();
        }
    }
}

/// Looks at the destination until everything is there; how many looks showed something in between.
async fn read(scenario: &Scenario, strict: bool) -> u64 {
    let mut client: Client = scenario.destination.client().await.unwrap();
    let mut between = 0;
    loop {
        client
            .query_drop("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            .await
            .unwrap();
        let sql = "SELECT COUNT(*), COALESCE(MAX(id), 0) FROM (SELECT id FROM chain.even UNION ALL SELECT id FROM chain.odd) x";
        let rows = client.query_strings(sql).await.unwrap();
        client.query_drop("COMMIT").await.unwrap();
        let [count, highest] = rows[0].as_slice() else {
            panic!("two numbers")
        };
        let (count, highest): (u64, u64) = (count.parse().unwrap(), highest.parse().unwrap());
        assert!(
            !strict || count == highest,
            "{count} transactions up to {highest}"
        );
        if count == TRANSACTIONS {
            return between;
        }
        between += u64::from(count > 0);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn with(options: IncrementalOptions) {
    let strict = options.commit_order() == CommitOrder::Strict;
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut client = scenario.source.client().await.unwrap();
    for statement in [
        "CREATE DATABASE chain",
        "CREATE TABLE chain.even (id BIGINT PRIMARY KEY, t VARCHAR(200))",
        "CREATE TABLE chain.odd (id BIGINT PRIMARY KEY, t VARCHAR(200))",
        "CREATE TABLE chain.wide (id BIGINT PRIMARY KEY, n INT)",
        "INSERT INTO chain.wide SELECT seq, 0 FROM chain.seq_1_to_3000",
    ] {
        client.query_drop(statement).await.unwrap();
    }
    let mut spec = scenario.spec(&["chain"]);
    spec.incremental = Some(options);
    scenario.launch(spec).await.unwrap();
    let caught_up = [StepState::Monitoring];
    let waited = scenario
        .project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &caught_up);
    waited.await.unwrap();
    let reading = async {
        tokio::time::timeout(Duration::from_secs(100), read(&scenario, strict))
            .await
            .unwrap()
    };
    let ((), between) = tokio::join!(write(&scenario), reading);
    assert!(between > 0, "nothing was seen on the way");
    println!("{options:?}: {between} looks on the way");
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();
    scenario
        .assert_equal("chain", &["even", "odd", "wide"])
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_order_on_lanes_that_are_found_out() {
    with(IncrementalOptions {
        commit_order: CommitOrder::Strict as i32,
        ..Default::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strict_order_on_six_lanes() {
    with(IncrementalOptions {
        commit_order: CommitOrder::Strict as i32,
        concurrency: Concurrency::Custom as i32,
        lanes: 6,
        ..Default::default()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relaxed_order_with_every_preset() {
    for concurrency in [Concurrency::Stable, Concurrency::Fast, Concurrency::Auto] {
        with(IncrementalOptions {
            concurrency: concurrency as i32,
            ..Default::default()
        })
        .await;
    }
}
