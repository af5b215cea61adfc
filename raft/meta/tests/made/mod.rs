//! A cluster made by hand: a state, what its leader sees, and owners that do what they are told.
#![allow(clippy::unwrap_used, dead_code)]

use std::collections::{BTreeMap, BTreeSet};

use oms_meta::{
    ClusterView, FEATURE_LEVEL, Liveness, MetaCommand, MetaState, NodeView, SchedulePolicy, command,
};
use oms_proto::{
    meta::{
        ChangeNode, ChangeProject, ComponentFacts, ComponentRecord, CreateDataSource, CreateProject,
        CreateToken, DataSourceRecord, Desired, NodeRecord, ProjectChange, ProjectRecord, QualifiedName,
        RegisterNode, RemoveNode, Reply, ReportComponent, SelectedObject, TokenRecord, command::Body,
    },
    peer::Trouble,
    v1::{
        ComponentState, DataSource, ErrorInfo, NodeState, Project, ProjectSpec, ProjectState, Steps, Token,
    },
};
use oms_types::ComponentKind;
use prost::Message as _;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) state: MetaState,
    pub(crate) view: ClusterView,
    pub(crate) now: i64,
    pub(crate) policy: SchedulePolicy,
}

impl Cluster {
    /// A cluster of node 1 in this region and zone.
    pub(crate) fn of(region: &str, zone: &str) -> Self {
        let mut cluster = Self {
            state: MetaState::default(),
            view: ClusterView {
                me: 1,
                nodes: BTreeMap::new(),
            },
            now: 1_000_000,
            policy: SchedulePolicy::default(),
        };
        cluster
            .propose(Body::RegisterNode(RegisterNode {
                node: Some(NodeRecord {
                    id: 1,
                    ..record("f1", region, zone)
                }),
            }))
            .unwrap();
        cluster.alive(1);
        cluster
    }

    pub(crate) fn propose(&mut self, body: MetaCommand) -> Result<u64, String> {
        let reply = Reply::decode(self.state.apply_bytes(&command(self.now, body)).as_slice()).unwrap();
        match reply.refusal {
            None => Ok(reply.object_version),
            Some(refusal) => Err(format!("{}: {}", refusal.code, refusal.message)),
        }
    }

    /// One more node, alive.
    pub(crate) fn join(&mut self, region: &str, zone: &str) -> u64 {
        let folder = format!("f{}", self.state.last_node_id() + 1);
        self.join_as(record(&folder, region, zone)).unwrap()
    }

    pub(crate) fn join_as(&mut self, node: NodeRecord) -> Result<u64, String> {
        if self.state.token("t").is_none() {
            self.propose(token("t", self.now + 1_000_000_000, 1_000)).unwrap();
        }
        let id = self.propose(admit("t", node))?;
        self.alive(id);
        Ok(id)
    }

    pub(crate) fn alive(&mut self, id: u64) {
        self.see(id, Liveness::Alive);
    }

    pub(crate) fn lose(&mut self, id: u64) {
        self.see(id, Liveness::Lost { for_ms: 3_001 });
    }

    pub(crate) fn see(&mut self, id: u64, liveness: Liveness) {
        self.view.nodes.entry(id).or_default().liveness = liveness;
    }

    pub(crate) fn trouble(&mut self, component: &str, for_ms: u64) {
        let c = self.component(component);
        let (node, epoch) = (c.node, c.epoch);
        self.view.nodes.entry(node).or_default().troubles.push(Trouble {
            component: component.to_owned(),
            epoch,
            for_ms,
            code: "OMS-DST-0001".to_owned(),
        });
    }

    pub(crate) fn change_node(&mut self, id: u64, state: NodeState) {
        self.propose(Body::ChangeNode(ChangeNode {
            id,
            state: state as i32,
            ..Default::default()
        }))
        .unwrap();
    }

    pub(crate) fn quota(&mut self, id: u64, quota: u32) {
        self.propose(Body::ChangeNode(ChangeNode {
            id,
            quota: Some(quota),
            ..Default::default()
        }))
        .unwrap();
    }

    pub(crate) fn remove_node(&mut self, id: u64) {
        self.propose(Body::RemoveNode(RemoveNode { id })).unwrap();
    }

    pub(crate) fn data_source(&mut self, id: &str, region: &str) {
        let public = DataSource {
            id: id.into(),
            name: id.into(),
            region: region.into(),
            ..Default::default()
        };
        self.propose(Body::CreateDataSource(CreateDataSource {
            record: Some(DataSourceRecord {
                public: Some(public),
                sealed_password: vec![1],
            }),
        }))
        .unwrap();
    }

    /// A started project that copies and follows.
    pub(crate) fn project(&mut self, id: &str, source: &str, destination: &str) {
        self.start(id, project(id, source, destination));
    }

    /// The same, which is verified, too.
    pub(crate) fn verified_project(&mut self, id: &str, source: &str, destination: &str) {
        let mut record = project(id, source, destination);
        let steps = record
            .public
            .as_mut()
            .and_then(|p| p.spec.as_mut()?.steps.as_mut());
        steps.unwrap().verification = true;
        self.start(id, record);
    }

    fn start(&mut self, id: &str, record: ProjectRecord) {
        self.propose(Body::CreateProject(CreateProject { record: Some(record) }))
            .unwrap();
        self.change(id, ProjectChange::Start).unwrap();
    }

    pub(crate) fn change(&mut self, id: &str, change: ProjectChange) -> Result<u64, String> {
        self.propose(Body::ChangeProject(ChangeProject {
            id: id.into(),
            change: change as i32,
            ..Default::default()
        }))
    }

    pub(crate) fn plan(&self) -> Vec<MetaCommand> {
        self.policy.plan(&self.state, &self.view, self.now)
    }

    /// Carries out what the scheduler wants, once; gives how many commands there were.
    pub(crate) fn round(&mut self) -> usize {
        let commands = self.plan();
        let n = commands.len();
        for body in commands {
            // Two commands about one project in a round: the second may be refused.
            let _ = self.propose(body);
        }
        n
    }

    /// What owners that are there do about what is wanted of them. True if somebody did something.
    pub(crate) fn owners(&mut self) -> bool {
        let mut did = false;
        let components: Vec<(String, ComponentRecord)> = self
            .state
            .projects()
            .flat_map(|p| {
                let id = p.public.as_ref().unwrap().id.clone();
                p.components.iter().map(move |c| (id.clone(), c.clone()))
            })
            .filter(|(_, c)| self.view.is_alive(c.node))
            .collect();
        for (project, c) in components {
            let Some(report) = answer(&project, &c) else {
                continue;
            };
            let _ = self.propose(Body::ReportComponent(report));
            did = true;
        }
        did
    }

    /// Scheduler and owners take turns until nobody has anything to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..400 {
            let commands = self.round();
            let did = self.owners();
            if commands == 0 && !did {
                return;
            }
        }
        panic!("it does not settle: {:#?}", self.plan());
    }

    /// Scheduler and owners take turns until it is so.
    pub(crate) fn settle_until(&mut self, so: impl Fn(&Self) -> bool) {
        for _ in 0..400 {
            if so(self) {
                return;
            }
            self.round();
            self.owners();
        }
        panic!("it never was so");
    }

    pub(crate) fn component(&self, id: &str) -> ComponentRecord {
        let (project, kind) = id.rsplit_once('.').unwrap();
        let kind: ComponentKind = kind.parse().unwrap();
        self.state.component(project, kind).unwrap().clone()
    }

    pub(crate) fn project_state(&self, id: &str) -> ProjectState {
        self.state.project(id).unwrap().public.as_ref().unwrap().state()
    }

    /// Nodes of what runs, by component.
    pub(crate) fn placed(&self) -> BTreeMap<String, u64> {
        self.state
            .projects()
            .flat_map(|p| {
                let id = p.public.as_ref().unwrap().id.clone();
                p.components
                    .iter()
                    .filter(|c| c.desired() == Desired::Run && c.state() == ComponentState::Running)
                    .map(move |c| (format!("{id}.{}", c.kind), c.node))
            })
            .collect()
    }

    pub(crate) fn loads(&self) -> BTreeMap<u64, usize> {
        let mut loads: BTreeMap<u64, usize> = self.state.nodes().map(|n| (n.id, 0)).collect();
        for node in self.placed().into_values() {
            *loads.entry(node).or_default() += 1;
        }
        loads
    }

    pub(crate) fn fail(&mut self, id: &str, code: &str) {
        let (project, kind) = id.rsplit_once('.').unwrap();
        let report = ReportComponent {
            project: project.into(),
            kind: kind.into(),
            epoch: self.component(id).epoch,
            state: ComponentState::Failed as i32,
            error: Some(ErrorInfo {
                code: code.into(),
                message: "x".into(),
                failed_at_ms: self.now,
            }),
            ..Default::default()
        };
        self.propose(Body::ReportComponent(report)).unwrap();
    }
}

/// What a node that is there and well says.
pub(crate) fn well() -> NodeView {
    NodeView {
        liveness: Liveness::Alive,
        ..Default::default()
    }
}

pub(crate) fn record(folder: &str, region: &str, zone: &str) -> NodeRecord {
    NodeRecord {
        address: format!("{folder}:7070"),
        folder_id: folder.into(),
        region: region.into(),
        zone: zone.into(),
        version: "1".into(),
        feature_level: FEATURE_LEVEL,
        ..Default::default()
    }
}

pub(crate) fn admit(token: &str, node: NodeRecord) -> Body {
    Body::AdmitNode(oms_proto::meta::AdmitNode {
        token_id: token.into(),
        node: Some(node),
    })
}

pub(crate) fn token(id: &str, expires_at_ms: i64, uses: u32) -> Body {
    Body::CreateToken(CreateToken {
        token: Some(TokenRecord {
            public: Some(Token {
                id: id.into(),
                expires_at_ms,
                uses_left: uses,
                ..Default::default()
            }),
            sealed_secret: vec![7],
        }),
    })
}

pub(crate) fn project(id: &str, source: &str, destination: &str) -> ProjectRecord {
    let spec = ProjectSpec {
        name: id.into(),
        steps: Some(Steps {
            schema: false,
            full: true,
            incremental: true,
            verification: false,
        }),
        ..Default::default()
    };
    ProjectRecord {
        public: Some(Project {
            id: id.into(),
            spec: Some(spec),
            ..Default::default()
        }),
        source_id: source.into(),
        destination_id: destination.into(),
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

/// What an owner that can do everything at once reports.
pub(crate) fn answer(project: &str, c: &ComponentRecord) -> Option<ReportComponent> {
    let report = |state: ComponentState| ReportComponent {
        project: project.to_owned(),
        kind: c.kind.clone(),
        epoch: c.epoch,
        state: state as i32,
        ..Default::default()
    };
    let facts = |r: ReportComponent, facts| ReportComponent {
        facts: Some(facts),
        ..r
    };
    let endless = ["store", "incr-sync", "switchover"].contains(&c.kind.as_str());
    match (c.desired(), c.state()) {
        (Desired::Run, ComponentState::Assigned) if endless => Some(facts(
            report(ComponentState::Running),
            ComponentFacts {
                store_start: if c.kind == "store" {
                    "x".into()
                } else {
                    String::new()
                },
                caught_up: c.kind == "incr-sync",
                ..Default::default()
            },
        )),
        (Desired::Run, ComponentState::Assigned) => Some(report(ComponentState::Running)),
        (Desired::Run, ComponentState::Running) if !endless => Some(report(ComponentState::Completed)),
        (Desired::Stop, ComponentState::Assigned | ComponentState::Running) => {
            Some(report(ComponentState::Stopped))
        }
        (Desired::Remove, _) if !c.removed => Some(ReportComponent {
            removed: true,
            ..report(ComponentState::Stopped)
        }),
        _ => None,
    }
}

/// A set of ids.
pub(crate) fn ids(ids: &[u64]) -> BTreeSet<u64> {
    ids.iter().copied().collect()
}
