//! Days on which databases, disks and machines misbehave: nothing is lost, doubled or skipped, and the project
//! goes on by itself wherever that is possible.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::time::Duration;

use oms_cluster_tests::{
    Client, LOAD_TABLES, Load, LoadOptions, OmsNode, PortLease, Scenario, ServerKind, ServerOptions,
};
use oms_proto::v1::{
    Component, FullOptions, GetProjectRequest, ListComponentsRequest, ObjectDecision, ObjectState,
    PrecheckOptions, ProjectState, StepKind, StepState,
};
use tokio::time::{Instant, sleep};

/// How long something may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(120);

fn load_options() -> LoadOptions {
    LoadOptions {
        rate: 100,
        ..LoadOptions::default()
    }
}

/// A project over the tables of the load, caught up.
async fn synchronizing(source: ServerKind, destination: ServerKind) -> Scenario {
    let scenario = Scenario::start(source, destination).await.unwrap();
    Load::prepare(&scenario.source, &load_options(), 2_000)
        .await
        .unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    wait_monitoring(&scenario).await;
    scenario
}

async fn wait_monitoring(scenario: &Scenario) {
    let states = [StepState::Monitoring];
    let waited = scenario
        .project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &states);
    waited.await.unwrap();
}

/// Waits for this many more commits.
async fn commits(load: &Load, more: u64) {
    let target = load.counters().commits + more;
    while load.counters().commits < target {
        sleep(Duration::from_millis(10)).await;
    }
}

/// The end of every test: everything arrives, and both the product and the testbed call both sides equal.
async fn ends_equal(scenario: &Scenario) {
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();
    let result = scenario.project.verify(&scenario.node).await.unwrap();
    assert!(result.consistent, "{result:?}");
    scenario.assert_equal("load", &LOAD_TABLES).await.unwrap();
}

async fn component(scenario: &Scenario, kind: &str) -> Option<Component> {
    let request = ListComponentsRequest {
        project: scenario.project.name.clone(),
    };
    let mut client = scenario.node.components().await.ok()?;
    let listed = client.list_components(request).await.ok()?.into_inner();
    listed.components.into_iter().find(|c| c.kind == kind)
}

/// What somebody does who reads OMS-DST-0013: seekdb may keep a session for ever whose client was killed while it made a
/// definition known, and with it every other definition.
async fn restart_if_asked(scenario: &mut Scenario) {
    let asked = component(scenario, "schema-migration")
        .await
        .and_then(|c| c.progress)
        .is_some_and(|p| p.detail.contains("OMS-DST-0013"));
    if asked {
        println!("the destination keeps a killed session and is restarted");
        scenario.destination.kill().unwrap();
        scenario.destination.restart().await.unwrap();
    }
}

/// Asks without a pause until the step runs; a step that is over by then was too short for the test.
async fn wait_running(scenario: &mut Scenario, step: StepKind) {
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    let mut look = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < deadline, "{} never ran: {seen:?}", step.name());
        // The first connection after a restart may fail.
        let Ok(mut client) = scenario.node.projects().await else {
            continue;
        };
        loop {
            assert!(Instant::now() < deadline, "{} never ran: {seen:?}", step.name());
            if Instant::now() > look {
                look = Instant::now() + Duration::from_secs(5);
                restart_if_asked(scenario).await;
            }
            let request = GetProjectRequest {
                project: scenario.project.name.clone(),
            };
            let Ok(answer) = client.get_project(request).await else {
                break;
            };
            let project = answer.into_inner();
            assert_ne!(project.state(), ProjectState::Failed, "{:?}", project.error);
            seen.clone_from(&project.steps);
            match project.steps.iter().find(|s| s.kind() == step).map(|s| s.state()) {
                Some(StepState::Running) => return,
                // Incremental synchronization runs on when it has caught up.
                Some(StepState::Monitoring) if step == StepKind::IncrTransfer => return,
                Some(StepState::Finished | StepState::Monitoring) => {
                    panic!("{} was over before it was seen", step.name())
                }
                _ => {}
            }
        }
    }
}

/// Each step is killed while it runs, started again, and killed once more while it runs again. Only the Store's start
/// has a test of its own.
#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_killed_twice() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let options = load_options();
    Load::prepare(&scenario.source, &options, 10_000).await.unwrap();
    // Many tables make precheck and schema migration last long enough to be hit.
    let mut client = scenario.source.client().await.unwrap();
    client.query_drop("USE `load`").await.unwrap();
    for n in 0..100 {
        let sql = format!("CREATE TABLE more_{n} (id INT PRIMARY KEY, v VARCHAR(20), KEY by_v (v))");
        client.query_drop(&sql).await.unwrap();
        let sql = format!("INSERT INTO more_{n} VALUES (1, 'one'), (2, 'two')");
        client.query_drop(&sql).await.unwrap();
    }
    let load = Load::start(&scenario.source, &options).await.unwrap();
    let mut spec = scenario.spec(&["load"]);
    spec.full = Some(FullOptions {
        max_rows_per_second: 6_000,
        chunk_rows: 1_000,
        ..FullOptions::default()
    });
    scenario.launch(spec).await.unwrap();

    let steps = [
        StepKind::TransferPrecheck,
        StepKind::StructTransfer,
        StepKind::FullTransfer,
        StepKind::IncrTransfer,
        StepKind::FullVerifier,
    ];
    for step in steps {
        for _ in 0..2 {
            wait_running(&mut scenario, step).await;
            scenario.node.kill().unwrap();
            scenario.node.restart().await.unwrap();
        }
        println!("{} was killed twice", step.name());
    }
    wait_monitoring(&scenario).await;
    load.stop().await.unwrap();
    ends_equal(&scenario).await;
    let more: Vec<_> = (0..100).map(|n| format!("more_{n}")).collect();
    let more: Vec<_> = more.iter().map(String::as_str).collect();
    assert_eq!(scenario.assert_equal("load", &more).await.unwrap(), 200);
}

/// The Store's start takes milliseconds, so it is held: the source stands still from a moment on at which schema
/// migration has read all that it needs, and the Store waits for an answer while the node is killed twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_killed_twice_before_it_started() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let options = load_options();
    Load::prepare(&scenario.source, &options, 1_000).await.unwrap();
    let mut client = scenario.source.client().await.unwrap();
    client.query_drop("USE `load`").await.unwrap();
    // Enough tables that some are still to be created when the first one is seen.
    for n in 0..100 {
        let sql = format!("CREATE TABLE more_{n} (id INT PRIMARY KEY, v VARCHAR(20), KEY by_v (v))");
        client.query_drop(&sql).await.unwrap();
    }
    let load = Load::start(&scenario.source, &options).await.unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    scenario.launch(scenario.spec(&["load"])).await.unwrap();
    let created = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'load'";
    let deadline = Instant::now() + PATIENCE;
    while there.query_one(created).await.unwrap().as_deref() == Some("0") {
        assert!(Instant::now() < deadline, "nothing was created");
    }
    scenario.source.freeze().unwrap();
    for _ in 0..2 {
        wait_running(&mut scenario, StepKind::TransferIncrLogPull).await;
        // The step begins first, then its component is given to a node.
        let deadline = Instant::now() + PATIENCE;
        while component(&scenario, "store").await.is_none() {
            assert!(Instant::now() < deadline, "no Store was assigned");
        }
        scenario.node.kill().unwrap();
        scenario.node.restart().await.unwrap();
    }
    wait_running(&mut scenario, StepKind::TransferIncrLogPull).await;
    scenario.source.thaw().unwrap();
    wait_monitoring(&scenario).await;
    load.stop().await.unwrap();
    ends_equal(&scenario).await;
}

/// A moment in the middle of schema migration, as the destination shows it: this many of these objects are there.
async fn created(there: &mut Client, what: &str, at_least: u64) {
    let deadline = Instant::now() + PATIENCE;
    let sql = format!("SELECT COUNT(*) FROM information_schema.{what} WHERE table_schema = 'shop'");
    while there.query_count(&sql).await.unwrap() < at_least {
        assert!(Instant::now() < deadline, "{what}: {at_least} did not come");
    }
}

/// Schema migration is killed while it creates tables, while it creates views, and behind an edited object: what was
/// created is found to be there, and said to be what it was created as.
#[tokio::test(flavor = "multi_thread")]
async fn objects_are_found_again_after_an_interruption() {
    const VIEWS: u64 = 60;
    const TABLES: u64 = 60;
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    root.query_drop("CREATE DATABASE shop").await.unwrap();
    root.query_drop("USE shop").await.unwrap();
    // It fails, is edited, and is the first to be created by then.
    let table = "CREATE TABLE a_edited (id INT PRIMARY KEY, v INT) ENGINE=MyISAM";
    root.query_drop(table).await.unwrap();
    root.query_drop("INSERT INTO a_edited VALUES (1, 1)")
        .await
        .unwrap();
    for n in 0..TABLES {
        let table = format!("CREATE TABLE t_{n} (id INT PRIMARY KEY, v VARCHAR(20), KEY by_v (v))");
        root.query_drop(&table).await.unwrap();
        let rows = format!("INSERT INTO t_{n} VALUES (1, 'one'), (2, 'two')");
        root.query_drop(&rows).await.unwrap();
    }
    for n in 0..VIEWS {
        let view = format!("CREATE VIEW v_{n} AS SELECT id, v FROM t_{n} WHERE id > 1");
        root.query_drop(&view).await.unwrap();
    }
    let mut spec = scenario.spec(&["shop"]);
    spec.precheck = Some(PrecheckOptions {
        skip: vec!["DB_ENGINE".to_owned()],
    });
    let mut there = scenario.destination.client().await.unwrap();
    scenario.launch(spec).await.unwrap();

    created(&mut there, "tables", TABLES / 4).await;
    scenario.node.kill().unwrap();
    scenario.node.restart().await.unwrap();
    created(&mut there, "views", VIEWS / 4).await;
    scenario.node.kill().unwrap();
    let views = "SELECT COUNT(*) FROM information_schema.views WHERE table_schema = 'shop'";
    let there_then = there.query_count(views).await.unwrap();
    assert!(there_then < VIEWS, "all views were there before the kill");
    scenario.node.restart().await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    let (code, message) = project.wait_failed(node).await.unwrap();
    assert_eq!(code, "OMS-SCHEMA-0001", "{message}");
    // Only what has to be decided failed: nothing was taken for another's because it is there.
    let open = async |node: &OmsNode| {
        let objects = project.objects(node).await.unwrap();
        let done = [ObjectState::Completed, ObjectState::Converted];
        let open = objects.iter().filter(|o| !done.contains(&o.state()));
        open.map(|o| (o.table.clone(), o.state(), o.error.clone()))
            .collect::<Vec<_>>()
    };
    let failed = open(node).await;
    assert!(failed.len() == 1 && failed[0].0 == "a_edited", "{failed:?}");

    // Its statement is not repeatable: run twice, the second would fail.
    let edit = ["CREATE TABLE shop.a_edited (id BIGINT PRIMARY KEY, v BIGINT, w INT DEFAULT 7)"];
    project
        .decide_table(node, ("shop", "a_edited"), ObjectDecision::Edit, &edit)
        .await
        .unwrap()
        .unwrap();
    project.resume(node).await.unwrap().unwrap();
    created(&mut there, "tables", TABLES + VIEWS + 1).await;
    scenario.node.kill().unwrap();
    scenario.node.restart().await.unwrap();
    let (project, node) = (&scenario.project, &scenario.node);
    project
        .wait_step(node, StepKind::StructTransfer, &[StepState::Finished])
        .await
        .unwrap();
    let left = project.objects(node).await.unwrap();
    let edited = left.iter().find(|o| o.table == "a_edited").unwrap();
    assert!(
        edited.edited && edited.state() == ObjectState::Converted,
        "{edited:?}"
    );
    assert_eq!(edited.statements, edit);
    let column = "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 'a_edited'";
    assert_eq!(there.query_count(column).await.unwrap(), 3);
    assert_eq!(there.query_count(views).await.unwrap(), VIEWS);
    let done = [ObjectState::Completed, ObjectState::Converted];
    let open: Vec<_> = left.iter().filter(|o| !done.contains(&o.state())).collect();
    assert!(open.is_empty(), "{open:?}");
}

/// A server carries out a statement to its end although its client was killed, so a table may come between the moment at
/// which schema migration looked and the moment at which it creates: it is compared like one that was there before.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_come_meanwhile_are_compared() {
    const TABLES: u64 = 150;
    let scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let mut root = scenario.source.client().await.unwrap();
    root.query_drop("CREATE DATABASE shop").await.unwrap();
    root.query_drop("USE shop").await.unwrap();
    for n in 0..TABLES {
        let table = format!("CREATE TABLE t_{n} (id INT PRIMARY KEY, v VARCHAR(20), KEY by_v (v))");
        root.query_drop(&table).await.unwrap();
    }
    for table in ["zz_same", "zz_other"] {
        let table = format!("CREATE TABLE {table} (id INT PRIMARY KEY, v VARCHAR(20), KEY by_v (v))");
        root.query_drop(&table).await.unwrap();
    }
    let mut there = scenario.destination.client().await.unwrap();
    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    created(&mut there, "tables", 1).await;
    let mut node = scenario.node;
    node.freeze().unwrap();
    there.query_drop("USE shop").await.unwrap();
    // The product's own statement, so that nothing but the time differs.
    let first = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'";
    let first = there.query_one(first).await.unwrap().unwrap();
    let show = format!("SHOW CREATE TABLE {first}");
    // It may be listed a moment before it can be used.
    let deadline = Instant::now() + PATIENCE;
    let shown = loop {
        match there.query_strings(&show).await {
            Ok(shown) => break shown,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    let same = shown[0][1].replace(&format!("`{first}`"), "`zz_same`");
    there.query_drop(&same).await.unwrap();
    there
        .query_drop("CREATE TABLE zz_other (id INT PRIMARY KEY)")
        .await
        .unwrap();
    node.thaw().unwrap();
    let (code, message) = scenario.project.wait_failed(&node).await.unwrap();
    assert_eq!(code, "OMS-SCHEMA-0001", "{message}");
    let objects = scenario.project.objects(&node).await.unwrap();
    let failed: Vec<_> = objects
        .iter()
        .filter(|o| o.state() == ObjectState::Failed)
        .map(|o| o.table.as_str())
        .collect();
    assert_eq!(failed, ["zz_other"], "{message}");
    let same = objects.iter().find(|o| o.table == "zz_same").unwrap();
    assert!(
        matches!(same.state(), ObjectState::Completed | ObjectState::Converted),
        "{same:?}"
    );
}

/// The source's log is purged behind what the Store has: the project stops and names the missing range.
async fn purged(source: ServerKind, gtid: bool) {
    let options = ServerOptions::source().gtid(gtid);
    let destination = ServerOptions::destination();
    let mut scenario = Scenario::start_with(source, options, ServerKind::SeekDb, destination)
        .await
        .unwrap();
    Load::prepare(&scenario.source, &load_options(), 500)
        .await
        .unwrap();
    let mut spec = scenario.spec(&["load"]);
    if !gtid {
        // A table without a key needs a snapshot at a known position, which takes GTIDs or another privilege.
        spec.databases[0].exclude.push("load_nokey".to_owned());
    }
    scenario.launch(spec).await.unwrap();
    wait_monitoring(&scenario).await;
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();
    scenario.node.stop().unwrap();

    let mut client = scenario.source.client().await.unwrap();
    let lost = "INSERT INTO `load`.load_unique (id, n) VALUES (900001, 1)";
    client.query_drop(lost).await.unwrap();
    client.query_drop("FLUSH BINARY LOGS").await.unwrap();
    client
        .query_drop("INSERT INTO `load`.load_unique (id, n) VALUES (900002, 1)")
        .await
        .unwrap();
    client.query_drop("FLUSH BINARY LOGS").await.unwrap();
    // The server holds a file back until it has noticed that its reader is gone.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let logs = client.query_strings("SHOW BINARY LOGS").await.unwrap();
        if logs.len() == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "not purged: {logs:?}");
        let last = &logs.last().unwrap()[0];
        let purge = format!("PURGE BINARY LOGS TO '{last}'");
        client.query_drop(&purge).await.unwrap();
    }
    client
        .query_drop("INSERT INTO `load`.load_unique (id, n) VALUES (900003, 1)")
        .await
        .unwrap();

    scenario.node.restart().await.unwrap();
    let (code, message) = scenario.project.wait_failed(&scenario.node).await.unwrap();
    println!("{code} {message}");
    assert_eq!(code, "OMS-SRC-0008", "{message}");
    for end in ["binlog.000001", "binlog.000003"] {
        assert!(message.contains(end), "the missing range is not named: {message}");
    }
    let store = component(&scenario, "store").await.unwrap();
    assert_eq!(store.error.unwrap_or_default().code, "OMS-SRC-0008");
    // Nothing behind the gap was applied.
    let mut client = scenario.destination.client().await.unwrap();
    let count = "SELECT COUNT(*) FROM `load`.load_unique WHERE id > 900000";
    assert_eq!(
        client.query_strings(count).await.unwrap(),
        vec![vec!["0".to_owned()]]
    );
    // The failure survives a restart: the gap is not forgotten.
    scenario.node.stop().unwrap();
    scenario.node.restart().await.unwrap();
    let (code, _) = scenario.project.wait_failed(&scenario.node).await.unwrap();
    assert_eq!(code, "OMS-SRC-0008");
}

#[tokio::test(flavor = "multi_thread")]
async fn binlog_of_mariadb_is_purged() {
    purged(ServerKind::MariaDb, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binlog_of_mysql97_is_purged() {
    purged(ServerKind::Mysql97, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn binlog_without_gtid_is_purged() {
    purged(ServerKind::Mysql56, false).await;
}

/// Either database and the node itself stand still for longer than any of them waits for an answer.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_frozen_once() {
    // Longer than the five seconds after which a silent log stream counts as lost.
    const FROZEN: Duration = Duration::from_secs(8);
    let mut scenario = synchronizing(ServerKind::MariaDb, ServerKind::SeekDb).await;
    let load = Load::start(&scenario.source, &load_options()).await.unwrap();
    commits(&load, 50).await;

    scenario.source.freeze().unwrap();
    sleep(FROZEN).await;
    scenario.source.thaw().unwrap();
    commits(&load, 50).await;
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();

    scenario.destination.freeze().unwrap();
    sleep(FROZEN).await;
    scenario.destination.thaw().unwrap();
    commits(&load, 50).await;
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();

    scenario.node.freeze().unwrap();
    sleep(FROZEN).await;
    scenario.node.thaw().unwrap();
    commits(&load, 50).await;
    load.stop().await.unwrap();
    ends_equal(&scenario).await;
    let store = component(&scenario, "store").await.unwrap();
    println!("store: {} retries, {}", store.retries, store.last_retry);
}

/// SIGTERM in the middle of full import and of synchronization; a second process is kept away from the folder and
/// from the port.
#[tokio::test(flavor = "multi_thread")]
async fn stopped_and_started_again() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::SeekDb)
        .await
        .unwrap();
    let options = load_options();
    Load::prepare(&scenario.source, &options, 10_000).await.unwrap();
    let load = Load::start(&scenario.source, &options).await.unwrap();
    let mut spec = scenario.spec(&["load"]);
    spec.full = Some(FullOptions {
        max_rows_per_second: 8_000,
        chunk_rows: 1_000,
        ..FullOptions::default()
    });
    scenario.launch(spec).await.unwrap();
    wait_running(&mut scenario, StepKind::FullTransfer).await;
    let began = Instant::now();
    scenario.node.stop().unwrap();
    println!("stopped within {:?} during full import", began.elapsed());
    scenario.node.restart().await.unwrap();
    wait_monitoring(&scenario).await;

    let free = PortLease::take().unwrap();
    let listen = format!("127.0.0.1:{}", free.port());
    let (exit, text) = OmsNode::refused(scenario.node.data(), &listen).unwrap();
    assert_eq!(exit, Some(1), "{text}");
    assert!(text.contains("OMS-CLUSTER-0003"), "{text}");
    let other = tempfile::tempdir().unwrap();
    let (exit, text) = OmsNode::refused(other.path(), &scenario.node.address()).unwrap();
    assert_eq!(exit, Some(1), "{text}");
    assert!(text.contains("OMS-CONFIG-0003"), "{text}");

    commits(&load, 20).await;
    let began = Instant::now();
    scenario.node.stop().unwrap();
    println!("stopped within {:?} during synchronization", began.elapsed());
    commits(&load, 20).await;
    scenario.node.restart().await.unwrap();
    load.stop().await.unwrap();
    ends_equal(&scenario).await;
}
