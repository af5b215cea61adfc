//! When a watch is over.

use oms_proto::v1::{ErrorInfo, Project, ProjectState, Step, StepKind, StepState};

/// Where to stop watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Until {
    /// Incremental synchronization has caught up
    Monitoring,
    /// A verification has ended (exit code 3 if both sides differ)
    Verified,
    /// The project is FINISHED or RELEASED
    Finished,
    /// The project is RELEASED
    Released,
}

/// How a watch ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It got where it should, said in a few words.
    Reached(String),
    /// It got there, and both sides differ.
    Differs,
    /// The project failed.
    Failed(ErrorInfo),
}

/// Whether a watch for `until` is over with the project in this state.
pub(crate) fn verdict(until: Until, project: &Project) -> Option<Verdict> {
    let state = project.state();
    if state == ProjectState::Failed {
        let error = project
            .error
            .clone()
            .or_else(|| project.steps.iter().find_map(|s| s.error.clone()));
        return Some(Verdict::Failed(error.unwrap_or_default()));
    }
    if state == ProjectState::Released {
        return Some(ended(until, project));
    }
    let step = |kind: StepKind| project.steps.iter().find(|s| s.kind() == kind).map(Step::state);
    match until {
        Until::Released => None,
        Until::Monitoring
            if matches!(
                step(StepKind::IncrTransfer),
                Some(StepState::Monitoring | StepState::Finished)
            ) =>
        {
            Some(Verdict::Reached(
                "incremental synchronization has caught up".to_owned(),
            ))
        }
        Until::Verified => match step(StepKind::FullVerifier) {
            Some(StepState::Finished) => Some(verified(project)),
            Some(StepState::Skipped) => Some(Verdict::Reached("the verification was skipped".to_owned())),
            _ if state == ProjectState::Finished => Some(ended(until, project)),
            _ => None,
        },
        Until::Monitoring | Until::Finished if state == ProjectState::Finished => Some(ended(until, project)),
        Until::Monitoring | Until::Finished => None,
    }
}

fn ended(until: Until, project: &Project) -> Verdict {
    let differs = project.verification.as_ref().is_some_and(|v| !v.consistent);
    if differs && matches!(until, Until::Verified | Until::Finished) {
        Verdict::Differs
    } else {
        Verdict::Reached(project.state().name().to_owned())
    }
}

fn verified(project: &Project) -> Verdict {
    match &project.verification {
        Some(result) if !result.consistent => Verdict::Differs,
        Some(result) => Verdict::Reached(format!(
            "{} in {} are equal on both sides",
            crate::output::amount(result.rows, "row"),
            crate::output::amount(result.tables, "table")
        )),
        None => Verdict::Reached("the verification has ended".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use oms_proto::v1::VerificationResult;

    use super::*;

    fn project(state: ProjectState, steps: &[(StepKind, StepState)], consistent: Option<bool>) -> Project {
        Project {
            state: state as i32,
            steps: steps
                .iter()
                .map(|(k, s)| Step {
                    kind: *k as i32,
                    state: *s as i32,
                    ..Default::default()
                })
                .collect(),
            verification: consistent.map(|consistent| VerificationResult {
                consistent,
                rows: 2,
                tables: 1,
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn a_watch_ends_where_it_should() {
        use {ProjectState as P, StepKind as K, StepState as S};
        let running = project(
            P::Running,
            &[(K::IncrTransfer, S::Running), (K::FullVerifier, S::Init)],
            None,
        );
        let caught_up = project(
            P::Running,
            &[(K::IncrTransfer, S::Monitoring), (K::FullVerifier, S::Running)],
            None,
        );
        let equal = project(
            P::Running,
            &[(K::IncrTransfer, S::Monitoring), (K::FullVerifier, S::Finished)],
            Some(true),
        );
        let differs = project(
            P::Running,
            &[(K::IncrTransfer, S::Monitoring), (K::FullVerifier, S::Finished)],
            Some(false),
        );
        let again = project(
            P::Running,
            &[(K::IncrTransfer, S::Monitoring), (K::FullVerifier, S::Running)],
            Some(false),
        );
        let finished = project(P::Finished, &[(K::FullTransfer, S::Finished)], None);
        let finished_differs = project(P::Finished, &[(K::FullVerifier, S::Finished)], Some(false));
        let released = project(P::Released, &[], None);
        let suspended = project(P::Suspend, &[(K::IncrTransfer, S::Running)], None);
        let is = |until, p: &Project| match verdict(until, p) {
            None => "goes on",
            Some(Verdict::Reached(_)) => "reached",
            Some(Verdict::Differs) => "differs",
            Some(Verdict::Failed(_)) => "failed",
        };
        for (until, p, expected) in [
            (Until::Monitoring, &running, "goes on"),
            (Until::Monitoring, &caught_up, "reached"),
            (Until::Monitoring, &differs, "reached"),
            (Until::Monitoring, &finished, "reached"),
            (Until::Verified, &caught_up, "goes on"),
            (Until::Verified, &equal, "reached"),
            (Until::Verified, &differs, "differs"),
            (Until::Verified, &again, "goes on"),
            (Until::Verified, &finished, "reached"),
            (Until::Finished, &equal, "goes on"),
            (Until::Finished, &finished, "reached"),
            (Until::Finished, &finished_differs, "differs"),
            (Until::Finished, &released, "reached"),
            (Until::Finished, &suspended, "goes on"),
            (Until::Released, &finished, "goes on"),
            (Until::Released, &released, "reached"),
        ] {
            assert_eq!(is(until, p), expected, "{until:?} {p:?}");
        }
    }

    #[test]
    fn a_failure_carries_the_error_of_project_or_step() {
        let error = ErrorInfo {
            code: "OMS-SRC-0001".to_owned(),
            ..Default::default()
        };
        let mut failed = project(
            ProjectState::Failed,
            &[(StepKind::FullTransfer, StepState::Failed)],
            None,
        );
        failed.steps[0].error = Some(error.clone());
        assert_eq!(
            verdict(Until::Released, &failed),
            Some(Verdict::Failed(error.clone()))
        );
        failed.steps[0].error = None;
        failed.error = Some(error.clone());
        assert_eq!(verdict(Until::Monitoring, &failed), Some(Verdict::Failed(error)));
    }
}
