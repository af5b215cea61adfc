//! Row filters, choice and mapping of columns, choice of changes, between real servers.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use oms_cluster_tests::{Client, Load, LoadOptions, Scenario, ServerKind};
use oms_proto::v1::{
    AddedColumn, CreateProjectRequest, DatabaseSelection, DifferenceKind, DmlSelection, IncrementalOptions,
    NameRule, ProjectSpec, StepKind, StepState, Steps, TableSelection,
};

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|t| (*t).to_owned()).collect()
}

fn table(name: &str, filter: &str) -> TableSelection {
    TableSelection {
        name: name.into(),
        filter: filter.into(),
        ..Default::default()
    }
}

fn added(name: &str, ty: &str, value: &str) -> AddedColumn {
    AddedColumn {
        name: name.into(),
        r#type: ty.into(),
        value: value.into(),
    }
}

fn renamed(from: &str, to: &str) -> NameRule {
    NameRule {
        from: from.into(),
        to: to.into(),
    }
}

fn with_tables(scenario: &Scenario, database: &str, tables: Vec<TableSelection>) -> ProjectSpec {
    ProjectSpec {
        databases: vec![DatabaseSelection {
            name: database.into(),
            tables,
            ..Default::default()
        }],
        ..scenario.spec(&[])
    }
}

/// What the source's server selects, and what it is to be at the destination.
const CHOSEN: [(&str, &str); 4] = [
    (
        "SELECT id, n, v, 'eu', CONCAT(IFNULL(v, ''), '!') FROM load.load_single WHERE n % 2 = 0 ORDER BY id",
        "SELECT id, number, v, region, loud FROM load.singles ORDER BY id",
    ),
    (
        "SELECT a, b, n, v, at FROM load.load_composite WHERE NOT (n BETWEEN -500000 AND 0) OR a % 3 = 0 ORDER BY a, b",
        "SELECT a, b, n, v, at FROM load.load_composite ORDER BY a, b",
    ),
    (
        "SELECT id, n FROM load.load_unique WHERE n > 1000 AND id >= 100 AND id < 4000 ORDER BY id",
        "SELECT id, n FROM load.load_unique ORDER BY id",
    ),
    (
        "SELECT id, n, v FROM load.load_nokey WHERE at >= '2010-01-01' AND n % 5 <> 0 ORDER BY id, n, v",
        "SELECT id, n, v FROM load.load_nokey ORDER BY id, n, v",
    ),
];

fn chosen_tables() -> Vec<TableSelection> {
    vec![
        TableSelection {
            rename_to: "singles".into(),
            omit_columns: texts(&["at"]),
            rename_columns: vec![renamed("n", "number")],
            add_columns: vec![
                added("region", "VARCHAR(2)", "'eu'"),
                added("loud", "VARCHAR(201)", "CONCAT(v, '!')"),
            ],
            ..table("load_single", "n % 2 = 0")
        },
        table("load_composite", "NOT (n BETWEEN -500000 AND 0) OR a % 3 = 0"),
        TableSelection {
            columns: texts(&["id", "n"]),
            ..table("load_unique", "n > 1000 AND id >= 100 AND id < 4000")
        },
        TableSelection {
            omit_columns: texts(&["at"]),
            ..table("load_nokey", "at >= '2010-01-01' AND n % 5 <> 0")
        },
    ]
}

async fn assert_chosen(scenario: &Scenario) -> usize {
    let mut source: Client = scenario.source.client().await.unwrap();
    let mut destination: Client = scenario.destination.client().await.unwrap();
    let mut rows = 0;
    for (wanted, found) in CHOSEN {
        let wanted = source.query_rows(wanted).await.unwrap();
        let found = destination.query_rows(found).await.unwrap();
        assert!(!wanted.is_empty());
        assert_eq!(wanted.len(), found.len());
        assert!(wanted == found, "{CHOSEN:?}");
        rows += wanted.len();
    }
    rows
}

/// Filters, columns and computed columns hold for copied rows, for changes under load and for verification, also when
/// the node is killed in the middle.
async fn choice_under_load(source: ServerKind, destination: ServerKind) {
    let mut scenario = Scenario::start(source, destination).await.unwrap();
    let options = LoadOptions::default();
    Load::prepare(&scenario.source, &options, 8_000).await.unwrap();
    let load = Load::start(&scenario.source, &options).await.unwrap();
    let spec = with_tables(&scenario, "load", chosen_tables());
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
    assert_eq!(
        (result.source_only, result.destination_only, result.mismatched),
        (0, 0, 0)
    );
    let written = load.stop().await.unwrap();
    assert!(written.updates > 100 && written.deletes > 10, "{written:?}");
    project.wait_caught_up(&scenario.node).await.unwrap();
    let rows = assert_chosen(&scenario).await;
    println!("{rows} rows arrived; {written:?}");

    // A row that the filter leaves at the source is one too many at the destination.
    let mut client = scenario.destination.client().await.unwrap();
    client
        .query_drop("INSERT INTO load.singles VALUES (4000000000, 1, 'x', 'eu', 'x!')")
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
async fn a_choice_holds_under_load_from_mariadb_to_mariadb() {
    choice_under_load(ServerKind::MariaDb, ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_choice_holds_under_load_from_mysql_to_oceanbase() {
    choice_under_load(ServerKind::Mysql97, ServerKind::SeekDb).await;
}

/// Updates that cross the border of a filter, and changes that are not chosen.
#[tokio::test(flavor = "multi_thread")]
async fn updates_across_the_border_insert_and_delete() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY, state VARCHAR(20) CHARACTER SET latin1, n INT, UNIQUE KEY by_n (n))",
        "CREATE TABLE shop.archive (id INT PRIMARY KEY, v VARCHAR(20))",
        "INSERT INTO shop.orders VALUES (1, 'größe', 1), (2, 'other', 2), (3, 'größe  ', 3), (4, NULL, 4)",
        "INSERT INTO shop.archive VALUES (1, 'a'), (2, 'b'), (3, 'c')",
    ];
    root.run_all(&statements).await.unwrap();
    let mut archive = table("archive", "");
    archive.dml = Some(DmlSelection {
        insert: true,
        update: true,
        delete: false,
    });
    let spec = ProjectSpec {
        steps: Some(Steps {
            schema: true,
            full: true,
            incremental: true,
            verification: false,
        }),
        ..with_tables(
            &scenario,
            "shop",
            vec![table("orders", "state = 'größe' AND id < 100"), archive],
        )
    };
    scenario.launch(spec).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    let orders = "SELECT id, n FROM shop.orders ORDER BY id";
    let rows = |list: &[[&str; 2]]| list.iter().map(|r| texts(r)).collect::<Vec<_>>();
    assert_eq!(
        there.query_strings(orders).await.unwrap(),
        rows(&[["1", "1"], ["3", "3"]])
    );
    let changes = [
        // In, out, within, outside, by its key out and in, a value of a unique key that changes hands across the border.
        "UPDATE shop.orders SET state = 'größe' WHERE id = 2",
        "UPDATE shop.orders SET state = 'Größe' WHERE id = 3",
        "UPDATE shop.orders SET n = 10 WHERE id = 1",
        "UPDATE shop.orders SET n = 40 WHERE id = 4",
        "UPDATE shop.orders SET n = 1 WHERE id = 4",
        "UPDATE shop.orders SET id = 200 WHERE id = 1",
        "INSERT INTO shop.orders VALUES (5, 'größe', 5), (6, 'x', 6)",
        "DELETE FROM shop.orders WHERE id IN (6)",
        "UPDATE shop.orders SET id = 7 WHERE id = 200",
        // One transaction that brings a row in and takes it out again.
        "BEGIN",
        "UPDATE shop.orders SET state = 'größe' WHERE id = 4",
        "UPDATE shop.orders SET state = NULL WHERE id = 4",
        "COMMIT",
        "DELETE FROM shop.archive WHERE id = 1",
        "INSERT INTO shop.archive VALUES (1, 'again')",
        "DELETE FROM shop.archive WHERE id = 2",
        "UPDATE shop.archive SET id = 30, v = 'moved' WHERE id = 3",
    ];
    root.run_all(&changes).await.unwrap();
    project.wait_caught_up(node).await.unwrap();
    assert_eq!(
        there.query_strings(orders).await.unwrap(),
        rows(&[["2", "2"], ["5", "5"], ["7", "10"]])
    );
    assert_eq!(
        there
            .query_strings("SELECT id, v FROM shop.archive ORDER BY id")
            .await
            .unwrap(),
        rows(&[["1", "again"], ["2", "b"], ["30", "moved"]])
    );
}

/// Everything that is wrong with a choice is said when the project is created, with its place.
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_choices_are_told_at_once() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY, total DECIMAL(10,2), f DOUBLE, note TEXT)",
        "CREATE TABLE shop.bare (a INT)",
        "CREATE VIEW shop.seen AS SELECT id FROM shop.orders",
    ];
    root.run_all(&statements).await.unwrap();
    let mut client = scenario.node.projects().await.unwrap();
    let mut refused = async |spec: ProjectSpec, words: &[&str]| {
        let request = CreateProjectRequest { spec: Some(spec) };
        let error = client.create_project(request).await.unwrap_err();
        for part in words {
            assert!(error.message().contains(part), "{part}: {}", error.message());
        }
    };
    let bad = TableSelection {
        omit_columns: texts(&["id", "missing"]),
        rename_columns: vec![renamed("total", "note"), renamed("nix", "x")],
        add_columns: vec![added("f", "INT", "total"), added("x", "INT", "note")],
        ..table("orders", "nix = 1 OR f > 2.5 OR NOW() > 7")
    };
    refused(
        with_tables(
            &scenario,
            "shop",
            vec![bad, table("bare", "a = 'x'"), table("seen", "id > 1")],
        ),
        &[
            "`shop`.`orders`: omit_columns: `shop`.`orders` has no column `missing`",
            "`shop`.`orders`: columns: `id` must move",
            "`shop`.`orders`: rename_columns: `shop`.`orders` has no column `nix`",
            "two columns would be named `note`",
            "two columns would be named `f`",
            "`shop`.`orders`: filter: character 1: `shop`.`orders` has no column `nix`",
            "filter: character 12: column `f`: floating point",
            "filter: character 23: the function NOW is not supported",
            "`shop`.`bare`: filter: character 5: a text is not an integer",
            "`shop`.`seen` is a view",
        ],
    )
    .await;
    refused(
        with_tables(
            &scenario,
            "shop",
            vec![table("orders", "id >"), table("bare", "(a = 1")],
        ),
        &[
            "databases[0].tables[0].filter: character 5: a value is expected here, not the end",
            "databases[0].tables[1].filter: character 7: \")\" is expected here, not the end",
        ],
    )
    .await;
    let incremental = Some(IncrementalOptions {
        dml: Some(DmlSelection {
            insert: true,
            ..Default::default()
        }),
        ..Default::default()
    });
    refused(
        ProjectSpec {
            incremental,
            ..scenario.spec(&["shop"])
        },
        &["incremental.dml: where changes are left out"],
    )
    .await;
    refused(
        ProjectSpec {
            incremental,
            steps: Some(Steps {
                incremental: true,
                ..Default::default()
            }),
            ..scenario.spec(&["shop"])
        },
        &["`shop`.`bare`: has no key"],
    )
    .await;
}
