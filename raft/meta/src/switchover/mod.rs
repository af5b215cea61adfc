//! The forward switchover of a project. The argument is in `node/docs/switchover.md`.

mod advance;
mod begin;
mod decide;
mod order;
mod report;

use oms_proto::{
    meta::{ComponentRecord, Desired, ProjectRecord},
    v1::{
        ErrorInfo, Project, StepKind, SwitchStep, SwitchStepKind, SwitchStepState, Switchover,
        SwitchoverLogLine, SwitchoverState,
    },
};
use oms_types::ComponentKind;

pub use begin::{DEFAULT_MAX_LAG_SECONDS, planned_switchover, switchover_missing};
pub use order::{SwitchoverOrder, SwitchoverWork, switchover_order};

pub(crate) use advance::{failed_component, next_switch};
pub(crate) use decide::abandon;

/// Switchovers that a project remembers.
const REMEMBERED: usize = 20;
/// Lines of a switchover's log.
const LOG_LINES: usize = 100;
/// Characters of a reason to skip, and of other texts of users.
const MAX_TEXT: usize = 500;
/// Sub-steps that may be skipped in one switchover.
const MAX_SKIPS: usize = 50;

/// The sub-steps in their order.
const ORDER: [SwitchStepKind; 6] = [
    SwitchStepKind::Precheck,
    SwitchStepKind::WritesStopped,
    SwitchStepKind::Drained,
    SwitchStepKind::Verified,
    SwitchStepKind::ForwardStopped,
    SwitchStepKind::Objects,
];

/// The switchover that has begun and not ended.
pub(crate) fn under_way(project: &Project) -> Option<&Switchover> {
    project
        .switchovers
        .last()
        .filter(|s| matches!(s.state(), SwitchoverState::Running | SwitchoverState::Cancelling))
}

fn under_way_mut(record: &mut ProjectRecord) -> Option<&mut Switchover> {
    record
        .public
        .as_mut()?
        .switchovers
        .last_mut()
        .filter(|s| matches!(s.state(), SwitchoverState::Running | SwitchoverState::Cancelling))
}

/// Whether a project's capture and application of changes have ended for good.
pub(crate) fn forward_stopped(project: &Project) -> bool {
    project.switchovers.iter().any(|s| s.forward_stopped)
}

/// The switchover that has ended a project's forward direction for good and is done itself.
pub fn switched_over(project: &Project) -> Option<&Switchover> {
    project
        .switchovers
        .iter()
        .find(|s| s.forward_stopped && s.state() == SwitchoverState::Done)
}

/// Whether a sub-step is behind us.
fn is_over(step: &SwitchStep) -> bool {
    matches!(step.state(), SwitchStepState::Done | SwitchStepState::Skipped)
}

/// The first sub-step that is not behind us.
fn present(switchover: &Switchover) -> Option<&SwitchStep> {
    switchover.steps.iter().find(|s| !is_over(s))
}

fn present_mut(switchover: &mut Switchover) -> Option<&mut SwitchStep> {
    switchover.steps.iter_mut().find(|s| !is_over(s))
}

fn step_mut(switchover: &mut Switchover, kind: SwitchStepKind) -> Option<&mut SwitchStep> {
    switchover.steps.iter_mut().find(|s| s.kind() == kind)
}

/// A sub-step's name as the command line has it.
fn shown(kind: SwitchStepKind) -> String {
    kind.name().replace('_', "-")
}

fn note(switchover: &mut Switchover, at_ms: i64, text: impl Into<String>) {
    let text = text.into();
    switchover.log.push(SwitchoverLogLine { at_ms, text });
    let excess = switchover.log.len().saturating_sub(LOG_LINES);
    switchover.log.drain(..excess);
}

/// A component as far as it works for the switchover.
fn worker(record: &ProjectRecord, kind: ComponentKind) -> Option<&ComponentRecord> {
    record
        .components
        .iter()
        .find(|c| c.kind == kind.as_str() && c.step() == StepKind::TransferAppSwitch)
}

/// What works for the switchover beside its own component ends.
fn end_workers(record: &mut ProjectRecord) {
    let of_steps = [
        ComponentKind::FullVerification.as_str(),
        ComponentKind::SchemaMigration.as_str(),
    ];
    for component in &mut record.components {
        if component.step() == StepKind::TransferAppSwitch && of_steps.contains(&component.kind.as_str()) {
            component.set_desired(Desired::Stop);
        }
    }
}

/// The switchover's own component has nothing more to do.
fn end_own(record: &mut ProjectRecord) {
    for component in &mut record.components {
        if component.kind == ComponentKind::Switchover.as_str() {
            component.set_desired(Desired::Stop);
        }
    }
}

/// Whether nothing is known of changes at the source behind the stop position, as far as anybody wants to know.
fn is_quiet(switchover: &Switchover, step: &SwitchStep) -> bool {
    switchover.stop_position.is_empty() || step.unchecked || !step.quiet_until.is_empty()
}

fn fails(step: &mut SwitchStep, error: ErrorInfo) {
    step.set_state(SwitchStepState::Failed);
    step.error = Some(error);
}
