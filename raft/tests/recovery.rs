//! What one folder knows becomes a new cluster.

#![allow(clippy::unwrap_used)]

mod testbed;

use std::sync::Arc;

use oms_kv::{KvEngine, MemoryEngine};
use oms_raft::{RaftError, StateMachine, salvage, seed};
use testbed::{Journal, Node, config, single, sled, three};

fn text(number: usize) -> Vec<u8> {
    format!("command {number}").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_survivor_of_three_gives_everything_that_was_acknowledged() {
    let engines: Vec<_> = (0..3).map(|_| MemoryEngine::new()).collect();
    let nodes = three(&engines, |config| config.snapshot_every = 20).await;
    let mut expected = Vec::new();
    for number in 0..75 {
        nodes[number % 3].raft.propose(text(number)).await.unwrap();
        expected.push(text(number));
    }
    for node in &nodes {
        node.raft.read_barrier().await.unwrap();
    }
    for node in nodes {
        node.stop().await;
    }

    for (id, engine) in (1u64..).zip(&engines) {
        // What was not synced is gone, as after loss of power.
        let disk: Arc<dyn KvEngine> = Arc::new(engine.after_power_loss(0).unwrap());
        let found = salvage(&disk, Journal::default()).unwrap();
        assert_eq!(*found.machine.view(), expected, "node {id}");
        assert_eq!((found.node_id, found.cluster_id.as_str()), (id, "test-cluster"));
        assert!(found.last_index >= found.committed_index);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_folder_leads_with_its_state_and_grows() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = Journal::default();
    for number in 0..5 {
        state.apply(0, &text(number));
    }
    {
        let engine = sled(folder.path());
        let mut target = config(7, 0);
        target.cluster_id = "recovered".to_owned();
        seed(&engine, &target, &state.snapshot()).unwrap();
        // Only an empty folder may be seeded.
        assert!(matches!(
            seed(&engine, &target, &state.snapshot()),
            Err(RaftError::Config(_))
        ));
    }
    for round in 0..3 {
        let node = Node::start(7, 0, sled(folder.path()), |config| {
            config.cluster_id = "recovered".to_owned();
        })
        .await
        .unwrap();
        node.raft.initialize_single().await.unwrap();
        node.raft.read_barrier().await.unwrap();
        // The address it was seeded with is not the one it has.
        node.raft.announce().await.unwrap();
        assert_eq!(node.commands().len(), 5 + round);
        node.raft.propose(text(5 + round)).await.unwrap();
        assert_eq!(node.raft.metrics().voters, [7].into());
        if round == 2 {
            let learner = Node::start(8, 0, Arc::new(MemoryEngine::new()), |config| {
                config.cluster_id = "recovered".to_owned();
            })
            .await
            .unwrap();
            let info = config(8, learner.port).node;
            node.raft.add_learner(8, info, true).await.unwrap();
            learner
                .until("it has everything", |status| status.applied > 1)
                .await;
            learner.raft.read_barrier().await.unwrap();
            assert_eq!(learner.commands(), node.commands());
            learner.stop().await;
        }
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_salvaged_from_a_folder_that_was_never_used() {
    let engine: Arc<dyn KvEngine> = Arc::new(MemoryEngine::new());
    assert!(matches!(
        salvage(&engine, Journal::default()).map(|_| ()),
        Err(RaftError::Damaged(_))
    ));
    // And a node that was used in the ordinary way is no place for a seed.
    let engine = MemoryEngine::new();
    single(Arc::new(engine.clone()), |_| ())
        .await
        .unwrap()
        .stop()
        .await;
    let engine: Arc<dyn KvEngine> = Arc::new(engine);
    assert!(seed(&engine, &config(1, 0), &[]).is_err());
}
