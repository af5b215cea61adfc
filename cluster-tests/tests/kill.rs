//! The node is killed again and again; nothing is lost or doubled.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::{collections::BTreeMap, time::Duration};

use oms_cluster_tests::{LOAD_TABLES, Load, LoadOptions, Scenario, ServerKind};
use oms_proto::v1::{FullOptions, Project, StepKind, StepState};
use rand::{Rng, SeedableRng, rngs::StdRng};

const KILLS: u32 = 20;
const ACTIVE: [StepState; 2] = [StepState::Running, StepState::Monitoring];

/// Twenty kills at random moments of one project, from the first step to synchronization, twice in a row now
/// and then, while the source is written to; both databases are restarted in between. The table without a key
/// shows doubled rows at once.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_kills_during_one_project() {
    for _ in 0..5 {
        let seed = rand::rng().random();
        println!("seed {seed}");
        match Box::pin(twenty_kills(StdRng::seed_from_u64(seed))).await {
            Server::Sound => return,
            Server::KeepsTransaction => {
                println!("the server keeps a transaction of before its crash: once more")
            }
        }
    }
    panic!("the server kept a transaction in every run");
}

/// What the destination made of being killed.
enum Server {
    Sound,
    /// seekdb 1.4.0 may, when it is killed while a transaction is partly in its log, keep it and its locks for good, also
    /// over further restarts: without a session and without an expiry. Nobody can end it, and nobody can write those rows.
    KeepsTransaction,
}

/// Whether the server that has just been restarted will end all transactions of before.
async fn after_crash(scenario: &Scenario) -> Server {
    let mut client = scenario.destination.client().await.unwrap();
    let kept = "SELECT COUNT(*) FROM oceanbase.__all_virtual_trans_stat WHERE session_id = 0 AND expired_time IS NULL";
    for _ in 0..20 {
        if client.query_count(kept).await.unwrap() == 0 {
            return Server::Sound;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Server::KeepsTransaction
}

async fn twenty_kills(mut rng: StdRng) -> Server {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let options = LoadOptions {
        rate: 150,
        ..LoadOptions::default()
    };
    Load::prepare(&scenario.source, &options, 20_000).await.unwrap();
    let mut load = Load::start(&scenario.source, &options).await.unwrap();
    let mut spec = scenario.spec(&["load"]);
    // Slow enough that several kills fall into full import.
    spec.full = Some(FullOptions {
        max_rows_per_second: 10_000,
        chunk_rows: 2_000,
        ..FullOptions::default()
    });
    scenario.launch(spec).await.unwrap();

    let project = scenario.project.clone();
    let mut hit: BTreeMap<String, u32> = BTreeMap::new();
    let mut written = 0;
    for kill in 0..KILLS {
        // The moment of the kill is what is random; nothing is waited for.
        let pause = Duration::from_millis(rng.random_range(0..2_500));
        tokio::time::sleep(pause).await;
        match kill {
            6 => {
                scenario.destination.kill().unwrap();
                scenario.destination.restart().await.unwrap();
                if let kept @ Server::KeepsTransaction = after_crash(&scenario).await {
                    load.stop().await.unwrap();
                    return kept;
                }
            }
            // The second half belongs to synchronization, also on a slow machine.
            10 => {
                wait_synchronizing(&scenario, &ACTIVE).await;
            }
            15 => {
                written += load.counters().commits;
                load.stop().await.unwrap();
                scenario.source.restart().await.unwrap();
                load = Load::start(&scenario.source, &options).await.unwrap();
            }
            _ => {}
        }
        *hit.entry(running(&project.get(&scenario.node).await.unwrap()))
            .or_default() += 1;
        scenario.node.kill().unwrap();
        if rng.random_bool(0.3) {
            // Once more, while it starts.
            scenario.node.restart_unready().unwrap();
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..600))).await;
            scenario.node.kill().unwrap();
        }
        scenario.node.restart().await.unwrap();
    }
    println!("kills by running steps: {hit:?}");
    let during = |step: StepKind| hit.keys().any(|steps| steps.contains(step.name()));
    assert!(during(StepKind::IncrTransfer), "{hit:?}");

    let node = &scenario.node;
    wait_synchronizing(&scenario, &[StepState::Monitoring]).await;
    written += load.counters().commits;
    load.stop().await.unwrap();
    if let Err(error) = project.wait_caught_up(node).await {
        panic!("{error}\n{}", held_locks(&scenario).await);
    }
    let result = project.verify(node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    let rows = scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
    println!("{written} transactions were written; {rows} rows are equal");
    Server::Sound
}

async fn wait_synchronizing(scenario: &Scenario, states: &[StepState]) {
    let step = StepKind::IncrTransfer;
    if let Err(error) = scenario.project.wait_step(&scenario.node, step, states).await {
        panic!("{error}\n{}", held_locks(scenario).await);
    }
}

/// Who holds what at the destination, to be read when something waits forever.
async fn held_locks(scenario: &Scenario) -> String {
    let mut client = scenario.destination.client().await.unwrap();
    let mut text = String::new();
    for query in [
        "SHOW FULL PROCESSLIST",
        "SELECT lane, epoch, claim, turn, connection FROM omsnode_meta.fence_v1",
        "SELECT * FROM oceanbase.GV$OB_TRANSACTION_PARTICIPANTS",
        "SELECT * FROM oceanbase.GV$OB_LOCKS",
    ] {
        text.push_str(&format!("{query}\n"));
        match client.query_strings(query).await {
            Ok(rows) => rows.iter().for_each(|row| text.push_str(&format!("{row:?}\n"))),
            Err(error) => text.push_str(&format!("{error}\n")),
        }
    }
    text
}

/// The names of the steps that run.
fn running(project: &Project) -> String {
    let steps = project.steps.iter().filter(|s| ACTIVE.contains(&s.state()));
    let names: Vec<_> = steps.map(|s| s.kind().name()).collect();
    names.join("+")
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
