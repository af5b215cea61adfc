//! Options of projects that exist: which may change when, and what a change does.

use oms_proto::{
    meta::SetProject,
    v1::{Project, ProjectSpec, ProjectState},
};
use oms_types::{ComponentKind, codes};

use crate::{
    changes::begin_anew,
    check_full, check_incremental,
    component::is_live,
    project::bump,
    state::{MetaState, Outcome, refuse},
};

/// When an option of a project may change, and what the change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingEffect {
    /// At any time: what works goes on with it within a second.
    AtOnce,
    /// At any time: what begins later begins with it.
    Later,
    /// At any time: this component begins anew where it stands.
    Restarts(ComponentKind),
    /// While the project is not started, paused or failed: what begins afterwards works with it.
    AtRest,
    /// Only before the project is started.
    BeforeStart,
}

/// Every option that may change, by the path of its field in the spec.
pub const SETTINGS: &[(&str, SettingEffect)] = &[
    ("name", SettingEffect::AtOnce),
    ("full.max_rows_per_second", SettingEffect::AtOnce),
    ("full.max_bytes_per_second", SettingEffect::AtOnce),
    ("full.concurrency", SettingEffect::AtOnce),
    ("full.workers", SettingEffect::AtOnce),
    ("full.chunk_rows", SettingEffect::AtRest),
    ("full.max_conflicts", SettingEffect::AtRest),
    ("full.on_existing_rows", SettingEffect::BeforeStart),
    (
        "incremental.lanes",
        SettingEffect::Restarts(ComponentKind::IncrSync),
    ),
    (
        "incremental.concurrency",
        SettingEffect::Restarts(ComponentKind::IncrSync),
    ),
    (
        "incremental.commit_order",
        SettingEffect::Restarts(ComponentKind::IncrSync),
    ),
    (
        "incremental.caught_up_seconds",
        SettingEffect::Restarts(ComponentKind::IncrSync),
    ),
    (
        "incremental.retention_hours",
        SettingEffect::Restarts(ComponentKind::Store),
    ),
    ("incremental.partial_rows", SettingEffect::AtRest),
    ("verify.concurrency", SettingEffect::Later),
    ("verify.max_differences", SettingEffect::Later),
    ("verify.recheck_rounds", SettingEffect::Later),
    ("precheck.skip", SettingEffect::AtRest),
    ("schema.omit_foreign_keys", SettingEffect::BeforeStart),
    ("schema.omit_views", SettingEffect::BeforeStart),
    ("schema.charsets", SettingEffect::AtRest),
    ("schema.collations", SettingEffect::AtRest),
];

impl SettingEffect {
    /// Whether the option may change in this state of its project.
    pub fn allows(self, state: ProjectState) -> bool {
        use ProjectState as S;
        match state {
            S::Init => true,
            S::Suspend | S::Failed => self != Self::BeforeStart,
            S::Running | S::Finished => matches!(self, Self::AtOnce | Self::Later | Self::Restarts(_)),
            // Objects join with the options that they were added with.
            S::RunningModifying | S::RunningMerging => false,
            S::Releasing | S::Released | S::Unspecified => false,
        }
    }
}

/// The spec without what may change.
fn fixed(spec: &ProjectSpec) -> ProjectSpec {
    ProjectSpec {
        source: spec.source.clone(),
        destination: spec.destination.clone(),
        databases: spec.databases.clone(),
        rules: spec.rules.clone(),
        labels: spec.labels.clone(),
        steps: spec.steps,
        ..Default::default()
    }
}

impl MetaState {
    pub(crate) fn set_project(&mut self, now: i64, c: &SetProject) -> Outcome {
        let Some(spec) = &c.spec else {
            return refuse(codes::api::INVALID_ARGUMENT, "the spec is missing");
        };
        let namesake = self
            .project(&spec.name)
            .and_then(|r| r.public.as_ref())
            .is_some_and(|p| p.id != c.id);
        let Some(record) = self.project_mut(&c.id) else {
            return refuse(codes::api::NOT_FOUND, format!("project {} does not exist", c.id));
        };
        let Some((project, old)) = record
            .public
            .as_mut()
            .and_then(|p| p.spec.clone().map(|s| (p, s)))
        else {
            return refuse(codes::api::INTERNAL, "the project's record is empty");
        };
        if project.version != c.expected_version {
            return refuse(
                codes::api::CONFLICT,
                format!(
                    "the project has version {}, not {}",
                    project.version, c.expected_version
                ),
            );
        }
        if let Err(problem) = may_become(project, &old, spec) {
            return refuse(codes::api::WRONG_STATE, problem);
        }
        if namesake {
            return refuse(
                codes::api::ALREADY_EXISTS,
                format!("project {:?} exists", spec.name),
            );
        }
        let problems = [
            spec.full.as_ref().map(check_full),
            spec.incremental.as_ref().map(check_incremental),
        ];
        for problem in problems.into_iter().flatten() {
            if let Err(problem) = problem {
                return refuse(codes::api::INVALID_ARGUMENT, problem);
            }
        }
        project.spec = Some(spec.clone());
        for component in &mut record.components {
            if c.restart.contains(&component.kind) && is_live(component) {
                begin_anew(component, now);
            }
        }
        bump(record, now)
    }
}

fn may_become(project: &Project, old: &ProjectSpec, new: &ProjectSpec) -> Result<(), String> {
    if !project.parent.is_empty() {
        return Err(format!(
            "it moves objects that were added to project {}",
            project.parent
        ));
    }
    if fixed(old) != fixed(new) {
        return Err("source, destination, steps, labels and objects are not options".to_owned());
    }
    if !SettingEffect::AtOnce.allows(project.state()) {
        return Err(format!(
            "the project is {}; options do not change then",
            project.state().name()
        ));
    }
    if !(1..=128).contains(&new.name.chars().count()) {
        return Err("name: 1 to 128 characters".to_owned());
    }
    Ok(())
}
