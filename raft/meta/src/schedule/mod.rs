//! Who does what.
//!
//! The scheduler is a function of the replicated state, the leader's view and the time. It remembers nothing: what it
//! must know about earlier moves stands in the components' records.

mod forced;
mod placement;
mod policy;
mod rebalance;
mod reconcile;
mod room;

use std::collections::{BTreeMap, BTreeSet};

use oms_proto::meta::{AssignComponent, Desired, command::Body};

use crate::{MetaCommand, MetaState, component::is_live, view::ClusterView};

pub use policy::SchedulePolicy;

use placement::Plan;

/// The commands that are due now: [`SchedulePolicy::plan`] with the default policy.
pub fn schedule(state: &MetaState, view: &ClusterView, now_ms: i64) -> Vec<MetaCommand> {
    SchedulePolicy::default().plan(state, view, now_ms)
}

impl SchedulePolicy {
    /// The commands that bring every project one move closer to what its user wants, the urgent ones first:
    ///
    /// 1. components leave nodes that are gone, drained, or cannot reach a database;
    /// 2. of every other project, the next step; where quotas leave no room for what captures or applies changes, a
    ///    verification makes room;
    /// 3. why components wait, where that changed;
    /// 4. if nothing else is due, one move to a better place.
    ///
    /// Level triggered: it may run at any time, on stale views and twice, because each command names the epoch or
    /// version that it was computed from. To be run by the leader; call it again when the commands were carried out.
    /// `now_ms` is the leader's wall clock, which only moves that could wait depend on.
    pub fn plan(&self, state: &MetaState, view: &ClusterView, now_ms: i64) -> Vec<MetaCommand> {
        let mut plan = Plan::new(state, view, self, now_ms);
        let mut commands = Vec::new();
        let mut busy = BTreeSet::new();
        for record in state.projects() {
            let forced = plan.forced(record);
            if !forced.is_empty() {
                busy.insert(crate::state::project_id(record));
            }
            commands.extend(forced);
        }
        for record in state.projects() {
            if !busy.contains(crate::state::project_id(record)) {
                commands.extend(plan.next_move(record));
            }
        }
        let due = !commands.is_empty();
        // Who makes room is told to stop before another is told to start.
        commands.splice(0..0, plan.stops());
        commands.extend(plan.waiting_changes());
        if !due {
            commands.extend(plan.rebalance());
        }
        commands
    }
}

impl Plan<'_> {
    /// The commands that say why components wait, or that they do no more.
    fn waiting_changes(&self) -> Vec<MetaCommand> {
        let mut said: BTreeMap<(&str, &str), (&str, u64)> = BTreeMap::new();
        for record in self.state.projects() {
            let project = crate::state::project_id(record);
            for c in &record.components {
                let text = c.waiting.as_str();
                // Only who runs or should run waits for something.
                if !text.is_empty() || (c.desired() == Desired::Run && is_live(c)) {
                    said.insert((project, c.kind.as_str()), (text, c.epoch));
                }
            }
        }
        let change = |project: &str, kind: &str, epoch, text: &str| {
            Body::AssignComponent(AssignComponent {
                project: project.to_owned(),
                kind: kind.to_owned(),
                expected_epoch: epoch,
                waiting: text.to_owned(),
                ..Default::default()
            })
        };
        let mut commands = Vec::new();
        for ((project, kind), (text, epoch)) in &said {
            let key = ((*project).to_owned(), (*kind).to_owned());
            match self.waiting.get(&key) {
                Some(None) => {}
                Some(Some(now)) if now == text => {}
                Some(Some(now)) => commands.push(change(project, kind, *epoch, now)),
                None if text.is_empty() => {}
                None => commands.push(change(project, kind, *epoch, "")),
            }
        }
        for ((project, kind), text) in &self.waiting {
            let (Some(text), false) = (text, said.contains_key(&(project.as_str(), kind.as_str()))) else {
                continue;
            };
            let epoch = self
                .state
                .projects
                .get(project)
                .and_then(|r| r.components.iter().find(|c| c.kind == *kind))
                .map_or(0, |c| c.epoch);
            commands.push(change(project, kind, epoch, text));
        }
        commands
    }
}
