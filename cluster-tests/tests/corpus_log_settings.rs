//! The corpus again, from sources that write their logs in other ways.
#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{CorpusRun, ServerKind};

async fn arrives(run: CorpusRun) {
    if let Err(error) = run.run().await {
        panic!("{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql97_with_compressed_transactions_and_partial_json() {
    arrives(
        CorpusRun::new(ServerKind::Mysql97, ServerKind::Mysql97)
            .set("binlog_transaction_compression", "ON")
            .set("binlog_row_value_options", "PARTIAL_JSON"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_with_compressed_events() {
    arrives(
        CorpusRun::new(ServerKind::MariaDb, ServerKind::MariaDb)
            .set("log_bin_compress", "ON")
            .set("log_bin_compress_min_len", "10"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_without_a_checksum() {
    for source in ServerKind::SOURCES {
        arrives(CorpusRun::new(source, ServerKind::Mysql97).set("binlog_checksum", "NONE")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_files_and_offsets() {
    for source in [ServerKind::Mysql56, ServerKind::Mysql97] {
        arrives(CorpusRun::new(source, ServerKind::Mysql97).gtid(false)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn images_without_unchanged_blobs() {
    for source in ServerKind::SOURCES {
        let run = CorpusRun::new(source, ServerKind::Mysql97).set("binlog_row_image", "NOBLOB");
        arrives(run.partial_rows()).await;
    }
}

/// Inserts into these leave columns to their defaults, and a minimal image does not say what those were.
const INSERTS_WITH_DEFAULTS: [&str; 3] = ["types_generated", "commented", "default_expression"];

/// Rows of these go or change while a minimal image holds the primary key only: which value of the other unique key
/// becomes free is unknown, so their order is too, and such changes are refused. What refers to them goes along.
const SECOND_UNIQUE_KEYS: [&str; 8] = [
    "two_uniques",
    "index_prefix",
    "index_functional",
    "touched",
    "generated_keys",
    "fk_parent",
    "fk_child",
    "view_joined",
];

/// The key of this one holds the beginning of a column only. Its rows are found by all their values, and a minimal image has
/// just those of the key.
const PREFIX_KEY: [&str; 1] = ["key_prefix"];

#[tokio::test(flavor = "multi_thread")]
async fn images_of_what_changed_only() {
    for source in ServerKind::SOURCES {
        let run = CorpusRun::new(source, ServerKind::Mysql97).set("binlog_row_image", "MINIMAL");
        let run = run
            .exclude(&INSERTS_WITH_DEFAULTS)
            .exclude(&SECOND_UNIQUE_KEYS)
            .exclude(&PREFIX_KEY);
        arrives(run.partial_rows()).await;
    }
}

/// Instead of guessing a default, the project stops and names the table.
#[tokio::test(flavor = "multi_thread")]
async fn inserts_whose_image_lacks_defaults_are_refused() {
    let run = CorpusRun::new(ServerKind::MariaDb, ServerKind::MariaDb)
        .set("binlog_row_image", "MINIMAL")
        .partial_rows();
    let error = run.run().await.unwrap_err().to_string();
    assert!(
        error.contains("OMS-APPLY-0007") && error.contains("an insert without all columns"),
        "{error}"
    );
    assert!(INSERTS_WITH_DEFAULTS.iter().any(|t| error.contains(t)), "{error}");
}

/// TIMESTAMP is a moment whatever the zone that its writer thinks in.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_another_time_zone() {
    for (source, destination) in [
        (ServerKind::MariaDb, ServerKind::SeekDb),
        (ServerKind::Mysql56, ServerKind::MariaDb),
        (ServerKind::Mysql97, ServerKind::Mysql97),
    ] {
        arrives(CorpusRun::new(source, destination).session("SET SESSION time_zone = '-03:30'")).await;
    }
}
