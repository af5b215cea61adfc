//! What is removed, and what must stay.

use super::*;

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
