//! Where the leader is, and how it goes.

use std::time::Instant;

use oms_node::StopReason;
use oms_proto::{
    error_of,
    v1::{
        Cluster, DrainNodeRequest, NodeHealth, RemoveNodeRequest, SetPreferredRegionsRequest,
        UncordonNodeRequest,
    },
};
use oms_types::codes;

use crate::bed::Node;

/// Three voters in three regions; node 1, in `a`, leads. All are heard.
async fn three_regions() -> Vec<Node> {
    let first = Node::first_in("a").await;
    let second = first.another_in("b").await;
    let third = first.another_in("c").await;
    let nodes = vec![first, second, third];
    until(&nodes[0], "three voters", |c| {
        c.voters == [1, 2, 3] && c.leader == 1
    })
    .await;
    nodes[0]
        .until_nodes("all are online", |n| {
            n.iter().all(|n| n.health() == NodeHealth::Online)
        })
        .await;
    nodes
}

async fn until(asked: &Node, what: &str, reached: impl Fn(&Cluster) -> bool) -> Cluster {
    asked.until_cluster(what, reached).await
}

async fn prefer(asked: &Node, regions: &[&str]) -> Result<Cluster, tonic::Status> {
    let regions = regions.iter().map(|r| (*r).to_owned()).collect();
    let request = SetPreferredRegionsRequest { regions };
    let mut client = asked.nodes().await;
    client
        .set_preferred_regions(request)
        .await
        .map(tonic::Response::into_inner)
}

async fn drain(asked: &Node, id: u64) {
    let request = DrainNodeRequest {
        id,
        reason: String::new(),
    };
    asked.nodes().await.drain_node(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_goes_where_it_is_wanted_and_comes_back() {
    let mut nodes = three_regions().await;
    let before = nodes[2].cluster().await;
    assert!(
        before.preferred_regions.is_empty() && before.leader_region == "a",
        "{before:?}"
    );
    let refused = prefer(&nodes[2], &["b", "nowhere"]).await.unwrap_err();
    assert_eq!(
        error_of(&refused).code,
        codes::api::INVALID_ARGUMENT.as_str(),
        "{refused}"
    );

    // Any node takes the setting; one election, no more, and everybody stays online.
    let set = prefer(&nodes[2], &["b", "c"]).await.unwrap();
    assert_eq!(set.preferred_regions, ["b", "c"]);
    let begun = Instant::now();
    let after = until(&nodes[0], "the preferred region leads", |c| c.leader == 2).await;
    println!("in the preferred region after {} ms", begun.elapsed().as_millis());
    assert_eq!((after.term, after.leader_region.as_str()), (before.term + 1, "b"));
    let seen = nodes[1]
        .until_nodes("all are online", |n| {
            n.iter().all(|n| n.health() != NodeHealth::Unknown)
        })
        .await;
    assert!(seen.iter().all(|n| n.health() == NodeHealth::Online), "{seen:?}");

    // It dies, somebody leads; it is back, and leads again.
    nodes[1].crash();
    until(&nodes[2], "another leader", |c| c.leader == 1 || c.leader == 3).await;
    nodes[1].restart_in_place().await;
    until(&nodes[2], "the preferred region leads again", |c| c.leader == 2).await;

    // The leader is drained: the next best region leads, until it is wanted again.
    drain(&nodes[0], 2).await;
    until(&nodes[0], "the next best region leads", |c| c.leader == 3).await;
    nodes[0]
        .nodes()
        .await
        .uncordon_node(UncordonNodeRequest { id: 2 })
        .await
        .unwrap();
    until(&nodes[0], "back once more", |c| c.leader == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_leaves_hands_over_first() {
    let mut nodes = three_regions().await;
    let before = nodes[1].cluster().await;
    // As `omsnode leave` does it, and at once.
    drain(&nodes[0], 1).await;
    let remove = RemoveNodeRequest { id: 1, force: false };
    nodes[0].nodes().await.remove_node(remove).await.unwrap();
    let StopReason::Failed { code, .. } = nodes[0].ended().await else {
        panic!("ended without a reason");
    };
    assert_eq!(code, codes::cluster::NODE_REMOVED);
    let after = until(&nodes[1], "it is no member", |c| {
        c.leader > 1 && !c.voters.contains(&1) && !c.learners.contains(&1)
    })
    .await;
    assert_eq!(after.term, before.term + 1, "one election");
    nodes[1].token(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_hands_over_first() {
    let mut nodes = three_regions().await;
    let before = nodes[1].cluster().await;
    let begun = Instant::now();
    nodes[0].stop().await;
    println!("stopped after {} ms", begun.elapsed().as_millis());
    let after = nodes[1].cluster().await;
    assert!(after.leader > 1 && after.term == before.term + 1, "{after:?}");
    // And says goodbye to the new leader.
    let seen = nodes[2]
        .until_nodes("it is down", |n| {
            n.iter().any(|n| n.id == 1 && n.health() == NodeHealth::Down)
        })
        .await;
    println!("known to be down after {} ms", begun.elapsed().as_millis());
    assert!(
        seen.iter().all(|n| n.id == 1 || n.health() != NodeHealth::Down),
        "{seen:?}"
    );
}
