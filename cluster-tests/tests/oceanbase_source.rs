//! Whole projects from OceanBase, which has no log that could be followed: it is read in rounds.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use oms_cluster_tests::{LOAD_TABLES, Load, LoadOptions, Scenario, ServerKind};
use oms_proto::v1::{
    AddObjectsRequest, CreateProjectRequest, DatabaseSelection, DdlSynchronization, ProjectSpec, StepKind,
    StepState, TableSelection,
};

const OTHERS: [&str; 7] = [
    "swaps", "parted", "large", "loose", "noted", "parents", "children",
];

/// Tables beside those of the load.
async fn prepare(scenario: &Scenario) {
    let mut client = scenario.source.client().await.unwrap();
    let long: Vec<String> = (100..112)
        .map(|id| format!("({id}, REPEAT('x', 900000))"))
        .collect();
    let statements = [
        "CREATE TABLE load.swaps (id INT PRIMARY KEY, u INT NOT NULL, w VARCHAR(20), UNIQUE KEY u (u), UNIQUE KEY w (w))",
        "CREATE TABLE load.parted (id INT, r INT, v VARCHAR(40), PRIMARY KEY (id, r)) \
         PARTITION BY RANGE (r) (PARTITION p0 VALUES LESS THAN (100), PARTITION p1 VALUES LESS THAN (1000))",
        "CREATE TABLE load.large (id INT PRIMARY KEY, t LONGTEXT, b LONGBLOB, j JSON)",
        "CREATE TABLE load.noted (a INT, t TEXT)",
        "CREATE TABLE load.parents (id INT PRIMARY KEY, CONSTRAINT plus CHECK (id > 0))",
        "CREATE TABLE load.children (id INT PRIMARY KEY, p INT, CONSTRAINT f FOREIGN KEY (p) REFERENCES load.parents (id))",
        "CREATE TABLE load.loose (a INT, b VARCHAR(20)) PARTITION BY HASH (a) PARTITIONS 3",
        "INSERT INTO load.swaps VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, 4, NULL)",
        "INSERT INTO load.parted VALUES (1, 1, 'x'), (2, 200, 'y'), (3, 99, 'z')",
        "INSERT INTO load.large VALUES (1, REPEAT('ä', 400000), REPEAT(X'00ff', 300000), '{\"a\": [1, 2]}'), (2, NULL, '', NULL)",
        // More bytes of changes, when all of them are updated, than a round holds before it asks for deletes.
        &format!("INSERT INTO load.large (id, t) VALUES {}", long.join(", ")),
        "INSERT INTO load.noted VALUES (1, 'x'), (2, 'same'), (2, 'same'), (3, 'y')",
        "INSERT INTO load.parents VALUES (1), (2)",
        "INSERT INTO load.children VALUES (1, 1), (2, 2), (3, NULL)",
        "INSERT INTO load.loose VALUES (1, 'same'), (1, 'same'), (2, 'other'), (NULL, NULL)",
    ];
    for statement in statements {
        client.query_drop(statement).await.unwrap();
    }
    client.close().await.unwrap();
}

/// Changes that no order of updates could follow, and some of each other kind.
async fn change(scenario: &Scenario) {
    let mut client = scenario.source.client().await.unwrap();
    let statements = [
        "BEGIN",
        "UPDATE load.swaps SET u = 100 WHERE id = 1",
        "UPDATE load.swaps SET u = 1, w = NULL WHERE id = 2",
        "UPDATE load.swaps SET u = 2, w = 'b' WHERE id = 1",
        "UPDATE load.swaps SET id = 30 WHERE id = 3",
        "INSERT INTO load.swaps VALUES (3, 300, 'd')",
        "COMMIT",
        "UPDATE load.parted SET r = 300 WHERE id = 1",
        "DELETE FROM load.parted WHERE id = 3",
        "UPDATE load.large SET t = REPEAT('é', 300000), j = '{\"b\": 2.5}' WHERE id = 1",
        "INSERT INTO load.large VALUES (3, 'new', REPEAT(X'01', 2000000), '[]')",
        "BEGIN",
        "DELETE FROM load.large WHERE id IN (2, 111)",
        "UPDATE load.large SET t = REPEAT('y', 900001) WHERE id >= 100",
        "INSERT INTO load.large (id, t) VALUES (200, 'new')",
        "COMMIT",
        "UPDATE load.noted SET t = 'updated' WHERE a = 1",
        "DELETE FROM load.noted WHERE a = 2 LIMIT 1",
        "INSERT INTO load.noted VALUES (4, 'z')",
        "DELETE FROM load.children WHERE p = 1",
        "DELETE FROM load.parents WHERE id = 1",
        "INSERT INTO load.parents VALUES (3)",
        "INSERT INTO load.children VALUES (4, 3)",
        "DELETE FROM load.loose WHERE a = 1 LIMIT 1",
        "INSERT INTO load.loose VALUES (2, 'other'), (2, 'other'), (5, NULL)",
        "UPDATE load.loose SET b = 'moved', a = 7 WHERE a IS NULL",
    ];
    for statement in statements {
        client.query_drop(statement).await.unwrap();
    }
    client.close().await.unwrap();
}

async fn moves_under_load(destination: ServerKind) {
    let mut scenario = Scenario::start(ServerKind::SeekDb, destination).await.unwrap();
    let options = LoadOptions {
        rate: 60,
        connections: 2,
        ..Default::default()
    };
    Load::prepare(&scenario.source, &options, 2_000).await.unwrap();
    prepare(&scenario).await;
    let load = Load::start(&scenario.source, &options).await.unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let project = scenario.project.clone();
    project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    change(&scenario).await;
    project.wait_caught_up(&scenario.node).await.unwrap();
    // Rounds go on from the last durable position, and what was half captured is void.
    scenario.node.kill().unwrap();
    scenario.node.restart().await.unwrap();
    let mut client = scenario.source.client().await.unwrap();
    client
        .query_drop("UPDATE load.swaps SET w = CONCAT(id, 'w')")
        .await
        .unwrap();
    let counters = load.stop().await.unwrap();
    assert!(
        counters.inserts > 0 && counters.updates > 0 && counters.deletes > 0,
        "{counters:?}"
    );
    project.wait_caught_up(&scenario.node).await.unwrap();
    let tables: Vec<&str> = LOAD_TABLES.into_iter().chain(OTHERS).collect();
    let rows = scenario.assert_equal("load", &tables).await.unwrap();
    println!("{destination}: {rows} rows are equal after {counters:?}");
    let verified = project.verify(&scenario.node).await.unwrap();
    assert!(verified.consistent, "{verified:?}");

    // What cannot be compared stops the project, and nothing of it is applied.
    let mut there = scenario.destination.client().await.unwrap();
    let query = "SELECT COUNT(*) FROM load.parted WHERE r >= 100";
    let before = there.query_count(query).await.unwrap();
    assert!(before > 0);
    client
        .query_drop("ALTER TABLE load.parted TRUNCATE PARTITION p1")
        .await
        .unwrap();
    let (code, message) = project.wait_failed(&scenario.node).await.unwrap();
    assert_eq!(code, "OMS-SRC-0019", "{message}");
    assert!(message.contains("`load`.`parted`"), "{message}");
    assert_eq!(there.query_count(query).await.unwrap(), before);
}

/// Statements that define cannot be followed, tables not be merged, and none be added.
#[tokio::test(flavor = "multi_thread")]
async fn refuses_what_rounds_cannot_do() {
    let scenario = Scenario::start(ServerKind::SeekDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.one (id INT PRIMARY KEY)",
        "CREATE TABLE shop.two (id INT PRIMARY KEY)",
        "INSERT INTO shop.one VALUES (1)",
    ];
    root.run_all(&statements).await.unwrap();
    let only = |table: &str| DatabaseSelection {
        name: "shop".into(),
        tables: vec![TableSelection {
            name: table.into(),
            ..TableSelection::default()
        }],
        ..DatabaseSelection::default()
    };
    let spec = ProjectSpec {
        databases: vec![only("one")],
        ..scenario.spec(&[])
    };
    let mut client = scenario.node.projects().await.unwrap();
    let mut follows = spec.clone();
    follows.incremental.get_or_insert_default().ddl = DdlSynchronization::Follow.into();
    let merges = ProjectSpec {
        merge_tables: true,
        ..spec.clone()
    };
    for (spec, words) in [(follows, "incremental.ddl"), (merges, "merge_tables")] {
        let request = CreateProjectRequest { spec: Some(spec) };
        let refused = client.create_project(request).await.unwrap_err();
        assert!(refused.message().contains(words), "{}", refused.message());
        assert!(
            refused.message().contains("OceanBase source"),
            "{}",
            refused.message()
        );
    }
    scenario.launch(spec).await.unwrap();
    let project = &scenario.project;
    project.wait_caught_up(&scenario.node).await.unwrap();
    let request = AddObjectsRequest {
        project: project.name.clone(),
        databases: vec![only("two")],
    };
    let refused = client.add_objects(request).await.unwrap_err();
    assert!(
        refused.message().contains("OceanBase source"),
        "{}",
        refused.message()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn to_mysql97() {
    moves_under_load(ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_mariadb() {
    moves_under_load(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn to_oceanbase() {
    moves_under_load(ServerKind::SeekDb).await;
}
