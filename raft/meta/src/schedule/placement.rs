//! Where a component should run.

use std::collections::BTreeMap;

use oms_proto::{
    meta::{AssignComponent, ComponentRecord, Desired, NodeRecord, ProjectRecord, command::Body},
    v1::{NodeState, Project, StepKind},
};
use oms_types::ComponentKind;

use crate::{
    MetaCommand, MetaState, SchedulePolicy,
    component::{RAN_WELL_MS, elapsed, is_live},
    node::{is_removed, state_of},
    view::{ClusterView, Liveness},
};

/// Nodes in a text.
const LISTED: usize = 8;

/// Why a component gets a node.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// It runs nowhere.
    Start,
    /// Its node is gone.
    Lost(String),
    /// Its node could not run it.
    CannotRun(String),
    /// Its node gives its components away.
    Drain(String),
}

/// What came of looking for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This one, for this reason.
    Node(u64, String),
    /// None, and why.
    None(String),
    /// It cannot be said yet.
    Later,
}

/// One run of the scheduler: what it sees and what it has planned so far.
pub(super) struct Plan<'a> {
    pub(super) state: &'a MetaState,
    pub(super) view: &'a ClusterView,
    pub(super) policy: &'a SchedulePolicy,
    pub(super) now_ms: i64,
    /// Components that each node has or is to get.
    pub(super) load: BTreeMap<u64, usize>,
    /// Why components wait, by project and kind; `None`: what was said stays true.
    pub(super) waiting: BTreeMap<(String, String), Option<String>>,
    /// Components that stop so that others find room, by project and kind, with their epochs.
    pub(super) yielding: BTreeMap<(String, String), u64>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        state: &'a MetaState,
        view: &'a ClusterView,
        policy: &'a SchedulePolicy,
        now_ms: i64,
    ) -> Self {
        let mut load = BTreeMap::new();
        for component in state.projects().flat_map(|p| &p.components) {
            if component.desired() == Desired::Run && is_live(component) {
                *load.entry(component.node).or_default() += 1;
            }
        }
        Self {
            state,
            view,
            policy,
            now_ms,
            load,
            waiting: BTreeMap::new(),
            yielding: BTreeMap::new(),
        }
    }

    pub(super) fn load_of(&self, node: u64) -> usize {
        self.load.get(&node).copied().unwrap_or_default()
    }

    /// Why the node will not run what it was given, if so.
    pub(super) fn gone(&self, node: u64) -> Option<&'static str> {
        match self.state.node(node) {
            None => Some("was removed"),
            Some(n) if is_removed(n) => Some("was removed"),
            Some(_) => match self.view.liveness(node) {
                Liveness::Lost { .. } => Some("is down"),
                Liveness::Alive | Liveness::Unknown => None,
            },
        }
    }

    /// Nodes that the component could not run on lately.
    pub(super) fn avoided<'c>(&self, component: Option<&'c ComponentRecord>) -> &'c [u64] {
        match component {
            Some(c) if !elapsed(self.now_ms, c.assigned_at_ms, RAN_WELL_MS) => &c.avoid,
            _ => &[],
        }
    }

    /// The region in which the component belongs, and whose it is. None: any.
    pub(super) fn region(
        &self,
        record: &ProjectRecord,
        kind: ComponentKind,
    ) -> Option<(&'a str, &'static str)> {
        let (id, side) = match kind {
            ComponentKind::Store | ComponentKind::Switchover => (&record.source_id, "source"),
            ComponentKind::Precheck
            | ComponentKind::SchemaMigration
            | ComponentKind::FullImport
            | ComponentKind::IncrSync
            | ComponentKind::FullVerification => (&record.destination_id, "destination"),
        };
        let region = self.state.data_source(id)?.public.as_ref()?.region.as_str();
        (!region.is_empty() && region != "default").then_some((region, side))
    }

    /// Why the node takes no component now, if so.
    pub(super) fn unfit(&self, node: &NodeRecord) -> Option<String> {
        let words = match (state_of(node), self.view.liveness(node.id)) {
            (NodeState::Removed, _) => "was removed",
            _ if node.witness => "is a witness",
            (NodeState::Cordoned, _) => "is cordoned",
            (NodeState::Draining, _) => "is drained",
            (_, Liveness::Lost { .. }) => "is down",
            (_, Liveness::Unknown) => "was not heard of yet",
            (_, Liveness::Alive) if self.full(node) => {
                return Some(format!(
                    "has {} of {} components",
                    self.load_of(node.id),
                    node.quota
                ));
            }
            (_, Liveness::Alive) => return None,
        };
        Some(words.to_owned())
    }

    fn full(&self, node: &NodeRecord) -> bool {
        node.quota != 0 && self.load_of(node.id) >= usize::try_from(node.quota).unwrap_or(usize::MAX)
    }

    /// Whether the leader is about to learn that this node would do.
    fn may_turn_out_fit(&self, node: &NodeRecord) -> bool {
        let unheard = self
            .view
            .nodes
            .get(&node.id)
            .is_some_and(|n| n.liveness == Liveness::Unknown);
        unheard && state_of(node) == NodeState::Active && !node.witness && !self.full(node)
    }

    /// Whether the node said that it has no resources to spare.
    pub(super) fn overloaded(&self, node: u64) -> bool {
        let Some(load) = self.view.nodes.get(&node).and_then(|n| n.load.as_ref()) else {
            return false;
        };
        let used = load.disk_total_bytes.saturating_sub(load.disk_free_bytes);
        load.cpu_percent >= self.policy.cpu_percent
            || load.memory_percent >= self.policy.memory_percent
            || (load.disk_total_bytes > 0
                && used.saturating_mul(100) >= load.disk_total_bytes.saturating_mul(self.policy.disk_percent))
    }

    fn zone_load(&self, node: &NodeRecord) -> usize {
        self.state
            .nodes()
            .filter(|n| n.region == node.region && n.zone == node.zone)
            .map(|n| self.load_of(n.id))
            .sum()
    }

    /// The node that takes it best: preferred region, resources, load, zone, in this order.
    pub(super) fn emptiest<'n>(&self, nodes: impl Iterator<Item = &'n NodeRecord>) -> Option<&'n NodeRecord> {
        nodes.min_by_key(|n| (self.overloaded(n.id), self.load_of(n.id), self.zone_load(n), n.id))
    }

    /// Looks for a node.
    fn choose(
        &self,
        record: &ProjectRecord,
        kind: ComponentKind,
        current: Option<&ComponentRecord>,
        why: &Why,
    ) -> Choice {
        if let Some(c) = current.filter(|c| !c.frozen_reason.is_empty() && c.epoch > 0) {
            return self.frozen(c, why);
        }
        let leaves = current.filter(|_| !matches!(why, Why::Start)).map(|c| c.node);
        let nodes = || {
            self.state
                .nodes()
                .filter(move |n| !is_removed(n) && Some(n.id) != leaves)
        };
        let fit = || nodes().filter(|n| self.unfit(n).is_none());
        let avoided = self.avoided(current);
        let strict = matches!(why, Why::CannotRun(_));
        let usable =
            |n: &NodeRecord| !(avoided.contains(&n.id) || strict && self.troubled(n.id, record, kind));
        let mut pool: Vec<&NodeRecord> = fit().filter(|n| usable(n)).collect();
        if pool.is_empty() && !strict {
            pool = fit().collect();
        }
        let expected = |n: &NodeRecord| self.may_turn_out_fit(n) && usable(n);
        if pool.is_empty() {
            if nodes().any(expected) {
                return Choice::Later;
            }
            let reasons: Vec<String> = nodes()
                .filter_map(|n| Some(format!("node {} {}", n.id, self.unfit(n)?)))
                .collect();
            return Choice::None(self.nowhere(why, &reasons));
        }
        let region = self.region(record, kind);
        let belongs = |n: &NodeRecord| region.is_none_or(|(r, _)| n.region == r);
        let mut because = Vec::new();
        because.extend(prefix(why).map(str::to_owned));
        if pool.iter().any(|n| belongs(n)) {
            pool.retain(|n| belongs(n));
            because.extend(region.map(|(r, side)| format!("region {r} of the {side}")));
        } else {
            if nodes().any(|n| expected(n) && belongs(n)) {
                return Choice::Later;
            }
            because
                .extend(region.map(|(r, side)| format!("no node of region {r} of the {side} can take it")));
        }
        // What it kept on its disk is still there.
        let stays = current.filter(|c| leaves.is_none() && pool.iter().any(|n| n.id == c.node));
        if let Some(c) = stays {
            because.push("it was there before".to_owned());
            return Choice::Node(c.node, because.join("; "));
        }
        match self.emptiest(pool.into_iter()) {
            Some(node) => {
                because.push(match self.load_of(node.id) {
                    0 => "nothing else runs there".to_owned(),
                    1 => "one other runs there".to_owned(),
                    n => format!("{n} others run there"),
                });
                Choice::Node(node.id, because.join("; "))
            }
            None => Choice::Later,
        }
    }

    /// A frozen component starts again where it is, or waits.
    fn frozen(&self, c: &ComponentRecord, why: &Why) -> Choice {
        let frozen = format!("frozen to node {}: {}", c.node, c.frozen_reason);
        match (why, self.gone(c.node), self.view.liveness(c.node)) {
            (Why::Start, None, Liveness::Alive) => Choice::Node(c.node, frozen),
            (Why::Start, None, _) => Choice::Later,
            (_, Some(gone), _) => Choice::None(format!("node {} {gone}; {frozen}", c.node)),
            _ => Choice::None(match prefix(why) {
                Some(words) => format!("{words}; {frozen}"),
                None => frozen,
            }),
        }
    }

    fn nowhere(&self, why: &Why, reasons: &[String]) -> String {
        let mut text = prefix(why).map(|p| format!("{p}; ")).unwrap_or_default();
        text.push_str("no node can take it");
        if !reasons.is_empty() {
            text.push_str(": ");
            text.push_str(
                &reasons
                    .iter()
                    .take(LISTED)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", "),
            );
        }
        if reasons.len() > LISTED {
            text.push_str(&format!(" and {} more", reasons.len() - LISTED));
        }
        text
    }

    /// The command that gives a component to a node, if there is one; else notes why it waits.
    pub(super) fn assign(
        &mut self,
        record: &ProjectRecord,
        project: &Project,
        kind: ComponentKind,
        step: StepKind,
        current: Option<&ComponentRecord>,
        why: &Why,
    ) -> Option<MetaCommand> {
        let (node, because) = match self.choose(record, kind, current, why) {
            Choice::Node(node, because) => (node, because),
            Choice::None(text) => match self.make_room(record, kind, current, why) {
                Some(found) => found,
                None => {
                    self.wait(project, kind, Some(text));
                    return None;
                }
            },
            Choice::Later => {
                self.wait(project, kind, None);
                return None;
            }
        };
        Some(self.give(project, kind, step, current, node, because, why))
    }

    /// The command that gives a component to this node.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn give(
        &mut self,
        project: &Project,
        kind: ComponentKind,
        step: StepKind,
        current: Option<&ComponentRecord>,
        node: u64,
        because: String,
        why: &Why,
    ) -> MetaCommand {
        if let Some(c) = current.filter(|c| c.desired() == Desired::Run && is_live(c))
            && let Some(n) = self.load.get_mut(&c.node)
        {
            *n = n.saturating_sub(1);
        }
        *self.load.entry(node).or_default() += 1;
        self.wait(project, kind, None);
        Body::AssignComponent(AssignComponent {
            project: project.id.clone(),
            kind: kind.as_str().to_owned(),
            node,
            expected_epoch: current.map_or(0, |c| c.epoch),
            raise_epoch: true,
            desired: Desired::Run as i32,
            step: step as i32,
            because,
            failover: matches!(why, Why::Lost(_) | Why::CannotRun(_)),
            avoid_former: matches!(why, Why::CannotRun(_)),
            ..Default::default()
        })
    }

    /// Notes why a component waits; `None`: nothing new to say.
    pub(super) fn wait(&mut self, project: &Project, kind: ComponentKind, text: Option<String>) {
        self.waiting
            .insert((project.id.clone(), kind.as_str().to_owned()), text);
    }

    /// Whether the node has trouble with a database that this component needs.
    pub(super) fn troubled(&self, node: u64, record: &ProjectRecord, kind: ComponentKind) -> bool {
        let needs = uses(record, kind);
        let Some(view) = self.view.nodes.get(&node) else {
            return false;
        };
        view.troubles.iter().any(|t| {
            let Some((project, other)) = t.component.rsplit_once('.') else {
                return false;
            };
            let (Some(other_record), Ok(other)) = (self.state.projects.get(project), other.parse()) else {
                return false;
            };
            uses(other_record, other).any(|id| needs.clone().any(|mine| mine == id))
        })
    }
}

/// The data sources that a component talks to.
fn uses(record: &ProjectRecord, kind: ComponentKind) -> impl Iterator<Item = &str> + Clone {
    let (source, destination) = match kind {
        ComponentKind::Store => (true, false),
        ComponentKind::IncrSync => (false, true),
        ComponentKind::Precheck
        | ComponentKind::SchemaMigration
        | ComponentKind::FullImport
        | ComponentKind::FullVerification
        | ComponentKind::Switchover => (true, true),
    };
    let source = source.then_some(record.source_id.as_str());
    let destination = destination.then_some(record.destination_id.as_str());
    source.into_iter().chain(destination)
}

pub(super) fn prefix(why: &Why) -> Option<&str> {
    match why {
        Why::Start => None,
        Why::Lost(words) | Why::CannotRun(words) | Why::Drain(words) => Some(words),
    }
}
