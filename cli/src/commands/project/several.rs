//! What concerns several projects: options, copies, batches, labels and templates.

use clap::{Args, Subcommand, ValueEnum};
use oms_proto::v1::{
    BatchOperation, BatchProjectsRequest, BatchResult, CopyProjectRequest, DeleteTemplateRequest,
    ListLabelsRequest, ListTemplatesRequest, ProjectSpec, ProjectState, PutTemplateRequest,
    SetProjectRequest, Setting, Template,
};
use oms_types::codes;

use super::{lifecycle::name_of, state_parser};
use crate::{
    client::Context,
    confirm::confirm,
    error::CliError,
    exit::Exit,
    output::{Human, Table, amount},
    spec::print_spec,
};

#[derive(Args, Clone, Debug)]
pub(crate) struct SetArgs {
    /// Name or id
    name: String,
    /// KEY=VALUE, with the path of an option in the spec file, for example incremental.lanes=8; without a value the default
    #[arg(required = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Only show what would change and when it would take effect
    #[arg(long)]
    dry_run: bool,
    /// Only if the project still has this version (`project show --output json` says which)
    #[arg(long, value_name = "VERSION", default_value_t = 0, hide_default_value = true)]
    if_version: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Operation {
    /// Start projects that were never started
    Start,
    /// Pause running projects
    Pause,
    /// Go on with paused and failed projects
    Resume,
    /// Release paused, failed and finished projects
    Release,
    /// Delete projects that were never started or are released
    Delete,
    /// End verifications that run or failed
    SkipVerification,
}

impl From<Operation> for BatchOperation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Start => Self::Start,
            Operation::Pause => Self::Pause,
            Operation::Resume => Self::Resume,
            Operation::Release => Self::Release,
            Operation::Delete => Self::Delete,
            Operation::SkipVerification => Self::SkipVerification,
        }
    }
}

#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true))]
pub(crate) struct BatchArgs {
    /// What to do
    #[arg(value_enum)]
    operation: Operation,
    /// Names or ids; without any, all that the options select
    #[arg(group = "which", value_name = "PROJECT")]
    projects: Vec<String>,
    /// Only projects that carry this label; may be repeated
    #[arg(long, group = "which")]
    label: Vec<String>,
    /// Only projects in this state
    #[arg(long, group = "which", value_parser = state_parser(), ignore_case = true)]
    state: Option<ProjectState>,
    /// Only list what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum TemplateCommand {
    /// Keep the options of a project, without names, data sources and objects, under a name
    Save {
        /// The template's name
        name: String,
        /// The project's name or id
        #[arg(long)]
        project: String,
    },
    /// List templates
    #[command(visible_alias = "ls")]
    List,
    /// Print a template as a spec file
    Show {
        /// The template's name
        name: String,
    },
    /// Delete a template; projects that were made with it stay as they are
    #[command(visible_alias = "rm")]
    Delete {
        /// The template's name
        name: String,
    },
}

pub(super) async fn set(context: &Context, arguments: SetArgs) -> Result<Exit, CliError> {
    let mut settings = Vec::new();
    for text in &arguments.settings {
        let Some((key, value)) = text.split_once('=') else {
            return Err(CliError::Usage(format!("{text:?}: KEY=VALUE is expected")));
        };
        settings.push(Setting {
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
        });
    }
    let mut client = context.projects().await?;
    let request = SetProjectRequest {
        project: arguments.name,
        settings,
        dry_run: arguments.dry_run,
        expected_version: arguments.if_version,
    };
    let response = client
        .set_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&response)?;
    } else if response.changes.is_empty() {
        context.out.line("nothing changes: it is so already")?;
    } else {
        let or_default = |text: &str| match text {
            "" => "(default)".to_owned(),
            text => text.to_owned(),
        };
        let mut table = Table::new(&["OPTION", "BEFORE", "AFTER", "TAKES EFFECT"]);
        for change in &response.changes {
            table.row([
                change.key.clone(),
                or_default(&change.before),
                or_default(&change.after),
                change.effect.clone(),
            ]);
        }
        context.out.table(&table)?;
        if arguments.dry_run {
            context.out.note("nothing was changed")?;
        }
    }
    Ok(Exit::Ok)
}

pub(super) async fn copy(context: &Context, name: String, new_name: String) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = CopyProjectRequest {
        project: name.clone(),
        name: new_name,
    };
    let project = client
        .copy_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let words = format!(
        "project {} is a copy of {name}; `omsnode project start` starts it",
        name_of(&project)
    );
    context.out.done(&project, &words)?;
    Ok(Exit::Ok)
}

pub(super) async fn batch(context: &Context, arguments: BatchArgs) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let look = BatchProjectsRequest {
        operation: BatchOperation::from(arguments.operation) as i32,
        projects: arguments.projects.clone(),
        labels: arguments.label.clone(),
        state: arguments.state.unwrap_or_default() as i32,
        dry_run: true,
    };
    let would = client
        .batch_projects(look.clone())
        .await
        .map_err(context.failed())?
        .into_inner();
    if arguments.dry_run {
        if context.out.is_json() {
            context.out.json(&would)?;
        } else {
            show(context, &would.results)?;
        }
        return Ok(Exit::Ok);
    }
    let eligible = would.results.iter().filter(|r| r.eligible).count() as u64;
    let final_ones = matches!(
        arguments.operation,
        Operation::Release | Operation::Delete | Operation::SkipVerification
    );
    if final_ones && eligible > 0 {
        if !context.out.is_json() {
            show(context, &would.results)?;
        }
        let word = match arguments.operation {
            Operation::Release => "released",
            Operation::Delete => "deleted",
            _ => "left without a verification",
        };
        let what = format!(
            "{} will be {word}, and nothing undoes it",
            amount(eligible, "project")
        );
        confirm(context, &what, &eligible.to_string()).await?;
    }
    // Exactly those that were looked at: one that became eligible meanwhile was not shown.
    let chosen: Vec<String> = would
        .results
        .iter()
        .filter(|r| r.eligible)
        .map(|r| r.id.clone())
        .collect();
    let mut results: Vec<BatchResult> = would.results.iter().filter(|r| !r.eligible).cloned().collect();
    if !chosen.is_empty() {
        let request = BatchProjectsRequest {
            projects: chosen,
            labels: Vec::new(),
            state: 0,
            dry_run: false,
            ..look
        };
        let done = client
            .batch_projects(request)
            .await
            .map_err(context.failed())?
            .into_inner();
        results.extend(done.results);
    }
    let failed = results.iter().any(|r| !r.done);
    let done = results.iter().filter(|r| r.done).count() as u64;
    if context.out.is_json() {
        context
            .out
            .json(&oms_proto::v1::BatchProjectsResponse { results })?;
    } else {
        show(context, &results)?;
        context.out.line(&format!(
            "done for {} of {}",
            done,
            amount(results.len() as u64, "project")
        ))?;
    }
    Ok(if failed || done == 0 {
        Exit::Failure
    } else {
        Exit::Ok
    })
}

fn show(context: &Context, results: &[BatchResult]) -> Result<(), CliError> {
    let mut table = Table::new(&["NAME", "STATE", "RESULT"]);
    for result in results {
        let words = match (&result.error, result.done) {
            (Some(error), _) => format!("{} {}", error.code, error.message),
            (None, true) => "done".to_owned(),
            (None, false) => "can be done".to_owned(),
        };
        table.row([result.name.clone(), result.state().name().to_owned(), words]);
    }
    context.out.table(&table)
}

pub(super) async fn labels(context: &Context) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let list = client
        .list_labels(ListLabelsRequest {})
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&list)?;
    } else if list.labels.is_empty() {
        context.out.note("no project carries a label")?;
    } else {
        let mut table = Table::new(&["LABEL", "PROJECTS"]);
        for label in &list.labels {
            table.row([label.name.clone(), label.projects.to_string()]);
        }
        context.out.table(&table)?;
    }
    Ok(Exit::Ok)
}

async fn templates(context: &Context) -> Result<Vec<Template>, CliError> {
    let mut client = context.projects().await?;
    let list = client.list_templates(ListTemplatesRequest {}).await;
    Ok(list.map_err(context.failed())?.into_inner().templates)
}

async fn find(context: &Context, name: &str) -> Result<Template, CliError> {
    let found = templates(context).await?.into_iter().find(|t| t.name == name);
    found.ok_or_else(|| {
        CliError::Api(oms_proto::v1::ErrorInfo {
            code: codes::api::NOT_FOUND.as_str().to_owned(),
            message: format!("template {name:?} does not exist; `omsnode project template list` shows all"),
            failed_at_ms: 0,
        })
    })
}

/// The spec with the template's options where it has none of its own.
pub(super) async fn with_template(
    context: &Context,
    spec: ProjectSpec,
    name: &str,
) -> Result<ProjectSpec, CliError> {
    let template = find(context, name).await?.spec.unwrap_or_default();
    Ok(filled(spec, template))
}

/// Groups of options are taken as a whole: those of the file, or, if it has none, those of the template.
fn filled(spec: ProjectSpec, template: ProjectSpec) -> ProjectSpec {
    ProjectSpec {
        name: spec.name,
        labels: spec.labels,
        source: spec.source,
        destination: spec.destination,
        databases: spec.databases,
        rules: spec.rules,
        merge_tables: spec.merge_tables,
        steps: spec.steps.or(template.steps),
        precheck: spec.precheck.or(template.precheck),
        schema: spec.schema.or(template.schema),
        full: spec.full.or(template.full),
        incremental: spec.incremental.or(template.incremental),
        verify: spec.verify.or(template.verify),
        kafka: spec.kafka.or(template.kafka),
        reverse_of: spec.reverse_of,
    }
}

pub(super) async fn template(context: &Context, command: TemplateCommand) -> Result<Exit, CliError> {
    match command {
        TemplateCommand::Save { name, project } => {
            let mut client = context.projects().await?;
            let request = PutTemplateRequest {
                name,
                project,
                spec: None,
            };
            let template = client
                .put_template(request)
                .await
                .map_err(context.failed())?
                .into_inner();
            let words = format!("template {} is saved", template.name);
            context.out.done(&template, &words)?;
        }
        TemplateCommand::List => {
            let templates = templates(context).await?;
            if context.out.is_json() {
                context.out.json(&templates)?;
            } else if templates.is_empty() {
                context
                    .out
                    .note("there are no templates; `omsnode project template save` makes one")?;
            } else {
                let human = Human::now();
                let mut table = Table::new(&["NAME", "SAVED"]);
                for template in &templates {
                    table.row([template.name.clone(), human.ago(template.updated_at_ms)]);
                }
                context.out.table(&table)?;
            }
        }
        TemplateCommand::Show { name } => {
            let template = find(context, &name).await?;
            if context.out.is_json() {
                context.out.json(&template)?;
            } else {
                let text = print_spec(&template.spec.unwrap_or_default())
                    .map_err(|e| CliError::Usage(format!("the template cannot be printed: {e}")))?;
                context.out.raw(text.as_bytes())?;
            }
        }
        TemplateCommand::Delete { name } => {
            confirm(context, &format!("Template {name} will be deleted"), &name).await?;
            let mut client = context.projects().await?;
            let request = DeleteTemplateRequest { name: name.clone() };
            client.delete_template(request).await.map_err(context.failed())?;
            context.out.done(
                &serde_json::json!({ "deleted": name }),
                &format!("template {name} is deleted"),
            )?;
        }
    }
    Ok(Exit::Ok)
}
