//! What runs where: operators move, freeze, limit and take nodes out.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use oms_cluster_tests::{Auditor, Bank, BankOptions, Deployment, DeploymentOptions, Place, ProjectClient};
use oms_proto::v1::{
    Component, ComponentState, CreateProjectRequest, NodeHealth, NodeState, ProjectRequest, StepKind,
    StepProgress, StepState,
};
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the command line against a node; what it printed.
fn oms(d: &Deployment, asked: u8, line: &str) -> anyhow::Result<String> {
    let words: Vec<&str> = line.split(' ').collect();
    d.cluster.node(asked).client(&words)
}

/// Waits until a component is on a node.
async fn on(d: &Deployment, asked: u8, kind: &str, number: u8) -> Component {
    let cluster = &d.cluster;
    let what = format!("{kind} on node {number}");
    let there = cluster.wait(&what, async || {
        let (owner, component) = cluster.owner(asked, kind).await?;
        ensure!(owner == number, "{component:?}");
        Ok(component)
    });
    there.await.unwrap()
}

/// Waits until a node's loss is known.
async fn down(d: &Deployment, asked: u8, id: u64) {
    let cluster = &d.cluster;
    let what = format!("node {id} down");
    let down = cluster.wait(&what, async || {
        let nodes = cluster.nodes(asked).await?;
        let node = nodes.iter().find(|n| n.id == id).context("it is gone")?;
        ensure!(node.health() == NodeHealth::Down, "{node:?}");
        Ok(())
    });
    down.await.unwrap();
}

/// What a node tells about a component, once it tells something that `enough` accepts.
async fn progress(
    d: &Deployment,
    asked: u8,
    kind: &str,
    enough: impl Fn(&StepProgress) -> bool,
) -> StepProgress {
    let cluster = &d.cluster;
    let what = format!("progress of {kind} from node {asked}");
    let told = cluster.wait(&what, async || {
        let component = cluster.component(asked, kind).await?;
        let progress = component.progress.clone().context("none")?;
        ensure!(enough(&progress), "{component:?}");
        Ok(progress)
    });
    told.await.unwrap()
}

/// Whichever node is asked tells how far components are, wherever they run, and it is news, not what they once told.
#[tokio::test(flavor = "multi_thread")]
async fn every_node_tells_how_far_components_of_others_are() {
    let d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    // On two nodes, so that no node has both.
    let (store, _) = d.cluster.owner(1, "store").await.unwrap();
    let (sync, component) = d.cluster.owner(1, "incr-sync").await.unwrap();
    if store == sync {
        let to = d.cluster.other_than(&[store]).unwrap();
        let id = d.cluster.id_of(to, 1).await.unwrap();
        oms(&d, 1, &format!("component move {} {id}", component.id)).unwrap();
        on(&d, 1, "incr-sync", to).await;
    }
    d.flows(&bank, PATIENCE).await.unwrap();
    for asked in d.cluster.numbers() {
        for kind in ["store", "incr-sync"] {
            let first = progress(&d, asked, kind, |p| !p.position.is_empty()).await;
            d.flows(&bank, PATIENCE).await.unwrap();
            let later = |p: &StepProgress| p.position != first.position && p.rows > first.rows;
            progress(&d, asked, kind, later).await;
        }
        let listed = d.cluster.components(asked).await.unwrap();
        for (kind, guarantee) in [
            ("store", "none"),
            ("incr-sync", "exactly-once"),
            ("full-import", "exactly-once"),
            ("schema-migration", "replaying"),
        ] {
            let component = listed.iter().find(|c| c.kind == kind).unwrap();
            assert_eq!(component.guarantee, guarantee, "{component:?}");
        }
        let shown = oms(&d, asked, &format!("component show {}", component.id)).unwrap();
        assert!(shown.contains("exactly once"), "{shown}");
    }
    d.settle_bank(bank, 1).await.unwrap();
}

/// Quotas hold for a failover and for a move by hand; a frozen component stays on its dead node, and says why, until it is let
/// go; a node leaves.
#[tokio::test(flavor = "multi_thread")]
async fn operators_decide() {
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let (store_id, sync_id) = (
        d.cluster.component(1, "store").await.unwrap().id,
        d.cluster.component(1, "incr-sync").await.unwrap().id,
    );

    // Both on one node; the others may run one component each.
    let (both, _) = d.cluster.owner(1, "store").await.unwrap();
    let id = d.cluster.id_of(both, 1).await.unwrap();
    if d.cluster.owner(1, "incr-sync").await.unwrap().0 != both {
        oms(&d, 1, &format!("component move {sync_id} {id}")).unwrap();
    }
    on(&d, 1, "incr-sync", both).await;
    // The verification would need room, too.
    let cluster = &d.cluster;
    let over = cluster.wait("the end of the verification", async || {
        let component = cluster.component(1, "full-verification").await?;
        ensure!(component.state() == ComponentState::Completed, "{component:?}");
        Ok(())
    });
    over.await.unwrap();
    let others: Vec<u8> = d.cluster.numbers().into_iter().filter(|n| *n != both).collect();
    for other in &others {
        let id = d.cluster.id_of(*other, 1).await.unwrap();
        let said = oms(&d, *other, &format!("node quota {id} 1")).unwrap();
        assert!(said.contains("may run 1 component"), "{said}");
    }
    d.cluster.node_mut(both).kill().unwrap();
    let (asked, cluster) = (others[0], &d.cluster);
    let spread = cluster.wait("one component on each of the others", async || {
        let (store, _) = cluster.owner(asked, "store").await?;
        let (sync, component) = cluster.owner(asked, "incr-sync").await?;
        ensure!(store != both && sync != both, "{component:?}");
        Ok((store, sync))
    });
    let (store, sync) = spread.await.unwrap();
    assert_ne!(store, sync, "a quota was passed");
    d.flows(&bank, PATIENCE).await.unwrap();
    let (store_node, sync_node) = (
        d.cluster.id_of(store, asked).await.unwrap(),
        d.cluster.id_of(sync, asked).await.unwrap(),
    );
    let refused = oms(&d, asked, &format!("component move {store_id} {sync_node}")).unwrap_err();
    assert!(format!("{refused:#}").contains("may run 1"), "{refused:#}");
    d.cluster.start(both, None).await.unwrap();
    d.cluster.settled().await.unwrap();

    // Frozen: its node dies, and it waits for that node alone.
    let reason = "the_link_is_measured";
    oms(
        &d,
        asked,
        &format!("component freeze {sync_id} --reason {reason}"),
    )
    .unwrap();
    let frozen = d.cluster.component(both, "incr-sync").await.unwrap();
    assert_eq!(frozen.frozen_reason, reason);
    d.cluster.node_mut(sync).kill().unwrap();
    let asked = both;
    down(&d, asked, sync_node).await;
    let cluster = &d.cluster;
    let waits = cluster.wait("a frozen component that says why it waits", async || {
        let (owner, component) = cluster.owner(asked, "incr-sync").await?;
        ensure!(
            owner == sync && component.waiting.contains(reason),
            "{component:?}"
        );
        Ok(component)
    });
    let waiting = waits.await.unwrap();
    println!("frozen: {}", waiting.waiting);
    assert_eq!(waiting.epoch, frozen.epoch, "{waiting:?}");
    // Let go, it is elsewhere without its node.
    oms(&d, asked, &format!("component unfreeze {sync_id}")).unwrap();
    let free = on(&d, asked, "incr-sync", both).await;
    assert!(free.epoch > frozen.epoch && free.waiting.is_empty(), "{free:?}");
    d.flows(&bank, PATIENCE).await.unwrap();
    d.cluster.start(sync, None).await.unwrap();
    d.cluster.settled().await.unwrap();

    // The node that captures leaves for good: its component goes first, then it ends and is not let in again.
    let said = oms(
        &d,
        asked,
        &format!("leave --node {store_node} --wait --yes --timeout 60s"),
    )
    .unwrap();
    assert!(said.contains("has left the cluster"), "{said}");
    let exit = d.cluster.node_mut(store).wait_exit(PATIENCE).await.unwrap();
    assert!(!exit.success(), "{exit}");
    let log = d.cluster.node(store).log();
    assert!(log.contains("OMS-CLUSTER-0017"), "{log}");
    let log = d.cluster.refused(store, None).await.unwrap();
    assert!(log.contains("OMS-CLUSTER-0017"), "{log}");
    let members = d.cluster.nodes(asked).await.unwrap();
    let left = members.iter().find(|n| n.id == store_node);
    assert!(
        left.is_none_or(|n| n.state() == NodeState::Removed),
        "{members:?}"
    );
    assert_ne!(d.cluster.owner(asked, "store").await.unwrap().0, store);
    d.flows(&bank, PATIENCE).await.unwrap();
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, asked).await.unwrap();
}

/// Components that run, by node and by kind.
async fn running(d: &Deployment, asked: u8) -> Vec<Component> {
    let mut all = d.cluster.components(asked).await.unwrap_or_default();
    all.retain(|c| c.state() == ComponentState::Running);
    all
}

fn loads(running: &[Component]) -> BTreeMap<u64, usize> {
    let mut loads = BTreeMap::new();
    for component in running {
        *loads.entry(component.node).or_default() += 1;
    }
    loads
}

/// Two nodes join one that runs two projects: components go over, one by one and each after its minimum residence, until the
/// spread is even; nothing is lost or doubled by that.
#[tokio::test(flavor = "multi_thread")]
async fn components_spread_after_a_join() {
    // One move may wait for the residence, the next for the pause between two, and the machine may be busy.
    const SPREAD: Duration = Duration::from_secs(240);
    let options = DeploymentOptions {
        places: vec![Place::new("default", "a")],
        ..Default::default()
    };
    let mut d = Deployment::start(options).await.unwrap();
    let rate = |database: &str| BankOptions {
        database: database.to_owned(),
        rate: 20,
        ..Default::default()
    };
    let bank = d.follow_bank(&rate("bank")).await.unwrap();
    let second = ProjectClient {
        name: "second".into(),
    };
    let other = rate("other");
    Bank::prepare(&d.source, &other).await.unwrap();
    let other_bank = Bank::start(&d.source, &other).await.unwrap();
    let mut projects = d.cluster.node(1).projects().await.unwrap();
    let request = CreateProjectRequest {
        spec: Some(second.spec(&["other"])),
    };
    projects.create_project(request).await.unwrap();
    let request = ProjectRequest {
        project: second.name.clone(),
    };
    projects.start_project(request).await.unwrap();
    for project in [&d.project, &second] {
        let waited = project.wait_step(d.cluster.node(1), StepKind::FullVerifier, &[StepState::Finished]);
        waited.await.unwrap();
    }
    let auditor = Auditor::start(&d.destination, "bank").await.unwrap();
    let before = running(&d, 1).await;
    assert_eq!(loads(&before), BTreeMap::from([(1, 4)]), "{before:?}");

    for zone in ["b", "c"] {
        d.cluster.add(Place::new("default", zone)).await.unwrap();
    }
    let deadline = Instant::now() + SPREAD;
    let after = loop {
        let now = running(&d, 1).await;
        // An even spread of four over three, all of them running.
        let mut counts: Vec<usize> = loads(&now).into_values().collect();
        counts.sort_unstable();
        if counts == [1, 1, 2] {
            break now;
        }
        assert!(
            Instant::now() < deadline,
            "{}\n{}",
            d.describe().await,
            d.cluster.logs()
        );
        sleep(Duration::from_millis(200)).await;
    };
    for component in &after {
        println!(
            "{} on node {}: {}",
            component.id, component.node, component.placed_because
        );
    }
    let was = |id: &str| before.iter().find(|c| c.id == id).unwrap();
    // A machine that is too busy for leases makes components fail over, and then they may be anywhere.
    let disturbed = after.iter().any(|c| c.failovers > was(&c.id).failovers);
    for component in after.iter().filter(|_| !disturbed) {
        let was = was(&component.id);
        let moved = component.node != was.node;
        let moves = component.epoch - was.epoch;
        assert_eq!(moves, u64::from(moved), "at most once: {component:?}");
        if moved {
            assert!(
                component.placed_because.contains("components, this one 0"),
                "{component:?}"
            );
        }
    }

    let committed = other_bank.stop().await.unwrap();
    second.wait_caught_up(d.cluster.node(2)).await.unwrap();
    let mut there = d.destination.client().await.unwrap();
    Bank::judge(&mut there, "other", Some(committed)).await.unwrap();
    d.assert_equal("other", &Bank::TABLES).await.unwrap();
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, 3).await.unwrap();
}
