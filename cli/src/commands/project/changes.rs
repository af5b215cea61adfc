//! `omsnode project objects add` and what belongs to it: objects of projects that exist.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oms_proto::v1::{
    AddObjectsRequest, DatabaseSelection, DecideObjectChangeRequest, GetProjectRequest, ObjectChange,
    ObjectChangeDecision, ObjectChangeKind, ObjectChangeState, ObjectName, Project, ProjectSpec,
    RemoveObjectsRequest, TableSelection,
};

use super::{lifecycle::name_of, spec_file};
use crate::{
    client::Context,
    confirm::confirm,
    error::CliError,
    exit::Exit,
    output::{Human, Table, amount},
};

#[derive(Subcommand, Debug)]
pub(crate) enum ObjectsCommand {
    /// Add tables and views. While the project runs a sub-project moves them and joins it when it has caught up
    Add(AddArgs),
    /// Take tables and views out of the project, at once and for good; what is at the destination stays
    Remove(RemoveArgs),
    /// List what was added and removed
    Changes {
        /// The project's name or id
        name: String,
    },
    /// Forget an addition that waits for the project to be resumed
    Cancel {
        /// The project's name or id
        name: String,
    },
    /// End an addition that has not begun to integrate; what it wrote stays at the destination
    Abort {
        /// The project's name or id
        name: String,
    },
    /// Go on with an addition that failed
    Retry {
        /// The project's name or id
        name: String,
    },
}

#[derive(Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct AddArgs {
    /// The project's name or id
    name: String,
    /// DATABASE.TABLE, or DATABASE.TABLE=NAME with its name at the destination; names with dots in backquotes. May be
    /// repeated
    #[arg(long, group = "what", value_name = "NAME")]
    table: Vec<String>,
    /// File with `databases`, as in a spec; `-`: standard input
    #[arg(short, long, group = "what", value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct RemoveArgs {
    /// The project's name or id
    name: String,
    /// DATABASE.TABLE, names with dots in backquotes. May be repeated
    #[arg(long, required = true, value_name = "NAME")]
    table: Vec<String>,
}

/// The names in `a.b` and `a.b=c`; a name in backquotes may hold dots and equals signs.
fn names(text: &str) -> Result<(String, String, Option<String>), CliError> {
    let wrong = |what: &str| CliError::Usage(format!("--table {text:?}: {what}"));
    let mut parts = vec![String::new()];
    let mut separators = Vec::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let last = parts.len().saturating_sub(1);
        let Some(part) = parts.get_mut(last) else { break };
        match c {
            '`' if quoted && chars.peek() == Some(&'`') => {
                chars.next();
                part.push('`');
            }
            '`' => quoted = !quoted,
            '.' | '=' if !quoted => {
                separators.push(c);
                parts.push(String::new());
            }
            c => part.push(c),
        }
    }
    if quoted {
        return Err(wrong("a backquote is not closed"));
    }
    if parts.iter().any(String::is_empty) {
        return Err(wrong("a name is empty"));
    }
    match (parts.as_slice(), separators.as_slice()) {
        ([database, table], ['.']) => Ok((database.clone(), table.clone(), None)),
        ([database, table, new], ['.', '=']) => Ok((database.clone(), table.clone(), Some(new.clone()))),
        _ => Err(wrong("DATABASE.TABLE or DATABASE.TABLE=NAME is expected")),
    }
}

impl AddArgs {
    fn databases(&self) -> Result<Vec<DatabaseSelection>, CliError> {
        if let Some(file) = &self.file {
            let spec = spec_file::read(file)?;
            let databases = spec.databases.clone();
            let rest = ProjectSpec {
                databases: Vec::new(),
                ..spec
            };
            if rest != ProjectSpec::default() {
                return Err(CliError::Usage(
                    "the file may only hold `databases`: everything else is as in the project".to_owned(),
                ));
            }
            return Ok(databases);
        }
        let mut databases: Vec<DatabaseSelection> = Vec::new();
        for text in &self.table {
            let (database, name, rename_to) = names(text)?;
            let mut table = TableSelection {
                name,
                ..Default::default()
            };
            table.rename_to = rename_to.unwrap_or_default();
            match databases.iter_mut().find(|d| d.name == database) {
                Some(present) => present.tables.push(table),
                None => databases.push(DatabaseSelection {
                    name: database,
                    tables: vec![table],
                    ..Default::default()
                }),
            }
        }
        Ok(databases)
    }
}

pub(super) async fn run(context: &Context, command: ObjectsCommand) -> Result<Exit, CliError> {
    use ObjectChangeDecision as D;
    match command {
        ObjectsCommand::Add(arguments) => add(context, arguments).await,
        ObjectsCommand::Remove(arguments) => remove(context, arguments).await,
        ObjectsCommand::Changes { name } => changes(context, name).await,
        ObjectsCommand::Cancel { name } => decide(context, name, D::Cancel).await,
        ObjectsCommand::Abort { name } => {
            let what = format!(
                "The addition to project {name} ends; the tables and rows that it wrote stay at the destination, and only \
                 you can remove them"
            );
            confirm(context, &what, &name).await?;
            decide(context, name, D::Abort).await
        }
        ObjectsCommand::Retry { name } => decide(context, name, D::Retry).await,
    }
}

async fn add(context: &Context, arguments: AddArgs) -> Result<Exit, CliError> {
    let databases = arguments.databases()?;
    let mut client = context.projects().await?;
    let request = AddObjectsRequest {
        project: arguments.name,
        databases,
    };
    let project = client
        .add_objects(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    done(context, &project)
}

async fn remove(context: &Context, arguments: RemoveArgs) -> Result<Exit, CliError> {
    let mut objects = Vec::new();
    for text in &arguments.table {
        match names(text)? {
            (database, table, None) => objects.push(ObjectName { database, table }),
            (_, _, Some(_)) => {
                return Err(CliError::Usage(format!(
                    "--table {text:?}: the name at the source is enough"
                )));
            }
        }
    }
    let what = format!(
        "{} will be taken out of project {}: its changes are not applied any more, what is at the destination stays, and \
         nothing undoes it",
        arguments.table.join(", "),
        arguments.name
    );
    confirm(context, &what, &arguments.name).await?;
    let mut client = context.projects().await?;
    let request = RemoveObjectsRequest {
        project: arguments.name,
        objects,
    };
    let project = client
        .remove_objects(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    done(context, &project)
}

async fn decide(
    context: &Context,
    project: String,
    decision: ObjectChangeDecision,
) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = DecideObjectChangeRequest {
        project,
        decision: decision as i32,
    };
    let project = client
        .decide_object_change(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    done(context, &project)
}

fn done(context: &Context, project: &Project) -> Result<Exit, CliError> {
    let change = project.changes.last();
    let words = change.map_or_else(String::new, |c| {
        let verb = match c.kind() {
            ObjectChangeKind::Remove => "removal",
            ObjectChangeKind::Add | ObjectChangeKind::Unspecified => "addition",
        };
        format!(
            ": {verb} of {} is {}",
            amount(c.objects.len() as u64, "object"),
            c.state().name()
        )
    });
    let words = format!(
        "project {} is {}{words}",
        name_of(project),
        project.state().name()
    );
    context.out.done(project, &words)?;
    Ok(Exit::Ok)
}

async fn changes(context: &Context, name: String) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let project = client
        .get_project(GetProjectRequest { project: name })
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&project.changes)?;
    } else if project.changes.is_empty() {
        context.out.note("no objects were added or removed")?;
    } else {
        let human = Human::now();
        let mut table = Table::new(&["NO", "KIND", "STATE", "OBJECTS", "REQUESTED", "TOOK", "REMARKS"]);
        for change in &project.changes {
            table.row([
                change.number.to_string(),
                change.kind().name().to_owned(),
                change.state().name().to_owned(),
                listed(change),
                human.ago(change.requested_at_ms),
                human.span(change.requested_at_ms, change.finished_at_ms),
                remarks(change),
            ]);
        }
        context.out.table(&table)?;
    }
    Ok(Exit::Ok)
}

/// The first objects by name.
fn listed(change: &ObjectChange) -> String {
    let shown: Vec<String> = change
        .objects
        .iter()
        .take(3)
        .map(|o| format!("{}.{}", o.database, o.table))
        .collect();
    match change.objects.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn remarks(change: &ObjectChange) -> String {
    if let Some(error) = &change.error {
        return format!("{} {}", error.code, error.message);
    }
    match change.state() {
        ObjectChangeState::Running | ObjectChangeState::Integrating => {
            format!("sub-project {}", change.sub_project)
        }
        ObjectChangeState::Aborted => "what was written stays at the destination".to_owned(),
        _ if change.position.is_empty() => String::new(),
        _ => format!("at {}", change.position),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything_in_backquotes() {
        let read = |text: &str| names(text).map_err(|e| e.to_string());
        let name = |a: &str, b: &str, c: Option<&str>| Ok((a.to_owned(), b.to_owned(), c.map(str::to_owned)));
        assert_eq!(read("shop.orders"), name("shop", "orders", None));
        assert_eq!(read("shop.orders=o2"), name("shop", "orders", Some("o2")));
        assert_eq!(read("`a.b`.`c=``d`=`e.f`"), name("a.b", "c=`d", Some("e.f")));
        for bad in ["shop", "a.b.c", "a.=x", ".b", "`a.b", "a=b.c", "a.b=c=d", ""] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
