//! The contract of [`Sink`], checked against a real destination.
//!
//! Each function checks one promise and panics where it is broken. All of them, in order, are
//! [`run_all`]. They use tables of [`TableShape`] in a database of their own, which the caller makes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{
    TableShape,
    history::Random,
    numbered_position,
    records::{self, RecordBed},
};
use crate::{
    AppliedSet, ApplyMode, ChunkRange, ChunkReceipt, Claim, ClaimToken, ComponentId, Epoch, ErrorCode,
    ExistingRows, Failure, LaneId, LaneState, RecordReader, RecordWriter, Row, RowOp, Sink, SinkOptions,
    TableName, TablePair, Watermark, codes,
};

/// Within this a claim must get through when an owner of a lower epoch stands still. Failover has 10 seconds, and needs
/// others of them to notice the loss.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same, when no other claim stands in the way.
const UNHINDERED: Duration = Duration::from_secs(4);

/// What the suite needs besides the sink.
#[async_trait]
pub trait SinkBed: Send + Sync {
    /// The sink under test.
    fn sink(&self) -> Arc<dyn Sink>;

    /// Creates an empty table of the shape, in place of one that may be there.
    async fn create_table(&self, name: &TableName, shape: TableShape);

    /// All rows of such a table, sorted by their bytes.
    async fn rows(&self, name: &TableName) -> Vec<Row>;

    /// The sink as a process has it that will be frozen.
    async fn freezer(&self) -> Box<dyn Freezer>;
}

/// A process that works with the sink until it stands still: its connections stay open, and it sends
/// nothing more.
#[async_trait]
pub trait Freezer: Send + Sync {
    /// Its sink.
    fn sink(&self) -> Arc<dyn Sink>;

    /// It stands still after so many more requests to the server, over all its connections.
    fn freeze_after(&self, requests: u64);

    /// Returns when it stands still.
    async fn frozen(&self);
}

/// Runs every check but [`a_claim_ends_what_stands_still_anywhere`], which takes most of a minute.
pub async fn run_all(bed: &dyn SinkBed) {
    newer_claims_fence_older_ones(bed).await;
    a_claim_waits_for_an_open_transaction(bed).await;
    a_claim_ends_a_stopped_owner(bed).await;
    checkpoints_join_lanes_and_survive_resizing(bed).await;
    an_unknown_commit_is_settled_by_claiming(bed).await;
    receipts_and_rows_commit_together(bed).await;
    existing_rows_are_kept_and_counted(bed).await;
    strict_mode_is_exact(bed).await;
    order_is_kept_where_unique_values_wander(bed).await;
    rows_without_a_key_are_exact(bed).await;
    replays_in_safe_mode_converge(bed).await;
    clearing_is_fenced(bed).await;
    forgetting_removes_everything(bed).await;
    what_is_applied_can_be_read_without_claiming(bed).await;
    definitions_are_kept_from_former_owners(bed).await;
    records::run_all(&Records(bed.sink())).await;
}

const DATABASE: &str = "sink_contract";

/// A component and its one or more tables.
struct Setup {
    sink: Arc<dyn Sink>,
    component: ComponentId,
    pairs: Arc<Vec<TablePair>>,
}

impl Setup {
    async fn new(bed: &dyn SinkBed, name: &str, shape: TableShape) -> Self {
        let table = TableName::new(DATABASE, name);
        bed.create_table(&table, shape).await;
        let sink = bed.sink();
        let source = shape.schema(TableName::new("source", name));
        let loaded = sink
            .load_tables(std::slice::from_ref(&table))
            .await
            .expect("load the table");
        let destination = loaded.into_iter().next().flatten().expect("the table exists");
        let pair = TablePair::by_name(source, Arc::new(destination)).expect("the columns are the same");
        assert_eq!(pair.key.is_some(), shape != TableShape::Keyless);
        let component: ComponentId = format!("p_{}.incr-sync", name.replace('_', ""))
            .parse()
            .expect("a component's name");
        sink.forget(&component)
            .await
            .expect("forget what an earlier run left");
        Self {
            sink,
            component,
            pairs: Arc::new(vec![pair]),
        }
    }

    fn table(&self) -> TableName {
        self.pairs[0].destination.name.clone()
    }

    async fn try_claim(&self, epoch: u64, lanes: u32) -> Result<Arc<dyn Claim>, Failure> {
        let token = ClaimToken {
            component: self.component.clone(),
            epoch: Epoch(epoch),
        };
        self.sink
            .claim(
                token,
                SinkOptions {
                    tables: self.pairs.clone(),
                    lanes,
                },
            )
            .await
    }

    async fn claim(&self, epoch: u64, lanes: u32) -> Arc<dyn Claim> {
        self.try_claim(epoch, lanes).await.expect("claim")
    }

    fn receipt(&self, number: u64, rows: &[Row]) -> ChunkReceipt {
        ChunkReceipt {
            table: self.pairs[0].source.name.clone(),
            number,
            range: ChunkRange {
                after: None,
                through: rows.last().cloned(),
            },
            rows: rows.len() as u64,
            bytes: rows.iter().map(|r| r.size() as u64).sum(),
            snapshot: number.is_multiple_of(2).then(|| numbered_position(number)),
        }
    }
}

fn state(watermark: u64, above: &[u64]) -> LaneState {
    let mut set = AppliedSet::default();
    above.iter().for_each(|n| set.insert(*n));
    LaneState {
        watermark: Watermark {
            applied: watermark,
            position: numbered_position(watermark),
        },
        above: set,
    }
}

fn op(mode: ApplyMode, before: Option<&Row>, after: Option<&Row>) -> RowOp {
    RowOp {
        table: 0,
        mode,
        before: before.cloned(),
        after: after.cloned(),
        origin: None,
    }
}

fn insert(row: &Row) -> RowOp {
    op(ApplyMode::Strict, None, Some(row))
}

fn update(before: &Row, after: &Row) -> RowOp {
    op(ApplyMode::Strict, Some(before), Some(after))
}

fn delete(row: &Row) -> RowOp {
    op(ApplyMode::Strict, Some(row), None)
}

fn plain(id: i64) -> Row {
    TableShape::row(id, None, Some("x"))
}

fn sorted(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_iter().collect();
    rows.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    rows
}

async fn apply(claim: &dyn Claim, ops: &[RowOp], number: u64) -> Result<(), Failure> {
    let mut applier = claim.applier(LaneId(0)).await?;
    applier.begin().await?;
    applier.write(ops).await?;
    applier.commit(&state(number, &[])).await
}

fn refused_with(result: Result<(), Failure>, code: ErrorCode) {
    match result {
        Ok(()) => panic!("{code} was expected, but it succeeded"),
        Err(failure) => assert_eq!(failure.code(), code, "{failure}"),
    }
}

/// A later claim, of the same epoch or a higher one, fences; a lower epoch cannot claim.
pub async fn newer_claims_fence_older_ones(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "fences", TableShape::Keyed).await;
    let first = setup.claim(3, 2).await;
    let mut old = first.applier(LaneId(0)).await.expect("applier");
    let mut old_writer = first.chunk_writer().await.expect("writer");
    old.begin().await.expect("begin");
    old.write(&[insert(&plain(1))]).await.expect("write");
    old.commit(&state(1, &[])).await.expect("commit");

    let again = setup.claim(3, 2).await;
    assert!(again.number() > first.number());
    refused_with(old.begin().await, codes::apply::FENCED);
    refused_with(
        old_writer.begin(0, ExistingRows::Replace).await,
        codes::apply::FENCED,
    );
    refused_with(first.applier(LaneId(1)).await.map(drop), codes::apply::FENCED);
    refused_with(first.chunk_writer().await.map(drop), codes::apply::FENCED);
    refused_with(first.checkpoint().await.map(drop), codes::apply::FENCED);
    apply(again.as_ref(), &[insert(&plain(2))], 2)
        .await
        .expect("the newer claim writes");

    let mut same_epoch = again.applier(LaneId(0)).await.expect("applier");
    let newest = setup.claim(4, 2).await;
    refused_with(same_epoch.begin().await, codes::apply::FENCED);
    refused_with(setup.try_claim(3, 2).await.map(drop), codes::apply::FENCED);
    apply(newest.as_ref(), &[insert(&plain(3))], 3)
        .await
        .expect("a refused claim changes nothing");
    assert_eq!(
        bed.rows(&setup.table()).await,
        sorted([plain(1), plain(2), plain(3)])
    );
}

/// A transaction that is open when somebody claims ends first; what it committed is in the
/// checkpoint that the new owner reads.
pub async fn a_claim_waits_for_an_open_transaction(bed: &dyn SinkBed) {
    let setup = Arc::new(Setup::new(bed, "waits", TableShape::Keyed).await);
    let first = setup.claim(1, 1).await;
    let mut applier = first.applier(LaneId(0)).await.expect("applier");
    applier.begin().await.expect("begin");
    applier.write(&[insert(&plain(1))]).await.expect("write");
    let claiming = tokio::spawn({
        let setup = setup.clone();
        async move { setup.claim(2, 1).await }
    });
    // Long enough that the claim has reached the lock in most runs; either order must be right.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let committed = applier.commit(&state(7, &[])).await;
    let second = claiming.await.expect("the claim ends");
    let checkpoint = second.checkpoint().await.expect("checkpoint");
    match committed {
        Ok(()) => {
            assert_eq!(checkpoint.map(|c| c.watermark.applied), Some(7));
            assert_eq!(bed.rows(&setup.table()).await, [plain(1)]);
        }
        Err(_) => {
            assert_eq!(checkpoint, None);
            assert!(bed.rows(&setup.table()).await.is_empty());
        }
    }
    assert!(applier.begin().await.is_err(), "the former owner is fenced");
}

/// An owner that stopped in the middle of a transaction does not hold up its successor for ever, and
/// when it goes on it can no longer commit.
pub async fn a_claim_ends_a_stopped_owner(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "stopped", TableShape::Keyed).await;
    let first = setup.claim(1, 2).await;
    let mut applier = first.applier(LaneId(1)).await.expect("applier");
    applier.begin().await.expect("begin");
    applier.write(&[insert(&plain(1))]).await.expect("write");
    let start = Instant::now();
    let second = setup.claim(2, 2).await;
    let took = start.elapsed();
    assert!(
        took < UNHINDERED,
        "a claim of a higher epoch waited {took:?} for a lower one"
    );
    assert_eq!(second.checkpoint().await.expect("checkpoint"), None);
    apply(second.as_ref(), &[insert(&plain(1)), insert(&plain(2))], 1)
        .await
        .expect("the successor writes");
    assert!(
        applier.write(&[insert(&plain(3))]).await.is_err() || applier.commit(&state(9, &[])).await.is_err()
    );
    assert_eq!(bed.rows(&setup.table()).await, sorted([plain(1), plain(2)]));
    let mark = second
        .checkpoint()
        .await
        .expect("checkpoint")
        .expect("one was written")
        .watermark;
    assert_eq!(mark.applied, 1);
}

/// Whatever a former owner was about when it was frozen, the next claim goes on soon, and the former owner
/// is fenced.
pub async fn a_claim_ends_what_stands_still_anywhere(bed: &dyn SinkBed) {
    #[derive(Clone, Copy, Debug)]
    enum Doing {
        Claiming,
        Initializing,
        OpeningAWriter,
    }
    for doing in [Doing::Claiming, Doing::Initializing, Doing::OpeningAWriter] {
        for requests in 0.. {
            let setup = Setup::new(bed, "frozen", TableShape::Keyed).await;
            let freezer = bed.freezer().await;
            let former = Setup {
                sink: freezer.sink(),
                component: setup.component.clone(),
                pairs: setup.pairs.clone(),
            };
            let claim = match doing {
                Doing::Claiming => None,
                Doing::Initializing | Doing::OpeningAWriter => Some(former.claim(1, 2).await),
            };
            freezer.freeze_after(requests);
            let mut work = tokio::spawn(async move {
                match (doing, claim) {
                    (Doing::Initializing, Some(claim)) => claim.initialize(&state(0, &[])).await,
                    (Doing::OpeningAWriter, Some(claim)) => claim.chunk_writer().await.map(drop),
                    _ => former.try_claim(1, 2).await.map(drop),
                }
            });
            let ended = tokio::select! {
                ended = &mut work => Some(ended.expect("no panic")),
                () = freezer.frozen() => None,
            };
            if let Some(ended) = ended {
                ended.expect("it was not frozen");
                assert!(requests > 5, "{doing:?} takes more requests than {requests}");
                break;
            }
            let claimed = tokio::time::timeout(PATIENCE, setup.try_claim(2, 2)).await;
            let claim = claimed
                .unwrap_or_else(|_| panic!("{doing:?}: still waiting, frozen after {requests} requests"))
                .unwrap_or_else(|e| panic!("{doing:?}, frozen after {requests} requests: {e}"));
            apply(claim.as_ref(), &[insert(&plain(1))], 1)
                .await
                .expect("the next owner writes");
            refused_with(setup.try_claim(1, 2).await.map(drop), codes::apply::FENCED);
            work.abort();
        }
    }
}

/// The checkpoint is the union of all lanes that ever were.
pub async fn checkpoints_join_lanes_and_survive_resizing(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "lanes", TableShape::Keyed).await;
    let claim = setup.claim(1, 3).await;
    assert_eq!(claim.checkpoint().await.expect("checkpoint"), None);
    claim.initialize(&state(0, &[])).await.expect("initialize");
    assert!(
        claim.initialize(&state(5, &[])).await.is_err(),
        "a checkpoint is never overwritten"
    );
    assert_eq!(
        claim
            .checkpoint()
            .await
            .expect("checkpoint")
            .map(|c| c.watermark.applied),
        Some(0)
    );
    for (lane, watermark, above) in [(0u32, 2u64, vec![4u64]), (1, 3, vec![9]), (2, 0, vec![6])] {
        let mut applier = claim.applier(LaneId(lane)).await.expect("applier");
        applier.begin().await.expect("begin");
        applier.commit(&state(watermark, &above)).await.expect("commit");
    }
    assert!(claim.applier(LaneId(3)).await.is_err(), "there are three lanes");
    for lanes in [1, 5] {
        let resized = setup.claim(1, lanes).await;
        let checkpoint = resized
            .checkpoint()
            .await
            .expect("checkpoint")
            .expect("one was written");
        assert_eq!(checkpoint.watermark, state(3, &[]).watermark);
        assert_eq!(checkpoint.above.ranges(), [(4, 4), (6, 6), (9, 9)]);
        resized.applier(LaneId(lanes - 1)).await.expect("the last lane");
    }
    let mut rolled_back = setup.claim(1, 1).await.applier(LaneId(0)).await.expect("applier");
    rolled_back.begin().await.expect("begin");
    rolled_back.write(&[insert(&plain(1))]).await.expect("write");
    rolled_back.rollback().await.expect("rollback");
    assert!(bed.rows(&setup.table()).await.is_empty());
    rolled_back
        .begin()
        .await
        .expect("an applier is usable after a rollback");
    rolled_back.commit(&state(10, &[])).await.expect("commit");
}

/// Whether a commit that was cut off happened, the next claim's checkpoint tells, and it agrees with
/// the rows.
pub async fn an_unknown_commit_is_settled_by_claiming(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "unknown", TableShape::Keyless).await;
    let mut committed = 0u64;
    for round in 0..12u64 {
        let claim = setup.claim(1, 1).await;
        let mut applier = claim.applier(LaneId(0)).await.expect("applier");
        applier.begin().await.expect("begin");
        applier.write(&[insert(&plain(1))]).await.expect("write");
        let patience = Duration::from_micros(round * 150);
        let after = state(committed + 1, &[]);
        let told = tokio::time::timeout(patience, applier.commit(&after)).await;
        drop(applier);
        let applied = setup.claim(1, 1).await.checkpoint().await.expect("checkpoint");
        let applied = applied.map_or(0, |c| c.watermark.applied);
        if let Ok(result) = told {
            result.expect("a commit that was not cut off");
            assert_eq!(applied, committed + 1);
        }
        assert_eq!(
            bed.rows(&setup.table()).await.len() as u64,
            applied,
            "rows and position agree"
        );
        committed = applied;
    }
}

/// Rows and receipt of a chunk are there together or not at all; writing a chunk again is harmless.
pub async fn receipts_and_rows_commit_together(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "receipts", TableShape::Keyed).await;
    let claim = setup.claim(1, 0).await;
    let source = setup.pairs[0].source.name.clone();
    let rows: Vec<Row> = (0..3_000)
        .map(|id| TableShape::row(id, Some(-id), Some("it's \\ \"quoted\" \u{1F4A9}")))
        .collect();
    let mut writer = claim.chunk_writer().await.expect("writer");
    writer.begin(0, ExistingRows::Replace).await.expect("begin");
    writer.write(&rows).await.expect("write");
    drop(writer);
    assert!(claim.receipts(&source).await.expect("receipts").is_empty());
    for round in 0..2 {
        let mut writers = Vec::new();
        for part in rows.chunks(1_000) {
            let mut writer = claim.chunk_writer().await.expect("several writers at a time");
            writer.begin(0, ExistingRows::Replace).await.expect("begin");
            writers.push((writer, part));
        }
        for (number, (mut writer, part)) in writers.into_iter().enumerate() {
            let outcome = writer.write(part).await.expect("write");
            assert_eq!((outcome.written, outcome.kept), (1_000, 0), "round {round}");
            writer
                .commit(&setup.receipt(number as u64, part))
                .await
                .expect("commit");
        }
        assert_eq!(bed.rows(&setup.table()).await, sorted(rows.clone()));
        let expected: Vec<_> = rows
            .chunks(1_000)
            .zip(0..)
            .map(|(part, n)| setup.receipt(n, part))
            .collect();
        assert_eq!(claim.receipts(&source).await.expect("receipts"), expected);
    }
    assert!(
        claim
            .receipts(&TableName::new("source", "other"))
            .await
            .expect("receipts")
            .is_empty()
    );
}

/// The policy `Ignore` keeps rows that are there, says how many, and hides nothing else.
pub async fn existing_rows_are_kept_and_counted(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "ignores", TableShape::KeyedAndUnique).await;
    let claim = setup.claim(1, 1).await;
    let there = [
        TableShape::row(5, Some(5), Some("there")),
        TableShape::row(100, Some(7), Some("by u")),
    ];
    apply(claim.as_ref(), &[insert(&there[0]), insert(&there[1])], 1)
        .await
        .expect("rows of somebody else");
    let rows: Vec<Row> = (0..10)
        .map(|id| TableShape::row(id, Some(id), Some("new")))
        .collect();
    let mut writer = claim.chunk_writer().await.expect("writer");
    writer.begin(0, ExistingRows::Ignore).await.expect("begin");
    let outcome = writer.write(&rows).await.expect("write");
    assert_eq!((outcome.written, outcome.kept), (8, 2));
    writer.commit(&setup.receipt(0, &rows)).await.expect("commit");
    let expected = rows
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != 5 && *i != 7)
        .map(|(_, r)| r.clone());
    assert_eq!(bed.rows(&setup.table()).await, sorted(expected.chain(there)));
    let long = "y".repeat(41);
    let mut writer = claim.chunk_writer().await.expect("writer");
    writer.begin(0, ExistingRows::Ignore).await.expect("begin");
    let unfit = [
        TableShape::row(5, Some(5), Some("x")),
        TableShape::row(200, None, Some(&long)),
    ];
    let refused = writer.write(&unfit).await;
    refused_with(refused.map(drop), codes::dst::VALUE_NOT_REPRESENTABLE);
}

/// Inserts find no row, updates and deletes exactly one; nothing of a failed transaction stays.
pub async fn strict_mode_is_exact(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "strict", TableShape::Keyed).await;
    let claim = setup.claim(1, 1).await;
    let first: Vec<RowOp> = (0..5).map(|id| insert(&plain(id))).collect();
    apply(claim.as_ref(), &first, 1).await.expect("inserts");
    let changed = TableShape::row(1, Some(1), Some("changed"));
    let gone = plain(77);
    let short_lived = [insert(&plain(3)), delete(&plain(3))];
    let cases: [(Vec<RowOp>, ErrorCode); 6] = [
        (
            vec![insert(&plain(9)), insert(&plain(2))],
            codes::apply::ROW_EXISTS,
        ),
        (vec![insert(&plain(9)), delete(&gone)], codes::apply::ROW_MISSING),
        (vec![delete(&plain(1)), delete(&gone)], codes::apply::ROW_MISSING),
        (
            vec![insert(&plain(9)), update(&gone, &changed)],
            codes::apply::ROW_MISSING,
        ),
        (vec![update(&plain(1), &plain(2))], codes::apply::ROW_EXISTS),
        (short_lived.to_vec(), codes::apply::ROW_MISSING),
    ];
    for (ops, code) in cases {
        refused_with(apply(claim.as_ref(), &ops, 2).await, code);
    }
    assert_eq!(bed.rows(&setup.table()).await, sorted((0..5).map(plain)));
    // All kinds of net effects, an update to the same values, and a key that moves.
    let same = plain(4);
    let ops = [
        update(&plain(1), &changed),
        update(&changed, &plain(1)),
        delete(&plain(2)),
        insert(&TableShape::row(2, Some(2), None)),
        insert(&plain(20)),
        update(&plain(20), &TableShape::row(20, Some(3), Some("y"))),
        insert(&plain(21)),
        delete(&plain(21)),
        delete(&plain(3)),
        update(&same, &same),
    ];
    apply(claim.as_ref(), &ops, 2).await.expect("net effects");
    apply(
        claim.as_ref(),
        &[update(&plain(0), &plain(-50)), insert(&plain(0))],
        3,
    )
    .await
    .expect("a key that moves");
    let expected = [
        plain(-50),
        plain(0),
        plain(1),
        TableShape::row(2, Some(2), None),
        plain(4),
        TableShape::row(20, Some(3), Some("y")),
    ];
    assert_eq!(bed.rows(&setup.table()).await, sorted(expected));
    let mut void = claim.applier(LaneId(0)).await.expect("applier");
    void.begin().await.expect("begin");
    void.write(&[insert(&plain(500))]).await.expect("write");
    assert!(void.write(&[delete(&gone)]).await.is_err());
    assert!(
        void.commit(&state(9, &[])).await.is_err(),
        "a void transaction cannot be committed"
    );
    drop(void);
    assert_eq!(bed.rows(&setup.table()).await.len(), 6);
}

/// A value of another unique key may be given up by one row and taken by the next.
pub async fn order_is_kept_where_unique_values_wander(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "wanders", TableShape::KeyedAndUnique).await;
    let claim = setup.claim(1, 1).await;
    let row = |id, u| TableShape::row(id, u, Some("v"));
    apply(
        claim.as_ref(),
        &[insert(&row(1, Some(1))), insert(&row(2, Some(2)))],
        1,
    )
    .await
    .expect("inserts");
    let swap = [
        update(&row(1, Some(1)), &row(1, None)),
        update(&row(2, Some(2)), &row(2, Some(1))),
        update(&row(1, None), &row(1, Some(2))),
        delete(&row(2, Some(1))),
        insert(&row(3, Some(1))),
        delete(&row(3, Some(1))),
        insert(&row(4, Some(1))),
    ];
    apply(claim.as_ref(), &swap, 2)
        .await
        .expect("in the order of the source");
    assert_eq!(
        bed.rows(&setup.table()).await,
        sorted([row(1, Some(2)), row(4, Some(1))])
    );
}

/// Of equal rows exactly one is changed, and rows that merely compare as equal are others.
pub async fn rows_without_a_key_are_exact(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "keyless", TableShape::Keyless).await;
    let claim = setup.claim(1, 1).await;
    let row = |t: Option<&str>| TableShape::row(1, None, t);
    let texts = [Some("a"), Some("A"), Some("a "), Some("á"), Some(""), None];
    let mut ops: Vec<RowOp> = Vec::new();
    for text in texts {
        ops.extend([insert(&row(text)), insert(&row(text))]);
    }
    apply(claim.as_ref(), &ops, 1).await.expect("inserts");
    for (number, text) in (2..).zip(texts) {
        let changed = TableShape::row(number, Some(number), text);
        let ops = [delete(&row(text)), update(&row(text), &changed)];
        apply(claim.as_ref(), &ops, number as u64)
            .await
            .expect("one deleted, one changed");
    }
    let expected = (2..)
        .zip(texts)
        .map(|(n, text)| TableShape::row(n, Some(n), text));
    assert_eq!(bed.rows(&setup.table()).await, sorted(expected));
    refused_with(
        apply(claim.as_ref(), &[delete(&row(Some("a")))], 9).await,
        codes::apply::ROW_MISSING,
    );
    let safe = op(ApplyMode::Safe, None, Some(&row(None)));
    refused_with(apply(claim.as_ref(), &[safe], 9).await, codes::apply::INTERNAL);
}

/// Replaying a window of changes over a snapshot taken at any moments within it, twice, and cut into
/// batches anyhow, gives the state at its end.
pub async fn replays_in_safe_mode_converge(bed: &dyn SinkBed) {
    for (name, shape) in [
        ("replay_k", TableShape::Keyed),
        ("replay_u", TableShape::KeyedAndUnique),
    ] {
        for seed in 0..6u64 {
            let setup = Setup::new(bed, name, shape).await;
            let claim = setup.claim(1, 1).await;
            let mut random = Random(seed * 7_919 + 1);
            let (states, ops) = random.history(shape);
            // Each row as it was at a moment of its own; rows that collide replace each other.
            let mut seen: Vec<Row> = Vec::new();
            for id in 0..12i64 {
                let moment = random.below(states.len());
                seen.extend(states.get(moment).and_then(|s| s.get(&id)).cloned());
            }
            let mut writer = claim.chunk_writer().await.expect("writer");
            writer.begin(0, ExistingRows::Replace).await.expect("begin");
            while !seen.is_empty() {
                let row = seen.swap_remove(random.below(seen.len()));
                writer.write(&[row]).await.expect("write");
            }
            writer
                .commit(&setup.receipt(0, &[plain(0)]))
                .await
                .expect("commit");
            for _ in 0..2 {
                let mut applier = claim.applier(LaneId(0)).await.expect("applier");
                let mut rest = ops.as_slice();
                while !rest.is_empty() {
                    let (batch, later) = rest.split_at(random.below(rest.len().min(25)) + 1);
                    applier.begin().await.expect("begin");
                    applier.write(batch).await.expect("a replay is never refused");
                    applier.commit(&state(0, &[])).await.expect("commit");
                    rest = later;
                }
            }
            let last = states.last().cloned().unwrap_or_default();
            assert_eq!(
                bed.rows(&setup.table()).await,
                sorted(last.into_values()),
                "{name}, seed {seed}"
            );
        }
    }
}

/// Clearing removes rows and receipts, and a former owner cannot do it.
pub async fn clearing_is_fenced(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "clears", TableShape::Keyless).await;
    let claim = setup.claim(1, 1).await;
    let rows: Vec<Row> = (0..12_000).map(plain).collect();
    let mut writer = claim.chunk_writer().await.expect("writer");
    writer.begin(0, ExistingRows::Replace).await.expect("begin");
    for part in rows.chunks(4_000) {
        writer.write(part).await.expect("write");
    }
    writer.commit(&setup.receipt(0, &rows)).await.expect("commit");
    assert!(setup.sink.has_rows(&setup.table()).await.expect("has_rows"));
    let newer = setup.claim(2, 1).await;
    refused_with(claim.clear_table(0).await, codes::apply::FENCED);
    assert_eq!(bed.rows(&setup.table()).await.len(), 12_000);
    newer.clear_table(0).await.expect("clear");
    assert!(!setup.sink.has_rows(&setup.table()).await.expect("has_rows"));
    let source = &setup.pairs[0].source.name;
    assert!(newer.receipts(source).await.expect("receipts").is_empty());
    newer.clear_table(0).await.expect("clearing what is clear");
}

/// After forgetting, nothing is known of the component, and its claims are void.
pub async fn forgetting_removes_everything(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "forgets", TableShape::Keyed).await;
    let claim = setup.claim(5, 1).await;
    let mut applier = claim.applier(LaneId(0)).await.expect("applier");
    applier.begin().await.expect("begin");
    applier.commit(&state(3, &[])).await.expect("commit");
    setup.sink.forget(&setup.component).await.expect("forget");
    setup.sink.forget(&setup.component).await.expect("forget twice");
    refused_with(applier.begin().await, codes::apply::FENCED);
    let fresh = setup.claim(1, 1).await;
    assert_eq!(fresh.checkpoint().await.expect("checkpoint"), None);
    let missing = [TableName::new(DATABASE, "not_there"), setup.table()];
    let loaded = setup.sink.load_tables(&missing).await.expect("load");
    assert_eq!(
        loaded.iter().map(Option::is_some).collect::<Vec<_>>(),
        [false, true]
    );
}

/// Statements that define run under the latest claim only, and under one definer at a time.
pub async fn definitions_are_kept_from_former_owners(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "definitions", TableShape::Keyed).await;
    let name = |table: &str| TableName::new(DATABASE, table);
    let create = |table: &str| format!("CREATE TABLE {} (id INT PRIMARY KEY)", name(table));
    let exists = async |table: &str| {
        let found = setup.sink.load_tables(&[name(table)]).await.expect("look");
        found.into_iter().next().flatten().is_some()
    };
    let first = setup.claim(1, 0).await;
    let settings = ["SET SESSION no_such_setting_anywhere = 1"];
    let mut former = first.definer(&settings).await.expect("a definer");
    former.execute(&create("defined_1")).await.expect("create");
    assert!(exists("defined_1").await);
    let refused = former.execute(&create("defined_1")).await.expect_err("it exists");
    assert!(!refused.is_fenced() && !refused.is_transient(), "{refused}");
    former
        .execute(&create("defined_2"))
        .await
        .expect("go on after an error");

    let second = setup.claim(2, 0).await;
    let fenced = former
        .execute(&create("defined_3"))
        .await
        .expect_err("a newer claim");
    assert!(fenced.is_fenced(), "{fenced}");
    assert!(!exists("defined_3").await);
    let fenced = first.definer(&[]).await.err().expect("a newer claim");
    assert!(fenced.is_fenced(), "{fenced}");

    // The former owner still holds the lock and does nothing: it is ended.
    let mut latest = second.definer(&[]).await.expect("a definer");
    latest.execute(&create("defined_4")).await.expect("create");
    assert!(former.execute(&create("defined_5")).await.is_err());
    assert!(!exists("defined_5").await);
    latest.close().await;
    // One that was dropped, as by a process that ended, is in nobody's way.
    drop(second.definer(&[]).await.expect("a definer"));
    let mut again = second.definer(&[]).await.expect("a definer");
    for table in ["defined_1", "defined_2", "defined_4"] {
        let drop = format!("DROP TABLE {}", name(table));
        again.execute(&drop).await.expect("drop");
    }
    again.close().await;
}

/// What is committed can be read by anybody, and reading it fences nobody.
pub async fn what_is_applied_can_be_read_without_claiming(bed: &dyn SinkBed) {
    let setup = Setup::new(bed, "reads", TableShape::Keyed).await;
    let applied = async || setup.sink.applied(&setup.component).await.expect("applied");
    assert_eq!(applied().await, None);
    let claim = setup.claim(1, 2).await;
    assert_eq!(applied().await, None);
    let mut applier = claim.applier(LaneId(1)).await.expect("applier");
    applier.begin().await.expect("begin");
    assert_eq!(applied().await, None, "nothing is committed");
    applier.commit(&state(4, &[6])).await.expect("commit");
    let seen = applied().await.expect("a checkpoint");
    assert_eq!(seen.watermark, state(4, &[]).watermark);
    assert_eq!(seen.above.ranges(), [(6, 6)]);
    applier.begin().await.expect("the owner is not fenced");
}

/// The records that a sink keeps.
struct Records(Arc<dyn Sink>);

#[async_trait]
impl RecordBed for Records {
    async fn claim(&self, component: &ComponentId, epoch: Epoch) -> Result<Arc<dyn RecordWriter>, Failure> {
        let token = ClaimToken {
            component: component.clone(),
            epoch,
        };
        let options = SinkOptions {
            tables: Arc::default(),
            lanes: 0,
        };
        self.0.claim(token, options).await?.record_writer()
    }

    fn reader(&self, component: &ComponentId) -> Arc<dyn RecordReader> {
        self.0.records(component).expect("the sink keeps records")
    }

    async fn forget(&self, component: &ComponentId) {
        self.0.forget(component).await.expect("forget");
    }
}
