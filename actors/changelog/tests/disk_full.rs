//! A full disk: the log stops before damage, stays readable, and goes on when there is room.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use oms_changelog::testing::{payload, position, read_to};
use oms_changelog::{
    ChangeLog, ChangeLogError, LogConfig, LogId, LogOrigin, LogSeq, LogWriter, NewRecord, ReadFrom,
    SegmentLog,
};

const FOLDER: &str = "OMS_CHANGELOG_TEST_LIMITED_FOLDER";

/// A small file system of its own, unmounted at the end. `None` where mounting is not permitted.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        done.then_some(Self { folder })
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
    }
}

async fn open(dir: &Path, segment_bytes: u64, reserve_bytes: u64) -> SegmentLog {
    let config = LogConfig {
        segment_bytes,
        reserve_bytes,
        write_buffer: 64 << 10,
        ..LogConfig::new(dir.join("log"))
    };
    let origin = LogOrigin {
        log_id: LogId([5; 16]),
        start_position: position(0),
    };
    SegmentLog::open(config, origin).await.unwrap().0
}

fn record(n: u64) -> NewRecord {
    NewRecord::single(1, position(n), payload(n, 10_000))
}

/// Appends single records, a commit after every seventh, until there is no room.
async fn fill(writer: &mut dyn LogWriter) -> ChangeLogError {
    loop {
        let n = writer.next_seq().0;
        if let Err(error) = writer.append(vec![record(n)]).await {
            return error;
        }
        if n.is_multiple_of(7)
            && let Err(error) = writer.commit().await
        {
            return error;
        }
    }
}

async fn check_content(log: &SegmentLog) {
    let last = log.durable_seq();
    for record in read_to(&mut *log.open_reader(ReadFrom::Start).await.unwrap(), last).await {
        assert_eq!(record.payload[..8], record.seq.0.to_le_bytes());
    }
}

/// The room ends in the middle of a write; `free` makes some.
async fn really_full(dir: &Path, segment_bytes: u64, free: impl FnOnce()) {
    let log = open(dir, segment_bytes, 0).await;
    let mut writer = log.writer().await.unwrap();
    let error = fill(&mut *writer).await;
    let durable = log.durable_seq();
    let ChangeLogError::DiskFull { rolled_back_to, .. } = &error else {
        panic!("{error}")
    };
    assert!(rolled_back_to.is_none_or(|seq| seq == durable), "{error}");
    assert_eq!(error.code().as_str(), "OMS-STORE-0001");
    assert!(durable > LogSeq(50), "{durable}");
    check_content(&log).await;
    // Still full: it fails again, without damage.
    let again = fill(&mut *writer).await;
    assert!(matches!(again, ChangeLogError::DiskFull { .. }), "{again}");
    let durable = log.durable_seq();
    check_content(&log).await;
    free();
    if let Err(error) = writer.commit().await {
        panic!("what was rolled back is reported once: {error}");
    }
    for _ in 0..20 {
        let n = writer.next_seq().0;
        writer.append(vec![record(n)]).await.unwrap();
    }
    let last = writer.commit().await.unwrap();
    assert!(last.0 >= durable.0 + 20);
    check_content(&log).await;
    drop(writer);
    log.close().await.unwrap();
    let log = open(dir, segment_bytes, 0).await;
    assert_eq!(log.durable_seq(), last);
    check_content(&log).await;
    log.close().await.unwrap();
}

/// With a reserve nothing is ever lost: the call that has no room takes nothing and is repeated.
async fn stops_at_the_reserve(dir: &Path, free: impl FnOnce()) {
    let log = open(dir, 1 << 20, 4 << 20).await;
    let mut writer = log.writer().await.unwrap();
    let error = fill(&mut *writer).await;
    assert!(
        matches!(
            error,
            ChangeLogError::DiskFull {
                rolled_back_to: None,
                ..
            }
        ),
        "{error}"
    );
    let next = writer.next_seq();
    let durable = writer.commit().await.unwrap();
    assert_eq!(
        durable.next(),
        next,
        "what was taken before can still be committed"
    );
    let refused = writer.append(vec![record(next.0)]).await.unwrap_err();
    assert!(
        matches!(
            refused,
            ChangeLogError::DiskFull {
                rolled_back_to: None,
                ..
            }
        ),
        "{refused}"
    );
    check_content(&log).await;
    free();
    writer.append(vec![record(next.0)]).await.unwrap();
    assert_eq!(writer.commit().await.unwrap(), next);
    check_content(&log).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_file_system_fills_up() {
    // Where mounting is not permitted, the size limit below shows the same.
    let Some(disk) = SmallDisk::mount() else {
        return limited_process();
    };
    for segment_bytes in [1 << 20, 1 << 30] {
        let ballast = disk.path().join("ballast");
        std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();
        really_full(&disk.path(), segment_bytes, || {
            std::fs::remove_file(&ballast).unwrap()
        })
        .await;
        std::fs::remove_dir_all(disk.path().join("log")).unwrap();
    }
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();
    stops_at_the_reserve(&disk.path(), || std::fs::remove_file(&ballast).unwrap()).await;
}

/// Runs only in the process that `limited_process` starts.
#[tokio::test]
async fn child_with_a_file_size_limit() {
    let Some(dir) = std::env::var_os(FOLDER) else {
        return;
    };
    let raise = || {
        let id = std::process::id().to_string();
        let done = Command::new("prlimit")
            .args(["--pid", &id, "--fsize=unlimited:"])
            .status()
            .unwrap();
        assert!(done.success());
    };
    really_full(Path::new(&dir), 1 << 30, raise).await;
    println!("child is done");
}

fn limited_process() {
    let folder = tempfile::tempdir().unwrap();
    // The shell counts 512-byte or 1-KiB blocks: 1 or 2 MiB. The signal must be ignored for the write to fail.
    let output = Command::new("sh")
        .args([
            "-c",
            "trap '' XFSZ; ulimit -S -f 2048; exec \"$0\" --exact child_with_a_file_size_limit --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("child is done"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_file_size_limit_stops_and_continues() {
    limited_process();
}
