//! Nodes come, go, come back and are replaced; whoever should not come in stays outside.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use anyhow::{Context, ensure};
use oms_cluster_tests::{Admission, BankOptions, Deployment, DeploymentOptions, NodeCluster, Place};
use oms_proto::v1::{
    DrainNodeRequest, GetNodeRequest, ListDataSourcesRequest, Node, NodeHealth, NodeState, RemoveNodeRequest,
    StepKind, StepState,
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

async fn grown(zones: &[&'static str]) -> (NodeCluster, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = NodeCluster::create(folder.path(), false, &[]).await.unwrap();
    let places: Vec<Place> = zones.iter().map(|zone| Place::new("here", zone)).collect();
    cluster.grow(&places).await.unwrap();
    (cluster, folder)
}

async fn get(cluster: &NodeCluster, asked: u8, id: u64) -> anyhow::Result<Node> {
    let mut client = cluster.node(asked).nodes().await?;
    Ok(client.get_node(GetNodeRequest { id }).await?.into_inner())
}

/// A node that joins makes three voters, every node tells the same about all of them, and any of them takes any call.
#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_are_one_cluster() {
    let (cluster, _folder) = grown(&["a", "b", "c"]).await;
    let (first, id) = (
        cluster.cluster(1).await.unwrap(),
        cluster.cluster(2).await.unwrap().id,
    );
    assert_eq!(first.id, id);
    assert_eq!((first.voters.len(), first.tolerates), (3, 1), "{first:?}");
    for asked in [1, 2, 3] {
        let told = cluster
            .wait("three nodes online for everybody", async || {
                let nodes = cluster.nodes(asked).await?;
                let online = nodes.iter().filter(|n| n.health() == NodeHealth::Online).count();
                ensure!(online == 3, "{nodes:?}");
                Ok(nodes)
            })
            .await
            .unwrap();
        assert_eq!(told.iter().filter(|n| n.leader).count(), 1, "{told:?}");
        let zones: Vec<_> = told
            .iter()
            .map(|n| (n.region.as_str(), n.zone.as_str()))
            .collect();
        assert_eq!(zones, [("here", "a"), ("here", "b"), ("here", "c")]);
    }
    // Writing calls, too: a token made by one is known to all.
    for asked in [1, 2, 3] {
        cluster.token(asked, 0, 1).await.unwrap();
    }
    for asked in [1, 2, 3] {
        let mut client = cluster.node(asked).tokens().await.unwrap();
        let list = client
            .list_tokens(oms_proto::v1::ListTokensRequest {})
            .await
            .unwrap()
            .into_inner();
        assert!(
            list.tokens.iter().filter(|t| t.uses_left == 1).count() >= 3,
            "{list:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_right_to_join_stays_outside() {
    let (mut cluster, _folder) = grown(&["a"]).await;
    let other = cluster.settle(Place::new("here", "a")).await.unwrap();
    cluster.start(other, None).await.unwrap();
    let member = cluster.node(1).advertised().to_owned();
    let with = |token: &str| Admission {
        member: member.clone(),
        token: token.to_owned(),
        witness: false,
    };

    let short = cluster.token(1, 1, 1).await.unwrap();
    let good = cluster.token(1, 0, 1).await.unwrap();
    let stranger = cluster.settle(Place::new("here", "x")).await.unwrap();

    // Of another cluster, and of nobody.
    let foreign = cluster.token(other, 0, 1).await.unwrap();
    let log = cluster.refused(stranger, Some(&with(&foreign))).await.unwrap();
    assert!(log.contains("OMS-CLUSTER-0013"), "{log}");
    let (head, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", "0".repeat(good.len() - head.len() - 1));
    let log = cluster.refused(stranger, Some(&with(&forged))).await.unwrap();
    assert!(log.contains("OMS-"), "{log}");
    // The refusals cost the good token nothing, and no secret is in a log.
    assert!(!cluster.node(1).log().contains(good.rsplit_once('.').unwrap().1));

    // Only as long as it is valid.
    let expired = cluster.wait("the token's end", async || {
        let mut client = cluster.node(1).tokens().await?;
        let list = client
            .list_tokens(oms_proto::v1::ListTokensRequest {})
            .await?
            .into_inner()
            .tokens;
        let id = short.split('.').nth(1).context("a token has three parts")?;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_millis() as i64;
        ensure!(
            list.iter().all(|t| t.id != id || t.expires_at_ms < now),
            "{list:?}"
        );
        Ok(())
    });
    expired.await.unwrap();
    let log = cluster.refused(stranger, Some(&with(&short))).await.unwrap();
    assert!(
        log.contains("OMS-CLUSTER-0014") || log.contains("OMS-CLUSTER-0013"),
        "{log}"
    );

    // An address that another node has.
    let own = cluster.node(stranger).advertised().to_owned();
    cluster.node_mut(stranger).advertise(&member);
    let log = cluster.refused(stranger, Some(&with(&good))).await.unwrap();
    assert!(log.contains("OMS-CLUSTER-0016"), "{log}");
    cluster.node_mut(stranger).advertise(&own);

    // The good one lets one node in, not two.
    let token = cluster.token(1, 0, 1).await.unwrap();
    cluster.start(stranger, Some(&with(&token))).await.unwrap();
    let second = cluster.settle(Place::new("here", "y")).await.unwrap();
    let log = cluster.refused(second, Some(&with(&token))).await.unwrap();
    assert!(
        log.contains("OMS-CLUSTER-0015") || log.contains("OMS-CLUSTER-0013"),
        "{log}"
    );

    // A node of one cluster does not become a node of another.
    cluster.node_mut(other).stop().unwrap();
    let token = cluster.token(1, 0, 1).await.unwrap();
    let log = cluster.refused(other, Some(&with(&token))).await.unwrap();
    assert!(
        log.contains("OMS-CLUSTER-0004") || log.contains("OMS-CLUSTER-0031"),
        "{log}"
    );

    cluster.node_mut(stranger).stop().unwrap();
    // Its disk is all that it needs to come back.
    cluster.start(stranger, None).await.unwrap();
    assert_eq!(cluster.nodes(1).await.unwrap().len(), 2);
}

/// The leader dies and comes back with its disk; a node loses its disk and is replaced; a node is emptied and leaves.
/// The project goes on through all of it.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_die_come_back_and_are_replaced() {
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();

    // The leader dies: another one leads, everybody answers, and it comes back as the node that it was.
    let leader = d.cluster.leader(1).await.unwrap();
    let asked = d.cluster.other_than(&[leader]).unwrap();
    let id = d.cluster.id_of(leader, asked).await.unwrap();
    d.cluster.node_mut(leader).kill().unwrap();
    let cluster = &d.cluster;
    let next = cluster
        .wait("another leader", async || {
            let next = cluster.leader(asked).await?;
            ensure!(next != leader, "still node {next}");
            Ok(next)
        })
        .await
        .unwrap();
    d.flows(&bank, PATIENCE).await.unwrap();
    let cluster = &d.cluster;
    let node = cluster
        .wait("a leader that knows who is down", async || {
            let node = get(cluster, asked, id).await?;
            ensure!(node.health() == NodeHealth::Down, "{node:?}");
            Ok(node)
        })
        .await
        .unwrap();
    d.cluster.start(leader, None).await.unwrap();
    d.cluster.settled().await.unwrap();
    assert_eq!(d.cluster.id_of(leader, asked).await.unwrap(), id);
    let back = get(&d.cluster, asked, id).await.unwrap();
    assert!(back.generation > node.generation, "{node:?} {back:?}");

    // A node that leads nothing is asked, also about what it does not run.
    let (owner, _) = d.cluster.owner(next, "incr-sync").await.unwrap();
    for asked in d.cluster.running() {
        let node = d.cluster.node(asked);
        let mut sources = node.data_sources().await.unwrap();
        let listed = sources
            .list_data_sources(ListDataSourcesRequest::default())
            .await
            .unwrap();
        assert_eq!(listed.into_inner().data_sources.len(), 2);
        let progress = d.cluster.wait("progress of a component elsewhere", async || {
            let component = d.cluster.component(asked, "incr-sync").await?;
            component
                .progress
                .clone()
                .with_context(|| format!("node {asked} about node {owner}: {component:?}"))
        });
        assert!(!progress.await.unwrap().position.is_empty());
        let component = d.cluster.component(asked, "incr-sync").await.unwrap();
        assert!(
            !d.cluster
                .component_log(asked, &component.id)
                .await
                .unwrap()
                .is_empty()
        );
        let project = d.project.get(node).await.unwrap();
        assert!(
            project
                .steps
                .iter()
                .any(|s| s.kind() == StepKind::IncrTransfer && s.state() == StepState::Monitoring)
        );
    }

    // Emptied, then taken away; refused when it comes back.
    let (victim, _) = d.cluster.owner(next, "incr-sync").await.unwrap();
    let asked = d.cluster.other_than(&[victim]).unwrap();
    let id = d.cluster.id_of(victim, asked).await.unwrap();
    let mut nodes = d.cluster.node(asked).nodes().await.unwrap();
    let refused = nodes.remove_node(RemoveNodeRequest { id, force: false }).await;
    assert!(
        refused.is_err(),
        "a node that is alive and has components is not removed"
    );
    nodes
        .drain_node(DrainNodeRequest {
            id,
            reason: "repair".to_owned(),
        })
        .await
        .unwrap();
    let cluster = &d.cluster;
    cluster
        .wait("a node without components", async || {
            let node = get(cluster, asked, id).await?;
            ensure!(
                node.components == 0 && node.state() == NodeState::Draining,
                "{node:?}"
            );
            let (owner, component) = cluster.owner(asked, "incr-sync").await?;
            ensure!(owner != victim, "{component:?}");
            Ok(())
        })
        .await
        .unwrap();
    d.flows(&bank, PATIENCE).await.unwrap();
    nodes
        .remove_node(RemoveNodeRequest { id, force: false })
        .await
        .unwrap();
    let cluster = &d.cluster;
    cluster
        .wait("a cluster without the removed node", async || {
            let told = cluster.cluster(asked).await?;
            ensure!(
                !told.voters.contains(&id) && !told.learners.contains(&id),
                "{told:?}"
            );
            Ok(())
        })
        .await
        .unwrap();
    d.cluster.node_mut(victim).kill().unwrap();
    let log = d.cluster.refused(victim, None).await.unwrap();
    assert!(log.contains("OMS-CLUSTER-0017"), "{log}");
    d.cluster.lose(victim).unwrap();

    // In its place a new one, and one for a node that lost its disk without a farewell.
    d.cluster.add(Place::new("default", "d")).await.unwrap();
    d.cluster.settled().await.unwrap();
    let asked = d.cluster.leader(asked).await.unwrap();
    let lost = d.cluster.other_than(&[asked]).unwrap();
    let id = d.cluster.id_of(lost, asked).await.unwrap();
    d.cluster.lose(lost).unwrap();
    d.flows(&bank, PATIENCE).await.unwrap();
    let mut nodes = d.cluster.node(asked).nodes().await.unwrap();
    nodes
        .remove_node(RemoveNodeRequest { id, force: true })
        .await
        .unwrap();
    d.cluster.add(Place::new("default", "e")).await.unwrap();
    let cluster = &d.cluster;
    cluster
        .wait("the new node votes in the place of the lost one", async || {
            let told = cluster.cluster(asked).await?;
            ensure!(told.voters.len() == 3 && !told.voters.contains(&id), "{told:?}");
            Ok(())
        })
        .await
        .unwrap();
    d.cluster.settled().await.unwrap();
    d.flows(&bank, PATIENCE).await.unwrap();
    d.settle_bank(bank, asked).await.unwrap();
}
