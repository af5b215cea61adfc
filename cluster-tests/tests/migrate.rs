//! A live database moves: every source kind to every destination kind, with writes going on.
#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{LOAD_TABLES, Load, LoadOptions, Scenario, ServerKind};
use oms_proto::v1::{StepKind, StepState};

/// Moves tables of every key shape while they are being written to, and proves both sides equal.
async fn moves(source: ServerKind, destination: ServerKind) {
    let scenario = Scenario::start(source, destination).await.unwrap();
    let options = LoadOptions {
        rate: 100,
        ..LoadOptions::default()
    };
    Load::prepare(&scenario.source, &options, 4_000).await.unwrap();
    let load = Load::start(&scenario.source, &options).await.unwrap();

    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    let live = project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    // Under live writes, too, verification must not invent differences.
    let result = live.verification.unwrap();
    assert!(result.consistent, "{result:?}");

    let counters = load.stop().await.unwrap();
    assert!(
        counters.inserts > 0 && counters.updates > 0 && counters.deletes > 0,
        "{counters:?}"
    );
    project.wait_caught_up(node).await.unwrap();
    let result = project.verify(node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    assert_eq!(result.tables, LOAD_TABLES.len() as u64);
    let rows = scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
    assert_eq!(result.rows, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_oceanbase() {
    moves(ServerKind::MariaDb, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_oceanbase() {
    moves(ServerKind::Mysql97, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql56_to_oceanbase() {
    moves(ServerKind::Mysql56, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_mysql97() {
    moves(ServerKind::MariaDb, ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_mysql97() {
    moves(ServerKind::Mysql97, ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql56_to_mysql97() {
    moves(ServerKind::Mysql56, ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_mariadb() {
    moves(ServerKind::MariaDb, ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_mariadb() {
    moves(ServerKind::Mysql97, ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql56_to_mariadb() {
    moves(ServerKind::Mysql56, ServerKind::MariaDb).await;
}
