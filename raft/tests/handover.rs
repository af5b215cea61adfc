//! Leadership is handed to a chosen voter.
#![allow(clippy::unwrap_used)]

mod testbed;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use oms_kv::MemoryEngine;
use oms_raft::{RaftError, Role};
use testbed::{Node, three};

const SECOND: Duration = Duration::from_secs(1);

fn engines() -> Vec<MemoryEngine> {
    (0..3).map(|_| MemoryEngine::new()).collect()
}

async fn leads(nodes: &[Node]) -> usize {
    let leader = nodes[0]
        .raft
        .wait_for_leader(Duration::from_secs(20))
        .await
        .unwrap();
    nodes.iter().position(|n| n.raft.node_id() == leader).unwrap()
}

/// Back and forth under load: the chosen one leads every time, after one silence and one election, and no proposal is
/// lost or made twice.
#[tokio::test(flavor = "multi_thread")]
async fn the_chosen_voter_leads_and_nothing_is_lost() {
    let nodes = Arc::new(three(&engines(), |_| ()).await);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..3)
        .map(|writer| {
            let (nodes, stop) = (nodes.clone(), stop.clone());
            tokio::spawn(async move {
                let mut written = 0u32;
                while !stop.load(Ordering::SeqCst) {
                    let text = format!("{writer}-{written}");
                    nodes[writer].raft.propose(text.into_bytes()).await.unwrap();
                    written += 1;
                }
                written
            })
        })
        .collect();
    for _ in 0..4 {
        // On a busy machine another one may be elected between the two steps.
        let (from, to, before, begun, silence) = loop {
            let from = leads(&nodes).await;
            let to = (from + 1) % 3;
            let leader = &nodes[from].raft;
            let before = leader.metrics().status.term;
            let begun = Instant::now();
            match leader.fall_silent(nodes[to].raft.node_id(), SECOND).await {
                Ok(silence) => break (from, to, before, begun, silence),
                Err(refused) => assert_ne!(leader.metrics().status.role, Role::Leader, "{refused}"),
            }
        };
        let (leader, next) = (&nodes[from].raft, &nodes[to].raft);
        assert_eq!(silence.term(), before);
        // It does not confirm itself meanwhile, which would keep the voters with it.
        assert!(!leader.confirm_leadership(SECOND).await);
        let wait = silence.remaining();
        next.stand((leader.node_id(), silence.term()), silence.last_log(), wait)
            .await
            .unwrap();
        assert!(
            silence
                .ended_by_another(tokio::time::Instant::now() + SECOND)
                .await
        );
        drop(silence);
        let status = nodes[to]
            .until("the chosen one leads", |s| s.role == Role::Leader)
            .await;
        println!("handed over in {} ms", begun.elapsed().as_millis());
        assert_eq!(status.term, before + 1, "one election");
    }
    stop.store(true, Ordering::SeqCst);
    let mut expected = Vec::new();
    for (writer, task) in writers.into_iter().enumerate() {
        let written = task.await.unwrap();
        assert!(written > 0);
        expected.extend((0..written).map(|n| format!("{writer}-{n}").into_bytes()));
    }
    expected.sort();
    for node in nodes.iter() {
        node.raft.read_barrier().await.unwrap();
        let mut there = node.commands().to_vec();
        there.sort();
        assert!(there == expected, "node {}", node.raft.node_id());
    }
}

/// A silence that nobody uses ends without anything having changed but time.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_nobody_succeeds_goes_on() {
    let nodes = three(&engines(), |_| ()).await;
    let leader = &nodes[leads(&nodes).await].raft;
    let term = leader.metrics().status.term;
    let other = nodes
        .iter()
        .map(|n| n.raft.node_id())
        .find(|id| *id != leader.node_id())
        .unwrap();
    let silence = leader.fall_silent(other, SECOND).await.unwrap();
    let soon = tokio::time::Instant::now() + silence.remaining() / 2;
    assert!(!silence.ended_by_another(soon).await);
    drop(silence);
    leader.propose(b"on".to_vec()).await.unwrap();
    assert!(leader.confirm_leadership(SECOND).await);
    assert_eq!(leader.metrics().status.term, term);
    assert!(matches!(
        leader.fall_silent(9, SECOND).await,
        Err(RaftError::Membership(_))
    ));
    assert!(
        leader.confirm_leadership(SECOND).await,
        "a refusal changes nothing"
    );
}

/// Nobody stands who does not follow the one that asks, or lacks something.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_follower_with_the_log_stands() {
    let nodes = three(&engines(), |_| ()).await;
    let at = leads(&nodes).await;
    let (leader, follower) = (&nodes[at].raft, &nodes[(at + 1) % 3].raft);
    let (id, term) = (leader.node_id(), leader.metrics().status.term);
    let end = leader.metrics().last_log;
    let refused = [
        leader.stand((id, term), end, Duration::ZERO).await,
        follower.stand((id, term + 1), end, Duration::ZERO).await,
        follower
            .stand((follower.node_id(), term), end, Duration::ZERO)
            .await,
        follower.stand((id, term), end + 1_000, Duration::ZERO).await,
        follower.fall_silent(id, SECOND).await.map(drop),
    ];
    for outcome in refused {
        assert!(matches!(outcome, Err(RaftError::Membership(_))), "{outcome:?}");
    }
    // Called off in time.
    let asked = follower.stand((id, term), end, Duration::from_secs(60));
    assert!(
        tokio::time::timeout(Duration::from_millis(50), asked)
            .await
            .is_err()
    );
    leader.propose(b"x".to_vec()).await.unwrap();
    assert_eq!(leader.metrics().status.term, term);
}
