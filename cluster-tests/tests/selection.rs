//! What a spec selects, by rules and by lists, between real servers.

#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{Scenario, ServerKind};
use oms_proto::v1::{MatchRules, ProjectSpec, ProjectState, StepKind, StepState, Steps};

/// Rules and names with everything that an identifier may hold.
#[tokio::test(flavor = "multi_thread")]
async fn rules_and_lists_select_what_the_preview_says() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    let mut statements = vec![
        "CREATE DATABASE `shop.eu`".to_owned(),
        "CREATE DATABASE other".to_owned(),
        "CREATE TABLE other.unnamed (id INT PRIMARY KEY)".to_owned(),
        "CREATE VIEW `shop.eu`.`order_view` AS SELECT id FROM `shop.eu`.`order07`".to_owned(),
        "CREATE TRIGGER `shop.eu`.`tr` BEFORE INSERT ON `shop.eu`.`order07` FOR EACH ROW SET NEW.v = NEW.v + 1".to_owned(),
        "CREATE PROCEDURE `shop.eu`.`proc` () SELECT 1".to_owned(),
    ];
    let tables = [
        "order07", "order08", "orderX", "odd*name", "da`t.e=d", "订单", "tmp_1",
    ];
    for (i, table) in tables.iter().enumerate() {
        let name = table.replace('`', "``");
        statements.insert(
            2,
            format!("CREATE TABLE `shop.eu`.`{name}` (id INT PRIMARY KEY, v INT)"),
        );
        statements.push(format!(
            "INSERT INTO `shop.eu`.`{name}` VALUES (1, {i}), (2, {i})"
        ));
    }
    // Without it the account does not see triggers.
    statements.push(format!(
        "GRANT TRIGGER ON *.* TO '{}'@'%'",
        scenario.source.oms_user()
    ));
    root.run_all(&statements).await.unwrap();

    let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect();
    let spec = ProjectSpec {
        databases: Vec::new(),
        rules: Some(MatchRules {
            include: texts(&[
                "`shop.eu`.order[0-9][0-9]",
                "`shop.eu`.order_*",
                r"shop\.eu.odd\*name=`new db`.`odd?`",
                "`shop.eu`.`da``t.e=d`",
                "`shop.eu`.??",
                "`shop.eu`.tmp_*",
                "`shop.eu`.`tmp_1`=`new db`.kept",
            ]),
            exclude: texts(&["`shop.eu`.tmp_[2-9]", "`shop.eu`.order08"]),
        }),
        steps: Some(Steps {
            schema: true,
            full: true,
            verification: true,
            ..Default::default()
        }),
        ..scenario.spec(&[])
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("spec.json"), serde_json::to_string(&spec).unwrap()).unwrap();
    let node = &scenario.node;
    let shown = node
        .client(&["project", "preview", "-f", &path("spec.json"), "-o", "json"])
        .unwrap();
    let items: Vec<serde_json::Value> = shown.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let of = |kind: &str| -> Vec<String> {
        let wanted = items.iter().map(|i| &i["object"]).filter(|o| o["kind"] == kind);
        let mut names: Vec<String> = wanted
            .map(|o| {
                let name = |field: &str| o[field].as_str().unwrap_or_default().to_owned();
                format!("{}|{}", name("destination_database"), name("destination_table"))
            })
            .collect();
        names.sort();
        names
    };
    assert_eq!(
        of("table"),
        [
            "new db|kept",
            "new db|odd?",
            "shop.eu|da`t.e=d",
            "shop.eu|order07",
            "shop.eu|订单"
        ]
    );
    assert_eq!(of("view"), ["shop.eu|order_view"]);
    let creating = items
        .iter()
        .find(|i| i["object"]["destination_table"] == "odd?")
        .unwrap();
    assert!(
        creating["object"]["statements"][0]
            .as_str()
            .unwrap()
            .contains("CREATE TABLE `new db`.`odd?`")
    );
    let left: Vec<String> = items
        .iter()
        .map(|i| &i["unselected"])
        .filter(|u| !u.is_null())
        .map(|u| format!("{} {}: {}", u["kind"], u["name"], u["reason"]).replace('"', ""))
        .collect();
    for part in [
        "table order08: excluded by the rule",
        "table orderX: no rule matches",
        "procedure proc: programs in the server do not move",
        "trigger tr: triggers are not created",
    ] {
        assert!(left.iter().any(|l| l.starts_with(part)), "{part}: {left:#?}");
    }

    // The same objects as a list, in place of other rules.
    let list = node
        .client(&["project", "preview", "-f", &path("spec.json"), "--csv"])
        .unwrap();
    assert_eq!(list.lines().count(), 7, "{list}");
    std::fs::write(path("list.csv"), &list).unwrap();
    let other = ProjectSpec {
        rules: Some(MatchRules {
            include: texts(&["other.*"]),
            ..Default::default()
        }),
        ..spec
    };
    std::fs::write(path("other.json"), serde_json::to_string(&other).unwrap()).unwrap();
    let create = [
        "project",
        "create",
        "-f",
        &path("other.json"),
        "--objects",
        &path("list.csv"),
        "--start",
    ];
    node.client(&create).unwrap();
    let project = &scenario.project;
    project
        .wait(node, "the end", |p| p.state() == ProjectState::Finished)
        .await
        .unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    // The trigger has added one to each row of order07, at the source only.
    for (table, sum) in [
        ("`shop.eu`.order07", 2),
        ("`new db`.`odd?`", 6),
        ("`new db`.kept", 12),
        ("`shop.eu`.`订单`", 10),
    ] {
        let query = format!("SELECT CONCAT(COUNT(*), ' ', SUM(v)) FROM {table}");
        assert_eq!(
            there.query_one(&query).await.unwrap(),
            Some(format!("2 {sum}")),
            "{table}"
        );
    }
    let query = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema IN ('shop.eu', 'new db')";
    assert_eq!(there.query_count(query).await.unwrap(), 6);
    let exported = node.client(&["project", "export", &project.name]).unwrap();
    assert!(
        exported.contains("- '`shop.eu`.`order07`=`shop.eu`.`order07`'"),
        "{exported}"
    );
}

/// What cannot be selected is refused before anything is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_selection_that_cannot_be_is_refused() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    root.run_all(&[
        "CREATE DATABASE d",
        "CREATE TABLE d.a (id INT PRIMARY KEY)",
        "CREATE TABLE d.b (id INT PRIMARY KEY)",
    ])
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.json").to_str().unwrap().to_owned();
    for (include, exclude, words) in [
        (
            vec!["d.[ab]=e.one"],
            vec![],
            "`d`.`a` and `d`.`b` would both become `e`.`one`",
        ),
        (vec!["d.z*"], vec![], "the rule \"d.z*\" matches no table or view"),
        (
            vec!["d.a"],
            vec!["d.*"],
            "everything that the rule \"d.a\" matches is excluded",
        ),
        (vec!["d.*=e.x", "d.?=e.y"], vec![], "name different destinations"),
        (vec!["nowhere.*"], vec![], "database `nowhere`"),
        (vec!["d*.a"], vec![], "character 2"),
        (vec![], vec!["d.a"], "rules.include: nothing is selected"),
    ] {
        let texts = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
        let spec = ProjectSpec {
            databases: Vec::new(),
            rules: Some(MatchRules {
                include: texts(include),
                exclude: texts(exclude),
            }),
            ..scenario.spec(&[])
        };
        std::fs::write(&file, serde_json::to_string(&spec).unwrap()).unwrap();
        for command in ["preview", "create"] {
            let error = scenario
                .node
                .client(&["project", command, "-f", &file])
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{command} {words}: {error}");
        }
    }
    assert!(
        scenario
            .node
            .client(&["project", "list", "-o", "json"])
            .unwrap()
            .contains("[]")
    );
}
