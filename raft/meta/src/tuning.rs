//! Options that may change while a project runs.

use oms_proto::{
    meta::TuneProject,
    v1::{Concurrency, FullOptions, FullTuning, IncrementalOptions, ProjectState, StepKind, StepState},
};
use oms_types::codes;

use crate::{
    project::touch,
    state::{MetaState, Outcome, refuse},
};

/// Most workers of full import that one may ask for; each has a connection to both sides.
pub const MOST_WORKERS: u32 = 64;

impl MetaState {
    pub(crate) fn tune_project(&mut self, now: i64, c: &TuneProject) -> Outcome {
        let Some(record) = self.project_mut(&c.id) else {
            return refuse(codes::api::NOT_FOUND, format!("project {} does not exist", c.id));
        };
        let Some(project) = record.public.as_mut() else {
            return refuse(codes::api::INTERNAL, "the project's record is empty");
        };
        if matches!(project.state(), ProjectState::Releasing | ProjectState::Released) {
            return refuse(
                codes::api::WRONG_STATE,
                format!(
                    "the project is {}; nothing of it runs again",
                    project.state().name()
                ),
            );
        }
        let Some(full) = &c.full else {
            return refuse(codes::api::INVALID_ARGUMENT, "nothing is to be changed");
        };
        let step = project.steps.iter().find(|s| s.kind() == StepKind::FullTransfer);
        match step.map(|s| s.state()) {
            None => return refuse(codes::api::WRONG_STATE, "the project has no full import"),
            Some(StepState::Finished | StepState::Skipped) => {
                return refuse(codes::api::WRONG_STATE, "full import has ended");
            }
            Some(_) => {}
        }
        let Some(spec) = project.spec.as_mut() else {
            return refuse(codes::api::INTERNAL, "the project has no spec");
        };
        let mut options = spec.full.unwrap_or_default();
        tune_full(&mut options, full);
        if let Err(problem) = check_full(&options) {
            return refuse(codes::api::INVALID_ARGUMENT, problem);
        }
        spec.full = Some(options);
        touch(project, now)
    }
}

fn tune_full(options: &mut FullOptions, tuning: &FullTuning) {
    if let Some(limit) = tuning.max_rows_per_second {
        options.max_rows_per_second = limit;
    }
    if let Some(limit) = tuning.max_bytes_per_second {
        options.max_bytes_per_second = limit;
    }
    match (tuning.concurrency, tuning.workers) {
        (None, None) => {}
        (Some(concurrency), workers) => {
            options.concurrency = concurrency;
            options.workers = workers.unwrap_or(0);
        }
        (None, Some(0)) => {
            options.workers = 0;
            if options.concurrency() == Concurrency::Custom {
                options.set_concurrency(Concurrency::Unspecified);
            }
        }
        (None, Some(workers)) => {
            options.workers = workers;
            options.set_concurrency(Concurrency::Custom);
        }
    }
}

/// What is wrong with the concurrency of full import, if anything. Specs are checked with it, too; those of earlier
/// releases may name a preset beside `workers`, which then counts.
///
/// # Errors
/// A sentence for people, beginning with the field.
pub fn check_full(options: &FullOptions) -> Result<(), String> {
    if options.workers > MOST_WORKERS {
        return Err(format!("full.workers: at most {MOST_WORKERS}"));
    }
    match (options.concurrency(), options.workers) {
        (Concurrency::Custom, 0) => {
            Err("full.concurrency: `custom` needs a number in full.workers".to_owned())
        }
        (Concurrency::Auto, 1..) => Err(
            "full.workers: says another number than `auto` finds; leave one of both out, or say `custom`"
                .to_owned(),
        ),
        _ => Ok(()),
    }
}

/// What is wrong with the concurrency of incremental synchronization, if anything.
///
/// # Errors
/// A sentence for people, beginning with the field.
pub fn check_incremental(options: &IncrementalOptions) -> Result<(), String> {
    if options.lanes > MOST_WORKERS {
        return Err(format!("incremental.lanes: at most {MOST_WORKERS}"));
    }
    match (options.concurrency(), options.lanes) {
        (Concurrency::Custom, 0) => {
            Err("incremental.concurrency: `custom` needs a number in incremental.lanes".to_owned())
        }
        (Concurrency::Unspecified | Concurrency::Custom, _) | (_, 0) => Ok(()),
        _ => Err(
            "incremental.lanes: says another number than incremental.concurrency; leave one of both out, or say `custom`"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_and_concurrency_follow_each_other() {
        let tuned = |options: FullOptions, concurrency: Option<Concurrency>, workers: Option<u32>| {
            let mut options = options;
            let tuning = FullTuning {
                concurrency: concurrency.map(|c| c as i32),
                workers,
                ..Default::default()
            };
            tune_full(&mut options, &tuning);
            (
                options.concurrency(),
                options.workers,
                check_full(&options).is_ok(),
            )
        };
        let none = FullOptions::default();
        let custom = FullOptions {
            concurrency: Concurrency::Custom as i32,
            workers: 3,
            ..none
        };
        use Concurrency as C;
        assert_eq!(tuned(none, None, Some(5)), (C::Custom, 5, true));
        assert_eq!(tuned(none, Some(C::Fast), None), (C::Fast, 0, true));
        assert_eq!(tuned(custom, Some(C::Auto), None), (C::Auto, 0, true));
        assert_eq!(tuned(custom, None, Some(0)), (C::Unspecified, 0, true));
        assert_eq!(tuned(custom, None, None), (C::Custom, 3, true));
        assert_eq!(tuned(none, Some(C::Custom), None), (C::Custom, 0, false));
        assert_eq!(tuned(none, Some(C::Auto), Some(2)), (C::Auto, 2, false));
        assert_eq!(tuned(none, None, Some(65)), (C::Custom, 65, false));
    }

    #[test]
    fn lanes_and_concurrency_say_one_number() {
        let check = |concurrency: Concurrency, lanes| {
            check_incremental(&IncrementalOptions {
                lanes,
                concurrency: concurrency as i32,
                ..Default::default()
            })
            .is_ok()
        };
        use Concurrency as C;
        for preset in [C::Stable, C::Normal, C::Fast, C::Auto, C::Unspecified] {
            assert!(check(preset, 0), "{preset:?}");
        }
        assert!(check(C::Unspecified, 64) && check(C::Custom, 64) && !check(C::Custom, 65));
        assert!(!check(C::Custom, 0) && !check(C::Auto, 3) && !check(C::Fast, 8));
    }
}
