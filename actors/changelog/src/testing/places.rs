//! Places in the log: where to resume, and where a position or number lies.

use super::*;

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
