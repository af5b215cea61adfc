//! How the objects of a sub-project join their project: hold, drain, join.

use oms_proto::{
    meta::{ComponentRecord, JoinObjects, ProjectRecord, SnapshotPosition, command::Body},
    v1::{JoinPhase, ObjectChangeState, Project, ProjectState, StepKind},
};
use oms_types::{ComponentKind, codes};

use super::{begin_anew, end, is_under_way, public, spec};
use crate::{
    MetaCommand,
    project::{bump, release, running_state},
    state::{MetaState, Outcome, refuse},
    steps::is_passed,
};

/// The next move.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Move {
    /// The project's incremental synchronization settles.
    Hold,
    /// That of the sub-project settles, not before this position.
    Drain(String),
    /// The project takes the objects in, behind this position.
    Join(String),
}

fn incr_sync(record: &ProjectRecord) -> Option<&ComponentRecord> {
    record
        .components
        .iter()
        .find(|c| c.kind == ComponentKind::IncrSync.as_str())
}

/// Where incremental synchronization has settled, if it has.
pub(crate) fn settled(record: &ProjectRecord) -> Option<&String> {
    let facts = incr_sync(record)?.facts.as_ref()?;
    Some(&facts.settled).filter(|p| record.settle && !p.is_empty())
}

/// Whether everything that the project does to its own rows before it only follows has been done.
fn follows(project: &Project) -> bool {
    project
        .steps
        .iter()
        .filter(|s| s.kind() != StepKind::FullVerifier)
        .all(|s| is_passed(s.state()))
}

/// What is due, if anything. A function of both records: proposed by the controller, checked again when applied.
fn due(parent: &ProjectRecord, sub: &ProjectRecord) -> Option<Move> {
    let (project, sub_project) = (parent.public.as_ref()?, sub.public.as_ref()?);
    let runs = matches!(
        project.state(),
        ProjectState::RunningModifying | ProjectState::RunningMerging
    );
    let sub_runs = matches!(
        sub_project.state(),
        ProjectState::Running | ProjectState::Finished
    );
    if !runs || !sub_runs {
        return None;
    }
    let change = project.changes.last().filter(|c| is_under_way(c))?;
    match change.phase() {
        JoinPhase::Unspecified => {
            let ready = sub_project.steps.iter().all(|s| is_passed(s.state())) && follows(project);
            let continues = sub_project
                .steps
                .iter()
                .any(|s| s.kind() == StepKind::IncrTransfer);
            match (ready, continues) {
                (false, _) => None,
                (true, true) => Some(Move::Hold),
                // Nothing follows the rows: there is no position to agree on.
                (true, false) if sub_project.state() == ProjectState::Finished => {
                    Some(Move::Join(String::new()))
                }
                (true, false) => None,
            }
        }
        JoinPhase::Hold => settled(parent).map(|p| Move::Drain(p.clone())),
        JoinPhase::Drain => settled(sub).map(|p| Move::Join(p.clone())),
    }
}

/// The command that brings objects closer to their project, if that is its turn.
pub(crate) fn next_join(state: &MetaState, record: &ProjectRecord, project: &Project) -> Option<MetaCommand> {
    let change = project.changes.last().filter(|c| is_under_way(c))?;
    let sub = state.projects.get(&change.sub_project)?;
    due(record, sub)?;
    Some(Body::JoinObjects(JoinObjects {
        project: project.id.clone(),
        expected_version: project.version,
        number: change.number,
    }))
}

/// Incremental synchronization begins anew, to settle or to go on; what it said before no longer counts.
pub(crate) fn restart(record: &mut ProjectRecord, now: i64, settle: bool, behind: &str) {
    record.settle = settle;
    behind.clone_into(&mut record.settle_behind);
    for component in &mut record.components {
        if component.kind == ComponentKind::IncrSync.as_str() {
            begin_anew(component, now);
            if let Some(facts) = component.facts.as_mut() {
                facts.settled.clear();
            }
        }
    }
}

/// The objects of the sub-project are the project's from now on; it applies their changes behind the position.
pub(super) fn take_in(record: &mut ProjectRecord, sub: &ProjectRecord, position: &str) {
    let added = |database: &str, table: &str| {
        sub.selection
            .iter()
            .filter_map(|o| o.source.as_ref())
            .any(|s| s.database == database && s.table == table)
    };
    let is_added = |j: &SnapshotPosition| j.table.as_ref().is_some_and(|t| added(&t.database, &t.table));
    record.joined.retain(|j| !is_added(j));
    if !position.is_empty() {
        let names = sub.selection.iter().filter(|o| !o.view);
        record.joined.extend(
            names
                .filter_map(|o| o.source.clone())
                .map(|table| SnapshotPosition {
                    table: Some(table),
                    position: position.to_owned(),
                }),
        );
    }
    record.selection.extend(sub.selection.iter().cloned());
    record.objects.retain(|o| !added(&o.database, &o.table));
    record
        .objects
        .extend(sub.objects.iter().filter(|o| !o.table.is_empty()).cloned());
    record.verified_tables.retain(|t| !added(&t.database, &t.table));
    record.verified_tables.extend(sub.verified_tables.iter().cloned());
    let of_sub = sub.public.as_ref().and_then(|p| p.spec.as_ref());
    if let (Some(spec), Some(of_sub)) = (record.public.as_mut().and_then(|p| p.spec.as_mut()), of_sub) {
        spec::add_to(spec, &of_sub.databases, &sub.selection, &record.selection);
    }
}

impl MetaState {
    pub(crate) fn join_objects(&mut self, now: i64, c: &JoinObjects) -> Outcome {
        let Some(parent) = self.projects.get(&c.project).cloned() else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        let project = public(&parent)?;
        let change = project.changes.last().filter(|k| k.number == c.number);
        let sub = change.and_then(|k| self.projects.get(&k.sub_project)).cloned();
        let next = match &sub {
            Some(sub) if project.version == c.expected_version => due(&parent, sub),
            _ => None,
        };
        let (Some(next), Some(sub), Some(change)) = (next, sub, change) else {
            return refuse(codes::api::CONFLICT, "the project has changed");
        };
        let sub_id = change.sub_project.clone();
        if let Some(record) = self.project_mut(&sub_id) {
            match &next {
                Move::Hold => {}
                Move::Drain(behind) => restart(record, now, true, behind),
                Move::Join(_) => release(record, false),
            }
            bump(record, now)?;
        }
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(codes::api::INTERNAL, "the project is gone");
        };
        match &next {
            Move::Hold => restart(record, now, true, ""),
            Move::Drain(_) => {}
            Move::Join(position) => {
                take_in(record, &sub, position);
                if !position.is_empty() {
                    restart(record, now, false, "");
                }
            }
        }
        if let Some(project) = record.public.as_mut() {
            if let Some(change) = project.changes.last_mut() {
                match next {
                    Move::Hold => {
                        change.set_state(ObjectChangeState::Integrating);
                        change.set_phase(JoinPhase::Hold);
                    }
                    Move::Drain(_) => change.set_phase(JoinPhase::Drain),
                    Move::Join(position) => {
                        end(change, ObjectChangeState::Succeeded, now);
                        change.position = position;
                    }
                }
            }
            project.set_state(running_state(project));
        }
        bump(record, now)
    }
}
