//! From what is to what should be.

use oms_proto::{
    meta::{
        ComponentRecord, DeleteProject, Desired, ProjectRecord, ReportComponent, StepTransition,
        command::Body,
    },
    v1::{ComponentState, ErrorInfo, Project, ProjectState, StepKind, StepState},
};
use oms_types::ComponentKind;

use crate::{
    MetaCommand,
    changes::next_join,
    component::is_live,
    component_of,
    schedule::placement::{Plan, Why},
    steps::is_passed,
    switchover::{failed_component, forward_stopped, next_switch, under_way},
};

impl Plan<'_> {
    /// The command that brings a project one move closer to what its user wants.
    ///
    /// At most one: the next call sees its effect. Proposing a command twice is harmless, because it names
    /// the version or epoch that it was computed from.
    pub(super) fn next_move(&mut self, record: &ProjectRecord) -> Option<MetaCommand> {
        let project = record.public.as_ref()?;
        match project.state() {
            ProjectState::Running | ProjectState::RunningModifying | ProjectState::RunningMerging => {
                next_join(self.state, record, project)
                    .or_else(|| switching(self, record, project))
                    .or_else(|| running(self, record, project))
            }
            ProjectState::Suspend => long_running(self, record, project, true),
            ProjectState::Releasing => record
                .components
                .iter()
                // What was never assigned has left nothing anywhere.
                .all(|c| c.removed || c.epoch == 0)
                .then(|| project_to(project, ProjectState::Released, None)),
            // A sub-project is of no use to anybody once it is released.
            ProjectState::Released if !project.parent.is_empty() => {
                Some(Body::DeleteProject(DeleteProject {
                    id: project.id.clone(),
                }))
            }
            ProjectState::Unspecified
            | ProjectState::Init
            | ProjectState::Failed
            | ProjectState::Finished
            | ProjectState::Released => None,
        }
    }

    /// The state of a component; one that was to stop has stopped when its node is gone.
    fn state_of_component(&self, c: &ComponentRecord) -> ComponentState {
        let nobody_confirms = is_live(c) && c.desired() == Desired::Stop && self.gone(c.node).is_some();
        if nobody_confirms {
            ComponentState::Stopped
        } else {
            c.state()
        }
    }

    fn start(
        &mut self,
        record: &ProjectRecord,
        project: &Project,
        kind: ComponentKind,
        step: StepKind,
        current: Option<&ComponentRecord>,
    ) -> Option<MetaCommand> {
        // An owner that is still stopping keeps the component until it says so.
        let held = current.is_some_and(|c| {
            matches!(
                self.state_of_component(c),
                ComponentState::Assigned | ComponentState::Running
            )
        });
        if held {
            return None;
        }
        self.assign(record, project, kind, step, current, &Why::Start)
    }

    fn failed(
        &mut self,
        record: &ProjectRecord,
        project: &Project,
        kind: StepKind,
        component: &ComponentRecord,
    ) -> Option<MetaCommand> {
        if let Some(moved) = self.after_failure(record, project, component) {
            return Some(moved);
        }
        Some(step_to(
            project,
            kind,
            StepState::Failed,
            component.error.clone(),
            String::new(),
            ProjectState::Failed,
        ))
    }
}

fn running(plan: &mut Plan<'_>, record: &ProjectRecord, project: &Project) -> Option<MetaCommand> {
    if let Some(command) = long_running(plan, record, project, false) {
        return Some(command);
    }
    // That of a switchover goes its own way.
    let mut steps = project
        .steps
        .iter()
        .filter(|s| s.kind() != StepKind::TransferAppSwitch);
    let Some(step) = steps.find(|s| !is_passed(s.state())) else {
        if under_way(project).is_some() {
            return None;
        }
        let endless = project.steps.iter().any(|s| s.state() == StepState::Monitoring);
        let changes = project.state() != ProjectState::Running;
        return (!endless && !changes).then(|| project_to(project, ProjectState::Finished, None));
    };
    let kind = step.kind();
    if matches!(step.state(), StepState::Init | StepState::Failed) {
        return Some(step_to(
            project,
            kind,
            StepState::Running,
            None,
            String::new(),
            ProjectState::Unspecified,
        ));
    }
    let wanted = component_of(kind)?;
    let component = find(record, wanted);
    let fresh = component.filter(|c| c.step() == kind);
    let Some(component) = fresh else {
        return plan.start(record, project, wanted, kind, component);
    };
    let facts = component.facts.as_ref();
    let summary = facts.map(|f| f.summary.clone()).unwrap_or_default();
    let done = |to| {
        Some(step_to(
            project,
            kind,
            to,
            None,
            summary.clone(),
            ProjectState::Unspecified,
        ))
    };
    match plan.state_of_component(component) {
        ComponentState::Failed => plan.failed(record, project, kind, component),
        ComponentState::Completed => done(StepState::Finished),
        ComponentState::Running
            if wanted == ComponentKind::Store && facts.is_some_and(|f| !f.store_start.is_empty()) =>
        {
            done(StepState::Finished)
        }
        ComponentState::Running
            if wanted == ComponentKind::IncrSync && facts.is_some_and(|f| f.caught_up) =>
        {
            done(StepState::Monitoring)
        }
        ComponentState::Stopped => plan.start(record, project, wanted, kind, Some(component)),
        ComponentState::Assigned | ComponentState::Running | ComponentState::Unspecified => None,
    }
}

/// What a switchover wants next: its own moves, and the components that make them.
fn switching(plan: &mut Plan<'_>, record: &ProjectRecord, project: &Project) -> Option<MetaCommand> {
    let moved = failed_component(record).and_then(|c| plan.after_failure(record, project, c));
    if moved.is_some() {
        return moved;
    }
    let (command, needed) = next_switch(record, project, plan.now_ms);
    if command.is_some() {
        return command;
    }
    if let Some(report) = nobody_stops(plan, record, project) {
        return Some(report);
    }
    for kind in needed {
        let step = StepKind::TransferAppSwitch;
        let component = find(record, kind);
        let Some(present) = component.filter(|c| c.step() == step) else {
            return plan.start(record, project, kind, step, component);
        };
        match plan.state_of_component(present) {
            // Those of the other kinds are failures of their sub-step.
            ComponentState::Failed if kind == ComponentKind::Switchover => {
                return plan.failed(record, project, step, present);
            }
            ComponentState::Stopped | ComponentState::Unspecified => {
                return plan.start(record, project, kind, step, component);
            }
            _ => {}
        }
    }
    None
}

/// Incremental synchronization that ended for good on a node that is gone: nobody else says that it has stopped.
fn nobody_stops(plan: &Plan<'_>, record: &ProjectRecord, project: &Project) -> Option<MetaCommand> {
    let component = find(record, ComponentKind::IncrSync).filter(|_| forward_stopped(project))?;
    let stopped = is_live(component) && plan.state_of_component(component) == ComponentState::Stopped;
    stopped.then(|| {
        Body::ReportComponent(ReportComponent {
            project: project.id.clone(),
            kind: component.kind.clone(),
            epoch: component.epoch,
            state: ComponentState::Stopped as i32,
            ..Default::default()
        })
    })
}

/// Store and incremental synchronization live on after their step was passed.
fn long_running(
    plan: &mut Plan<'_>,
    record: &ProjectRecord,
    project: &Project,
    suspended: bool,
) -> Option<MetaCommand> {
    if forward_stopped(project) {
        return None;
    }
    let kinds = [
        (StepKind::TransferIncrLogPull, StepState::Finished, true),
        (StepKind::IncrTransfer, StepState::Monitoring, !suspended),
    ];
    for (kind, lives_in, wanted_now) in kinds {
        let Some(step) = project
            .steps
            .iter()
            .find(|s| s.kind() == kind && s.state() == lives_in)
        else {
            continue;
        };
        let wanted = component_of(step.kind())?;
        let component = find(record, wanted)?;
        if !wanted_now {
            continue;
        }
        match plan.state_of_component(component) {
            ComponentState::Failed => return plan.failed(record, project, kind, component),
            ComponentState::Stopped | ComponentState::Completed => {
                return plan.start(record, project, wanted, kind, Some(component));
            }
            ComponentState::Assigned | ComponentState::Running | ComponentState::Unspecified => {}
        }
    }
    None
}

fn find(record: &ProjectRecord, kind: ComponentKind) -> Option<&ComponentRecord> {
    record.components.iter().find(|c| c.kind == kind.as_str())
}

fn step_to(
    project: &Project,
    step: StepKind,
    to: StepState,
    error: Option<ErrorInfo>,
    summary: String,
    project_state: ProjectState,
) -> MetaCommand {
    Body::StepTransition(StepTransition {
        project: project.id.clone(),
        expected_version: project.version,
        step: step as i32,
        to: to as i32,
        error,
        summary,
        project_state: project_state as i32,
    })
}

fn project_to(project: &Project, to: ProjectState, error: Option<ErrorInfo>) -> MetaCommand {
    step_to(
        project,
        StepKind::Unspecified,
        StepState::Unspecified,
        error,
        String::new(),
        to,
    )
}
