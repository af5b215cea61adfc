//! What the switchover's component is to do.

use oms_proto::{
    meta::ProjectRecord,
    v1::{
        ComponentState, ProjectState, SourceWrites, StepKind, SwitchStep, SwitchStepKind, SwitchStepState,
        Switchover, SwitchoverState,
    },
};
use oms_types::ComponentKind;

use super::{is_quiet, present, under_way, worker};
use crate::changes::settled;

/// One piece of work at the databases.
#[derive(Clone, Debug, PartialEq)]
pub enum SwitchoverWork {
    /// Look whether the destination is close behind the source, and for what only the user can move.
    Precheck,
    /// See to it that nobody writes, and say where the source's log ends then.
    StopWrites {
        /// Set the source read-only. Otherwise the user has stopped the writers.
        set_read_only: bool,
        /// How writes were allowed before, if that was noted.
        before: Option<SourceWrites>,
    },
    /// Look through the source's log from the stop position to its end for changes of the project's tables.
    LookAtLog {
        /// Where to begin; encoded.
        stop_position: String,
    },
    /// Allow writes at the source as before.
    Undo {
        /// How that was.
        before: SourceWrites,
    },
}

/// A piece of work and what a report about it must name.
#[derive(Clone, Debug, PartialEq)]
pub struct SwitchoverOrder {
    /// The switchover's number.
    pub number: u32,
    /// The sub-step.
    pub step: SwitchStepKind,
    /// Its attempt.
    pub attempt: u32,
    /// What to do.
    pub work: SwitchoverWork,
}

/// What the switchover's component is to do now, as a function of the record: every owner finds the same, whoever was
/// interrupted before it. Every piece of work may be done again.
pub fn switchover_order(record: &ProjectRecord) -> Option<SwitchoverOrder> {
    let project = record.public.as_ref()?;
    let switchover = under_way(project).filter(|_| project.state() == ProjectState::Running)?;
    if switchover.state() == SwitchoverState::Cancelling {
        let step = switchover
            .steps
            .iter()
            .find(|s| s.kind() == SwitchStepKind::WritesStopped)?;
        let before = switchover.source_writes?;
        return Some(order(switchover, step, SwitchoverWork::Undo { before }));
    }
    let step = present(switchover)?;
    let runs = step.state() == SwitchStepState::Running;
    let looks = |due: bool| {
        let due = due && !is_quiet(switchover, step);
        due.then(|| SwitchoverWork::LookAtLog {
            stop_position: switchover.stop_position.clone(),
        })
    };
    let work = match step.kind() {
        SwitchStepKind::Unspecified | SwitchStepKind::Verified => None,
        SwitchStepKind::Precheck => runs.then_some(SwitchoverWork::Precheck),
        SwitchStepKind::WritesStopped => runs.then_some(SwitchoverWork::StopWrites {
            set_read_only: switchover.set_read_only,
            before: switchover.source_writes,
        }),
        SwitchStepKind::Drained => looks(runs && settled(record).is_some()),
        SwitchStepKind::ForwardStopped => looks(runs && !switchover.forward_stopped),
        SwitchStepKind::Objects => looks(runs && objects_are_made(record) && items_are_complete(switchover)),
    }?;
    Some(order(switchover, step, work))
}

fn order(switchover: &Switchover, step: &SwitchStep, work: SwitchoverWork) -> SwitchoverOrder {
    SwitchoverOrder {
        number: switchover.number,
        step: step.kind(),
        attempt: step.attempt,
        work,
    }
}

/// Whether the schema of the project has steps: what waited for the switchover is known then.
pub(super) fn has_schema(record: &ProjectRecord) -> bool {
    let project = record.public.as_ref();
    project.is_some_and(|p| p.steps.iter().any(|s| s.kind() == StepKind::StructTransfer))
}

/// Whether foreign keys and checks that waited have been created.
pub(super) fn objects_are_made(record: &ProjectRecord) -> bool {
    let made = worker(record, ComponentKind::SchemaMigration)
        .is_some_and(|c| c.state() == ComponentState::Completed);
    made || !has_schema(record)
}

/// Whether the user has done everything that only the user can do.
pub(super) fn items_are_complete(switchover: &Switchover) -> bool {
    switchover.items.iter().all(|i| i.completed_at_ms != 0)
}
