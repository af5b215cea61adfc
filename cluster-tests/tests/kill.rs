//! The node is killed again and again; nothing is lost or doubled.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use oms_cluster_tests::{LOAD_TABLES, Load, LoadOptions, Scenario, ServerKind};
use oms_proto::v1::{StepKind, StepState};
use rand::{Rng, SeedableRng, rngs::StdRng};

const KILLS: u32 = 20;

/// Twenty kills at random moments of one project, from the first step to synchronization, twice in a row now
/// and then, while the source is written to. The table without a key shows doubled rows at once.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_during_one_project() {
    let seed = rand::rng().random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let options = LoadOptions {
        rate: 150,
        ..LoadOptions::default()
    };
    Load::prepare(&scenario.source, &options, 20_000).await.unwrap();
    let load = Load::start(&scenario.source, &options).await.unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();

    for _ in 0..KILLS {
        // The moment of the kill is what is random; nothing is waited for.
        let pause = Duration::from_millis(rng.random_range(0..2_500));
        tokio::time::sleep(pause).await;
        scenario.node.kill().unwrap();
        scenario.node.restart().await.unwrap();
        if rng.random_bool(0.2) {
            scenario.node.kill().unwrap();
            scenario.node.restart().await.unwrap();
        }
    }

    let (project, node) = (scenario.project.clone(), &scenario.node);
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    load.stop().await.unwrap();
    project.wait_caught_up(node).await.unwrap();
    let result = project.verify(node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
}

/// Source and destination are restarted under load; the project goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn both_databases_are_restarted() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let options = LoadOptions {
        rate: 100,
        ..LoadOptions::default()
    };
    Load::prepare(&scenario.source, &options, 3_000).await.unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let project = scenario.project.clone();
    project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();

    let load = Load::start(&scenario.source, &options).await.unwrap();
    while load.counters().commits < 50 {
        tokio::task::yield_now().await;
    }
    scenario.destination.kill().unwrap();
    scenario.destination.restart().await.unwrap();
    let before = load.counters().commits;
    while load.counters().commits < before + 50 {
        tokio::task::yield_now().await;
    }
    load.stop().await.unwrap();
    scenario.source.stop().await.unwrap();
    scenario.source.restart().await.unwrap();
    let load = Load::start(&scenario.source, &options).await.unwrap();
    while load.counters().commits < 50 {
        tokio::task::yield_now().await;
    }
    load.stop().await.unwrap();

    project.wait_caught_up(&scenario.node).await.unwrap();
    let result = project.verify(&scenario.node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
}
