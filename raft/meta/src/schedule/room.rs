//! Room for what must not wait, where quotas leave none.

use oms_proto::{
    meta::{AssignComponent, ComponentRecord, Desired, NodeRecord, ProjectRecord, command::Body},
    v1::NodeState,
};
use oms_types::ComponentKind;

use crate::{
    MetaCommand,
    component::is_live,
    node::{is_removed, state_of},
    schedule::placement::{Plan, Why, prefix},
    state::project_id,
};

/// Whether others make room for it: while it waits, changes wait, and the source may forget them.
fn has_precedence(kind: ComponentKind) -> bool {
    matches!(kind, ComponentKind::Store | ComponentKind::IncrSync)
}

/// Whether it makes room: it goes on later from where it was, and nothing waits for it.
fn makes_room(c: &ComponentRecord) -> bool {
    c.kind == ComponentKind::FullVerification.as_str()
        && c.desired() == Desired::Run
        && is_live(c)
        && c.frozen_reason.is_empty()
}

impl Plan<'_> {
    /// A node that is full, and would take the component if a verification there stopped, which it is to do then; and
    /// why. A stopped verification goes on when there is room again.
    pub(super) fn make_room(
        &mut self,
        record: &ProjectRecord,
        kind: ComponentKind,
        current: Option<&ComponentRecord>,
        why: &Why,
    ) -> Option<(u64, String)> {
        let is_free = current.is_none_or(|c| c.frozen_reason.is_empty() || c.epoch == 0);
        if !has_precedence(kind) || !is_free {
            return None;
        }
        let leaves = current.filter(|_| !matches!(why, Why::Start)).map(|c| c.node);
        let avoided = self.avoided(current);
        let strict = matches!(why, Why::CannotRun(_));
        let region = self.region(record, kind);
        let candidate = |n: &&NodeRecord| {
            Some(n.id) != leaves
                && state_of(n) == NodeState::Active
                && !is_removed(n)
                && !n.witness
                && self.view.is_alive(n.id)
                && !(strict && (avoided.contains(&n.id) || self.troubled(n.id, record, kind)))
                && usize::try_from(n.quota).is_ok_and(|quota| self.load_of(n.id) <= quota)
        };
        let best = self
            .state
            .nodes()
            .filter(candidate)
            .filter_map(|n| Some((n, self.who_makes_room(n.id)?)))
            .min_by_key(|(n, _)| {
                let belongs = region.is_none_or(|(r, _)| n.region == r);
                let was_there = current.is_some_and(|c| c.node == n.id);
                (
                    !belongs,
                    avoided.contains(&n.id),
                    !was_there,
                    self.load_of(n.id),
                    n.id,
                )
            })?;
        let (node, (project, kind, epoch)) = (best.0.id, best.1);
        if let Some(load) = self.load.get_mut(&node) {
            *load = load.saturating_sub(1);
        }
        let room = format!("{project}.{kind} makes room");
        let because = prefix(why).map_or_else(|| room.clone(), |words| format!("{words}; {room}"));
        self.yielding.insert((project, kind), epoch);
        Some((node, because))
    }

    /// A component on the node that can make room and was not asked yet.
    fn who_makes_room(&self, node: u64) -> Option<(String, String, u64)> {
        self.state.projects().find_map(|p| {
            let found = p.components.iter().find(|c| {
                let key = (project_id(p).to_owned(), c.kind.clone());
                c.node == node && makes_room(c) && !self.yielding.contains_key(&key)
            })?;
            Some((project_id(p).to_owned(), found.kind.clone(), found.epoch))
        })
    }

    /// The commands that stop what makes room.
    pub(super) fn stops(&self) -> Vec<MetaCommand> {
        let stop = |((project, kind), epoch): (&(String, String), &u64)| {
            Body::AssignComponent(AssignComponent {
                project: project.clone(),
                kind: kind.clone(),
                expected_epoch: *epoch,
                desired: Desired::Stop as i32,
                ..Default::default()
            })
        };
        self.yielding.iter().map(stop).collect()
    }
}
