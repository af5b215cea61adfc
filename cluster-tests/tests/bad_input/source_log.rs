//! A source whose log is not what it must be.

use oms_cluster_tests::{LOAD_TABLES, Load, LoadOptions, OmsNode, Scenario, ServerKind, ServerOptions};
use oms_proto::v1::{IncrementalOptions, PartialRows, ProjectSpec, StepKind, StepState};

use crate::words::{item, mentions};

/// The source's log is wrong in every way in turn; each is named by variable, and mended the project goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_source_does_not_log_as_it_must() {
    let mut scenario = Scenario::start_with(
        ServerKind::Mysql97,
        ServerOptions::source().gtid(false).binlog(false),
        ServerKind::SeekDb,
        ServerOptions::destination(),
    )
    .await
    .unwrap();
    Load::prepare(&scenario.source, &LoadOptions::default(), 200)
        .await
        .unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let project = scenario.project.clone();
    let failed = async |node: &OmsNode| {
        let (code, message) = project.wait_failed(node).await.unwrap();
        assert_eq!(code, "OMS-PRECHECK-0001", "{message}");
        message
    };
    let message = failed(&scenario.node).await;
    mentions(&message, &["DB_INCR_LOG", "OMS-SRC-0006"]);

    let options = ServerOptions::source()
        .gtid(false)
        .set("binlog_format", "STATEMENT")
        .set("binlog_row_image", "MINIMAL");
    scenario.source.restart_with(options).await.unwrap();
    project.resume(&scenario.node).await.unwrap().unwrap();
    let message = failed(&scenario.node).await;
    mentions(
        &message,
        &[
            "OMS-SRC-0007",
            "binlog_format is STATEMENT",
            "OMS-SRC-0015",
            "binlog_row_image is MINIMAL",
        ],
    );

    let mut root = scenario.source.client().await.unwrap();
    root.query_drop("SET GLOBAL binlog_format = 'ROW'").await.unwrap();
    project.resume(&scenario.node).await.unwrap().unwrap();
    let message = failed(&scenario.node).await;
    mentions(&message, &["OMS-SRC-0015"]);
    assert!(!message.contains("OMS-SRC-0007"), "{message}");
    let items = project.precheck_items(&scenario.node).await.unwrap();
    let item = item(&items, "DB_INCR_LOG");
    mentions(&item.action, &["binlog_row_image=FULL"]);
    // Nothing was begun at the destination.
    let mut there = scenario.destination.client().await.unwrap();
    let databases = there.query_strings("SHOW DATABASES").await.unwrap();
    assert!(
        !databases.iter().any(|d| d[0] == "load" || d[0] == "omsnode_meta"),
        "{databases:?}"
    );

    root.query_drop("SET GLOBAL binlog_row_image = 'FULL'")
        .await
        .unwrap();
    project.resume(&scenario.node).await.unwrap().unwrap();
    // Without GTIDs, a table without a key needs one more privilege.
    let message = failed(&scenario.node).await;
    mentions(
        &message,
        &["OMS-SRC-0005", "PROCESS ON *.*", "`load`.`load_nokey`"],
    );
    root.query_drop("GRANT PROCESS ON *.* TO 'oms'@'%'")
        .await
        .unwrap();
    // Its copy does not mind that the table is written to meanwhile.
    let load = Load::start(&scenario.source, &LoadOptions::default())
        .await
        .unwrap();
    project.resume(&scenario.node).await.unwrap().unwrap();
    project
        .wait_step(&scenario.node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    load.stop().await.unwrap();
    project.wait_caught_up(&scenario.node).await.unwrap();
    assert!(project.verify(&scenario.node).await.unwrap().consistent);
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
}

/// One session logs a statement instead of rows: the project stops there, by position, and does not step over it.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_in_the_middle_of_the_log() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)",
        "INSERT INTO shop.t VALUES (1, 1), (2, 2)",
    ];
    root.run_all(&statements).await.unwrap();
    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    let statements = [
        "UPDATE shop.t SET v = 10 WHERE id = 1",
        "SET SESSION binlog_format = 'STATEMENT'",
        "UPDATE shop.t SET v = 7654321 WHERE id = 2",
        "SET SESSION binlog_format = 'ROW'",
        "UPDATE shop.t SET v = 30 WHERE id = 1",
    ];
    root.run_all(&statements).await.unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    for _ in 0..2 {
        let (code, message) = project.wait_failed(node).await.unwrap();
        assert_eq!(code, "OMS-SRC-0007", "{message}");
        mentions(&message, &["binlog.0"]);
        assert!(
            !message.contains("7654321"),
            "a value is in the message: {message}"
        );
        // It stays stopped there when somebody only resumes.
        project.resume(node).await.unwrap().unwrap();
    }
    project.wait_failed(node).await.unwrap();
    let rows = there
        .query_strings("SELECT v FROM shop.t ORDER BY id")
        .await
        .unwrap();
    assert_eq!(rows[1], ["2"], "{rows:?}");
    assert_ne!(rows[0], ["30"], "what follows the statement was applied");
}

/// Partial row images are refused by default, also from one session in the middle; by policy they are applied.
#[tokio::test(flavor = "multi_thread")]
async fn partial_rows() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let options = LoadOptions::default();
    Load::prepare(&scenario.source, &options, 200).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let mut root = scenario.source.client().await.unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    let statements = [
        "SET SESSION binlog_row_image = 'MINIMAL'",
        "UPDATE load.load_single SET n = n + 1 LIMIT 3",
    ];
    root.run_all(&statements).await.unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-SRC-0015", "{message}");
    mentions(&message, &["binlog.0"]);
    project.release(node).await.unwrap().unwrap();
    project.wait_released(node).await.unwrap();
    project.delete(node).await.unwrap().unwrap();

    let mut there = scenario.destination.client().await.unwrap();
    there.query_drop("DROP DATABASE `load`").await.unwrap();
    root.query_drop("SET GLOBAL binlog_row_image = 'MINIMAL'")
        .await
        .unwrap();
    let spec = ProjectSpec {
        incremental: Some(IncrementalOptions {
            partial_rows: PartialRows::Apply as i32,
            ..Default::default()
        }),
        ..scenario.spec(&["load"])
    };
    scenario.launch(spec).await.unwrap();
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    let load = Load::start(&scenario.source, &options).await.unwrap();
    while load.counters().updates < 200 {
        tokio::task::yield_now().await;
    }
    load.stop().await.unwrap();
    project.wait_caught_up(node).await.unwrap();
    assert!(project.verify(node).await.unwrap().consistent);
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
}
