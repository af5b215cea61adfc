//! What a daemon keeps of its metadata stays bounded, however long it decides.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{fs, path::Path};

use oms_cluster_tests::{Scenario, ServerKind};
use oms_proto::v1::{LabelProjectRequest, StepKind, StepState};

/// Snapshots of the metadata that are due while it runs, each with the removal of what lies before it.
const ROUNDS: usize = 6;
/// Commands after which a snapshot is taken.
const EVERY: usize = 5_000;
/// Callers at the same time.
const CALLERS: usize = 50;

/// Bytes of all files below a folder.
fn size(folder: &Path) -> u64 {
    let mut bytes = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        // What is removed meanwhile takes no room.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += match metadata.is_dir() {
            true => size(&entry.path()),
            false => metadata.len(),
        };
    }
    bytes
}

/// As many decisions as in weeks, while a project follows its source: neither the folder of the node nor its memory grow with their number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_without_end_take_bounded_room() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut source = scenario.source.client().await.unwrap();
    source
        .run_all(&["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"])
        .await
        .unwrap();
    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    scenario
        .project
        .wait_step(&scenario.node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    let (mut disk, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        scenario.node.reset_peak_memory().unwrap();
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..CALLERS {
            let mut projects = scenario.node.projects().await.unwrap();
            callers.spawn(async move {
                for n in 0..EVERY / CALLERS {
                    // One comes and the other goes: the record stays as large as it is.
                    let request = LabelProjectRequest {
                        project: "test".to_owned(),
                        add: vec![format!("of-{}", n % 2)],
                        remove: vec![format!("of-{}", (n + 1) % 2)],
                    };
                    projects.label_project(request).await.unwrap();
                }
            });
        }
        while let Some(done) = callers.join_next().await {
            done.unwrap();
        }
        disk.push(size(scenario.node.data()) >> 10);
        memory.push(scenario.node.peak_memory().unwrap() >> 10);
    }
    println!("KiB on disk {disk:?}; KiB of memory at most {memory:?}");
    let levels_off = |values: &[u64], slack: u64| {
        let (early, late) = values.split_at(ROUNDS / 2);
        let most = early.iter().max().unwrap() + slack;
        let mut late = late.to_vec();
        late.sort_unstable();
        late[late.len() / 2] <= most
    };
    assert!(levels_off(&disk, 4 << 10), "the folder grows: {disk:?}");
    assert!(levels_off(&memory, 4 << 10), "memory grows: {memory:?}");
    // The project has gone on meanwhile.
    source.query_drop("INSERT INTO shop.t VALUES (1)").await.unwrap();
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();
    assert_eq!(scenario.assert_equal("shop", &["t"]).await.unwrap(), 1);
}
