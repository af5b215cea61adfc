//! What a writer may do, and what readers see of it.

use super::*;

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
