//! Accounts that may not do what they must.

use oms_cluster_tests::{Scenario, ServerKind};
use oms_proto::v1::{StepKind, StepState};

use crate::words::mentions;

/// Each missing privilege is named; granted, the project goes on.
#[tokio::test(flavor = "multi_thread")]
async fn missing_privileges_are_named() {
    let scenario = Scenario::start(ServerKind::Mysql97, ServerKind::Mysql97)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.seen (id INT PRIMARY KEY)",
        "CREATE TABLE shop.hidden (id INT PRIMARY KEY)",
        "INSERT INTO shop.seen VALUES (1)",
        "INSERT INTO shop.hidden VALUES (1)",
        "REVOKE ALL PRIVILEGES ON *.* FROM 'oms'@'%'",
        "GRANT REPLICATION CLIENT ON *.* TO 'oms'@'%'",
        "GRANT SELECT ON shop.seen TO 'oms'@'%'",
        // Visible, but not readable.
        "GRANT INSERT ON shop.hidden TO 'oms'@'%'",
    ];
    root.run_all(&statements).await.unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    let statements = [
        "REVOKE ALL PRIVILEGES ON *.* FROM 'oms'@'%'",
        "GRANT SELECT, UPDATE, DELETE, ALTER, INDEX, DROP, REFERENCES ON *.* TO 'oms'@'%'",
    ];
    there.run_all(&statements).await.unwrap();
    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-PRECHECK-0001", "{message}");
    mentions(
        &message,
        &[
            "OMS-SRC-0005",
            "REPLICATION SLAVE ON *.*",
            "SELECT ON `shop`.`hidden`",
            "OMS-DST-0005",
            "INSERT ON `shop`.*",
            "CREATE ON `shop`.*",
            "INSERT ON `omsnode_meta`.*",
        ],
    );
    assert!(!message.contains("SELECT ON `shop`.`seen`"), "{message}");

    let statements = [
        "GRANT REPLICATION SLAVE ON *.* TO 'oms'@'%'",
        "GRANT SELECT ON shop.hidden TO 'oms'@'%'",
    ];
    root.run_all(&statements).await.unwrap();
    project.resume(node).await.unwrap().unwrap();
    let (_, message) = project.wait_failed(node).await.unwrap();
    assert!(
        !message.contains("OMS-SRC-") && message.contains("OMS-DST-0005"),
        "{message}"
    );
    there
        .query_drop("GRANT INSERT, CREATE ON *.* TO 'oms'@'%'")
        .await
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    scenario.assert_equal("shop", &["seen", "hidden"]).await.unwrap();

    // A privilege that is taken away in the middle; global ones count from the next login on. First it is missing on
    // the project's own tables, which are written first, then on the user's: the one that is missing is named.
    let mut id = 1;
    for (left, named) in [
        ("GRANT SELECT ON *.* TO 'oms'@'%'", "`omsnode_meta`.`record_v1`"),
        ("GRANT INSERT ON omsnode_meta.* TO 'oms'@'%'", "'seen'"),
    ] {
        id += 1;
        project.pause(node).await.unwrap().unwrap();
        let statements = ["REVOKE INSERT ON *.* FROM 'oms'@'%'", left];
        there.run_all(&statements).await.unwrap();
        let insert = format!("INSERT INTO shop.seen VALUES ({id})");
        root.query_drop(&insert).await.unwrap();
        project.resume(node).await.unwrap().unwrap();
        let (code, message) = project.wait_failed(node).await.unwrap();
        assert_eq!(code, "OMS-DST-0005", "{message}");
        mentions(&message, &["INSERT", named]);
        there
            .query_drop("GRANT INSERT ON *.* TO 'oms'@'%'")
            .await
            .unwrap();
        project.resume(node).await.unwrap().unwrap();
        project.wait_caught_up(node).await.unwrap();
    }
    scenario.assert_equal("shop", &["seen"]).await.unwrap();
}
