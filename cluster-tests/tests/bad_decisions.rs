//! Projects that cannot go on until somebody decides, operations at the wrong moment, and what release and deletion
//! leave behind.
#![allow(clippy::unwrap_used)]

use oms_cluster_tests::{
    LOAD_TABLES, Load, LoadOptions, OmsNode, ProjectClient, Scenario, ServerKind, Sysbench,
};
use oms_proto::error_of;
use oms_proto::v1::{
    CreateProjectRequest, DatabaseSelection, DeleteDataSourceRequest, FullOptions, LabelProjectRequest,
    ObjectDecision, ObjectState, OnExistingRows, ProjectRequest, ProjectSpec, ProjectState, StepKind,
    StepState, TableSelection, VerifyProjectRequest,
};
use tonic::Status;

/// The error has the code and says all of the words.
#[track_caller]
fn says<T: std::fmt::Debug>(answer: Result<T, Status>, code: &str, words: &[&str]) {
    let error = error_of(&answer.unwrap_err());
    assert_eq!(error.code, code, "{}", error.message);
    mentions(&error.message, words);
}

#[track_caller]
fn mentions(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

async fn create(node: &OmsNode, spec: ProjectSpec) -> Result<(), Status> {
    let request = CreateProjectRequest { spec: Some(spec) };
    let mut client = node.projects().await.unwrap();
    client.create_project(request).await.map(|_| ())
}

async fn verified(project: &ProjectClient, node: &OmsNode) -> oms_proto::v1::Project {
    project
        .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap()
}

async fn released(project: &ProjectClient, node: &OmsNode) {
    if project.get(node).await.unwrap().state() == ProjectState::Running {
        project.pause(node).await.unwrap().unwrap();
    }
    project.release(node).await.unwrap().unwrap();
    project.wait_released(node).await.unwrap();
}

/// Rows at the destination stop the import; resumed it goes on in spite of them, and by policy they stay.
#[tokio::test(flavor = "multi_thread")]
async fn the_destination_is_not_empty() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let mut root = scenario.source.client().await.unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    let table = "CREATE TABLE shop.full (id INT PRIMARY KEY, v VARCHAR(10))";
    let statements = [
        "CREATE DATABASE shop",
        table,
        "INSERT INTO shop.full VALUES (1, 'source'), (2, 'source')",
        "CREATE TABLE shop.empty (id INT PRIMARY KEY)",
        "INSERT INTO shop.empty VALUES (1)",
    ];
    root.run_all(&statements).await.unwrap();
    let statements = [
        "CREATE DATABASE shop",
        table,
        "INSERT INTO shop.full VALUES (2, 'there'), (3, 'there')",
    ];
    there.run_all(&statements).await.unwrap();

    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-IMPORT-0001", "{message}");
    mentions(&message, &["`shop`.`full`"]);
    assert!(!message.contains("`shop`.`empty`"), "{message}");
    let rows = "SELECT id, v FROM shop.full ORDER BY id";
    assert_eq!(
        there.query_strings(rows).await.unwrap(),
        [["2", "there"], ["3", "there"]]
    );
    project.resume(node).await.unwrap().unwrap();
    verified(project, node).await;
    // What was asked for: the source's rows are there; what else is there is told by verification.
    let differences = project.differences(node, true).await.unwrap();
    let rows_now = there.query_strings(rows).await.unwrap();
    assert_eq!(rows_now[0], ["1", "source"], "{rows_now:?}");
    assert!(
        !differences.is_empty() || rows_now.len() == 2,
        "a destination-only row was not reported: {rows_now:?}"
    );
    released(project, node).await;
    project.delete(node).await.unwrap().unwrap();

    let statements = [
        "DROP TABLE shop.empty",
        "TRUNCATE TABLE shop.full",
        "INSERT INTO shop.full VALUES (2, 'source'), (3, 'there')",
    ];
    there.run_all(&statements).await.unwrap();
    let spec = ProjectSpec {
        full: Some(FullOptions {
            on_existing_rows: OnExistingRows::Ignore as i32,
            ..Default::default()
        }),
        ..scenario.spec(&["shop"])
    };
    scenario.launch(spec).await.unwrap();
    let result = verified(project, node).await.verification.unwrap();
    // The extra row is neither touched nor counted.
    assert!(result.consistent, "{result:?}");
    assert_eq!(result.destination_only, 0);
    assert_eq!(
        there.query_strings(rows).await.unwrap(),
        [["1", "source"], ["2", "source"], ["3", "there"]]
    );
    scenario.assert_equal("shop", &["empty"]).await.unwrap();
}

/// Four tables exist at the destination and are different: each is decided in another way, and each way leads on.
#[tokio::test(flavor = "multi_thread")]
async fn objects_that_failed_are_decided() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let mut root = scenario.source.client().await.unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    let tables = ["again", "skipped", "edited", "removed"];
    root.query_drop("CREATE DATABASE shop").await.unwrap();
    there.query_drop("CREATE DATABASE shop").await.unwrap();
    for table in tables {
        let statements = [
            format!("CREATE TABLE shop.{table} (id INT PRIMARY KEY, v INT, w INT)"),
            format!("INSERT INTO shop.{table} VALUES (1, 1, 1), (2, 2, 2)"),
        ];
        root.run_all(&statements).await.unwrap();
        let statement = format!("CREATE TABLE shop.{table} (id INT PRIMARY KEY, v VARCHAR(5), w INT)");
        there.query_drop(&statement).await.unwrap();
    }
    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-SCHEMA-0001", "{message}");
    mentions(&message, &["4 of 5", "`shop`.`again`"]);
    for table in tables {
        let object = project.table_object(node, table).await.unwrap();
        assert_eq!(object.state(), ObjectState::Failed, "{object:?}");
        let error = object.error.unwrap();
        assert_eq!(error.code, "OMS-SCHEMA-0007", "{error:?}");
        // Columns that differ are named.
        mentions(&error.message, &["v"]);
        assert!(!object.source_definition.is_empty());
    }
    let decide = async |table: &str, decision: ObjectDecision, statements: &[&str]| {
        project
            .decide_table(node, ("shop", table), decision, statements)
            .await
            .unwrap()
    };
    says(
        decide("nothing", ObjectDecision::Skip, &[]).await,
        "OMS-API-0002",
        &["`shop`.`nothing`"],
    );
    says(
        decide("edited", ObjectDecision::Edit, &[]).await,
        "OMS-API-0001",
        &["statement"],
    );
    // A refused edit leaves the object as it was.
    let object = project.table_object(node, "edited").await.unwrap();
    assert_eq!(object.state(), ObjectState::Failed, "{object:?}");
    assert!(object.error.is_some());

    // Retried without mending, it fails again and says so.
    decide("again", ObjectDecision::Retry, &[]).await.unwrap();
    project.resume(node).await.unwrap().unwrap();
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-SCHEMA-0001", "{message}");
    mentions(&message, &["`shop`.`again`"]);

    there.query_drop("DROP TABLE shop.again").await.unwrap();
    decide("again", ObjectDecision::Retry, &[]).await.unwrap();
    let statements = [
        "DROP TABLE shop.skipped",
        "CREATE TABLE shop.skipped (id INT PRIMARY KEY, v BIGINT, w BIGINT)",
    ];
    there.run_all(&statements).await.unwrap();
    decide("skipped", ObjectDecision::Skip, &[]).await.unwrap();
    let edit = [
        "DROP TABLE shop.edited",
        "CREATE TABLE shop.edited (id BIGINT PRIMARY KEY, v INT, w INT)",
    ];
    decide("edited", ObjectDecision::Edit, &edit).await.unwrap();
    decide("removed", ObjectDecision::Remove, &[]).await.unwrap();
    says(
        decide("removed", ObjectDecision::Retry, &[]).await,
        "OMS-API-0004",
        &["removed"],
    );
    project.resume(node).await.unwrap().unwrap();
    let done = verified(project, node).await;
    let result = done.verification.unwrap();
    assert!(result.consistent, "{result:?}");
    assert_eq!((result.tables, result.rows), (3, 6));
    for (table, state) in [
        ("again", ObjectState::Completed),
        ("skipped", ObjectState::Skipped),
        ("edited", ObjectState::Converted),
        ("removed", ObjectState::Removed),
    ] {
        let object = project.table_object(node, table).await.unwrap();
        assert_eq!(object.state(), state, "{object:?}");
    }
    scenario
        .assert_equal("shop", &["again", "skipped", "edited"])
        .await
        .unwrap();
    // The removed table is neither imported, nor written by the log, nor verified.
    root.query_drop("INSERT INTO shop.removed VALUES (3, 3, 3)")
        .await
        .unwrap();
    root.query_drop("INSERT INTO shop.edited VALUES (3, 3, 3)")
        .await
        .unwrap();
    project.wait_caught_up(node).await.unwrap();
    assert_eq!(
        there
            .query_count("SELECT COUNT(*) FROM shop.removed")
            .await
            .unwrap(),
        0
    );
    scenario.assert_equal("shop", &["edited"]).await.unwrap();
    let verified = project.verified_tables(node).await.unwrap();
    assert!(verified.iter().all(|t| t.table != "removed"), "{verified:?}");
}

/// Names that are taken, objects that are in use, and every operation in states that do not allow it.
#[tokio::test(flavor = "multi_thread")]
async fn operations_at_the_wrong_moment() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::MariaDb)
        .await
        .unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    Load::prepare(&scenario.source, &LoadOptions::default(), 100)
        .await
        .unwrap();
    let spec = scenario.spec(&["load"]);
    says(project.start(node).await.unwrap(), "OMS-API-0002", &["\"test\""]);
    create(node, spec.clone()).await.unwrap();
    says(create(node, spec.clone()).await, "OMS-API-0003", &["\"test\""]);
    let other = |tables: &[(&str, &str)]| ProjectSpec {
        name: "other".into(),
        databases: vec![DatabaseSelection {
            name: "load".into(),
            tables: tables
                .iter()
                .map(|(name, to)| TableSelection {
                    name: (*name).into(),
                    rename_to: (*to).into(),
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        }],
        ..spec.clone()
    };
    says(
        create(node, other(&[("load_single", "")])).await,
        "OMS-API-0006",
        &["\"test\"", "`load`.`load_single`"],
    );
    // The same table by another name, by a rename and in other letters.
    says(
        create(node, other(&[("load_nokey", "LOAD_Single")])).await,
        "OMS-API-0006",
        &["\"test\""],
    );
    // The same server under the name of another data source.
    scenario.register("dst2", &scenario.destination).await.unwrap();
    let twin = ProjectSpec {
        destination: "dst2".into(),
        ..other(&[("load_single", "")])
    };
    says(create(node, twin).await, "OMS-API-0006", &["\"test\""]);
    create(node, other(&[("load_single", "copy")])).await.unwrap();
    let copy = ProjectClient { name: "other".into() };
    copy.delete(node).await.unwrap().unwrap();

    let in_use = |name: &str| DeleteDataSourceRequest { name: name.into() };
    let mut data_sources = node.data_sources().await.unwrap();
    for name in ["src", "dst"] {
        says(
            data_sources.delete_data_source(in_use(name)).await,
            "OMS-API-0007",
            &["\"test\""],
        );
    }

    let wrong = "OMS-API-0004";
    says(project.pause(node).await.unwrap(), wrong, &["INIT", "RUNNING"]);
    says(project.resume(node).await.unwrap(), wrong, &["INIT", "SUSPEND"]);
    says(project.release(node).await.unwrap(), wrong, &["INIT"]);
    let mut client = node.projects().await.unwrap();
    let named = || ProjectRequest {
        project: project.name.clone(),
    };
    let verify = || VerifyProjectRequest {
        project: project.name.clone(),
        ..Default::default()
    };
    says(client.verify_project(verify()).await, wrong, &["INIT"]);
    says(client.skip_verification(named()).await, wrong, &["INIT"]);
    says(client.wait_caught_up(named()).await.map(|_| ()), wrong, &["INIT"]);
    let label = LabelProjectRequest {
        project: project.name.clone(),
        add: vec!["two words".into()],
        ..Default::default()
    };
    says(client.label_project(label).await, "OMS-API-0001", &["two words"]);

    project.start(node).await.unwrap().unwrap();
    says(project.start(node).await.unwrap(), wrong, &["RUNNING", "INIT"]);
    says(project.resume(node).await.unwrap(), wrong, &["RUNNING"]);
    says(project.release(node).await.unwrap(), wrong, &["RUNNING"]);
    says(
        project.delete(node).await.unwrap(),
        wrong,
        &["RUNNING", "RELEASED"],
    );
    verified(project, node).await;
    says(client.skip_verification(named()).await, wrong, &["FINISHED"]);

    project.pause(node).await.unwrap().unwrap();
    says(project.pause(node).await.unwrap(), wrong, &["SUSPEND"]);
    says(project.start(node).await.unwrap(), wrong, &["SUSPEND"]);
    says(project.delete(node).await.unwrap(), wrong, &["SUSPEND"]);
    says(client.verify_project(verify()).await, wrong, &["SUSPEND"]);
    released(project, node).await;
    for answer in [
        project.start(node).await,
        project.resume(node).await,
        project.release(node).await,
    ] {
        says(answer.unwrap(), wrong, &["RELEASED"]);
    }
    // A released project holds nothing back.
    data_sources.delete_data_source(in_use("dst2")).await.unwrap();
    project.delete(node).await.unwrap().unwrap();
    says(project.delete(node).await.unwrap(), "OMS-API-0002", &["\"test\""]);
}

/// Paused and resumed in every step, a project still arrives; released and deleted it leaves nothing of its own, and
/// the same tables can be moved again.
#[tokio::test(flavor = "multi_thread")]
async fn pause_everywhere_then_release_and_start_over() {
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let options = LoadOptions {
        rate: 100,
        ..LoadOptions::default()
    };
    Load::prepare(&scenario.source, &options, 2_000).await.unwrap();
    Sysbench::prepare(&scenario.source, "load", 1, 20_000)
        .await
        .unwrap();
    let load = Load::start(&scenario.source, &options).await.unwrap();
    let slow = |spec: ProjectSpec| ProjectSpec {
        full: Some(FullOptions {
            chunk_rows: 500,
            max_rows_per_second: 10_000,
            ..Default::default()
        }),
        schema: Some(oms_proto::v1::SchemaOptions {
            postpone_indexes: true,
            ..Default::default()
        }),
        ..spec
    };
    scenario.launch(slow(scenario.spec(&["load"]))).await.unwrap();
    let steps: Vec<StepKind> = project
        .get(node)
        .await
        .unwrap()
        .steps
        .iter()
        .map(|s| s.kind())
        .collect();
    assert_eq!(steps.len(), 7, "{steps:?}");
    for step in steps {
        let begun = [StepState::Running, StepState::Monitoring, StepState::Finished];
        project.wait_step(node, step, &begun).await.unwrap();
        project.pause(node).await.unwrap().unwrap();
        let paused = project.get(node).await.unwrap();
        assert_eq!(paused.state(), ProjectState::Suspend);
        project.resume(node).await.unwrap().unwrap();
    }
    verified(project, node).await;
    load.stop().await.unwrap();
    project.wait_caught_up(node).await.unwrap();
    assert!(project.verify(node).await.unwrap().consistent);
    let mut tables = LOAD_TABLES.to_vec();
    tables.push("sbtest1");
    scenario.assert_equal("load", &tables).await.unwrap();

    // While it is paused the destination stands still, and the Store goes on.
    project.pause(node).await.unwrap().unwrap();
    let id = project.get(node).await.unwrap().id;
    let kept = node.data().join("store").join(&id);
    assert!(kept.is_dir(), "{}", kept.display());
    released(project, node).await;
    assert!(!kept.exists(), "the change log is still there");
    assert!(!node.data().join("verify").join(&id).exists());
    let mut there = scenario.destination.client().await.unwrap();
    let hidden = there
        .query_strings("SELECT table_name FROM information_schema.tables WHERE table_schema = 'omsnode_meta'")
        .await
        .unwrap();
    for table in &hidden {
        let text = there
            .query_strings(&format!("SELECT * FROM omsnode_meta.`{}`", table[0]))
            .await
            .unwrap();
        assert!(!format!("{text:?}").contains(&id), "{table:?} still has {text:?}");
    }
    assert!(!hidden.is_empty());
    // The record can be read until it is deleted.
    assert_eq!(project.get(node).await.unwrap().state(), ProjectState::Released);
    project.delete(node).await.unwrap().unwrap();
    assert!(project.get(node).await.is_err());

    there.query_drop("DROP DATABASE `load`").await.unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let result = verified(project, node).await.verification.unwrap();
    assert!(result.consistent, "{result:?}");
    scenario.assert_equal("load", &tables).await.unwrap();
}
