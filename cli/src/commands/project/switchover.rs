//! `omsnode project switchover`: making the destination the database that applications use.

use clap::{Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};
use oms_proto::v1::{
    DecideSwitchoverRequest, GetProjectRequest, Project, ProjectRequest, ProjectState,
    StartSwitchoverRequest, SwitchStep, SwitchStepKind, SwitchStepState, Switchover, SwitchoverDecision,
    SwitchoverPlan, SwitchoverState,
};
use tokio_stream::StreamExt as _;

use super::lifecycle::name_of;
use crate::{
    client::Context,
    confirm::confirm,
    error::CliError,
    exit::Exit,
    output::{Human, Table, amount, duration_ms, timestamp},
};

#[derive(Subcommand, Debug)]
pub(crate) enum SwitchoverCommand {
    /// Begin the switchover of a project that follows its source
    #[command(
        after_help = "Look first:   omsnode project switchover start shop --dry-run\nThen:         omsnode project switchover start shop --watch\nWhen the applications have stopped writing: omsnode project switchover confirm shop writes-stopped"
    )]
    Start {
        /// The project's name or id
        name: String,
        /// Set the source read-only instead of waiting for a confirmation that writes have stopped; a cancellation undoes it
        #[arg(long)]
        set_read_only: bool,
        /// How long the destination may take to have what is in the source's log now
        #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=86_400))]
        max_lag: u32,
        /// Only show what would be done, what is missing, and how long writes would be stopped
        #[arg(long)]
        dry_run: bool,
        /// Follow it until it is done, or waits for you
        #[arg(short, long, conflicts_with = "dry_run")]
        watch: bool,
    },
    /// Show the last switchover of a project with its sub-steps
    Show {
        /// The project's name or id
        name: String,
        /// Show all switchovers of the project, the oldest first
        #[arg(long)]
        all: bool,
        /// Follow it until it is done, or waits for you
        #[arg(short, long, conflicts_with = "all")]
        watch: bool,
    },
    /// Confirm that nobody writes to the source any more
    Confirm {
        /// The project's name or id
        name: String,
        /// What is confirmed: writes-stopped
        #[arg(value_parser = step_parser())]
        step: SwitchStepKind,
    },
    /// Try the sub-step that failed again
    Retry {
        /// The project's name or id
        name: String,
    },
    /// Leave out the present sub-step. What it would have proven stays unproven, and that is recorded for ever
    #[command(
        after_help = "Example: omsnode project switchover skip shop verified --reason \"verified an hour ago, window is closing\""
    )]
    Skip {
        /// The project's name or id
        name: String,
        /// The sub-step
        #[arg(value_parser = step_parser())]
        step: SwitchStepKind,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Say that an item, which only you could do, is done
    Complete {
        /// The project's name or id
        name: String,
        /// The item as `show` names it, for example trigger/shop.audit
        item: String,
    },
    /// Go back to how it was before the switchover; possible until forward synchronization has stopped for good
    Cancel {
        /// The project's name or id
        name: String,
    },
}

/// The sub-steps by their names on the command line, in their order.
const SUB_STEPS: [&str; 6] = [
    "precheck",
    "writes-stopped",
    "drained",
    "verified",
    "forward-stopped",
    "objects",
];

/// A sub-step's name on the command line.
fn shown(kind: SwitchStepKind) -> String {
    kind.name().replace('_', "-")
}

fn step_parser() -> impl clap::builder::TypedValueParser<Value = SwitchStepKind> {
    PossibleValuesParser::new(SUB_STEPS)
        .map(|name| SwitchStepKind::from_name(&name.replace('-', "_")).unwrap_or_default())
}

pub(super) async fn run(context: &Context, command: SwitchoverCommand) -> Result<Exit, CliError> {
    use SwitchoverCommand as C;
    use SwitchoverDecision as D;
    let decision = |project: String, decision: D| DecideSwitchoverRequest {
        project,
        decision: decision as i32,
        ..Default::default()
    };
    let request = match command {
        C::Start {
            name,
            set_read_only,
            max_lag,
            dry_run,
            watch,
        } => {
            let request = StartSwitchoverRequest {
                project: name,
                set_read_only,
                max_lag_seconds: max_lag,
                dry_run,
            };
            return start(context, request, watch).await;
        }
        C::Show {
            name, watch: true, ..
        } => return follow(context, name).await,
        C::Show { name, all, .. } => return show(context, name, all).await,
        C::Confirm { name, step } => DecideSwitchoverRequest {
            step: step as i32,
            ..decision(name, D::Confirm)
        },
        C::Retry { name } => decision(name, D::Retry),
        C::Skip { name, step, reason } => {
            let what = format!(
                "The sub-step {} of the switchover of project {name} will be skipped: what it would have proven stays \
                 unproven, and changes can be lost by that",
                shown(step)
            );
            confirm(context, &what, &name).await?;
            DecideSwitchoverRequest {
                step: step as i32,
                reason,
                ..decision(name, D::Skip)
            }
        }
        C::Complete { name, item } => DecideSwitchoverRequest {
            item,
            ..decision(name, D::Complete)
        },
        C::Cancel { name } => decision(name, D::Cancel),
    };
    let mut client = context.projects().await?;
    let project = client
        .decide_switchover(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let words = project
        .switchovers
        .last()
        .map(|s| words(name_of(&project), s))
        .unwrap_or_default();
    context.out.done(&project.switchovers.last(), &words)?;
    Ok(Exit::Ok)
}

async fn start(context: &Context, request: StartSwitchoverRequest, watch: bool) -> Result<Exit, CliError> {
    let (name, dry_run) = (request.project.clone(), request.dry_run);
    let mut client = context.projects().await?;
    let plan = client
        .start_switchover(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if watch {
        return follow(context, name).await;
    }
    if context.out.is_json() {
        context.out.json(&plan)?;
    } else if dry_run {
        print_plan(context, &plan)?;
    } else if let Some(switchover) = &plan.switchover {
        context.out.line(&words(&name, switchover))?;
    }
    Ok(if dry_run && !plan.missing.is_empty() {
        Exit::Failure
    } else {
        Exit::Ok
    })
}

fn print_plan(context: &Context, plan: &SwitchoverPlan) -> Result<(), CliError> {
    let mut table = Table::new(&["SUB-STEP", "WRITES", "ESTIMATE", "FROM"]);
    let steps = plan.switchover.as_ref().map(|s| s.steps.as_slice());
    for step in steps.unwrap_or_default() {
        let estimate = plan.estimates.iter().find(|e| e.step == step.kind);
        let ms = estimate.map(|e| e.ms).filter(|ms| *ms > 0);
        table.row([
            shown(step.kind()),
            if step.kind() == SwitchStepKind::Precheck {
                "allowed".to_owned()
            } else {
                "stopped".to_owned()
            },
            ms.map(duration_ms).unwrap_or_default(),
            estimate.map(|e| e.basis.clone()).unwrap_or_default(),
        ]);
    }
    context.out.table(&table)?;
    context.out.line(&format!(
        "writes would be stopped for about {}, and for the time that people take; {} would be created",
        duration_ms(plan.write_stop_ms),
        amount(plan.deferred_objects, "foreign key or check"),
    ))?;
    if plan.missing.is_empty() {
        context.out.line("nothing is missing; nothing was begun")
    } else {
        for missing in &plan.missing {
            context.out.line(&format!("missing: {missing}"))?;
        }
        Ok(())
    }
}

fn present(switchover: &Switchover) -> Option<&SwitchStep> {
    let over = |s: &&SwitchStep| matches!(s.state(), SwitchStepState::Done | SwitchStepState::Skipped);
    switchover.steps.iter().find(|s| !over(s))
}

/// Where it stands and what it waits for, in one line.
fn words(name: &str, switchover: &Switchover) -> String {
    let head = format!("switchover {} of project {name}", switchover.number);
    match switchover.state() {
        SwitchoverState::Done => format!(
            "{head} is done: writes were stopped for {}{}",
            duration_ms(switchover.write_stop_ms),
            match switchover.skips.len() {
                0 => String::new(),
                n => format!("; skipped by name: {}", amount(n as u64, "sub-step")),
            }
        ),
        SwitchoverState::Canceled => format!("{head} was cancelled"),
        SwitchoverState::Cancelling => format!("{head} is being undone at the source"),
        SwitchoverState::Running | SwitchoverState::Unspecified => match present(switchover) {
            Some(step) => format!(
                "{head} is at {} ({}){}",
                shown(step.kind()),
                step.state().name(),
                wants(name, switchover, step)
            ),
            None => format!("{head} ends"),
        },
    }
}

/// What the user is to do.
fn wants(name: &str, switchover: &Switchover, step: &SwitchStep) -> String {
    match (step.state(), step.kind()) {
        (SwitchStepState::NeedsUser, SwitchStepKind::WritesStopped) => format!(
            ": stop everything that writes to the source, then `omsnode project switchover confirm {name} writes-stopped`"
        ),
        (SwitchStepState::NeedsUser, _) => {
            let open: Vec<&str> = switchover
                .items
                .iter()
                .filter(|i| i.completed_at_ms == 0)
                .map(|i| i.name.as_str())
                .collect();
            format!(
                ": do what is left and say so with `omsnode project switchover complete {name} ITEM`: {}",
                open.join(", ")
            )
        }
        (SwitchStepState::Failed, _) => step
            .error
            .as_ref()
            .map(|e| format!(": {} {}", e.code, e.message))
            .unwrap_or_default(),
        _ => String::new(),
    }
}

async fn show(context: &Context, name: String, all: bool) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let project = client
        .get_project(GetProjectRequest { project: name })
        .await
        .map_err(context.failed())?
        .into_inner();
    let Some(last) = project.switchovers.last() else {
        if context.out.is_json() && all {
            context.out.json(&project.switchovers)?;
        } else {
            return Err(CliError::Usage(format!(
                "project {} has no switchover; `omsnode project switchover start` begins one",
                name_of(&project)
            )));
        }
        return Ok(Exit::Ok);
    };
    match (context.out.is_json(), all) {
        (true, true) => context.out.json(&project.switchovers)?,
        (true, false) => context.out.json(last)?,
        (false, true) => {
            for switchover in &project.switchovers {
                print(context, name_of(&project), switchover)?;
            }
        }
        (false, false) => print(context, name_of(&project), last)?,
    }
    Ok(Exit::Ok)
}

fn print(context: &Context, name: &str, switchover: &Switchover) -> Result<(), CliError> {
    let human = Human::now();
    context.out.line(&words(name, switchover))?;
    let mut table = Table::new(&["SUB-STEP", "STATE", "BEGUN", "TOOK", "REMARKS"]);
    for step in &switchover.steps {
        table.row([
            shown(step.kind()),
            step.state().name().to_owned(),
            human.ago(step.started_at_ms),
            human.span(step.started_at_ms, step.finished_at_ms),
            match &step.error {
                Some(error) => format!("{} {}", error.code, error.message),
                None => step.summary.clone(),
            },
        ]);
    }
    context.out.table(&table)?;
    if !switchover.items.is_empty() {
        let mut table = Table::new(&["ITEM", "COMPLETED", "WHAT"]);
        for item in &switchover.items {
            let completed = match item.completed_at_ms {
                0 => "no".to_owned(),
                at => human.ago(at),
            };
            table.row([item.name.clone(), completed, item.what.clone()]);
        }
        context.out.table(&table)?;
    }
    for skip in &switchover.skips {
        context.out.line(&format!(
            "skipped by name at {}: {}: {}",
            timestamp(skip.at_ms),
            shown(skip.step()),
            skip.reason
        ))?;
    }
    for line in &switchover.log {
        context
            .out
            .line(&format!("{} {}", timestamp(line.at_ms), line.text))?;
    }
    Ok(())
}

/// Follows until it has ended, failed or waits for the user.
async fn follow(context: &Context, name: String) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = ProjectRequest { project: name };
    let mut stream = client
        .watch_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let mut logged = 0i64;
    let mut at_that = 0usize;
    while let Some(snapshot) = stream.next().await {
        let Some(project) = snapshot.map_err(context.failed())?.project else {
            continue;
        };
        let Some(switchover) = project.switchovers.last() else {
            return Err(CliError::Usage(format!(
                "project {} has no switchover",
                name_of(&project)
            )));
        };
        // Lines of one moment come in order, and the oldest may be forgotten.
        let new = switchover.log.iter().filter(|l| l.at_ms > logged);
        let same = switchover.log.iter().filter(|l| l.at_ms == logged).skip(at_that);
        for line in same.chain(new) {
            if context.out.is_json() {
                context.out.json_line(line)?;
            } else {
                context
                    .out
                    .line(&format!("{} {}", timestamp(line.at_ms), line.text))?;
            }
        }
        logged = switchover.log.iter().map(|l| l.at_ms).max().unwrap_or(logged);
        at_that = switchover.log.iter().filter(|l| l.at_ms == logged).count();
        if let Some(exit) = ended(&project, switchover) {
            context
                .out
                .done(switchover, &words(name_of(&project), switchover))?;
            return Ok(exit);
        }
    }
    Err(CliError::Usage("the project is gone".to_owned()))
}

/// How following ends, if it does now.
fn ended(project: &Project, switchover: &Switchover) -> Option<Exit> {
    if project.state() == ProjectState::Failed {
        return Some(Exit::Failure);
    }
    match switchover.state() {
        SwitchoverState::Done | SwitchoverState::Canceled => Some(Exit::Ok),
        SwitchoverState::Cancelling => None,
        SwitchoverState::Running | SwitchoverState::Unspecified => match present(switchover)?.state() {
            SwitchStepState::Failed => Some(Exit::Failure),
            SwitchStepState::NeedsUser => Some(Exit::Ok),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sub_step_has_a_name() {
        let names: Vec<String> = SwitchStepKind::NAMES
            .iter()
            .map(|n| shown(SwitchStepKind::from_name(n).unwrap_or_default()))
            .collect();
        assert_eq!(names, SUB_STEPS);
    }
}
