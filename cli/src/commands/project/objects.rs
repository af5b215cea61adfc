//! Objects of the schema migration.

use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand, builder::PossibleValuesParser, builder::TypedValueParser as _};
use oms_proto::v1::{
    Conversion, ConversionSeverity, ConversionSummary, DecideObjectRequest, ErrorInfo, ListObjectsRequest,
    ListObjectsResponse, ObjectDecision, ObjectKind, ObjectState, SchemaObject,
};
use oms_types::codes;

use crate::{
    client::Context,
    confirm::confirm,
    error::CliError,
    exit::Exit,
    output::{Table, amount},
    statements::split_statements,
};

/// Larger files are no lists of statements.
const MAX_BYTES: u64 = 16 << 20;

#[derive(Subcommand, Debug)]
pub(crate) enum ObjectCommand {
    /// Try again
    Retry(ObjectArgs),
    /// Go on without creating: the object has been prepared at the destination by hand
    Skip(ObjectArgs),
    /// Take the object and its rows out of the project
    Remove(ObjectArgs),
    /// Replace the statements, then try again
    Edit {
        #[command(flatten)]
        object: ObjectArgs,
        /// File with the new statements, each ended by `;` (`-`: standard input) [default: the
        /// present ones in $VISUAL or $EDITOR]
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// Names one object, by its names at the source, or all that failed.
#[derive(Args, Clone, Debug)]
pub(crate) struct ObjectArgs {
    /// The project's name or id
    name: String,
    /// What the object is
    #[arg(long, value_parser = kind_parser(), default_value = "table")]
    kind: ObjectKind,
    /// The database
    #[arg(long, required_unless_present = "all")]
    database: Option<String>,
    /// The table or view
    #[arg(long, requires = "database")]
    table: Option<String>,
    /// The index or foreign key
    #[arg(long, requires = "table")]
    part: Option<String>,
    /// Every object that failed
    #[arg(long, conflicts_with_all = ["database", "table", "part"])]
    all: bool,
}

fn kind_parser() -> impl clap::builder::TypedValueParser<Value = ObjectKind> {
    PossibleValuesParser::new(ObjectKind::NAMES).map(|name| ObjectKind::from_name(&name).unwrap_or_default())
}

impl ObjectArgs {
    fn request(
        &self,
        decision: ObjectDecision,
        statements: Vec<String>,
    ) -> Result<DecideObjectRequest, CliError> {
        let usage = |text: &str| Err(CliError::Usage(text.to_owned()));
        if !self.all {
            match self.kind {
                ObjectKind::Database if self.table.is_some() => return usage("a database has no --table"),
                ObjectKind::Table | ObjectKind::View if self.table.is_none() => {
                    return usage("--table is missing");
                }
                ObjectKind::Table | ObjectKind::View if self.part.is_some() => {
                    return usage(
                        "--part names an index or foreign key: add --kind index or --kind foreign_key",
                    );
                }
                ObjectKind::Index | ObjectKind::ForeignKey | ObjectKind::Check | ObjectKind::Trigger
                    if self.part.is_none() =>
                {
                    return usage("--table and --part are needed to name an index or foreign key");
                }
                _ => {}
            }
        }
        Ok(DecideObjectRequest {
            project: self.name.clone(),
            kind: if self.all {
                ObjectKind::Unspecified
            } else {
                self.kind
            } as i32,
            database: self.database.clone().unwrap_or_default(),
            table: self.table.clone().unwrap_or_default(),
            part: self.part.clone().unwrap_or_default(),
            decision: decision as i32,
            statements,
        })
    }

    fn names(&self, object: &SchemaObject) -> bool {
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().unwrap_or_default() == name;
        object.kind() == self.kind
            && is(&self.database, &object.database)
            && is(&self.table, &object.table)
            && is(&self.part, &object.part)
    }
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Name or id
    #[arg(required = true)]
    name: Option<String>,
    /// Only objects in this state; may be repeated
    #[arg(long, value_parser = super::object_state_parser())]
    state: Vec<ObjectState>,
    /// Only what waits for the switchover: constraints that were deferred, and triggers
    #[arg(long)]
    deferred: bool,
    /// With definitions and statements
    #[arg(long, conflicts_with = "changes")]
    statements: bool,
    /// What the conversion changes, one line per change, with how much it matters
    #[arg(long)]
    changes: bool,
}

pub(super) async fn list(context: &Context, arguments: ListArgs) -> Result<Exit, CliError> {
    let ListArgs {
        name,
        state: states,
        deferred,
        statements,
        changes: only_changes,
    } = arguments;
    let mut client = context.projects().await?;
    let request = ListObjectsRequest {
        project: name.unwrap_or_default(),
        states: states.iter().map(|s| *s as i32).collect(),
        with_statements: statements,
        at_switchover: deferred,
    };
    let list = client
        .list_objects(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&list)?;
    } else if list.objects.is_empty() {
        context.out.note(if deferred {
            "no object waits for the switchover"
        } else if states.is_empty() {
            "schema migration has found no objects yet"
        } else {
            "no object is in this state"
        })?;
    } else if only_changes {
        changes(context, list.objects.iter())?;
        counted(context, list.summary.as_ref())?;
    } else if statements {
        for object in &list.objects {
            context.out.line(&detail(object))?;
        }
    } else {
        show(context, &list)?;
        counted(context, list.summary.as_ref())?;
    }
    Ok(Exit::Ok)
}

/// Every change of a conversion, the worst first.
pub(super) fn changes<'o>(
    context: &Context,
    objects: impl Iterator<Item = &'o SchemaObject>,
) -> Result<(), CliError> {
    let mut list: Vec<(&SchemaObject, &Conversion)> = objects
        .flat_map(|o| o.conversions.iter().map(move |c| (o, c)))
        .filter(|(_, c)| c.severity() != ConversionSeverity::Exact)
        .collect();
    list.sort_by_key(|(_, c)| std::cmp::Reverse(c.severity()));
    if list.is_empty() {
        return context.out.note("nothing is changed");
    }
    let mut table = Table::new(&[
        "SEVERITY",
        "OBJECT",
        "PART",
        "WHAT",
        "AT THE SOURCE",
        "AT THE DESTINATION",
    ]);
    for (object, change) in list {
        let to = if change.to.is_empty() {
            "left out"
        } else {
            &change.to
        };
        table.row([
            change.severity().name().to_owned(),
            path(&[&object.database, &object.table]),
            change.part.clone(),
            change.what.clone(),
            change.from.clone(),
            to.to_owned(),
        ]);
    }
    context.out.table(&table)
}

/// How many objects there are of each kind of change.
pub(super) fn counted(context: &Context, summary: Option<&ConversionSummary>) -> Result<(), CliError> {
    let Some(s) = summary else { return Ok(()) };
    let mut parts = vec![
        format!("objects: {} as they are", s.exact),
        format!("{} with equivalent changes", s.equivalent),
        format!("{} that lose something", s.lossy),
        format!("{} of which something is left out", s.not_moved),
    ];
    if s.refused > 0 {
        parts.push(format!("{} that cannot be created as planned", s.refused));
    }
    if s.at_switchover > 0 {
        parts.push(format!("{} that wait for the switchover", s.at_switchover));
    }
    context.out.note(&parts.join(", "))
}

/// How long it took, or since when it runs.
fn time(object: &SchemaObject) -> Option<String> {
    let seconds = |ms: i64| format!("{}.{:03} s", ms / 1_000, ms % 1_000);
    match (object.started_at_ms, object.ended_at_ms) {
        (0, _) => None,
        (started, ended) if ended >= started => Some(format!("took {}", seconds(ended - started))),
        _ => Some("is being created".to_owned()),
    }
}

fn show(context: &Context, list: &ListObjectsResponse) -> Result<(), CliError> {
    let mut table = Table::new(&["KIND", "OBJECT", "DESTINATION", "STATE", "REMARKS"]);
    for object in &list.objects {
        let mut remarks = object.notes.clone();
        if object.edited {
            remarks.insert(0, "edited".to_owned());
        }
        if object.postponed {
            remarks.push("after the rows".to_owned());
            remarks.extend(time(object));
        }
        if object.at_switchover {
            remarks.push("at the switchover".to_owned());
        }
        if let Some(error) = &object.error {
            remarks.insert(0, format!("{} {}", error.code, error.message));
        }
        table.row([
            object.kind().name().to_owned(),
            path(&[&object.database, &object.table, &object.part]),
            path(&[&object.destination_database, &object.destination_table]),
            object.state().name().to_owned(),
            remarks.join("; "),
        ]);
    }
    context.out.table(&table)
}

pub(super) fn path(parts: &[&str]) -> String {
    parts
        .iter()
        .filter(|p| !p.is_empty())
        .copied()
        .collect::<Vec<_>>()
        .join(".")
}

/// An object with its texts, as SQL with comments.
pub(super) fn detail(object: &SchemaObject) -> String {
    let comment = |text: &str| {
        text.lines()
            .map(|line| format!("-- {line}\n"))
            .collect::<String>()
    };
    let mut text = comment(&format!(
        "{} {}: {}",
        object.kind().name(),
        path(&[&object.database, &object.table, &object.part]),
        object.state().name()
    ));
    if let Some(error) = &object.error {
        text += &comment(&format!("{} {}", error.code, error.message));
    }
    for note in &object.notes {
        text += &comment(&format!("note: {note}"));
    }
    if !object.source_definition.is_empty() {
        text += &comment("at the source:");
        text += &comment(&object.source_definition);
    }
    text + &joined(&object.statements)
}

/// Statements as a text that splits into the same statements again.
fn joined(statements: &[String]) -> String {
    let mut text = String::new();
    for statement in statements {
        let bare = statement.trim_end().trim_end_matches(';');
        // Behind a comment to the line's end, a semicolon would belong to the comment.
        let closed = split_statements(&format!("{bare};\nx")).is_ok_and(|parts| parts.len() == 2);
        text.push_str(bare);
        text.push_str(if closed { ";\n" } else { "\n;\n" });
    }
    text
}

pub(super) async fn decide(context: &Context, command: ObjectCommand) -> Result<Exit, CliError> {
    let request = match command {
        ObjectCommand::Retry(object) => object.request(ObjectDecision::Retry, Vec::new())?,
        ObjectCommand::Skip(object) => object.request(ObjectDecision::Skip, Vec::new())?,
        ObjectCommand::Remove(object) => {
            let request = object.request(ObjectDecision::Remove, Vec::new())?;
            let what = if object.all {
                format!(
                    "Every failed object and its rows will be taken out of project {}",
                    object.name
                )
            } else {
                let named = path(&[&request.database, &request.table, &request.part]);
                format!(
                    "{named} and its rows will be taken out of project {}",
                    object.name
                )
            };
            confirm(context, &what, &object.name).await?;
            request
        }
        ObjectCommand::Edit { object, file } => {
            if object.all {
                return Err(CliError::Usage(
                    "edit needs one object: name it with --database and --table".to_owned(),
                ));
            }
            object.request(ObjectDecision::Edit, Vec::new())?;
            let statements = match file {
                Some(file) => read(&file)?,
                None => edited(context, &object).await?,
            };
            object.request(ObjectDecision::Edit, statements)?
        }
    };
    let mut client = context.projects().await?;
    let open = client
        .decide_object(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&open)?;
    } else if open.objects.is_empty() {
        context
            .out
            .line("no object waits for a decision; `omsnode project resume` goes on")?;
    } else {
        let wait = if open.objects.len() == 1 { "waits" } else { "wait" };
        context.out.line(&format!(
            "{} still {wait} for a decision:",
            amount(open.objects.len() as u64, "object")
        ))?;
        show(context, &open)?;
    }
    Ok(Exit::Ok)
}

pub(super) fn read(file: &Path) -> Result<Vec<String>, CliError> {
    let (name, mut text) = (file.display().to_string(), String::new());
    if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_string(&mut text)
            .map_err(CliError::io("standard input"))?;
    } else {
        let open = std::fs::File::open(file).map_err(CliError::io(&name))?;
        open.take(MAX_BYTES)
            .read_to_string(&mut text)
            .map_err(CliError::io(&name))?;
    }
    split_statements(&text).map_err(|error| CliError::Statements { name, error })
}

/// Lets the user edit the present statements.
async fn edited(context: &Context, wanted: &ObjectArgs) -> Result<Vec<String>, CliError> {
    if !std::io::stdin().is_terminal() {
        return Err(CliError::Usage("without a terminal, --file is needed".to_owned()));
    }
    let mut client = context.projects().await?;
    let request = ListObjectsRequest {
        project: wanted.name.clone(),
        states: Vec::new(),
        with_statements: true,
        at_switchover: false,
    };
    let list = client
        .list_objects(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let Some(object) = list.objects.iter().find(|object| wanted.names(object)) else {
        return Err(CliError::Api(ErrorInfo {
            code: codes::api::NOT_FOUND.as_str().to_owned(),
            message: format!(
                "project {} has no such object; `omsnode project objects` lists them",
                wanted.name
            ),
            failed_at_ms: 0,
        }));
    };
    let before = detail(object);
    let mut file = tempfile::Builder::new()
        .prefix("omsnode-")
        .suffix(".sql")
        .tempfile()
        .map_err(CliError::io("a temporary file"))?;
    file.write_all(before.as_bytes())
        .and_then(|()| file.flush())
        .map_err(CliError::io("a temporary file"))?;
    let editor = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "vi".into());
    // Through a shell, because the variable may hold arguments too.
    let mut command = std::ffi::OsString::from(&editor);
    command.push(" \"$1\"");
    let status = tokio::process::Command::new("sh")
        .arg("-c")
        .arg(command)
        .arg("sh")
        .arg(file.path())
        .status()
        .await
        .map_err(CliError::io(format!("the editor {}", editor.display())))?;
    if !status.success() {
        return Err(CliError::Declined);
    }
    // By its name: editors put a new file in place of the old one.
    let after = std::fs::read_to_string(file.path()).map_err(CliError::io("the edited file"))?;
    if after == before {
        return Err(CliError::Declined);
    }
    split_statements(&after).map_err(|error| CliError::Statements {
        name: "the edited file".to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_statements_split_again() {
        let statements = [
            "CREATE TABLE a (b INT) -- why".to_owned(),
            "SELECT ';'".to_owned(),
        ];
        let text = joined(&statements);
        assert_eq!(text, "CREATE TABLE a (b INT) -- why\n;\nSELECT ';';\n");
        assert_eq!(split_statements(&text).unwrap(), statements);
    }
}
