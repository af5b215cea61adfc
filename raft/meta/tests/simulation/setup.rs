//! The cluster that a seed describes.

use oms_meta::{FEATURE_LEVEL, MetaState};
use oms_proto::{
    meta::{
        AdmitNode, ChangeNode, ChangeProject, Command, CreateDataSource, CreateProject, CreateToken,
        DataSourceRecord, NodeRecord, ProjectChange, ProjectRecord, QualifiedName, RegisterNode,
        SelectedObject, TokenRecord, command::Body,
    },
    v1::{DataSource, Project, ProjectSpec, Steps, Token},
};

use crate::{breach::Breach, node::Node, random::Random, world::World};

fn apply(state: &mut MetaState, body: Body) {
    let reply = state.apply(&Command {
        version: oms_meta::VERSION,
        now_ms: 1_000,
        body: Some(body),
    });
    assert_eq!(reply.refusal, None);
}

fn project(id: &str, verification: bool) -> ProjectRecord {
    ProjectRecord {
        public: Some(Project {
            id: id.into(),
            spec: Some(ProjectSpec {
                name: id.into(),
                steps: Some(Steps {
                    full: true,
                    incremental: true,
                    verification,
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        source_id: format!("{id}s"),
        destination_id: format!("{id}d"),
        selection: vec![SelectedObject {
            destination: Some(QualifiedName {
                database: id.into(),
                table: "t".into(),
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// The cluster that a seed describes.
pub(crate) fn world(seed: u64, breach: Option<Breach>) -> World {
    let mut random = Random::new(seed);
    let nodes = random.within(3, 5);
    let regions = random.within(1, 3);
    let projects = random.within(1, 3);
    let mut state = MetaState::default();
    let record = |id: u64, witness| NodeRecord {
        address: format!("n{id}:1"),
        folder_id: format!("f{id}"),
        region: format!("r{}", id % regions),
        zone: format!("z{id}"),
        feature_level: FEATURE_LEVEL,
        witness,
        ..Default::default()
    };
    let first = NodeRecord {
        id: 1,
        ..record(1, false)
    };
    apply(&mut state, Body::RegisterNode(RegisterNode { node: Some(first) }));
    let token = TokenRecord {
        public: Some(Token {
            id: "t".into(),
            expires_at_ms: i64::MAX,
            uses_left: 100,
            ..Default::default()
        }),
        sealed_secret: vec![1],
    };
    apply(&mut state, Body::CreateToken(CreateToken { token: Some(token) }));
    for id in 2..=nodes {
        let witness = id == nodes && random.percent(25);
        let node = Some(record(id, witness));
        apply(
            &mut state,
            Body::AdmitNode(AdmitNode {
                token_id: "t".into(),
                node,
            }),
        );
    }
    for p in 0..projects {
        let id = format!("p{p}");
        for side in ["s", "d"] {
            let region = match random.below(4) {
                0 => String::new(),
                r => format!("r{}", r - 1),
            };
            let public = DataSource {
                id: format!("{id}{side}"),
                name: format!("{id}{side}"),
                region,
                ..Default::default()
            };
            let record = Some(DataSourceRecord {
                public: Some(public),
                sealed_password: vec![1],
            });
            apply(&mut state, Body::CreateDataSource(CreateDataSource { record }));
        }
        let record = Some(project(&id, random.percent(70)));
        apply(&mut state, Body::CreateProject(CreateProject { record }));
        let start = ChangeProject {
            id,
            change: ProjectChange::Start as i32,
            ..Default::default()
        };
        apply(&mut state, Body::ChangeProject(start));
    }
    // Whether there are quotas is drawn apart, so that a seed without them is the same run as ever.
    let mut apart = Random::new(seed ^ 0x7175_6f74_6173);
    // Other rules that are left out are found by the runs that they were found by.
    let tight = apart.percent(50) && matches!(breach, None | Some(Breach::NoRoom));
    if tight {
        for id in 1..=nodes {
            let quota = u32::try_from(apart.within(1, 3)).unwrap();
            apply(&mut state, quota_of(id, quota));
        }
    }
    let processes: Vec<Node> = (1..=nodes)
        .map(|id| {
            let rate = i64::try_from(random.within(950, 1050)).unwrap();
            let skew = match random.below(4) {
                0 => i64::try_from(random.below(1_200_000)).unwrap() - 600_000,
                _ => 0,
            };
            Node::new(id, rate, skew)
        })
        .collect();
    World::new(
        random,
        breach,
        state,
        processes,
        usize::try_from(projects).unwrap(),
        tight.then_some(apart),
    )
}

/// The command that sets a node's quota.
pub(crate) fn quota_of(id: u64, quota: u32) -> Body {
    Body::ChangeNode(ChangeNode {
        id,
        quota: Some(quota),
        ..Default::default()
    })
}
