//! Moves that cannot wait: away from nodes that are gone, drained or unable.

use oms_proto::{
    meta::{AssignComponent, ComponentRecord, Desired, ProjectRecord, command::Body},
    v1::{ComponentState, NodeState, Project},
};
use oms_types::{ComponentKind, Disposition, ErrorCode};

use crate::{
    MetaCommand,
    component::is_live,
    node::{is_removed, state_of},
    schedule::placement::{Plan, Why},
    view::Liveness,
};

impl Plan<'_> {
    /// The commands that take a project's components from where they cannot stay.
    pub(super) fn forced(&mut self, record: &ProjectRecord) -> Vec<MetaCommand> {
        let Some(project) = record.public.as_ref() else {
            return Vec::new();
        };
        let mut commands = Vec::new();
        for c in record.components.iter().filter(|c| c.epoch > 0) {
            let Ok(kind) = c.kind.parse::<ComponentKind>() else {
                continue;
            };
            commands.extend(match c.desired() {
                Desired::Run if is_live(c) => self.leave(record, project, kind, c),
                Desired::Remove if !c.removed => self.remove_elsewhere(project, kind, c),
                Desired::Run | Desired::Remove | Desired::Stop | Desired::Unspecified => None,
            });
        }
        commands
    }

    fn leave(
        &mut self,
        record: &ProjectRecord,
        project: &Project,
        kind: ComponentKind,
        c: &ComponentRecord,
    ) -> Option<MetaCommand> {
        let why = if let Some(gone) = self.gone(c.node) {
            Why::Lost(format!("node {} {gone}", c.node))
        } else if self.is_draining(c.node) {
            Why::Drain(format!("node {} is drained", c.node))
        } else {
            let code = self.trouble(project, c)?;
            if !c.frozen_reason.is_empty() {
                return None;
            }
            let what = match code.starts_with("OMS-STORE-") {
                true => "cannot keep the change log",
                false => "cannot reach a database",
            };
            let why = Why::CannotRun(format!("node {} {what} ({code})", c.node));
            let moved = self.assign(record, project, kind, c.step(), Some(c), &why);
            // It is retried where it is: nothing waits.
            self.waiting
                .retain(|(p, k), _| moved.is_some() || *p != project.id || *k != c.kind);
            return moved;
        };
        self.assign(record, project, kind, c.step(), Some(c), &why)
    }

    fn is_draining(&self, node: u64) -> bool {
        self.view.is_alive(node)
            && self
                .state
                .node(node)
                .is_some_and(|n| state_of(n) == NodeState::Draining)
    }

    /// The code of an error that this owner has met for too long, if so.
    fn trouble(&self, project: &Project, c: &ComponentRecord) -> Option<String> {
        if c.state() != ComponentState::Running {
            return None;
        }
        let view = self.view.nodes.get(&c.node)?;
        view.troubles
            .iter()
            .find(|t| {
                t.epoch == c.epoch
                    && t.for_ms >= self.policy.trouble_ms
                    && t.component.rsplit_once('.') == Some((project.id.as_str(), c.kind.as_str()))
            })
            .map(|t| t.code.clone())
    }

    /// A component that failed goes to another node if that may help: after a crash, or when errors that
    /// should have passed did not.
    pub(super) fn after_failure(
        &mut self,
        record: &ProjectRecord,
        project: &Project,
        c: &ComponentRecord,
    ) -> Option<MetaCommand> {
        let kind = c.kind.parse().ok()?;
        let code = ErrorCode::find(&c.error.as_ref()?.code)?;
        let other_node_may_help = matches!(code.disposition(), Disposition::Bug | Disposition::Retry);
        let tried = self.avoided(Some(c)).len();
        if !other_node_may_help || tried >= self.policy.crash_moves || !c.frozen_reason.is_empty() {
            return None;
        }
        let why = Why::CannotRun(format!("it failed on node {} ({code})", c.node));
        let moved = self.assign(record, project, kind, c.step(), Some(c), &why);
        self.waiting
            .retain(|(p, k), _| moved.is_some() || *p != project.id || *k != c.kind);
        moved
    }

    /// What a component keeps at the destination can be removed from anywhere.
    fn remove_elsewhere(
        &mut self,
        project: &Project,
        kind: ComponentKind,
        c: &ComponentRecord,
    ) -> Option<MetaCommand> {
        let gone = self.gone(c.node)?;
        let able = self
            .state
            .nodes()
            .filter(|n| !is_removed(n) && !n.witness && self.view.liveness(n.id) == Liveness::Alive);
        let Some(node) = self.emptiest(able).map(|n| n.id) else {
            self.wait(
                project,
                kind,
                Some(format!(
                    "node {} {gone}; no node is there to remove what it left",
                    c.node
                )),
            );
            return None;
        };
        self.wait(project, kind, None);
        Some(Body::AssignComponent(AssignComponent {
            project: project.id.clone(),
            kind: c.kind.clone(),
            node,
            expected_epoch: c.epoch,
            raise_epoch: true,
            desired: Desired::Remove as i32,
            step: c.step,
            because: format!(
                "node {} {gone}; it only removes what is left at the databases",
                c.node
            ),
            failover: true,
            ..Default::default()
        }))
    }
}
