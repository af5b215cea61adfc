//! Commands on projects.

use std::sync::Arc;

use oms_proto::{
    meta::{ChangeProject, CreateProject, Desired, ProjectChange, ProjectRecord, StepTransition},
    v1::{ComponentState, JoinPhase, Project, ProjectState, Step, StepKind, StepState},
};
use oms_types::{ComponentKind, codes};

use crate::{
    changes::is_under_way,
    state::{MetaState, Outcome, project_id, refuse},
    steps_of,
    switchover::{abandon, forward_stopped, under_way},
};

impl MetaState {
    pub(crate) fn create_project(&mut self, now: i64, c: &CreateProject) -> Outcome {
        let Some((record, spec, id)) = c.record.as_ref().and_then(|r| {
            let p = r.public.as_ref()?;
            Some((r, p.spec.as_ref()?, p.id.as_str()))
        }) else {
            return refuse(codes::api::INVALID_ARGUMENT, "the project is missing");
        };
        if !(1..=128).contains(&spec.name.chars().count()) {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                "a project's name has 1 to 128 characters",
            );
        }
        if self.project(&spec.name).is_some() || self.projects.contains_key(id) {
            return refuse(
                codes::api::ALREADY_EXISTS,
                format!("project {:?} exists", spec.name),
            );
        }
        for data_source in [&record.source_id, &record.destination_id] {
            if !self.data_sources.contains_key(data_source) {
                return refuse(
                    codes::api::NOT_FOUND,
                    format!("data source {data_source} does not exist"),
                );
            }
        }
        if let Some(refusal) = self.unfit_reverse(record).or_else(|| self.overlap(record)) {
            return Err(refusal);
        }
        let mut record = record.clone();
        record.components.clear();
        if let Some(p) = record.public.as_mut() {
            p.steps = p.spec.as_ref().map(steps_of).unwrap_or_default();
            p.state = ProjectState::Init as i32;
            p.version = 1;
            p.created_at_ms = now;
            p.updated_at_ms = now;
        }
        self.projects.insert(id.to_owned(), Arc::new(record));
        Ok(1)
    }

    pub(crate) fn change_project(&mut self, now: i64, c: &ChangeProject) -> Outcome {
        // Nodes below this level would go on counting as before.
        let fences_runs = self.feature_level() >= 3;
        let Some(record) = self.project_mut(&c.id) else {
            return refuse(codes::api::NOT_FOUND, format!("project {} does not exist", c.id));
        };
        let Some(project) = record.public.as_mut() else {
            return refuse(codes::api::INTERNAL, "the project's record is empty");
        };
        if !project.parent.is_empty() && c.change() != ProjectChange::SkipVerification {
            return refuse(
                codes::api::WRONG_STATE,
                format!(
                    "it moves objects that were added to project {}; `omsnode project objects` decides about them",
                    project.parent
                ),
            );
        }
        refuse_while_switching(project, c)?;
        let state = project.state();
        use ProjectState as S;
        let allowed: &[S] = match c.change() {
            ProjectChange::Unspecified => {
                return refuse(codes::api::INVALID_ARGUMENT, "the change is not named");
            }
            ProjectChange::Start => &[S::Init],
            ProjectChange::Pause => &[S::Running, S::RunningModifying, S::RunningMerging],
            ProjectChange::Resume => &[S::Suspend, S::Failed],
            ProjectChange::Release if c.force => &[S::Suspend, S::Failed, S::Finished, S::Releasing],
            ProjectChange::Release => &[S::Suspend, S::Failed, S::Finished],
            ProjectChange::Verify => &[S::Running, S::Finished],
            ProjectChange::SkipVerification => &[S::Running, S::RunningModifying, S::Failed],
            ProjectChange::Label => &[
                S::Init,
                S::Running,
                S::RunningModifying,
                S::RunningMerging,
                S::Suspend,
                S::Failed,
                S::Finished,
                S::Released,
            ],
        };
        if !allowed.contains(&state) {
            let names: Vec<_> = allowed.iter().map(|s| s.name()).collect();
            return refuse(
                codes::api::WRONG_STATE,
                format!(
                    "the project is {}; this is possible in {}",
                    state.name(),
                    names.join(", ")
                ),
            );
        }
        match c.change() {
            ProjectChange::Unspecified => {}
            ProjectChange::Start => {
                project.set_state(S::Running);
                project.started_at_ms = now;
            }
            ProjectChange::Pause => suspend(record),
            ProjectChange::Resume => resume(record),
            ProjectChange::Release => {
                abandon(record, now);
                release(record, c.force);
            }
            ProjectChange::Verify => {
                if let Some(refusal) = restart_verification(project, now) {
                    return refusal;
                }
                project.set_state(S::Running);
                record.verify_run = record.verify_run.saturating_add(1);
                record.verify_scope = c.verify_scope;
                for component in &mut record.components {
                    if component.kind == ComponentKind::FullVerification.as_str() {
                        component.set_state(ComponentState::Stopped);
                        component.set_desired(Desired::Stop);
                        component.error = None;
                        component.facts = None;
                        // A late report of the former run would end the new one before it began.
                        if fences_runs {
                            component.epoch = component.epoch.saturating_add(1);
                        }
                    }
                }
            }
            ProjectChange::SkipVerification => {
                let Some(step) = project
                    .steps
                    .iter_mut()
                    .find(|s| s.kind() == StepKind::FullVerifier)
                else {
                    return refuse(codes::api::WRONG_STATE, "the project has no verification");
                };
                if !matches!(step.state(), StepState::Running | StepState::Failed) {
                    return refuse(
                        codes::api::WRONG_STATE,
                        format!(
                            "the verification is {}, not RUNNING or FAILED",
                            step.state().name()
                        ),
                    );
                }
                step.set_state(StepState::Skipped);
                step.finished_at_ms = now;
                step.summary = "skipped by the user".to_owned();
                project.error = None;
                project.set_state(running_state(project));
                for component in &mut record.components {
                    if component.kind == ComponentKind::FullVerification.as_str() {
                        component.set_desired(Desired::Stop);
                    }
                }
            }
            ProjectChange::Label => {
                let Some(spec) = project.spec.as_mut() else {
                    return refuse(codes::api::INTERNAL, "the project has no spec");
                };
                let mut labels = spec.labels.clone();
                labels.retain(|l| !c.remove_labels.contains(l));
                for label in &c.add_labels {
                    let ok =
                        (1..=20).contains(&label.chars().count()) && !label.contains(char::is_whitespace);
                    if !ok {
                        return refuse(
                            codes::api::INVALID_ARGUMENT,
                            format!("{label:?} is not a label: 1 to 20 characters without white space"),
                        );
                    }
                    if !labels.contains(label) {
                        labels.push(label.clone());
                    }
                }
                if labels.len() > 5 {
                    return refuse(codes::api::INVALID_ARGUMENT, "a project carries at most 5 labels");
                }
                spec.labels = labels;
            }
        }
        bump(record, now)?;
        self.follow_parent(now, &c.id, c.change(), c.force);
        self.note_sub_project(now, &c.id);
        match self.project_mut(&c.id).and_then(|r| r.public.as_ref()) {
            Some(project) => Ok(project.version),
            None => refuse(codes::api::INTERNAL, "the project is gone"),
        }
    }

    pub(crate) fn delete_project(&mut self, id: &str) -> Outcome {
        let Some(record) = self.projects.get(id) else {
            return refuse(codes::api::NOT_FOUND, format!("project {id} does not exist"));
        };
        let parent = record.public.as_ref().map_or("", |p| p.parent.as_str());
        if self.adds_objects(parent, id) {
            return refuse(
                codes::api::WRONG_STATE,
                format!("it moves objects that were added to project {parent}; abort or cancel that first"),
            );
        }
        let state = record
            .public
            .as_ref()
            .map_or(ProjectState::Unspecified, Project::state);
        if !matches!(state, ProjectState::Init | ProjectState::Released) {
            return refuse(
                codes::api::WRONG_STATE,
                format!(
                    "the project is {}; only INIT and RELEASED projects can be deleted",
                    state.name()
                ),
            );
        }
        self.projects.remove(id);
        Ok(0)
    }

    pub(crate) fn step_transition(&mut self, now: i64, c: &StepTransition) -> Outcome {
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        let Some(project) = record.public.as_mut() else {
            return refuse(codes::api::INTERNAL, "the project's record is empty");
        };
        if project.version != c.expected_version {
            return refuse(codes::api::CONFLICT, "the project has changed");
        }
        if c.step() != StepKind::Unspecified {
            let Some(step) = project.steps.iter_mut().find(|s| s.kind == c.step) else {
                return refuse(codes::api::INTERNAL, "the project has no such step");
            };
            match c.to() {
                StepState::Running if step.started_at_ms == 0 => step.started_at_ms = now,
                StepState::Finished | StepState::Failed | StepState::Skipped => step.finished_at_ms = now,
                _ => {}
            }
            step.state = c.to;
            step.error.clone_from(&c.error);
            if !c.summary.is_empty() {
                step.summary.clone_from(&c.summary);
            }
        }
        if c.project_state() != ProjectState::Unspecified {
            project.state = c.project_state;
            project.error.clone_from(&c.error);
        }
        if c.step() == StepKind::FullVerifier && c.to() == StepState::Finished {
            project.verification = record
                .components
                .iter()
                .find(|k| k.kind == ComponentKind::FullVerification.as_str())
                .and_then(|k| k.facts.as_ref())
                .and_then(|f| f.verification);
        }
        let version = touch(project, now);
        self.note_sub_project(now, &c.project);
        version
    }
}

/// The state of a project that runs, by what becomes of its objects.
pub(crate) fn running_state(project: &Project) -> ProjectState {
    match project.changes.last() {
        Some(c) if !is_under_way(c) => ProjectState::Running,
        Some(c) if c.phase() == JoinPhase::Unspecified => ProjectState::RunningModifying,
        Some(_) => ProjectState::RunningMerging,
        None => ProjectState::Running,
    }
}

/// To rest: RUNNING to SUSPEND.
pub(crate) fn suspend(record: &mut ProjectRecord) {
    if let Some(project) = record.public.as_mut() {
        project.set_state(ProjectState::Suspend);
    }
    for component in &mut record.components {
        // The Store goes on: what it misses while the project rests might be gone later.
        if component.kind != ComponentKind::Store.as_str() && component.desired() == Desired::Run {
            component.set_desired(Desired::Stop);
        }
    }
}

/// SUSPEND or FAILED to RUNNING.
pub(crate) fn resume(record: &mut ProjectRecord) {
    let Some(project) = record.public.as_mut() else {
        return;
    };
    let not_empty = project
        .error
        .as_ref()
        .is_some_and(|e| e.code == codes::import::DESTINATION_NOT_EMPTY.as_str());
    record.existing_rows_accepted |= not_empty;
    project.set_state(running_state(project));
    project.error = None;
    for step in project
        .steps
        .iter_mut()
        .filter(|s| s.state() == StepState::Failed)
    {
        step.set_state(StepState::Running);
        step.error = None;
        step.finished_at_ms = 0;
    }
    for component in &mut record.components {
        if component.state() == ComponentState::Failed {
            // Stopped first: the controller then assigns it under a new epoch.
            component.set_state(ComponentState::Stopped);
            component.set_desired(Desired::Stop);
            component.error = None;
        }
    }
}

/// To RELEASING.
pub(crate) fn release(record: &mut ProjectRecord, force: bool) {
    if let Some(project) = record.public.as_mut() {
        project.set_state(ProjectState::Releasing);
    }
    record.release_forced = force;
    for component in &mut record.components {
        component.set_desired(Desired::Remove);
    }
}

/// Refuses what would come in the way of a switchover, or what has no meaning behind it.
fn refuse_while_switching(project: &Project, c: &ChangeProject) -> Outcome {
    let wrong = |words: &str| refuse(codes::api::WRONG_STATE, words);
    match c.change() {
        ProjectChange::Verify if under_way(project).is_some() => {
            wrong("the project switches over, and is verified by that")
        }
        ProjectChange::Verify if forward_stopped(project) => {
            wrong("the project has switched over; both sides have nothing more to do with each other")
        }
        ProjectChange::Release if under_way(project).is_some() && !c.force => {
            wrong("the project switches over; finish or cancel that first (`omsnode project switchover`)")
        }
        _ => Ok(0),
    }
}

/// Puts the verification step back to its beginning.
fn restart_verification(project: &mut Project, now: i64) -> Option<Outcome> {
    let Some(at) = project
        .steps
        .iter()
        .position(|s| s.kind() == StepKind::FullVerifier)
    else {
        return Some(refuse(
            codes::api::WRONG_STATE,
            "the project has no verification step",
        ));
    };
    let earlier_done = project.steps.iter().take(at).all(|s| {
        matches!(
            s.state(),
            StepState::Finished | StepState::Monitoring | StepState::Skipped
        )
    });
    let step: &mut Step = project.steps.get_mut(at)?;
    if !earlier_done
        || matches!(
            step.state(),
            StepState::Init | StepState::Running | StepState::Skipped
        )
    {
        return Some(refuse(
            codes::api::WRONG_STATE,
            format!(
                "the verification is {}; it can be repeated once it has finished",
                step.state().name()
            ),
        ));
    }
    *step = Step {
        kind: step.kind,
        started_at_ms: now,
        ..Default::default()
    };
    step.set_state(StepState::Running);
    None
}

pub(crate) fn touch(project: &mut Project, now: i64) -> Outcome {
    project.version = project.version.saturating_add(1);
    project.updated_at_ms = now;
    Ok(project.version)
}

pub(crate) fn bump(record: &mut ProjectRecord, now: i64) -> Outcome {
    match record.public.as_mut() {
        Some(project) => touch(project, now),
        None => refuse(
            codes::api::INTERNAL,
            format!("the record of project {} is empty", project_id(record)),
        ),
    }
}
