//! The contract of sinks on a real OceanBase kernel.

#[path = "../../mysql/tests/sink_bed/mod.rs"]
mod sink_bed;

use std::sync::Arc;

use oms_cluster_tests::ServerKind;
use oms_core::{Sink, codes, testing::sink};
use oms_mysql::{connection::Endpoint, sink::MysqlSink};
use oms_oceanbase::OceanBaseSink;
use sink_bed::Bed;

fn oceanbase(endpoint: Endpoint) -> Arc<dyn Sink> {
    Arc::new(OceanBaseSink::new(endpoint))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_owner() {
    let bed = Bed::start(ServerKind::SeekDb, oceanbase).await;
    sink::a_claim_ends_what_stands_still_anywhere(&bed).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn seekdb() {
    let bed = Bed::start(ServerKind::SeekDb, oceanbase).await;
    sink::run_all(&bed).await;
    // The wrong kind of data source is named instead of being written to with the wrong dialect.
    let wrong = MysqlSink::new(sink_bed::endpoint(&bed.server));
    let refused = wrong.load_tables(&[oms_core::TableName::new("a", "b")]).await;
    let failure = refused.expect_err("the server is no MySQL");
    assert_eq!(failure.code(), codes::dst::STATEMENT_FAILED);
    assert!(failure.detail().contains("OceanBase"), "{failure}");
    bed.finish().await;
}
