//! Faults, and users who do things at the wrong moment.

use oms_proto::{
    meta::{
        AdmitNode, AssignComponent, ChangeNode, ChangeProject, Desired, FreezeComponent, NodeRecord,
        ProjectChange, RemoveNode, command::Body,
    },
    v1::{ComponentState, NodeState, ProjectState},
};

use crate::{database::Violation, node::Node, world::World};

/// Nodes that there may be.
const MOST_NODES: usize = 7;

impl World {
    /// Perhaps a fault, perhaps a user.
    pub(crate) fn disturb(&mut self) -> Result<(), Violation> {
        if self.random.percent(7) {
            self.tally.faults += 1;
            self.fault();
        }
        if self.random.percent(3) {
            self.user()?;
        }
        Ok(())
    }

    fn fault(&mut self) {
        let n = self.random.index(self.nodes.len());
        let other = self.random.index(self.nodes.len());
        let database = self.random.index(self.databases.len() * 2);
        let tick = self.tick;
        match self.random.below(11) {
            0 => self.nodes[n].crash(),
            1 | 2 => self.nodes[n].restart_if_down(),
            3 => self.nodes[n].frozen_until = tick + self.random.within(5, 120),
            4 => {
                // Cut off from everybody, both ways or one.
                let way = self.random.below(3);
                for m in 0..self.nodes.len() {
                    if way != 0 {
                        self.cut.insert((n, m));
                    }
                    if way != 1 {
                        self.cut.insert((m, n));
                    }
                }
            }
            5 => {
                self.cut.insert((n, other));
            }
            6 | 7 => self.cut.clear(),
            8 => {
                let way = self.random.below(3);
                if way != 0 {
                    self.cut_database.insert((n, database, true));
                }
                if way != 1 {
                    self.cut_database.insert((n, database, false));
                }
            }
            9 => self.cut_database.clear(),
            _ => {
                let at = self.random.index(4);
                if let Some(worker) = self.nodes[n].workers.values_mut().nth(at) {
                    worker.crash();
                }
            }
        }
    }

    fn user(&mut self) -> Result<(), Violation> {
        let Some(leader) = self.able_leader() else {
            return Ok(());
        };
        let project = self.random.index(self.databases.len());
        let id = Self::project_id(project);
        let node = self.random.index(self.nodes.len());
        let node_id = self.nodes[node].id;
        let change = |change: ProjectChange| {
            Body::ChangeProject(ChangeProject {
                id: id.clone(),
                change: change as i32,
                ..Default::default()
            })
        };
        let components = self
            .state()
            .project(&id)
            .map(|r| r.components.clone())
            .unwrap_or_default();
        let component =
            (!components.is_empty()).then(|| components[self.random.index(components.len())].clone());
        let node_to = |state: NodeState| {
            Body::ChangeNode(ChangeNode {
                id: node_id,
                state: state as i32,
                ..Default::default()
            })
        };
        // One node always takes everything, so that what is healed can go on.
        let keeps_one = self
            .state()
            .nodes()
            .any(|n| n.id != node_id && n.state() == NodeState::Active && !n.witness && n.quota == 0);
        let body = match self.random.below(12) {
            0 => change(ProjectChange::Pause),
            1 | 2 => change(ProjectChange::Resume),
            3 if self.random.percent(10) => change(ProjectChange::Release),
            4 if keeps_one => node_to(NodeState::Draining),
            5 if keeps_one => node_to(NodeState::Cordoned),
            6 => node_to(NodeState::Active),
            7 if keeps_one && self.random.percent(30) && self.state().nodes().count() > 3 => {
                Body::RemoveNode(RemoveNode { id: node_id })
            }
            8 if self.nodes.len() < MOST_NODES => return self.join(leader),
            9 | 10 => match component {
                Some(c)
                    if c.desired() == Desired::Run
                        && matches!(c.state(), ComponentState::Assigned | ComponentState::Running) =>
                {
                    Body::AssignComponent(AssignComponent {
                        project: id,
                        kind: c.kind.clone(),
                        node: node_id,
                        expected_epoch: c.epoch,
                        raise_epoch: true,
                        desired: Desired::Run as i32,
                        step: c.step,
                        by_user: true,
                        ..Default::default()
                    })
                }
                _ => return Ok(()),
            },
            _ => match component {
                Some(c) => Body::FreezeComponent(FreezeComponent {
                    project: id,
                    kind: c.kind,
                    reason: if self.random.percent(50) {
                        "looking".into()
                    } else {
                        String::new()
                    },
                }),
                None => return Ok(()),
            },
        };
        // Users are told when it is not possible.
        let _ = self.commit(leader, body)?;
        Ok(())
    }

    fn join(&mut self, leader: usize) -> Result<(), Violation> {
        let number = self.nodes.len() + 1;
        let body = Body::AdmitNode(AdmitNode {
            token_id: "t".into(),
            node: Some(NodeRecord {
                address: format!("n{number}:1"),
                folder_id: format!("f{number}"),
                region: "r0".into(),
                zone: format!("z{number}"),
                feature_level: oms_meta::FEATURE_LEVEL,
                ..Default::default()
            }),
        });
        if let Ok(id) = self.commit(leader, body)? {
            let rate = self.clock_rate();
            self.nodes.push(Node::new(id, rate, 0));
        }
        Ok(())
    }

    /// Clocks run up to 5 % wrong.
    pub(crate) fn clock_rate(&mut self) -> i64 {
        i64::try_from(self.random.within(950, 1050)).unwrap()
    }

    /// Everything that can be mended is, once.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.cut_database.clear();
        self.writing = false;
        for node in &mut self.nodes {
            node.restart_if_down();
            node.frozen_until = 0;
        }
    }

    /// Users let go on what they stopped, and what failed.
    pub(crate) fn let_go_on(&mut self) -> Result<(), Violation> {
        let Some(leader) = self.able_leader() else {
            return Ok(());
        };
        for project in 0..self.databases.len() {
            let id = Self::project_id(project);
            let Some(record) = self.state().project(&id).cloned() else {
                continue;
            };
            let state = record.public.as_ref().unwrap().state();
            for c in record.components.iter().filter(|c| !c.frozen_reason.is_empty()) {
                let body = Body::FreezeComponent(FreezeComponent {
                    project: id.clone(),
                    kind: c.kind.clone(),
                    ..Default::default()
                });
                self.commit(leader, body)??;
            }
            if matches!(state, ProjectState::Suspend | ProjectState::Failed) {
                let body = Body::ChangeProject(ChangeProject {
                    id,
                    change: ProjectChange::Resume as i32,
                    ..Default::default()
                });
                self.commit(leader, body)??;
            }
        }
        Ok(())
    }
}

impl Node {
    fn restart_if_down(&mut self) {
        if !self.up {
            self.restart();
        }
    }
}
