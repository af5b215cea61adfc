//! Who does what.
#![allow(clippy::unwrap_used)]

mod made;

use std::collections::BTreeMap;

use made::Cluster;
use oms_meta::{Liveness, NodeView};
use oms_proto::{
    meta::{AssignComponent, Desired, FreezeComponent, NodeRecord, ProjectChange, command::Body},
    v1::{ComponentState, NodeLoad, NodeState, ProjectState},
};
use proptest::prelude::*;

/// Two regions of two nodes each (1 and 2 in `a`, 3 and 4 in `b`), a source in a, a destination in b.
fn two_regions() -> Cluster {
    let mut c = Cluster::of("a", "a1");
    c.join("a", "a2");
    c.join("b", "b1");
    c.join("b", "b2");
    c.data_source("s", "a");
    c.data_source("d", "b");
    c
}

/// One region of `n` nodes, databases without a region.
fn one_region(n: u64) -> Cluster {
    let mut c = Cluster::of("a", "z1");
    for i in 1..n {
        c.join("a", &format!("z{}", i + 1));
    }
    c.data_source("s", "default");
    c.data_source("d", "");
    c
}

fn freeze(c: &mut Cluster, kind: &str, reason: &str) {
    c.propose(Body::FreezeComponent(FreezeComponent {
        project: "p".into(),
        kind: kind.into(),
        reason: reason.into(),
    }))
    .unwrap();
}

fn move_by_hand(c: &mut Cluster, id: &str, node: u64) -> Result<u64, String> {
    let component = c.component(id);
    let (project, kind) = id.rsplit_once('.').unwrap();
    c.propose(Body::AssignComponent(AssignComponent {
        project: project.into(),
        kind: kind.into(),
        node,
        expected_epoch: component.epoch,
        raise_epoch: true,
        desired: Desired::Run as i32,
        step: component.step,
        because: "moved by hand".into(),
        by_user: true,
        ..Default::default()
    }))
}

#[test]
fn the_store_is_near_the_source_and_all_else_near_the_destination() {
    let mut c = two_regions();
    for p in ["p", "q"] {
        c.project(p, "s", "d");
    }
    c.settle();
    let placed = c.placed();
    assert_eq!(placed.len(), 4);
    for (id, node) in &placed {
        assert_eq!(*node <= 2, id.ends_with("store"), "{id} is on {node}");
    }
    assert_eq!(
        c.loads().into_values().collect::<Vec<_>>(),
        [1, 1, 1, 1],
        "spread"
    );
    assert!(
        c.component("p.store")
            .placed_because
            .contains("region a of the source")
    );
    assert!(
        c.component("p.full-import").node > 2,
        "copied where it is written"
    );
}

#[test]
fn what_a_lost_node_ran_goes_elsewhere_at_once_under_a_higher_epoch() {
    let mut c = two_regions();
    c.project("p", "s", "d");
    c.settle();
    let (store, sync) = (c.component("p.store"), c.component("p.incr-sync"));
    c.lose(store.node);
    c.lose(sync.node);
    assert_eq!(c.round(), 2, "both in one round");
    let (store2, sync2) = (c.component("p.store"), c.component("p.incr-sync"));
    assert_eq!(
        (store2.node + store.node, sync2.node + sync.node),
        (3, 7),
        "the other one of the region"
    );
    assert_eq!((store2.epoch, store2.failovers), (store.epoch + 1, 1));
    assert_eq!(store2.state(), ComponentState::Assigned);
    assert!(
        store2.placed_because.contains("is down"),
        "{}",
        store2.placed_because
    );
    assert!(
        store2.avoid.is_empty(),
        "it could run there once the node is back"
    );
    c.settle();
    // The whole region is lost: any other, and it says so; back when it is there again, but not at once.
    c.lose(store2.node);
    c.settle();
    let far = c.component("p.store");
    assert!(
        far.node > 2 && far.placed_because.contains("no node of region a"),
        "{}",
        far.placed_because
    );
    c.alive(1);
    c.alive(2);
    c.settle();
    assert_eq!(c.component("p.store").node, far.node);
    c.now += 60_000;
    c.settle();
    let home = c.component("p.store");
    assert!(
        home.node <= 2 && home.placed_because.contains("back to region a"),
        "{}",
        home.placed_because
    );
    assert_eq!((home.failovers, home.moved_at_ms), (2, c.now));
}

#[test]
fn a_leader_that_cannot_tell_neither_takes_nor_gives() {
    let mut c = two_regions();
    c.project("p", "s", "d");
    c.settle();
    let before = c.placed();
    for id in [2, 3, 4] {
        c.see(id, Liveness::Unknown);
    }
    c.settle();
    assert_eq!(c.placed(), before);
    // What starts now waits for a node of its region rather than going to a wrong one.
    c.project("q", "s", "d");
    c.settle();
    assert!(
        c.state
            .project("q")
            .unwrap()
            .components
            .iter()
            .all(|k| k.kind != "incr-sync")
    );
    assert!(c.placed().keys().all(|id| id != "q.incr-sync"));
    for id in [2, 4] {
        c.alive(id);
    }
    c.settle();
    assert_eq!(c.placed()["q.incr-sync"], 4);
}

#[test]
fn drained_nodes_give_everything_away_and_cordoned_ones_keep_it() {
    let mut c = one_region(3);
    for p in ["p", "q", "r"] {
        c.project(p, "s", "d");
    }
    c.settle();
    assert_eq!(c.loads().into_values().collect::<Vec<_>>(), [2, 2, 2]);
    let before = c.placed();
    c.change_node(2, NodeState::Cordoned);
    c.now += 1_000_000;
    c.settle();
    assert_eq!(c.placed(), before);
    c.project("x", "s", "d");
    c.settle();
    assert_eq!(c.loads()[&2], 2, "it takes nothing new");
    c.change_node(2, NodeState::Draining);
    c.settle();
    assert_eq!(c.loads()[&2], 0);
    let moved = before.iter().find(|(_, n)| **n == 2).unwrap().0;
    let moved = c.component(moved);
    assert!(moved.placed_because.contains("node 2 is drained"));
    assert_eq!((moved.failovers, moved.moved_at_ms), (0, c.now));
    // Nowhere to go: it runs on and says why it should not.
    c.change_node(1, NodeState::Cordoned);
    c.change_node(3, NodeState::Draining);
    c.settle();
    let stays = c.component("x.store");
    assert_eq!(stays.state(), ComponentState::Running);
    let stuck: Vec<_> = c.placed().into_iter().filter(|(_, n)| *n == 3).collect();
    assert!(!stuck.is_empty());
    for (id, _) in stuck {
        let waiting = c.component(&id).waiting;
        assert!(
            waiting.starts_with("node 3 is drained; no node can take it: node 1 is cordoned"),
            "{waiting}"
        );
    }
    c.change_node(1, NodeState::Active);
    c.settle();
    assert_eq!(c.loads()[&1], 8);
    assert!(c.placed().keys().all(|id| c.component(id).waiting.is_empty()));
}

#[test]
fn witnesses_take_nothing_and_quotas_hold() {
    let mut c = one_region(1);
    let witness = NodeRecord {
        witness: true,
        ..made::record("w", "a", "z")
    };
    let w = c.join_as(witness).unwrap();
    c.quota(1, 2);
    c.project("p", "s", "d");
    c.settle();
    c.project("q", "s", "d");
    c.settle();
    assert_eq!(c.loads()[&w], 0);
    assert_eq!(c.loads()[&1], 2);
    let waiting = c.component("q.precheck").waiting;
    assert_eq!(
        waiting,
        "no node can take it: node 1 has 2 of 2 components, node 2 is a witness"
    );
    assert_eq!(c.component("q.precheck").epoch, 0, "it never ran");
    let refused = move_by_hand(&mut c, "p.store", w).unwrap_err();
    assert!(refused.starts_with("OMS-CLUSTER-0019"), "{refused}");
    // What never ran does not hold up a release.
    c.change("q", ProjectChange::Pause).unwrap();
    c.change("q", ProjectChange::Release).unwrap();
    c.settle();
    assert_eq!(c.project_state("q"), ProjectState::Released);
    // A lower quota takes nothing away.
    c.quota(1, 1);
    c.settle();
    assert_eq!(c.loads()[&1], 2);
    c.quota(1, 0);
    c.project("x", "s", "d");
    c.settle();
    assert_eq!(c.loads()[&1], 4);
}

/// Applying changes goes before comparing rows: where quotas leave no room, a verification stops, and goes on later.
#[test]
fn a_verification_makes_room_for_changes() {
    for lost in ["p.store", "p.incr-sync"] {
        let mut c = one_region(3);
        for node in 1..=3 {
            c.quota(node, 1);
        }
        c.verified_project("p", "s", "d");
        let verifies = |c: &Cluster| c.placed().contains_key("p.full-verification");
        c.settle_until(verifies);
        assert_eq!(c.loads().into_values().collect::<Vec<_>>(), [1, 1, 1]);
        let (before, verification) = (c.component(lost), c.component("p.full-verification"));
        c.lose(before.node);
        assert_eq!(c.round(), 2, "{lost}: one stops, the other starts");
        let now = c.component(lost);
        assert_eq!((now.node, now.epoch), (verification.node, before.epoch + 1));
        let words = format!("node {} is down; p.full-verification makes room", before.node);
        assert_eq!(now.placed_because, words);
        let stopping = c.component("p.full-verification");
        assert_eq!(
            (stopping.desired(), stopping.epoch),
            (Desired::Stop, verification.epoch)
        );
        c.settle();
        let waiting = c.component("p.full-verification");
        assert_eq!(waiting.state(), ComponentState::Stopped);
        assert!(
            waiting.waiting.contains("no node can take it"),
            "{}",
            waiting.waiting
        );
        // Nothing is asked of it twice, and it has its turn when there is room.
        assert_eq!(c.round(), 0);
        c.alive(before.node);
        c.settle_until(verifies);
        let back = c.component("p.full-verification");
        assert_eq!((back.node, back.epoch), (before.node, verification.epoch + 1));
        c.settle();
        assert_eq!(
            c.component("p.full-verification").state(),
            ComponentState::Completed
        );
    }
}

/// Where a quota was lowered below what runs on a node, as many verifications stop as it takes.
#[test]
fn several_verifications_make_room_together() {
    let mut c = one_region(2);
    c.change_node(2, NodeState::Cordoned);
    for p in ["p", "q"] {
        c.verified_project(p, "s", "d");
    }
    c.settle_until(|c| {
        let placed = c.placed();
        ["p", "q"]
            .iter()
            .all(|p| placed.contains_key(&format!("{p}.full-verification")))
    });
    let store = c.component("p.store");
    c.change_node(2, NodeState::Active);
    let moved = c.propose(Body::AssignComponent(AssignComponent {
        project: "p".into(),
        kind: "store".into(),
        node: 2,
        expected_epoch: store.epoch,
        raise_epoch: true,
        desired: Desired::Run as i32,
        step: store.step,
        by_user: true,
        ..Default::default()
    }));
    moved.unwrap();
    assert_eq!(c.loads()[&1], 5);
    c.quota(1, 4);
    c.lose(2);
    assert_eq!(c.round(), 3, "two stop, the third starts");
    let now = c.component("p.store");
    assert_eq!(now.node, 1);
    let words = "node 2 is down; p.full-verification, q.full-verification make room";
    assert_eq!(now.placed_because, words);
    for p in ["p", "q"] {
        let stopping = c.component(&format!("{p}.full-verification"));
        assert_eq!(stopping.desired(), Desired::Stop);
    }
    c.settle();
    assert_eq!(c.loads()[&1], 4);
}

#[test]
fn a_frozen_verification_keeps_its_place() {
    let mut c = one_region(3);
    for node in 1..=3 {
        c.quota(node, 1);
    }
    c.verified_project("p", "s", "d");
    c.settle_until(|c| c.placed().contains_key("p.full-verification"));
    freeze(&mut c, "full-verification", "it is watched");
    c.lose(c.component("p.incr-sync").node);
    c.round();
    assert_eq!(c.component("p.full-verification").desired(), Desired::Run);
    assert!(c.component("p.incr-sync").waiting.contains("1 of 1"));
}

/// Nodes that are all overloaded are as good as each other: the spread gets better all the same.
#[test]
fn where_all_are_overloaded_components_are_spread_too() {
    let mut c = one_region(1);
    for p in ["p", "q"] {
        c.project(p, "s", "d");
    }
    c.settle();
    let two = c.join("a", "z2");
    let busy = |c: &mut Cluster, node, cpu_percent| {
        let view = c.view.nodes.get_mut(&node).unwrap();
        view.load = Some(NodeLoad {
            cpu_percent,
            ..Default::default()
        });
    };
    busy(&mut c, two, 100);
    c.now += 60_000;
    c.settle();
    assert_eq!(c.loads()[&two], 0, "only the other one is overloaded");
    busy(&mut c, 1, 100);
    for _ in 0..10 {
        c.now += 10_000;
        c.settle();
    }
    assert_eq!(c.loads().into_values().collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn a_node_short_of_resources_is_taken_last() {
    let mut c = one_region(2);
    let load = |cpu_percent| {
        Some(NodeLoad {
            cpu_percent,
            disk_total_bytes: 100,
            disk_free_bytes: 50,
            ..Default::default()
        })
    };
    c.view.nodes.insert(
        1,
        NodeView {
            load: load(85),
            ..made::well()
        },
    );
    c.view.nodes.insert(
        2,
        NodeView {
            load: load(84),
            ..made::well()
        },
    );
    for p in ["p", "q"] {
        c.project(p, "s", "d");
    }
    c.settle();
    assert_eq!(c.loads()[&2], 4);
    c.lose(2);
    c.settle();
    assert_eq!(c.loads()[&1], 4, "better than nothing");
}

#[test]
fn a_frozen_component_stays_also_on_a_dead_node() {
    let mut c = one_region(3);
    c.project("p", "s", "d");
    c.settle();
    freeze(&mut c, "incr-sync", "measuring");
    let before = c.component("p.incr-sync");
    c.lose(before.node);
    c.settle();
    let after = c.component("p.incr-sync");
    assert_eq!((after.node, after.epoch), (before.node, before.epoch));
    assert_eq!(
        after.waiting,
        format!("node {n} is down; frozen to node {n}: measuring", n = before.node)
    );
    let other = if before.node == 1 { 2 } else { 1 };
    let refused = move_by_hand(&mut c, "p.incr-sync", other).unwrap_err();
    assert!(
        refused.starts_with("OMS-CLUSTER-0018") && refused.contains("measuring"),
        "{refused}"
    );
    // Back: nothing to wait for. Paused and resumed: on its node.
    c.alive(before.node);
    c.settle();
    assert_eq!(c.component("p.incr-sync").waiting, "");
    c.change("p", ProjectChange::Pause).unwrap();
    c.settle();
    c.change_node(before.node, NodeState::Draining);
    c.change("p", ProjectChange::Resume).unwrap();
    c.settle();
    let resumed = c.component("p.incr-sync");
    assert_eq!((resumed.node, resumed.epoch), (before.node, before.epoch + 1));
    assert_eq!(c.component("p.incr-sync").state(), ComponentState::Running);
    freeze(&mut c, "incr-sync", "");
    c.settle();
    assert_ne!(c.component("p.incr-sync").node, before.node, "now it is drained");
}

#[test]
fn trouble_with_a_database_moves_a_component_only_where_it_may_help() {
    let mut c = one_region(3);
    c.project("p", "s", "d");
    c.settle();
    let first = c.component("p.incr-sync");
    c.trouble("p.incr-sync", 4_999);
    c.settle();
    assert_eq!(c.component("p.incr-sync").epoch, first.epoch);
    c.trouble("p.incr-sync", 5_000);
    assert_eq!(c.round(), 1);
    let second = c.component("p.incr-sync");
    assert_ne!(second.node, first.node);
    assert_eq!(
        (second.avoid.as_slice(), second.failovers),
        ([first.node].as_slice(), 1)
    );
    assert!(
        second
            .placed_because
            .contains("cannot reach a database (OMS-DST-0001)"),
        "{}",
        second.placed_because
    );
    // A report about the former epoch moves nothing.
    c.settle();
    assert_eq!(c.component("p.incr-sync").epoch, second.epoch);
    // It is the database: every node has been tried, the last one keeps it.
    c.trouble("p.incr-sync", 5_000);
    c.settle();
    let third = c.component("p.incr-sync");
    c.trouble("p.incr-sync", 500_000);
    c.settle();
    assert_eq!(c.component("p.incr-sync").epoch, third.epoch);
    assert_eq!(third.avoid.len(), 2);
    assert_eq!(c.project_state("p"), ProjectState::Running);
    // Another project's component with the same destination sees the same trouble where it is: no use in going there.
    let mut c = one_region(2);
    c.project("p", "s", "d");
    c.project("q", "s", "d");
    c.settle();
    let (p, q) = (c.component("p.incr-sync"), c.component("q.incr-sync"));
    assert_ne!(p.node, q.node);
    c.trouble("p.incr-sync", 9_000);
    c.trouble("q.incr-sync", 9_000);
    assert_eq!(c.round(), 0);
}

#[test]
fn a_crash_moves_a_component_a_bounded_number_of_times() {
    let mut c = one_region(4);
    c.project("p", "s", "d");
    c.settle();
    let first = c.component("p.incr-sync").node;
    let mut seen = vec![first];
    for moves in 1..=2 {
        c.fail("p.incr-sync", "OMS-API-0008");
        c.settle();
        let now = c.component("p.incr-sync");
        assert!(!seen.contains(&now.node), "{seen:?}");
        assert_eq!(now.avoid, seen);
        assert_eq!(now.failovers, moves);
        assert!(
            now.placed_because.contains("failed on node"),
            "{}",
            now.placed_because
        );
        seen.push(now.node);
    }
    c.fail("p.incr-sync", "OMS-API-0008");
    c.settle();
    assert_eq!(c.project_state("p"), ProjectState::Failed);
    // The user tries again: somewhere else first, then everything is new.
    c.change("p", ProjectChange::Resume).unwrap();
    c.settle();
    let again = c.component("p.incr-sync");
    assert_eq!(c.project_state("p"), ProjectState::Running);
    assert!(again.avoid.is_empty() && !seen[..2].contains(&again.node));
    // An error that needs a decision is no reason to go elsewhere.
    c.fail("p.incr-sync", "OMS-APPLY-0001");
    c.settle();
    assert_eq!(c.project_state("p"), ProjectState::Failed);
    assert_eq!(c.component("p.incr-sync").node, again.node);
    // What ran well for long begins anew with its tries.
    c.change("p", ProjectChange::Resume).unwrap();
    c.settle();
    for _ in 0..3 {
        c.now += 600_000;
        c.fail("p.incr-sync", "OMS-API-0008");
        c.settle();
        assert_eq!(c.component("p.incr-sync").avoid.len(), 1);
    }
    // One node alone: there is nowhere to go.
    let mut c = one_region(1);
    c.project("p", "s", "d");
    c.settle();
    c.fail("p.incr-sync", "OMS-API-0008");
    c.settle();
    assert_eq!(c.project_state("p"), ProjectState::Failed);
}

#[test]
fn after_a_join_components_go_over_one_by_one() {
    let mut c = one_region(1);
    for p in ["p", "q", "r", "s"] {
        c.project(p, "s", "d");
    }
    c.settle();
    assert_eq!(c.loads()[&1], 8);
    c.now += 59_999;
    let two = c.join("a", "z2");
    c.settle();
    assert_eq!(c.loads()[&two], 0, "minimum residence");
    c.now += 1;
    let mut moves = 0;
    for _ in 0..600 {
        let before = c.placed();
        c.settle();
        let after = c.placed();
        let moved: Vec<_> = before.iter().filter(|(id, n)| after[*id] != **n).collect();
        assert!(moved.len() <= 1, "{moved:?}");
        moves += moved.len();
        c.now += 1_000;
    }
    assert_eq!(c.loads().into_values().collect::<Vec<_>>(), [4, 4]);
    assert_eq!(moves, 4, "none goes over twice");
    // A Store goes only when all that has to be copied is copied and its changes are applied.
    assert!(
        c.placed()
            .iter()
            .filter(|(_, n)| **n == two)
            .all(|(id, _)| id.ends_with("incr-sync"))
    );
}

#[test]
fn what_a_user_placed_stays_there() {
    let mut c = two_regions();
    c.project("p", "s", "d");
    c.settle();
    move_by_hand(&mut c, "p.incr-sync", 1).unwrap();
    c.settle();
    c.now += 10_000_000;
    c.settle();
    assert_eq!(c.component("p.incr-sync").node, 1);
    assert!(c.component("p.incr-sync").by_user);
    c.lose(1);
    c.settle();
    assert!(c.component("p.incr-sync").node > 2 && !c.component("p.incr-sync").by_user);
}

#[test]
fn what_waits_to_stop_on_a_lost_node_does_not_hold_up_a_resume_or_a_release() {
    let mut c = one_region(2);
    c.project("p", "s", "d");
    c.settle();
    let sync = c.component("p.incr-sync");
    c.lose(sync.node);
    c.change("p", ProjectChange::Pause).unwrap();
    c.settle();
    assert_eq!(
        c.component("p.incr-sync").state(),
        ComponentState::Running,
        "nobody confirms"
    );
    assert!(c.placed().contains_key("p.store"), "the Store goes on elsewhere");
    c.change("p", ProjectChange::Resume).unwrap();
    c.settle();
    assert_eq!(c.component("p.incr-sync").epoch, sync.epoch + 1);
    assert_ne!(c.component("p.incr-sync").node, sync.node);
    // The other way round: everything is on the node that is lost now.
    c.alive(sync.node);
    let last = c.component("p.incr-sync").node;
    c.lose(last);
    c.change("p", ProjectChange::Pause).unwrap();
    c.change("p", ProjectChange::Release).unwrap();
    c.settle();
    assert_eq!(c.project_state("p"), ProjectState::Released);
    let removed = c.component("p.incr-sync");
    assert_eq!((removed.node, removed.desired()), (sync.node, Desired::Remove));
    assert!(removed.epoch > sync.epoch + 1, "the lost owner is fenced");
}

#[test]
fn a_removed_node_is_left() {
    let mut c = one_region(2);
    c.project("p", "s", "d");
    c.settle();
    c.remove_node(2);
    c.settle();
    assert_eq!(c.loads()[&1], 2);
    c.view.me = 1;
    let refused = move_by_hand(&mut c, "p.store", 2).unwrap_err();
    assert!(refused.starts_with("OMS-CLUSTER-0017"), "{refused}");
}

#[test]
fn an_assignment_that_a_user_overtook_is_refused() {
    let mut c = one_region(2);
    c.project("p", "s", "d");
    c.settle();
    c.lose(c.component("p.incr-sync").node);
    let stale = c.plan();
    assert_eq!(stale.len(), 1);
    c.change("p", ProjectChange::Pause).unwrap();
    let refused = c.propose(stale[0].clone()).unwrap_err();
    assert!(refused.starts_with("OMS-API-0010"), "{refused}");
    c.change("p", ProjectChange::Release).unwrap();
    let refused = c.propose(stale[0].clone()).unwrap_err();
    assert!(refused.starts_with("OMS-API-0010"), "{refused}");
}

#[test]
fn copies_of_a_large_state_are_cheap() {
    let mut c = one_region(1);
    for i in 0..100 {
        let mut record = made::project(&format!("p{i}"), "s", "d");
        record.objects = (0..2_000)
            .map(|n| oms_proto::v1::SchemaObject {
                table: format!("table number {n}"),
                statements: vec!["create table ...".into()],
                ..Default::default()
            })
            .collect();
        c.propose(Body::CreateProject(oms_proto::meta::CreateProject {
            record: Some(record),
        }))
        .unwrap();
    }
    let before = c.state.clone();
    c.change("p7", ProjectChange::Start).unwrap();
    // What was not changed is the same record, not an equal one.
    let shared = before
        .projects()
        .zip(c.state.projects())
        .filter(|(a, b)| std::ptr::eq(*a, *b))
        .count();
    assert_eq!(shared, 99);
    assert_eq!(
        before.project("p7").unwrap().public.as_ref().unwrap().state(),
        ProjectState::Init
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the cluster looks like: nothing is given to a node that must not have it, what can run runs, everything
    /// settles, and then nothing flaps, however much time passes and whoever leads.
    #[test]
    fn it_settles_and_stays(
        nodes in prop::collection::vec((0usize..3, 0usize..2, 0u8..10, 0u8..10, 0u32..5), 1..7),
        projects in prop::collection::vec((0usize..4, 0usize..4), 1..6),
        faults in prop::collection::vec((0u8..7, 0usize..7), 0..12),
    ) {
        let regions = ["a", "b", "c", ""];
        let mut c = Cluster::of(regions[nodes[0].0], "z");
        for (region, zone, ..) in &nodes[1..] {
            c.join(regions[*region], ["y", "z"][*zone]);
        }
        for (i, r) in regions.iter().enumerate() {
            c.data_source(&format!("d{i}"), r);
        }
        for (i, (source, destination)) in projects.iter().enumerate() {
            c.project(&format!("p{i}"), &format!("d{source}"), &format!("d{destination}"));
        }
        c.settle();
        for (i, (_, _, liveness, state, quota)) in nodes.iter().enumerate().skip(1) {
            let id = i as u64 + 1;
            if *quota > 1 {
                c.quota(id, *quota);
            }
            if *liveness < 2 { c.lose(id) }
            match state {
                0 => c.change_node(id, NodeState::Cordoned),
                1 => c.change_node(id, NodeState::Draining),
                2 => c.remove_node(id),
                _ => {}
            }
        }
        for (fault, at) in faults {
            let ids: Vec<String> = c.placed().into_keys().collect();
            let Some(id) = ids.get(at % ids.len().max(1)).cloned() else { break };
            let project = id.split('.').next().unwrap().to_owned();
            match fault {
                0 => c.trouble(&id, 9_000),
                1 => c.fail(&id, "OMS-API-0008"),
                2 => drop(c.change(&project, ProjectChange::Pause)),
                3 => drop(c.change(&project, ProjectChange::Resume)),
                4 => c.now += 30_000,
                5 => { c.round(); }
                _ => c.settle(),
            }
            c.view.me = 1;
        }
        for command in c.plan() {
            let Body::AssignComponent(a) = command else { continue };
            if a.raise_epoch {
                let node = c.state.node(a.node).unwrap();
                prop_assert!(c.view.is_alive(a.node) && node.state() == NodeState::Active);
            }
        }
        // What failed and was not seen yet fails its project once.
        c.settle();
        for p in 0..projects.len() {
            let _ = c.change(&format!("p{p}"), ProjectChange::Resume);
        }
        for view in c.view.nodes.values_mut() {
            view.troubles.clear();
        }
        c.settle();
        // Nothing runs on nodes that are gone; everything runs, because node 1 takes it.
        let placed = c.placed();
        for (id, node) in &placed {
            prop_assert!(c.view.is_alive(*node), "{id} on {node}");
            prop_assert!(!matches!(c.state.node(*node).unwrap().state(), NodeState::Removed | NodeState::Draining));
            prop_assert!(c.component(id).waiting.is_empty());
        }
        prop_assert_eq!(placed.len(), 2 * projects.len());
        // However long: at most as many moves as there are components, and then none.
        let epochs = |c: &Cluster| -> u64 {
            c.state.projects().flat_map(|p| p.components.iter().map(|k| k.epoch)).sum()
        };
        let before = epochs(&c);
        for _ in 0..60 {
            c.now += 61_000;
            c.settle();
        }
        let moved = epochs(&c) - before;
        prop_assert!(moved <= 2 * placed.len() as u64, "{moved} moves of {}", placed.len());
        let settled = epochs(&c);
        let leaders: Vec<u64> = c.view.nodes.keys().copied().filter(|n| c.view.is_alive(*n)).collect();
        for leader in leaders {
            c.view.me = leader;
            c.now += 700_000;
            c.settle();
        }
        prop_assert_eq!(epochs(&c), settled);
    }

    /// Whatever the quotas are and whichever nodes are lost: nothing that captures or applies changes waits while a
    /// verification runs that could make room, and no quota is passed.
    #[test]
    fn changes_never_wait_for_a_verification(
        quotas in prop::collection::vec(1u32..4, 2..6),
        projects in 1usize..4,
        lost in prop::collection::vec(0usize..6, 1..4),
    ) {
        let mut c = one_region(quotas.len() as u64);
        for p in 0..projects {
            c.verified_project(&format!("p{p}"), "s", "d");
        }
        // Verifications run until the end.
        let work = |c: &mut Cluster| {
            let components: Vec<_> = c.state.projects().flat_map(|p| {
                let id = p.public.as_ref().unwrap().id.clone();
                p.components.iter().map(move |k| (id.clone(), k.clone())).collect::<Vec<_>>()
            }).collect();
            let mut did = false;
            for (project, k) in components {
                if !c.view.is_alive(k.node) {
                    continue;
                }
                let compares = k.kind == "full-verification" && k.state() == ComponentState::Running;
                if compares && k.desired() == Desired::Run {
                    continue;
                }
                if let Some(report) = made::answer(&project, &k) {
                    let _ = c.propose(Body::ReportComponent(report));
                    did = true;
                }
            }
            did
        };
        let settle = |c: &mut Cluster| -> Result<(), TestCaseError> {
            for _ in 0..400 {
                let commands = c.round();
                let did = work(c);
                if commands == 0 && !did {
                    return Ok(());
                }
            }
            Err(TestCaseError::fail("it does not settle"))
        };
        settle(&mut c)?;
        let verify = c.placed().into_keys().filter(|id| id.ends_with("full-verification")).count();
        prop_assert_eq!(verify, projects);
        for (i, quota) in quotas.iter().enumerate() {
            c.quota(i as u64 + 1, *quota);
        }
        for at in lost {
            c.lose(at as u64 % quotas.len() as u64 + 1);
            let before = c.loads();
            settle(&mut c)?;
            let mut compared: BTreeMap<u64, usize> = BTreeMap::new();
            for (_, node) in c.placed().iter().filter(|(id, _)| id.ends_with("full-verification")) {
                *compared.entry(*node).or_default() += 1;
            }
            let verifies = compared.iter().any(|(node, stopping)| {
                let quota = c.state.node(*node).unwrap().quota as usize;
                c.view.is_alive(*node) && c.loads()[node] - stopping < quota
            });
            let waits: Vec<String> = c.state.projects().flat_map(|p| &p.components)
                .filter(|k| ["store", "incr-sync"].contains(&k.kind.as_str()) && !c.view.is_alive(k.node))
                .map(|k| k.waiting.clone())
                .collect();
            prop_assert!(waits.is_empty() || !verifies, "{waits:?} although something could make room");
            for (node, load) in c.loads() {
                let quota = c.state.node(node).unwrap().quota as usize;
                if c.view.is_alive(node) {
                    prop_assert!(load <= quota.max(before[&node]), "node {node} has {load} of {quota}");
                }
            }
        }
    }
}
