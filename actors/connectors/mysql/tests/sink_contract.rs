//! The contract of sinks on real servers.

mod sink_bed;

use std::sync::Arc;

use oms_cluster_tests::{ServerKind, ServerOptions};
use oms_core::{Sink, testing::sink};
use oms_mysql::{connection::Endpoint, sink::MysqlSink};
use sink_bed::Bed;

fn mysql(endpoint: Endpoint) -> Arc<dyn Sink> {
    Arc::new(MysqlSink::new(endpoint))
}

async fn hold(bed: Bed) {
    sink::run_all(&bed).await;
    bed.finish().await;
}

async fn hold_when_frozen(bed: Bed) {
    sink::a_claim_ends_what_stands_still_anywhere(&bed).await;
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_owner_of_mariadb() {
    hold_when_frozen(Bed::start(ServerKind::MariaDb, mysql).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_owner_of_mysql_97() {
    hold_when_frozen(Bed::start(ServerKind::Mysql97, mysql).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() {
    hold(Bed::start(ServerKind::MariaDb, mysql).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_97() {
    hold(Bed::start(ServerKind::Mysql97, mysql).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_56() {
    hold(Bed::start(ServerKind::Mysql56, mysql).await).await;
}

/// A destination that logs statements refuses READ COMMITTED, and warns of every LIMIT.
#[tokio::test(flavor = "multi_thread")]
async fn mysql_56_with_a_statement_log() {
    let options = ServerOptions::source().set("binlog_format", "STATEMENT");
    hold(Bed::start_with(ServerKind::Mysql56, options, mysql).await).await;
}
