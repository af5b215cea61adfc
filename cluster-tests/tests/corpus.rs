//! Every type at its limits, by both paths: half of it is there before the project starts and is read by
//! queries, the other half comes through the log.
#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{Corpus, CorpusRun, Scenario, ServerKind};

async fn arrives(source: ServerKind, destination: ServerKind) {
    if let Err(error) = CorpusRun::new(source, destination).run().await {
        panic!("{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_oceanbase() {
    arrives(ServerKind::MariaDb, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_mysql97() {
    arrives(ServerKind::MariaDb, ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_to_mariadb() {
    arrives(ServerKind::MariaDb, ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_oceanbase() {
    arrives(ServerKind::Mysql97, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_mysql97() {
    arrives(ServerKind::Mysql97, ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_to_mariadb() {
    arrives(ServerKind::Mysql97, ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql56_to_oceanbase() {
    arrives(ServerKind::Mysql56, ServerKind::SeekDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql56_to_mysql97() {
    arrives(ServerKind::Mysql56, ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql56_to_mariadb() {
    arrives(ServerKind::Mysql56, ServerKind::MariaDb).await;
}

/// What the tests above leave out is refused by name where it cannot be right.
#[tokio::test(flavor = "multi_thread")]
async fn children_of_cascades_that_are_not_logged_are_refused() {
    for source in [ServerKind::MariaDb, ServerKind::Mysql56] {
        let scenario = Scenario::start(source, ServerKind::MariaDb).await.unwrap();
        let failures = Corpus::precheck_failures(&scenario).await.unwrap();
        let refused = |f: &String| f.starts_with("DB_NO_FOREIGN_KEY") && f.contains("`copied`.`fk_child`");
        assert!(failures.iter().any(refused), "{source}: {failures:?}");
        assert!(
            failures.iter().all(|f| f.starts_with("DB_NO_FOREIGN_KEY")),
            "{source}: {failures:?}"
        );
        assert!(Corpus::excluded(source, ServerKind::MariaDb).contains(&"fk_child"));
    }
}
