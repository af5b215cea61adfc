//! Objects are added to projects and removed from them while they run.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use oms_cluster_tests::{
    Auditor, Bank, BankOptions, Deployment, DeploymentOptions, LOAD_TABLES, Load, LoadOptions, OmsNode,
    ProjectClient, Scenario, ServerKind,
};
use oms_proto::v1::{
    AddObjectsRequest, DatabaseSelection, DecideObjectChangeRequest, FullOptions, FullTuning,
    ObjectChangeDecision, ObjectChangeState, ObjectName, Project, ProjectState, RemoveObjectsRequest,
    StepKind, StepState, TableSelection, TuneProjectRequest,
};
use tonic::Status;

fn tables(database: &str, names: &[&str]) -> DatabaseSelection {
    let tables = names.iter().map(|name| TableSelection {
        name: (*name).to_owned(),
        ..Default::default()
    });
    DatabaseSelection {
        name: database.to_owned(),
        tables: tables.collect(),
        ..Default::default()
    }
}

async fn add(node: &OmsNode, project: &str, databases: Vec<DatabaseSelection>) -> Result<Project, Status> {
    let request = AddObjectsRequest {
        project: project.to_owned(),
        databases,
    };
    let answer = node.projects().await.unwrap().add_objects(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn remove(node: &OmsNode, project: &str, names: &[(&str, &str)]) -> Result<Project, Status> {
    let objects = names.iter().map(|(database, table)| ObjectName {
        database: (*database).to_owned(),
        table: (*table).to_owned(),
    });
    let request = RemoveObjectsRequest {
        project: project.to_owned(),
        objects: objects.collect(),
    };
    let answer = node.projects().await.unwrap().remove_objects(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn decide(node: &OmsNode, project: &str, decision: ObjectChangeDecision) -> Result<Project, Status> {
    let request = DecideObjectChangeRequest {
        project: project.to_owned(),
        decision: decision as i32,
    };
    let answer = node.projects().await.unwrap().decide_object_change(request).await;
    answer.map(tonic::Response::into_inner)
}

fn last(project: &Project) -> ObjectChangeState {
    project.changes.last().map(|c| c.state()).unwrap_or_default()
}

async fn wait_change(project: &ProjectClient, node: &OmsNode, state: ObjectChangeState) -> Project {
    let waited = project.wait(node, state.name(), |p| last(p) == state).await;
    match waited {
        Ok(project) => project,
        Err(error) => {
            let now = project.get(node).await.unwrap();
            panic!("{error:#}\n{:#?}", now.changes);
        }
    }
}

fn slow() -> FullOptions {
    FullOptions {
        max_rows_per_second: 500,
        chunk_rows: 200,
        workers: 2,
        ..Default::default()
    }
}

/// Takes the limit off the sub-project's full import.
async fn hurry(node: &OmsNode, sub: &str) {
    let request = TuneProjectRequest {
        project: sub.to_owned(),
        full: Some(FullTuning {
            max_rows_per_second: Some(0),
            ..Default::default()
        }),
    };
    node.projects()
        .await
        .unwrap()
        .tune_project(request)
        .await
        .unwrap();
}

fn steps(project: &Project) -> String {
    let steps = project.steps.iter();
    steps
        .map(|s| format!("{}={} ", s.kind().name(), s.state().name()))
        .collect()
}

/// Tables with and without a key join under load on them and on what the project moves already; the node is killed while
/// they are imported and at each step of the joining.
async fn tables_join_under_load(destination: ServerKind) {
    let mut scenario = Scenario::start(ServerKind::MariaDb, destination).await.unwrap();
    let load_options = LoadOptions::default();
    Load::prepare(&scenario.source, &load_options, 2_000)
        .await
        .unwrap();
    let bank_options = BankOptions {
        accounts: 4_000,
        connections: 4,
        rate: 200,
        ..BankOptions::default()
    };
    Bank::prepare(&scenario.source, &bank_options).await.unwrap();
    let load = Load::start(&scenario.source, &load_options).await.unwrap();
    let bank = Bank::start(&scenario.source, &bank_options).await.unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let project = scenario.project.clone();
    let followed = |p: &Project| {
        p.steps
            .iter()
            .any(|s| s.kind() == StepKind::IncrTransfer && s.state() == StepState::Monitoring)
    };
    project.wait(&scenario.node, "following", followed).await.unwrap();
    let set = ["project", "set", "test", "incremental.lanes=4"];
    scenario.node.client(&set).unwrap();

    let before = project.get(&scenario.node).await.unwrap();
    assert_eq!(before.state(), ProjectState::Running);
    let sub = {
        let wanted = vec![tables("bank", &Bank::TABLES)];
        let project = add(&scenario.node, "test", wanted.clone()).await.unwrap();
        assert_eq!(project.state(), ProjectState::RunningModifying);
        let again = add(&scenario.node, "test", wanted).await.unwrap_err();
        assert!(again.message().contains("one change at a time"), "{again}");
        let gone = remove(&scenario.node, "test", &[("load", "load_single")])
            .await
            .unwrap_err();
        assert!(gone.message().contains("one change at a time"), "{gone}");
        project.changes.last().unwrap().sub_project.clone()
    };
    let sub = ProjectClient { name: sub };
    // While the rows are copied.
    let copying = |p: &Project| {
        p.steps
            .iter()
            .any(|s| s.kind() == StepKind::FullTransfer && s.state() != StepState::Init)
    };
    sub.wait(&scenario.node, "the copy", copying).await.unwrap();
    scenario.node.kill().unwrap();
    scenario.node.restart().await.unwrap();
    // At each step of the joining: what the project says is seen, and it dies.
    let merging =
        |p: &Project| p.state() == ProjectState::RunningMerging || last(p) == ObjectChangeState::Succeeded;
    let mut seen = Vec::new();
    let mut now = project
        .wait(&scenario.node, "the joining", merging)
        .await
        .unwrap();
    while last(&now) != ObjectChangeState::Succeeded {
        let change = now.changes.last().unwrap();
        if change.state() == ObjectChangeState::Integrating && !seen.contains(&change.phase()) {
            seen.push(change.phase());
            scenario.node.kill().unwrap();
            scenario.node.restart().await.unwrap();
        }
        let before = now.version;
        now = project
            .wait(&scenario.node, "a change", |p| p.version != before)
            .await
            .unwrap();
    }
    println!("{destination}: killed in {seen:?}");
    assert!(!seen.is_empty());
    let joined = wait_change(&project, &scenario.node, ObjectChangeState::Succeeded).await;
    assert_eq!(joined.state(), ProjectState::Running, "{}", steps(&joined));
    assert!(!joined.changes.last().unwrap().position.is_empty());
    // From now on the tables are consistent at every moment.
    let auditor = Auditor::start(&scenario.destination, "bank").await.unwrap();
    bank.more(300).await;
    let total = bank.stop().await.unwrap();
    load.stop().await.unwrap();
    project.wait_caught_up(&scenario.node).await.unwrap();
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    let mut there = scenario.destination.client().await.unwrap();
    Bank::judge(&mut there, "bank", Some(total)).await.unwrap();
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
    scenario.assert_equal("bank", &Bank::TABLES).await.unwrap();
    // Verification covers all of them, and the sub-project leaves nothing behind.
    let verified = project.verify(&scenario.node).await.unwrap();
    assert!(verified.consistent && verified.tables == 6, "{verified:?}");
    let gone = async || sub.get(&scenario.node).await.is_err();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while !gone().await {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the sub-project is still there"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let left = format!(
        "SELECT COUNT(*) FROM omsnode_meta.fence_v1 WHERE component LIKE '{}%'",
        sub.name
    );
    assert_eq!(there.query_count(&left).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_join_mariadb() {
    tables_join_under_load(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_join_seekdb() {
    tables_join_under_load(ServerKind::SeekDb).await;
}

/// Nodes die while a table is imported and while it joins; others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_joins_while_nodes_die() {
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let options = LoadOptions::default();
    Load::prepare(&d.source, &options, 3_000).await.unwrap();
    let load = Load::start(&d.source, &options).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let project = d.project.clone();
    let name = project.name.clone();
    let added = add(d.cluster.node(1), &name, vec![tables("load", &LOAD_TABLES)])
        .await
        .unwrap();
    let sub = added.changes.last().unwrap().sub_project.clone();
    let sub = ProjectClient { name: sub };
    let full = |p: &Project| {
        p.steps
            .iter()
            .any(|s| s.kind() == StepKind::FullTransfer && s.state() != StepState::Init)
    };
    sub.wait(d.cluster.node(1), "the copy", full).await.unwrap();
    let dies = async |d: &mut Deployment, component: String| {
        let asked = d.cluster.other_than(&[]).unwrap();
        let all = d.cluster.components(asked).await.unwrap();
        let Some(c) = all.iter().find(|c| c.id == component) else {
            panic!("no {component} among {all:#?}");
        };
        let victim = d.cluster.number_of(c.node, asked).await.unwrap();
        d.cluster.node_mut(victim).kill().unwrap();
        victim
    };
    let victim = dies(&mut d, format!("{}.full-import", sub.name)).await;
    let asked = d.cluster.other_than(&[victim]).unwrap();
    let merging = |p: &Project| p.state() == ProjectState::RunningMerging;
    let merged = project
        .wait(d.cluster.node(asked), "the joining", merging)
        .await
        .unwrap();
    d.cluster.start(victim, None).await.unwrap();
    let second = dies(&mut d, format!("{}.incr-sync", merged.id)).await;
    let asked = d.cluster.other_than(&[second]).unwrap();
    wait_change(&project, d.cluster.node(asked), ObjectChangeState::Succeeded).await;
    d.cluster.start(second, None).await.unwrap();
    d.cluster.settled().await.unwrap();
    load.stop().await.unwrap();
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, asked).await.unwrap();
    for table in LOAD_TABLES {
        let mut left = d.source.client().await.unwrap();
        let mut right = d.destination.client().await.unwrap();
        let both = ((&mut left, "load", table), (&mut right, "load", table));
        let comparison = oms_cluster_tests::compare_tables(both.0, both.1).await.unwrap();
        assert!(comparison.is_equal(), "{table}: {:?}", comparison.differences);
    }
}

/// What users decide about objects that are being added, and removals in every state that allows them.
#[tokio::test(flavor = "multi_thread")]
async fn objects_come_and_go() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut source = scenario.source.client().await.unwrap();
    source
        .run_all(&[
            "CREATE DATABASE shop",
            "USE shop",
            "CREATE TABLE shop.a (id INT PRIMARY KEY)",
            "CREATE TABLE shop.b (id INT PRIMARY KEY)",
            "CREATE TABLE shop.`c.d` (id INT PRIMARY KEY)",
            "CREATE TABLE shop.e (id INT PRIMARY KEY)",
            "INSERT INTO shop.a VALUES (1), (2)",
            "INSERT INTO shop.b VALUES (1), (2)",
            "INSERT INTO shop.`c.d` SELECT seq FROM seq_1_to_3000",
        ])
        .await
        .unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let mut spec = scenario.spec(&[]);
    spec.databases = vec![tables("shop", &["a", "e"])];
    spec.full = Some(slow());
    let refusal = |answer: Result<Project, Status>, part: &str| {
        let status = answer.unwrap_err();
        assert!(status.message().contains(part), "{part}: {status}");
    };
    scenario.launch(spec).await.unwrap();
    project
        .wait_step(node, StepKind::IncrTransfer, &[StepState::Monitoring])
        .await
        .unwrap();

    // Bad input, all of it at once.
    let bad = vec![
        tables("shop", &["a", "nothing"]),
        tables("mysql", &["user"]),
        tables("shop", &["b"]),
    ];
    let status = add(node, "test", bad).await.unwrap_err();
    assert!(
        status.message().contains("mysql") && status.message().contains("twice"),
        "{status}"
    );
    refusal(
        add(node, "test", vec![tables("shop", &["nothing"])]).await,
        "nothing",
    );
    refusal(
        add(node, "test", vec![tables("shop", &["a"])]).await,
        "moves `shop`.`a` already",
    );
    let mut onto = tables("shop", &["b"]);
    onto.tables.first_mut().unwrap().rename_to = "A".to_owned();
    refusal(add(node, "test", vec![onto]).await, "writes");
    refusal(add(node, "test", Vec::new()).await, "nothing is to be added");
    refusal(
        decide(node, "test", ObjectChangeDecision::Retry).await,
        "no change",
    );

    // Paused: it waits, can be cancelled, and begins with the resumption.
    project.pause(node).await.unwrap().unwrap();
    let waiting = add(node, "test", vec![tables("shop", &["b"])]).await.unwrap();
    assert_eq!(
        (waiting.state(), last(&waiting)),
        (ProjectState::Suspend, ObjectChangeState::Pending)
    );
    let cancelled = decide(node, "test", ObjectChangeDecision::Cancel).await.unwrap();
    assert_eq!(last(&cancelled), ObjectChangeState::Canceled);
    add(node, "test", vec![tables("shop", &["b"])]).await.unwrap();
    project.resume(node).await.unwrap().unwrap();
    wait_change(project, node, ObjectChangeState::Succeeded).await;
    source.query_drop("INSERT INTO shop.b VALUES (3)").await.unwrap();
    project.wait_caught_up(node).await.unwrap();
    scenario.assert_equal("shop", &["a", "b"]).await.unwrap();

    // An addition that is aborted: what it wrote stays, and stops the next one until that is accepted.
    let modifying = node
        .client(&["project", "objects", "add", "test", "--table", "shop.`c.d`"])
        .unwrap();
    assert!(
        modifying.contains("RUNNING_MODIFYING") || modifying.contains("running_modifying"),
        "{modifying}"
    );
    let sub = project
        .get(node)
        .await
        .unwrap()
        .changes
        .pop()
        .unwrap()
        .sub_project;
    let mut there = scenario.destination.client().await.unwrap();
    let rows = "SELECT COUNT(*) FROM shop.`c.d`";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while there.query_count(rows).await.unwrap_or_default() == 0 {
        assert!(tokio::time::Instant::now() < deadline, "no rows");
    }
    let refused = project.release(node).await.unwrap().unwrap_err();
    assert!(
        refused.message().to_uppercase().contains("RUNNING_MODIFYING"),
        "{refused}"
    );
    let sub = ProjectClient { name: sub };
    assert!(sub.delete(node).await.unwrap().is_err());
    assert!(sub.pause(node).await.unwrap().is_err());
    node.client(&["project", "objects", "abort", "test", "--yes"])
        .unwrap();
    wait_change(project, node, ObjectChangeState::Aborted).await;
    assert!(there.query_count(rows).await.unwrap() > 0);
    let gone = async || sub.get(node).await.is_err();
    while !gone().await {
        assert!(
            tokio::time::Instant::now() < deadline + Duration::from_secs(60),
            "the sub-project stays"
        );
    }
    add(node, "test", vec![tables("shop", &["c.d"])]).await.unwrap();
    let failed = wait_change(project, node, ObjectChangeState::Failed).await;
    assert_eq!(failed.state(), ProjectState::RunningModifying);
    let error = failed.changes.last().unwrap().error.clone().unwrap();
    println!("into a table with rows: {} {}", error.code, error.message);
    let failed_sub = failed.changes.last().unwrap().sub_project.clone();
    there.query_drop("DELETE FROM shop.`c.d`").await.unwrap();
    decide(node, "test", ObjectChangeDecision::Retry).await.unwrap();
    hurry(node, &failed_sub).await;
    wait_change(project, node, ObjectChangeState::Succeeded).await;
    scenario.assert_equal("shop", &["a", "b", "c.d"]).await.unwrap();

    // Running: changes of what was removed are applied no more, all others are.
    refusal(
        remove(node, "test", &[("shop", "b"), ("shop", "zzz")]).await,
        "nothing is removed",
    );
    let removed = remove(node, "test", &[("shop", "b")]).await.unwrap();
    assert_eq!(
        (removed.state(), last(&removed)),
        (ProjectState::Running, ObjectChangeState::Succeeded)
    );
    source
        .run_all(&["INSERT INTO shop.b VALUES (4)", "INSERT INTO shop.a VALUES (4)"])
        .await
        .unwrap();
    let noted = |p: &Project| p.changes.last().is_some_and(|c| !c.position.is_empty());
    project.wait(node, "the position", noted).await.unwrap();
    project.wait_caught_up(node).await.unwrap();
    scenario.assert_equal("shop", &["a"]).await.unwrap();
    assert_eq!(there.query_count("SELECT COUNT(*) FROM shop.b").await.unwrap(), 3);

    // Failed, because of one table: it goes on without it.
    there.query_drop("INSERT INTO shop.e VALUES (7)").await.unwrap();
    source.query_drop("INSERT INTO shop.e VALUES (7)").await.unwrap();
    let (code, _) = project.wait_failed(node).await.unwrap();
    println!("failed with {code}");
    refusal(add(node, "test", vec![tables("shop", &["b"])]).await, "FAILED");
    remove(node, "test", &[("shop", "e")]).await.unwrap();
    project.resume(node).await.unwrap().unwrap();
    source.query_drop("INSERT INTO shop.a VALUES (5)").await.unwrap();
    project
        .wait(node, "going on", |p| p.state() == ProjectState::Running)
        .await
        .unwrap();
    project.wait_caught_up(node).await.unwrap();
    scenario.assert_equal("shop", &["a", "c.d"]).await.unwrap();
    let list = node.client(&["project", "objects", "changes", "test"]).unwrap();
    println!("{list}");
    assert!(list.contains("shop.c.d"), "{list}");
}

/// The answer of a command as JSON.
fn json(node: &OmsNode, arguments: &[&str]) -> serde_json::Value {
    let mut all = vec!["--output", "json"];
    all.extend(arguments);
    let text = node.client(&all).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Options, copies, templates, labels and batches over projects in mixed states.
#[tokio::test(flavor = "multi_thread")]
async fn options_copies_templates_and_batches() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let mut source = scenario.source.client().await.unwrap();
    let mut statements = vec!["CREATE DATABASE shop".to_owned()];
    for table in ["a", "b", "c"] {
        statements.push(format!("CREATE TABLE shop.{table} (id INT PRIMARY KEY)"));
        statements.push(format!("INSERT INTO shop.{table} VALUES (1), (2)"));
    }
    source.run_all(&statements).await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let mut spec = scenario.spec(&[]);
    spec.databases = vec![tables("shop", &["a"])];
    spec.labels = vec!["east".to_owned()];
    scenario.launch(spec.clone()).await.unwrap();
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();

    // Options while it runs: shown first, refused where they are not safe, and rows flow with the new ones.
    let dry = json(
        node,
        &["project", "set", "test", "incremental.lanes=3", "--dry-run"],
    );
    assert_eq!(dry["changes"][0]["after"], "3");
    assert_eq!(
        project
            .get(node)
            .await
            .unwrap()
            .spec
            .unwrap()
            .incremental
            .unwrap_or_default()
            .lanes,
        0
    );
    let refused = node.client(&[
        "project",
        "set",
        "test",
        "full.chunk_rows=5",
        "full.on_existing_rows=ignore",
    ]);
    let refused = format!("{:#}", refused.unwrap_err());
    assert!(
        refused.contains("full.chunk_rows") && refused.contains("full.on_existing_rows"),
        "{refused}"
    );
    let stale = [
        "project",
        "set",
        "test",
        "incremental.lanes=3",
        "--if-version",
        "1",
    ];
    assert!(format!("{:#}", node.client(&stale).unwrap_err()).contains("OMS-API-0010"));
    let set = [
        "project",
        "set",
        "test",
        "incremental.lanes=3",
        "incremental.commit_order=strict",
        "incremental.retention_hours=48",
    ];
    let set = json(node, &set);
    assert_eq!(set["changes"].as_array().unwrap().len(), 3);
    source.query_drop("INSERT INTO shop.a VALUES (3)").await.unwrap();
    project.wait_caught_up(node).await.unwrap();
    scenario.assert_equal("shop", &["a"]).await.unwrap();

    // A template keeps options alone; a project is made with it.
    node.client(&["project", "template", "save", "careful", "--project", "test"])
        .unwrap();
    let shown = node.client(&["project", "template", "show", "careful"]).unwrap();
    assert!(
        shown.contains("lanes: 3") && !shown.contains("shop") && !shown.contains("src"),
        "{shown}"
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spec.yaml");
    let text = "name: second\nlabels: [east]\nsource: src\ndestination: dst\ndatabases: [{name: shop, tables: [{name: b}]}]\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let made = json(node, &["project", "create", "-f", file, "--template", "careful"]);
    assert_eq!(made["spec"]["incremental"]["lanes"], 3);
    let missing = node.client(&["project", "create", "-f", file, "--template", "none"]);
    assert!(format!("{:#}", missing.unwrap_err()).contains("OMS-API-0002"));

    // A copy writes what the other one writes: only once that is released.
    let copied = node.client(&["project", "copy", "test", "third"]);
    assert!(format!("{:#}", copied.unwrap_err()).contains("OMS-API-0006"));
    let labels = json(node, &["project", "labels"]);
    assert_eq!(labels["labels"][0]["projects"], 2);

    // Batches over RUNNING and INIT: each operation takes those that it can be done to.
    let would = json(
        node,
        &["project", "batch", "start", "--label", "east", "--dry-run"],
    );
    let eligible: Vec<_> = would["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["name"].as_str().unwrap(), r["eligible"] == true))
        .collect();
    assert_eq!(eligible.len(), 2);
    assert!(
        eligible.contains(&("second", true)) && eligible.contains(&("test", false)),
        "{eligible:?}"
    );
    // One of both cannot be paused: exit code 1, the other is.
    assert!(
        node.client(&["project", "batch", "pause", "--label", "east"])
            .is_err()
    );
    assert_eq!(project.get(node).await.unwrap().state(), ProjectState::Suspend);
    assert!(
        node.client(&["project", "batch", "release", "test", "nobody", "--yes"])
            .is_err()
    );
    assert_eq!(project.get(node).await.unwrap().state(), ProjectState::Suspend);
    let released = json(node, &["project", "batch", "release", "test", "--yes"]);
    assert_eq!(released["results"][0]["done"], true);
    project.wait_released(node).await.unwrap();
    let copy = json(node, &["project", "copy", "test", "third"]);
    assert_eq!(copy["spec"]["incremental"]["lanes"], 3);
    let pages = json(node, &["project", "list", "--page-size", "2", "--page", "2"]);
    assert_eq!(
        (pages["projects"].as_array().unwrap().len(), &pages["total"]),
        (1, &serde_json::json!(3))
    );
    let deleted = json(
        node,
        &["project", "batch", "delete", "test", "second", "third", "--yes"],
    );
    assert!(
        deleted["results"]
            .as_array()
            .unwrap()
            .iter()
            .all(|r| r["done"] == true),
        "{deleted}"
    );
    node.client(&["project", "template", "delete", "careful", "--yes"])
        .unwrap();
}
