//! Objects that are added to projects and removed from them. The argument is in `node/docs/changing-projects.md`.

mod join;
mod spec;

use std::sync::Arc;

use oms_proto::{
    meta::{AddObjects, ComponentRecord, DecideObjectChange, ProjectChange, ProjectRecord, RemoveObjects},
    v1::{
        ChangedObject, ComponentState, DdlSynchronization, JoinPhase, ObjectChange, ObjectChangeDecision,
        ObjectChangeKind, ObjectChangeState, Project, ProjectState,
    },
};
use oms_types::{ComponentKind, codes};

use crate::{
    component::is_live,
    project::{bump, release, resume, running_state, suspend, touch},
    state::{MetaState, Outcome, refuse},
    steps_of,
    switchover::{forward_stopped, under_way},
};

pub(crate) use join::{next_join, restart, settled};

/// Changes that a project remembers.
const REMEMBERED: usize = 100;
/// Names in a message.
const LISTED: usize = 5;

/// Whether it has begun and not ended.
pub(crate) fn is_under_way(c: &ObjectChange) -> bool {
    matches!(
        c.state(),
        ObjectChangeState::Running | ObjectChangeState::Integrating | ObjectChangeState::Failed
    )
}

/// Whether it has not ended.
fn is_open(c: &ObjectChange) -> bool {
    is_under_way(c) || c.state() == ObjectChangeState::Pending
}

/// Where incremental synchronization stood when it went on without objects that were removed: its first note afterwards,
/// which no former owner can make, because the removal raised the epoch.
pub(crate) fn note_removal(project: &mut Project, applied: &str) {
    for change in &mut project.changes {
        if change.kind() == ObjectChangeKind::Remove && change.position.is_empty() {
            applied.clone_into(&mut change.position);
        }
    }
}

/// The component begins anew under a higher epoch, wherever it is: with what the record says from now on.
pub(crate) fn begin_anew(component: &mut ComponentRecord, now: i64) {
    component.epoch = component.epoch.saturating_add(1);
    component.updated_at_ms = now;
    if is_live(component) {
        component.set_state(ComponentState::Assigned);
        component.assigned_at_ms = now;
    }
}

fn public(record: &ProjectRecord) -> Result<&Project, (oms_types::ErrorCode, String)> {
    record
        .public
        .as_ref()
        .ok_or_else(|| (codes::api::INTERNAL, "the project's record is empty".to_owned()))
}

/// Refuses to change the objects of a project that does not select by name, or that has no objects of its own.
fn takes_changes(project: &Project, allowed: &[ProjectState]) -> Outcome {
    if !project.parent.is_empty() {
        return refuse(
            codes::api::WRONG_STATE,
            format!("it moves objects that were added to project {}", project.parent),
        );
    }
    if project.spec.as_ref().is_none_or(|s| s.rules.is_some()) {
        return refuse(
            codes::api::WRONG_STATE,
            "the project selects by rules; only objects of projects that select by name can be added and removed",
        );
    }
    let follows = project
        .spec
        .as_ref()
        .and_then(|s| s.incremental)
        .is_some_and(|i| i.ddl() == DdlSynchronization::Follow);
    // What joins would come without the definitions of its position.
    if follows && project.state() != ProjectState::Init {
        return refuse(
            codes::api::WRONG_STATE,
            "the project follows statements that define tables (`incremental.ddl: follow`), which add and remove its \
             tables; objects cannot be added and removed by hand",
        );
    }
    if let Some(open) = project.changes.last().filter(|c| is_open(c)) {
        return refuse(
            codes::api::WRONG_STATE,
            format!(
                "change {} of its objects is {}; one change at a time: wait for it, cancel it or abort it",
                open.number,
                open.state().name()
            ),
        );
    }
    if under_way(project).is_some() || forward_stopped(project) {
        return refuse(
            codes::api::WRONG_STATE,
            "the project switches over or has done so; its objects do not change any more",
        );
    }
    if !allowed.contains(&project.state()) {
        let names: Vec<_> = allowed.iter().map(|s| s.name()).collect();
        return refuse(
            codes::api::WRONG_STATE,
            format!(
                "the project is {}; this is possible in {}",
                project.state().name(),
                names.join(", ")
            ),
        );
    }
    Ok(0)
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn quoted(database: &str, table: &str) -> String {
    format!("`{database}`.`{table}`")
}

fn changed(record: &ProjectRecord) -> Vec<ChangedObject> {
    record
        .selection
        .iter()
        .filter_map(|o| {
            let (source, destination) = (o.source.as_ref()?, o.destination.as_ref()?);
            Some(ChangedObject {
                database: source.database.clone(),
                table: source.table.clone(),
                destination_database: destination.database.clone(),
                destination_table: destination.table.clone(),
                view: o.view,
            })
        })
        .collect()
}

/// Puts a change behind the others.
fn remember(project: &mut Project, change: ObjectChange) {
    let number = project.changes.last().map_or(0, |c| c.number).saturating_add(1);
    project.changes.push(ObjectChange { number, ..change });
    let excess = project.changes.len().saturating_sub(REMEMBERED);
    project.changes.drain(..excess);
}

fn end(change: &mut ObjectChange, state: ObjectChangeState, now: i64) {
    change.set_state(state);
    change.set_phase(JoinPhase::Unspecified);
    change.finished_at_ms = now;
    change.error = None;
}

impl MetaState {
    pub(crate) fn add_objects(&mut self, now: i64, c: &AddObjects) -> Outcome {
        let Some(parent) = self.projects.get(&c.project).cloned() else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        let project = public(&parent)?;
        self.has_fixed_objects(project)?;
        use ProjectState as S;
        takes_changes(project, &[S::Init, S::Running, S::Suspend])?;
        let Some((mut sub, id, spec)) = c.sub_project.clone().and_then(|r| {
            let p = r.public.as_ref()?;
            let (id, spec) = (p.id.clone(), p.spec.clone()?);
            Some((r, id, spec))
        }) else {
            return refuse(codes::api::INVALID_ARGUMENT, "the objects are missing");
        };
        if sub.selection.is_empty() {
            return refuse(codes::api::INVALID_ARGUMENT, "nothing is to be added");
        }
        let selected: Vec<String> = sub
            .selection
            .iter()
            .filter_map(|o| o.source.as_ref())
            .filter(|s| parent.selection.iter().any(|o| o.source.as_ref() == Some(s)))
            .map(|s| quoted(&s.database, &s.table))
            .collect();
        if !selected.is_empty() {
            return refuse(
                codes::api::ALREADY_EXISTS,
                format!("the project moves {} already", listed(&selected)),
            );
        }
        sub.source_id.clone_from(&parent.source_id);
        sub.destination_id.clone_from(&parent.destination_id);
        if let Some(refusal) = self.overlap(&sub) {
            return Err(refusal);
        }
        let state = project.state();
        let mut change = ObjectChange {
            kind: ObjectChangeKind::Add as i32,
            objects: changed(&sub),
            requested_at_ms: now,
            ..Default::default()
        };
        if state == S::Init {
            end(&mut change, ObjectChangeState::Succeeded, now);
            let Some(record) = self.project_mut(&c.project) else {
                return refuse(codes::api::INTERNAL, "the project is gone");
            };
            join::take_in(record, &sub, "");
            if let Some(project) = record.public.as_mut() {
                remember(project, change);
            }
            return bump(record, now);
        }
        if id.is_empty() || self.projects.contains_key(&id) || self.project(&spec.name).is_some() {
            return refuse(
                codes::api::ALREADY_EXISTS,
                format!("project {:?} exists", spec.name),
            );
        }
        change.sub_project.clone_from(&id);
        change.set_state(ObjectChangeState::Pending);
        if let Some(p) = sub.public.as_mut() {
            *p = Project {
                id: id.clone(),
                steps: steps_of(&spec),
                spec: Some(spec),
                state: S::Init as i32,
                version: 1,
                created_at_ms: now,
                updated_at_ms: now,
                parent: c.project.clone(),
                ..Default::default()
            };
        }
        sub.components.clear();
        self.projects.insert(id, Arc::new(sub));
        if let Some(project) = self.project_mut(&c.project).and_then(|r| r.public.as_mut()) {
            remember(project, change);
        }
        if state == S::Running {
            self.begin_pending(now, &c.project);
        }
        self.touched(now, &c.project)
    }

    pub(crate) fn remove_objects(&mut self, now: i64, c: &RemoveObjects) -> Outcome {
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        use ProjectState as S;
        takes_changes(public(record)?, &[S::Init, S::Running, S::Suspend, S::Failed])?;
        let wanted = |database: &str, table: &str| {
            c.objects
                .iter()
                .any(|o| o.database == database && o.table == table)
        };
        let unknown: Vec<String> = c
            .objects
            .iter()
            .filter(|o| !record.selection.iter().any(|s| s.source.as_ref() == Some(o)))
            .map(|o| quoted(&o.database, &o.table))
            .collect();
        if c.objects.is_empty() || !unknown.is_empty() {
            return refuse(
                codes::api::NOT_FOUND,
                match unknown.is_empty() {
                    true => "name the objects to remove".to_owned(),
                    false => format!(
                        "the project does not move {}; nothing is removed",
                        listed(&unknown)
                    ),
                },
            );
        }
        let removed = |o: &oms_proto::meta::SelectedObject| {
            o.source.as_ref().is_some_and(|s| wanted(&s.database, &s.table))
        };
        if record.selection.iter().all(removed) {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "nothing would be left of the project; release it instead",
            );
        }
        // The rows of one could not be told from those of the others.
        let merged: Vec<String> = record
            .selection
            .iter()
            .filter(|o| removed(o))
            .filter(|o| {
                let stays = |other: &&oms_proto::meta::SelectedObject| {
                    !removed(other) && other.destination == o.destination
                };
                record.selection.iter().any(|other| stays(&other))
            })
            .filter_map(|o| o.source.as_ref())
            .map(|s| quoted(&s.database, &s.table))
            .collect();
        if !merged.is_empty() {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!(
                    "{} are merged with tables that would stay; remove all that go to one table, or none",
                    listed(&merged)
                ),
            );
        }
        let gone = ProjectRecord {
            selection: record.selection.iter().filter(|o| removed(o)).cloned().collect(),
            ..Default::default()
        };
        record.selection.retain(|o| !removed(o));
        record
            .joined
            .retain(|j| j.table.as_ref().is_none_or(|t| !wanted(&t.database, &t.table)));
        record.objects.retain(|o| !wanted(&o.database, &o.table));
        record.verified_tables.retain(|t| !wanted(&t.database, &t.table));
        for component in &mut record.components {
            // The log goes on holding everything; all others work on the selection.
            if component.kind != ComponentKind::Store.as_str() {
                begin_anew(component, now);
            }
        }
        let change = ObjectChange {
            kind: ObjectChangeKind::Remove as i32,
            state: ObjectChangeState::Succeeded as i32,
            objects: changed(&gone),
            requested_at_ms: now,
            finished_at_ms: now,
            ..Default::default()
        };
        let left = record.selection.clone();
        if let Some(project) = record.public.as_mut() {
            if let Some(spec) = project.spec.as_mut() {
                spec::take_out(spec, &change.objects, &left);
            }
            remember(project, change);
        }
        bump(record, now)
    }

    pub(crate) fn decide_object_change(&mut self, now: i64, c: &DecideObjectChange) -> Outcome {
        let Some(project) = self.projects.get(&c.project).and_then(|r| r.public.as_ref()) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        let Some(change) = project.changes.last().filter(|c| is_open(c)) else {
            return refuse(codes::api::WRONG_STATE, "no change of its objects is under way");
        };
        use ObjectChangeState as S;
        let (state, phase, sub) = (change.state(), change.phase(), change.sub_project.clone());
        let early = phase == JoinPhase::Unspecified;
        let runs = matches!(
            project.state(),
            ProjectState::RunningModifying | ProjectState::RunningMerging
        );
        let to = match c.decision() {
            ObjectChangeDecision::Unspecified => {
                return refuse(codes::api::INVALID_ARGUMENT, "the decision is not named");
            }
            ObjectChangeDecision::Cancel if state == S::Pending => {
                self.projects.remove(&sub);
                S::Canceled
            }
            ObjectChangeDecision::Abort if early && matches!(state, S::Running | S::Failed) => {
                if let Some(record) = self.project_mut(&sub) {
                    release(record, false);
                    bump(record, now)?;
                }
                S::Aborted
            }
            ObjectChangeDecision::Retry if state == S::Failed && runs => {
                if let Some(record) = self.project_mut(&sub) {
                    resume(record);
                    bump(record, now)?;
                }
                if early { S::Running } else { S::Integrating }
            }
            ObjectChangeDecision::Cancel | ObjectChangeDecision::Abort | ObjectChangeDecision::Retry => {
                return refuse(
                    codes::api::WRONG_STATE,
                    format!(
                        "the change is {}{} and the project {}; PENDING can be cancelled, RUNNING aborted, FAILED retried \
                         while the project runs and aborted before it integrates",
                        state.name(),
                        if early { "" } else { " (integrating)" },
                        project.state().name()
                    ),
                );
            }
        };
        if let Some(project) = self.project_mut(&c.project).and_then(|r| r.public.as_mut()) {
            if let Some(change) = project.changes.last_mut() {
                if matches!(to, S::Canceled | S::Aborted) {
                    end(change, to, now);
                } else {
                    change.set_state(to);
                    change.error = None;
                }
            }
            if runs {
                project.set_state(running_state(project));
            }
        }
        self.touched(now, &c.project)
    }

    /// Whether the sub-project has objects that its project still waits for.
    pub(crate) fn adds_objects(&self, parent: &str, sub: &str) -> bool {
        let project = self.projects.get(parent).and_then(|r| r.public.as_ref());
        project.is_some_and(|p| p.changes.iter().any(|c| c.sub_project == sub && is_open(c)))
    }

    /// A sub-project rests, goes on and ends with its project.
    pub(crate) fn follow_parent(&mut self, now: i64, id: &str, change: ProjectChange, force: bool) {
        let open = self.projects.get(id).and_then(|r| {
            let change = r.public.as_ref()?.changes.last().filter(|c| is_open(c))?;
            Some((change.sub_project.clone(), change.state()))
        });
        if change == ProjectChange::Release && force {
            self.force_sub_projects(id);
        }
        let Some((sub, state)) = open else {
            return;
        };
        let sub_state = self
            .projects
            .get(&sub)
            .and_then(|r| r.public.as_ref())
            .map(Project::state);
        let mut ended = None;
        match (change, sub_state) {
            (ProjectChange::Pause, Some(ProjectState::Running | ProjectState::Finished)) => {
                self.with_sub(now, &sub, suspend);
            }
            (ProjectChange::Resume, _) if state == ObjectChangeState::Pending => self.begin_pending(now, id),
            (ProjectChange::Resume, Some(ProjectState::Suspend)) => self.with_sub(now, &sub, resume),
            (ProjectChange::Release, Some(ProjectState::Init)) => {
                self.projects.remove(&sub);
                ended = Some(ObjectChangeState::Canceled);
            }
            (ProjectChange::Release, _) => {
                self.with_sub(now, &sub, |record| release(record, force));
                ended = Some(ObjectChangeState::Aborted);
            }
            _ => {}
        }
        let change = self
            .project_mut(id)
            .and_then(|r| r.public.as_mut()?.changes.last_mut());
        if let (Some(to), Some(change)) = (ended, change) {
            end(change, to, now);
        }
    }

    fn with_sub(&mut self, now: i64, id: &str, change: impl FnOnce(&mut ProjectRecord)) {
        if let Some(record) = self.project_mut(id) {
            change(record);
            if let Some(project) = record.public.as_mut() {
                // A touch of a record that is there is never refused.
                let _ = touch(project, now);
            }
        }
    }

    fn force_sub_projects(&mut self, parent: &str) {
        for record in self.projects.values_mut() {
            let of_it = record
                .public
                .as_ref()
                .is_some_and(|p| p.parent == parent && p.state() == ProjectState::Releasing);
            if of_it {
                Arc::make_mut(record).release_forced = true;
            }
        }
    }

    /// The sub-project of a pending change starts.
    fn begin_pending(&mut self, now: i64, id: &str) {
        let Some(project) = self.project_mut(id).and_then(|r| r.public.as_mut()) else {
            return;
        };
        let Some(change) = project.changes.last_mut() else {
            return;
        };
        change.set_state(ObjectChangeState::Running);
        let sub = change.sub_project.clone();
        project.set_state(running_state(project));
        self.with_sub(now, &sub, |record| {
            if let Some(p) = record.public.as_mut() {
                p.set_state(ProjectState::Running);
                p.started_at_ms = now;
            }
        });
    }

    /// What became of a sub-project is shown with its project's change.
    pub(crate) fn note_sub_project(&mut self, now: i64, id: &str) {
        let Some(sub) = self.projects.get(id).and_then(|r| r.public.as_ref()) else {
            return;
        };
        if sub.parent.is_empty() {
            return;
        }
        let (state, error, parent) = (sub.state(), sub.error.clone(), sub.parent.clone());
        let Some(project) = self.project_mut(&parent).and_then(|r| r.public.as_mut()) else {
            return;
        };
        let Some(change) = project.changes.last_mut().filter(|c| c.sub_project == id) else {
            return;
        };
        use ObjectChangeState as S;
        let to = match (state, change.state()) {
            (ProjectState::Failed, S::Running | S::Integrating) => S::Failed,
            (ProjectState::Running, S::Failed) if change.phase() == JoinPhase::Unspecified => S::Running,
            (ProjectState::Running, S::Failed) => S::Integrating,
            _ => return,
        };
        change.set_state(to);
        change.error = error;
        // As above.
        let _ = touch(project, now);
    }

    fn touched(&mut self, now: i64, id: &str) -> Outcome {
        match self.project_mut(id) {
            Some(record) => bump(record, now),
            None => refuse(codes::api::INTERNAL, "the project is gone"),
        }
    }
}
