//! The destination becomes what applications use.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use oms_cluster_tests::{Bank, BankOptions, Client, OmsNode, Scenario, ServerKind};
use oms_proto::v1::{
    ConstraintMoment, DecideSwitchoverRequest, Project, ProjectState, SchemaOptions, StartSwitchoverRequest,
    StepKind, StepState, SwitchStep, SwitchStepKind as K, SwitchStepState as S, Switchover,
    SwitchoverDecision as D, SwitchoverPlan, SwitchoverState,
};
use tonic::Status;

const SHOP: [&str; 2] = ["customers", "orders"];

async fn start(node: &OmsNode, request: StartSwitchoverRequest) -> Result<SwitchoverPlan, Status> {
    let request = StartSwitchoverRequest {
        project: "test".to_owned(),
        ..request
    };
    let answer = node.projects().await.unwrap().start_switchover(request).await;
    answer.map(tonic::Response::into_inner)
}

async fn decide(node: &OmsNode, request: DecideSwitchoverRequest) -> Result<Project, Status> {
    let request = DecideSwitchoverRequest {
        project: "test".to_owned(),
        ..request
    };
    let answer = node.projects().await.unwrap().decide_switchover(request).await;
    answer.map(tonic::Response::into_inner)
}

fn decision(decision: D) -> DecideSwitchoverRequest {
    DecideSwitchoverRequest {
        decision: decision as i32,
        ..Default::default()
    }
}

fn confirmation() -> DecideSwitchoverRequest {
    DecideSwitchoverRequest {
        step: K::WritesStopped as i32,
        ..decision(D::Confirm)
    }
}

fn skip(step: K, reason: &str) -> DecideSwitchoverRequest {
    DecideSwitchoverRequest {
        step: step as i32,
        reason: reason.to_owned(),
        ..decision(D::Skip)
    }
}

fn last(project: &Project) -> Option<&Switchover> {
    project.switchovers.last()
}

/// The first sub-step that is not over.
fn present(project: &Project) -> Option<&SwitchStep> {
    let over = |s: &&SwitchStep| matches!(s.state(), S::Done | S::Skipped);
    last(project)?.steps.iter().find(|s| !over(s))
}

fn is_at(project: &Project, kind: K, state: S) -> bool {
    present(project).is_some_and(|s| s.kind() == kind && s.state() == state)
}

/// Waits until the switchover is there; shows it when it does not come.
async fn wait_at(scenario: &Scenario, kind: K, state: S) -> Project {
    let what = format!("{} {}", kind.name(), state.name());
    wait(scenario, &what, |p| is_at(p, kind, state)).await
}

async fn wait_state(scenario: &Scenario, state: SwitchoverState) -> Project {
    wait(scenario, state.name(), |p| {
        last(p).is_some_and(|s| s.state() == state)
    })
    .await
}

async fn wait(scenario: &Scenario, what: &str, so: impl Fn(&Project) -> bool) -> Project {
    match scenario.project.wait(&scenario.node, what, so).await {
        Ok(project) => project,
        Err(error) => {
            let now = scenario.project.get(&scenario.node).await.unwrap();
            panic!("{error:#}\n{:#?}", last(&now));
        }
    }
}

/// Two tables with a foreign key, a check and a trigger.
async fn prepare_shop(client: &mut Client) {
    client
        .run_all(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.customers (id INT PRIMARY KEY, name VARCHAR(40) NOT NULL)",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY, customer INT NOT NULL, amount INT NOT NULL, \
             CONSTRAINT positive CHECK (amount > 0), \
             CONSTRAINT ordered_by FOREIGN KEY (customer) REFERENCES shop.customers (id))",
            "INSERT INTO shop.customers VALUES (1, 'a'), (2, 'b')",
            "INSERT INTO shop.orders VALUES (1, 1, 10), (2, 2, 20)",
            "CREATE TRIGGER shop.audit BEFORE UPDATE ON shop.orders FOR EACH ROW SET NEW.amount = NEW.amount",
        ])
        .await
        .unwrap();
}

/// What the account at the source may do more than reading.
async fn grant(scenario: &Scenario, client: &mut Client, privileges: &str) {
    let user = scenario.source.oms_user();
    client
        .query_drop(&format!("GRANT {privileges} ON *.* TO '{user}'@'%'"))
        .await
        .unwrap();
}

/// A project whose foreign keys and checks wait, verified once.
async fn launch(scenario: &Scenario, databases: &[&str]) {
    let mut spec = scenario.spec(databases);
    spec.schema = Some(SchemaOptions {
        foreign_keys: ConstraintMoment::Switchover as i32,
        checks: ConstraintMoment::Switchover as i32,
        ..Default::default()
    });
    scenario.launch(spec).await.unwrap();
    scenario
        .project
        .wait_step(&scenario.node, StepKind::FullVerifier, &[StepState::Finished])
        .await
        .unwrap();
}

async fn switches_over_under_load(destination: ServerKind) {
    let scenario = Scenario::start(ServerKind::MariaDb, destination).await.unwrap();
    let mut source = scenario.source.client().await.unwrap();
    grant(&scenario, &mut source, "TRIGGER").await;
    prepare_shop(&mut source).await;
    let options = BankOptions {
        accounts: 1_000,
        connections: 4,
        rate: 100,
        ..BankOptions::default()
    };
    Bank::prepare(&scenario.source, &options).await.unwrap();
    let bank = Bank::start(&scenario.source, &options).await.unwrap();
    launch(&scenario, &["shop", "bank"]).await;

    let dry_run = StartSwitchoverRequest {
        dry_run: true,
        ..Default::default()
    };
    let plan = start(&scenario.node, dry_run).await.unwrap();
    assert!(plan.missing.is_empty(), "{:?}", plan.missing);
    assert_eq!(plan.deferred_objects, 2);
    assert!(plan.write_stop_ms > 0);
    assert!(last(&scenario.project.get(&scenario.node).await.unwrap()).is_none());

    start(&scenario.node, StartSwitchoverRequest::default())
        .await
        .unwrap();
    wait_at(&scenario, K::WritesStopped, S::NeedsUser).await;
    // Somebody says so although the bank goes on.
    decide(&scenario.node, confirmation()).await.unwrap();
    bank.more(20).await;
    let found = wait_at(&scenario, K::WritesStopped, S::Failed).await;
    let error = present(&found).unwrap().error.clone().unwrap();
    assert_eq!(error.code, "OMS-SWITCH-0002");
    assert!(error.message.contains("bank"), "{}", error.message);
    // What was written meanwhile arrives all the same.
    let total = bank.stop().await.unwrap();
    decide(&scenario.node, confirmation()).await.unwrap();
    let project = wait_at(&scenario, K::Objects, S::NeedsUser).await;
    let switchover = last(&project).unwrap();
    assert!(switchover.forward_stopped);
    let items: Vec<&str> = switchover.items.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(items, ["trigger/shop.audit"]);
    let refused = decide(&scenario.node, decision(D::Cancel)).await.unwrap_err();
    assert!(refused.message().contains("stopped for good"), "{refused}");
    let complete = ["project", "switchover", "complete", "test", "trigger/shop.audit"];
    scenario.node.client(&complete).unwrap();
    let project = wait_state(&scenario, SwitchoverState::Done).await;
    assert_eq!(project.state(), ProjectState::Finished);
    let switchover = last(&project).unwrap();
    println!(
        "{destination}: writes were stopped for {} ms",
        switchover.write_stop_ms
    );
    assert!(switchover.skips.is_empty() && switchover.write_stop_ms > 0);
    assert!(
        switchover.steps.iter().all(|s| s.state() == S::Done),
        "{switchover:#?}"
    );

    let mut there = scenario.destination.client().await.unwrap();
    Bank::judge(&mut there, "bank", Some(total)).await.unwrap();
    scenario.assert_equal("bank", &Bank::TABLES).await.unwrap();
    scenario.assert_equal("shop", &SHOP).await.unwrap();
    // The constraints that waited are there and work.
    for bad in [
        "INSERT INTO shop.orders VALUES (3, 7, 1)",
        "INSERT INTO shop.orders VALUES (3, 1, -1)",
    ] {
        assert!(there.query_drop(bad).await.is_err(), "{bad}");
    }
    there
        .query_drop("INSERT INTO shop.orders VALUES (3, 1, 1)")
        .await
        .unwrap();
    let again = start(&scenario.node, StartSwitchoverRequest::default())
        .await
        .unwrap_err();
    assert!(again.message().contains("has switched over"), "{again}");
    let shown = scenario
        .node
        .client(&["project", "switchover", "show", "test"])
        .unwrap();
    assert!(shown.contains("is done: writes were stopped for"), "{shown}");
    scenario.project.release(&scenario.node).await.unwrap().unwrap();
    wait(&scenario, "release", |p| p.state() == ProjectState::Released).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_switches_over_to_mysql_under_load() {
    switches_over_under_load(ServerKind::Mysql97).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_switches_over_to_oceanbase_under_load() {
    switches_over_under_load(ServerKind::SeekDb).await;
}

async fn read_only(client: &mut Client) -> u64 {
    client.query_count("SELECT @@global.read_only").await.unwrap()
}

/// The lag is a gate that is skipped by name; what was set at the source is undone by a cancellation; and a node that dies at
/// each sub-step goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_switchover_is_gated_cancelled_and_survives_a_kill_at_each_sub_step() {
    let mut scenario = Scenario::start(ServerKind::MariaDb, ServerKind::Mysql97)
        .await
        .unwrap();
    let mut source = scenario.source.client().await.unwrap();
    grant(&scenario, &mut source, "TRIGGER").await;
    prepare_shop(&mut source).await;
    launch(&scenario, &["shop"]).await;

    // Something that cannot arrive.
    let mut lock = scenario.destination.client().await.unwrap();
    lock.query_drop("LOCK TABLES shop.customers WRITE").await.unwrap();
    source
        .query_drop("INSERT INTO shop.customers VALUES (3, 'c')")
        .await
        .unwrap();
    let request = StartSwitchoverRequest {
        set_read_only: true,
        max_lag_seconds: 1,
        ..Default::default()
    };
    start(&scenario.node, request.clone()).await.unwrap();
    let project = wait_at(&scenario, K::Precheck, S::Failed).await;
    assert_eq!(
        present(&project).unwrap().error.as_ref().unwrap().code,
        "OMS-SWITCH-0001"
    );
    decide(&scenario.node, decision(D::Retry)).await.unwrap();
    wait_at(&scenario, K::Precheck, S::Failed).await;
    let unnamed = scenario.node.client(&[
        "project",
        "switchover",
        "skip",
        "test",
        "precheck",
        "--reason",
        "x",
    ]);
    assert!(unnamed.is_err(), "it asks for nothing");
    let other = decide(&scenario.node, skip(K::Verified, "x")).await.unwrap_err();
    assert!(other.message().contains("is at precheck"), "{other}");
    decide(&scenario.node, skip(K::Precheck, "it is a test"))
        .await
        .unwrap();
    // The account may not, at first.
    let project = wait_at(&scenario, K::WritesStopped, S::Failed).await;
    assert_eq!(
        present(&project).unwrap().error.as_ref().unwrap().code,
        "OMS-SWITCH-0004"
    );
    grant(&scenario, &mut source, "READ_ONLY ADMIN").await;
    decide(&scenario.node, decision(D::Retry)).await.unwrap();
    wait_at(&scenario, K::Drained, S::Running).await;
    assert_eq!(read_only(&mut source).await, 1);
    decide(&scenario.node, decision(D::Cancel)).await.unwrap();
    let project = wait_state(&scenario, SwitchoverState::Canceled).await;
    assert_eq!(read_only(&mut source).await, 0);
    assert_eq!(project.state(), ProjectState::Running);
    let switchover = last(&project).unwrap();
    assert_eq!(switchover.skips.len(), 1);
    assert!(
        switchover.log.iter().any(|l| l.text.contains("read_only is OFF")),
        "{:#?}",
        switchover.log
    );
    lock.query_drop("UNLOCK TABLES").await.unwrap();
    scenario.project.wait_caught_up(&scenario.node).await.unwrap();

    // Once more, with the node killed as each sub-step begins.
    let request = StartSwitchoverRequest {
        max_lag_seconds: 120,
        ..request
    };
    start(&scenario.node, request).await.unwrap();
    let mut killed = Vec::new();
    loop {
        let project = wait(&scenario, "the next sub-step", |p| {
            let present = present(p).map(SwitchStep::kind);
            last(p).is_some_and(|s| s.state() == SwitchoverState::Done)
                || present.is_some_and(|k| !killed.contains(&k))
                || is_at(p, K::Objects, S::NeedsUser)
                || present.is_some_and(|_| {
                    p.switchovers
                        .iter()
                        .any(|s| s.steps.iter().any(|s| s.state() == S::Failed))
                })
        })
        .await;
        if last(&project).unwrap().state() == SwitchoverState::Done {
            break;
        }
        let step = present(&project).unwrap().clone();
        assert_ne!(step.state(), S::Failed, "{step:?}");
        if step.state() == S::NeedsUser {
            let completed = DecideSwitchoverRequest {
                item: "trigger/shop.audit".to_owned(),
                ..decision(D::Complete)
            };
            decide(&scenario.node, completed).await.unwrap();
            wait_state(&scenario, SwitchoverState::Done).await;
            continue;
        }
        killed.push(step.kind());
        scenario.node.kill().unwrap();
        scenario.node.restart().await.unwrap();
    }
    println!("killed in {killed:?}");
    // Some sub-steps take less time than it takes to see them.
    assert!(killed.len() >= 2, "{killed:?}");
    let project = scenario.project.get(&scenario.node).await.unwrap();
    assert_eq!(project.state(), ProjectState::Finished);
    assert!(last(&project).unwrap().skips.is_empty());
    assert_eq!(read_only(&mut source).await, 1);
    assert_eq!(scenario.assert_equal("shop", &SHOP).await.unwrap(), 5);
    let mut there = scenario.destination.client().await.unwrap();
    let bad = "INSERT INTO shop.orders VALUES (3, 7, 1)";
    assert!(there.query_drop(bad).await.is_err());
}
