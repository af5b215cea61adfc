//! The leader goes to the region where it is wanted, and nothing else moves.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use anyhow::ensure;
use oms_cluster_tests::{Auditor, BankOptions, Deployment, DeploymentOptions, Place};
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(60);
/// What a component may wait for the metadata: a handover takes about half a lease.
const PAUSE: Duration = Duration::from_secs(5);

/// Waits until this node leads, as node 3 sees it; how long that took, and the term.
async fn leads(d: &Deployment, number: u8) -> (Duration, u64) {
    let begun = Instant::now();
    let what = format!("node {number} leads");
    let waited = d.cluster.wait(&what, async || {
        let cluster = d.cluster.cluster(3).await?;
        let leader = d.cluster.number_of(cluster.leader, 3).await?;
        ensure!(leader == number, "node {leader} leads");
        Ok(cluster.term)
    });
    let term = waited.await.unwrap();
    (begun.elapsed(), term)
}

/// Node and epoch of everything that runs.
async fn owners(d: &Deployment) -> Vec<(String, u64, u64, u64)> {
    let mut all: Vec<_> = d
        .cluster
        .components(3)
        .await
        .unwrap()
        .into_iter()
        .map(|c| (c.kind, c.node, c.epoch, c.failovers))
        .collect();
    all.sort();
    all
}

/// The databases are in the regions of nodes 1 and 3, and so are the components. The leader is wanted in the region of
/// node 2: it goes there, comes back when that node was restarted in good order and when it was killed, and leaves it
/// when it is drained. No component has another owner or epoch in the end, no lease ran out, and rows flow.
#[tokio::test(flavor = "multi_thread")]
async fn the_leader_is_where_it_is_wanted_and_nothing_moves() {
    let options = DeploymentOptions {
        places: vec![
            Place::new("north", "a"),
            Place::new("south", "a"),
            Place::new("third", "a"),
        ],
        regions: ("north", "third"),
        ..Default::default()
    };
    let mut d = Deployment::start(options).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let cluster = &d.cluster;
    let settled = cluster.wait("components where their databases are", async || {
        let (store, _) = cluster.owner(3, "store").await?;
        let (incr_sync, _) = cluster.owner(3, "incr-sync").await?;
        ensure!(
            (store, incr_sync) == (1, 3),
            "store on {store}, incr-sync on {incr_sync}"
        );
        Ok(())
    });
    settled.await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let before = owners(&d).await;
    let (_, first) = leads(&d, 1).await;

    let said = d
        .cluster
        .node(3)
        .client(&["cluster", "prefer-regions", "south,third"])
        .unwrap();
    assert!(said.contains("south, else third"), "{said}");
    let (took, term) = leads(&d, 2).await;
    let flows = d.flows(&bank, PATIENCE).await.unwrap();
    println!(
        "to the preferred region after {:.1} s; the next row after {:.2} s",
        took.as_secs_f64(),
        flows.as_secs_f64()
    );
    assert_eq!(term, first + 1, "one election");
    assert!(flows < PAUSE, "{flows:?}");
    assert_eq!(owners(&d).await, before);

    // In good order: the leader hands over and stops; the second best region leads until it is back.
    d.cluster.node_mut(2).stop().unwrap();
    let (took, after) = leads(&d, 3).await;
    println!(
        "the leader stopped: the next one after {:.2} s",
        took.as_secs_f64()
    );
    assert_eq!(after, term + 1, "one election");
    d.cluster.start(2, None).await.unwrap();
    let (took, _) = leads(&d, 2).await;
    println!("back again after {:.1} s", took.as_secs_f64());
    assert!(d.flows(&bank, PATIENCE).await.unwrap() < PAUSE);

    // Drained, and back.
    d.cluster
        .node(1)
        .client(&["node", "drain", "2", "--wait"])
        .unwrap();
    let (took, _) = leads(&d, 3).await;
    println!("drained: the next one after {:.2} s", took.as_secs_f64());
    d.cluster.node(1).client(&["node", "uncordon", "2"]).unwrap();
    let shown = d.cluster.node(1).client(&["cluster", "show"]).unwrap();
    assert!(shown.contains("south, else third"), "{shown}");

    assert_eq!(owners(&d).await, before, "{}", d.describe().await);
    for number in [1, 3] {
        let log = d.cluster.node(number).log();
        assert!(!log.contains("the lease has run out"), "{}", d.cluster.logs());
    }
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 1).await.unwrap();
}
