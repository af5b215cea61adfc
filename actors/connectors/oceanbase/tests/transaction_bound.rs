//! How long transactions may take at OceanBase, and what that is good for.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "../../mysql/tests/sink_bed/mod.rs"]
mod sink_bed;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use oms_cluster_tests::ServerKind;
use oms_core::{
    AppliedSet, Applier, ApplyMode, ClaimToken, Epoch, LaneId, LaneState, RowOp, Sink, SinkOptions,
    TableName, TablePair, Watermark,
    testing::{
        TableShape, numbered_position,
        sink::{Freezer as _, SinkBed as _},
    },
};
use oms_mysql::{
    connection::Endpoint,
    sink::{MetaTables, MysqlSink},
};
use oms_oceanbase::OceanBaseDialect;
use sink_bed::{Bed, ProxyFreezer, endpoint};

const ORDINARY: Duration = Duration::from_secs(6);

fn bounded(endpoint: Endpoint) -> Arc<dyn Sink> {
    let dialect = OceanBaseDialect {
        ordinary: ORDINARY,
        streamed: Duration::from_secs(60),
    };
    Arc::new(MysqlSink::with_dialect(
        endpoint,
        Arc::new(dialect),
        MetaTables::default(),
    ))
}

fn state(applied: u64) -> LaneState {
    LaneState {
        watermark: Watermark {
            applied,
            position: numbered_position(applied),
        },
        above: AppliedSet::default(),
    }
}

fn insert(id: i64) -> RowOp {
    RowOp {
        table: 0,
        mode: ApplyMode::Strict,
        before: None,
        after: Some(TableShape::row(id, None, Some("x"))),
        origin: None,
    }
}

async fn applier(bed: &Bed, sink: &dyn Sink, name: &str) -> Box<dyn Applier> {
    let table = TableName::new("sink_contract", name);
    bed.create_table(&table, TableShape::Keyed).await;
    let loaded = sink.load_tables(std::slice::from_ref(&table)).await.unwrap();
    let source = TableShape::Keyed.schema(TableName::new("source", name));
    let pair = TablePair::by_name(source, Arc::new(loaded[0].clone().unwrap())).unwrap();
    let token = ClaimToken {
        component: format!("p_{name}.incr-sync").parse().unwrap(),
        epoch: Epoch(1),
    };
    let options = SinkOptions {
        tables: Arc::new(vec![pair]),
        lanes: 1,
    };
    let claim = sink.claim(token, options).await.unwrap();
    claim.applier(LaneId(0)).await.unwrap()
}

/// Writes a row now and then for longer than an ordinary transaction may take.
async fn write_slowly(applier: &mut dyn Applier, first: i64) -> Result<(), oms_core::Failure> {
    let begun = Instant::now();
    for id in first.. {
        applier.write(&[insert(id)]).await?;
        if begun.elapsed() > ORDINARY + Duration::from_secs(3) {
            return applier.commit(&state(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}

async fn a_streamed_transaction_may_take_longer(bed: &Bed) {
    let sink = bounded(endpoint(&bed.server));
    let mut slow = applier(bed, &*sink, "slow").await;
    slow.begin().await.unwrap();
    let refused = write_slowly(&mut *slow, 0).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    drop(slow);
    let mut streamed = applier(bed, &*sink, "streamed").await;
    streamed.begin_streamed().await.unwrap();
    write_slowly(&mut *streamed, 0).await.unwrap();
    // The next ordinary one of the same lane is bounded again.
    streamed.begin().await.unwrap();
    let refused = write_slowly(&mut *streamed, 1_000).await.unwrap_err();
    assert!(refused.is_transient(), "{refused}");
    let rows = bed.rows(&TableName::new("sink_contract", "streamed")).await;
    assert!(rows.len() > 5, "{} rows are committed", rows.len());
}

/// Nobody ends the session of the frozen process here; its lock goes when the bound is reached.
async fn the_bound_frees_what_an_abandoned_transaction_holds(bed: &Bed) {
    let at = endpoint(&bed.server);
    let through = |port| bounded(Endpoint { port, ..at.clone() });
    let freezer = ProxyFreezer::start(bed.server.port(), through).await;
    let mut abandoned = applier(bed, &*freezer.sink(), "abandoned").await;
    abandoned.begin().await.unwrap();
    abandoned.write(&[insert(1)]).await.unwrap();
    freezer.freeze_after(0);
    let begun = Instant::now();
    let mut other = bed.server.client().await.unwrap();
    other
        .query_drop(
            "SET SESSION ob_query_timeout = 120000000, ob_trx_timeout = 120000000, ob_trx_lock_timeout = -1",
        )
        .await
        .unwrap();
    let fence =
        "UPDATE omsnode_meta.fence_v1 SET turn = turn WHERE component = 'p_abandoned.incr-sync' AND lane = 0";
    other.query_drop(fence).await.unwrap();
    let waited = begun.elapsed();
    println!("the lock of an abandoned transaction was free after {waited:?}");
    assert!(waited > Duration::from_secs(1), "it was not held: {waited:?}");
    // The server looks for such transactions every few seconds. Without a session's own bound it is 20 s of idleness.
    assert!(waited < ORDINARY + Duration::from_secs(10), "{waited:?}");
    // What the process does when it wakes up is refused.
    freezer.freeze_after(u64::MAX);
    assert!(abandoned.commit(&state(1)).await.is_err());
    let rows = bed.rows(&TableName::new("sink_contract", "abandoned")).await;
    assert!(rows.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_bounded() {
    let bed = Bed::start(ServerKind::SeekDb, bounded).await;
    a_streamed_transaction_may_take_longer(&bed).await;
    the_bound_frees_what_an_abandoned_transaction_holds(&bed).await;
    bed.finish().await;
}
