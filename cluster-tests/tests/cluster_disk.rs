//! The disk of a node is full: others take its work, and it comes back when there is room.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use anyhow::ensure;
use oms_cluster_tests::{Auditor, BankOptions, Deployment, DeploymentOptions};
use oms_proto::v1::LabelProjectRequest;
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(60);

async fn deployment() -> Option<Deployment> {
    let options = DeploymentOptions {
        disk_megabytes: Some(256),
        ..DeploymentOptions::default()
    };
    let d = Deployment::start(options).await.unwrap();
    match d.cluster.obstacle_to_full_disks() {
        None => Some(d),
        Some(why) => {
            println!("left out: {why}");
            None
        }
    }
}

/// Writes metadata until the disk of a node has no room for more and the node has ended. How many writes that took.
async fn ends(d: &mut Deployment, victim: u8) -> u32 {
    let asked = d.cluster.other_than(&[victim]).unwrap();
    let start = Instant::now();
    for write in 1.. {
        if !d.cluster.node_mut(victim).is_running().unwrap() {
            return write;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{write} writes fitted\n{}",
            d.cluster.logs()
        );
        // What the node gave back meanwhile.
        d.cluster.disk(victim).unwrap().fill().unwrap();
        let text = format!("{write:0500}");
        let (add, remove) = match write % 2 {
            0 => (vec![text], Vec::new()),
            _ => (Vec::new(), vec![text]),
        };
        let request = LabelProjectRequest {
            project: d.project.name.clone(),
            add,
            remove,
        };
        let label = async {
            let mut client = d.cluster.node(asked).projects().await?;
            anyhow::Ok(client.label_project(request).await?)
        };
        // Refused while there is no leader.
        let _ = timeout(Duration::from_secs(5), label).await;
    }
    unreachable!("the loop has no other end")
}

/// The Store's node has no room for its log. It says so, and when that lasts another node captures; unless the node wanted to
/// write metadata before that, and ended.
#[tokio::test(flavor = "multi_thread")]
async fn the_store_goes_where_there_is_room() {
    let Some(mut d) = deployment().await else { return };
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let cluster = &d.cluster;
    let asked = cluster.other_than(&[]).unwrap();
    let (full, before) = cluster.owner(asked, "store").await.unwrap();
    let start = Instant::now();
    cluster.disk(full).unwrap().fill().unwrap();
    let asked = cluster.other_than(&[full]).unwrap();
    let moved = cluster.wait("the Store on another node", async || {
        let (now, after) = cluster.owner(asked, "store").await?;
        ensure!(now != full && after.epoch > before.epoch, "{after:?}");
        Ok(after)
    });
    let after = moved.await.unwrap();
    d.flows(&bank, PATIENCE).await.unwrap();
    let took = start.elapsed();
    println!(
        "{}: a row after {:.2} s",
        after.placed_because,
        took.as_secs_f64()
    );
    let because = &after.placed_because;
    assert!(
        because.contains("OMS-STORE-0001") || because.contains(" is down"),
        "{after:?}"
    );
    d.cluster.disk(full).unwrap().empty().unwrap();
    d.cluster.settled_again(full).await.unwrap();
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, asked).await.unwrap();
}

/// The leader cannot write its log any more. It ends, another leads, and it is not let in again before there is room.
#[tokio::test(flavor = "multi_thread")]
async fn the_leader_has_no_room() {
    let Some(mut d) = deployment().await else { return };
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let asked = d.cluster.other_than(&[]).unwrap();
    let full = d.cluster.leader(asked).await.unwrap();
    d.cluster.disk(full).unwrap().fill().unwrap();
    let writes = ends(&mut d, full).await;
    let start = Instant::now();
    let took = d.flows(&bank, PATIENCE).await.unwrap();
    let exit = d.cluster.node_mut(full).wait_exit(PATIENCE).await.unwrap();
    println!(
        "the leader ended with {exit} after {writes} writes; rows arrive after {:.2} s",
        took.as_secs_f64()
    );
    assert_eq!(exit.code(), Some(1));
    let said = d.cluster.node(full).log();
    assert!(
        said.contains("OMS-CLUSTER-0012") && said.contains("No space left"),
        "{said}"
    );
    let asked = d.cluster.other_than(&[full]).unwrap();
    let cluster = &d.cluster;
    let follower = cluster.wait("another leader", async || {
        let leader = cluster.leader(asked).await?;
        ensure!(leader != full, "node {leader} still leads");
        Ok(())
    });
    follower.await.unwrap();
    println!("another leader after {:.2} s", start.elapsed().as_secs_f64());
    let refused = d.cluster.refused(full, None).await.unwrap();
    assert!(refused.contains("OMS-CLUSTER-0006"), "{refused}");
    d.cluster.disk(full).unwrap().empty().unwrap();
    d.cluster.settled_again(full).await.unwrap();
    d.flows(&bank, PATIENCE).await.unwrap();
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, asked).await.unwrap();
}
