//! Moves that could wait: one at a time, and only if they gain something.

use std::cmp::Reverse;

use oms_proto::{
    meta::{ComponentRecord, Desired, NodeRecord, ProjectRecord},
    v1::{ComponentState, NodeState, Project, ProjectState},
};
use oms_types::ComponentKind;

use crate::{
    MetaCommand,
    component::{elapsed, is_live},
    node::state_of,
    schedule::placement::{Plan, Why},
    view::Liveness,
};

/// What is moved before what: the less a move costs, the earlier.
fn cost(kind: ComponentKind) -> Option<u8> {
    match kind {
        ComponentKind::IncrSync => Some(0),
        ComponentKind::FullVerification => Some(1),
        ComponentKind::FullImport => Some(2),
        ComponentKind::Store => Some(3),
        // Over soon, and begun anew when moved.
        ComponentKind::Precheck | ComponentKind::SchemaMigration | ComponentKind::Switchover => None,
    }
}

/// A component that may be moved.
struct Movable<'a> {
    record: &'a ProjectRecord,
    project: &'a Project,
    component: &'a ComponentRecord,
    kind: ComponentKind,
    cost: u8,
    owner: &'a NodeRecord,
}

impl<'a> Plan<'a> {
    /// One move towards the right region, or else towards an even spread; none while anything else is under way.
    pub(super) fn rebalance(&mut self) -> Option<MetaCommand> {
        if !self.quiet() {
            return None;
        }
        let movable: Vec<Movable<'a>> = self.state.projects().flat_map(|r| self.movable(r)).collect();
        let (m, node, because) = self.way_home(&movable).or_else(|| self.spread(&movable))?;
        let (project, kind, component) = (m.project, m.kind, m.component);
        Some(self.give(
            project,
            kind,
            component.step(),
            Some(component),
            node,
            because,
            &Why::Start,
        ))
    }

    /// Nothing was moved a moment ago, nothing is being started, and the leader knows every node.
    fn quiet(&self) -> bool {
        let known = self.view.nodes.values().all(|n| n.liveness != Liveness::Unknown);
        known
            && self.state.projects().flat_map(|p| &p.components).all(|c| {
                let starting = c.state() == ComponentState::Assigned
                    && c.desired() == Desired::Run
                    && !elapsed(self.now_ms, c.assigned_at_ms, self.policy.residence_ms);
                !starting && elapsed(self.now_ms, c.moved_at_ms, self.policy.rebalance_every_ms)
            })
    }

    fn movable(&self, record: &'a ProjectRecord) -> Vec<Movable<'a>> {
        let Some(project) = record
            .public
            .as_ref()
            .filter(|p| matches!(p.state(), ProjectState::Running | ProjectState::RunningModifying))
        else {
            return Vec::new();
        };
        let caught_up = record.components.iter().any(|c| {
            c.kind == ComponentKind::IncrSync.as_str()
                && c.state() == ComponentState::Running
                && c.facts.as_ref().is_some_and(|f| f.caught_up)
        });
        let look = |component: &'a ComponentRecord| {
            let kind: ComponentKind = component.kind.parse().ok()?;
            let owner = self.state.node(component.node)?;
            let ready = component.desired() == Desired::Run
                && is_live(component)
                && component.state() == ComponentState::Running
                && component.frozen_reason.is_empty()
                && !component.by_user
                && elapsed(self.now_ms, component.assigned_at_ms, self.policy.residence_ms)
                && state_of(owner) == NodeState::Active
                && self.view.is_alive(owner.id)
                // A Store that moves captures anew from what was applied. As long as much of what it holds is
                // needed, that would ask too much of the source.
                && (kind != ComponentKind::Store || caught_up);
            Some(Movable {
                record,
                project,
                component,
                kind,
                cost: cost(kind).filter(|_| ready)?,
                owner,
            })
        };
        record.components.iter().filter_map(look).collect()
    }

    /// Nodes to which it may go for no other reason than a better place.
    fn better_places<'m>(&'m self, m: &'m Movable<'a>) -> impl Iterator<Item = &'a NodeRecord> + 'm {
        let avoided = self.avoided(Some(m.component));
        self.state.nodes().filter(move |n| {
            n.id != m.owner.id
                && self.unfit(n).is_none()
                && !avoided.contains(&n.id)
                // Where all are overloaded it is as good as any.
                && (!self.overloaded(n.id) || self.overloaded(m.owner.id))
                && !self.troubled(n.id, m.record, m.kind)
        })
    }

    fn way_home<'m>(&self, movable: &'m [Movable<'a>]) -> Option<(&'m Movable<'a>, u64, String)> {
        movable.iter().find_map(|m| {
            let (region, side) = self.region(m.record, m.kind)?;
            if m.owner.region == region {
                return None;
            }
            let node = self.emptiest(self.better_places(m).filter(|n| n.region == region))?;
            Some((m, node.id, format!("back to region {region} of the {side}")))
        })
    }

    fn spread<'m>(&self, movable: &'m [Movable<'a>]) -> Option<(&'m Movable<'a>, u64, String)> {
        let gains = movable.iter().filter_map(|m| {
            let belongs = |n: &NodeRecord| match self.region(m.record, m.kind) {
                // Where it belongs is left for load only by those that are not there anyway.
                Some((region, _)) => n.region == region || m.owner.region != region,
                None => true,
            };
            let node = self.emptiest(self.better_places(m).filter(|n| belongs(n)))?;
            let (here, there) = (self.load_of(m.owner.id), self.load_of(node.id));
            let gain = here.saturating_sub(there);
            (gain >= self.policy.imbalance.max(2)).then_some((m, node, gain, here, there))
        });
        let best = gains.min_by_key(|(m, _, gain, ..)| (Reverse(*gain), m.cost, m.project.id.as_str()))?;
        let (m, node, _, here, there) = best;
        let because = format!("node {} ran {here} components, this one {there}", m.owner.id);
        Some((m, node.id, because))
    }
}
