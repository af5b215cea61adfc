//! Who leads.
#![allow(clippy::unwrap_used)]

mod made;

use std::collections::BTreeMap;

use made::{Cluster, ids, record};
use oms_meta::{Followers, Handover, LeadershipPolicy, Members, MetaState, Tenure, successor};
use oms_proto::{
    meta::{ChangeNode, NodeRecord, RegisterNode, SetPreferredRegions, State, command::Body},
    v1::NodeState,
};
use proptest::prelude::*;
use prost::Message as _;

const POLICY: LeadershipPolicy = LeadershipPolicy {
    residence_ms: 20_000,
    steady_ms: 10_000,
    leaving_ms: 3_000,
    pause_ms: 10_000,
    longest_pause_ms: 600_000,
};

/// Long enough for everything.
const LONG: Tenure = Tenure {
    led_ms: 1_000_000,
    failures: 0,
    tried_ms: None,
};

/// One node in each region, all of them voters; node 1 leads.
fn cluster(regions: &[&str]) -> (Cluster, Members) {
    let mut c = Cluster::of(regions[0], "z");
    for region in &regions[1..] {
        c.join(region, "z");
    }
    let all: Vec<u64> = (1..=regions.len() as u64).collect();
    let voters = ids(&all);
    (
        c,
        Members {
            voters,
            learners: ids(&[]),
            former: Vec::new(),
        },
    )
}

fn prefer(c: &mut Cluster, regions: &[&str]) {
    let regions = regions.iter().map(|r| (*r).to_owned()).collect();
    c.propose(Body::SetPreferredRegions(SetPreferredRegions { regions }))
        .unwrap();
}

fn stand(c: &mut Cluster, id: u64, state: NodeState) {
    let change = ChangeNode {
        id,
        state: state as i32,
        ..Default::default()
    };
    c.propose(Body::ChangeNode(change)).unwrap();
}

/// Everybody has everything and has been there for ever.
fn followers(m: &Members) -> Followers {
    let each = |value: u64| m.voters.iter().map(|id| (*id, value)).collect::<BTreeMap<_, _>>();
    Followers {
        last_log: 1_000,
        matched: each(1_000),
        steady_ms: each(1_000_000),
    }
}

fn to(c: &Cluster, m: &Members, tenure: Tenure) -> Option<u64> {
    let told = POLICY.handover(&c.state, &c.view, m, &followers(m), tenure);
    told.map(|Handover { to, because }| {
        assert!(!because.is_empty());
        to
    })
}

#[test]
fn the_best_region_leads() {
    let (mut c, m) = cluster(&["a", "b", "c"]);
    assert_eq!(to(&c, &m, LONG), None, "anywhere is fine");
    prefer(&mut c, &["b", "c"]);
    assert_eq!(to(&c, &m, LONG), Some(2));
    c.lose(2);
    assert_eq!(to(&c, &m, LONG), Some(3), "the second best is there");
    c.alive(2);
    prefer(&mut c, &["a"]);
    assert_eq!(to(&c, &m, LONG), None, "it leads");
    prefer(&mut c, &["elsewhere"]);
    assert_eq!(to(&c, &m, LONG), None, "nobody is better");
    prefer(&mut c, &[]);
    assert_eq!(to(&c, &m, LONG), None);
}

#[test]
fn only_who_has_the_log_and_a_vote_and_the_version() {
    let (mut c, mut m) = cluster(&["a", "b", "c"]);
    prefer(&mut c, &["b"]);
    let ask = |c: &Cluster, m: &Members, f: &Followers| {
        POLICY.handover(&c.state, &c.view, m, f, LONG).map(|h| h.to)
    };
    let mut late = followers(&m);
    late.matched.insert(2, 900);
    assert_eq!(ask(&c, &m, &late), None, "far behind");
    late.matched.insert(2, 960);
    assert_eq!(ask(&c, &m, &late), Some(2), "nearly there");
    late.matched.remove(&2);
    assert_eq!(ask(&c, &m, &late), None, "not known");
    let mut fresh = followers(&m);
    fresh.steady_ms.insert(2, 9_999);
    assert_eq!(ask(&c, &m, &fresh), None, "just back");
    m.voters.remove(&2);
    m.learners.insert(2);
    assert_eq!(to(&c, &m, LONG), None, "no voter");

    // Of an older version: it would not know what is asked of it.
    let (mut c, m) = cluster(&["a", "b"]);
    prefer(&mut c, &["b"]);
    let mut state = State::decode(c.state.snapshot().as_slice()).unwrap();
    state.nodes[1].feature_level = 2;
    c.state = MetaState::restore(&state.encode_to_vec()).unwrap();
    assert_eq!(to(&c, &m, LONG), None);
    assert_eq!(successor(&c.state, &c.view, &m, &followers(&m)), None);
    // Nor would it know the setting.
    let set = SetPreferredRegions {
        regions: vec!["a".into()],
    };
    let refused = c.propose(Body::SetPreferredRegions(set)).unwrap_err();
    assert!(refused.contains("OMS-CLUSTER-0020"), "{refused}");
    state.nodes[1].feature_level = 3;
    c.state = MetaState::restore(&state.encode_to_vec()).unwrap();
    assert_eq!(to(&c, &m, LONG), Some(2));
}

#[test]
fn who_leaves_hands_over_wherever_it_is() {
    let (mut c, m) = cluster(&["a", "b", "c"]);
    prefer(&mut c, &["a", "b"]);
    for state in [NodeState::Cordoned, NodeState::Draining] {
        stand(&mut c, 1, state);
        assert_eq!(to(&c, &m, LONG), Some(2), "{state:?}");
        // The others are as bad.
        stand(&mut c, 2, state);
        stand(&mut c, 3, state);
        assert_eq!(to(&c, &m, LONG), None, "{state:?}");
        stand(&mut c, 2, NodeState::Active);
        stand(&mut c, 3, NodeState::Active);
    }
    stand(&mut c, 2, NodeState::Cordoned);
    assert_eq!(
        to(&c, &m, LONG),
        Some(3),
        "an active one before a preferred region"
    );
    stand(&mut c, 3, NodeState::Draining);
    assert_eq!(to(&c, &m, LONG), Some(2), "a cordoned one before a draining one");
}

#[test]
fn leaders_stay_a_while_and_failures_are_not_repeated_at_once() {
    let (mut c, m) = cluster(&["a", "b", "c"]);
    prefer(&mut c, &["b"]);
    let led = |led_ms| Tenure { led_ms, ..LONG };
    assert_eq!(to(&c, &m, led(19_999)), None);
    assert_eq!(to(&c, &m, led(20_000)), Some(2));
    stand(&mut c, 1, NodeState::Draining);
    assert_eq!(to(&c, &m, led(2_999)), None);
    assert_eq!(to(&c, &m, led(3_000)), Some(2));

    for (failures, pause) in [
        (1, 10_000),
        (2, 20_000),
        (3, 40_000),
        (7, 600_000),
        (u32::MAX, 600_000),
    ] {
        let tried = |ago| Tenure {
            failures,
            tried_ms: Some(ago),
            ..LONG
        };
        assert_eq!(to(&c, &m, tried(pause - 1)), None, "{failures}");
        assert_eq!(to(&c, &m, tried(pause)), Some(2), "{failures}");
    }
}

#[test]
fn whoever_stops_finds_a_successor() {
    let (mut c, m) = cluster(&["a", "b", "c"]);
    let f = followers(&m);
    assert_eq!(successor(&c.state, &c.view, &m, &f), Some(2));
    prefer(&mut c, &["c"]);
    assert_eq!(successor(&c.state, &c.view, &m, &f), Some(3));
    prefer(&mut c, &["a"]);
    assert_eq!(successor(&c.state, &c.view, &m, &f), Some(2), "also a worse one");
    c.lose(2);
    c.lose(3);
    assert_eq!(successor(&c.state, &c.view, &m, &f), None);
}

#[test]
fn witnesses_lead_last() {
    let (mut c, _) = cluster(&["a", "b"]);
    let witness = NodeRecord {
        id: 2,
        witness: true,
        ..record("f2", "b", "z")
    };
    c.propose(Body::RegisterNode(RegisterNode { node: Some(witness) }))
        .unwrap();
    c.join("b", "z");
    let m = Members {
        voters: ids(&[1, 2, 3]),
        learners: ids(&[]),
        former: Vec::new(),
    };
    prefer(&mut c, &["b"]);
    assert_eq!(to(&c, &m, LONG), Some(3));
    c.lose(3);
    assert_eq!(to(&c, &m, LONG), Some(2), "better than another region");
}

#[test]
fn the_list_is_checked_kept_and_replaced() {
    let (mut c, _) = cluster(&["a"]);
    let mut set = |regions: &[&str]| {
        let regions = regions.iter().map(|r| (*r).to_owned()).collect();
        c.propose(Body::SetPreferredRegions(SetPreferredRegions { regions }))
            .is_ok()
    };
    assert!(set(&["x", "y"]));
    assert!(!set(&["x", "x"]) && !set(&[" "]) && !set(&["x"; 17]) && !set(&["x".repeat(501).as_str()]));
    assert_eq!(c.state.preferred_regions(), ["x", "y"]);
    assert_eq!(MetaState::restore(&c.state.snapshot()).unwrap(), c.state);
}

proptest! {
    /// Whatever the cluster looks like: the new leader is a voter that is alive and strictly better, and handing on
    /// ends after at most as many steps as there are kinds of leaders.
    #[test]
    fn leadership_comes_to_rest(
        regions in proptest::collection::vec(0usize..4, 3..6),
        preferred in Just(vec!["r0", "r1", "r2"]).prop_shuffle(),
        states in proptest::collection::vec(0usize..3, 6),
        lost in proptest::collection::vec(any::<bool>(), 6),
    ) {
        let names: Vec<String> = regions.iter().map(|r| format!("r{r}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut c, m) = cluster(&names);
        prefer(&mut c, &preferred);
        let kinds = [NodeState::Active, NodeState::Cordoned, NodeState::Draining];
        for id in 1..=names.len() as u64 {
            stand(&mut c, id, kinds[states[id as usize]]);
            if id != 1 && lost[id as usize] {
                c.lose(id);
            }
        }
        let grade = |c: &Cluster, id: u64| {
            let node = c.state.node(id).unwrap();
            let region = preferred.iter().position(|r| *r == node.region).unwrap_or(3);
            (kinds.iter().position(|k| *k == node.state()).unwrap(), region)
        };
        let mut steps = 0;
        while let Some(next) = to(&c, &m, LONG) {
            prop_assert!(m.voters.contains(&next) && c.view.is_alive(next));
            prop_assert!(grade(&c, next) < grade(&c, c.view.me));
            c.view.me = next;
            steps += 1;
            // The best one is chosen at once.
            prop_assert!(steps <= 1);
        }
        let best = m.voters.iter().filter(|id| c.view.is_alive(**id)).map(|id| grade(&c, *id)).min();
        prop_assert_eq!(best, Some(grade(&c, c.view.me)));
    }
}
