//! Commands on the components of projects.

use std::sync::Arc;

use oms_proto::{
    meta::{
        AssignComponent, ComponentFacts, ComponentRecord, Desired, FreezeComponent, ProjectRecord,
        RaiseEpochs, ReportComponent,
    },
    v1::{ComponentState, ProjectState, StepState},
};
use oms_types::{ComponentKind, codes};

use crate::{
    changes::note_removal,
    node::is_removed,
    project::{bump, touch},
    state::{MetaState, Outcome, refuse},
    switchover::forward_stopped,
};

/// A component that was with its node for this long ran well there: what it avoided before is forgotten
/// with its next failover.
pub(crate) const RAN_WELL_MS: i64 = 600_000;
/// Nodes that a component remembers to avoid.
const MAX_AVOID: usize = 16;
/// Characters of a reason to freeze.
const MAX_REASON: usize = 500;

impl MetaState {
    pub(crate) fn assign_component(&mut self, now: i64, c: &AssignComponent) -> Outcome {
        if c.raise_epoch {
            self.takes_components(c.node)?;
        }
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        if c.kind.parse::<ComponentKind>().is_err() {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!("{:?} is not a component", c.kind),
            );
        }
        let at = record.components.iter().position(|k| k.kind == c.kind);
        let current = at.and_then(|i| record.components.get(i)).map_or(0, |k| k.epoch);
        if current != c.expected_epoch {
            return refuse(
                codes::api::CONFLICT,
                format!("the epoch is {current}, not {}", c.expected_epoch),
            );
        }
        if c.raise_epoch {
            still_wanted(record, at.and_then(|i| record.components.get(i)), c)?;
        }
        let mut component = at
            .and_then(|i| record.components.get(i))
            .cloned()
            .unwrap_or(ComponentRecord {
                kind: c.kind.clone(),
                ..Default::default()
            });
        if c.desired() != Desired::Unspecified {
            component.desired = c.desired;
        }
        component.updated_at_ms = now;
        if c.raise_epoch {
            let moves = component.epoch != 0 && component.node != c.node;
            // What is to be removed may go anywhere: it does not run there.
            if moves && !component.frozen_reason.is_empty() && c.desired() != Desired::Remove {
                return refuse(
                    codes::cluster::COMPONENT_FROZEN,
                    format!(
                        "{}.{} is frozen to node {}: {}",
                        c.project, c.kind, component.node, component.frozen_reason
                    ),
                );
            }
            let was_live = is_live(&component);
            let ran_well = elapsed(now, component.assigned_at_ms, RAN_WELL_MS);
            if c.by_user || !was_live && !c.failover || ran_well {
                component.avoid.clear();
            }
            if c.failover {
                note_failover(&mut component, c.avoid_former);
            } else if moves && was_live {
                component.moved_at_ms = now;
            }
            component.by_user = c.by_user;
            component.waiting.clear();
            component.node = c.node;
            component.step = c.step;
            component.epoch = current.saturating_add(1);
            component.set_state(ComponentState::Assigned);
            component.error = None;
            component.removed = false;
            component.assigned_at_ms = now;
            component.placed_because.clone_from(&c.because);
        } else {
            component.waiting.clone_from(&c.waiting);
        }
        let epoch = component.epoch;
        match at.and_then(|i| record.components.get_mut(i)) {
            Some(slot) => *slot = component,
            None => record.components.push(component),
        }
        bump(record, now)?;
        Ok(epoch)
    }

    /// Refuses nodes that never run components, whoever asks.
    fn takes_components(&self, node: u64) -> Outcome {
        match self.node(node) {
            None => refuse(codes::api::NOT_FOUND, format!("node {node} does not exist")),
            Some(n) if is_removed(n) => refuse(
                codes::cluster::NODE_REMOVED,
                format!("node {node} was removed from the cluster"),
            ),
            Some(n) if n.witness => refuse(
                codes::cluster::NO_SUITABLE_NODE,
                format!("node {node} is a witness: it only votes"),
            ),
            Some(_) => Ok(0),
        }
    }

    pub(crate) fn report_component(&mut self, now: i64, c: &ReportComponent) -> Outcome {
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        let Some(component) = record.components.iter_mut().find(|k| k.kind == c.kind) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("{} has no component {}", c.project, c.kind),
            );
        };
        if component.epoch != c.epoch {
            return refuse(
                codes::apply::FENCED,
                format!(
                    "the epoch of {}.{} is {}, not {}",
                    c.project, c.kind, component.epoch, c.epoch
                ),
            );
        }
        if c.state() != ComponentState::Unspecified {
            component.state = c.state;
            component.error.clone_from(&c.error);
        }
        // A removal that failed says why and is tried again; one that succeeded or was given up has no error.
        let removes = component.desired() == Desired::Remove && (c.removed || c.error.is_some());
        if removes && c.state() == ComponentState::Unspecified {
            component.error = c.error.clone().filter(|_| !c.removed);
        }
        let given_up = c.removed && !component.removed && !c.left_behind.is_empty();
        component.removed |= c.removed;
        component.updated_at_ms = now;
        if let Some(facts) = &c.facts {
            merge_facts(component.facts.get_or_insert_default(), facts);
            if c.kind == ComponentKind::IncrSync.as_str()
                && let Some(project) = record.public.as_mut()
            {
                note_removal(project, &facts.applied);
            }
        }
        if removes {
            let error = record.components.iter().find_map(|k| {
                let left = k.desired() == Desired::Remove && !k.removed;
                k.error.clone().filter(|_| left)
            });
            if let Some(project) = record.public.as_mut() {
                project.error = error;
                if given_up {
                    project.left_behind.push(c.left_behind.clone());
                }
            }
        }
        bump(record, now)
    }

    pub(crate) fn freeze_component(&mut self, now: i64, c: &FreezeComponent) -> Outcome {
        if c.reason.chars().count() > MAX_REASON {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!("a reason has at most {MAX_REASON} characters"),
            );
        }
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        let Some(component) = record.components.iter_mut().find(|k| k.kind == c.kind) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("{} has no component {}", c.project, c.kind),
            );
        };
        c.reason.trim().clone_into(&mut component.frozen_reason);
        component.updated_at_ms = now;
        bump(record, now)
    }

    /// Every component gets a higher epoch and is started anew by its node.
    pub(crate) fn raise_epochs(&mut self, now: i64, c: &RaiseEpochs) -> Outcome {
        if c.by == 0 {
            return refuse(codes::api::INVALID_ARGUMENT, "epochs are raised by at least 1");
        }
        for record in self.projects.values_mut() {
            if record.components.is_empty() {
                continue;
            }
            let record = Arc::make_mut(record);
            for component in &mut record.components {
                component.epoch = component.epoch.saturating_add(c.by);
                component.updated_at_ms = now;
                if is_live(component) {
                    component.set_state(ComponentState::Assigned);
                    component.assigned_at_ms = now;
                }
            }
            if let Some(project) = record.public.as_mut() {
                touch(project, now)?;
            }
        }
        Ok(c.by)
    }
}

/// Whether `limit` has passed since `at`. Times come from the clocks of several leaders: one that lies further in
/// the future than the limit is wrong, and nothing waits for it.
pub(crate) fn elapsed(now_ms: i64, at_ms: i64, limit: i64) -> bool {
    now_ms.saturating_sub(at_ms).saturating_abs() >= limit
}

/// Whether its owner runs it or is about to.
pub(crate) fn is_live(component: &ComponentRecord) -> bool {
    matches!(
        component.state(),
        ComponentState::Assigned | ComponentState::Running
    )
}

/// Refuses an assignment that a user overtook: the epoch does not tell that a project was paused or released, a step
/// skipped.
fn still_wanted(record: &ProjectRecord, current: Option<&ComponentRecord>, c: &AssignComponent) -> Outcome {
    let Some(project) = &record.public else {
        return refuse(codes::api::INTERNAL, "the project's record is empty");
    };
    let desired = current.map_or(Desired::Unspecified, ComponentRecord::desired);
    let skipped = project
        .steps
        .iter()
        .any(|s| s.kind == c.step && s.state() == StepState::Skipped);
    let ended = forward_stopped(project)
        && [ComponentKind::Store.as_str(), ComponentKind::IncrSync.as_str()].contains(&c.kind.as_str());
    let wanted = match (c.desired(), project.state()) {
        (Desired::Run, _) if ended => false,
        (Desired::Remove, _) if ended && desired == Desired::Remove => true,
        (Desired::Remove, state) => state == ProjectState::Releasing,
        (
            Desired::Run,
            ProjectState::Running | ProjectState::RunningModifying | ProjectState::RunningMerging,
        ) => !skipped,
        (Desired::Run, ProjectState::Suspend) if c.kind == ComponentKind::Store.as_str() => true,
        (Desired::Run, ProjectState::Suspend | ProjectState::Failed | ProjectState::Finished) => {
            desired == Desired::Run
        }
        _ => false,
    };
    if wanted {
        Ok(0)
    } else {
        refuse(
            codes::api::CONFLICT,
            format!(
                "project {} is {} and does not want {} there",
                c.project,
                project.state().name(),
                c.kind
            ),
        )
    }
}

/// Whether the node that it left is to be avoided from now on.
fn note_failover(component: &mut ComponentRecord, avoid_former: bool) {
    component.failovers = component.failovers.saturating_add(1);
    if avoid_former && !component.avoid.contains(&component.node) {
        component.avoid.push(component.node);
        let excess = component.avoid.len().saturating_sub(MAX_AVOID);
        component.avoid.drain(..excess);
    }
}

fn merge_facts(into: &mut ComponentFacts, from: &ComponentFacts) {
    let take = |a: &mut String, b: &String| {
        if !b.is_empty() {
            a.clone_from(b);
        }
    };
    take(&mut into.store_start, &from.store_start);
    take(&mut into.safe_until, &from.safe_until);
    take(&mut into.summary, &from.summary);
    take(&mut into.applied, &from.applied);
    take(&mut into.settled, &from.settled);
    if !from.snapshots.is_empty() {
        into.snapshots.clone_from(&from.snapshots);
    }
    into.caught_up |= from.caught_up;
    if from.verification.is_some() {
        into.verification = from.verification;
    }
}
