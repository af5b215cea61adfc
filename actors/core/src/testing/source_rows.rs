//! The part of the suite for sources that is about reading rows.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use super::{
    TableShape,
    source::{SourceBed, change, definitions, insert, made, now, row},
    source_log::{Multiset, all_rows, count, drain, events, in_time, multiset, split_at, sum},
};
use crate::{
    ChunkEnds, ChunkRange, KeyOrder, Position, Row, RowBuilder, SnapshotReader, TableMap, TableSchema, Value,
};

fn only(tables: &TableMap) -> Arc<TableSchema> {
    assert_eq!(tables.len(), 1);
    Arc::clone(tables.get(0).expect("one table"))
}

/// Three hundred rows whose key order is neither the order of insertion nor that of bytes.
fn many() -> Vec<Row> {
    let words = ["Zoo", "apfel", "Apfel", "ärger", "b", "B2", "_", "ß", "~"];
    (0..300i64)
        .map(|n| {
            let mixed = n * 7_919 % 300 - 150;
            let text = format!("{} {n}", words[n.rem_euclid(9) as usize]);
            TableShape::row(mixed, Some(mixed.rem_euclid(7) - 3), Some(&text))
        })
        .collect()
}

fn key_of(table: &TableSchema, row: &Row) -> Row {
    let columns = table.row_key_columns().expect("a table with a key");
    RowBuilder::build(columns.iter().map(|i| row.get(*i))).expect("a key")
}

async fn chunk(
    reader: &mut dyn SnapshotReader,
    table: &Arc<TableSchema>,
    range: &ChunkRange,
    order: KeyOrder,
) -> Vec<Row> {
    reader
        .read_chunk(Arc::clone(table), range, order)
        .await
        .expect("read a chunk");
    drain(reader).await
}

const KEYS: [(&str, &[&str]); 5] = [
    ("number", &["id"]),
    ("numbers", &["u", "id"]),
    ("text", &["t"]),
    ("text_first", &["t", "id"]),
    ("text_last", &["u", "t"]),
];

/// Chunk after chunk gives every row once, in the order of the key, in pieces of the size asked.
pub async fn chunks_partition_a_table(bed: &dyn SourceBed) {
    let source = bed.source();
    for (name, key) in KEYS {
        let made = made(bed, &format!("chunks_{name}"), key).await;
        let table = only(&*definitions(source.as_ref(), &[&made]).await);
        let mut reader = source.open_snapshot().await.expect("open a reader");
        let reader = reader.as_mut();
        let open = ChunkRange::default();
        assert_eq!(reader.chunk_end(&table, None, 10).await.expect("no rows"), None);
        assert_eq!(reader.key_span(&table).await.expect("no rows"), None);
        assert!(chunk(reader, &table, &open, KeyOrder::Ordered).await.is_empty());
        let rows = many();
        bed.commit(&rows.iter().map(|r| insert(&made, r)).collect::<Vec<_>>())
            .await;
        let whole = chunk(reader, &table, &open, KeyOrder::Ordered).await;
        assert_eq!(multiset(&whole), multiset(&rows), "{name}");
        if key.iter().all(|column| *column != "t") {
            let numbers = |r: &Row| -> Vec<i64> {
                let key = key_of(&table, r);
                let number = |i| match key.get(i) {
                    Value::Int(v) => v,
                    other => panic!("{:?}", other.kind()),
                };
                (0..key.len()).map(number).collect()
            };
            assert!(whole.is_sorted_by_key(numbers), "{name}");
        }
        let ends = whole
            .first()
            .zip(whole.last())
            .map(|(a, b)| (key_of(&table, a), key_of(&table, b)));
        assert_eq!(reader.key_span(&table).await.expect("the ends"), ends, "{name}");
        // The same, with ends that may be calculated.
        for size in [1, 7, 100, 299, 1_000u64] {
            let mut ends = ChunkEnds::new(&table);
            let (mut read, mut after) = (Vec::new(), None);
            loop {
                let through = ends
                    .next(reader, &table, after.as_ref(), size)
                    .await
                    .expect("a chunk's end");
                let range = ChunkRange {
                    after,
                    through: through.clone(),
                };
                let rows = chunk(reader, &table, &range, KeyOrder::Ordered).await;
                assert!(
                    rows.len() as u64 <= 5 * size,
                    "{name} {size}: {} rows",
                    rows.len()
                );
                ends.saw(&range, rows.len() as u64);
                read.extend(rows);
                match through {
                    Some(through) => after = Some(through),
                    None => break,
                }
            }
            assert!(read == whole, "{name} in calculated chunks of {size}");
        }
        for size in [1, 7, 100, 299, 300, 1_000u64] {
            let (mut ordered, mut any) = (Vec::new(), Vec::new());
            let mut after = None;
            loop {
                let through = reader
                    .chunk_end(&table, after.as_ref(), size)
                    .await
                    .expect("a chunk's end");
                let range = ChunkRange {
                    after,
                    through: through.clone(),
                };
                let rows = chunk(reader, &table, &range, KeyOrder::Ordered).await;
                if let Some(through) = &through {
                    assert_eq!(rows.len() as u64, size, "{name} {size}");
                    assert_eq!(rows.last().map(|r| key_of(&table, r)).as_ref(), Some(through));
                } else {
                    assert!((rows.len() as u64) < size, "{name} {size}: {} left", rows.len());
                }
                any.extend(chunk(reader, &table, &range, KeyOrder::Any).await);
                ordered.extend(rows);
                match through {
                    Some(through) => after = Some(through),
                    None => break,
                }
            }
            assert!(ordered == whole, "{name} in chunks of {size}");
            assert_eq!(multiset(&any), multiset(&rows), "{name} in chunks of {size}");
        }
    }
}

/// Keys give the rows that have them: not one more, and none for keys that are not there.
pub async fn keys_find_exactly_their_rows(bed: &dyn SourceBed) {
    let source = bed.source();
    for (name, key) in KEYS {
        let made = made(bed, &format!("keys_{name}"), key).await;
        let table = only(&*definitions(source.as_ref(), &[&made]).await);
        let (mut there, mut not_there) = (Vec::new(), Vec::new());
        for (number, row) in many().into_iter().enumerate() {
            if number % 3 == 0 {
                &mut not_there
            } else {
                &mut there
            }
            .push(row);
        }
        bed.commit(&there.iter().map(|r| insert(&made, r)).collect::<Vec<_>>())
            .await;
        let mut reader = source.open_snapshot().await.expect("open a reader");
        for asked in [0, 1, 2, 60, there.len()] {
            let asked = &there[..asked];
            let keys: Vec<Row> = asked
                .iter()
                .chain(&not_there[..asked.len().min(50)])
                .map(|r| key_of(&table, r))
                .collect();
            reader
                .read_keys(Arc::clone(&table), &keys)
                .await
                .expect("read keys");
            let found = drain(reader.as_mut()).await;
            assert_eq!(multiset(&found), multiset(asked), "{name}: {} keys", keys.len());
        }
    }
}

/// Batches hold about what was asked, at least one row; starting again drops the rest; the count is
/// that of the rows.
pub async fn batches_are_bounded_and_counts_exact(bed: &dyn SourceBed) {
    let source = bed.source();
    for (name, key) in [("keyed", &["id"][..]), ("keyless", &[])] {
        let made = made(bed, &format!("batches_{name}"), key).await;
        let table = only(&*definitions(source.as_ref(), &[&made]).await);
        let mut reader = source.open_snapshot().await.expect("open a reader");
        assert_eq!(reader.count(&table).await.expect("count"), 0);
        let rows = many();
        bed.commit(&rows.iter().map(|r| insert(&made, r)).collect::<Vec<_>>())
            .await;
        assert_eq!(reader.count(&table).await.expect("count"), rows.len() as u64);
        let largest = rows.iter().map(Row::size).max().unwrap_or_default();
        let total: usize = rows.iter().map(Row::size).sum();
        for max in [1, 500, 5_000, 1 << 20] {
            reader.read_all(Arc::clone(&table)).await.expect("read a table");
            reader.next_batch(max).await.expect("a batch").expect("rows");
            reader.read_all(Arc::clone(&table)).await.expect("read it again");
            let (mut seen, mut bytes, mut batches) = (Vec::new(), 0, 0);
            while let Some(batch) = reader.next_batch(max).await.expect("a batch") {
                let size: usize = batch.rows.iter().map(Row::size).sum();
                assert_eq!(batch.bytes, size as u64, "{name} {max}");
                assert!(
                    batch.rows.len() == 1 || size <= max + largest,
                    "{name} {max}: {size}"
                );
                assert!(!batch.rows.is_empty());
                bytes += size;
                batches += 1;
                seen.extend(batch.rows);
            }
            assert_eq!((multiset(&seen), bytes), (multiset(&rows), total), "{name} {max}");
            assert!(
                batches * (max + largest) >= total,
                "{name} {max}: {batches} batches"
            );
            assert!(max > 1 || batches == rows.len(), "{batches} batches of one row");
        }
    }
}

/// Transactions of a burst, and of the first rest behind one.
const BURST: i64 = 40;
const SHORT_REST: i64 = 250;

/// Under writes, a snapshot is the table at its position exactly: the log up to there gives it, and
/// the log from there on gives the table as it is in the end. No key is needed for that.
pub async fn consistent_snapshots_are_exact_under_writes(bed: &dyn SourceBed) {
    let live = made(bed, "live", &[]).await;
    let beside = made(bed, "live_beside", &["id"]).await;
    let source = bed.source();
    let start = now(source.as_ref()).await;
    let tables = definitions(source.as_ref(), &[&live, &beside]).await;
    let table = Arc::clone(tables.get(0).expect("the first table"));
    let stop = AtomicBool::new(false);
    // The table changes in bursts, the one beside it all the time. The rests between bursts grow until
    // a snapshot was taken: some sources need one, however slow they are.
    let rest = AtomicI64::new(SHORT_REST);
    let writer = async {
        let mut rows: Vec<Row> = Vec::new();
        let (mut round, mut burst_ends) = (0i64, BURST);
        while !stop.load(Ordering::Relaxed) {
            round += 1;
            let mut changes = vec![insert(&beside, &row(round, "beside"))];
            let wanted = rest.load(Ordering::Relaxed);
            if round >= burst_ends + wanted {
                rest.store(wanted * 2, Ordering::Relaxed);
                burst_ends = round + BURST;
            }
            if round < burst_ends {
                let fresh = row(round % 5, "same");
                changes.push(insert(&live, &fresh));
                rows.push(fresh);
                if round % 3 == 0 {
                    let at = round.rem_euclid(rows.len() as i64) as usize;
                    let gone = rows.swap_remove(at);
                    changes.push(change(&live, Some(&gone), None));
                } else if round % 4 == 0 {
                    let changed = row(round % 7, "changed");
                    let gone = rows.pop().expect("a row was added above");
                    changes.push(change(&live, Some(&gone), Some(&changed)));
                    rows.push(changed);
                }
            }
            bed.commit(&changes).await;
            tokio::task::yield_now().await;
        }
        rows
    };
    let reading = async {
        let mut seen: Vec<(Position, Multiset)> = Vec::new();
        for _ in 0..4 {
            let mut reader = source.open_snapshot().await.expect("open a reader");
            let begun = reader.begin_consistent(std::slice::from_ref(&live.name));
            let position = in_time("a snapshot", begun).await.expect("a snapshot");
            rest.store(SHORT_REST, Ordering::Relaxed);
            let rows = all_rows(reader.as_mut(), &table).await;
            // Nothing that is committed in the meantime appears.
            let later = now(source.as_ref()).await;
            assert!(position <= later, "{position} and then {later}");
            while now(source.as_ref()).await <= later {
                tokio::task::yield_now().await;
            }
            assert_eq!(all_rows(reader.as_mut(), &table).await, rows, "at {position}");
            assert_eq!(
                reader.count(&table).await.expect("count"),
                rows.values().sum::<i64>() as u64
            );
            reader.end_consistent().await.expect("end the snapshot");
            seen.push((position, rows));
        }
        stop.store(true, Ordering::Relaxed);
        seen
    };
    let (rows, seen) = futures::join!(writer, reading);
    let last = multiset(&rows);
    let end = now(source.as_ref()).await;
    let mut reader = source.open_snapshot().await.expect("open a reader");
    assert_eq!(all_rows(reader.as_mut(), &table).await, last);
    let all = events(source.as_ref(), &tables, &start, &end).await;
    for (position, rows) in seen {
        let (until, behind) = split_at(&all, 0, &position);
        assert_eq!(rows, until, "up to {position}");
        assert_eq!(sum(rows.clone(), &behind), last, "from {position}");
        source
            .check_position(&position)
            .await
            .expect("a snapshot's position");
        let from = events(source.as_ref(), &tables, &position, &end).await;
        assert_eq!(split_at(&from, 0, &end).0, behind, "captured from {position}");
    }
    // A reader whose snapshot is over sees what is there now.
    reader
        .begin_consistent(std::slice::from_ref(&live.name))
        .await
        .expect("a snapshot at rest");
    let extra = row(77, "later");
    bed.commit(&[insert(&live, &extra)]).await;
    assert_eq!(all_rows(reader.as_mut(), &table).await, last);
    reader.end_consistent().await.expect("end the snapshot");
    let mut with_it = last;
    count(&mut with_it, &extra, 1);
    assert_eq!(all_rows(reader.as_mut(), &table).await, with_it);
}
