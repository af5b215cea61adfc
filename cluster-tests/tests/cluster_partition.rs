//! Links are cut in one direction or both, between nodes and to the databases; work goes on where it can, and the data stays
//! exact.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use anyhow::ensure;
use oms_cluster_tests::{Auditor, BankOptions, Deployment, DeploymentOptions, End};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);

/// What is cut from the node that applies.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// It can still write, and must not.
    Peers,
    /// It is alive, and cannot write.
    Databases,
    /// The others do not hear it; it hears them.
    Mute,
    /// It does not hear the others; they hear it.
    Deaf,
    /// Only the destination cannot be reached.
    Destination,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_is_cut_off() {
    let d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    for cut in [Cut::Peers, Cut::Databases, Cut::Mute, Cut::Deaf, Cut::Destination] {
        let asked = d.cluster.other_than(&[]).unwrap();
        let (owner, before) = d.cluster.owner(asked, "incr-sync").await.unwrap();
        let lan = d.cluster.lan();
        let others = d.cluster.numbers().into_iter().filter(|n| *n != owner);
        let start = Instant::now();
        match cut {
            Cut::Peers => lan.cut_from_peers(owner).unwrap(),
            Cut::Databases => lan.cut_from_databases(owner).unwrap(),
            Cut::Destination => lan.cut_both(End::Node(owner), End::Destination).unwrap(),
            Cut::Mute => others.for_each(|n| lan.cut(End::Node(owner), End::Node(n)).unwrap()),
            Cut::Deaf => others.for_each(|n| lan.cut(End::Node(n), End::Node(owner)).unwrap()),
        }
        let cluster = &d.cluster;
        let asked = cluster.other_than(&[owner]).unwrap();
        let what = format!("incr-sync elsewhere after {cut:?}");
        let moved = cluster.wait(&what, async || {
            let (now, after) = cluster.owner(asked, "incr-sync").await?;
            ensure!(now != owner && after.epoch > before.epoch, "{after:?}");
            Ok(after.epoch)
        });
        let epoch = moved.await.unwrap();
        let moved = start.elapsed();
        d.flows(&bank, PATIENCE).await.unwrap();
        let took = start.elapsed();
        println!(
            "{cut:?}: epoch {} to {epoch} after {:.2} s, new rows after {:.2} s",
            before.epoch,
            moved.as_secs_f64(),
            took.as_secs_f64()
        );
        d.cluster.lan().heal().unwrap();
        d.cluster.settled().await.unwrap();
        d.flows(&bank, PATIENCE).await.unwrap();
    }
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 1).await.unwrap();
}

/// Without a majority nothing is decided, and nothing wrong either: no node writes when its lease is over, and everything goes
/// on after healing.
#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_alone() {
    let d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    for node in d.cluster.numbers() {
        d.cluster.lan().cut_from_peers(node).unwrap();
    }
    // When the last lease is over nothing arrives any more.
    let mut client = d.destination.client().await.unwrap();
    let mut last = (0, Instant::now());
    let start = Instant::now();
    while last.1.elapsed() < Duration::from_secs(2) {
        let highest = oms_cluster_tests::Bank::highest(&mut client, bank.database())
            .await
            .unwrap();
        if highest > last.0 {
            last = (highest, Instant::now());
        }
        assert!(
            start.elapsed() < PATIENCE,
            "rows still arrive\n{}",
            d.cluster.logs()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "the last row arrived after {:.2} s",
        (last.1 - start).as_secs_f64()
    );
    d.cluster.lan().heal().unwrap();
    d.cluster.settled().await.unwrap();
    let took = d.flows(&bank, PATIENCE).await.unwrap();
    println!("rows arrive {:.2} s after healing", took.as_secs_f64());
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 1).await.unwrap();
}

/// Whose links are slow.
#[derive(Debug, Clone, Copy)]
enum Role {
    Applies,
    Captures,
    Leads,
}

/// All links of a node are slow, narrow and stall: the others take its work, or it goes on slowly. Rows arrive meanwhile, and
/// nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn all_links_of_a_node_are_slow() {
    let options = DeploymentOptions {
        wan: true,
        ..DeploymentOptions::default()
    };
    let d = Deployment::start(options).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let (cluster, links) = (&d.cluster, d.cluster.lan().links());
    for role in [Role::Applies, Role::Captures, Role::Leads] {
        let asked = cluster.other_than(&[]).unwrap();
        let victim = match role {
            Role::Applies => cluster.owner(asked, "incr-sync").await.unwrap().0,
            Role::Captures => cluster.owner(asked, "store").await.unwrap().0,
            Role::Leads => cluster.leader(asked).await.unwrap(),
        };
        let peers = cluster.numbers().into_iter().filter(|n| *n != victim);
        let others: Vec<End> = peers.map(End::Node).chain(cluster.lan().databases()).collect();
        let victim = End::Node(victim);
        links.shape_all(victim, &others, Duration::from_millis(150), 100_000);
        let mut took = Vec::new();
        for other in &others {
            links.cut(victim, *other, true);
            tokio::time::sleep(Duration::from_millis(700)).await;
            links.cut(victim, *other, false);
            took.push(d.flows(&bank, PATIENCE).await.unwrap().as_secs_f64());
        }
        println!("{role:?}: rows arrived within {took:.2?} s after each stall");
        links.shape_all(victim, &others, Duration::ZERO, 0);
        cluster.settled().await.unwrap();
        let took = d.flows(&bank, PATIENCE).await.unwrap();
        println!("{role:?}: fast again, a row after {:.2} s", took.as_secs_f64());
    }
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 1).await.unwrap();
}
