//! What changes a project's state.

use oms_proto::v1::{
    CreateProjectRequest, GetProjectRequest, LabelProjectRequest, PrecheckStatus, Project, ProjectRequest,
    ReleaseProjectRequest, ResumeProjectRequest, ValidateProjectRequest,
};
use oms_types::codes;

use super::{Watching, inspect::precheck_table, several::with_template, spec_file::SpecFile};
use crate::{
    client::Context,
    confirm::confirm,
    error::CliError,
    exit::Exit,
    output::amount,
    watch::{FollowArgs, Until, follow},
};

pub(super) fn name_of(project: &Project) -> &str {
    project
        .spec
        .as_ref()
        .map_or(project.id.as_str(), |spec| spec.name.as_str())
}

/// Shows what became of a project, or follows it.
async fn show_or_follow(context: &Context, project: &Project, watching: &Watching) -> Result<Exit, CliError> {
    match watching.wanted() {
        Some(arguments) => follow(context, &project.id, project.version, &arguments).await,
        None => {
            context.out.done(
                project,
                &format!("project {} is {}", name_of(project), project.state().name()),
            )?;
            Ok(Exit::Ok)
        }
    }
}

pub(super) async fn validate(context: &Context, file: &SpecFile, offline: bool) -> Result<Exit, CliError> {
    let spec = file.read()?;
    let mut client = context.projects().await?;
    let request = ValidateProjectRequest {
        spec: Some(spec),
        offline,
    };
    let found = client
        .validate_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let failed = found
        .items
        .iter()
        .filter(|item| item.status() == PrecheckStatus::Failed)
        .count() as u64;
    if context.out.is_json() {
        context.out.json(&found)?;
    } else if offline {
        context
            .out
            .line("the spec is valid as far as that can be said without connecting")?;
    } else {
        context.out.table(&precheck_table(&found.items))?;
        context.out.line(&format!(
            "selected: {}, {}, {}",
            amount(found.databases, "database"),
            amount(found.tables, "table"),
            amount(found.views, "view")
        ))?;
        if failed == 0 {
            context.out.line("the spec is valid")?;
        } else {
            context
                .out
                .note(&format!("{} failed", amount(failed, "precheck")))?;
        }
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failure })
}

pub(super) async fn create(
    context: &Context,
    file: &SpecFile,
    template: Option<String>,
    start: bool,
    watching: &Watching,
) -> Result<Exit, CliError> {
    let mut spec = file.read()?;
    if let Some(template) = template {
        spec = with_template(context, spec, &template).await?;
    }
    if !start && watching.wanted().is_some() {
        return Err(CliError::Usage(
            "--watch and --until need --start: a project that is not started does nothing".to_owned(),
        ));
    }
    let mut client = context.projects().await?;
    let request = CreateProjectRequest { spec: Some(spec) };
    let mut project = client
        .create_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if start {
        let request = ProjectRequest {
            project: project.id.clone(),
        };
        project = client
            .start_project(request)
            .await
            .map_err(context.failed())?
            .into_inner();
    }
    show_or_follow(context, &project, watching).await
}

pub(super) async fn start(context: &Context, name: String, watching: &Watching) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let project = client
        .start_project(ProjectRequest { project: name })
        .await
        .map_err(context.failed())?
        .into_inner();
    show_or_follow(context, &project, watching).await
}

pub(super) async fn pause(context: &Context, name: String) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let project = client
        .pause_project(ProjectRequest { project: name })
        .await
        .map_err(context.failed())?
        .into_inner();
    let words = format!("project {} is {}", name_of(&project), project.state().name());
    context.out.done(&project, &words)?;
    Ok(Exit::Ok)
}

pub(super) async fn resume(context: &Context, name: String, watching: &Watching) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = GetProjectRequest {
        project: name.clone(),
    };
    let before = client
        .get_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let not_empty = codes::import::DESTINATION_NOT_EMPTY.as_str();
    if before.error.as_ref().is_some_and(|e| e.code == not_empty) {
        let what = format!(
            "The destination tables of project {name} hold rows that it did not write; resuming accepts them, and \
             full import writes beside them"
        );
        confirm(context, &what, &name).await?;
    }
    let request = ResumeProjectRequest { project: name };
    let project = client
        .resume_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    show_or_follow(context, &project, watching).await
}

pub(super) async fn release(
    context: &Context,
    name: String,
    force: bool,
    watch: bool,
) -> Result<Exit, CliError> {
    let given_up = if force {
        "; what cannot be removed now is given up and stays where it is"
    } else {
        ""
    };
    let what = format!(
        "Project {name} will be released: its components and captured changes are removed, and it cannot be started \
         again{given_up}"
    );
    confirm(context, &what, &name).await?;
    let mut client = context.projects().await?;
    let request = ReleaseProjectRequest { project: name, force };
    let project = client
        .release_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if watch {
        let arguments = FollowArgs {
            until: Until::Released,
            ..FollowArgs::default()
        };
        return follow(context, &project.id, project.version, &arguments).await;
    }
    context.out.done(
        &project,
        &format!("project {} is {}", name_of(&project), project.state().name()),
    )?;
    Ok(Exit::Ok)
}

pub(super) async fn delete(context: &Context, name: String) -> Result<Exit, CliError> {
    confirm(
        context,
        &format!("Project {name} and its results will be deleted"),
        &name,
    )
    .await?;
    let mut client = context.projects().await?;
    client
        .delete_project(ProjectRequest {
            project: name.clone(),
        })
        .await
        .map_err(context.failed())?;
    context.out.done(
        &serde_json::json!({ "deleted": name }),
        &format!("project {name} is deleted"),
    )?;
    Ok(Exit::Ok)
}

pub(super) async fn label(
    context: &Context,
    name: String,
    add: Vec<String>,
    remove: Vec<String>,
) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = LabelProjectRequest {
        project: name,
        add,
        remove,
    };
    let project = client
        .label_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let labels = project
        .spec
        .as_ref()
        .map(|spec| spec.labels.join(", "))
        .unwrap_or_default();
    let labels = if labels.is_empty() { "no labels" } else { &labels };
    context
        .out
        .done(&project, &format!("project {}: {labels}", name_of(&project)))?;
    Ok(Exit::Ok)
}
