//! Objects that are not there or cannot move.

use oms_cluster_tests::{Scenario, ServerKind};
use oms_proto::v1::{
    CreateProjectRequest, DatabaseSelection, ObjectDecision, PrecheckOptions, PrecheckStatus, ProjectSpec,
    StepKind, StepState, TableSelection, ValidateProjectRequest,
};

use crate::words::{item, mentions, says, whole};

/// Objects that are not there or cannot move are named one by one.
#[tokio::test(flavor = "multi_thread")]
async fn objects_that_cannot_move() {
    let scenario = Scenario::start(ServerKind::Mysql97, ServerKind::SeekDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.fine (id INT PRIMARY KEY, v INT)",
        "INSERT INTO shop.fine VALUES (1, 1)",
        "CREATE TABLE shop.old (id INT PRIMARY KEY, v INT) ENGINE=MyISAM",
        "INSERT INTO shop.old VALUES (1, 1)",
        "CREATE TABLE shop.vectors (id INT PRIMARY KEY, v VECTOR(3))",
        "CREATE TABLE shop.floating (f FLOAT PRIMARY KEY)",
    ];
    root.run_all(&statements).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let table = |name: &str| TableSelection {
        name: name.into(),
        ..Default::default()
    };
    let only = |tables: &[&str], exclude: &[&str]| ProjectSpec {
        databases: vec![DatabaseSelection {
            tables: tables.iter().map(|t| table(t)).collect(),
            exclude: exclude.iter().map(|t| (*t).to_owned()).collect(),
            ..whole("shop")
        }],
        ..scenario.spec(&[])
    };
    let mut client = node.projects().await.unwrap();
    let mut refused = async |spec: ProjectSpec, code: &str, words: &[&str]| {
        let request = CreateProjectRequest { spec: Some(spec) };
        says(client.create_project(request).await, code, words);
    };
    refused(
        only(&["fine", "nothing"], &[]),
        "OMS-SRC-0011",
        &["`shop`.`nothing`"],
    )
    .await;
    refused(only(&[], &["nothing"]), "OMS-SRC-0011", &["`shop`.`nothing`"]).await;
    refused(scenario.spec(&["nowhere"]), "OMS-SRC-0011", &["nowhere"]).await;
    refused(scenario.spec(&["mysql"]), "OMS-API-0001", &["mysql", "server"]).await;
    refused(
        ProjectSpec {
            source: "none".into(),
            ..scenario.spec(&["shop"])
        },
        "OMS-API-0002",
        &["source", "\"none\""],
    )
    .await;
    // A key that no item has is a mistake, not a wish.
    let skipping = |keys: &[&str], spec: ProjectSpec| ProjectSpec {
        precheck: Some(PrecheckOptions {
            skip: keys.iter().map(|k| (*k).to_owned()).collect(),
        }),
        ..spec
    };
    refused(
        skipping(&["DB_ENGIN"], scenario.spec(&["shop"])),
        "OMS-API-0001",
        &["precheck.skip", "DB_ENGIN"],
    )
    .await;

    let request = ValidateProjectRequest {
        spec: Some(scenario.spec(&["shop"])),
        offline: false,
    };
    let found = client.validate_project(request).await.unwrap().into_inner();
    let engine = item(&found.items, "DB_ENGINE");
    mentions(&engine.message, &["OMS-SCHEMA-0003", "`shop`.`old`", "MyISAM"]);
    assert!(engine.skippable);
    mentions(&engine.action, &["InnoDB"]);
    let types = item(&found.items, "DB_DATA_TYPE");
    mentions(
        &types.message,
        &["OMS-SRC-0016", "`shop`.`vectors`", "`v`", "vector"],
    );
    let keys = item(&found.items, "DB_DATA_TYPE_INDEX");
    mentions(&keys.message, &["OMS-IMPORT-0003", "`shop`.`floating`"]);
    assert!(!keys.skippable && !keys.action.is_empty());

    // What can be skipped is skipped by name; what cannot be is not.
    let spec = skipping(
        &["DB_ENGINE", "DB_DATA_TYPE_INDEX"],
        only(&["fine", "old", "floating"], &[]),
    );
    scenario.launch(spec).await.unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-PRECHECK-0001");
    mentions(&message, &["DB_DATA_TYPE_INDEX", "`shop`.`floating`"]);
    assert!(!message.contains("DB_ENGINE"), "{message}");
    let items = project.precheck_items(node).await.unwrap();
    let engine = items.iter().find(|i| i.key == "DB_ENGINE").unwrap();
    assert_eq!(engine.status(), PrecheckStatus::Skipped, "{engine:?}");
    // Mended at the source, the same project goes on.
    root.query_drop("ALTER TABLE shop.floating MODIFY f INT NOT NULL")
        .await
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    // What was skipped by name is asked once more where it matters: how is the table to be created?
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-SCHEMA-0001", "{message}");
    mentions(&message, &["`shop`.`old`", "MyISAM"]);
    let edit = ["CREATE TABLE shop.old (id INT PRIMARY KEY, v INT)"];
    project
        .decide_table(node, ("shop", "old"), ObjectDecision::Edit, &edit)
        .await
        .unwrap()
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    scenario
        .assert_equal("shop", &["fine", "old", "floating"])
        .await
        .unwrap();
}
