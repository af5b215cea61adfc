//! Opening after a crash, and after damage.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use oms_changelog::testing::{payload, position, read_to};
use oms_changelog::{
    ChangeLog, ChangeLogError, LogConfig, LogId, LogOrigin, LogRecord, LogSeq, NewRecord, ReadFrom, Recovery,
    SegmentLog,
};
use proptest::prelude::*;

const MARK: &str = "acknowledged";

fn config(dir: &Path, segment_bytes: u64) -> LogConfig {
    LogConfig {
        segment_bytes,
        write_buffer: 1,
        reserve_bytes: 0,
        read_ahead: 2_000,
        ..LogConfig::new(dir)
    }
}

fn origin() -> LogOrigin {
    LogOrigin {
        log_id: LogId([9; 16]),
        start_position: position(0),
    }
}

async fn open(dir: &Path, segment_bytes: u64) -> Result<(SegmentLog, Recovery), ChangeLogError> {
    SegmentLog::open(config(dir, segment_bytes), origin()).await
}

/// Writes one transaction of one record per length, a commit after each `commit_every`, and closes.
async fn written(dir: &Path, segment_bytes: u64, lens: &[usize], commit_every: usize) -> Vec<LogRecord> {
    let (log, _) = open(dir, segment_bytes).await.unwrap();
    let mut writer = log.writer().await.unwrap();
    for (index, len) in lens.iter().enumerate() {
        let n = index as u64 + 1;
        writer
            .append(vec![NewRecord::single(n as i64, position(n), payload(n, *len))])
            .await
            .unwrap();
        if (index + 1) % commit_every == 0 {
            writer.commit().await.unwrap();
        }
    }
    let last = writer.commit().await.unwrap();
    let records = read_to(&mut *log.open_reader(ReadFrom::Start).await.unwrap(), last).await;
    log.close().await.unwrap();
    records
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.sort();
    paths
}

/// Length of the header of a segment that holds exactly `records`.
fn header_len(path: &Path, records: &[LogRecord]) -> usize {
    fs::metadata(path).unwrap().len() as usize - records.iter().map(LogRecord::size).sum::<usize>()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// Cuts the only segment at `len` bytes and opens: exactly the whole records before the cut must be there,
/// and the log must go on behind them.
async fn check_cut(image: &[u8], header: usize, records: &[LogRecord], len: usize) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("00000000000000000001.seg"), &image[..len]).unwrap();
    let mut end = header;
    let mut whole = 0;
    for record in records {
        if end + record.size() > len {
            break;
        }
        end += record.size();
        whole += 1;
    }
    let (log, recovery) = open(folder.path(), 1 << 30).await.unwrap();
    assert_eq!(recovery.torn_bytes as usize, len - end, "cut at {len}");
    assert_eq!(log.durable_seq(), LogSeq(whole as u64), "cut at {len}");
    assert_eq!(log.resume_position().unwrap(), position(whole as u64));
    let mut writer = log.writer().await.unwrap();
    let new = NewRecord::single(1, position(1_000_000), payload(7, 30));
    let last = writer.append(vec![new]).await.unwrap();
    writer.commit().await.unwrap();
    let read = read_to(&mut *log.open_reader(ReadFrom::Start).await.unwrap(), last).await;
    assert!(read[..whole] == records[..whole], "cut at {len}");
    assert_eq!(read.len(), whole + 1);
}

#[tokio::test]
async fn every_cut_of_a_tail_recovers_to_a_record_border() {
    let folder = tempfile::tempdir().unwrap();
    let records = written(folder.path(), 1 << 30, &[8, 60, 0, 33], 1).await;
    let path = segments(folder.path()).remove(0);
    let (image, header) = (fs::read(&path).unwrap(), header_len(&path, &records));
    for len in header..=image.len() {
        check_cut(&image, header, &records, len).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_cut_of_any_log_recovers_to_a_record_border(
        lens in prop::collection::vec(prop_oneof![0..200usize, 0..70_000usize], 1..20),
        commit_every in 1..6usize,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 4),
    ) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let records = written(folder.path(), 1 << 30, &lens, commit_every).await;
            let path = segments(folder.path()).remove(0);
            let (image, header) = (fs::read(&path).unwrap(), header_len(&path, &records));
            for cut in &cuts {
                check_cut(&image, header, &records, header + cut.index(image.len() - header + 1)).await;
            }
        });
    }
}

#[tokio::test]
async fn a_cut_into_acknowledged_records_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let records = written(folder.path(), 1 << 30, &[100; 10], 5).await;
    let path = segments(folder.path()).remove(0);
    let image = fs::read(&path).unwrap();
    let border = image.len() - records[9].size();
    fs::write(&path, &image[..border]).unwrap();
    let error = open(folder.path(), 1 << 30).await.map(drop).unwrap_err();
    assert!(
        matches!(
            &error,
            ChangeLogError::AcknowledgedMissing {
                acknowledged: LogSeq(10),
                found: LogSeq(9),
                ..
            }
        ),
        "{error}"
    );
    fs::write(&path, &image[..border + 3]).unwrap();
    let error = open(folder.path(), 1 << 30).await.map(drop).unwrap_err();
    assert!(
        matches!(&error, ChangeLogError::Corrupt { seq: LogSeq(10), offset, .. } if *offset == border as u64)
    );
    assert_eq!(
        fs::metadata(&path).unwrap().len(),
        border as u64 + 3,
        "a refused log is left as it is"
    );
}

#[tokio::test]
async fn a_flipped_byte_in_the_last_segment_is_located() {
    let folder = tempfile::tempdir().unwrap();
    let records = written(folder.path(), 1 << 30, &[40; 12], 3).await;
    let path = segments(folder.path()).remove(0);
    let (image, header) = (fs::read(&path).unwrap(), header_len(&path, &records));
    let mark = fs::read(folder.path().join(MARK)).unwrap();
    for at in (0..image.len()).step_by(7) {
        fs::write(&path, &image).unwrap();
        flip(&path, at);
        let (mut seq, mut offset) = (LogSeq(1), 0);
        if at >= header {
            offset = header;
            for record in &records {
                seq = record.seq;
                if at < offset + record.size() {
                    break;
                }
                offset += record.size();
            }
        }
        for with_mark in [true, false] {
            if with_mark {
                fs::write(folder.path().join(MARK), &mark).unwrap();
            } else {
                fs::remove_file(folder.path().join(MARK)).unwrap();
                if seq >= LogSeq(10) {
                    // The last group, and no note that it was acknowledged: the same bytes as a torn end.
                    continue;
                }
            }
            let error = open(folder.path(), 1 << 30).await.map(drop).unwrap_err();
            match &error {
                ChangeLogError::Corrupt {
                    file,
                    offset: o,
                    seq: s,
                    ..
                } => {
                    assert_eq!(
                        (file, *o, *s),
                        (&path, offset as u64, seq),
                        "flipped {at}, mark {with_mark}"
                    );
                }
                // The version field itself.
                ChangeLogError::UnknownVersion { .. } if (8..10).contains(&at) => {}
                other => panic!("flipped {at}, mark {with_mark}: {other}"),
            }
        }
    }
}

#[tokio::test]
async fn a_flipped_byte_in_an_earlier_segment_is_located() {
    let folder = tempfile::tempdir().unwrap();
    let records = written(folder.path(), 1_000, &[100; 40], 1).await;
    let paths = segments(folder.path());
    assert!(paths.len() > 5);
    let first: u64 = paths[2].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let next: u64 = paths[3].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let inside = &records[first as usize - 1..next as usize - 1];
    let offset = header_len(&paths[2], inside) + inside[0].size();
    let image = fs::read(&paths[2]).unwrap();
    for at in offset..offset + inside[1].size() {
        fs::write(&paths[2], &image).unwrap();
        flip(&paths[2], at);
        let (log, _) = open(folder.path(), 1_000).await.unwrap();
        let mut reader = log.open_reader(ReadFrom::Start).await.unwrap();
        let mut good = 0;
        let error = loop {
            match reader.next_batch(1 << 20).await {
                Ok(batch) => good += batch.len() as u64,
                Err(error) => break error,
            }
        };
        assert!(good <= first, "nothing at or behind the damage is handed out");
        match &error {
            ChangeLogError::Corrupt {
                file, seq, offset: o, ..
            } => {
                assert_eq!((file, seq.0, *o), (&paths[2], first + 1, offset as u64));
            }
            other => panic!("flipped {at}: {other}"),
        }
        drop(reader);
        log.close().await.unwrap();
    }
    flip(&paths[2], 50);
    assert!(matches!(
        open(folder.path(), 1_000).await.map(drop),
        Err(ChangeLogError::Corrupt { .. })
    ));
}

#[tokio::test]
async fn what_does_not_belong_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 1_000, &[100; 40], 1).await;
    let (log, _) = open(folder.path(), 1_000).await.unwrap();
    assert!(matches!(
        open(folder.path(), 1_000).await.map(drop),
        Err(ChangeLogError::InUse { .. })
    ));
    log.close().await.unwrap();

    let other = LogOrigin {
        log_id: LogId([8; 16]),
        ..origin()
    };
    let wrong = SegmentLog::open(config(folder.path(), 1_000), other)
        .await
        .map(drop);
    assert!(matches!(wrong, Err(ChangeLogError::WrongLog { .. })));

    let paths = segments(folder.path());
    let image = fs::read(&paths[3]).unwrap();
    fs::remove_file(&paths[3]).unwrap();
    assert!(
        matches!(
            open(folder.path(), 1_000).await.map(drop),
            Err(ChangeLogError::Corrupt { .. })
        ),
        "a hole"
    );
    fs::write(&paths[3], &image[..image.len() - 1]).unwrap();
    assert!(
        matches!(
            open(folder.path(), 1_000).await.map(drop),
            Err(ChangeLogError::Corrupt { .. })
        ),
        "short"
    );
    fs::write(&paths[3], &image).unwrap();
    fs::write(folder.path().join("00000000000000000099.seg.tmp"), b"left over").unwrap();
    let (log, recovery) = open(folder.path(), 1_000).await.unwrap();
    assert_eq!((log.durable_seq(), recovery), (LogSeq(40), Recovery::default()));
    assert!(!folder.path().join("00000000000000000099.seg.tmp").exists());
}

#[tokio::test]
async fn a_restart_keeps_consumers_and_voids_the_open_transaction() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), 1_000, &[100; 40], 1).await;
    let (log, _) = open(folder.path(), 1_000).await.unwrap();
    log.set_low_watermark("a", LogSeq(20)).await.unwrap();
    let mut writer = log.writer().await.unwrap();
    // The open transaction goes over several segments.
    writer
        .append(vec![NewRecord::first(5, payload(1, 600))])
        .await
        .unwrap();
    for _ in 0..4 {
        writer
            .append(vec![NewRecord::middle(5, payload(1, 600))])
            .await
            .unwrap();
    }
    writer.commit().await.unwrap();
    log.close().await.unwrap();
    let (log, recovery) = open(folder.path(), 1_000).await.unwrap();
    assert_eq!(recovery.open_transaction, Some(LogSeq(41)));
    assert_eq!(log.resume_position().unwrap(), position(40));
    let stats = log.stats();
    assert_eq!(
        (stats.first_source_time_us, stats.last_source_time_us),
        (Some(1), Some(5))
    );
    log.writer().await.unwrap();
    assert_eq!(log.durable_seq(), LogSeq(46));
    let all = oms_changelog::RetentionPolicy {
        min_age_us: i64::MAX,
        max_bytes: 0,
    };
    log.retain(0, all).await.unwrap();
    assert!(
        log.stats().first_seq > LogSeq(10) && log.stats().first_seq <= LogSeq(20),
        "{:?}",
        log.stats()
    );
}

#[tokio::test]
async fn a_payload_larger_than_every_buffer_and_segment_passes() {
    let folder = tempfile::tempdir().unwrap();
    let records = written(folder.path(), 100_000, &[10, 80 << 20, 10, 70_000, 3_000_000], 2).await;
    assert_eq!(
        records.iter().map(|record| record.payload.len()).max(),
        Some(80 << 20)
    );
    assert!(records[1].payload[8..].iter().all(|byte| *byte == 2));
    let (log, recovery) = open(folder.path(), 100_000).await.unwrap();
    assert_eq!((recovery.torn_bytes, log.durable_seq()), (0, LogSeq(5)));
    let mut reader = log.open_reader(ReadFrom::Position(position(2))).await.unwrap();
    assert_eq!(reader.next_batch(1).await.unwrap()[0].seq, LogSeq(3));
}
