//! Any node answers any call, and the same.

use oms_proto::{
    error_of,
    v1::{
        CordonNodeRequest, CreateTokenRequest, DrainNodeRequest, FreezeComponentRequest, GetClusterRequest,
        GetNodeRequest, ListNodesRequest, ListTokensRequest, MoveComponentRequest, Node as Shown, NodeHealth,
        NodeRole, NodeState, ReadComponentLogRequest, RemoveNodeRequest, RevokeTokenRequest,
        SetNodeQuotaRequest, UncordonNodeRequest, component_service_client::ComponentServiceClient,
        token_service_client::TokenServiceClient,
    },
};
use oms_types::codes;
use tonic::{Request, Status};

use crate::bed::{Node, config, launch, three};

fn code(status: &Status) -> String {
    error_of(status).code
}

/// Without what changes from one moment to the next.
fn steady(mut nodes: Vec<Shown>) -> Vec<Shown> {
    for node in &mut nodes {
        node.silent_ms = None;
        node.applied_index = 0;
        node.load = None;
    }
    nodes
}

async fn show(node: &Node, id: u64) -> Shown {
    let asked = node.nodes().await.get_node(GetNodeRequest { id }).await;
    asked.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_shows_and_changes_the_same_nodes() {
    let nodes = three().await;
    let online = |nodes: &[Shown]| nodes.iter().all(|n| n.health() == NodeHealth::Online);
    let seen = steady(nodes[0].until_nodes("all are online", online).await);
    assert_eq!(
        seen.iter().map(Shown::role).collect::<Vec<_>>(),
        [NodeRole::Leader, NodeRole::Voter, NodeRole::Voter]
    );
    for node in &nodes[1..] {
        // Not what this node knows itself: only the leader hears of the others.
        assert_eq!(steady(node.until_nodes("all are online", online).await), seen);
        let shown = show(node, 3).await;
        assert!(shown.silent_ms.is_some() && shown.load.is_some(), "{shown:?}");
    }
    for (node, id) in nodes.iter().zip(1..) {
        let cluster = node.cluster().await;
        assert_eq!(
            (cluster.answered_by, cluster.leader, cluster.tolerates),
            (id, 1, 1)
        );
    }

    // Each change through another node than the one that looks afterwards.
    let mut second = nodes[1].nodes().await;
    let cordon = CordonNodeRequest {
        id: 3,
        reason: "disks".into(),
    };
    second.cordon_node(cordon).await.unwrap();
    let shown = show(&nodes[2], 3).await;
    assert_eq!(
        (shown.state(), shown.reason.as_str()),
        (NodeState::Cordoned, "disks")
    );
    let mut third = nodes[2].nodes().await;
    third.uncordon_node(UncordonNodeRequest { id: 3 }).await.unwrap();
    third
        .set_node_quota(SetNodeQuotaRequest { id: 2, quota: 5 })
        .await
        .unwrap();
    let shown = show(&nodes[1], 3).await;
    assert_eq!((shown.state(), shown.reason.as_str()), (NodeState::Active, ""));
    assert_eq!(show(&nodes[0], 2).await.quota, 5);

    // Refused by the leader, told by the node that was asked.
    let force = false;
    let refused = second
        .remove_node(RemoveNodeRequest { id: 3, force })
        .await
        .unwrap_err();
    assert_eq!(code(&refused), codes::api::WRONG_STATE.as_str());
    assert!(refused.message().contains("omsnode node drain 3"), "{refused}");
    for id in [0, 9] {
        let unknown = second.get_node(GetNodeRequest { id }).await.unwrap_err();
        assert_eq!(code(&unknown), codes::api::NOT_FOUND.as_str());
        let unknown = second
            .uncordon_node(UncordonNodeRequest { id })
            .await
            .unwrap_err();
        assert_eq!(code(&unknown), codes::api::NOT_FOUND.as_str());
    }
    let drain = DrainNodeRequest {
        id: 3,
        reason: String::new(),
    };
    assert_eq!(
        second.drain_node(drain).await.unwrap().into_inner().state(),
        NodeState::Draining
    );
    second
        .remove_node(RemoveNodeRequest { id: 3, force })
        .await
        .unwrap();
    let left = nodes[1].list().await;
    assert_eq!(left.iter().map(|n| n.id).collect::<Vec<_>>(), [1, 2]);
    let all = second
        .list_nodes(ListNodesRequest { all: true })
        .await
        .unwrap()
        .into_inner()
        .nodes;
    assert_eq!((all.len(), all[2].state()), (3, NodeState::Removed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_passed_on_once_only() {
    let nodes = three().await;
    let passed_on = |id: u64| {
        let mut request = Request::new(CordonNodeRequest {
            id,
            reason: String::new(),
        });
        request.metadata_mut().insert("omsnode-forwarded", 2.into());
        request
    };
    // A node that took the third one for the leader passed it a call.
    let mut third = nodes[2].nodes().await;
    let refused = third.cordon_node(passed_on(2)).await.unwrap_err();
    assert_eq!(code(&refused), codes::cluster::NO_LEADER.as_str());
    assert_eq!(show(&nodes[0], 2).await.state(), NodeState::Active);
    nodes[0].nodes().await.cordon_node(passed_on(2)).await.unwrap();
    let mut request = Request::new(ListNodesRequest::default());
    request.metadata_mut().insert("omsnode-forwarded", 2.into());
    let shown = third.list_nodes(request).await.unwrap().into_inner().nodes;
    assert!(
        shown.iter().all(|n| n.health() == NodeHealth::Unknown),
        "{shown:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leader_nodes_are_shown_and_nothing_is_changed() {
    let mut nodes = three().await;
    nodes[0].crash();
    nodes[1].crash();
    let last = &nodes[2];
    last.until_cluster("no leader", |c| {
        c.leader == 0 && c.tolerates == 0 && c.voters == [1, 2, 3]
    })
    .await;
    let shown = last.list().await;
    assert_eq!(shown.len(), 3);
    assert!(
        shown
            .iter()
            .all(|n| n.health() == NodeHealth::Unknown && !n.leader),
        "{shown:?}"
    );
    let mut client = last.nodes().await;
    let refused = client
        .uncordon_node(UncordonNodeRequest { id: 1 })
        .await
        .unwrap_err();
    assert_eq!(code(&refused), codes::cluster::NO_LEADER.as_str());
    client.get_cluster(GetClusterRequest {}).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_the_cluster_s() {
    let nodes = three().await;
    let mut first = TokenServiceClient::new(nodes[0].channel().await);
    let mut third = TokenServiceClient::new(nodes[2].channel().await);
    let request = CreateTokenRequest {
        valid_seconds: 60,
        uses: 2,
        remarks: "rack 7".into(),
    };
    let made = third.create_token(request).await.unwrap().into_inner();
    let token = made.token.unwrap();
    let parts: Vec<&str> = made.secret.split('.').collect();
    assert_eq!(parts[..2], ["omsnode-join", token.id.as_str()]);
    assert!(
        parts.len() == 3 && parts[2].len() >= 40,
        "a secret of 32 random bytes"
    );
    assert_eq!(token.expires_at_ms - token.created_at_ms, 60_000);

    let listed = first
        .list_tokens(ListTokensRequest {})
        .await
        .unwrap()
        .into_inner();
    let same: Vec<_> = listed.tokens.iter().filter(|t| t.id == token.id).collect();
    assert_eq!(
        (same.len(), same[0].uses_left, same[0].remarks.as_str()),
        (1, 2, "rack 7")
    );
    assert!(!format!("{listed:?}").contains(parts[2]));

    for (seconds, uses) in [(31 * 24 * 3600, 1), (60, 1001)] {
        let request = CreateTokenRequest {
            valid_seconds: seconds,
            uses,
            ..Default::default()
        };
        let refused = first.create_token(request).await.unwrap_err();
        assert_eq!(code(&refused), codes::api::INVALID_ARGUMENT.as_str());
    }
    let id = token.id;
    first
        .revoke_token(RevokeTokenRequest { id: id.clone() })
        .await
        .unwrap();
    let again = third.revoke_token(RevokeTokenRequest { id }).await.unwrap_err();
    assert_eq!(code(&again), codes::cluster::TOKEN_UNKNOWN.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_let_in_where_nobody_can_be_reached() {
    let dir = tempfile::tempdir().unwrap();
    let config = oms_config::NodeConfig {
        advertise: "0.0.0.0:7070".into(),
        ..config(dir.path())
    };
    let (runtime, daemon) = launch(config, None).await.unwrap();
    let address = format!("http://{}", daemon.address());
    let mut client = TokenServiceClient::connect(address).await.unwrap();
    let refused = client
        .create_token(CreateTokenRequest::default())
        .await
        .unwrap_err();
    assert_eq!(code(&refused), codes::api::WRONG_STATE.as_str());
    assert!(refused.message().contains("--advertise"), "{refused}");
    runtime.spawn(daemon.stop()).await.unwrap();
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread")]
async fn components_that_do_not_exist_are_named_by_every_node() {
    let nodes = three().await;
    for node in &nodes {
        let mut client = ComponentServiceClient::new(node.channel().await);
        for id in ["p_1.store", "nonsense", ""] {
            let moved = MoveComponentRequest {
                id: id.into(),
                node: 2,
            };
            let frozen = FreezeComponentRequest {
                id: id.into(),
                reason: "x".into(),
            };
            let read = ReadComponentLogRequest {
                id: id.into(),
                ..Default::default()
            };
            for refused in [
                client.move_component(moved).await.unwrap_err(),
                client.freeze_component(frozen).await.unwrap_err(),
                client.read_component_log(read).await.unwrap_err(),
            ] {
                assert_eq!(code(&refused), codes::api::NOT_FOUND.as_str());
                assert!(refused.message().contains(&format!("{id:?}")), "{refused}");
            }
        }
        let without = FreezeComponentRequest {
            id: "p_1.store".into(),
            reason: " ".into(),
        };
        let refused = client.freeze_component(without).await.unwrap_err();
        assert_eq!(code(&refused), codes::api::INVALID_ARGUMENT.as_str());
    }
}
