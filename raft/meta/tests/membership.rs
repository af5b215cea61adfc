//! Nodes and the tokens that let them in.
#![allow(clippy::unwrap_used)]

mod made;

use made::{Cluster, admit, record, token};
use oms_meta::{FEATURE_LEVEL, MetaState};
use oms_proto::{
    meta::{
        ChangeNode, Command, NodeRecord, RaiseEpochs, RegisterNode, RemoveNode, RevokeToken, State,
        command::Body,
    },
    v1::{ComponentState, NodeState},
};
use prost::Message as _;

fn refusal(outcome: Result<u64, String>) -> String {
    outcome.unwrap_err().split(':').next().unwrap().to_owned()
}

#[test]
fn a_token_lets_in_as_many_as_it_says_and_not_after_it_expired() {
    let mut c = Cluster::of("r", "z");
    c.propose(token("two", c.now + 100, 2)).unwrap();
    assert_eq!(
        refusal(c.propose(admit("none", record("a", "r", "z")))),
        "OMS-CLUSTER-0013"
    );
    assert_eq!(c.propose(admit("two", record("a", "r", "z"))), Ok(2));
    assert_eq!(c.propose(admit("two", record("b", "r", "z"))), Ok(3));
    // An answer that was lost: the same folder gets the same id, and takes no use.
    assert_eq!(c.propose(admit("two", record("b", "r", "y"))), Ok(3));
    assert_eq!(c.state.node(3).unwrap().zone, "y");
    assert_eq!(
        refusal(c.propose(admit("two", record("c", "r", "z")))),
        "OMS-CLUSTER-0015"
    );
    c.now += 100;
    assert_eq!(
        refusal(c.propose(admit("two", record("b", "r", "z")))),
        "OMS-CLUSTER-0014"
    );
    // A day later it is forgotten, when another token is touched.
    c.now += 86_400_000;
    c.propose(token("new", c.now + 100, 1)).unwrap();
    assert_eq!(
        refusal(c.propose(admit("two", record("d", "r", "z")))),
        "OMS-CLUSTER-0013"
    );
    assert_eq!(c.state.tokens().count(), 1);
    c.propose(Body::RevokeToken(RevokeToken { id: "new".into() }))
        .unwrap();
    assert_eq!(
        refusal(c.propose(Body::RevokeToken(RevokeToken { id: "new".into() }))),
        "OMS-CLUSTER-0013"
    );
    assert_eq!(c.state.last_node_id(), 3);
}

#[test]
fn tokens_are_bounded_and_spent_ones_make_room() {
    let mut c = Cluster::of("r", "z");
    for i in 0..100 {
        c.propose(token(&format!("t{i}"), c.now + 100, 1)).unwrap();
    }
    let before = c.state.clone();
    assert_eq!(
        refusal(c.propose(token("more", c.now + 100, 1))),
        "OMS-CLUSTER-0021"
    );
    assert_eq!(c.state, before, "a refusal changes nothing");
    c.propose(admit("t7", record("a", "r", "z"))).unwrap();
    c.propose(token("more", c.now + 100, 1)).unwrap();
    assert_eq!(c.state.tokens().count(), 100);
    assert!(c.state.token("t7").is_none());
    for bad in [
        token("x", c.now, 1),
        token("x", c.now + 1, 0),
        token("", c.now + 1, 1),
        token("more", c.now + 1, 1),
    ] {
        let before = c.state.clone();
        assert!(c.propose(bad).is_err());
        assert_eq!(c.state, before);
    }
}

#[test]
fn addresses_are_unique_among_nodes_that_are_not_removed() {
    let mut c = Cluster::of("r", "z");
    let two = c.join("r", "z");
    let same = NodeRecord {
        address: "F2:7070".into(),
        ..record("other", "r", "z")
    };
    assert_eq!(refusal(c.propose(admit("t", same.clone()))), "OMS-CLUSTER-0016");
    let uses = |c: &Cluster| c.state.token("t").unwrap().public.as_ref().unwrap().uses_left;
    assert_eq!(uses(&c), 999, "a refusal uses nothing up");
    let moved = NodeRecord {
        id: 1,
        address: "f2:7070".into(),
        ..record("f1", "r", "z")
    };
    let moved = Body::RegisterNode(RegisterNode { node: Some(moved) });
    assert_eq!(refusal(c.propose(moved.clone())), "OMS-CLUSTER-0016");
    c.remove_node(two);
    c.propose(moved).unwrap();
    assert_eq!(refusal(c.propose(admit("t", same))), "OMS-CLUSTER-0016");
}

#[test]
fn registering_keeps_what_others_decided() {
    let mut c = Cluster::of("r", "z");
    c.join("r", "z");
    c.propose(Body::ChangeNode(ChangeNode {
        id: 2,
        state: NodeState::Cordoned as i32,
        reason: " disk is replaced ".into(),
        quota: Some(3),
    }))
    .unwrap();
    let before = c.state.node(2).unwrap().clone();
    let again = NodeRecord {
        id: 2,
        address: "elsewhere:1".into(),
        version: "2".into(),
        state: NodeState::Active as i32,
        quota: 9,
        joined_at_ms: 1,
        generation: 77,
        reason: "none".into(),
        ..record("f2", "r2", "z2")
    };
    for generation in [1, 2] {
        let register = Body::RegisterNode(RegisterNode {
            node: Some(again.clone()),
        });
        assert_eq!(c.propose(register), Ok(generation));
    }
    let expected = NodeRecord {
        generation: 2,
        address: "elsewhere:1".into(),
        version: "2".into(),
        region: "r2".into(),
        zone: "z2".into(),
        ..before
    };
    assert_eq!(*c.state.node(2).unwrap(), expected);
    assert_eq!(expected.reason, "disk is replaced");
}

#[test]
fn a_removed_node_never_comes_back_and_its_id_is_never_used_again() {
    let mut c = Cluster::of("r", "z");
    let two = c.join("r", "z");
    c.remove_node(two);
    c.remove_node(two);
    let register = Body::RegisterNode(RegisterNode {
        node: Some(NodeRecord {
            id: two,
            ..record("f2", "r", "z")
        }),
    });
    assert_eq!(refusal(c.propose(register)), "OMS-CLUSTER-0017");
    assert_eq!(
        refusal(c.propose(admit("t", record("f2", "r", "z")))),
        "OMS-CLUSTER-0017"
    );
    let change = Body::ChangeNode(ChangeNode {
        id: two,
        state: NodeState::Active as i32,
        ..Default::default()
    });
    assert_eq!(refusal(c.propose(change)), "OMS-CLUSTER-0017");
    assert_eq!(
        refusal(c.propose(Body::RemoveNode(RemoveNode { id: 1 }))),
        "OMS-CLUSTER-0011"
    );
    assert_eq!(c.join("r", "z"), 3);
    let unknown = Body::RegisterNode(RegisterNode {
        node: Some(NodeRecord {
            id: 9,
            ..record("f9", "r", "z")
        }),
    });
    assert_eq!(refusal(c.propose(unknown)), "OMS-API-0002");
    // Tombstones are bounded, ids are not forgotten.
    for _ in 0..300 {
        let id = c.join("r", "z");
        c.remove_node(id);
    }
    assert_eq!(c.state.last_node_id(), 303);
    assert_eq!(c.state.nodes().count(), 2 + 256);
    let forgotten = Body::RegisterNode(RegisterNode {
        node: Some(NodeRecord {
            id: 2,
            ..record("f2", "r", "z")
        }),
    });
    assert_eq!(refusal(c.propose(forgotten)), "OMS-CLUSTER-0017");
}

#[test]
fn a_state_from_before_membership_works() {
    // What the first release wrote: one node, without state, level or folder.
    let old = State {
        version: 1,
        nodes: vec![NodeRecord {
            id: 1,
            address: "127.0.0.1:7070".into(),
            generation: 4,
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut c = Cluster::of("r", "z");
    c.state = MetaState::restore(&old.encode_to_vec()).unwrap();
    assert_eq!((c.state.feature_level(), c.state.last_node_id()), (1, 1));
    // Nothing that an old binary would not understand.
    assert_eq!(refusal(c.propose(token("t", c.now + 10, 1))), "OMS-CLUSTER-0020");
    c.data_source("s", "");
    c.data_source("d", "");
    c.project("p", "s", "d");
    c.settle();
    assert_eq!(
        c.placed().into_values().collect::<Vec<_>>(),
        [1, 1],
        "it counts as active"
    );
    // The same node with a newer binary.
    c.propose(Body::RegisterNode(RegisterNode {
        node: Some(NodeRecord {
            id: 1,
            ..record("f1", "r", "z")
        }),
    }))
    .unwrap();
    let node = c.state.node(1).unwrap();
    assert_eq!(
        (node.state(), node.generation, node.folder_id.as_str()),
        (NodeState::Active, 5, "f1")
    );
    assert_eq!(c.state.feature_level(), FEATURE_LEVEL);
    assert_eq!(c.join("r", "z"), 2);
    let older = NodeRecord {
        feature_level: 1,
        ..record("old", "r", "z")
    };
    assert_eq!(refusal(c.propose(admit("t", older))), "OMS-CLUSTER-0020");
}

#[test]
fn raised_epochs_start_everything_again() {
    let mut c = Cluster::of("r", "z");
    c.data_source("s", "");
    c.data_source("d", "");
    c.project("p", "s", "d");
    c.settle();
    let before = c.component("p.store");
    c.now += 5;
    c.propose(Body::RaiseEpochs(RaiseEpochs { by: 1000 })).unwrap();
    let after = c.component("p.store");
    assert_eq!(
        (after.epoch, after.state()),
        (before.epoch + 1000, ComponentState::Assigned)
    );
    assert_eq!(after.assigned_at_ms, c.now);
    assert_eq!(c.component("p.full-import").state(), ComponentState::Completed);
    c.settle();
    assert_eq!(c.placed().len(), 2);
    assert!(c.propose(Body::RaiseEpochs(RaiseEpochs { by: 0 })).is_err());
}

#[test]
fn commands_of_the_future_are_refused_by_everybody() {
    let mut c = Cluster::of("r", "z");
    let before = c.state.clone();
    let reply = c.state.apply(&Command {
        version: 1,
        now_ms: 1,
        body: None,
    });
    assert!(reply.refusal.is_some());
    assert_eq!(c.state, before);
}
