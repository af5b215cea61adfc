//! Releasing a project whose destination is gone: it waits and says why, and force gives up what is there.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::time::{Duration, Instant};

use oms_cluster_tests::{Scenario, ServerKind};
use oms_proto::v1::{ListComponentsRequest, Project, ProjectState, StepKind, StepState};
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(90);

async fn wait(scenario: &Scenario, what: &str, is_there: impl Fn(&Project) -> bool) -> Project {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let project = scenario.project.get(&scenario.node).await.unwrap();
        if is_there(&project) {
            return project;
        }
        assert!(Instant::now() < deadline, "{what} did not happen: {project:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Rows of the project in the hidden tables, by component.
async fn hidden_rows(scenario: &Scenario, project: &str) -> Vec<String> {
    let mut client = scenario.destination.client().await.unwrap();
    let mut rows = Vec::new();
    for table in ["fence_v1", "receipt_v1", "record_v1"] {
        let sql = format!("SELECT CONCAT('{table} ', component) FROM omsnode_meta.{table}");
        let found = client.query_strings(&sql).await.unwrap();
        rows.extend(found.into_iter().flatten().filter(|r| r.contains(project)));
    }
    rows
}

/// A synchronized and verified project, paused; then its destination stops and it is released.
async fn begin_release(scenario: &mut Scenario) -> Project {
    scenario.launch(scenario.spec(&["d"])).await.unwrap();
    let finished = [StepState::Finished];
    let node = &scenario.node;
    scenario
        .project
        .wait_step(node, StepKind::FullVerifier, &finished)
        .await
        .unwrap();
    scenario.project.pause(node).await.unwrap().unwrap();
    let project = scenario.project.get(node).await.unwrap();
    assert!(!hidden_rows(scenario, &project.id).await.is_empty());
    scenario.destination.stop().await.unwrap();
    scenario.project.release(&scenario.node).await.unwrap().unwrap();
    let waits = wait(scenario, "an error", |p| p.error.is_some()).await;
    assert_eq!(waits.state(), ProjectState::Releasing);
    let error = waits.error.clone().unwrap();
    assert!(error.code.starts_with("OMS-DST-"), "{error:?}");
    assert!(error.message.contains("omsnode_meta"), "{error:?}");
    println!("{} {}", error.code, error.message);
    waits
}

async fn trial(destination: ServerKind) {
    let mut scenario = Scenario::start(ServerKind::MariaDb, destination).await.unwrap();
    let mut source = scenario.source.client().await.unwrap();
    let table = "CREATE TABLE d.t (id INT PRIMARY KEY)";
    let rows = "INSERT INTO d.t VALUES (1), (2), (3)";
    source.run_all(&["CREATE DATABASE d", table, rows]).await.unwrap();

    // It goes on by itself when the destination is there again.
    let waiting = begin_release(&mut scenario).await;
    let request = ListComponentsRequest {
        project: waiting.id.clone(),
    };
    let mut client = scenario.node.components().await.unwrap();
    let components = client.list_components(request).await.unwrap().into_inner();
    let failing: Vec<_> = components
        .components
        .iter()
        .filter(|c| c.error.is_some())
        .map(|c| c.kind.as_str())
        .collect();
    assert!(failing.contains(&waiting_kind(&waiting)), "{failing:?}");
    assert!(
        !failing.contains(&"store"),
        "what is local is removed: {failing:?}"
    );
    scenario.destination.restart().await.unwrap();
    let released = wait(&scenario, "release", |p| p.state() == ProjectState::Released).await;
    assert_eq!(released.error, None);
    assert!(released.left_behind.is_empty(), "{:?}", released.left_behind);
    assert_eq!(hidden_rows(&scenario, &waiting.id).await, [""; 0]);
    scenario.project.delete(&scenario.node).await.unwrap().unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    there.query_drop("DROP DATABASE d").await.unwrap();

    // By force it ends, and says what stays where; that is what is there.
    let waiting = begin_release(&mut scenario).await;
    let forced = scenario.project.force_release(&scenario.node).await.unwrap();
    assert_eq!(forced.unwrap().state(), ProjectState::Releasing);
    let released = wait(&scenario, "release", |p| p.state() == ProjectState::Released).await;
    assert_eq!(released.error, None);
    println!("{}", released.left_behind.join("\n"));
    scenario.destination.restart().await.unwrap();
    let rows = hidden_rows(&scenario, &waiting.id).await;
    assert!(!rows.is_empty());
    for row in rows {
        let (table, component) = row.split_once(' ').unwrap();
        let named = |line: &String| {
            line.contains(&format!("'{component}'"))
                && line.contains(table)
                && line.contains(&format!(":{}", scenario.destination.port()))
        };
        assert!(
            released.left_behind.iter().any(named),
            "{row} is not in {:?}",
            released.left_behind
        );
    }
    // Nothing of it is in the way of a new project.
    scenario.project.delete(&scenario.node).await.unwrap().unwrap();
    let mut there = scenario.destination.client().await.unwrap();
    there.query_drop("DROP DATABASE d").await.unwrap();
    scenario.launch(scenario.spec(&["d"])).await.unwrap();
    let finished = [StepState::Finished];
    let done = scenario
        .project
        .wait_step(&scenario.node, StepKind::FullVerifier, &finished);
    assert!(done.await.unwrap().verification.unwrap().consistent);
}

/// The component that the project's error speaks of.
fn waiting_kind(project: &Project) -> &'static str {
    let message = project.error.clone().unwrap_or_default().message;
    let kinds = ["full-import", "incr-sync", "full-verification"];
    let found = kinds
        .into_iter()
        .find(|k| message.starts_with(&format!("removing {}.{k}", project.id)));
    found.unwrap_or_else(|| panic!("{message}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_waits_for_mariadb_or_is_forced() {
    trial(ServerKind::MariaDb).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_waits_for_oceanbase_or_is_forced() {
    trial(ServerKind::SeekDb).await;
}
