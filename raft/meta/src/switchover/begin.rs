//! Beginning a switchover, and what is missing for one.

use oms_proto::{
    meta::{ProjectRecord, StartSwitchover},
    v1::{
        DataSourceKind, Project, ProjectState, Step, StepKind, StepState, SwitchStep, SwitchStepState,
        Switchover, SwitchoverState,
    },
};
use oms_types::codes;

use super::{ORDER, REMEMBERED, forward_stopped, note, under_way};
use crate::{
    project::bump,
    state::{MetaState, Outcome, refuse},
    steps::is_passed,
};

/// How far the destination may be behind where nothing else is said.
pub const DEFAULT_MAX_LAG_SECONDS: u32 = 15;
/// The most that can be said.
const MOST_LAG_SECONDS: u32 = 86_400;

/// Why a project cannot switch over now, everything at once; empty: it can.
pub fn switchover_missing(state: &MetaState, record: &ProjectRecord) -> Vec<String> {
    let Some(project) = record.public.as_ref() else {
        return vec!["the project's record is empty".to_owned()];
    };
    let mut missing = Vec::new();
    if !project.parent.is_empty() {
        missing.push(format!(
            "it moves objects that were added to project {}",
            project.parent
        ));
    }
    if let Some(present) = under_way(project) {
        missing.push(format!("switchover {} is under way", present.number));
    } else if forward_stopped(project) {
        missing.push("the project has switched over".to_owned());
    } else {
        missing.extend(missing_of(project));
    }
    let kind = |id: &str| {
        let public = state.data_source(id).and_then(|d| d.public.as_ref());
        public.and_then(|p| p.connection.as_ref()).map(|c| c.kind())
    };
    if kind(&record.source_id) == Some(DataSourceKind::Oceanbase) {
        missing.push(
            "the source is OceanBase, whose log is made of rounds; only projects from MySQL and MariaDB switch over"
                .to_owned(),
        );
    }
    if kind(&record.destination_id) == Some(DataSourceKind::Kafka) {
        missing.push("the destination is Kafka, which applications cannot be switched to".to_owned());
    }
    missing
}

fn missing_of(project: &Project) -> Vec<String> {
    let mut missing = Vec::new();
    if project.state() != ProjectState::Running {
        missing.push(format!("the project is {}, not RUNNING", project.state().name()));
    }
    let open = project.steps.iter().find(|s| !is_passed(s.state()));
    if let Some(step) = open {
        missing.push(format!(
            "the step {} is {}",
            step.kind().name(),
            step.state().name()
        ));
    }
    let follows = project.steps.iter().any(|s| s.kind() == StepKind::IncrTransfer);
    if !follows {
        missing.push("the project does not follow its source: it has no step INCR_TRANSFER".to_owned());
    }
    missing
}

/// A switchover as it begins.
pub fn planned_switchover(set_read_only: bool, max_lag_seconds: u32) -> Switchover {
    let waiting = |kind| SwitchStep {
        kind: kind as i32,
        state: SwitchStepState::Waiting as i32,
        ..Default::default()
    };
    Switchover {
        number: 1,
        state: SwitchoverState::Running as i32,
        set_read_only,
        max_lag_seconds: match max_lag_seconds {
            0 => DEFAULT_MAX_LAG_SECONDS,
            n => n,
        },
        steps: ORDER.map(waiting).to_vec(),
        ..Default::default()
    }
}

impl MetaState {
    pub(crate) fn start_switchover(&mut self, now: i64, c: &StartSwitchover) -> Outcome {
        let Some(record) = self.projects.get(&c.project) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("project {} does not exist", c.project),
            );
        };
        if c.max_lag_seconds > MOST_LAG_SECONDS {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!("a lag of at most {MOST_LAG_SECONDS} seconds can be allowed"),
            );
        }
        let missing = switchover_missing(self, record);
        if !missing.is_empty() {
            return refuse(codes::api::WRONG_STATE, missing.join("; "));
        }
        let Some(record) = self.project_mut(&c.project) else {
            return refuse(codes::api::INTERNAL, "the project is gone");
        };
        let Some(project) = record.public.as_mut() else {
            return refuse(codes::api::INTERNAL, "the project's record is empty");
        };
        let mut switchover = Switchover {
            number: project
                .switchovers
                .last()
                .map_or(0, |s| s.number)
                .saturating_add(1),
            started_at_ms: now,
            ..planned_switchover(c.set_read_only, c.max_lag_seconds)
        };
        note(&mut switchover, now, "begun");
        project.switchovers.push(switchover);
        let excess = project.switchovers.len().saturating_sub(REMEMBERED);
        project.switchovers.drain(..excess);
        project.steps.retain(|s| s.kind() != StepKind::TransferAppSwitch);
        project.steps.push(Step {
            kind: StepKind::TransferAppSwitch as i32,
            state: StepState::Running as i32,
            started_at_ms: now,
            ..Default::default()
        });
        bump(record, now)
    }
}
