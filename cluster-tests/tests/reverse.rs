//! Both directions at once: no change goes round, none is missed.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use oms_cluster_tests::{Client, OmsNode, ProjectClient, Scenario, Server, ServerKind, ServerOptions};
use oms_proto::v1::{
    Component, CreateProjectRequest, ListComponentsRequest, ListProjectsRequest, PrecheckStatus, Project,
    ProjectSpec, StepKind, StepState, SwitchStepKind, SwitchStepState, SwitchoverState,
};
use tokio::task::JoinHandle;
use tonic::Status;

const TABLES: [&str; 3] = ["accounts", "notes", "journal"];
const ACTIVE: [StepState; 2] = [StepState::Running, StepState::Monitoring];
/// How long counts may take to show what has happened.
const PATIENCE: Duration = Duration::from_secs(120);
/// Least transactions of each writer while both directions run.
const LEAST: u64 = 150;

/// A source and a destination whose logs can both be read, and which the same account may write.
async fn both_ways(left: ServerKind, right: ServerKind) -> Scenario {
    let options = || ServerOptions::source().gtid(true);
    let scenario = Scenario::start_with(left, options(), right, options())
        .await
        .unwrap();
    for server in [&scenario.source, &scenario.destination] {
        let mut client = server.client().await.unwrap();
        let grant = format!("GRANT ALL PRIVILEGES ON *.* TO '{}'@'%'", server.oms_user());
        client.query_drop(&grant).await.unwrap();
    }
    let mut client = scenario.source.client().await.unwrap();
    client
        .run_all(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.accounts (id BIGINT NOT NULL PRIMARY KEY, n INT NOT NULL, v VARCHAR(30)) ENGINE=InnoDB",
            "CREATE TABLE shop.notes (a INT NOT NULL, b VARCHAR(20) NOT NULL, v TEXT, PRIMARY KEY (b, a)) ENGINE=InnoDB",
            "CREATE TABLE shop.journal (n INT NOT NULL, v VARCHAR(20)) ENGINE=InnoDB",
            "INSERT INTO shop.accounts VALUES (2, 0, 'left'), (3, 0, 'right')",
        ])
        .await
        .unwrap();
    scenario
}

/// An application at one end. It writes rows of its own only.
struct Writer {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    running: JoinHandle<()>,
}

impl Writer {
    /// `side` 0 writes even, 1 odd keys; only side 0 writes the table without a key.
    async fn start(server: &Server, side: u64) -> Self {
        let client = server.client().await.unwrap();
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let running = tokio::spawn(write(client, side, stop.clone(), done.clone()));
        Self { stop, done, running }
    }

    async fn reach(&self, transactions: u64) {
        while self.done.load(Ordering::Relaxed) < transactions {
            assert!(!self.running.is_finished(), "the writer has ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.running.await.unwrap();
        self.done.load(Ordering::Relaxed)
    }
}

async fn write(mut client: Client, side: u64, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let mut pace = tokio::time::interval(Duration::from_millis(15));
    for n in 1.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        pace.tick().await;
        let id = 10 + 2 * n + side;
        let own = 2 + side;
        let mut statements = vec![
            "BEGIN".to_owned(),
            format!("INSERT INTO shop.accounts VALUES ({id}, {n}, 'side {side}')"),
            // The same row again and again: an echo of an older state would be seen.
            format!("UPDATE shop.accounts SET n = n + 1 WHERE id = {own}"),
            format!(
                "INSERT INTO shop.notes VALUES ({n}, 'side {side}', REPEAT('x', {}))",
                n % 200
            ),
        ];
        if n > 5 {
            statements.push(format!(
                "DELETE FROM shop.notes WHERE a = {} AND b = 'side {side}'",
                n - 5
            ));
            statements.push(format!("UPDATE shop.accounts SET id = -id WHERE id = {}", id - 8));
        }
        if side == 0 {
            statements.push(format!("INSERT INTO shop.journal VALUES ({}, 'again')", n % 7));
        }
        statements.push("COMMIT".to_owned());
        // Whoever else writes here may be in the way of a lock.
        while let Err(error) = client.run_all(&statements).await {
            assert!(matches!(error.server_code(), Some(1205 | 1213)), "{error}");
            client.query_drop("ROLLBACK").await.unwrap();
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
}

fn back() -> ProjectClient {
    ProjectClient {
        name: "back".to_owned(),
    }
}

async fn start_of_reverse(scenario: &Scenario) -> Result<Project, Status> {
    let spec = ProjectSpec {
        name: back().name,
        reverse_of: scenario.project.name.clone(),
        ..ProjectSpec::default()
    };
    let mut projects = scenario.node.projects().await.unwrap();
    let request = CreateProjectRequest { spec: Some(spec) };
    let made = projects.create_project(request).await;
    made.map(tonic::Response::into_inner)
}

async fn start_reverse(scenario: &Scenario) -> ProjectClient {
    let reverse = back();
    let made = start_of_reverse(scenario).await.unwrap();
    let of = scenario.project.get(&scenario.node).await.unwrap();
    assert_eq!(made.reverse_of, of.id);
    reverse.start(&scenario.node).await.unwrap().unwrap();
    reverse
}

async fn incr_sync(node: &OmsNode, project: &ProjectClient) -> Component {
    let request = ListComponentsRequest {
        project: project.name.clone(),
    };
    let mut client = node.components().await.unwrap();
    let all = client
        .list_components(request)
        .await
        .unwrap()
        .into_inner()
        .components;
    all.into_iter().find(|c| c.kind == "incr-sync").unwrap()
}

/// What a run of incremental synchronization has done.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    /// Which run it is: counts begin anew with each.
    run: (u64, u64),
    /// Rows that it has applied.
    rows: u64,
    /// Transactions of the other direction that it has left out.
    left_out: u64,
}

async fn run(node: &OmsNode, project: &ProjectClient) -> Run {
    let component = incr_sync(node, project).await;
    let progress = component.progress.unwrap_or_default();
    let words = "transactions of the other direction left out";
    let left_out = progress
        .detail
        .split(", ")
        .find_map(|part| part.strip_suffix(words));
    Run {
        run: (component.epoch, component.retries),
        rows: progress.rows,
        left_out: left_out.map_or(0, |n| n.trim().parse().unwrap()),
    }
}

async fn both_caught_up(scenario: &Scenario, reverse: &ProjectClient) {
    for project in [&scenario.project, reverse] {
        project.wait_caught_up(&scenario.node).await.unwrap();
    }
}

/// With both directions at rest, each further change crosses once: as many rows are applied as applications wrote, and what
/// each direction applied the other one leaves out.
async fn each_change_crosses_once(scenario: &Scenario, reverse: &ProjectClient) {
    for attempt in 1..=5 {
        if crossed_once(scenario, reverse, attempt * 1_000_000).await {
            return;
        }
        println!("a component began anew meanwhile; once more");
    }
    panic!("the components never ran for long enough");
}

/// False when a component began anew meanwhile, so that its counts say nothing.
async fn crossed_once(scenario: &Scenario, reverse: &ProjectClient, first: usize) -> bool {
    let node = &scenario.node;
    let before = [run(node, &scenario.project).await, run(node, reverse).await];
    let written = [40, 30];
    for (side, server) in [&scenario.source, &scenario.destination].into_iter().enumerate() {
        let mut client = server.client().await.unwrap();
        for i in 0..written[side] {
            let id = first + 2 * i + side;
            let insert = format!("INSERT INTO shop.accounts VALUES ({id}, 0, 'once')");
            client.query_drop(&insert).await.unwrap();
        }
    }
    // An echo comes with what is written behind it: a few more times around.
    let mut round = 0;
    let deadline = Instant::now() + PATIENCE;
    loop {
        both_caught_up(scenario, reverse).await;
        let now = [run(node, &scenario.project).await, run(node, reverse).await];
        if now[0].run != before[0].run || now[1].run != before[1].run {
            return false;
        }
        let applied = [0, 1].map(|i| now[i].rows.saturating_sub(before[i].rows));
        assert!(
            applied[0] <= 40 && applied[1] <= 30,
            "a change came back: {now:?}, before {before:?}"
        );
        let left_out = [0, 1].map(|i| now[i].left_out > before[i].left_out);
        if applied == [40, 30] && left_out == [true, true] {
            round += 1;
        }
        if round > 3 {
            return true;
        }
        assert!(
            Instant::now() < deadline,
            "not all crossed: {now:?}, before {before:?}"
        );
        for server in [&scenario.source, &scenario.destination] {
            let mut client = server.client().await.unwrap();
            let other = "CREATE TABLE IF NOT EXISTS shop.elsewhere (id INT PRIMARY KEY) ENGINE=InnoDB";
            client.query_drop(other).await.unwrap();
            client
                .query_drop("REPLACE INTO shop.elsewhere VALUES (1)")
                .await
                .unwrap();
        }
    }
}

async fn both_directions_run_at_once(left: ServerKind, right: ServerKind) {
    let mut scenario = both_ways(left, right).await;
    let mut spec = scenario.spec(&[]);
    let tables = TABLES.map(|name| oms_proto::v1::TableSelection {
        name: name.into(),
        ..Default::default()
    });
    spec.databases = vec![oms_proto::v1::DatabaseSelection {
        name: "shop".into(),
        tables: tables.to_vec(),
        ..Default::default()
    }];
    scenario.launch(spec).await.unwrap();
    let forward = scenario.project.clone();
    forward
        .wait_step(&scenario.node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
    let left_writer = Writer::start(&scenario.source, 0).await;
    left_writer.reach(10).await;
    let reverse = start_reverse(&scenario).await;
    reverse
        .wait_step(&scenario.node, StepKind::IncrTransfer, &ACTIVE)
        .await
        .unwrap();
    let items = reverse.precheck_items(&scenario.node).await.unwrap();
    let loops: Vec<_> = items.iter().filter(|i| i.key == "LOOP_TEST").collect();
    assert_eq!(loops.len(), 2);
    assert!(
        loops.iter().all(|i| i.status() == PrecheckStatus::Passed),
        "{loops:?}"
    );
    reverse.wait_caught_up(&scenario.node).await.unwrap();

    // The destination is a database of its own now: what is written there comes back.
    let right_writer = Writer::start(&scenario.destination, 1).await;
    right_writer.reach(LEAST / 3).await;
    scenario.node.kill().unwrap();
    scenario.node.restart().await.unwrap();
    for writer in [&left_writer, &right_writer] {
        writer.reach(LEAST).await;
    }
    let written = (left_writer.stop().await, right_writer.stop().await);
    both_caught_up(&scenario, &reverse).await;
    let rows = scenario.assert_equal("shop", &TABLES).await.unwrap();
    for (server, id, n) in [
        (&scenario.source, 3, written.1),
        (&scenario.destination, 2, written.0),
    ] {
        let mut client = server.client().await.unwrap();
        let counted = format!("SELECT n FROM shop.accounts WHERE id = {id}");
        assert_eq!(client.query_count(&counted).await.unwrap(), n);
    }
    println!("{written:?} transactions crossed; {rows} rows are equal");
    each_change_crosses_once(&scenario, &reverse).await;
    scenario.assert_equal("shop", &TABLES).await.unwrap();

    // It belongs to its project, and is not listed beside it.
    let mut projects = scenario.node.projects().await.unwrap();
    let plain = projects
        .list_projects(ListProjectsRequest::default())
        .await
        .unwrap();
    assert_eq!(plain.into_inner().projects.len(), 1);
    let request = ListProjectsRequest {
        with_sub_projects: true,
        ..Default::default()
    };
    let all = projects.list_projects(request).await.unwrap();
    assert_eq!(all.into_inner().projects.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_and_mysql97() {
    both_directions_run_at_once(ServerKind::MariaDb, ServerKind::Mysql97).await;
}

/// The destination's databases take over, and what is written there afterwards comes back, nothing else.
async fn changes_come_back_after_a_switchover(destination: ServerKind) {
    let mut scenario = both_ways(ServerKind::MariaDb, destination).await;
    let spec = scenario.spec(&["shop"]);
    scenario.launch(spec).await.unwrap();
    let verified = [StepState::Finished];
    let project = &scenario.project;
    project
        .wait_step(&scenario.node, StepKind::FullVerifier, &verified)
        .await
        .unwrap();
    let writer = Writer::start(&scenario.source, 0).await;
    writer.reach(LEAST).await;
    let written = writer.stop().await;
    switch_over(&scenario).await;
    // Before anybody knows of a way back, the destination is written.
    let writer = Writer::start(&scenario.destination, 1).await;
    writer.reach(10).await;
    let reverse = start_reverse(&scenario).await;
    writer.reach(LEAST / 2).await;
    scenario.node.kill().unwrap();
    scenario.node.restart().await.unwrap();
    writer.reach(LEAST).await;
    let back = writer.stop().await;
    reverse
        .wait_step(&scenario.node, StepKind::IncrTransfer, &ACTIVE)
        .await
        .unwrap();
    // OceanBase is read in rounds: what the end of its log was is in the next one.
    reverse.wait_caught_up(&scenario.node).await.unwrap();
    let rows = scenario.assert_equal("shop", &TABLES).await.unwrap();
    let mut source = scenario.source.client().await.unwrap();
    for (id, n) in [(2, written), (3, back)] {
        let counted = format!("SELECT n FROM shop.accounts WHERE id = {id}");
        assert_eq!(source.query_count(&counted).await.unwrap(), n);
    }
    println!("{destination}: {written} transactions went over, {back} came back; {rows} rows are equal");
}

/// By the commands that a user has.
async fn switch_over(scenario: &Scenario) {
    let run = |words: &[&str]| {
        let words: Vec<&str> = ["project", "switchover"].iter().chain(words).copied().collect();
        scenario.node.client(&words).unwrap()
    };
    let reached = |kind: SwitchStepKind, state: SwitchStepState| {
        move |p: &Project| {
            p.switchovers.last().is_some_and(|s| {
                s.steps
                    .iter()
                    .any(|step| step.kind() == kind && step.state() == state)
            })
        }
    };
    run(&["start", "test", "--max-lag", "120"]);
    let asks = reached(SwitchStepKind::WritesStopped, SwitchStepState::NeedsUser);
    let waits = scenario.project.wait(&scenario.node, "writes-stopped", asks);
    waits.await.unwrap();
    let early = start_of_reverse(scenario).await.unwrap_err();
    let why = match scenario.destination.kind() {
        ServerKind::SeekDb => "both directions cannot run at once",
        _ => "is switching over",
    };
    assert!(early.message().contains(why), "{early}");
    run(&["confirm", "test", "writes-stopped"]);
    let over = |p: &Project| {
        let last = p.switchovers.last();
        last.is_some_and(|s| s.state() == SwitchoverState::Done)
    };
    let waits = scenario.project.wait(&scenario.node, "the switchover", over);
    waits.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn back_from_mysql97_after_a_switchover() {
    changes_come_back_after_a_switchover(ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn back_from_oceanbase_after_a_switchover() {
    changes_come_back_after_a_switchover(ServerKind::SeekDb).await;
}

/// A log without the hidden database is found out before anything goes round.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_marks_is_refused() {
    let options = || ServerOptions::source().gtid(true);
    let hidden = options().set("binlog_ignore_db", "omsnode_meta");
    let scenario = Scenario::start_with(ServerKind::MariaDb, options(), ServerKind::MariaDb, hidden)
        .await
        .unwrap();
    for server in [&scenario.source, &scenario.destination] {
        let mut client = server.client().await.unwrap();
        let grant = format!("GRANT ALL PRIVILEGES ON *.* TO '{}'@'%'", server.oms_user());
        client.query_drop(&grant).await.unwrap();
    }
    let mut client = scenario.source.client().await.unwrap();
    client
        .run_all(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.accounts (id BIGINT NOT NULL PRIMARY KEY) ENGINE=InnoDB",
        ])
        .await
        .unwrap();
    scenario.launch(scenario.spec(&["shop"])).await.unwrap();
    let step = StepKind::IncrTransfer;
    scenario
        .project
        .wait_step(&scenario.node, step, &ACTIVE)
        .await
        .unwrap();
    let reverse = start_reverse(&scenario).await;
    let (_, message) = reverse.wait_failed(&scenario.node).await.unwrap();
    assert!(message.contains("LOOP_TEST at source"), "{message}");
    assert!(!message.contains("LOOP_TEST at destination"), "{message}");
}
