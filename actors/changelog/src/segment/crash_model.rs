//! A power cut at every moment: what was synced is there, of the rest any sectors may be.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use proptest::prelude::RngExt;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::testing::position;
use crate::{
    ChangeLog, LogConfig, LogId, LogOrigin, LogRecord, LogSeq, NewRecord, RetentionPolicy, SegmentLog,
};

use super::cursor::{Amount, Cursor};
use super::disk::Disk;
use super::header::segment_name;
use super::open::open;

/// A change of the log's folder, or the moment at which a commit was acknowledged.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Create { first: LogSeq, bytes: Vec<u8> },
    Write { first: LogSeq, at: u64, bytes: Vec<u8> },
    Sync { first: LogSeq },
    Truncate { first: LogSeq, len: u64 },
    Remove { first: LogSeq },
    Acknowledged(LogSeq),
}

/// Everything that happened to a folder, in order.
#[derive(Debug, Default)]
pub(crate) struct Journal(Mutex<Vec<Op>>);

impl Journal {
    pub(crate) fn push(&self, op: Op) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(op);
    }

    fn ops(&self) -> Vec<Op> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

const SECTOR: usize = 512;

#[derive(Default)]
struct Image {
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

impl Image {
    fn put(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
        bytes.resize(bytes.len().max(at + piece.len()), 0);
        bytes[at..at + piece.len()].copy_from_slice(piece);
    }

    fn sync(&mut self) {
        for (at, piece) in self.pending.drain(..) {
            Self::put(&mut self.durable, at, &piece);
        }
    }

    /// What a disk may hold that kept each unsynced sector as `keep` says.
    fn after_power_cut(&self, mut keep: impl FnMut() -> bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (at, piece) in &self.pending {
            let mut from = 0;
            while from < piece.len() {
                let to = (from + SECTOR - (at + from) % SECTOR).min(piece.len());
                if keep() {
                    Self::put(&mut bytes, at + from, &piece[from..to]);
                }
                from = to;
            }
        }
        bytes
    }
}

fn config(dir: &Path) -> LogConfig {
    LogConfig {
        segment_bytes: 9_000,
        write_buffer: 1_500,
        read_ahead: 4_000,
        reserve_bytes: 0,
        ..LogConfig::new(dir)
    }
}

fn origin() -> LogOrigin {
    LogOrigin {
        log_id: LogId([3; 16]),
        start_position: position(0),
    }
}

/// Appends, commits, gives up and retains; returns what happened, and the acknowledged payload ids by number.
async fn workload(rng: &mut TestRng) -> (Vec<Op>, BTreeMap<LogSeq, u64>) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::default());
    let mut disk = Disk::new(folder.path().to_owned());
    disk.journal = Some(journal.clone());
    let (log, _) = SegmentLog::open_on(config(folder.path()), origin(), disk)
        .await
        .unwrap();
    let mut writer = log.writer().await.unwrap();
    let (mut id, mut acknowledged, mut staged) = (0u64, BTreeMap::new(), Vec::new());
    for _ in 0..90 {
        match rng.random_range(0..12) {
            0..=6 => {
                let mut txn = Vec::new();
                let count = rng.random_range(1..4u64);
                for n in 1..=count {
                    id += 1;
                    let payload = crate::testing::payload(id, rng.random_range(8..1_800));
                    staged.push((LogSeq(writer.next_seq().0 + n - 1), id));
                    txn.push(match (n, n == count) {
                        (1, true) => NewRecord::single(1, position(id), payload),
                        (1, false) => NewRecord::first(1, payload),
                        (_, false) => NewRecord::middle(1, payload),
                        (_, true) => NewRecord::last(1, position(id), payload),
                    });
                }
                writer.append(txn).await.unwrap();
            }
            7..=9 => {
                let last = writer.commit().await.unwrap();
                acknowledged.extend(staged.drain(..));
                journal.push(Op::Acknowledged(last));
            }
            10 => {
                drop(writer);
                staged.clear();
                writer = log.writer().await.unwrap();
            }
            _ => {
                let policy = RetentionPolicy {
                    min_age_us: i64::MAX,
                    max_bytes: 20_000,
                };
                log.retain(0, policy).await.unwrap();
            }
        }
    }
    (journal.ops(), acknowledged)
}

/// What the disk holds if the power is cut after the first `count` operations.
fn images(ops: &[Op]) -> (BTreeMap<LogSeq, Image>, LogSeq) {
    let (mut files, mut acknowledged) = (BTreeMap::<LogSeq, Image>::new(), LogSeq::NONE);
    for op in ops {
        match op {
            Op::Create { first, bytes } => {
                files.insert(
                    *first,
                    Image {
                        durable: bytes.clone(),
                        pending: Vec::new(),
                    },
                );
            }
            Op::Write { first, at, bytes } => {
                files
                    .get_mut(first)
                    .unwrap()
                    .pending
                    .push((*at as usize, bytes.clone()));
            }
            Op::Sync { first } => files.get_mut(first).unwrap().sync(),
            Op::Truncate { first, len } => {
                let file = files.get_mut(first).unwrap();
                file.sync();
                file.durable.truncate(*len as usize);
            }
            Op::Remove { first } => {
                files.remove(first);
            }
            Op::Acknowledged(last) => acknowledged = *last,
        }
    }
    (files, acknowledged)
}

fn recover(files: &BTreeMap<LogSeq, Image>, mut keep: impl FnMut() -> bool) -> Vec<LogRecord> {
    let folder = tempfile::tempdir().unwrap();
    for (first, image) in files {
        fs::write(
            folder.path().join(segment_name(*first)),
            image.after_power_cut(&mut keep),
        )
        .unwrap();
    }
    let (engine, _) = open(
        config(folder.path()),
        &origin(),
        Disk::new(folder.path().to_owned()),
    )
    .unwrap();
    let first = engine.state().oldest();
    let last = engine.state().chain.last;
    let mut cursor = Cursor::new(first);
    let mut records: Vec<LogRecord> = Vec::new();
    while records.last().map_or(LogSeq(first.0 - 1), |record| record.seq) < last {
        records.extend(cursor.read(&engine, Amount::AtLeastOne).unwrap());
    }
    records
}

fn id_of(record: &LogRecord) -> Option<u64> {
    Some(u64::from_le_bytes(record.payload.get(..8)?.try_into().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_moment_loses_nothing_acknowledged() {
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[42; 32]);
    let (ops, acknowledged_ids) = workload(&mut rng).await;
    let (mut kept_more, mut cut_torn) = (0, 0);
    for count in 1..=ops.len() {
        let (files, acknowledged) = images(&ops[..count]);
        for variant in 0..3 {
            let records = recover(&files, || match variant {
                0 => false,
                1 => true,
                _ => rng.random_bool(0.5),
            });
            let last = records.last().map_or(LogSeq::NONE, |record| record.seq);
            // Only retention may leave the log without records, and then never past a commit.
            assert!(
                last >= acknowledged || records.is_empty() && acknowledged == LogSeq::NONE,
                "after {count}"
            );
            let mut previous = 0;
            for record in &records {
                let Some(id) = id_of(record) else { continue };
                assert!(
                    id > previous,
                    "record {} is from an abandoned attempt, after {count}",
                    record.seq
                );
                previous = id;
                if record.seq <= acknowledged {
                    assert_eq!(acknowledged_ids.get(&record.seq), Some(&id), "after {count}");
                }
            }
            kept_more += usize::from(last > acknowledged);
            let pending = files.values().any(|file| !file.pending.is_empty());
            cut_torn += usize::from(pending && variant == 2);
        }
    }
    assert!(
        kept_more > 50 && cut_torn > 50,
        "the workload is too tame: {kept_more}, {cut_torn}"
    );
}
