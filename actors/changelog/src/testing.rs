//! The contract of [`ChangeLog`], as a suite that every implementation passes.
//!
//! Implement [`Subject`] and write `oms_changelog::change_log_contract!(name, subject)` in a test file; each
//! case becomes a test. The cases wait for conditions only; a case that hangs has found a missed wake-up.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::Bytes;
use oms_core::{BinlogPosition, GtidState, Position};

use crate::{
    ChangeLog, ChangeLogError, LogReader, LogRecord, LogSeq, LogWriter, NewRecord, ReadFrom, RecordFlags,
    RetentionPolicy,
};

/// What the suite is run on.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A new, empty log that starts at [`position`]`(0)`, holds at least 8 MiB, and whose units of
    /// retention are not larger than 16 KiB.
    async fn fresh(&self) -> Arc<dyn ChangeLog>;
}

/// The `n`-th position of one source.
pub fn position(n: u64) -> Position {
    at("source", n)
}

/// A position that does not compare with [`position`].
pub fn foreign_position(n: u64) -> Position {
    at("another source", n)
}

fn at(server: &str, offset: u64) -> Position {
    Position::Binlog(BinlogPosition {
        server: server.to_owned(),
        file: "log.000001".to_owned(),
        offset,
        gtid: GtidState::None,
    })
}

/// A payload that is recognizable by its number.
pub fn payload(n: u64, len: usize) -> Bytes {
    let mut bytes = n.to_le_bytes().to_vec();
    bytes.resize(len.max(8), n as u8);
    Bytes::from(bytes)
}

/// Reads up to and including record `last`.
pub async fn read_to(reader: &mut dyn LogReader, last: LogSeq) -> Vec<LogRecord> {
    let mut records = Vec::new();
    while reader.next_seq() <= last {
        records.extend(reader.next_batch(1 << 16).await.expect("a batch"));
    }
    records
}

const REMOVE_ALL: RetentionPolicy = RetentionPolicy {
    min_age_us: i64::MAX,
    max_bytes: 0,
};

/// Appends and commits transactions of one record, numbered and with positions `from..to`.
async fn singles(writer: &mut dyn LogWriter, numbers: std::ops::Range<u64>, len: usize) -> LogSeq {
    for n in numbers {
        let record = NewRecord::single(n as i64, position(n), payload(n, len));
        writer.append(vec![record]).await.expect("appended");
    }
    writer.commit().await.expect("committed")
}

fn poll_once<F: Future>(future: &mut std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Records come back as they were appended, densely numbered from 1, at every batch size.
pub async fn order_and_content(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    let mut expected = Vec::new();
    for n in 1..=60u64 {
        let txn = vec![
            NewRecord::first(n as i64, payload(n, 10)),
            NewRecord::middle(n as i64, payload(n, (n * n) as usize)),
            NewRecord::last(
                n as i64,
                position(n),
                payload(n, if n == 30 { 200_000 } else { 0 }),
            ),
        ];
        expected.extend(txn.clone());
        assert_eq!(writer.append(txn).await.expect("appended"), LogSeq(n * 3));
        if n.is_multiple_of(7) {
            assert_eq!(writer.commit().await.expect("committed"), LogSeq(n * 3));
        }
    }
    let last = writer.commit().await.expect("committed");
    assert_eq!(
        (last, log.durable_seq(), writer.next_seq()),
        (LogSeq(180), LogSeq(180), LogSeq(181))
    );
    for max_bytes in [1, 300, 5_000, 1 << 20] {
        let mut reader = log.open_reader(ReadFrom::Start).await.expect("a reader");
        let mut at = 0;
        while reader.next_seq() <= last {
            let batch = reader.next_batch(max_bytes).await.expect("a batch");
            let bytes: usize = batch.iter().map(LogRecord::size).sum();
            assert!(
                batch.len() == 1 || (!batch.is_empty() && bytes <= max_bytes),
                "{} of {max_bytes}",
                bytes
            );
            for record in batch {
                let wanted = &expected[at];
                at += 1;
                assert_eq!((record.seq, record.flags), (LogSeq(at as u64), wanted.flags));
                assert_eq!(record.source_time_us, wanted.source_time_us);
                assert!(record.payload == wanted.payload, "payload of record {at}");
                let found = record
                    .position
                    .map(|position| position.decode().expect("a position"));
                assert_eq!(found, wanted.position);
            }
        }
        assert_eq!(at, expected.len());
    }
}

/// What was not committed is neither seen by a reader nor there for the next writer.
pub async fn uncommitted_is_invisible(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut reader = log.open_reader(ReadFrom::Start).await.expect("a reader");
    let mut writer = log.writer().await.expect("a writer");
    for n in 100..200 {
        let record = NewRecord::single(1, position(n), payload(n, 4_000));
        writer.append(vec![record]).await.expect("appended");
    }
    assert_eq!(log.durable_seq(), LogSeq::NONE);
    assert_eq!(log.resume_position().expect("a position"), position(0));
    drop(writer);
    let mut writer = log.writer().await.expect("the writer is free again");
    assert_eq!(writer.next_seq(), LogSeq::FIRST);
    let last = singles(&mut *writer, 1..4, 100).await;
    let seen = read_to(&mut *reader, last).await;
    let numbers: Vec<_> = seen.iter().map(|record| record.payload[0]).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

/// A reader that waits is woken by a commit, and gets nothing from an append alone.
pub async fn commit_wakes_reader(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    let mut reader = log.open_reader(ReadFrom::Start).await.expect("a reader");
    for n in 1..=20 {
        let waiting = tokio::spawn(async move {
            let batch = reader.next_batch(1 << 20).await;
            (reader, batch)
        });
        tokio::task::yield_now().await;
        let record = NewRecord::single(1, position(n), payload(n, 50));
        let appended = writer.append(vec![record]).await.expect("appended");
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "seen before it is durable");
        writer.commit().await.expect("committed");
        let (back, batch) = waiting.await.expect("the reader");
        reader = back;
        let batch = batch.expect("a batch");
        assert_eq!(
            batch.iter().map(|record| record.seq).collect::<Vec<_>>(),
            [appended]
        );
    }
}

/// Dropped calls of a reader and of a commit lose and repeat nothing.
pub async fn dropped_calls_lose_nothing(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    let mut reader = log.open_reader(ReadFrom::Start).await.expect("a reader");
    let mut seen = Vec::new();
    for n in 1..=50 {
        let record = NewRecord::single(1, position(n), payload(n, 3_000));
        writer.append(vec![record]).await.expect("appended");
        {
            let mut commit = std::pin::pin!(writer.commit());
            let _ = poll_once(&mut commit);
        }
        {
            let mut batch = std::pin::pin!(reader.next_batch(1 << 20));
            if let Poll::Ready(batch) = poll_once(&mut batch) {
                seen.extend(batch.expect("a batch"));
            }
        }
        tokio::task::yield_now().await;
    }
    let last = writer.commit().await.expect("committed");
    assert_eq!(last, LogSeq(50));
    seen.extend(read_to(&mut *reader, last).await);
    let numbers: Vec<_> = seen
        .iter()
        .map(|record| (record.seq.0, u64::from(record.payload[0])))
        .collect();
    assert_eq!(numbers, (1..=50).map(|n| (n, n)).collect::<Vec<_>>());
}

/// There is one writer at a time.
pub async fn one_writer(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let writer = log.writer().await.expect("a writer");
    assert!(matches!(log.writer().await, Err(ChangeLogError::WriterTaken)));
    drop(writer);
    let mut writer = log.writer().await.expect("the writer is free again");
    assert_eq!(writer.commit().await.expect("nothing to commit"), LogSeq::NONE);
    assert_eq!(
        writer.append(Vec::new()).await.expect("nothing to append"),
        LogSeq::NONE
    );
}

/// A batch that breaks the record order is refused as a whole.
pub async fn bad_order_is_refused(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    let batch = vec![
        NewRecord::first(1, payload(1, 9)),
        NewRecord::last(1, position(1), payload(2, 9)),
        NewRecord::middle(1, payload(3, 9)),
    ];
    let refused = writer
        .append(batch.clone())
        .await
        .expect_err("a record outside of a transaction");
    assert!(
        matches!(refused, ChangeLogError::InvalidRecord { index: 2, .. }),
        "{refused}"
    );
    assert_eq!(
        (writer.next_seq(), writer.open_transaction()),
        (LogSeq::FIRST, None)
    );
    writer.append(batch[..1].to_vec()).await.expect("appended");
    assert_eq!(writer.open_transaction(), Some(LogSeq::FIRST));
    let nested = writer
        .append(batch[..1].to_vec())
        .await
        .expect_err("a transaction inside another");
    assert!(
        matches!(nested, ChangeLogError::InvalidRecord { index: 0, .. }),
        "{nested}"
    );
    writer.append(batch[1..2].to_vec()).await.expect("appended");
    assert_eq!(writer.commit().await.expect("committed"), LogSeq(2));
}

/// A new writer voids the transaction that its predecessor left open.
pub async fn open_transaction_is_voided(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut reader = log.open_reader(ReadFrom::Start).await.expect("a reader");
    let mut writer = log.writer().await.expect("a writer");
    singles(&mut *writer, 1..3, 20).await;
    let half = vec![
        NewRecord::first(7, payload(7, 20)),
        NewRecord::middle(7, payload(8, 20)),
    ];
    writer.append(half).await.expect("appended");
    writer.commit().await.expect("committed");
    assert_eq!(log.resume_position().expect("a position"), position(2));
    drop(writer);
    let mut writer = log.writer().await.expect("a writer");
    assert_eq!(
        (log.durable_seq(), writer.next_seq(), writer.open_transaction()),
        (LogSeq(5), LogSeq(6), None)
    );
    assert_eq!(log.resume_position().expect("a position"), position(2));
    let last = singles(&mut *writer, 3..4, 20).await;
    let flags: Vec<_> = read_to(&mut *reader, last)
        .await
        .iter()
        .map(|record| record.flags)
        .collect();
    let single = RecordFlags::TXN_FIRST | RecordFlags::TXN_LAST;
    let expected = [
        single,
        single,
        RecordFlags::TXN_FIRST,
        RecordFlags::NONE,
        RecordFlags::TXN_ABORT,
        single,
    ];
    assert_eq!(flags, expected);
    drop(writer);
    log.writer().await.expect("a writer");
    assert_eq!(
        log.durable_seq(),
        last,
        "a log that ends at a border gets no abort"
    );
}

/// The resume position follows complete transactions and heartbeats, and only when they are durable.
pub async fn resume_position_follows(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let resume = || log.resume_position().expect("a position");
    assert_eq!(resume(), position(0));
    let mut writer = log.writer().await.expect("a writer");
    singles(&mut *writer, 1..3, 20).await;
    assert_eq!(resume(), position(2));
    writer
        .append(vec![NewRecord::heartbeat(5, position(9))])
        .await
        .expect("appended");
    assert_eq!(resume(), position(2));
    writer.commit().await.expect("committed");
    assert_eq!(resume(), position(9));
    writer
        .append(vec![NewRecord::first(5, payload(1, 20))])
        .await
        .expect("appended");
    writer.commit().await.expect("committed");
    assert_eq!(resume(), position(9));
    writer.append(vec![NewRecord::abort(5)]).await.expect("appended");
    writer.commit().await.expect("committed");
    assert_eq!(resume(), position(9));
}

/// Every position in the log leads exactly behind the record that carries it; any other is an error.
pub async fn positions_are_found_or_refused(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    for n in 1..=100 {
        let p = n * 10;
        let txn = vec![
            NewRecord::first(1, payload(n, 500)),
            NewRecord::last(1, position(p), payload(n, 500)),
            NewRecord::heartbeat(1, position(p + 5)),
        ];
        writer.append(txn).await.expect("appended");
    }
    writer.commit().await.expect("committed");
    let open = async |wanted: Position| {
        log.open_reader(ReadFrom::Position(wanted))
            .await
            .map(|r| r.next_seq())
    };
    assert_eq!(open(position(0)).await.expect("the start"), LogSeq::FIRST);
    for n in 1..=100 {
        assert_eq!(
            open(position(n * 10)).await.expect("a transaction's end"),
            LogSeq(n * 3)
        );
        assert_eq!(
            open(position(n * 10 + 5)).await.expect("a heartbeat"),
            LogSeq(n * 3 + 1)
        );
        let between = open(position(n * 10 + 1))
            .await
            .expect_err("between two positions");
        assert!(
            matches!(between, ChangeLogError::PositionUnknown { .. }),
            "{between}"
        );
    }
    let ahead = open(position(1_006)).await.expect_err("beyond the end");
    assert!(
        matches!(&ahead, ChangeLogError::PositionAhead { newest } if **newest == position(1_005)),
        "{ahead}"
    );
    let foreign = open(foreign_position(500)).await.expect_err("of another source");
    assert!(
        matches!(foreign, ChangeLogError::PositionUnknown { .. }),
        "{foreign}"
    );
    let mut reader = log
        .open_reader(ReadFrom::Position(position(500)))
        .await
        .expect("a reader");
    let first = reader.next_batch(1).await.expect("a batch");
    assert_eq!(
        first.iter().map(|record| record.seq).collect::<Vec<_>>(),
        [LogSeq(150)]
    );
}

/// A border of the source that another log noted leads to the transaction that ends behind it.
pub async fn positions_between_are_found(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    for n in 1..=100 {
        let p = n * 10;
        let txn = vec![
            NewRecord::first(1, payload(n, 500)),
            NewRecord::last(1, position(p), payload(n, 500)),
        ];
        writer.append(txn).await.expect("appended");
    }
    writer.commit().await.expect("committed");
    let open = async |wanted: Position| {
        log.open_reader(ReadFrom::Behind(wanted))
            .await
            .map(|r| r.next_seq())
    };
    assert_eq!(open(position(0)).await.expect("the start"), LogSeq::FIRST);
    assert_eq!(
        open(position(3)).await.expect("before the first end"),
        LogSeq::FIRST
    );
    for n in 1..=100 {
        assert_eq!(open(position(n * 10)).await.expect("an end"), LogSeq(n * 2 + 1));
        if n < 100 {
            assert_eq!(
                open(position(n * 10 + 4)).await.expect("between"),
                LogSeq(n * 2 + 1)
            );
        }
    }
    let ahead = open(position(1_001)).await.expect_err("beyond the end");
    assert!(matches!(ahead, ChangeLogError::PositionAhead { .. }), "{ahead}");
    let foreign = open(foreign_position(500)).await.expect_err("of another source");
    assert!(
        matches!(foreign, ChangeLogError::PositionUnknown { .. }),
        "{foreign}"
    );
    // A transaction that is not complete has no end yet; the position before it is still ahead of nothing.
    let open_txn = vec![NewRecord::first(1, payload(1, 500))];
    writer.append(open_txn).await.expect("appended");
    writer.commit().await.expect("committed");
    let ahead = open(position(1_001)).await.expect_err("beyond the end");
    assert!(matches!(ahead, ChangeLogError::PositionAhead { .. }), "{ahead}");
    let last = vec![NewRecord::last(1, position(1_010), payload(1, 500))];
    writer.append(last).await.expect("appended");
    writer.commit().await.expect("committed");
    assert_eq!(open(position(1_001)).await.expect("between"), LogSeq(201));
    log.set_low_watermark("c", LogSeq(120)).await.expect("a mark");
    log.retain(0, REMOVE_ALL).await.expect("retained");
    let purged = open(position(5)).await.expect_err("removed");
    assert!(
        matches!(purged, ChangeLogError::PositionPurged { .. }),
        "{purged}"
    );
    assert_eq!(open(position(604)).await.expect("between"), LogSeq(121));
}

/// A reader may begin at any record and at the one that is written next.
pub async fn numbers_are_found_or_refused(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    singles(&mut *writer, 1..101, 700).await;
    for n in 1..=100 {
        let mut reader = log.open_reader(ReadFrom::Seq(LogSeq(n))).await.expect("a reader");
        let batch = reader.next_batch(1).await.expect("a batch");
        assert_eq!((batch[0].seq, u64::from(batch[0].payload[0])), (LogSeq(n), n));
    }
    let mut next = log
        .open_reader(ReadFrom::Seq(LogSeq(101)))
        .await
        .expect("the next record");
    let ahead = log
        .open_reader(ReadFrom::Seq(LogSeq(102)))
        .await
        .map(drop)
        .expect_err("beyond the next");
    assert!(matches!(ahead, ChangeLogError::SeqAhead { .. }), "{ahead}");
    singles(&mut *writer, 101..102, 700).await;
    assert_eq!(next.next_batch(1).await.expect("a batch")[0].seq, LogSeq(101));
}

/// Retention leaves what a consumer or an open reader may still need, and removes the rest.
pub async fn retention_respects_everybody(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    let last = singles(&mut *writer, 1..1_001, 500).await;
    log.set_low_watermark("a", LogSeq(400)).await.expect("a mark");
    log.set_low_watermark("b", LogSeq(700)).await.expect("a mark");
    let mut reader = log
        .open_reader(ReadFrom::Seq(LogSeq(200)))
        .await
        .expect("a reader");

    let idle = RetentionPolicy {
        min_age_us: i64::MAX,
        max_bytes: u64::MAX,
    };
    assert_eq!(
        log.retain(i64::MAX, idle).await.expect("retained").bytes,
        0,
        "nothing is old, nothing too much"
    );

    assert!(log.retain(0, REMOVE_ALL).await.expect("retained").bytes > 0);
    let first = log.stats().first_seq;
    assert!(
        first > LogSeq(100) && first <= LogSeq(200),
        "held by the reader at 200: {first}"
    );
    let seen = read_to(&mut *reader, last).await;
    let numbers: Vec<_> = seen.iter().map(|record| record.seq.0).collect();
    assert_eq!(numbers, (200..=1_000).collect::<Vec<_>>());
    drop(reader);

    log.retain(0, REMOVE_ALL).await.expect("retained");
    let first = log.stats().first_seq;
    assert!(
        first > LogSeq(300) && first <= LogSeq(400),
        "held by consumer a at 400: {first}"
    );
    let mut reader = log
        .open_reader(ReadFrom::Seq(LogSeq(400)))
        .await
        .expect("a reader");
    assert_eq!(reader.next_batch(1).await.expect("a batch")[0].seq, LogSeq(400));
    drop(reader);
    let purged = log
        .open_reader(ReadFrom::Seq(LogSeq(100)))
        .await
        .map(drop)
        .expect_err("removed");
    assert!(matches!(purged, ChangeLogError::SeqPurged { .. }), "{purged}");
    let purged = log
        .set_low_watermark("a", LogSeq(100))
        .await
        .expect_err("removed");
    assert!(matches!(purged, ChangeLogError::SeqPurged { .. }), "{purged}");
    let purged = log
        .open_reader(ReadFrom::Position(position(100)))
        .await
        .map(drop)
        .expect_err("removed");
    let oldest = position(first.0 - 1);
    assert!(
        matches!(&purged, ChangeLogError::PositionPurged { oldest: o } if **o == oldest),
        "{purged}"
    );
    let from_oldest = log
        .open_reader(ReadFrom::Position(oldest))
        .await
        .expect("the oldest position");
    assert_eq!(from_oldest.next_seq(), first);
    drop(from_oldest);

    assert!(log.remove_consumer("a").await.expect("removed"));
    assert!(!log.remove_consumer("a").await.expect("removed"));
    log.set_low_watermark("b", last.next()).await.expect("a mark");
    let before = log.stats().bytes;
    log.retain(
        0,
        RetentionPolicy {
            min_age_us: i64::MAX,
            max_bytes: before / 2,
        },
    )
    .await
    .expect("retained");
    let after = log.stats().bytes;
    assert!(after <= before / 2 && after > before / 4, "{after} of {before}");

    let next = singles(&mut *writer, 1_001..1_011, 20).await;
    let mut reader = log
        .open_reader(ReadFrom::Seq(last.next()))
        .await
        .expect("a reader");
    assert_eq!(read_to(&mut *reader, next).await.len(), 10, "the log goes on");
}

/// Age is measured on the source's time.
pub async fn retention_by_age(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    singles(&mut *writer, 1..1_001, 500).await;
    let policy = RetentionPolicy {
        min_age_us: 1_000,
        max_bytes: u64::MAX,
    };
    assert_eq!(log.retain(900, policy).await.expect("retained").bytes, 0);
    log.retain(1_500, policy).await.expect("retained");
    let first = log.stats().first_seq;
    assert!(first > LogSeq(400) && first <= LogSeq(501), "{first}");
}

/// Retention never cuts a transaction.
pub async fn retention_keeps_transactions_whole(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    singles(&mut *writer, 1..3, 20).await;
    writer
        .append(vec![NewRecord::first(1, payload(1, 500))])
        .await
        .expect("appended");
    for _ in 0..500 {
        writer
            .append(vec![NewRecord::middle(1, payload(1, 500))])
            .await
            .expect("appended");
    }
    writer.commit().await.expect("committed");
    log.retain(0, REMOVE_ALL).await.expect("retained");
    let mut reader = log.open_reader(ReadFrom::Start).await.expect("a reader");
    let first = reader.next_batch(1).await.expect("a batch").remove(0);
    assert!(
        first.seq <= LogSeq(3) && first.flags.contains(RecordFlags::TXN_FIRST),
        "{first:?}"
    );
    drop(reader);
    writer
        .append(vec![NewRecord::last(1, position(9), payload(1, 500))])
        .await
        .expect("appended");
    singles(&mut *writer, 10..100, 500).await;
    log.retain(0, REMOVE_ALL).await.expect("retained");
    assert!(log.stats().first_seq > LogSeq(504), "{:?}", log.stats());
}

/// Closing ends the writer at once and readers after all that is durable.
pub async fn close_ends_everything(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let mut writer = log.writer().await.expect("a writer");
    let mut waiting = log.open_reader(ReadFrom::Start).await.expect("a reader");
    let last = singles(&mut *writer, 1..3, 20).await;
    read_to(&mut *waiting, last).await;
    let mut behind = log.open_reader(ReadFrom::Start).await.expect("a reader");
    let waiting = tokio::spawn(async move { waiting.next_batch(1).await });
    tokio::task::yield_now().await;
    log.close().await.expect("closed");
    log.close().await.expect("closed again");
    assert!(matches!(
        waiting.await.expect("the reader"),
        Err(ChangeLogError::Closed)
    ));
    assert_eq!(read_to(&mut *behind, last).await.len(), 2);
    assert!(matches!(behind.next_batch(1).await, Err(ChangeLogError::Closed)));
    assert!(matches!(
        writer.append(Vec::new()).await,
        Err(ChangeLogError::Closed)
    ));
    assert!(matches!(writer.commit().await, Err(ChangeLogError::Closed)));
    drop(writer);
    assert!(matches!(
        log.writer().await.map(drop),
        Err(ChangeLogError::Closed)
    ));
    assert!(matches!(
        log.open_reader(ReadFrom::Start).await.map(drop),
        Err(ChangeLogError::Closed)
    ));
}

/// Many readers follow a writer at the same time, each at its own pace.
pub async fn many_readers(subject: &dyn Subject) {
    const LAST: u64 = 3_000;
    let log = subject.fresh().await;
    let mut readers = tokio::task::JoinSet::new();
    for number in 0..16usize {
        let mut reader = log.open_reader(ReadFrom::Start).await.expect("a reader");
        readers.spawn(async move {
            let mut expected = 1;
            while expected <= LAST {
                for record in reader.next_batch(100 << (number % 12)).await.expect("a batch") {
                    assert_eq!(record.seq.0, expected);
                    assert_eq!(record.payload[..8], expected.to_le_bytes());
                    expected += 1;
                }
            }
        });
    }
    let mut writer = log.writer().await.expect("a writer");
    for n in (1..=LAST).step_by(50) {
        singles(&mut *writer, n..n + 50, 300).await;
    }
    while let Some(done) = readers.join_next().await {
        done.expect("the reader saw every record in order");
    }
}

/// The figures are those of the durable records.
pub async fn stats_tell_what_is_durable(subject: &dyn Subject) {
    let log = subject.fresh().await;
    let empty = log.stats();
    assert_eq!((empty.first_seq, empty.last_seq), (LogSeq::FIRST, LogSeq::NONE));
    assert_eq!(
        (empty.first_source_time_us, empty.last_source_time_us),
        (None, None)
    );
    let mut writer = log.writer().await.expect("a writer");
    singles(&mut *writer, 5..105, 500).await;
    writer
        .append(vec![NewRecord::heartbeat(900, position(900))])
        .await
        .expect("appended");
    let stats = log.stats();
    assert_eq!((stats.first_seq, stats.last_seq), (LogSeq::FIRST, LogSeq(100)));
    assert_eq!(
        (stats.first_source_time_us, stats.last_source_time_us),
        (Some(5), Some(104))
    );
    assert!(stats.bytes >= 50_000 && stats.segments >= 1, "{stats:?}");
}

/// Makes each case of the contract a test: `change_log_contract!(module_name, subject_expression);`
#[macro_export]
macro_rules! change_log_contract {
    ($module:ident, $subject:expr) => {
        $crate::change_log_contract!(@cases $module, $subject,
            order_and_content uncommitted_is_invisible commit_wakes_reader dropped_calls_lose_nothing one_writer
            bad_order_is_refused open_transaction_is_voided resume_position_follows
            positions_are_found_or_refused positions_between_are_found numbers_are_found_or_refused retention_respects_everybody
            retention_by_age retention_keeps_transactions_whole close_ends_everything many_readers
            stats_tell_what_is_durable);
    };
    (@cases $module:ident, $subject:expr, $($case:ident)+) => {
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::testing::$case(&$subject).await;
                }
            )+
        }
    };
}
