//! Three voters in one process over real sockets.

#![allow(clippy::unwrap_used)]

mod testbed;

use std::sync::Arc;
use std::time::Duration;

use oms_kv::MemoryEngine;
use oms_proto::raft as pb;
use oms_proto::raft::raft_service_client::RaftServiceClient;
use oms_raft::{NodeInfo, RaftError, Role};
use testbed::{Node, config, three};
use tonic::Code;

fn engines() -> Vec<MemoryEngine> {
    (0..3).map(|_| MemoryEngine::new()).collect()
}

fn leader_position(nodes: &[Node]) -> usize {
    let leader = nodes
        .iter()
        .find_map(|node| node.raft.metrics().status.leader)
        .unwrap();
    nodes
        .iter()
        .position(|node| node.raft.node_id() == leader)
        .unwrap()
}

async fn propose(node: &Node, text: &str) {
    node.raft.propose(text.as_bytes().to_vec()).await.unwrap();
}

async fn all_equal(nodes: &[Node], count: usize) {
    for node in nodes {
        node.raft.read_barrier().await.unwrap();
        assert_eq!(node.commands().len(), count, "node {}", node.raft.node_id());
        assert_eq!(node.commands(), nodes[0].commands());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_proposes_and_every_node_sees_it() {
    let nodes = three(&engines(), |_| ()).await;
    for round in 0..10 {
        for node in &nodes {
            let text = format!("{round} from {}", node.raft.node_id());
            let applied = node.raft.propose(text.clone().into_bytes()).await.unwrap();
            let view = node.commands();
            assert_eq!(
                view.last().unwrap(),
                text.as_bytes(),
                "a node reads what it wrote"
            );
            assert_eq!(applied.reply, (view.len() as u64).to_be_bytes());
        }
    }
    all_equal(&nodes, 30).await;
    let leader = &nodes[leader_position(&nodes)];
    assert_eq!(leader.raft.metrics().voters, [1, 2, 3].into());
    assert_eq!(leader.raft.metrics().matched.len(), 3);
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_proposals_from_all_nodes_are_all_there_once() {
    let nodes = Arc::new(three(&engines(), |_| ()).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..12usize {
        let nodes = Arc::clone(&nodes);
        writers.spawn(async move {
            for number in 0..25 {
                propose(&nodes[writer % 3], &format!("{writer}-{number:02}")).await;
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    all_equal(&nodes, 300).await;
    let mut sorted = nodes[0].commands().to_vec();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cluster_goes_on_without_its_leader_and_takes_it_back() {
    let engines = engines();
    let mut nodes = three(&engines, |_| ()).await;
    propose(&nodes[0], "before").await;
    let lost = nodes.remove(leader_position(&nodes));
    let (id, port) = (lost.raft.node_id(), lost.stop().await);
    // Proposed at once, while both still take the lost node for the leader.
    let (one, two) = tokio::join!(
        nodes[0].raft.propose(b"one".to_vec()),
        nodes[1].raft.propose(b"two".to_vec())
    );
    one.unwrap();
    two.unwrap();
    let leader = nodes[0]
        .raft
        .wait_for_leader(Duration::from_secs(5))
        .await
        .unwrap();
    assert_ne!(leader, id);
    all_equal(&nodes, 3).await;

    let back = Node::start(id, port, Arc::new(engines[id as usize - 1].clone()), |_| ())
        .await
        .unwrap();
    back.until("it follows", |status| {
        status.role == Role::Follower && status.leader.is_some()
    })
    .await;
    nodes.push(back);
    propose(&nodes[2], "after").await;
    all_equal(&nodes, 4).await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_nothing_is_promised() {
    let mut nodes = three(&engines(), |config| {
        config.timings.operation = Duration::from_millis(1500)
    })
    .await;
    propose(&nodes[0], "before").await;
    let leader = nodes.remove(leader_position(&nodes));
    for node in nodes {
        node.stop().await;
    }
    let error = leader.raft.read_barrier().await.unwrap_err();
    assert!(
        matches!(error, RaftError::NoQuorum | RaftError::NoLeader { .. }),
        "{error}"
    );
    let error = leader.raft.propose(b"lonely".to_vec()).await.unwrap_err();
    assert!(
        matches!(error, RaftError::Indeterminate(_) | RaftError::NoLeader { .. }),
        "{error}"
    );
    assert_eq!(leader.commands().len(), 1, "local reads go on");
    leader.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_of_all_nodes_loses_nothing_acknowledged() {
    let mut disks = engines();
    let mut nodes = three(&disks, |config| config.snapshot_every = 20).await;
    for round in 1..=6usize {
        for number in 0..15 {
            propose(&nodes[number % 3], &number.to_string()).await;
        }
        disks = disks
            .iter()
            .map(|disk| disk.after_power_loss(0).unwrap())
            .collect();
        let mut ports = Vec::new();
        for node in nodes {
            ports.push(node.stop().await);
        }
        nodes = Vec::new();
        for (id, (disk, port)) in (1..).zip(disks.iter().zip(ports)) {
            nodes.push(
                Node::start(id, port, Arc::new(disk.clone()), |_| ())
                    .await
                    .unwrap(),
            );
        }
        // Also right after the start: a leader that resumes its old term may not know yet what it had
        // committed, and must not answer before it does.
        all_equal(&nodes, round * 15).await;
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_learner_catches_up_by_snapshot_and_becomes_a_voter() {
    let small = |config: &mut oms_raft::RaftConfig| {
        config.snapshot_every = 30;
        config.keep_in_log = 2;
    };
    let nodes = three(&engines(), small).await;
    // Larger than one chunk, so that the snapshot travels in pieces.
    let large = "y".repeat(40_000);
    for number in 0..100 {
        propose(&nodes[number % 3], &format!("{number} {large}")).await;
    }
    let leader = leader_position(&nodes);
    while nodes[leader].raft.metrics().purged < 60 {
        propose(&nodes[leader], "more").await;
    }
    let learner = Node::start(4, 0, Arc::new(MemoryEngine::new()), small)
        .await
        .unwrap();
    // Asked of a follower: membership changes find the leader as well.
    let follower = &nodes[(leader + 1) % 3].raft;
    follower
        .add_learner(4, config(4, learner.port).node, true)
        .await
        .unwrap();
    learner.raft.read_barrier().await.unwrap();
    assert_eq!(learner.commands(), nodes[leader].commands());
    assert_eq!(learner.raft.metrics().status.role, Role::Learner);
    assert!(
        learner.raft.metrics().snapshot >= 60,
        "the log it lacked was purged"
    );

    follower
        .change_membership([1, 2, 3, 4].into(), false)
        .await
        .unwrap();
    learner
        .until("it votes", |status| status.role == Role::Follower)
        .await;
    follower.change_membership([1, 2, 3].into(), true).await.unwrap();
    follower.remove_learner(4).await.unwrap();
    nodes[leader].raft.read_barrier().await.unwrap();
    let members: Vec<u64> = nodes[leader].raft.metrics().members.into_keys().collect();
    assert_eq!(members, [1, 2, 3]);
    let unknown = follower
        .change_membership([1, 2, 9].into(), false)
        .await
        .unwrap_err();
    assert!(matches!(unknown, RaftError::Membership(_)), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_up_to_the_limit_travel_between_nodes() {
    let nodes = three(&engines(), |config| {
        config.timings.heartbeat = Duration::from_millis(300)
    })
    .await;
    let leader = leader_position(&nodes);
    let largest = config(1, 1).max_command_bytes;
    let follower = &nodes[(leader + 1) % 3];
    for size in [largest, largest / 2, 1 << 20] {
        let applied = follower.raft.propose(vec![7; size]).await.unwrap();
        assert!(applied.index > 0);
    }
    assert!(matches!(
        follower.raft.propose(vec![7; largest + 1]).await,
        Err(RaftError::TooLarge { .. })
    ));
    for node in &nodes {
        node.raft.read_barrier().await.unwrap();
        assert_eq!(
            node.commands().iter().map(Vec::len).collect::<Vec<_>>(),
            [largest, largest / 2, 1 << 20]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_refuses_what_only_a_follower_would_take() {
    let engines = engines();
    let mut nodes = three(&engines, |config| config.max_command_bytes = 1000).await;
    let lost = nodes.remove((leader_position(&nodes) + 1) % 3);
    let (id, port) = (lost.raft.node_id(), lost.stop().await);
    let back = Node::start(id, port, Arc::new(engines[id as usize - 1].clone()), |_| ())
        .await
        .unwrap();
    let error = back.raft.propose(vec![0; 2000]).await.unwrap_err();
    assert!(matches!(error, RaftError::TooLargeForLeader(_)), "{error}");
    back.raft.propose(vec![0; 1000]).await.unwrap();
    assert_eq!(back.commands().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_malformed_requests_are_refused() {
    let node = testbed::single(Arc::new(MemoryEngine::new()), |_| ())
        .await
        .unwrap();
    let mut client = RaftServiceClient::connect(format!("http://127.0.0.1:{}", node.port))
        .await
        .unwrap();
    let good = pb::PeerRequest {
        version: 1,
        cluster_id: "test-cluster".to_owned(),
        from: 2,
        to: 1,
        payload: Vec::new().into(),
    };
    for (what, request, code) in [
        (
            "version",
            pb::PeerRequest {
                version: 9,
                ..good.clone()
            },
            Code::FailedPrecondition,
        ),
        (
            "cluster",
            pb::PeerRequest {
                cluster_id: "x".to_owned(),
                ..good.clone()
            },
            Code::FailedPrecondition,
        ),
        (
            "node",
            pb::PeerRequest {
                to: 2,
                ..good.clone()
            },
            Code::FailedPrecondition,
        ),
        (
            "garbage",
            pb::PeerRequest {
                payload: vec![0xff; 9].into(),
                ..good.clone()
            },
            Code::InvalidArgument,
        ),
        ("no ballot", good.clone(), Code::InvalidArgument),
        (
            "size",
            pb::PeerRequest {
                payload: vec![0; 8 << 20].into(),
                ..good
            },
            Code::OutOfRange,
        ),
    ] {
        let append = client.append(request.clone()).await.unwrap_err();
        assert_eq!(append.code(), code, "append, {what}: {append}");
        let vote = client.vote(request.clone()).await.unwrap_err();
        assert_eq!(vote.code(), code, "vote, {what}: {vote}");
        let chunk = client.install_snapshot(request).await.unwrap_err();
        assert_eq!(chunk.code(), code, "install snapshot, {what}: {chunk}");
    }
    node.raft.propose(b"unharmed".to_vec()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_not_handed_on_for_ever() {
    let nodes = three(&engines(), |_| ()).await;
    let leader = leader_position(&nodes);
    let follower = &nodes[(leader + 1) % 3];
    let mut client = RaftServiceClient::connect(format!("http://127.0.0.1:{}", follower.port))
        .await
        .unwrap();
    let ask = |hops| {
        let operation = Some(pb::forward_request::Operation::Propose(b"p".to_vec().into()));
        let request = pb::ForwardRequest { hops, operation };
        pb::PeerRequest {
            version: 1,
            cluster_id: "test-cluster".to_owned(),
            from: 9,
            to: follower.raft.node_id(),
            payload: prost::Message::encode_to_vec(&request).into(),
        }
    };
    for (hops, accepted) in [(1, true), (3, false), (u32::MAX, false)] {
        let reply = client.forward(ask(hops)).await.unwrap().into_inner();
        let reply: pb::ForwardReply = prost::Message::decode(reply.payload).unwrap();
        match reply.outcome.unwrap() {
            pb::forward_reply::Outcome::Applied(_) => assert!(accepted, "{hops} hops"),
            pb::forward_reply::Outcome::Error(error) => {
                assert!(
                    !accepted && error.kind() == pb::forward_error::Kind::NotLeader,
                    "{hops} hops: {error:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_cluster_does_not_get_in() {
    let engines = engines();
    let nodes = three(&engines, |_| ()).await;
    let foreign = Node::start(4, 0, Arc::new(MemoryEngine::new()), |config| {
        config.cluster_id = "other".to_owned()
    });
    let foreign = foreign.await.unwrap();
    let info = NodeInfo {
        address: format!("127.0.0.1:{}", foreign.port),
        ..NodeInfo::default()
    };
    nodes[0].raft.add_learner(4, info, false).await.unwrap();
    propose(&nodes[0], "ours").await;
    all_equal(&nodes, 1).await;
    assert!(
        !foreign.raft.is_initialized().await.unwrap(),
        "nothing of ours reached it"
    );
}
