//! Voters, leases and losses.

use std::time::{Duration, Instant};

use oms_node::StopReason;
use oms_proto::{
    error_of,
    v1::{
        ListDataSourcesRequest, NodeHealth, NodeRole, RemoveNodeRequest,
        data_source_service_client::DataSourceServiceClient,
    },
};
use oms_types::codes;

use crate::bed::{Node, PATIENCE, three};

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_vote_and_go_on_without_the_leader() {
    let mut nodes = three().await;
    for node in &nodes {
        let seen = node
            .until_nodes("all are online", |nodes| {
                nodes.len() == 3 && nodes.iter().all(|n| n.health() == NodeHealth::Online)
            })
            .await;
        assert!(seen.iter().all(|n| n.generation == 1), "{seen:?}");
    }

    let begun = Instant::now();
    nodes[0].crash();
    let after = nodes[1]
        .until_cluster("another leader", |c| c.leader == 2 || c.leader == 3)
        .await;
    println!("another leader after {} ms", begun.elapsed().as_millis());
    assert_eq!(after.voters, [1, 2, 3]);
    // A change through a node that may not be the leader.
    nodes[2].token(1).await;
    let seen = nodes[1]
        .until_nodes("the loss is noticed", |nodes| {
            nodes.iter().any(|n| n.id == 1 && n.health() == NodeHealth::Down)
        })
        .await;
    println!("down after {} ms", begun.elapsed().as_millis());
    assert!(
        seen.iter()
            .filter(|n| n.id != 1)
            .all(|n| n.health() == NodeHealth::Online),
        "{seen:?}"
    );

    // It comes back with its disk, at another address.
    let old = nodes[0].address().to_owned();
    nodes[0].restart().await;
    assert_ne!(old, nodes[0].address());
    let address = nodes[0].address().to_owned();
    nodes[1]
        .until_nodes("the node is back", |nodes| {
            let back =
                |n: &oms_proto::v1::Node| n.health() == NodeHealth::Online && n.role() != NodeRole::Outside;
            nodes
                .iter()
                .any(|n| n.id == 1 && n.address == address && n.generation == 2 && back(n))
        })
        .await;
    nodes[0].token(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_a_node_starts_answers_and_waits() {
    let mut nodes = three().await;
    for node in &mut nodes {
        node.crash();
    }
    let begun = Instant::now();
    nodes[0].restart().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let mut client = DataSourceServiceClient::new(nodes[0].channel().await);
    let refused = client.list_data_sources(ListDataSourcesRequest::default()).await;
    assert_eq!(
        error_of(&refused.unwrap_err()).code,
        codes::api::UNAVAILABLE.as_str()
    );
    assert_eq!(nodes[0].list().await.len(), 3, "nodes are shown all the same");

    // The first one has moved: it finds the others, and the others learn from it where it is.
    nodes[1].restart_in_place().await;
    nodes[2].restart_in_place().await;
    for node in &nodes {
        node.until_cluster("a leader", |c| c.leader != 0).await;
    }
    let mut client = DataSourceServiceClient::new(nodes[0].channel().await);
    client
        .list_data_sources(ListDataSourcesRequest::default())
        .await
        .unwrap();
    nodes[1]
        .until_nodes("all are online", |nodes| {
            nodes.iter().all(|n| n.health() == NodeHealth::Online)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_node_is_told_and_never_comes_back() {
    let mut nodes = three().await;
    let remove = |id| RemoveNodeRequest { id, force: true };

    // One that runs is told at once.
    nodes[0].nodes().await.remove_node(remove(3)).await.unwrap();
    let StopReason::Failed { code, .. } = nodes[2].ended().await else {
        panic!("ended without a reason");
    };
    assert_eq!(code, codes::cluster::NODE_REMOVED);
    nodes[2].stop().await;
    nodes[0]
        .until_cluster("it left consensus", |c| {
            !c.voters.contains(&3) && !c.learners.contains(&3)
        })
        .await;

    // One that was down when it was removed hears it when it starts.
    let mut fourth = nodes[0].another().await;
    nodes[0]
        .until_nodes("it is online", |nodes| {
            nodes
                .iter()
                .any(|n| n.id == 4 && n.health() == NodeHealth::Online)
        })
        .await;
    fourth.crash();
    nodes[1].nodes().await.remove_node(remove(4)).await.unwrap();
    let code = match fourth.try_restart().await {
        Err(error) => error.code(),
        Ok(()) => match fourth.ended().await {
            StopReason::Failed { code, .. } => code,
            StopReason::Asked => panic!("ended without a reason"),
        },
    };
    assert_eq!(code, codes::cluster::NODE_REMOVED);
    // Its id is not used again.
    let fifth = nodes[0].another().await;
    assert_eq!(fifth.id(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_voter_votes_until_it_is_not_needed() {
    let mut nodes = three().await;
    nodes[2].crash();
    nodes[0]
        .until_nodes("one is down", |nodes| {
            nodes.iter().any(|n| n.id == 3 && n.health() == NodeHealth::Down)
        })
        .await;
    // Without its vote nobody could agree that it has none.
    let remove = RemoveNodeRequest { id: 2, force: true };
    nodes[0].nodes().await.remove_node(remove).await.unwrap();
    let StopReason::Failed { code, .. } = nodes[1].ended().await else {
        panic!("ended without a reason");
    };
    assert_eq!(code, codes::cluster::NODE_REMOVED);
    nodes[1].crash();
    nodes[0]
        .until_cluster("it is alone", |c| c.leader == 1 && c.voters == [1])
        .await;
    nodes[0].token(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_says_so() {
    let mut nodes = three().await;
    nodes[0]
        .until_nodes("all are online", |nodes| {
            nodes.iter().all(|n| n.health() == NodeHealth::Online)
        })
        .await;
    let begun = Instant::now();
    nodes[2].stop().await;
    nodes[0]
        .until_nodes("it is down", |nodes| {
            nodes.iter().any(|n| n.id == 3 && n.health() == NodeHealth::Down)
        })
        .await;
    println!("known to be down after {} ms", begun.elapsed().as_millis());
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_folder_becomes_the_first_node() {
    let mut first = Node::first().await;
    let cluster = first.cluster().await.id;
    first.stop().await;
    // Folders from before there were clusters hold only the cluster's id.
    std::fs::remove_file(first.dir.path().join("identity")).unwrap();
    std::fs::write(first.dir.path().join("cluster-id"), &cluster).unwrap();
    first.restart().await;
    assert_eq!((first.id(), first.cluster().await.id), (1, cluster));
    let second = first.another().await;
    assert_eq!(second.id(), 2);
}
