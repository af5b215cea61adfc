//! What consensus keeps on disk stays bounded, however much was decided.
#![allow(clippy::unwrap_used)]

mod testbed;

use std::path::Path;
use std::sync::Arc;

use oms_raft::{NodeInfo, RaftConfig, RaftHandle, TcpConnect};
use testbed::{Slots, sled};

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let about = entry.metadata().unwrap();
            if about.is_dir() {
                size(&entry.path())
            } else {
                about.len()
            }
        })
        .sum()
}

async fn open(folder: &Path) -> RaftHandle<Slots> {
    let mut config = RaftConfig::new("growth", 1, NodeInfo::default());
    config.snapshot_every = 200;
    config.keep_in_log = 100;
    let raft = RaftHandle::open(
        config,
        sled(folder),
        Slots::default(),
        Arc::new(TcpConnect::default()),
    )
    .await
    .unwrap();
    raft.initialize_single().await.unwrap();
    raft
}

/// As many commands as a cluster with a few projects makes in days (about one a second and project), with the snapshots
/// and restarts that belong to them: the folder reaches its size early, and keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn days_of_commands_take_the_room_of_hours() {
    const CYCLES: usize = 8;
    const COMMANDS: usize = 1_000;
    const WRITERS: usize = 100;
    let folder = tempfile::tempdir().unwrap();
    let mut sizes = Vec::new();
    for cycle in 0..CYCLES {
        let raft = open(folder.path()).await;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let raft = raft.clone();
            writers.spawn(async move {
                for n in 0..COMMANDS / WRITERS {
                    let mut command = vec![(writer % 64) as u8];
                    command.resize(1 + 200 + (n * 37 + cycle) % 600, cycle as u8);
                    raft.propose(command).await.unwrap();
                }
            });
        }
        while let Some(written) = writers.join_next().await {
            written.unwrap();
        }
        assert_eq!(raft.view().unwrap(), ((cycle + 1) * COMMANDS) as u64);
        let metrics = raft.metrics();
        // What lies behind the last snapshot, and what is kept for those that are late.
        assert!(metrics.last_log - metrics.purged < 2 * 200 + 100, "{metrics:?}");
        raft.shutdown().await.unwrap();
        drop(raft);
        sizes.push(size(folder.path()));
    }
    println!(
        "KiB after each {COMMANDS} commands: {:?}",
        sizes.iter().map(|s| s >> 10).collect::<Vec<_>>()
    );
    let early = sizes[..CYCLES / 2].iter().max().unwrap();
    let late = sizes[CYCLES / 2..].iter().max().unwrap();
    assert!(*late <= early + early / 4, "it still grows: {sizes:?}");
}
