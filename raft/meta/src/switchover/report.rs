//! What the switchover's component reports.

use oms_proto::{
    meta::{ProjectRecord, ReportSwitchover, report_switchover::Outcome as Said},
    v1::{ErrorInfo, SwitchStepKind, SwitchStepState, Switchover, SwitchoverState},
};
use oms_types::{ComponentKind, codes};

use super::{
    MAX_TEXT, advance::note_end, decide::canceled, end_workers, fails, note, present, present_mut, shown,
    step_mut, under_way_mut,
};
use crate::{
    changes::restart,
    project::bump,
    state::{MetaState, Outcome, refuse},
};

/// Items that a report may add.
const MAX_ITEMS: usize = 1_000;

impl MetaState {
    pub(crate) fn report_switchover(&mut self, now: i64, c: &ReportSwitchover) -> Outcome {
        let record = self.owned(&c.project, ComponentKind::Switchover, c.epoch)?;
        let Some(switchover) = under_way_mut(record).filter(|s| s.number == c.number) else {
            return refuse(codes::api::CONFLICT, "this switchover is over");
        };
        let Some(said) = &c.outcome else {
            return refuse(codes::api::INVALID_ARGUMENT, "the report is empty");
        };
        if let Said::Undone(words) = said {
            if switchover.state() != SwitchoverState::Cancelling {
                return refuse(codes::api::CONFLICT, "nothing is to be undone");
            }
            note(switchover, now, format!("undone: {words}"));
            canceled(record, now);
            return bump(record, now);
        }
        let is_present = switchover.state() == SwitchoverState::Running
            && present(switchover).is_some_and(|s| {
                s.kind() == c.step() && s.attempt == c.attempt && s.state() == SwitchStepState::Running
            });
        if !is_present {
            return refuse(codes::api::CONFLICT, "the switchover is not there any more");
        }
        match (said, c.step()) {
            (Said::Failed(error), kind) => failed(switchover, now, kind, error),
            (Said::Done(words), kind @ SwitchStepKind::Precheck) => {
                for item in c.items.iter().take(MAX_ITEMS) {
                    if !switchover.items.iter().any(|i| i.name == item.name) {
                        switchover.items.push(item.clone());
                    }
                }
                over(switchover, now, kind, words);
            }
            (Said::Before(before), SwitchStepKind::WritesStopped) => {
                // The first is how it really was.
                if switchover.source_writes.is_none() {
                    switchover.source_writes = Some(*before);
                    note(
                        switchover,
                        now,
                        "the source's settings were noted, to be restored if it is cancelled",
                    );
                }
            }
            (Said::StoppedAt(position), kind @ SwitchStepKind::WritesStopped) if !position.is_empty() => {
                switchover.stop_position.clone_from(position);
                switchover.writes_stopped_at_ms = now;
                over(switchover, now, kind, "writes have stopped");
            }
            (
                Said::QuietUntil(position),
                SwitchStepKind::Drained | SwitchStepKind::ForwardStopped | SwitchStepKind::Objects,
            ) if !position.is_empty() => {
                if let Some(step) = present_mut(switchover) {
                    step.quiet_until.clone_from(position);
                }
                if c.step() == SwitchStepKind::Objects {
                    switchover.reverse_from.clone_from(&c.destination_end);
                }
            }
            (Said::Written(error), SwitchStepKind::Drained | SwitchStepKind::ForwardStopped)
                if !switchover.forward_stopped =>
            {
                back(record, now, error);
            }
            // Too late to bring it over: the user must know.
            (Said::Written(error), kind @ SwitchStepKind::Objects) => failed(switchover, now, kind, error),
            _ => {
                return refuse(
                    codes::api::INVALID_ARGUMENT,
                    "this cannot be said of that sub-step",
                );
            }
        }
        bump(record, now)
    }
}

fn bounded(error: &ErrorInfo) -> ErrorInfo {
    ErrorInfo {
        message: error.message.chars().take(4 * MAX_TEXT).collect(),
        ..error.clone()
    }
}

fn failed(switchover: &mut Switchover, now: i64, kind: SwitchStepKind, error: &ErrorInfo) {
    let error = bounded(error);
    note(
        switchover,
        now,
        format!("{}: {} {}", shown(kind), error.code, error.message),
    );
    if let Some(step) = present_mut(switchover) {
        fails(step, error);
    }
}

fn over(switchover: &mut Switchover, now: i64, kind: SwitchStepKind, words: &str) {
    if let Some(step) = step_mut(switchover, kind) {
        step.set_state(SwitchStepState::Done);
        step.finished_at_ms = now;
        step.error = None;
    }
    note_end(switchover, kind, now, words);
}

/// Writes have not stopped: synchronization goes on, and the switchover waits before the stop of writes.
fn back(record: &mut ProjectRecord, now: i64, error: &ErrorInfo) {
    let Some(switchover) = under_way_mut(record) else {
        return;
    };
    let error = bounded(error);
    note(
        switchover,
        now,
        format!(
            "{} {}; back to writes-stopped, synchronization goes on",
            error.code, error.message
        ),
    );
    switchover.stop_position.clear();
    switchover.writes_stopped_at_ms = 0;
    switchover.drained_position.clear();
    for step in &mut switchover.steps {
        if step.kind() == SwitchStepKind::Precheck {
            continue;
        }
        step.finished_at_ms = 0;
        step.summary.clear();
        step.quiet_until.clear();
        step.unchecked = false;
        step.error = None;
        if step.kind() == SwitchStepKind::WritesStopped {
            fails(step, error.clone());
        } else {
            step.set_state(SwitchStepState::Waiting);
        }
    }
    end_workers(record);
    if record.settle {
        restart(record, now, false, "");
    }
}
