//! A cluster of one: restarts, snapshots, dying processes and torn files.

#![allow(clippy::unwrap_used)]

mod testbed;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use oms_kv::{KvEngine, MemoryEngine, SledEngine};
use oms_raft::{RaftError, Role};
use oms_types::codes::cluster as codes;
use testbed::{Node, single, sled};

fn command(number: usize) -> Vec<u8> {
    format!("command {number} {}", "x".repeat(number * 37 % 3000)).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_state_and_leads_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..4 {
        let begun = Instant::now();
        let node = single(sled(folder.path()), |_| ()).await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "round {round} led after {:?}",
            begun.elapsed()
        );
        let applied = node.raft.read_barrier().await.unwrap();
        assert_eq!(*node.commands(), expected, "round {round}");
        for number in 0..20 {
            let applied = node.raft.propose(command(round * 100 + number)).await.unwrap();
            expected.push(command(round * 100 + number));
            assert_eq!(applied.reply, (expected.len() as u64).to_be_bytes());
            assert_eq!(*node.commands(), expected, "applied when propose returns");
        }
        assert!(node.raft.with_state(|_, index| index).unwrap() >= applied + 20);
        assert_eq!(node.raft.metrics().status.role, Role::Leader);
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_led_before_it_is_initialized() {
    let node = Node::start(1, 0, Arc::new(MemoryEngine::new()), |config| {
        config.timings.operation = Duration::from_millis(300);
    })
    .await
    .unwrap();
    assert!(!node.raft.is_initialized().await.unwrap());
    for error in [
        node.raft.propose(command(1)).await.unwrap_err(),
        node.raft.read_barrier().await.unwrap_err(),
    ] {
        assert!(matches!(error, RaftError::NoLeader { .. }), "{error}");
    }
    node.raft.initialize_single().await.unwrap();
    node.raft.initialize_single().await.unwrap();
    assert!(node.raft.is_initialized().await.unwrap());
    node.raft.propose(command(1)).await.unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_purges_the_log_and_restores() {
    let folder = tempfile::tempdir().unwrap();
    let small = |config: &mut oms_raft::RaftConfig| {
        config.snapshot_every = 50;
        config.keep_in_log = 5;
    };
    let node = single(sled(folder.path()), small).await.unwrap();
    for number in 0..230 {
        node.raft.propose(command(number)).await.unwrap();
    }
    let mut watch = node.raft.watch();
    while node.raft.metrics().purged < 150 {
        // Each command moves the watch, and in time the snapshot that runs beside it is done.
        node.raft.propose(b"more".to_vec()).await.unwrap();
        watch.changed().await.unwrap();
    }
    let before = node.commands();
    node.stop().await;

    let node = single(sled(folder.path()), small).await.unwrap();
    assert!(node.raft.metrics().snapshot >= 150);
    node.raft.read_barrier().await.unwrap();
    assert_eq!(node.commands(), before);
    node.raft.propose(b"after".to_vec()).await.unwrap();
    assert_eq!(node.commands().len(), before.len() + 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_no_acknowledged_command() {
    let mut disk = MemoryEngine::new();
    let mut expected = Vec::new();
    for round in 0..6 {
        let node = single(Arc::new(disk.clone()), |config| config.snapshot_every = 10)
            .await
            .unwrap();
        node.raft.read_barrier().await.unwrap();
        assert_eq!(*node.commands(), expected, "round {round}");
        for number in 0..17 {
            node.raft.propose(command(number)).await.unwrap();
            expected.push(command(number));
        }
        // The power goes while the node runs; what it does afterwards changes nothing.
        disk = disk.after_power_loss(round).unwrap();
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_another_node_or_cluster_is_refused() {
    let disk = MemoryEngine::new();
    single(Arc::new(disk.clone()), |_| ()).await.unwrap().stop().await;
    for (id, cluster) in [(2, "test-cluster"), (1, "other")] {
        let refused = Node::start(id, 0, Arc::new(disk.clone()), |config| {
            config.cluster_id = cluster.to_owned()
        })
        .await;
        let error = refused.err().unwrap();
        assert_eq!(error.code(), codes::WRONG_NODE, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_over_the_limit_is_refused_and_does_no_harm() {
    let node = single(Arc::new(MemoryEngine::new()), |config| {
        config.max_command_bytes = 1000
    })
    .await
    .unwrap();
    assert!(matches!(
        node.raft.propose(vec![0; 1001]).await,
        Err(RaftError::TooLarge {
            size: 1001,
            limit: 1000
        })
    ));
    node.raft.propose(vec![0; 1000]).await.unwrap();
    node.raft.propose(Vec::new()).await.unwrap();
    assert_eq!(node.commands().len(), 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_disk_stops_the_node_and_says_so() {
    let disk = MemoryEngine::new();
    let node = single(Arc::new(disk.clone()), |_| ()).await.unwrap();
    node.raft.propose(command(1)).await.unwrap();
    disk.fail_writes("the disk is broken");
    let error = node.raft.propose(command(2)).await.unwrap_err();
    assert!(matches!(error, RaftError::Indeterminate(_)), "{error}");
    node.until("stopped", |status| status.role == Role::Stopped).await;
    assert!(
        node.raft
            .metrics()
            .stopped_because
            .unwrap()
            .contains("the disk is broken")
    );
    for error in [
        node.raft.propose(command(3)).await.unwrap_err(),
        node.raft.read_barrier().await.unwrap_err(),
        node.raft
            .wait_for_leader(Duration::from_secs(5))
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, RaftError::Stopped(_)), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_address_is_announced() {
    let disk = MemoryEngine::new();
    let node = single(Arc::new(disk.clone()), |_| ()).await.unwrap();
    assert!(!node.raft.announce().await.unwrap());
    node.stop().await;
    let node = single(Arc::new(disk), |_| ()).await.unwrap();
    assert!(node.raft.announce().await.unwrap(), "the port is another one");
    let known = node.raft.metrics().members[&1].address.clone();
    assert_eq!(known, format!("127.0.0.1:{}", node.port));
    assert!(!node.raft.announce().await.unwrap());
    node.stop().await;
}

const FOLDER: &str = "OMS_RAFT_TEST_FOLDER";

/// Proposes for ever and says so after each command.
#[test]
#[ignore = "runs only as the child process of the test below"]
fn proposing_process() {
    let folder = std::env::var(FOLDER).unwrap_or_else(|_| panic!("{FOLDER} is not set"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let node = single(sled(Path::new(&folder)), |config| config.snapshot_every = 40)
            .await
            .unwrap();
        node.raft.read_barrier().await.unwrap();
        let first = node.commands().len();
        for number in first.. {
            node.raft.propose(command(number)).await.unwrap();
            let mut out = std::io::stdout().lock();
            out.write_all(format!("acknowledged {number}\n").as_bytes())
                .unwrap();
            out.flush().unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_command_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..6 {
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .subsec_nanos() as usize;
        let kill_after = 1 + seed % 150;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "proposing_process", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let (mut seen, mut line) = (0, String::new());
        loop {
            line.clear();
            // Once killed, what it said before still counts; a cut-off last line does not.
            if out.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                assert!(seen >= kill_after, "round {round}: the process ended by itself");
                break;
            }
            let Some((_, number)) = line.split_once("acknowledged ") else {
                continue;
            };
            acknowledged = number.trim().parse::<usize>().unwrap() + 1;
            seen += 1;
            if seen == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        if round % 2 == 0 {
            continue; // killed twice in a row, without a clean stop between
        }
        let node = single(sled(folder.path()), |_| ()).await.unwrap();
        node.raft.read_barrier().await.unwrap();
        let commands = node.commands();
        assert!(
            commands.len() >= acknowledged,
            "round {round}: {} of {acknowledged}",
            commands.len()
        );
        for (number, stored) in commands.iter().enumerate() {
            assert!(
                *stored == command(number),
                "round {round}: command {number} differs"
            );
        }
        node.stop().await;
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_refused_or_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let node = single(sled(&data), |_| ()).await.unwrap();
    for number in 0..120 {
        node.raft.propose(command(number)).await.unwrap();
    }
    // Copied while the node runs, as a killed process leaves its files.
    let killed = folder.path().join("killed");
    copy_folder(&data, &killed);
    let expected = node.commands();
    node.stop().await;

    let length = fs::metadata(killed.join("db")).unwrap().len();
    let mut refused = 0;
    for cut in [
        0,
        1,
        100,
        4096,
        20_000,
        100_000,
        300_000,
        length / 2,
        length - 10,
        length,
    ] {
        let torn = folder.path().join(format!("torn-{cut}"));
        copy_folder(&killed, &torn);
        let file = fs::OpenOptions::new().write(true).open(torn.join("db")).unwrap();
        file.set_len(length - cut).unwrap();
        match SledEngine::open(&torn) {
            Err(error) => {
                assert_eq!(error.code(), codes::METADATA_CORRUPT, "{error}");
                assert!(cut > 0, "{error}");
                refused += 1;
            }
            Ok(engine) => {
                let engine: Arc<dyn KvEngine> = Arc::new(engine);
                let node = single(engine, |_| ()).await.unwrap();
                node.raft.read_barrier().await.unwrap();
                assert_eq!(node.commands(), expected, "{cut} of {length} bytes cut");
                node.stop().await;
            }
        }
    }
    assert!(
        refused >= 2,
        "losing half of the file cannot go unnoticed; refused: {refused}"
    );
}
