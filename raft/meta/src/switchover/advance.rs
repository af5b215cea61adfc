//! The moves that a switchover makes by itself.

use oms_proto::{
    meta::{AdvanceSwitchover, ComponentRecord, Desired, ProjectRecord, command::Body},
    v1::{
        ComponentState, ErrorInfo, Project, ProjectState, StepKind, StepState, SwitchStep, SwitchStepKind,
        SwitchStepState, SwitchoverState, VerificationResult, VerifyScope,
    },
};
use oms_types::{ComponentKind, codes};

use super::{
    end_own, fails, is_quiet, note,
    order::{has_schema, items_are_complete, objects_are_made},
    present, present_mut, shown, step_mut, under_way, under_way_mut, worker,
};
use crate::{
    MetaCommand,
    changes::{restart, settled},
    component::is_live,
    project::bump,
    state::{MetaState, Outcome, refuse},
};

/// The next move.
#[derive(Clone, Debug, PartialEq)]
enum Move {
    /// The sub-step begins.
    Begin,
    /// It is done; one line about it.
    Done(String),
    /// It has failed.
    Fail(ErrorInfo),
    /// The user has items to complete.
    AwaitItems,
    /// They are complete.
    ItemsComplete,
    /// Capture and application end for good.
    StopForward,
    /// All sub-steps are over.
    Finish,
}

/// What is due, if anything. A function of the record: proposed by the controller, checked again when applied.
fn due(record: &ProjectRecord, now: i64) -> Option<Move> {
    let project = record.public.as_ref()?;
    let switchover = under_way(project)
        .filter(|s| s.state() == SwitchoverState::Running && project.state() == ProjectState::Running)?;
    let Some(step) = present(switchover) else {
        return Some(Move::Finish);
    };
    use SwitchStepKind as K;
    use SwitchStepState as S;
    match (step.kind(), step.state()) {
        (_, S::Waiting) => Some(Move::Begin),
        (K::Drained, S::Running) => {
            let at = settled(record)?;
            is_quiet(switchover, step).then(|| Move::Done(format!("everything up to {at} is applied")))
        }
        (K::Verified, S::Running) => verified(worker(record, ComponentKind::FullVerification)?, now),
        (K::ForwardStopped, S::Running) if !switchover.forward_stopped => {
            is_quiet(switchover, step).then_some(Move::StopForward)
        }
        (K::ForwardStopped, S::Running) => {
            let of = |kind: ComponentKind| record.components.iter().find(move |c| c.kind == kind.as_str());
            let stopped = of(ComponentKind::IncrSync).is_none_or(|c| !is_live(c));
            let removed = of(ComponentKind::Store).is_none_or(|c| c.removed);
            (stopped && removed).then(|| Move::Done("nothing is captured or applied any more".to_owned()))
        }
        (K::Objects, S::NeedsUser) => items_are_complete(switchover).then_some(Move::ItemsComplete),
        (K::Objects, S::Running) => {
            let failed = failed_component(record).and_then(|c| c.error.clone());
            if let Some(error) = failed {
                return Some(Move::Fail(error));
            }
            if !objects_are_made(record) {
                return None;
            }
            match (items_are_complete(switchover), is_quiet(switchover, step)) {
                (false, _) => Some(Move::AwaitItems),
                (true, false) => None,
                (true, true) => Some(Move::Done(made_words(record))),
            }
        }
        _ => None,
    }
}

fn made_words(record: &ProjectRecord) -> String {
    let summary = worker(record, ComponentKind::SchemaMigration)
        .and_then(|c| c.facts.as_ref())
        .map(|f| f.summary.clone());
    summary.filter(|_| has_schema(record)).unwrap_or_default()
}

fn verified(component: &ComponentRecord, now: i64) -> Option<Move> {
    let facts = component.facts.as_ref();
    let words = facts.map(|f| f.summary.clone()).unwrap_or_default();
    match component.state() {
        ComponentState::Completed => match facts.and_then(|f| f.verification) {
            Some(result) if result.consistent => Some(Move::Done(words)),
            _ => Some(Move::Fail(ErrorInfo {
                code: codes::switchover::DIFFERENT.as_str().to_owned(),
                message: words,
                failed_at_ms: now,
            })),
        },
        ComponentState::Failed => component.error.clone().map(Move::Fail),
        _ => None,
    }
}

/// What works for the present sub-step and has failed.
pub(crate) fn failed_component(record: &ProjectRecord) -> Option<&ComponentRecord> {
    let step = present(under_way(record.public.as_ref()?)?)?;
    let kind = match step.kind() {
        SwitchStepKind::Verified => ComponentKind::FullVerification,
        SwitchStepKind::Objects => ComponentKind::SchemaMigration,
        _ => return None,
    };
    let runs = step.state() == SwitchStepState::Running;
    worker(record, kind).filter(|c| runs && c.state() == ComponentState::Failed)
}

/// The command that brings a switchover closer to its end, if that is its turn, and the components that it needs now.
pub(crate) fn next_switch(
    record: &ProjectRecord,
    project: &Project,
    now: i64,
) -> (Option<MetaCommand>, Vec<ComponentKind>) {
    let Some(switchover) = under_way(project) else {
        return (None, Vec::new());
    };
    let command = due(record, now).map(|_| {
        Body::AdvanceSwitchover(AdvanceSwitchover {
            project: project.id.clone(),
            expected_version: project.version,
            number: switchover.number,
        })
    });
    let mut needed = vec![ComponentKind::Switchover];
    let step = present(switchover)
        .filter(|s| s.state() == SwitchStepState::Running && switchover.state() == SwitchoverState::Running);
    match step.map(SwitchStep::kind) {
        Some(SwitchStepKind::Verified) => needed.push(ComponentKind::FullVerification),
        Some(SwitchStepKind::Objects) if has_schema(record) && !objects_are_made(record) => {
            needed.push(ComponentKind::SchemaMigration);
        }
        _ => {}
    }
    (command, needed)
}

/// A component that worked for a step works for the switchover next, from the beginning.
fn renew(record: &mut ProjectRecord, kind: ComponentKind, now: i64) {
    for component in record.components.iter_mut().filter(|c| c.kind == kind.as_str()) {
        component.set_state(ComponentState::Stopped);
        component.set_desired(Desired::Stop);
        component.set_step(StepKind::TransferAppSwitch);
        component.error = None;
        component.facts = None;
        // A late report about former work would end the new one before it began.
        component.epoch = component.epoch.saturating_add(1);
        component.updated_at_ms = now;
    }
}

/// The present sub-step begins, for the first time or again.
pub(super) fn begin(record: &mut ProjectRecord, now: i64) {
    let Some(switchover) = under_way_mut(record) else {
        return;
    };
    let (set_read_only, stop) = (switchover.set_read_only, switchover.stop_position.clone());
    let Some(step) = present_mut(switchover) else {
        return;
    };
    let kind = step.kind();
    let asks = kind == SwitchStepKind::WritesStopped && !set_read_only;
    step.set_state(if asks {
        SwitchStepState::NeedsUser
    } else {
        SwitchStepState::Running
    });
    step.attempt = step.attempt.saturating_add(1);
    step.error = None;
    step.quiet_until.clear();
    if step.started_at_ms == 0 {
        step.started_at_ms = now;
    }
    let first = step.attempt == 1;
    match kind {
        SwitchStepKind::Drained if !(record.settle && record.settle_behind == stop) => {
            restart(record, now, true, &stop);
        }
        SwitchStepKind::Verified => {
            record.verify_run = record.verify_run.saturating_add(1);
            record.set_verify_scope(VerifyScope::All);
            renew(record, ComponentKind::FullVerification, now);
        }
        SwitchStepKind::Objects => {
            let failed = worker(record, ComponentKind::SchemaMigration)
                .is_some_and(|c| c.state() == ComponentState::Failed);
            if first || failed {
                renew(record, ComponentKind::SchemaMigration, now);
            }
        }
        _ => {}
    }
}

/// Capture and application end for good: what could begin them anew is refused from now on.
fn stop_forward(record: &mut ProjectRecord, now: i64) {
    if let Some(switchover) = under_way_mut(record) {
        switchover.forward_stopped = true;
        switchover.forward_stopped_at_ms = now;
        note(switchover, now, "capture and application of changes end for good");
    }
    for component in &mut record.components {
        if component.kind == ComponentKind::IncrSync.as_str() {
            // What it keeps at the destination goes on fencing its former owners until the project is released.
            component.set_desired(Desired::Stop);
        } else if component.kind == ComponentKind::Store.as_str() {
            component.set_desired(Desired::Remove);
        }
    }
    let applies = record.public.as_mut().and_then(|p| {
        let of_kind = |s: &&mut oms_proto::v1::Step| s.kind() == StepKind::IncrTransfer;
        p.steps.iter_mut().find(of_kind)
    });
    if let Some(step) = applies {
        step.set_state(StepState::Finished);
        step.finished_at_ms = now;
        "ended by the switchover".clone_into(&mut step.summary);
    }
}

fn finish(record: &mut ProjectRecord, now: i64) {
    let mut words = String::new();
    if let Some(switchover) = under_way_mut(record) {
        switchover.set_state(SwitchoverState::Done);
        switchover.finished_at_ms = now;
        let stopped = now.saturating_sub(switchover.writes_stopped_at_ms);
        switchover.write_stop_ms = u64::try_from(stopped).unwrap_or_default();
        words = format!("writes were stopped for {} ms", switchover.write_stop_ms);
        if !switchover.skips.is_empty() {
            words.push_str(&format!("; {} sub-steps were skipped", switchover.skips.len()));
        }
        note(switchover, now, format!("done: {words}"));
    }
    end_own(record);
    if let Some(project) = record.public.as_mut() {
        project.set_state(ProjectState::Finished);
        for step in &mut project.steps {
            if step.kind() == StepKind::TransferAppSwitch {
                step.set_state(StepState::Finished);
                step.finished_at_ms = now;
                step.error = None;
                step.summary.clone_from(&words);
            }
        }
    }
}

fn done(record: &mut ProjectRecord, now: i64, words: String) {
    let drained = settled(record).cloned();
    let result: Option<VerificationResult> = worker(record, ComponentKind::FullVerification)
        .and_then(|c| c.facts.as_ref())
        .and_then(|f| f.verification);
    let Some(switchover) = under_way_mut(record) else {
        return;
    };
    let Some(step) = present_mut(switchover) else {
        return;
    };
    let kind = step.kind();
    step.set_state(SwitchStepState::Done);
    step.finished_at_ms = now;
    step.error = None;
    note_end(switchover, kind, now, &words);
    match kind {
        SwitchStepKind::Drained => switchover.drained_position = drained.unwrap_or_default(),
        SwitchStepKind::Verified => {
            if let Some(project) = record.public.as_mut() {
                project.verification = result;
            }
        }
        _ => {}
    }
}

/// What the sub-step says in the end.
pub(super) fn note_end(
    switchover: &mut oms_proto::v1::Switchover,
    kind: SwitchStepKind,
    now: i64,
    words: &str,
) {
    if let Some(step) = step_mut(switchover, kind) {
        words.clone_into(&mut step.summary);
    }
    note(switchover, now, format!("{}: {words}", shown(kind)));
}

impl MetaState {
    pub(crate) fn advance_switchover(&mut self, now: i64, c: &AdvanceSwitchover) -> Outcome {
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        let current = record.public.as_ref().is_some_and(|p| {
            p.version == c.expected_version && under_way(p).is_some_and(|s| s.number == c.number)
        });
        let Some(next) = due(record, now).filter(|_| current) else {
            return refuse(codes::api::CONFLICT, "the project has changed");
        };
        match next {
            Move::Begin => begin(record, now),
            Move::Done(words) => done(record, now, words),
            Move::Fail(error) => {
                let failed = under_way_mut(record).and_then(|s| {
                    let kind = present(s)?.kind();
                    note(
                        s,
                        now,
                        format!("{}: {} {}", shown(kind), error.code, error.message),
                    );
                    present_mut(s)
                });
                if let Some(step) = failed {
                    fails(step, error);
                }
            }
            Move::AwaitItems => {
                if let Some(step) = under_way_mut(record).and_then(present_mut) {
                    step.set_state(SwitchStepState::NeedsUser);
                    "items are left for the user to complete".clone_into(&mut step.summary);
                }
            }
            Move::ItemsComplete => {
                if let Some(step) = under_way_mut(record).and_then(present_mut) {
                    step.set_state(SwitchStepState::Running);
                    step.summary.clear();
                }
            }
            Move::StopForward => stop_forward(record, now),
            Move::Finish => finish(record, now),
        }
        bump(record, now)
    }
}
