//! Every type at its limits, by the log and by queries: equal bytes.
#![allow(clippy::unwrap_used)]

mod binlog_bed;

use binlog_bed::{Bed, apply, assert_equal};
use oms_cluster_tests::{Corpus, ServerKind, ServerOptions};

/// Follows the corpus from its first row, and the content that the log tells must be the content
/// that queries read, byte by byte.
async fn corpus_is_equal(kind: ServerKind, options: ServerOptions) {
    let mut bed = Bed::start(kind, options).await;
    let corpus = Corpus::new(kind, "corpus");
    bed.client.run_all(&corpus.create).await.unwrap();
    // The cascades of foreign keys are in the log from MySQL 9.6 on only.
    let cascades_are_logged = kind == ServerKind::Mysql97;
    let names: Vec<&str> = corpus.tables.iter().map(String::as_str).collect();
    let names: Vec<&str> = names
        .into_iter()
        .filter(|n| cascades_are_logged || *n != "fk_child")
        .collect();
    let tables = bed.tables("corpus", &names).await;
    let start = bed.position().await;
    bed.client.run_all(&corpus.seed).await.unwrap();
    bed.client.run_all(&corpus.mutate).await.unwrap();
    let end = bed.position().await;
    let events = bed.events(&tables, &start, &end).await;
    let mut logged = binlog_bed::Content::new();
    apply(&mut logged, &events);
    let queried = bed.content(&tables).await;
    assert!(queried.len() > 50, "the corpus is empty");
    assert_equal(&tables, &logged, &queried);
}

#[tokio::test]
async fn mariadb() {
    corpus_is_equal(ServerKind::MariaDb, ServerOptions::source()).await;
}

#[tokio::test]
async fn mariadb_compressed() {
    let options = ServerOptions::source()
        .set("log_bin_compress", "ON")
        .set("log_bin_compress_min_len", "10");
    corpus_is_equal(ServerKind::MariaDb, options).await;
}

#[tokio::test]
async fn mariadb_with_its_own_time_formats_and_without_checksums() {
    let options = ServerOptions::source()
        .set("mysql56_temporal_format", "OFF")
        .set("binlog_checksum", "NONE");
    corpus_is_equal(ServerKind::MariaDb, options).await;
}

#[tokio::test]
async fn mysql56() {
    corpus_is_equal(ServerKind::Mysql56, ServerOptions::source()).await;
}

#[tokio::test]
async fn mysql56_without_gtid_and_checksums() {
    let options = ServerOptions::source().gtid(false).set("binlog_checksum", "NONE");
    corpus_is_equal(ServerKind::Mysql56, options).await;
}

#[tokio::test]
async fn mysql97() {
    corpus_is_equal(ServerKind::Mysql97, ServerOptions::source()).await;
}

#[tokio::test]
async fn mysql97_compressed_with_partial_json() {
    let options = ServerOptions::source()
        .set("binlog_transaction_compression", "ON")
        .set("binlog_row_value_options", "PARTIAL_JSON");
    corpus_is_equal(ServerKind::Mysql97, options).await;
}

#[tokio::test]
async fn mysql97_without_gtid_and_checksums() {
    let options = ServerOptions::source().gtid(false).set("binlog_checksum", "NONE");
    corpus_is_equal(ServerKind::Mysql97, options).await;
}
