//! Every kind of component continues elsewhere when its node dies, freezes or comes back late; the data stays exact.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use anyhow::{Context, ensure};
use oms_cluster_tests::{
    Auditor, Bank, BankOptions, Deployment, DeploymentOptions, LOAD_TABLES, Load, LoadOptions, ServerKind,
};
use oms_proto::v1::{
    FullOptions, MoveComponentRequest, StepKind, StepState, VerifyProjectRequest, VerifyScope,
};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a component of a kind exists on a node, asking without pause; the node.
async fn seen(d: &Deployment, asked: u8, kind: &str) -> u8 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match d.cluster.owner(asked, kind).await {
            Ok((owner, _)) => return owner,
            Err(error) => assert!(
                Instant::now() < deadline,
                "no {kind}: {error:#}\n{}",
                d.cluster.logs()
            ),
        }
    }
}

/// A component's node dies; another node has it under a higher epoch.
async fn killed(d: &mut Deployment, kind: &str) -> u8 {
    let asked = d.cluster.other_than(&[]).unwrap();
    let (victim, before) = d.cluster.owner(asked, kind).await.unwrap();
    d.cluster.node_mut(victim).kill().unwrap();
    let asked = d.cluster.other_than(&[victim]).unwrap();
    let cluster = &d.cluster;
    cluster
        .wait(&format!("{kind} on another node"), async || {
            let (owner, after) = cluster.owner(asked, kind).await?;
            ensure!(owner != victim && after.epoch > before.epoch, "{after:?}");
            ensure!(after.failovers > before.failovers, "{after:?}");
            Ok(())
        })
        .await
        .unwrap();
    victim
}

/// Store and incr-sync, with the first new row in time, and with no word from the dead machine.
#[tokio::test(flavor = "multi_thread")]
async fn store_and_incr_sync() {
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    for kind in ["incr-sync", "store", "incr-sync"] {
        let start = Instant::now();
        let victim = killed(&mut d, kind).await;
        let took = start.elapsed() + d.flows(&bank, PATIENCE).await.unwrap();
        println!("{kind}: first new row after at most {:.2} s", took.as_secs_f64());
        d.cluster.start(victim, None).await.unwrap();
        d.cluster.settled().await.unwrap();
    }
    // As if its machine lost power: connections stay half open at the destination.
    let asked = d.cluster.other_than(&[]).unwrap();
    let (victim, _) = d.cluster.owner(asked, "incr-sync").await.unwrap();
    d.cluster.vanish(victim).unwrap();
    let took = d.flows(&bank, PATIENCE).await.unwrap();
    println!("machine lost: first new row after {:.2} s", took.as_secs_f64());
    d.cluster.revive(victim).await.unwrap();
    d.cluster.settled().await.unwrap();

    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, victim).await.unwrap();
}

/// Schema migration, full import and full verification of one project lose their nodes in the middle of their work.
#[tokio::test(flavor = "multi_thread")]
async fn schema_import_and_verification() {
    let mut d = Deployment::start(DeploymentOptions {
        destination: ServerKind::SeekDb,
        ..Default::default()
    })
    .await
    .unwrap();
    let options = LoadOptions {
        rate: 50,
        ..LoadOptions::default()
    };
    Load::prepare(&d.source, &options, 10_000).await.unwrap();
    let mut client = d.source.client().await.unwrap();
    client.query_drop("USE `load`").await.unwrap();
    for n in 0..100 {
        let sql = format!("CREATE TABLE more_{n} (id INT PRIMARY KEY, v VARCHAR(20), KEY by_v (v))");
        client.query_drop(&sql).await.unwrap();
    }
    let load = Load::start(&d.source, &options).await.unwrap();
    let mut spec = d.spec(&["load"]);
    // Slow enough to be hit in the middle.
    spec.full = Some(FullOptions {
        max_rows_per_second: 4_000,
        chunk_rows: 500,
        ..Default::default()
    });
    d.launch(1, spec).await.unwrap();

    // Schema migration: when some tables are there, and not all.
    seen(&d, 1, "schema-migration").await;
    let mut there = d.destination.client().await.unwrap();
    let tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'load'";
    while there.query_count(tables).await.unwrap() < 5 {}
    let victim = killed(&mut d, "schema-migration").await;
    d.cluster.start(victim, None).await.unwrap();
    d.cluster.settled().await.unwrap();

    // Full import: chunks of the former owner are not copied again.
    let receipts = "SELECT COUNT(*) FROM omsnode_meta.receipt_v1 WHERE component LIKE '%full-import%'";
    let deadline = Instant::now() + PATIENCE;
    while there.query_count(receipts).await.unwrap_or_default() < 20 {
        assert!(
            Instant::now() < deadline,
            "no chunks: {}\n{}",
            d.describe().await,
            d.cluster.logs()
        );
        sleep(Duration::from_millis(5)).await;
    }
    let victim = killed(&mut d, "full-import").await;
    let kept = there.query_count(receipts).await.unwrap();
    d.cluster.start(victim, None).await.unwrap();
    d.following().await.unwrap();
    let by_epoch = "SELECT epoch, COUNT(*) FROM omsnode_meta.receipt_v1 \
                    WHERE component LIKE '%full-import%' GROUP BY epoch ORDER BY epoch";
    let by_epoch = there.query_strings(by_epoch).await.unwrap();
    println!("chunks by epoch: {by_epoch:?}");
    let first: u64 = by_epoch[0][1].parse().unwrap();
    assert!(
        by_epoch.len() == 2 && first >= 20 && first <= kept,
        "{by_epoch:?}, {kept} before the kill"
    );

    // Full verification: asked for again, as often as it is over before it could be hit.
    let node = d.cluster.other_than(&[]).unwrap();
    let node = d.cluster.node(node);
    let done = [StepState::Finished];
    d.project
        .wait_step(node, StepKind::FullVerifier, &done)
        .await
        .unwrap();
    d.cluster.settled().await.unwrap();
    let mut hit = false;
    for _ in 0..10 {
        let asked = d.cluster.other_than(&[]).unwrap();
        let mut projects = d.cluster.node(asked).projects().await.unwrap();
        let request = VerifyProjectRequest {
            project: d.project.name.clone(),
            scope: VerifyScope::All as i32,
        };
        let run = d
            .project
            .get(d.cluster.node(asked))
            .await
            .unwrap()
            .verification
            .unwrap_or_default()
            .run;
        projects.verify_project(request).await.unwrap();
        let (victim, before) = running_verification(&d, asked).await;
        d.cluster.node_mut(victim).kill().unwrap();
        let asked = d.cluster.other_than(&[victim]).unwrap();
        let (project, node) = (d.project.clone(), d.cluster.node(asked));
        let finished = project
            .wait(node, "a verification", |p| {
                let finished = |s: &oms_proto::v1::Step| {
                    s.kind() == StepKind::FullVerifier && s.state() == StepState::Finished
                };
                p.steps.iter().any(finished) && p.verification.unwrap_or_default().run > run
            })
            .await
            .with_context(|| d.cluster.logs())
            .unwrap();
        assert!(finished.verification.unwrap().consistent, "{finished:?}");
        let after = d.cluster.component(asked, "full-verification").await.unwrap();
        d.cluster.start(victim, None).await.unwrap();
        d.cluster.settled().await.unwrap();
        if after.epoch > before {
            hit = true;
            break;
        }
    }
    assert!(hit, "verification was over before its node died, ten times");

    load.stop().await.unwrap();
    let asked = d.cluster.other_than(&[]).unwrap();
    d.project.wait_caught_up(d.cluster.node(asked)).await.unwrap();
    d.assert_equal("load", &LOAD_TABLES).await.unwrap();
}

/// The node and the epoch of a verification that runs.
async fn running_verification(d: &Deployment, asked: u8) -> (u8, u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok((owner, component)) = d.cluster.owner(asked, "full-verification").await
            && component.state() != oms_proto::v1::ComponentState::Completed
        {
            return (owner, component.epoch);
        }
        assert!(
            Instant::now() < deadline,
            "no verification: {}",
            d.describe().await
        );
    }
}

/// The honest test of fencing: the owner stands still in the middle of its work, its successor goes on, and it wakes. What
/// it still sends must not arrive. The table without a key shows every row that was written twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_frozen_owner_wakes() {
    frozen_owner(ServerKind::MariaDb).await;
}

/// The same with OceanBase, whose locks and sessions are of another kind.
#[tokio::test(flavor = "multi_thread")]
async fn the_frozen_owner_wakes_at_oceanbase() {
    frozen_owner(ServerKind::SeekDb).await;
}

async fn frozen_owner(destination: ServerKind) {
    let mut d = Deployment::start(DeploymentOptions {
        destination,
        ..Default::default()
    })
    .await
    .unwrap();
    let options = BankOptions {
        rate: 200,
        connections: 4,
        ..BankOptions::default()
    };
    let bank = d.follow_bank(&options).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    for round in 1..=3 {
        let asked = d.cluster.other_than(&[]).unwrap();
        let (former, before) = d.cluster.owner(asked, "incr-sync").await.unwrap();
        d.cluster.node_mut(former).freeze().unwrap();
        let took = d.flows(&bank, PATIENCE).await.unwrap();
        let asked = d.cluster.other_than(&[former]).unwrap();
        let (owner, after) = d.cluster.owner(asked, "incr-sync").await.unwrap();
        assert!(
            owner != former && after.epoch > before.epoch,
            "{before:?} {after:?}"
        );
        let log = d.cluster.node(former).log().len();
        d.cluster.node_mut(former).thaw().unwrap();
        bank.more(100).await;
        let cluster = &d.cluster;
        let words = cluster
            .wait("the end of the former owner", async || {
                let said = cluster.node(former).log().split_off(log);
                let end = |line: &&str| {
                    line.contains("incr-sync")
                        && (line.contains("OMS-APPLY-0004")
                            || line.contains("fenced")
                            || line.contains("lease"))
                };
                let line = said.lines().find(end).map(str::to_owned);
                line.with_context(|| format!("node {former} said:\n{said}"))
            })
            .await
            .unwrap();
        println!(
            "round {round}: successor after {:.2} s; the former owner: {words}",
            took.as_secs_f64()
        );
        cluster
            .wait("the fence row of the successor", async || {
                let mut client = d.destination.client().await?;
                let epochs =
                    "SELECT DISTINCT epoch FROM omsnode_meta.fence_v1 WHERE component LIKE '%incr-sync%'";
                let epochs = client.query_strings(epochs).await?;
                let component = cluster.component(asked, "incr-sync").await?;
                ensure!(
                    epochs == [[component.epoch.to_string()]],
                    "{epochs:?} {component:?}"
                );
                Ok(())
            })
            .await
            .unwrap();
        d.cluster.settled().await.unwrap();
    }
    d.flows(&bank, PATIENCE).await.unwrap();
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    let transfers = d
        .settle_bank(bank, d.cluster.other_than(&[]).unwrap())
        .await
        .unwrap();
    let mut client = d.destination.client().await.unwrap();
    assert_eq!(Bank::judge(&mut client, "bank", None).await.unwrap(), transfers);
}

/// With a lease that does not run out, only the destination can stop a former owner: its component is given to another node
/// while it stands still, and it wakes in the belief that nothing happened.
#[tokio::test(flavor = "multi_thread")]
async fn the_destination_refuses_a_former_owner() {
    let environment = vec![("OMSNODE_LEASE_MS", "60000")];
    let mut d = Deployment::start(DeploymentOptions {
        environment,
        ..Default::default()
    })
    .await
    .unwrap();
    let options = BankOptions {
        rate: 200,
        connections: 4,
        ..BankOptions::default()
    };
    let bank = d.follow_bank(&options).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let leader = d.cluster.leader(1).await.unwrap();
    let followers: Vec<u8> = d.cluster.numbers().into_iter().filter(|n| *n != leader).collect();
    give(&d, leader, followers[0]).await;
    d.flows(&bank, PATIENCE).await.unwrap();
    let mut refused = 0;
    // The moment at which it stands still is not ours: it may have been between two transactions, and hears of its
    // successor before it begins the next.
    for round in 0..30 {
        let (former, next) = (followers[round % 2], followers[(round + 1) % 2]);
        d.cluster.node_mut(former).freeze().unwrap();
        give(&d, leader, next).await;
        d.flows(&bank, PATIENCE).await.unwrap();
        let log = d.cluster.node(former).log().len();
        d.cluster.node_mut(former).thaw().unwrap();
        bank.more(200).await;
        d.flows(&bank, PATIENCE).await.unwrap();
        let said = d.cluster.node(former).log().split_off(log);
        if let Some(line) = said.lines().find(|line| line.contains("ended as fenced")) {
            println!("round {round}: {line}");
            assert!(line.contains("OMS-APPLY-0004"), "{line}");
            refused += 1;
            if refused == 2 {
                break;
            }
        }
    }
    assert!(refused > 0, "nobody was refused\n{}", d.cluster.logs());
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, leader).await.unwrap();
}

/// Moves incr-sync to a node and waits until it is there.
async fn give(d: &Deployment, asked: u8, to: u8) {
    let cluster = &d.cluster;
    let (owner, component) = cluster.owner(asked, "incr-sync").await.unwrap();
    if owner == to {
        return;
    }
    let node = cluster.id_of(to, asked).await.unwrap();
    let request = MoveComponentRequest {
        id: component.id,
        node,
    };
    let mut client = cluster.node(asked).components().await.unwrap();
    client.move_component(request).await.unwrap();
    let moved = cluster.wait("incr-sync where it was moved to", async || {
        let (owner, component) = cluster.owner(asked, "incr-sync").await?;
        ensure!(owner == to, "{component:?}");
        Ok(())
    });
    moved.await.unwrap();
}
