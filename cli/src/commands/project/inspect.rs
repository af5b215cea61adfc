//! What shows projects.

use clap::Args;
use oms_proto::v1::{
    GetProjectRequest, ListProjectsRequest, PrecheckItem, PrecheckStatus, Project, ProjectRequest,
    ProjectState, StepKind, StepState,
};

use super::{lifecycle::name_of, state_parser, tune::full_of};
use crate::{
    client::Context,
    error::CliError,
    exit::Exit,
    output::{Human, Table, amount, count},
    watch::step_name,
};

/// Which projects are listed, and how.
#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// Only projects that carry this label; may be repeated
    #[arg(long)]
    label: Vec<String>,
    /// Only projects in this state
    #[arg(long, value_parser = state_parser(), ignore_case = true)]
    state: Option<ProjectState>,
    /// Only names that contain this text
    #[arg(long)]
    name: Option<String>,
    /// Also sub-projects, which move objects that were added, and reverse projects
    #[arg(long)]
    sub_projects: bool,
    /// The last changed first, instead of the last created
    #[arg(long)]
    by_change: bool,
    /// So many at a time
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    page_size: u32,
    /// Which page, from 1
    #[arg(long, value_name = "N", requires = "page_size", default_value_t = 1)]
    page: u32,
}

pub(super) async fn list(context: &Context, arguments: ListArgs) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = ListProjectsRequest {
        name_contains: arguments.name.unwrap_or_default(),
        labels: arguments.label,
        state: arguments.state.unwrap_or_default() as i32,
        with_sub_projects: arguments.sub_projects,
        by_change: arguments.by_change,
        page_size: arguments.page_size,
        page: arguments.page,
    };
    let list = client
        .list_projects(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&list)?;
    } else if list.projects.is_empty() {
        context
            .out
            .note("there are no projects; `omsnode project create -f FILE` makes one")?;
    } else {
        let human = Human::now();
        let mut table = Table::new(&[
            "NAME",
            "STATE",
            "STEP",
            "SOURCE",
            "DESTINATION",
            "LABELS",
            "CREATED",
        ]);
        for project in &list.projects {
            let spec = project.spec.clone().unwrap_or_default();
            table.row([
                spec.name,
                project.state().name().to_owned(),
                present_steps(project),
                spec.source,
                spec.destination,
                spec.labels.join(","),
                human.ago(project.created_at_ms),
            ]);
        }
        context.out.table(&table)?;
        let shown = list.projects.len() as u64;
        if shown < u64::from(list.total) {
            context.out.note(&format!("{shown} of {} projects", list.total))?;
        }
    }
    Ok(Exit::Ok)
}

/// The steps that are being done or have failed.
fn present_steps(project: &Project) -> String {
    let present = |s: StepState| matches!(s, StepState::Running | StepState::Monitoring | StepState::Failed);
    let names: Vec<_> = project
        .steps
        .iter()
        .filter(|s| present(s.state()))
        .map(|s| step_name(s.kind()))
        .collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(", ")
    }
}

pub(super) async fn show(context: &Context, name: String) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let project = client
        .get_project(GetProjectRequest { project: name })
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&project)?;
        return Ok(Exit::Ok);
    }
    let human = Human::now();
    let mut about = properties(&project, &human);
    if let Some(reverse) = reverse_of(context, &project).await? {
        let words = format!("project {}: {}", name_of(&reverse), reverse.state().name());
        about.property("Changes come back by", words);
    }
    context.out.table(&about)?;
    if !project.steps.is_empty() {
        let mut steps = Table::new(&["STEP", "STATE", "STARTED", "TOOK", "RESULT"]);
        for step in &project.steps {
            let result = match &step.error {
                Some(error) => format!("{} {}", error.code, error.message),
                None => step.summary.clone(),
            };
            steps.row([
                step_name(step.kind()).to_owned(),
                step.state().name().to_owned(),
                human.ago(step.started_at_ms),
                human.span(step.started_at_ms, step.finished_at_ms),
                result,
            ]);
        }
        context.out.line("")?;
        context.out.table(&steps)?;
    }
    if let Some(error) = &project.error {
        context.out.note(&format!(
            "\nomsnode explain {}  says what to do about the error",
            error.code
        ))?;
    }
    Ok(Exit::Ok)
}

/// The project that brings changes of this one back, if there is one that is not released.
async fn reverse_of(context: &Context, project: &Project) -> Result<Option<Project>, CliError> {
    let request = ListProjectsRequest {
        with_sub_projects: true,
        ..Default::default()
    };
    let mut client = context.projects().await?;
    let list = client.list_projects(request).await.map_err(context.failed())?;
    let of_it = |p: &Project| p.reverse_of == project.id && p.state() != ProjectState::Released;
    Ok(list.into_inner().projects.into_iter().find(of_it))
}

fn properties(project: &Project, human: &Human) -> Table {
    let spec = project.spec.clone().unwrap_or_default();
    let mut table = Table::properties();
    table.property("Name", name_of(project));
    table.property("Id", &project.id);
    table.property("State", project.state().name());
    if !project.parent.is_empty() {
        table.property("Adds objects to", &project.parent);
    }
    if !project.reverse_of.is_empty() {
        table.property("Brings back changes of", &project.reverse_of);
    }
    if let Some(change) = project.changes.last() {
        let words = format!(
            "{} of {}: {}",
            change.kind().name(),
            amount(change.objects.len() as u64, "object"),
            change.state().name()
        );
        table.property("Last change", words);
    }
    table.property("Source", &spec.source);
    table.property("Destination", &spec.destination);
    table.property("Labels", spec.labels.join(", "));
    if project.steps.iter().any(|s| s.kind() == StepKind::FullTransfer) {
        table.property("Full import", full_of(project));
    }
    let databases = spec.databases.iter().map(|d| {
        let target = if d.rename_to.is_empty() {
            String::new()
        } else {
            format!(" as {}", d.rename_to)
        };
        let tables = if d.tables.is_empty() {
            "all tables".to_owned()
        } else {
            amount(d.tables.len() as u64, "table")
        };
        let without = if d.exclude.is_empty() {
            String::new()
        } else {
            format!(", without {}", d.exclude.join(", "))
        };
        format!("{}{target} ({tables}{without})", d.name)
    });
    table.property("Databases", databases.collect::<Vec<_>>().join("; "));
    table.property("Created", human.moment(project.created_at_ms));
    table.property("Started", human.moment(project.started_at_ms));
    if let Some(v) = &project.verification {
        let words = if v.consistent {
            format!(
                "run {}: {} in {}, no differences",
                v.run,
                amount(v.rows, "row"),
                amount(v.tables, "table")
            )
        } else {
            format!(
                "run {}: {} only at the source, {} only at the destination, {} different, {} not compared",
                v.run,
                count(v.source_only),
                count(v.destination_only),
                count(v.mismatched),
                amount(v.failed_tables, "table")
            )
        };
        table.property("Verification", words);
    }
    if let Some(error) = &project.error {
        table.property("Error", format!("{} {}", error.code, error.message));
    }
    for left in &project.left_behind {
        table.property("Left behind", left.clone());
    }
    table
}

pub(super) async fn prechecks(context: &Context, name: String) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = ProjectRequest { project: name };
    let list = client
        .list_precheck_items(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&list)?;
    } else if list.items.is_empty() {
        context.out.note("no precheck has ended yet")?;
    } else {
        context.out.table(&precheck_table(&list.items))?;
    }
    Ok(Exit::Ok)
}

/// Items with what to do about those that did not pass.
pub(super) fn precheck_table(items: &[PrecheckItem]) -> Table {
    let mut table = Table::new(&["ITEM", "SIDE", "STATUS", "MESSAGE", "WHAT TO DO"]);
    for item in items {
        let open = matches!(item.status(), PrecheckStatus::Failed | PrecheckStatus::Warning);
        let mut action = if open { item.action.clone() } else { String::new() };
        if item.status() == PrecheckStatus::Failed && item.skippable {
            let or = if action.is_empty() { "" } else { " " };
            action = format!("{action}{or}(or name {} in precheck.skip)", item.key);
        }
        table.row([
            item.key.clone(),
            item.side().name().to_owned(),
            item.status().name().to_owned(),
            item.message.clone(),
            action,
        ]);
    }
    table
}
