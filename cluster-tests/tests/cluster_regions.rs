//! Regions: components run where their database is, far links are slow and unreliable, and a region may be lost.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use anyhow::ensure;
use oms_cluster_tests::{Auditor, BankOptions, Deployment, DeploymentOptions, End, Place};
use oms_proto::v1::MoveComponentRequest;

const PATIENCE: Duration = Duration::from_secs(90);

async fn region_of(d: &Deployment, asked: u8, kind: &str) -> anyhow::Result<&'static str> {
    let (owner, _) = d.cluster.owner(asked, kind).await?;
    let known = ["north", "south", "third"];
    let region = d.cluster.node(owner).place().0.to_owned();
    known
        .into_iter()
        .find(|r| *r == region)
        .ok_or_else(|| anyhow::anyhow!("{region}"))
}

async fn settles(d: &Deployment, asked: u8, store: &str, incr_sync: &str) {
    let what = format!("Store in {store} and IncrSync in {incr_sync}");
    let waited = d.cluster.wait(&what, async || {
        let found = (
            region_of(d, asked, "store").await?,
            region_of(d, asked, "incr-sync").await?,
        );
        ensure!(found == (store, incr_sync), "{found:?}\n{}", d.describe().await);
        Ok(())
    });
    waited.await.unwrap();
}

fn places() -> Vec<Place> {
    vec![
        Place::new("north", "a"),
        Place::new("south", "a"),
        Place::new("third", "a"),
        Place::new("north", "b"),
        Place::new("south", "b"),
    ]
}

/// Between two regions: 80 ms each way, 2 MB/s.
fn far(d: &Deployment) {
    let numbers = d.cluster.numbers();
    let region = |n: u8| d.cluster.node(n).place().0.to_owned();
    for a in &numbers {
        for b in numbers.iter().filter(|b| region(*a) != region(**b)) {
            let links = d.cluster.lan().links();
            links.shape(End::Node(*a), End::Node(*b), Duration::from_millis(80), 2_000_000);
        }
    }
}

/// The log crosses the slow link once; stalls and resets cost time and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_crosses_a_bad_link() {
    let options = DeploymentOptions {
        places: places()[..3].to_vec(),
        regions: ("north", "south"),
        wan: true,
        ..Default::default()
    };
    let d = Deployment::start(options).await.unwrap();
    far(&d);
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    settles(&d, 3, "north", "south").await;
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let (north, south) = (End::Node(1), End::Node(2));
    let took = d.flows(&bank, PATIENCE).await.unwrap();
    println!("80 ms away: a row arrives after {:.2} s", took.as_secs_f64());
    for _ in 0..3 {
        d.cluster.lan().links().reset(north, south);
        d.flows(&bank, PATIENCE).await.unwrap();
    }
    // Shorter than a lease, so nothing has to move.
    d.cluster.lan().links().cut(north, south, true);
    bank.more(50).await;
    d.cluster.lan().links().cut(north, south, false);
    d.flows(&bank, PATIENCE).await.unwrap();
    settles(&d, 3, "north", "south").await;
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 3).await.unwrap();
}

/// Each of three regions dies in turn; the project goes on in the others and returns to where its databases are.
#[tokio::test(flavor = "multi_thread")]
async fn any_region_is_lost() {
    let options = DeploymentOptions {
        places: places(),
        regions: ("north", "south"),
        ..Default::default()
    };
    let mut d = Deployment::start(options).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    settles(&d, 1, "north", "south").await;
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    for region in ["north", "south", "third"] {
        let all = d.cluster.numbers();
        let lost: Vec<u8> = all
            .into_iter()
            .filter(|n| d.cluster.node(*n).place().0 == region)
            .collect();
        for node in &lost {
            d.cluster.vanish(*node).unwrap();
        }
        let took = d.flows(&bank, PATIENCE).await.unwrap();
        println!("{region} is lost: new rows after {:.2} s", took.as_secs_f64());
        d.cluster.lan().heal().unwrap();
        for node in &lost {
            d.cluster.start(*node, None).await.unwrap();
        }
        d.cluster.settled().await.unwrap();
        d.flows(&bank, PATIENCE).await.unwrap();
    }
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 1).await.unwrap();
}

/// One node in each of two regions and a witness in the third: whichever region is lost, the project goes on, and never at the
/// witness.
#[tokio::test(flavor = "multi_thread")]
async fn a_witness_votes_and_runs_nothing() {
    let options = DeploymentOptions {
        places: vec![
            Place::new("north", "a"),
            Place::new("south", "a"),
            Place::witness("third", "a"),
        ],
        regions: ("north", "south"),
        ..Default::default()
    };
    let mut d = Deployment::start(options).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    settles(&d, 1, "north", "south").await;
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let witness = 3;
    let id = d.cluster.id_of(witness, 1).await.unwrap();
    let known = d.cluster.nodes(1).await.unwrap();
    let known = known.iter().find(|n| n.id == id).unwrap();
    assert!(known.witness, "{known:?}");
    assert!(d.cluster.cluster(1).await.unwrap().voters.contains(&id));

    for lost in [1, 2, witness] {
        d.cluster.vanish(lost).unwrap();
        let took = d.flows(&bank, PATIENCE).await.unwrap();
        println!("node {lost} is lost: new rows after {:.2} s", took.as_secs_f64());
        let asked = d.cluster.other_than(&[lost, witness]).unwrap();
        let cluster = &d.cluster;
        let components = cluster.wait("a list of components", async || cluster.components(asked).await);
        let components = components.await.unwrap();
        assert!(components.iter().all(|c| c.node != id), "{components:?}");
        d.cluster.revive(lost).await.unwrap();
        d.cluster.settled().await.unwrap();
        d.flows(&bank, PATIENCE).await.unwrap();
    }
    // Nor on request.
    let (_, component) = d.cluster.owner(1, "incr-sync").await.unwrap();
    let request = MoveComponentRequest {
        id: component.id,
        node: id,
    };
    let mut client = d.cluster.node(1).components().await.unwrap();
    let refused = client.move_component(request).await.unwrap_err();
    println!("a move to the witness: {}", refused.message());
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 1).await.unwrap();
    let said = d.cluster.node(witness).log();
    assert!(
        !said.contains("incr-sync") && !said.contains("capturing from"),
        "{said}"
    );
}
