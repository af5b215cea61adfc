//! What users decide about a switchover.

use oms_proto::{
    meta::{DecideSwitchover, ProjectRecord},
    v1::{
        DecideSwitchoverRequest, ProjectState, StepKind, SwitchStepKind, SwitchStepState, Switchover,
        SwitchoverDecision, SwitchoverSkip, SwitchoverState,
    },
};
use oms_types::codes;

use super::{
    MAX_SKIPS, MAX_TEXT, advance::begin, end_own, end_workers, note, present, present_mut, shown,
    under_way_mut,
};
use crate::{
    changes::restart,
    project::bump,
    state::{MetaState, Outcome, refuse},
};

fn wrong(words: impl Into<String>) -> Outcome {
    refuse(codes::api::WRONG_STATE, words)
}

impl MetaState {
    pub(crate) fn decide_switchover(&mut self, now: i64, c: &DecideSwitchover) -> Outcome {
        let Some(request) = &c.request else {
            return refuse(codes::api::INVALID_ARGUMENT, "the decision is missing");
        };
        let Some(record) = self.project_mut(&request.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", request.project),
            );
        };
        let state = record
            .public
            .as_ref()
            .map_or(ProjectState::Unspecified, |p| p.state());
        let works = matches!(
            state,
            ProjectState::Running | ProjectState::Suspend | ProjectState::Failed
        );
        let Some(switchover) = under_way_mut(record).filter(|_| works) else {
            return wrong("no switchover is under way");
        };
        match request.decision() {
            SwitchoverDecision::Unspecified => {
                return refuse(codes::api::INVALID_ARGUMENT, "the decision is not named");
            }
            SwitchoverDecision::Complete => complete(switchover, now, &request.item)?,
            SwitchoverDecision::Skip => skip(record, now, request)?,
            _ if switchover.state() == SwitchoverState::Cancelling => {
                return wrong("the switchover is being cancelled");
            }
            SwitchoverDecision::Confirm => confirm(switchover, now, request.step())?,
            SwitchoverDecision::Retry => retry(record, now)?,
            SwitchoverDecision::Cancel => cancel(record, now)?,
        };
        bump(record, now)
    }
}

fn complete(switchover: &mut Switchover, now: i64, name: &str) -> Outcome {
    let Some(item) = switchover.items.iter_mut().find(|i| i.name == name) else {
        return refuse(
            codes::api::NOT_FOUND,
            format!("{name:?} is not an item of this switchover"),
        );
    };
    if item.completed_at_ms == 0 {
        item.completed_at_ms = now;
        note(switchover, now, format!("{name} was completed by the user"));
    }
    Ok(0)
}

fn confirm(switchover: &mut Switchover, now: i64, kind: SwitchStepKind) -> Outcome {
    if kind != SwitchStepKind::WritesStopped {
        return refuse(codes::api::INVALID_ARGUMENT, "only writes-stopped is confirmed");
    }
    use SwitchStepState as S;
    match present_mut(switchover) {
        Some(step) if step.kind() == kind && matches!(step.state(), S::NeedsUser | S::Failed) => {
            step.set_state(S::Running);
            step.attempt = step.attempt.saturating_add(1);
            step.error = None;
        }
        Some(step) => {
            let (kind, state) = (shown(step.kind()), step.state().name().to_owned());
            return wrong(format!(
                "the switchover is at {kind}, which is {state}; a confirmation is not awaited"
            ));
        }
        None => return wrong("all sub-steps are over"),
    }
    // Whoever confirms has stopped the writers in another way.
    switchover.set_read_only = false;
    note(
        switchover,
        now,
        "the user confirmed that writes at the source have stopped",
    );
    Ok(0)
}

fn retry(record: &mut ProjectRecord, now: i64) -> Outcome {
    let Some(switchover) = under_way_mut(record) else {
        return wrong("no switchover is under way");
    };
    let Some(step) = present(switchover).filter(|s| s.state() == SwitchStepState::Failed) else {
        return wrong("no sub-step has failed");
    };
    let kind = step.kind();
    note(switchover, now, format!("{}: tried again", shown(kind)));
    begin(record, now);
    Ok(0)
}

fn skip(record: &mut ProjectRecord, now: i64, request: &DecideSwitchoverRequest) -> Outcome {
    let (kind, reason) = (request.step(), request.reason.trim());
    if reason.is_empty() || reason.chars().count() > MAX_TEXT {
        return refuse(
            codes::api::INVALID_ARGUMENT,
            format!("say why it is skipped, in at most {MAX_TEXT} characters"),
        );
    }
    let Some(switchover) = under_way_mut(record) else {
        return wrong("no switchover is under way");
    };
    if switchover.skips.len() >= MAX_SKIPS {
        return wrong("too many sub-steps were skipped; cancel the switchover and begin another");
    }
    let skipped = |switchover: &mut Switchover, error: String| {
        switchover.skips.push(SwitchoverSkip {
            step: kind as i32,
            reason: reason.to_owned(),
            at_ms: now,
            error,
        });
        let words = format!("{} was skipped by the user: {reason}", shown(kind));
        note(switchover, now, words);
    };
    if switchover.state() == SwitchoverState::Cancelling {
        if kind != SwitchStepKind::WritesStopped {
            return wrong(
                "the switchover is being cancelled; only the undoing of writes-stopped can be skipped",
            );
        }
        skipped(switchover, "the source was left as it is".to_owned());
        canceled(record, now);
        return Ok(0);
    }
    let Some(step) = present(switchover) else {
        return wrong("all sub-steps are over");
    };
    if step.kind() != kind {
        let at = shown(step.kind());
        return wrong(format!("the switchover is at {at}, not at {}", shown(kind)));
    }
    if step.state() == SwitchStepState::Waiting {
        return wrong("the sub-step has not begun");
    }
    let error = step
        .error
        .as_ref()
        .map(|e| format!("{} {}", e.code, e.message))
        .unwrap_or_default();
    let looks = step
        .error
        .as_ref()
        .is_some_and(|e| e.code == codes::switchover::SOURCE_WRITTEN.as_str());
    // Of these only the look at the source's log can be left out.
    let unchecked = match kind {
        SwitchStepKind::ForwardStopped if switchover.forward_stopped => {
            return wrong("forward synchronization is being stopped for good, which cannot be skipped");
        }
        SwitchStepKind::ForwardStopped => true,
        SwitchStepKind::Objects => looks,
        _ => false,
    };
    skipped(switchover, error);
    if let Some(step) = present_mut(switchover) {
        step.error = None;
        if unchecked {
            step.unchecked = true;
            step.set_state(SwitchStepState::Running);
        } else {
            step.set_state(SwitchStepState::Skipped);
            step.finished_at_ms = now;
            "skipped by the user".clone_into(&mut step.summary);
        }
    }
    if kind == SwitchStepKind::WritesStopped {
        switchover.writes_stopped_at_ms = now;
    }
    if !unchecked {
        end_workers(record);
    }
    Ok(0)
}

fn cancel(record: &mut ProjectRecord, now: i64) -> Outcome {
    let settles = record.settle;
    let Some(switchover) = under_way_mut(record) else {
        return wrong("no switchover is under way");
    };
    if switchover.forward_stopped {
        return wrong(
            "forward synchronization was stopped for good; the switchover can only go on: retry, complete or skip what \
             is left",
        );
    }
    note(switchover, now, "cancelled by the user");
    if settles {
        note(switchover, now, "undone: incremental synchronization goes on");
    }
    let undoes = switchover.source_writes.is_some();
    if undoes {
        switchover.set_state(SwitchoverState::Cancelling);
    }
    end_workers(record);
    if settles {
        restart(record, now, false, "");
    }
    if !undoes {
        canceled(record, now);
    }
    Ok(0)
}

/// The project is released by force: nobody goes on with its switchover.
pub(crate) fn abandon(record: &mut ProjectRecord, now: i64) {
    if let Some(switchover) = under_way_mut(record) {
        switchover.set_state(SwitchoverState::Canceled);
        switchover.finished_at_ms = now;
        note(switchover, now, "given up: the project was released by force");
    }
}

/// The project is as it was before the switchover.
pub(super) fn canceled(record: &mut ProjectRecord, now: i64) {
    if let Some(switchover) = under_way_mut(record) {
        switchover.set_state(SwitchoverState::Canceled);
        switchover.finished_at_ms = now;
    }
    end_own(record);
    if let Some(project) = record.public.as_mut() {
        project.steps.retain(|s| s.kind() != StepKind::TransferAppSwitch);
    }
}
