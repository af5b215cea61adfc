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
    /// A node that is full, and would take the component if verifications there stopped, which they are to do then; and
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
        };
        let (node, stopping) = self
            .state
            .nodes()
            .filter(candidate)
            .filter_map(|n| Some((n, self.who_makes_room(n)?)))
            .min_by_key(|(n, stopping)| {
                let belongs = region.is_none_or(|(r, _)| n.region == r);
                let was_there = current.is_some_and(|c| c.node == n.id);
                (
                    !belongs,
                    avoided.contains(&n.id),
                    stopping.len(),
                    !was_there,
                    self.load_of(n.id),
                    n.id,
                )
            })
            .map(|(n, stopping)| (n.id, stopping))?;
        if let Some(load) = self.load.get_mut(&node) {
            *load = load.saturating_sub(stopping.len());
        }
        let names: Vec<String> = stopping.iter().map(|((p, k), _)| format!("{p}.{k}")).collect();
        let verb = if names.len() == 1 { "makes" } else { "make" };
        let room = format!("{} {verb} room", names.join(", "));
        let because = prefix(why).map_or_else(|| room.clone(), |words| format!("{words}; {room}"));
        self.yielding.extend(stopping);
        Some((node, because))
    }

    /// Components on the node that were not asked yet and make room for one more if they stop: as few as that takes, which
    /// are several where a quota was lowered below what runs there.
    fn who_makes_room(&self, node: &NodeRecord) -> Option<Vec<((String, String), u64)>> {
        let quota = usize::try_from(node.quota).ok().filter(|quota| *quota > 0)?;
        let needed = (self.load_of(node.id) + 1).saturating_sub(quota).max(1);
        let able = self.state.projects().flat_map(|p| {
            let there = p.components.iter().filter(|c| c.node == node.id && makes_room(c));
            there.map(|c| ((project_id(p).to_owned(), c.kind.clone()), c.epoch))
        });
        let stopping: Vec<_> = able
            .filter(|(key, _)| !self.yielding.contains_key(key))
            .take(needed)
            .collect();
        (stopping.len() == needed).then_some(stopping)
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
