//! Who votes.
#![allow(clippy::unwrap_used)]

mod made;

use std::collections::BTreeSet;

use made::{Cluster, ids, record};
use oms_meta::{Liveness, Members, VoterChange, voter_change};
use oms_proto::{meta::NodeRecord, v1::NodeState};
use proptest::prelude::*;

fn members(voters: &[u64], learners: &[u64]) -> Members {
    Members {
        voters: ids(voters),
        learners: ids(learners),
        former: Vec::new(),
    }
}

fn voters(c: &Cluster, m: &Members) -> Option<Vec<u64>> {
    match voter_change(&c.state, &c.view, m, c.now) {
        Some(VoterChange::Voters { voters, because }) => {
            assert!(!because.is_empty());
            Some(voters.into_iter().collect())
        }
        Some(VoterChange::Forget { .. }) | None => None,
    }
}

/// Nodes of `regions`, one in each zone after the other.
fn cluster(regions: &[&str]) -> Cluster {
    let mut c = Cluster::of(regions[0], "z1");
    for (i, region) in regions.iter().enumerate().skip(1) {
        c.join(region, &format!("z{}", i + 1));
    }
    c
}

#[test]
fn one_three_or_five_and_never_an_even_number() {
    for (nodes, expected) in [(1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (6, 5), (9, 5)] {
        let regions = vec!["r"; nodes];
        let c = cluster(&regions);
        let learners: Vec<u64> = (2..=nodes as u64).collect();
        let m = members(&[1], &learners);
        let n = voters(&c, &m).map_or(1, |v| v.len());
        assert_eq!(n, expected, "{nodes} nodes");
    }
}

#[test]
fn a_learner_that_is_not_there_is_waited_for() {
    let mut c = cluster(&["r", "r", "r"]);
    c.lose(3);
    assert_eq!(voters(&c, &members(&[1], &[2, 3])), None);
    c.alive(3);
    assert_eq!(
        voters(&c, &members(&[1], &[2])),
        None,
        "one that is far behind is not named"
    );
    assert_eq!(voters(&c, &members(&[1], &[2, 3])), Some(vec![1, 2, 3]));
}

#[test]
fn votes_are_spread_over_regions_then_zones() {
    let c = cluster(&["a", "a", "a", "b", "c"]);
    let mut m = members(&[1, 2, 3], &[4, 5]);
    assert_eq!(voters(&c, &m), Some(vec![1, 2, 3, 4, 5]));
    let mut c = cluster(&["a", "a", "a", "b"]);
    assert_eq!(voters(&c, &m), Some(vec![1, 2, 4]));
    // With two in b there is nothing more to gain by three.
    c = cluster(&["a", "a", "b", "b"]);
    m = members(&[1, 2, 3], &[4]);
    assert_eq!(voters(&c, &m), None);
    // Two of one zone, while another zone has none.
    let mut c = Cluster::of("a", "z1");
    for zone in ["z1", "z2", "z3"] {
        c.join("a", zone);
    }
    assert_eq!(voters(&c, &members(&[1, 2, 3], &[4])), Some(vec![1, 3, 4]));
    // Six nodes in three regions: 2+2+1.
    let c = cluster(&["a", "a", "a", "b", "b", "c"]);
    assert_eq!(
        voters(&c, &members(&[1], &[2, 3, 4, 5, 6])),
        Some(vec![1, 2, 4, 5, 6])
    );
}

#[test]
fn a_voter_that_is_lost_for_long_is_replaced() {
    let mut c = cluster(&["a", "a", "a", "a"]);
    let m = members(&[1, 2, 3], &[4]);
    c.see(3, Liveness::Lost { for_ms: 29_999 });
    assert_eq!(voters(&c, &m), None);
    c.see(3, Liveness::Lost { for_ms: 30_000 });
    assert_eq!(voters(&c, &m), Some(vec![1, 2, 4]));
    assert_eq!(
        voters(&c, &members(&[1, 2, 3], &[])),
        None,
        "nobody to replace it"
    );
    c.lose(4);
    assert_eq!(voters(&c, &m), None);
    // Without a majority nothing can be committed anyway.
    c.alive(4);
    c.see(2, Liveness::Lost { for_ms: 99_999 });
    assert_eq!(voters(&c, &m), None);
}

#[test]
fn drained_and_removed_nodes_lose_their_vote_and_removed_ones_their_place() {
    let mut c = cluster(&["a", "a", "a", "a"]);
    let m = members(&[1, 2, 3], &[4]);
    c.change_node(2, NodeState::Draining);
    assert_eq!(voters(&c, &m), Some(vec![1, 3, 4]));
    c.remove_node(4);
    // Until another can have it, a draining node keeps its vote: acknowledged changes stay on three disks.
    assert_eq!(voters(&c, &m), None);
    c.remove_node(2);
    assert_eq!(voters(&c, &m), Some(vec![1]));
    for (learners, forgotten) in [
        (&[2, 3, 4][..], Some(VoterChange::Forget { node: 2 })),
        (&[3, 4], Some(VoterChange::Forget { node: 4 })),
        (&[3], None),
    ] {
        let after = members(&[1], learners);
        assert_eq!(voter_change(&c.state, &c.view, &after, 0), forgotten);
    }
    // A cordoned node goes on voting.
    let mut c = cluster(&["a", "a", "a"]);
    c.change_node(2, NodeState::Cordoned);
    assert_eq!(voters(&c, &members(&[1, 2, 3], &[])), None);
    // The last voter stays, whatever is wanted of it.
    let mut c = cluster(&["a"]);
    c.change_node(1, NodeState::Draining);
    assert_eq!(voters(&c, &members(&[1], &[])), None);
}

/// It could have been lost since it was last heard; the leader was not.
#[test]
fn of_several_voters_only_the_leader_is_made_the_only_one() {
    let mut c = cluster(&["r", "r", "r"]);
    c.remove_node(1);
    let all = members(&[1, 2, 3], &[]);
    assert_eq!(c.view.me, 1);
    assert_eq!(voters(&c, &all), None, "the removed leader hands over first");
    c.view.me = 3;
    assert_eq!(voters(&c, &all), Some(vec![3]));
    // So does one that is drained; ...
    let mut drained = cluster(&["r", "r", "r"]);
    drained.change_node(1, NodeState::Draining);
    drained.remove_node(3);
    assert_eq!(voters(&drained, &all), None);
    drained.view.me = 2;
    assert_eq!(voters(&drained, &all), Some(vec![2]));
    // ... and nothing is waited for when no voter could lead in its place.
    let mut last = cluster(&["r", "r", "r", "r"]);
    for id in [1, 2, 3] {
        last.remove_node(id);
    }
    assert_eq!(voters(&last, &members(&[1, 2, 3], &[4])), Some(vec![4]));
    // Who votes alone cannot hand over.
    c.view.me = 1;
    assert_eq!(voters(&c, &members(&[1], &[2, 3])), Some(vec![2]));
}

#[test]
fn a_witness_votes_first_and_nothing_is_done_in_the_dark() {
    let mut c = cluster(&["a", "a", "a"]);
    let witness = NodeRecord {
        witness: true,
        ..record("w", "a", "z9")
    };
    let w = c.join_as(witness).unwrap();
    assert_eq!(voters(&c, &members(&[1], &[2, 3, w])), Some(vec![1, 2, w]));
    c.see(2, Liveness::Unknown);
    assert_eq!(voters(&c, &members(&[1, 2, 3], &[w])), None);
}

#[test]
fn a_change_that_was_begun_is_finished_first() {
    let mut c = cluster(&["a", "a", "a", "a", "a"]);
    let mut m = members(&[1, 2, 3, 4, 5], &[]);
    assert_eq!(voters(&c, &m), None);
    m.former = vec![ids(&[1, 2, 3])];
    assert_eq!(voters(&c, &m), Some(vec![1, 2, 3, 4, 5]));
    // Also where another set would be better by now.
    m = members(&[1, 2, 3], &[4]);
    m.former = vec![ids(&[1])];
    c.see(3, Liveness::Lost { for_ms: 40_000 });
    assert_eq!(voters(&c, &m), Some(vec![1, 2, 3]));
    // Each set must be able to agree.
    c.lose(1);
    assert_eq!(voters(&c, &m), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// From any members, under any leader, changes end, are odd, keep a live majority, and a change of the leader
    /// does not begin them again.
    #[test]
    fn changes_end_and_two_leaders_agree(
        nodes in prop::collection::vec((0usize..3, 0usize..3, 0u8..8, 0u8..4, any::<bool>()), 1..9),
        start in any::<u16>(),
    ) {
        let names = ["a", "b", "c"];
        let mut c = Cluster::of(names[nodes[0].0], names[nodes[0].1]);
        for (i, (region, zone, _, _, witness)) in nodes.iter().enumerate().skip(1) {
            c.join_as(NodeRecord { witness: *witness && i % 2 == 0, ..record(&format!("n{i}"), names[*region], names[*zone]) }).unwrap();
        }
        for (i, (_, _, liveness, state, _)) in nodes.iter().enumerate().skip(1) {
            let id = i as u64 + 1;
            match liveness {
                0 => c.see(id, Liveness::Lost { for_ms: 40_000 }),
                1 => c.see(id, Liveness::Lost { for_ms: 4_000 }),
                _ => {}
            }
            match state {
                0 => c.change_node(id, NodeState::Draining),
                1 => c.change_node(id, NodeState::Cordoned),
                2 if i % 3 == 0 => c.remove_node(id),
                _ => {}
            }
        }
        let all: Vec<u64> = (1..=nodes.len() as u64).collect();
        let mut m = members(&[1], &all[1..]);
        for id in &all[1..] {
            if start & (1 << id) != 0 && m.learners.remove(id) {
                m.voters.insert(*id);
            }
        }
        let begun_odd = m.voters.len() % 2 == 1;
        let mut changes = 0;
        let mut leaders: Vec<u64> = all.iter().copied().filter(|id| c.view.is_alive(*id)).collect();
        leaders.reverse();
        for leader in leaders.clone().into_iter().cycle().take(40) {
            c.view.me = leader;
            match voter_change(&c.state, &c.view, &m, 0) {
                None => {}
                Some(VoterChange::Forget { node }) => {
                    prop_assert_eq!(c.state.node(node).unwrap().state(), NodeState::Removed);
                    prop_assert!(m.learners.remove(&node));
                }
                Some(VoterChange::Voters { voters, .. }) => {
                    changes += 1;
                    prop_assert!(voters.len() % 2 == 1 && voters.len() <= 5);
                    prop_assert!(voters.iter().filter(|v| c.view.is_alive(**v)).count() > voters.len() / 2);
                    let known: BTreeSet<u64> = m.voters.union(&m.learners).copied().collect();
                    prop_assert!(voters.is_subset(&known));
                    let state_of = |v: &u64| c.state.node(*v).unwrap().state();
                    prop_assert!(voters.iter().all(|v| state_of(v) != NodeState::Removed));
                    if voters.iter().any(|v| state_of(v) == NodeState::Draining) {
                        let left_out = known.difference(&voters).filter(|v| c.view.is_alive(**v));
                        let mut better = left_out.filter(|v| !matches!(state_of(v), NodeState::Draining | NodeState::Removed));
                        prop_assert!(better.next().is_none(), "a draining node votes while another could");
                    }
                    m.learners = known.difference(&voters).copied().collect();
                    m.voters = voters;
                }
            }
        }
        prop_assert!(changes <= 2 || !begun_odd, "{changes} changes");
        for leader in leaders {
            c.view.me = leader;
            prop_assert_eq!(voter_change(&c.state, &c.view, &m, 0), None);
        }
    }
}
