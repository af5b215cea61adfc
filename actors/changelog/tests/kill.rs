//! A killed writer process: every record it acknowledged is there.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use oms_changelog::testing::{payload, position, read_to};
use oms_changelog::{
    ChangeLog, LogConfig, LogId, LogOrigin, LogSeq, NewRecord, ReadFrom, RecordFlags, SegmentLog,
};

const FOLDER: &str = "OMS_CHANGELOG_TEST_FOLDER";

async fn open(dir: &Path) -> SegmentLog {
    let config = LogConfig {
        segment_bytes: 200_000,
        write_buffer: 10_000,
        reserve_bytes: 0,
        ..LogConfig::new(dir)
    };
    let origin = LogOrigin {
        log_id: LogId([5; 16]),
        start_position: position(0),
    };
    SegmentLog::open(config, origin).await.unwrap().0
}

/// The process that is killed: runs only when started by the test below.
#[tokio::test]
async fn child_that_writes_until_killed() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let log = open(Path::new(&dir)).await;
    let mut writer = log.writer().await.unwrap();
    loop {
        let n = writer.next_seq().0;
        let txn = vec![
            NewRecord::first(1, payload(n, (n % 5_000) as usize)),
            NewRecord::middle(1, payload(n + 1, 300)),
            NewRecord::last(1, position(n + 2), payload(n + 2, 20)),
        ];
        // Sometimes the kill finds half a transaction durable.
        if n.is_multiple_of(4) {
            writer.append(txn[..2].to_vec()).await.unwrap();
            println!("acknowledged {}", writer.commit().await.unwrap());
            writer.append(txn[2..].to_vec()).await.unwrap();
        } else {
            writer.append(txn).await.unwrap();
        }
        println!("acknowledged {}", writer.commit().await.unwrap());
    }
}

#[tokio::test]
async fn acknowledged_records_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = LogSeq::NONE;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = 40 + round * 23;
        // After the kill the pipe still holds what was acknowledged before it.
        while let Some(Ok(line)) = lines.next() {
            if let Some((_, number)) = line.split_once("acknowledged ") {
                acknowledged = LogSeq(number.parse().unwrap());
                left -= 1;
                if left == 0 {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        assert!(left <= 0, "the child ended by itself");

        let log = open(folder.path()).await;
        let last = log.durable_seq();
        assert!(
            last >= acknowledged,
            "{acknowledged} was acknowledged, {last} is there"
        );
        let mut open_txn = false;
        for record in read_to(&mut *log.open_reader(ReadFrom::Start).await.unwrap(), last).await {
            if record.flags == RecordFlags::TXN_ABORT {
                assert!(open_txn);
                open_txn = false;
                continue;
            }
            assert_eq!(open_txn, !record.flags.contains(RecordFlags::TXN_FIRST));
            open_txn = !record.flags.contains(RecordFlags::TXN_LAST);
            assert_eq!(record.payload[..8], record.seq.0.to_le_bytes());
        }
        log.close().await.unwrap();
    }
}
