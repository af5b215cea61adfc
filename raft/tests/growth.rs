//! What consensus keeps on disk stays bounded, however much was decided.
#![allow(clippy::unwrap_used)]

mod testbed;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use oms_raft::{NodeInfo, RaftConfig, RaftHandle, RestoreError, StateMachine, TcpConnect};
use testbed::sled;

/// Remembers the last value of each of a few slots, so its size does not grow.
#[derive(Default)]
struct Slots {
    slots: BTreeMap<u8, Vec<u8>>,
    applied: u64,
}

impl StateMachine for Slots {
    type View = u64;

    fn apply(&mut self, _index: u64, command: &[u8]) -> Vec<u8> {
        let (slot, value) = command.split_first().unwrap();
        self.slots.insert(*slot, value.to_vec());
        self.applied += 1;
        Vec::new()
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut out = self.applied.to_be_bytes().to_vec();
        for (slot, value) in &self.slots {
            out.push(*slot);
            out.extend((value.len() as u32).to_be_bytes());
            out.extend(value);
        }
        out
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let torn = || RestoreError("torn".to_owned());
        let (applied, mut rest) = snapshot.split_first_chunk().ok_or_else(torn)?;
        self.applied = u64::from_be_bytes(*applied);
        self.slots.clear();
        while let Some((slot, behind)) = rest.split_first() {
            let (length, behind) = behind.split_first_chunk().ok_or_else(torn)?;
            let length = u32::from_be_bytes(*length) as usize;
            let (value, behind) = behind.split_at_checked(length).ok_or_else(torn)?;
            self.slots.insert(*slot, value.to_vec());
            rest = behind;
        }
        Ok(())
    }

    fn view(&self) -> u64 {
        self.applied
    }
}

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
