//! What consensus keeps in memory stays bounded, however much was decided. Alone in its process, because it looks at
//! what the process holds.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod testbed;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use oms_kv::{FileSync, SledEngine, SledOptions};
use oms_raft::{NodeInfo, RaftConfig, RaftHandle, TcpConnect};
use testbed::Slots;

/// Says that files are on disk. Nothing here is about what survives, and each real sync takes a millisecond.
struct Unsynced;

impl FileSync for Unsynced {
    fn sync_file(&self, _: &File, _: &Path) -> std::io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> std::io::Result<()> {
        Ok(())
    }
}

/// `VmRSS` or `VmHWM` of this process, in KiB.
fn held(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Six snapshots, each with the purge of 5,000 entries that belongs to it, as in days of a cluster with a few projects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_levels_off() {
    const SNAPSHOTS: usize = 6;
    const WRITERS: usize = 250;
    let folder = tempfile::tempdir().unwrap();
    let options = SledOptions {
        sync: Arc::new(Unsynced),
        ..SledOptions::default()
    };
    let engine = Arc::new(SledEngine::open_with(folder.path(), &options).unwrap());
    let config = RaftConfig::new("memory", 1, NodeInfo::default());
    let every = config.snapshot_every as usize;
    let raft = RaftHandle::open(config, engine, Slots::default(), Arc::new(TcpConnect::default()))
        .await
        .unwrap();
    raft.initialize_single().await.unwrap();
    let begun = held("VmRSS");
    let mut after = Vec::new();
    for round in 0..SNAPSHOTS {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let raft = raft.clone();
            writers.spawn(async move {
                for n in 0..every / WRITERS {
                    let mut command = vec![(writer % 64) as u8];
                    command.resize(1 + 200 + (n * 37 + round) % 600, round as u8);
                    raft.propose(command).await.unwrap();
                }
            });
        }
        while let Some(written) = writers.join_next().await {
            written.unwrap();
        }
        after.push(held("VmRSS"));
    }
    let metrics = raft.metrics();
    assert!(
        metrics.purged as usize > (SNAPSHOTS - 2) * every - 1_000,
        "{metrics:?}"
    );
    println!(
        "KiB at first {begun}, after each {every} commands {after:?}, at most {}",
        held("VmHWM")
    );
    let early = *after[..SNAPSHOTS / 2].iter().max().unwrap();
    let mut late = after[SNAPSHOTS / 2..].to_vec();
    late.sort_unstable();
    // The median, because what others do on the machine moves single values; what is kept raises all of them.
    let late = late[late.len() / 2];
    assert!(late <= early + (2 << 10), "it still grows: {begun}, {after:?}");
    let most = held("VmHWM") - begun;
    assert!(most <= 24 << 10, "{most} KiB more than at first: {after:?}");
}
