//! Every type at its limits, by both paths: half of it is there before the project starts and is read by
//! queries, the other half comes through the log.
#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{Corpus, Scenario, ServerKind};
use oms_proto::v1::{StepKind, StepState};

async fn arrives(source: ServerKind, destination: ServerKind) {
    let scenario = Scenario::start(source, destination).await.unwrap();
    let mut client = scenario.source.client().await.unwrap();
    // One schema is copied with its rows, the other is still empty then: its rows come through the log.
    let copied = Corpus::new(source, "copied");
    let logged = Corpus::new(source, "logged");
    client.run_all(&copied.create).await.unwrap();
    client.run_all(&copied.seed).await.unwrap();
    client.run_all(&logged.create).await.unwrap();

    scenario
        .launch(scenario.spec(&["copied", "logged"]))
        .await
        .unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    client.run_all(&logged.seed).await.unwrap();
    client.run_all(&logged.mutate).await.unwrap();
    client.run_all(&copied.mutate).await.unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    project.wait_caught_up(node).await.unwrap();

    let result = project.verify(node).await.unwrap();
    let differences = project.differences(node, true).await.unwrap();
    assert!(result.consistent, "{result:?} {differences:?}");
    for corpus in [&copied, &logged] {
        let tables: Vec<&str> = corpus.tables.iter().map(String::as_str).collect();
        scenario.assert_equal(&corpus.database, &tables).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_oceanbase() {
    arrives(ServerKind::MariaDb, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_oceanbase() {
    arrives(ServerKind::Mysql97, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql56_to_oceanbase() {
    arrives(ServerKind::Mysql56, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_mysql97() {
    arrives(ServerKind::Mysql97, ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_mariadb() {
    arrives(ServerKind::MariaDb, ServerKind::MariaDb).await;
}
