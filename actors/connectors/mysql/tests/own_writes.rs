//! What the other direction of a link writes is left out of the log, all of it and nothing else.
#![allow(clippy::unwrap_used, reason = "tests")]

mod binlog_bed;

use std::{collections::BTreeMap, sync::Arc};

use binlog_bed::Bed;
use oms_cluster_tests::{ServerKind, ServerOptions};
use oms_core::{
    AppliedSet, ApplyMode, CapturedRecord, ChunkRange, ChunkReceipt, Claim, ClaimToken, DecodeProgress,
    Epoch, ExistingRows, Failure, LaneId, LaneState, LogDecoder as _, LogEvent, Position, RowOp, Sink as _,
    SinkOptions, TableMap, TableName, TablePair, Value, Watermark,
    testing::{TableShape, numbered_position},
};
use oms_mysql::{
    binlog::{BinlogDecoder, OwnWrites},
    connection::Endpoint,
    sink::MysqlSink,
};

const FAMILY: &str = "p_0191d0c0a0b07e3c8f00000000000001";
const OTHER: &str = "p_0191d0c0a0b07e3c8f00000000000002";

fn state(applied: u64) -> LaneState {
    LaneState {
        watermark: Watermark {
            applied,
            position: numbered_position(applied),
        },
        above: AppliedSet::default(),
    }
}

fn insert(table: u32, id: i64) -> RowOp {
    RowOp {
        table,
        mode: ApplyMode::Strict,
        before: None,
        after: Some(TableShape::row(id, None, Some("x"))),
        origin: None,
    }
}

fn delete(table: u32, id: i64) -> RowOp {
    RowOp {
        before: Some(TableShape::row(id, None, Some("x"))),
        after: None,
        ..insert(table, id)
    }
}

async fn claim(bed: &Bed, project: &str) -> Arc<dyn Claim> {
    let sink = MysqlSink::new(Endpoint {
        user: bed.server.user().to_owned(),
        ..bed.endpoint.clone()
    });
    let mut pairs = Vec::new();
    for (name, shape) in [("keyed", TableShape::Keyed), ("bare", TableShape::Keyless)] {
        let table = TableName::new("d", name);
        let loaded = sink.load_tables(std::slice::from_ref(&table)).await.unwrap();
        let source = shape.schema(TableName::new("source", name));
        pairs.push(TablePair::by_name(source, Arc::new(loaded[0].clone().unwrap())).unwrap());
    }
    let token = ClaimToken {
        component: format!("{project}.incr-sync").parse().unwrap(),
        epoch: Epoch(1),
    };
    let options = SinkOptions {
        tables: Arc::new(pairs),
        lanes: 2,
    };
    sink.claim(token, options).await.unwrap()
}

/// Writes in every way that a sink has; gives how many transactions changed tables.
async fn write_in_every_way(bed: &Bed, project: &str, first: i64) -> u64 {
    let claim = claim(bed, project).await;
    claim.initialize(&state(0)).await.unwrap();
    // In one packet with the fence, by itself, and rolled back.
    let mut lane = claim.applier(LaneId(0)).await.unwrap();
    lane.begin_writing(&[insert(0, first), insert(1, first)])
        .await
        .unwrap();
    lane.commit(&state(1)).await.unwrap();
    lane.begin().await.unwrap();
    lane.write(&[delete(0, first), insert(0, first + 1)])
        .await
        .unwrap();
    lane.commit(&state(2)).await.unwrap();
    lane.begin_writing(&[insert(0, first + 2)]).await.unwrap();
    lane.rollback().await.unwrap();
    // A transaction of many parts and of many events of the log.
    let mut streamed = claim.applier(LaneId(1)).await.unwrap();
    streamed.begin_streamed().await.unwrap();
    for part in 0..20 {
        let ops: Vec<_> = (0..500)
            .map(|i| insert(0, first + 1_000 + part * 500 + i))
            .collect();
        streamed.write(&ops).await.unwrap();
    }
    streamed.commit(&state(3)).await.unwrap();
    // Chunks, small ones and those that are loaded as a text; a table is emptied again.
    let mut chunks = claim.chunk_writer().await.unwrap();
    for (number, (table, rows)) in [(0, 3), (0, 5_000), (1, 100)].into_iter().enumerate() {
        let number = number as u64;
        let base = first + 20_000 + i64::try_from(number).unwrap() * 10_000;
        chunks.begin(table, ExistingRows::Replace).await.unwrap();
        let all: Vec<_> = (0..rows)
            .map(|i| TableShape::row(base + i, None, Some("c")))
            .collect();
        chunks.write(&all).await.unwrap();
        let receipt = ChunkReceipt {
            table: TableName::new("source", ["keyed", "bare"][table as usize]),
            number,
            range: ChunkRange::default(),
            rows: all.len() as u64,
            bytes: 1,
            snapshot: None,
        };
        chunks.commit(&receipt).await.unwrap();
    }
    // Two by the lane, the streamed one, three chunks.
    6
}

/// Decodes in small parts, as incremental synchronization does.
fn decoded(
    tables: &Arc<TableMap>,
    from: &Position,
    records: &[CapturedRecord],
    own: Option<&OwnWrites>,
) -> Result<Vec<LogEvent>, Failure> {
    let mut decoder = BinlogDecoder::new(tables.clone(), from.clone()).leaving_out(own.cloned());
    let mut events = Vec::new();
    for record in records {
        while decoder.decode_part(record, &mut events, 4_096)? == DecodeProgress::More {}
    }
    Ok(events)
}

/// The ids that the events leave in each table, and how often.
fn ids(events: &[LogEvent]) -> BTreeMap<(u32, i64), i64> {
    let mut ids = BTreeMap::new();
    for event in events {
        let LogEvent::Row(change) = event else { continue };
        for (row, by) in [(&change.before, -1), (&change.after, 1)] {
            if let Some(Value::Int(id)) = row.as_ref().map(|r| r.get(0)) {
                *ids.entry((change.table, id)).or_default() += by;
            }
        }
    }
    ids.retain(|_, n| *n != 0);
    ids
}

fn commits(events: &[LogEvent]) -> usize {
    let commit = |e: &&LogEvent| matches!(e, LogEvent::Commit { .. });
    events.iter().filter(commit).count()
}

async fn only_the_other_direction_is_left_out(kind: ServerKind) {
    let mut bed = Bed::start(kind, ServerOptions::source().gtid(true)).await;
    let columns =
        "id BIGINT NOT NULL, u INT NULL, t VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL";
    bed.run(&[
        &format!("CREATE TABLE keyed ({columns}, PRIMARY KEY (id))"),
        &format!("CREATE TABLE bare ({columns})"),
    ])
    .await;
    let tables = bed.tables("d", &["keyed", "bare"]).await;
    let from = bed.position().await;
    // By an application, by a third project, and by this link before and after further transactions of an application.
    bed.run(&["INSERT INTO keyed VALUES (1, NULL, 'a'), (2, NULL, 'a')"])
        .await;
    let ours = write_in_every_way(&bed, &format!("{FAMILY}r1"), 1_000_000).await;
    write_in_every_way(&bed, OTHER, 2_000_000).await;
    let more = write_in_every_way(&bed, FAMILY, 3_000_000).await;
    bed.run(&[
        "BEGIN",
        "UPDATE keyed SET t = 'b' WHERE id = 1",
        "DELETE FROM keyed WHERE id = 2",
        "INSERT INTO bare VALUES (3, NULL, 'a'), (3, NULL, 'a')",
        "COMMIT",
    ])
    .await;
    let until = bed.position().await;
    let records = bed.records(&from, &until).await;

    let all = decoded(&tables, &from, &records, None).unwrap();
    let own = OwnWrites::of(&FAMILY.parse().unwrap());
    let left = decoded(&tables, &from, &records, Some(&own)).unwrap();
    assert_eq!(commits(&all), commits(&left), "transactions keep their numbers");
    assert_eq!(own.transactions(), ours + more);
    assert!(own.marks() > own.transactions(), "claims are marked, too");
    let foreign = |id: i64| (1_000_000..2_000_000).contains(&id) || id >= 3_000_000;
    let mut expected = ids(&all);
    let before = expected.len();
    expected.retain(|(_, id), _| !foreign(*id));
    assert!(
        before > 2 * expected.len() && expected.len() > 15_000 - 1_000,
        "{before}"
    );
    assert_eq!(ids(&left), expected);
    assert_eq!(expected.get(&(0, 1)), Some(&1));
    assert_eq!(expected.get(&(1, 3)), Some(&2));
    // To a project of another family they are the changes of applications.
    let stranger = OwnWrites::of(&"p_0191d0c0a0b07e3c8f00000000000003".parse().unwrap());
    let seen = decoded(&tables, &from, &records, Some(&stranger)).unwrap();
    assert_eq!(ids(&seen), ids(&all));
    assert_eq!((stranger.transactions(), stranger.marks()), (0, 0));

    marks_by_hand(&mut bed, kind, &tables).await;
}

/// Marks that a sink would not write so: with partial images, in compressed transactions, and too late.
async fn marks_by_hand(bed: &mut Bed, kind: ServerKind, tables: &Arc<TableMap>) {
    let mark = format!(
        "UPDATE omsnode_meta.fence_v1 SET turn = turn + 1 WHERE component = '{FAMILY}r1.incr-sync' AND lane = 0"
    );
    let compress = match kind {
        ServerKind::Mysql97 => "SET SESSION binlog_transaction_compression = ON",
        _ => "SET @nothing = 1",
    };
    let from = bed.position().await;
    bed.run(&[
        "SET SESSION binlog_row_image = 'MINIMAL'",
        compress,
        "BEGIN",
        &mark,
        "INSERT INTO keyed VALUES (11, NULL, 'a')",
        "COMMIT",
        "SET SESSION binlog_row_image = 'FULL'",
        "INSERT INTO keyed VALUES (12, NULL, 'a')",
    ])
    .await;
    let until = bed.position().await;
    let own = OwnWrites::of(&FAMILY.parse().unwrap());
    let records = bed.records(&from, &until).await;
    let events = decoded(tables, &from, &records, Some(&own)).unwrap();
    assert_eq!(ids(&events), BTreeMap::from([((0, 12), 1)]));
    assert_eq!((own.transactions(), own.marks()), (1, 1));

    let from = until;
    bed.run(&[
        "BEGIN",
        "INSERT INTO keyed VALUES (13, NULL, 'a')",
        &mark,
        "COMMIT",
    ])
    .await;
    let records = bed.records(&from, &bed.position().await).await;
    let failure = decoded(tables, &from, &records, Some(&own)).unwrap_err();
    assert_eq!(failure.code().as_str(), "OMS-SRC-0021", "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    only_the_other_direction_is_left_out(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_97() {
    only_the_other_direction_is_left_out(ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_56() {
    only_the_other_direction_is_left_out(ServerKind::Mysql56).await;
}
