//! `omsnode project`.

mod changes;
mod ddl;
mod inspect;
mod lifecycle;
mod objects;
mod preview;
mod several;
mod spec_file;
mod switchover;
mod tune;
mod verify;
mod wait;

use std::time::Duration;

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};
use oms_proto::v1::{ObjectState, ProjectState, VerifyScope};

use crate::{
    client::Context,
    error::CliError,
    exit::Exit,
    watch::{self, FollowArgs, Until},
};

#[derive(Subcommand, Debug)]
pub(crate) enum ProjectCommand {
    /// Check a spec file and run the prechecks without storing anything
    Validate {
        #[command(flatten)]
        file: spec_file::SpecFile,
        /// Do not connect to the databases
        #[arg(long)]
        offline: bool,
    },
    /// Show what a spec file selects, the statements it would run, and what stays at the source and why. Stores nothing
    Preview(preview::PreviewArgs),
    /// Print the spec of a project, to keep it or to make another project like it
    Export {
        /// Name or id
        name: String,
    },
    /// Create a project from a spec file
    Create {
        #[command(flatten)]
        file: spec_file::SpecFile,
        /// Take options that the file lacks from this template
        #[arg(long, value_name = "NAME")]
        template: Option<String>,
        /// Start it at once
        #[arg(long)]
        start: bool,
        #[command(flatten)]
        watching: Watching,
    },
    /// Start a project
    Start {
        /// Name or id
        name: String,
        #[command(flatten)]
        watching: Watching,
    },
    /// Pause a project. Changes at the source are still captured, so that nothing is missed
    Pause {
        /// Name or id
        name: String,
    },
    /// Go on with a paused or failed project at the first step that is not done
    Resume {
        /// Name or id
        name: String,
        #[command(flatten)]
        watching: Watching,
    },
    /// End a project for good: its components and captured changes are removed, the data stays
    Release {
        /// Name or id
        name: String,
        /// Give up what cannot be removed, for example because the destination is gone; `project show` then says what
        /// stays where
        #[arg(long)]
        force: bool,
        /// Wait until it is released
        #[arg(short, long)]
        watch: bool,
    },
    /// Delete a project that was never started or is released
    #[command(visible_alias = "rm")]
    Delete {
        /// Name or id
        name: String,
    },
    /// List projects
    #[command(visible_alias = "ls")]
    List(inspect::ListArgs),
    /// Show a project with its steps
    Show {
        /// Name or id
        name: String,
    },
    /// Follow a project: bars on a terminal, lines in a pipe, one object per line with --output json
    Watch {
        /// Name or id
        name: String,
        #[command(flatten)]
        follow: FollowArgs,
    },
    /// Wait until everything that is in the source's log now is at the destination
    Wait {
        /// Name or id
        name: String,
        /// Until the destination has caught up with the present end of the source's log (the default)
        #[arg(long)]
        caught_up: bool,
        /// Give up after this time, with exit code 4
        #[arg(long, value_name = "DURATION", value_parser = watch::duration)]
        timeout: Option<Duration>,
    },
    /// Verify again
    Verify {
        /// Name or id
        name: String,
        /// What to compare
        #[arg(long, value_parser = scope_parser(), default_value = "all")]
        scope: VerifyScope,
        /// Wait for the result: exit code 3 if both sides differ
        #[arg(short, long)]
        wait: bool,
    },
    /// End a running or failed verification without a result
    SkipVerification {
        /// Name or id
        name: String,
    },
    /// List the tables of the last verification
    VerifiedTables {
        /// Name or id
        name: String,
    },
    /// List the rows that differ
    Diff(verify::DiffArgs),
    /// List the items of the last precheck
    Prechecks {
        /// Name or id
        name: String,
    },
    /// List the objects of the schema migration; add and remove objects of a project that exists
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Objects {
        #[command(subcommand)]
        command: Option<changes::ObjectsCommand>,
        #[command(flatten)]
        list: objects::ListArgs,
    },
    /// Decide about objects whose schema migration failed
    Object {
        #[command(subcommand)]
        command: objects::ObjectCommand,
    },
    /// List and decide about statements of the source that define tables
    Ddl {
        #[command(subcommand)]
        command: ddl::DdlCommand,
    },
    /// Make the destination the database that applications use: stop writes, drain, verify, end, with proof of each
    Switchover {
        #[command(subcommand)]
        command: switchover::SwitchoverCommand,
    },
    /// Change limits and concurrency, also while the project runs: it goes on with the new ones at once
    Tune(tune::TuneArgs),
    /// Change the name and options of a project that exists
    Set(several::SetArgs),
    /// Make a new project with the objects and options of another one, in whatever state that is
    Copy {
        /// Name or id
        name: String,
        /// Name of the new project
        new_name: String,
    },
    /// Do one thing to several projects: those that it can be done to
    Batch(several::BatchArgs),
    /// Options to make projects of
    Template {
        #[command(subcommand)]
        command: several::TemplateCommand,
    },
    /// List the labels and how many projects carry each
    Labels,
    /// Add and remove labels
    Label {
        /// Name or id
        name: String,
        /// Label to add; may be repeated
        #[arg(long, required_unless_present = "remove")]
        add: Vec<String>,
        /// Label to remove; may be repeated
        #[arg(long)]
        remove: Vec<String>,
    },
}

/// Following what a command has set going.
#[derive(Args, Clone, Debug)]
pub(crate) struct Watching {
    /// Follow the project, as `project watch` does
    #[arg(short, long)]
    watch: bool,
    /// Follow the project until this point
    #[arg(long, value_enum)]
    until: Option<Until>,
}

impl Watching {
    /// How to follow, if at all.
    fn wanted(&self) -> Option<FollowArgs> {
        (self.watch || self.until.is_some()).then(|| FollowArgs {
            until: self.until.unwrap_or(Until::Finished),
            ..FollowArgs::default()
        })
    }
}

fn state_parser() -> impl clap::builder::TypedValueParser<Value = ProjectState> {
    PossibleValuesParser::new(ProjectState::NAMES)
        .map(|name| ProjectState::from_name(&name).unwrap_or_default())
}

pub(super) fn object_state_parser() -> impl clap::builder::TypedValueParser<Value = ObjectState> {
    PossibleValuesParser::new(ObjectState::NAMES)
        .map(|name| ObjectState::from_name(&name).unwrap_or_default())
}

fn scope_parser() -> impl clap::builder::TypedValueParser<Value = VerifyScope> {
    PossibleValuesParser::new(VerifyScope::NAMES)
        .map(|name| VerifyScope::from_name(&name).unwrap_or_default())
}

pub(crate) async fn run(command: ProjectCommand, context: &Context) -> Result<Exit, CliError> {
    use ProjectCommand as C;
    match command {
        C::Validate { file, offline } => lifecycle::validate(context, &file, offline).await,
        C::Preview(arguments) => preview::preview(context, &arguments).await,
        C::Export { name } => preview::export(context, name).await,
        C::Create {
            file,
            template,
            start,
            watching,
        } => lifecycle::create(context, &file, template, start, &watching).await,
        C::Start { name, watching } => lifecycle::start(context, name, &watching).await,
        C::Pause { name } => lifecycle::pause(context, name).await,
        C::Resume { name, watching } => lifecycle::resume(context, name, &watching).await,
        C::Release { name, force, watch } => lifecycle::release(context, name, force, watch).await,
        C::Delete { name } => lifecycle::delete(context, name).await,
        C::Label { name, add, remove } => lifecycle::label(context, name, add, remove).await,
        C::Tune(arguments) => tune::tune(context, arguments).await,
        C::List(arguments) => inspect::list(context, arguments).await,
        C::Show { name } => inspect::show(context, name).await,
        C::Prechecks { name } => inspect::prechecks(context, name).await,
        C::Watch { name, follow } => watch::follow(context, &name, 0, &follow).await,
        C::Wait {
            name,
            caught_up: _,
            timeout,
        } => wait::caught_up(context, name, timeout).await,
        C::Verify { name, scope, wait } => verify::verify(context, name, scope, wait).await,
        C::SkipVerification { name } => verify::skip(context, name).await,
        C::VerifiedTables { name } => verify::tables(context, name).await,
        C::Diff(arguments) => verify::diff(context, arguments).await,
        C::Objects {
            command: Some(command),
            ..
        } => changes::run(context, command).await,
        C::Objects { command: None, list } => objects::list(context, list).await,
        C::Set(arguments) => several::set(context, arguments).await,
        C::Copy { name, new_name } => several::copy(context, name, new_name).await,
        C::Batch(arguments) => several::batch(context, arguments).await,
        C::Template { command } => several::template(context, command).await,
        C::Labels => several::labels(context).await,
        C::Ddl { command } => ddl::run(context, command).await,
        C::Switchover { command } => switchover::run(context, command).await,
        C::Object { command } => objects::decide(context, command).await,
    }
}
