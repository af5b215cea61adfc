//! Several tables of a source that become one, between real servers.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use oms_cluster_tests::{Load, LoadOptions, Scenario, ServerKind};
use oms_proto::v1::{
    CreateProjectRequest, DatabaseSelection, DifferenceKind, MatchRules, ProjectSpec, ResumeProjectRequest,
    StepKind, StepState, TableSelection,
};

fn table(name: &str, to: &str, filter: &str) -> TableSelection {
    TableSelection {
        name: name.into(),
        rename_to: to.into(),
        filter: filter.into(),
        ..Default::default()
    }
}

fn database(name: &str, to: &str, tables: Vec<TableSelection>) -> DatabaseSelection {
    DatabaseSelection {
        name: name.into(),
        rename_to: to.into(),
        tables,
        ..Default::default()
    }
}

/// What the source's server says of the union, and what is to be at the destination.
const MERGED: [(&str, &str); 2] = [
    (
        "SELECT id, n, v, at FROM odd.load_single WHERE id % 2 = 1 UNION ALL \
         SELECT id, n, v, at FROM even.load_single WHERE id % 2 = 0 ORDER BY id",
        "SELECT id, n, v, at FROM whole.singles ORDER BY id",
    ),
    (
        "SELECT id, n, v, at FROM odd.load_unique WHERE id % 2 = 1 UNION ALL \
         SELECT id, n, v, at FROM even.load_unique WHERE id % 2 = 0 ORDER BY id",
        "SELECT id, n, v, at FROM whole.load_unique ORDER BY id",
    ),
];

async fn assert_merged(scenario: &Scenario) -> usize {
    let mut source = scenario.source.client().await.unwrap();
    let mut destination = scenario.destination.client().await.unwrap();
    let mut rows = 0;
    for (wanted, found) in MERGED {
        let wanted = source.query_rows(wanted).await.unwrap();
        let found = destination.query_rows(found).await.unwrap();
        assert!(!wanted.is_empty());
        assert_eq!(wanted.len(), found.len());
        assert!(wanted == found, "{MERGED:?}");
        rows += wanted.len();
    }
    rows
}

/// Tables of two databases become one each, under load on both, with the node killed during the copy and the
/// synchronization. Filters keep the keys apart, and rows cross their borders all the time.
async fn merged_under_load(source: ServerKind, destination: ServerKind) {
    let mut scenario = Scenario::start(source, destination).await.unwrap();
    let mut loads = Vec::new();
    for (seed, name) in [(1, "odd"), (2, "even")] {
        let options = LoadOptions {
            database: name.into(),
            seed,
            connections: 2,
            rate: 100,
        };
        Load::prepare(&scenario.source, &options, 8_000).await.unwrap();
        let mut root = scenario.source.client().await.unwrap();
        // Verification reads by one of several keys.
        root.query_drop(&format!(
            "ALTER TABLE {name}.load_single ADD UNIQUE KEY wide (n, id)"
        ))
        .await
        .unwrap();
        loads.push(Load::start(&scenario.source, &options).await.unwrap());
    }
    let tables = |filter: &str| {
        vec![
            table("load_single", "singles", filter),
            table("load_unique", "", filter),
        ]
    };
    let spec = ProjectSpec {
        databases: vec![
            database("odd", "whole", tables("id % 2 = 1")),
            database("even", "whole", tables("id % 2 = 0")),
        ],
        merge_tables: true,
        ..scenario.spec(&[])
    };
    scenario.launch(spec).await.unwrap();
    let project = scenario.project.clone();
    let active = [StepState::Running, StepState::Finished];
    project
        .wait_step(&scenario.node, StepKind::FullTransfer, &active)
        .await
        .unwrap();
    scenario.node.kill().unwrap();
    scenario.node.restart().await.unwrap();
    project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    scenario.node.kill().unwrap();
    scenario.node.restart().await.unwrap();
    // Under load.
    let result = project.verify(&scenario.node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    for load in loads {
        let written = load.stop().await.unwrap();
        assert!(written.updates > 50 && written.deletes > 5, "{written:?}");
    }
    project.wait_caught_up(&scenario.node).await.unwrap();
    let rows = assert_merged(&scenario).await;
    println!("{rows} rows of merged tables are equal");

    // A row that no table of the source has.
    let mut client = scenario.destination.client().await.unwrap();
    client
        .query_drop("INSERT INTO whole.singles VALUES (4000000000, 1, 'x', NULL)")
        .await
        .unwrap();
    let result = project.verify(&scenario.node).await.unwrap();
    assert_eq!(
        (result.source_only, result.destination_only, result.mismatched),
        (0, 1, 0)
    );
    let differences = project.differences(&scenario.node, true).await.unwrap();
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].kind(), DifferenceKind::DestinationOnly);
    assert_eq!(differences[0].key[0].value, "4000000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_merge_under_load_from_mariadb_to_oceanbase() {
    merged_under_load(ServerKind::MariaDb, ServerKind::SeekDb).await;
}

/// What keeps tables from becoming one is told before anything is executed; a key that two have stops the copy and the
/// synchronization, and what it cost is reported when the project goes on.
#[tokio::test(flavor = "multi_thread")]
async fn shapes_and_keys_that_do_not_fit_are_told() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE DATABASE other",
        "CREATE TABLE shop.orders_1 (id INT PRIMARY KEY, v VARCHAR(20), UNIQUE KEY by_v (v))",
        "CREATE TABLE shop.orders_2 (id INT PRIMARY KEY, v VARCHAR(21), UNIQUE KEY v (v))",
        "CREATE TABLE other.orders_3 (id INT PRIMARY KEY)",
        "INSERT INTO shop.orders_1 VALUES (1, 'a'), (3, 'c')",
        "INSERT INTO shop.orders_2 VALUES (2, 'b'), (3, 'd')",
    ];
    root.run_all(&statements).await.unwrap();
    let rules = ["shop.orders_?=all.orders", "other.orders_?=all.orders"];
    let mut spec = ProjectSpec {
        rules: Some(MatchRules {
            include: rules.iter().map(|r| (*r).to_owned()).collect(),
            exclude: Vec::new(),
        }),
        ..scenario.spec(&[])
    };
    let mut client = scenario.node.projects().await.unwrap();
    let request = CreateProjectRequest {
        spec: Some(spec.clone()),
    };
    let refused = client.create_project(request).await.unwrap_err();
    assert!(
        refused.message().contains("`merge_tables: true` merges them"),
        "{}",
        refused.message()
    );
    spec.merge_tables = true;
    scenario.launch(spec).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let (_, told) = project.wait_failed(node).await.unwrap();
    for part in [
        "DB_MERGED_TABLES",
        "`shop`.`orders_2`: column `v` is defined otherwise",
        "`other`.`orders_3`: has no column `v`",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let mend = [
        "ALTER TABLE shop.orders_2 MODIFY v VARCHAR(20)",
        "ALTER TABLE other.orders_3 ADD v VARCHAR(20), ADD UNIQUE KEY (v)",
    ];
    root.run_all(&mend).await.unwrap();
    let resume = || ResumeProjectRequest {
        project: project.name.clone(),
    };
    client.resume_project(resume()).await.unwrap();
    let stopped = |wanted: &'static str| async move {
        project
            .wait(node, wanted, |p| {
                p.error.as_ref().is_some_and(|e| e.code == wanted)
            })
            .await
            .unwrap()
            .error
            .unwrap()
            .message
    };
    let told = stopped("OMS-SRC-0018").await;
    assert!(
        told.contains("at least 1 keys are in more than one of `shop`.`orders_1`, `shop`.`orders_2`"),
        "{told}"
    );
    root.query_drop("DELETE FROM shop.orders_2 WHERE id = 3")
        .await
        .unwrap();
    client.resume_project(resume()).await.unwrap();
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    project.wait_caught_up(node).await.unwrap();
    // The log since the project's start holds the delete, and replaying it takes the other row with that key, too: it is
    // reported, and the correction brings it back.
    let result = project.verify(node).await.unwrap();
    assert_eq!(
        (result.source_only, result.destination_only, result.mismatched),
        (1, 0, 0)
    );
    let differences = project.differences(node, true).await.unwrap();
    assert_eq!(differences[0].key[0].value, "3");
    let mut there = scenario.destination.client().await.unwrap();
    there
        .query_drop("INSERT INTO `all`.orders VALUES (3, 'c')")
        .await
        .unwrap();
    root.run_all(&[
        "INSERT INTO other.orders_3 VALUES (9, 'n')",
        "UPDATE shop.orders_1 SET id = 4 WHERE id = 1",
    ])
    .await
    .unwrap();
    project.wait_caught_up(node).await.unwrap();
    let result = project.verify(node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    let all = "SELECT id, v FROM `all`.orders ORDER BY id";
    let wanted = [["2", "b"], ["3", "c"], ["4", "a"], ["9", "n"]];
    assert_eq!(there.query_strings(all).await.unwrap(), wanted);

    root.query_drop("INSERT INTO other.orders_3 VALUES (2, 'taken')")
        .await
        .unwrap();
    stopped("OMS-APPLY-0002").await;
    assert_eq!(there.query_strings(all).await.unwrap(), wanted);
}
