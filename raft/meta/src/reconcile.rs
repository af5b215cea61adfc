//! From what is to what should be.

use std::collections::BTreeMap;

use oms_proto::{
    meta::{AssignComponent, ComponentRecord, Desired, ProjectRecord, StepTransition, command::Body},
    v1::{ComponentState, ErrorInfo, Project, ProjectState, StepKind, StepState},
};
use oms_types::ComponentKind;

use crate::{MetaCommand, MetaState, component::is_live, component_of};

/// Where components may run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placement {
    /// Nodes that are alive and take components, in order of preference.
    pub(crate) nodes: Vec<u64>,
}

impl Placement {
    /// The node with the fewest running components; the earlier one of equals.
    fn choose(&self, load: &BTreeMap<u64, usize>) -> Option<u64> {
        self.nodes
            .iter()
            .copied()
            .min_by_key(|n| load.get(n).copied().unwrap_or_default())
    }
}

/// The commands that bring every project one move closer to what its user wants.
///
/// At most one command per project: the next call sees its effect. Proposing a command twice is
/// harmless, because it names the version or epoch that it was computed from.
pub(crate) fn reconcile(state: &MetaState, placement: &Placement) -> Vec<MetaCommand> {
    let mut load: BTreeMap<u64, usize> = BTreeMap::new();
    for component in state.projects().flat_map(|p| &p.components) {
        if component.desired() == Desired::Run && is_live(component) {
            *load.entry(component.node).or_default() += 1;
        }
    }
    let mut commands = Vec::new();
    for record in state.projects() {
        if let Some(command) = next_move(record, placement, &load) {
            if let Body::AssignComponent(assign) = &command {
                *load.entry(assign.node).or_default() += 1;
            }
            commands.push(command);
        }
    }
    commands
}

fn next_move(
    record: &ProjectRecord,
    placement: &Placement,
    load: &BTreeMap<u64, usize>,
) -> Option<MetaCommand> {
    let project = record.public.as_ref()?;
    match project.state() {
        ProjectState::Running => running(record, project, placement, load),
        ProjectState::Suspend => long_running(record, project, placement, load, true),
        ProjectState::Releasing => record
            .components
            .iter()
            .all(|c| c.removed)
            .then(|| project_to(project, ProjectState::Released, None)),
        ProjectState::Unspecified
        | ProjectState::Init
        | ProjectState::Failed
        | ProjectState::Finished
        | ProjectState::Released => None,
    }
}

fn running(
    record: &ProjectRecord,
    project: &Project,
    placement: &Placement,
    load: &BTreeMap<u64, usize>,
) -> Option<MetaCommand> {
    if let Some(command) = long_running(record, project, placement, load, false) {
        return Some(command);
    }
    let passed = |s: StepState| {
        matches!(
            s,
            StepState::Finished | StepState::Monitoring | StepState::Skipped
        )
    };
    let Some(step) = project.steps.iter().find(|s| !passed(s.state())) else {
        let endless = project.steps.iter().any(|s| s.state() == StepState::Monitoring);
        return (!endless).then(|| project_to(project, ProjectState::Finished, None));
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
        return assign(project, wanted, kind, component, placement, load);
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
    match component.state() {
        ComponentState::Failed => failed(project, kind, component),
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
        ComponentState::Stopped => assign(project, wanted, kind, Some(component), placement, load),
        ComponentState::Assigned | ComponentState::Running | ComponentState::Unspecified => None,
    }
}

/// Store and incremental synchronization live on after their step was passed.
fn long_running(
    record: &ProjectRecord,
    project: &Project,
    placement: &Placement,
    load: &BTreeMap<u64, usize>,
    suspended: bool,
) -> Option<MetaCommand> {
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
        match component.state() {
            ComponentState::Failed => return failed(project, kind, component),
            ComponentState::Stopped | ComponentState::Completed => {
                return assign(project, wanted, kind, Some(component), placement, load);
            }
            ComponentState::Assigned | ComponentState::Running | ComponentState::Unspecified => {}
        }
    }
    None
}

fn find(record: &ProjectRecord, kind: ComponentKind) -> Option<&ComponentRecord> {
    record.components.iter().find(|c| c.kind == kind.as_str())
}

fn assign(
    project: &Project,
    kind: ComponentKind,
    step: StepKind,
    current: Option<&ComponentRecord>,
    placement: &Placement,
    load: &BTreeMap<u64, usize>,
) -> Option<MetaCommand> {
    // An owner that is still stopping keeps the component until it says so.
    if current.is_some_and(is_live) {
        return None;
    }
    Some(Body::AssignComponent(AssignComponent {
        project: project.id.clone(),
        kind: kind.as_str().to_owned(),
        node: placement.choose(load)?,
        expected_epoch: current.map_or(0, |c| c.epoch),
        raise_epoch: true,
        desired: Desired::Run as i32,
        step: step as i32,
        ..Default::default()
    }))
}

fn failed(project: &Project, kind: StepKind, component: &ComponentRecord) -> Option<MetaCommand> {
    Some(step_to(
        project,
        kind,
        StepState::Failed,
        component.error.clone(),
        String::new(),
        ProjectState::Failed,
    ))
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
