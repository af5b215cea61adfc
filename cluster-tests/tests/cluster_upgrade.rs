//! Nodes are restarted and replaced by a newer version one after the other, and the project goes on.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use oms_cluster_tests::{
    Auditor, Bank, BankOptions, Deployment, DeploymentOptions, OmsNode, Place, ProjectClient, compare_tables,
};
use oms_proto::error_of;
use oms_proto::v1::{
    CreateProjectRequest, ObjectKind, ProjectRequest, ProjectSpec, ProjectState, PutTemplateRequest,
    StepKind, StepState,
};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);
/// The feature level of this version.
const LEVEL: u32 = 5;
/// The feature level that templates need, and all that is told of objects.
const TEMPLATES: u32 = 4;
/// No row may be waited for longer while nodes are restarted in good order.
const LONGEST: Duration = Duration::from_secs(10);

/// Watches the copy, and notes the longest time in which nothing came.
struct Watcher {
    stop: tokio::sync::watch::Sender<bool>,
    work: tokio::task::JoinHandle<Duration>,
}

impl Watcher {
    async fn start(d: &Deployment, database: &str) -> Self {
        let mut client = d.destination.client().await.unwrap();
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let database = database.to_owned();
        let work = tokio::spawn(async move {
            let (mut longest, mut last, mut seen) = (Duration::ZERO, Instant::now(), 0);
            while !*stopped.borrow() {
                let highest = Bank::highest(&mut client, &database).await.unwrap();
                longest = longest.max(last.elapsed());
                if highest > seen {
                    (seen, last) = (highest, Instant::now());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            longest
        });
        Self { stop, work }
    }

    async fn stop(self) -> Duration {
        self.stop.send(true).unwrap();
        self.work.await.unwrap()
    }
}

/// The project runs, and new rows arrive; how long one took.
async fn goes_on(d: &Deployment, bank: &Bank, when: &str) -> Duration {
    let took = d.flows(bank, PATIENCE).await.unwrap();
    println!("{when}: a row arrives after {:.2} s", took.as_secs_f64());
    let asked = d.cluster.other_than(&[]).unwrap();
    let project = d.project.get(d.cluster.node(asked)).await.unwrap();
    assert_eq!(
        project.state(),
        ProjectState::Running,
        "{when}: {:?}",
        project.error
    );
    took
}

/// Stops a node in good order, and starts it with what its binary is by then.
async fn restart(d: &mut Deployment, bank: &Bank, number: u8, what: &str) {
    d.cluster.node_mut(number).stop().unwrap();
    goes_on(d, bank, &format!("node {number} is down to be {what}")).await;
    d.cluster.start(number, None).await.unwrap();
    d.cluster.settled().await.unwrap();
    goes_on(d, bank, &format!("node {number} was {what}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_restarted_one_after_the_other() {
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let watcher = Watcher::start(&d, bank.database()).await;
    for number in d.cluster.numbers() {
        restart(&mut d, &bank, number, "restarted").await;
    }
    let longest = watcher.stop().await;
    println!("at most {:.2} s without a new row", longest.as_secs_f64());
    assert!(longest < LONGEST, "{longest:?}");
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 1).await.unwrap();
}

/// What a node says to a template: done, or a code with words.
async fn template(d: &Deployment, through: u8, name: &str) -> Result<(), (String, String)> {
    let request = PutTemplateRequest {
        name: name.into(),
        spec: Some(ProjectSpec::default()),
        ..Default::default()
    };
    let mut client = d.cluster.node(through).projects().await.unwrap();
    match client.put_template(request).await {
        Ok(_) => Ok(()),
        Err(status) => Err((error_of(&status).code, status.message().to_owned())),
    }
}

/// While an old node is there, nothing that it would not understand is let in, whoever is asked, and everything else is.
async fn mixed(d: &Deployment, bank: &Bank, (new, old): (u8, u8), level: u32, when: &str) {
    for through in [new, old] {
        let said = template(d, through, &format!("{when} {new} {through}").replace(' ', "_")).await;
        if level >= TEMPLATES {
            said.unwrap_or_else(|(code, words)| panic!("{when}: {code} {words}"));
            continue;
        }
        let (code, words) = said.unwrap_err();
        if through == new {
            assert_eq!(code, "OMS-CLUSTER-0020", "{when}: {words}");
            let id = d.cluster.id_of(old, new).await.unwrap();
            assert!(words.contains(&format!("node {id} ")), "{when}: {words}");
        }
    }
    assert_eq!(
        d.cluster.cluster(new).await.unwrap().feature_level,
        level,
        "{when}"
    );
    // Changes through either reach both.
    for through in [new, old] {
        d.cluster.token(through, 0, 1).await.unwrap();
    }
    for asked in [new, old] {
        let seen = d.cluster.nodes(asked).await.unwrap();
        assert_eq!(seen.len(), 3, "{when}");
    }
    migrates_a_schema(d, (new, old), level, when).await;
    goes_on(d, bank, when).await;
}

/// A project goes through its schema migration on the upgraded node, whose records the old ones must understand.
async fn migrates_a_schema(d: &Deployment, (new, old): (u8, u8), level: u32, when: &str) {
    let project = ProjectClient {
        name: format!("{}_{new}", when.replace(' ', "_")),
    };
    let database = project.name.as_str();
    let mut source = d.source.client().await.unwrap();
    let statements = [
        format!("CREATE DATABASE {database}"),
        format!(
            "CREATE TABLE {database}.kinds (id INT PRIMARY KEY, name VARCHAR(20), UNIQUE KEY by_name (name))"
        ),
        format!(
            "CREATE TABLE {database}.parts (id INT PRIMARY KEY, kind INT, amount INT, KEY by_amount (amount), \
             CONSTRAINT some CHECK (amount > 0), CONSTRAINT of_kind FOREIGN KEY (kind) REFERENCES {database}.kinds (id))"
        ),
        format!(
            "CREATE TRIGGER {database}.noted BEFORE INSERT ON {database}.parts FOR EACH ROW SET NEW.amount = NEW.amount + 1"
        ),
        format!("INSERT INTO {database}.kinds VALUES (1, 'a'), (2, 'b')"),
        format!("INSERT INTO {database}.parts VALUES (1, 1, 10), (2, 2, 20), (3, NULL, 30)"),
    ];
    for statement in &statements {
        source.query_drop(statement).await.unwrap();
    }
    // It has nowhere else to go.
    let (member, cluster) = (d.cluster.node(new), &d.cluster);
    let mut others = Vec::new();
    for other in cluster.numbers() {
        if other != new {
            others.push(cluster.id_of(other, new).await.unwrap().to_string());
        }
    }
    for id in &others {
        member.client(&["node", "cordon", id]).unwrap();
    }
    let mut spec = project.spec(&[database]);
    spec.steps = Some(oms_proto::v1::Steps {
        schema: true,
        full: true,
        verification: true,
        ..Default::default()
    });
    let mut projects = member.projects().await.unwrap();
    let request = CreateProjectRequest { spec: Some(spec) };
    projects.create_project(request).await.unwrap();
    let request = ProjectRequest {
        project: project.name.clone(),
    };
    projects.start_project(request).await.unwrap();
    let waited = project.wait_step(member, StepKind::FullVerifier, &[StepState::Finished]);
    let done = waited
        .await
        .unwrap_or_else(|e| panic!("{when}: {e:#}\n{}", d.cluster.logs()));
    assert!(done.verification.unwrap().consistent, "{when}");
    let mut destination = d.destination.client().await.unwrap();
    for table in ["kinds", "parts"] {
        let same = compare_tables(
            (&mut source, database, table),
            (&mut destination, database, table),
        );
        assert!(same.await.unwrap().is_equal(), "{when}: {table}");
    }
    // Whichever node is asked, it knows the same of the objects, and nothing that an old one would have forgotten.
    let told = project.objects(member).await.unwrap();
    assert_eq!(told, project.objects(cluster.node(old)).await.unwrap(), "{when}");
    for kind in [ObjectKind::Table, ObjectKind::ForeignKey] {
        assert!(told.iter().any(|o| o.kind() == kind), "{when}: {told:?}");
    }
    let timed = told.iter().any(|o| o.started_at_ms != 0);
    assert_eq!(timed, level >= TEMPLATES, "{when}: {told:?}");
    for id in &others {
        member.client(&["node", "uncordon", id]).unwrap();
    }
    project.release(member).await.unwrap().unwrap();
    project.wait_released(member).await.unwrap();
    project.delete(member).await.unwrap().unwrap();
    println!("{when}: a schema was migrated on the upgraded node");
}

/// An older version, by `OMSNODE_OLD_BIN`, becomes this one, node by node, with the leader on both sides.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an older binary: deploy/upgrade-check builds one and runs this"]
async fn an_older_version_is_upgraded_node_by_node() {
    let old = std::env::var_os("OMSNODE_OLD_BIN").map(PathBuf::from);
    let old = old.expect("OMSNODE_OLD_BIN names an older omsnode; deploy/upgrade-check REVISION builds one");
    let old_name: &'static str = Box::leak(old.to_string_lossy().into_owned().into_boxed_str());
    let new = OmsNode::binary().unwrap();
    let options = DeploymentOptions {
        environment: vec![("OMSNODE_BIN", old_name)],
        ..Default::default()
    };
    let mut d = Deployment::start(options).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let watcher = Watcher::start(&d, bank.database()).await;
    let leader = d.cluster.leader(1).await.unwrap();
    let level = d.cluster.cluster(1).await.unwrap().feature_level;
    assert!(
        level < LEVEL,
        "the other version has level {level}, so it is not older"
    );

    // The followers first: the leader is old.
    let followers: Vec<u8> = d.cluster.numbers().into_iter().filter(|n| *n != leader).collect();
    for number in &followers {
        d.cluster.node_mut(*number).set_binary(&new);
        restart(&mut d, &bank, *number, "upgraded").await;
        if d.cluster.leader(*number).await.unwrap() == leader {
            mixed(&d, &bank, (*number, leader), level, "an old leader").await;
        }
    }
    // The old one restarts as it is: a new one leads it.
    restart(&mut d, &bank, leader, "restarted").await;
    let cluster = &d.cluster;
    let led = cluster.wait("a new node leads", async || {
        let now = cluster.leader(followers[0]).await?;
        ensure!(now != leader, "node {now} leads");
        Ok(())
    });
    led.await.unwrap();
    mixed(&d, &bank, (followers[0], leader), level, "a new leader").await;

    d.cluster.node_mut(leader).set_binary(&new);
    restart(&mut d, &bank, leader, "upgraded").await;
    assert_eq!(d.cluster.cluster(leader).await.unwrap().feature_level, LEVEL);
    for number in d.cluster.numbers() {
        template(&d, number, &format!("all{number}")).await.unwrap();
    }

    // From now on the older version stays outside, as a newcomer and as a member that goes back.
    let newcomer = d.cluster.settle(Place::new("default", "d")).await.unwrap();
    d.cluster.node_mut(newcomer).set_binary(&old);
    let admission = d.cluster.admission(leader, false).await.unwrap();
    let log = d.cluster.refused(newcomer, Some(&admission)).await.unwrap();
    assert!(log.contains("OMS-CLUSTER-0030"), "{log}");
    let member = followers[1];
    d.cluster.node_mut(member).stop().unwrap();
    d.cluster.node_mut(member).set_binary(&old);
    let log = d.cluster.refused(member, None).await.unwrap();
    assert!(log.contains("OMS-CLUSTER-0020"), "{log}");
    d.cluster.node_mut(member).set_binary(&new);
    d.cluster.start(member, None).await.unwrap();
    d.cluster.settled().await.unwrap();
    goes_on(&d, &bank, "all are new").await;

    let longest = watcher.stop().await;
    println!(
        "from level {level} to {LEVEL}: at most {:.2} s without a new row",
        longest.as_secs_f64()
    );
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, leader).await.unwrap();
}
