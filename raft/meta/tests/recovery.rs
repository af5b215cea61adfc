//! A state becomes that of a new cluster.
#![allow(clippy::unwrap_used)]

use oms_meta::MetaState;
use oms_proto::{
    meta::{ComponentRecord, Desired, NodeRecord, ProjectRecord, State, TokenRecord},
    v1::{ComponentState, NodeState, Project, Token},
};
use prost::Message as _;

fn node(id: u64) -> NodeRecord {
    NodeRecord {
        id,
        address: format!("10.0.0.{id}:7070"),
        region: "r1".to_owned(),
        zone: "z1".to_owned(),
        state: NodeState::Active as i32,
        joined_at_ms: 5,
        ..NodeRecord::default()
    }
}

fn component(kind: &str, node: u64, epoch: u64, state: ComponentState) -> ComponentRecord {
    ComponentRecord {
        kind: kind.to_owned(),
        node,
        epoch,
        desired: Desired::Run as i32,
        state: state as i32,
        frozen_reason: "maintenance".to_owned(),
        ..ComponentRecord::default()
    }
}

fn before() -> MetaState {
    let state = State {
        version: oms_meta::VERSION,
        nodes: vec![node(1), node(2), node(3)],
        last_node_id: 4,
        tokens: vec![TokenRecord {
            public: Some(Token {
                id: "t".to_owned(),
                ..Token::default()
            }),
            sealed_secret: Vec::new(),
        }],
        projects: vec![ProjectRecord {
            public: Some(Project {
                id: "p".to_owned(),
                ..Project::default()
            }),
            components: vec![
                component("store", 1, 3, ComponentState::Running),
                component("full-import", 2, 9, ComponentState::Completed),
            ],
            ..ProjectRecord::default()
        }],
        ..State::default()
    };
    MetaState::restore(&state.encode_to_vec()).unwrap()
}

#[test]
fn the_survivor_is_the_only_node_and_every_epoch_is_out_of_reach() {
    let mut state = before();
    assert_eq!(state.recover(100, node(2)), 2);
    let live: Vec<_> = state
        .nodes()
        .filter(|n| n.state() != NodeState::Removed)
        .map(|n| n.id)
        .collect();
    assert_eq!(live, [2]);
    assert_eq!(state.tokens().count(), 0);
    let project = state.project("p").unwrap();
    for (component, (epoch, then)) in project
        .components
        .iter()
        .zip([(3, ComponentState::Assigned), (9, ComponentState::Completed)])
    {
        assert!(component.epoch >= epoch + (1 << 20), "{component:?}");
        assert_eq!(component.state(), then);
        assert!(component.frozen_reason.is_empty());
    }
    // What it was survives a snapshot.
    assert_eq!(MetaState::restore(&state.snapshot()).unwrap(), state);
}

#[test]
fn a_new_folder_gets_an_id_that_nobody_had() {
    let mut state = before();
    let id = state.recover(100, NodeRecord { id: 0, ..node(1) });
    assert_eq!(id, 5);
    assert_eq!(state.last_node_id(), 5);
    assert_eq!(state.node(5).unwrap().joined_at_ms, 100);
    assert_eq!(state.node(1).unwrap().state(), NodeState::Removed);
}
