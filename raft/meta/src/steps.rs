//! Which steps a project has and which component does each.

use oms_proto::v1::{ProjectSpec, Step, StepKind, StepState};
use oms_types::ComponentKind;

/// The steps of a project in their order.
///
/// Capture comes before the copy, so that no change is lost between them. Nothing chosen means
/// everything.
pub fn steps_of(spec: &ProjectSpec) -> Vec<Step> {
    let mut chosen = spec.steps.unwrap_or_default();
    if !(chosen.schema || chosen.full || chosen.incremental || chosen.verification) {
        chosen.schema = true;
        chosen.full = true;
        chosen.incremental = true;
        // Messages cannot be compared with rows.
        chosen.verification = spec.kafka.is_none();
    }
    let postponed = spec.schema.as_ref().is_some_and(|s| s.postpone_indexes);
    let all = [
        (true, StepKind::TransferPrecheck),
        (chosen.schema, StepKind::StructTransfer),
        (chosen.incremental, StepKind::TransferIncrLogPull),
        (chosen.full, StepKind::FullTransfer),
        (chosen.schema && chosen.full && postponed, StepKind::IndexTransfer),
        (chosen.incremental, StepKind::IncrTransfer),
        (chosen.verification, StepKind::FullVerifier),
    ];
    all.into_iter()
        .filter(|(present, _)| *present)
        .map(|(_, kind)| Step {
            kind: kind as i32,
            state: StepState::Init as i32,
            ..Default::default()
        })
        .collect()
}

/// Whether what comes after the step may begin.
pub(crate) fn is_passed(state: StepState) -> bool {
    matches!(
        state,
        StepState::Finished | StepState::Monitoring | StepState::Skipped
    )
}

/// The component that does a step.
pub fn component_of(step: StepKind) -> Option<ComponentKind> {
    match step {
        StepKind::Unspecified => None,
        StepKind::TransferPrecheck => Some(ComponentKind::Precheck),
        StepKind::StructTransfer | StepKind::IndexTransfer => Some(ComponentKind::SchemaMigration),
        StepKind::TransferIncrLogPull => Some(ComponentKind::Store),
        StepKind::FullTransfer => Some(ComponentKind::FullImport),
        StepKind::IncrTransfer => Some(ComponentKind::IncrSync),
        StepKind::FullVerifier => Some(ComponentKind::FullVerification),
        StepKind::TransferAppSwitch => Some(ComponentKind::Switchover),
    }
}
