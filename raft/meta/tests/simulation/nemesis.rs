//! Faults, and users who do things at the wrong moment.

use oms_proto::{
    meta::{
        AdmitNode, AssignComponent, ChangeNode, ChangeProject, Desired, FreezeComponent, NodeRecord,
        ProjectChange, RemoveNode, command::Body,
    },
    v1::{ComponentState, NodeState, ProjectState},
};

use crate::{
    database::Violation,
    node::Node,
    world::{Outcome, World},
};

/// Nodes that there may be.
const MOST_NODES: usize = 7;
/// Ticks that a cluster gets to recover from the loss of a node before the next one.
const BETWEEN_LOSSES: u64 = 100;

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
        match self.random.below(15) {
            0 => self.nodes[n].crash(),
            1 | 2 => self.nodes[n].restart(tick),
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
            10 => {
                // A slow link, or all links of a node.
                let delay = self.random.within(2, 15);
                let all = self.random.percent(30);
                for m in 0..self.nodes.len() {
                    if all || m == other {
                        self.slow.insert((n, m), delay);
                    }
                }
            }
            11 => self.slow.clear(),
            12 => {
                let skew = i64::try_from(self.random.below(1_200_000)).unwrap() - 600_000;
                self.nodes[n].set_clock(skew);
            }
            13 => self.lose(n),
            _ => {
                let at = self.random.index(4);
                let crash = self.random.percent(50);
                if let Some(worker) = self.nodes[n].workers.values_mut().nth(at) {
                    if crash {
                        worker.crash();
                    } else {
                        worker.resize();
                    }
                }
            }
        }
    }

    /// A node burns down with its disk, if the metadata survive that.
    fn lose(&mut self, n: usize) {
        if self.tick > self.lost_at + BETWEEN_LOSSES && self.may_lose(n) {
            self.lost_at = self.tick;
            self.tally.gone += 1;
            let node = &mut self.nodes[n];
            node.crash();
            node.gone = true;
            node.disk.clear();
        }
    }

    fn user(&mut self) -> Result<(), Violation> {
        let Some(leader) = self.speaker() else {
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
        // One node always takes something, so that what is healed can go on.
        let keeps_one = self
            .state()
            .nodes()
            .filter(|n| n.id != node_id && n.state() == NodeState::Active && !n.witness)
            .any(|n| self.place_of(n.id).is_some_and(|n| !self.nodes[n].gone));
        let body = match self.random.below(14) {
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
            // Whoever lost a node for good says so, sooner or later.
            12 => {
                let lost = self.nodes.iter().find(|n| n.gone).map(|n| n.id);
                let Some(id) = lost.filter(|_| self.random.percent(50)) else {
                    return Ok(());
                };
                Body::RemoveNode(RemoveNode { id })
            }
            13 => change(ProjectChange::Verify),
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
        if let Outcome::Done(id) = self.commit(leader, body)? {
            let (rate, skew) = (self.clock_rate(), self.clock_skew());
            let mut node = Node::new(id, rate, skew);
            node.heard_at = self.tick;
            self.nodes.push(node);
        }
        Ok(())
    }

    /// Clocks run up to 5 % wrong.
    pub(crate) fn clock_rate(&mut self) -> i64 {
        i64::try_from(self.random.within(950, 1050)).unwrap()
    }

    /// Every fourth time of day is up to ten minutes wrong.
    pub(crate) fn clock_skew(&mut self) -> i64 {
        match self.random.below(4) {
            0 => i64::try_from(self.random.below(1_200_000)).unwrap() - 600_000,
            _ => 0,
        }
    }

    /// Everything that can be mended is, once.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.cut_database.clear();
        self.slow.clear();
        self.writing = false;
        for node in &mut self.nodes {
            node.restart(self.tick);
            node.frozen_until = 0;
        }
    }

    /// Users let go on what they stopped, and what failed.
    pub(crate) fn let_go_on(&mut self) -> Result<(), Violation> {
        let Some(leader) = self.speaker() else {
            return Ok(());
        };
        // Somebody must take what is left.
        let fit = |n: &&NodeRecord| {
            let lives = self.place_of(n.id).is_some_and(|n| !self.nodes[n].gone);
            lives && !n.witness && n.state() != NodeState::Removed
        };
        let idle = self
            .state()
            .nodes()
            .filter(fit)
            .all(|n| n.state() != NodeState::Active);
        let taker = self.state().nodes().find(fit).map(|n| n.id);
        if let Some(id) = taker.filter(|_| idle) {
            let body = Body::ChangeNode(ChangeNode {
                id,
                state: NodeState::Active as i32,
                ..Default::default()
            });
            let _ = self.commit(leader, body)?;
        }
        self.make_ends_meet(leader)?;
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
                let _ = self.commit(leader, body)?;
            }
            if matches!(state, ProjectState::Suspend | ProjectState::Failed) {
                let body = Body::ChangeProject(ChangeProject {
                    id,
                    change: ProjectChange::Resume as i32,
                    ..Default::default()
                });
                let _ = self.commit(leader, body)?;
            }
        }
        Ok(())
    }
}
