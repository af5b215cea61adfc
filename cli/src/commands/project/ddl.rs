//! Statements of the source that define tables.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oms_proto::v1::{DdlDecision, DdlState, DdlStatement, DecideDdlRequest, ListDdlRequest, ListDdlResponse};

use super::objects::read;
use crate::{client::Context, confirm::confirm, error::CliError, exit::Exit, output::Table};

#[derive(Subcommand, Debug)]
pub(crate) enum DdlCommand {
    /// List the statements of the source that were met, and what became of them
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Leave out a statement that stopped the project. Resume the project then
    Skip {
        /// The project's name or id
        name: String,
        /// The statement's number
        number: u64,
    },
    /// Execute other statements at the destination instead of one that stopped the project. Resume the project then
    Edit {
        /// The project's name or id
        name: String,
        /// The statement's number
        number: u64,
        /// A statement to execute, with complete names (`database`.`table`); may be repeated
        #[arg(long = "statement", value_name = "SQL", required_unless_present = "file")]
        statements: Vec<String>,
        /// File with the statements, each ended by `;` (`-`: standard input)
        #[arg(short, long, value_name = "FILE", conflicts_with = "statements")]
        file: Option<PathBuf>,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ListArgs {
    /// The project's name or id
    name: String,
    /// Also statements for which nothing was to be done
    #[arg(long)]
    all: bool,
    /// Only numbers from here on
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    from: u64,
    /// With what is executed at the destination
    #[arg(long)]
    statements: bool,
}

pub(super) async fn run(context: &Context, command: DdlCommand) -> Result<Exit, CliError> {
    let request = match command {
        DdlCommand::List(arguments) => return list(context, arguments).await,
        DdlCommand::Skip { name, number } => {
            let what = format!(
                "Statement {number} of the source will not be executed at the destination of project {name}; what the \
                 destination lacks then is no longer synchronized"
            );
            confirm(context, &what, &name).await?;
            DecideDdlRequest {
                project: name,
                number,
                decision: DdlDecision::Skip as i32,
                statements: Vec::new(),
            }
        }
        DdlCommand::Edit {
            name,
            number,
            statements,
            file,
        } => DecideDdlRequest {
            project: name,
            number,
            decision: DdlDecision::Edit as i32,
            statements: match file {
                Some(file) => read(&file)?,
                None => statements,
            },
        },
    };
    let mut client = context.projects().await?;
    let decided = client
        .decide_ddl(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&decided)?;
    } else {
        context
            .out
            .line("the decision is kept; `omsnode project resume` goes on with it")?;
    }
    Ok(Exit::Ok)
}

async fn list(context: &Context, arguments: ListArgs) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let mut all = ListDdlResponse::default();
    let mut from = arguments.from;
    loop {
        let request = ListDdlRequest {
            project: arguments.name.clone(),
            from,
            limit: 1_000,
            all: arguments.all,
        };
        let page = client
            .list_ddl(request)
            .await
            .map_err(context.failed())?
            .into_inner();
        all.statements.extend(page.statements);
        if page.next == 0 {
            break;
        }
        from = page.next;
    }
    if context.out.is_json() {
        context.out.json(&all)?;
    } else if all.statements.is_empty() {
        context.out.note("no statement that defines a table was met")?;
    } else if arguments.statements {
        for statement in &all.statements {
            context.out.line(&detail(statement))?;
        }
    } else {
        let mut table = Table::new(&["NUMBER", "STATE", "STATEMENT", "REMARKS"]);
        for statement in &all.statements {
            let mut remarks = statement.notes.clone();
            if !statement.outcome.is_empty() {
                remarks.insert(0, statement.outcome.clone());
            }
            if statement.state() == DdlState::Waiting && statement.decision() != DdlDecision::Unspecified {
                remarks.insert(0, format!("decided: {}", statement.decision().name()));
            }
            table.row([
                statement.number.to_string(),
                statement.state().name().to_owned(),
                statement
                    .statement
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" "),
                remarks.join("; "),
            ]);
        }
        context.out.table(&table)?;
    }
    Ok(Exit::Ok)
}

/// A statement with what is executed for it, as SQL with comments.
fn detail(statement: &DdlStatement) -> String {
    let comment = |text: &str| {
        text.lines()
            .map(|line| format!("-- {line}\n"))
            .collect::<String>()
    };
    let mut text = comment(&format!(
        "{} at {}: {}",
        statement.number,
        statement.position,
        statement.state().name()
    ));
    if !statement.outcome.is_empty() {
        text += &comment(format!("{} {}", statement.error_code, statement.outcome).trim_start());
    }
    for note in &statement.notes {
        text += &comment(&format!("note: {note}"));
    }
    text += &comment(&format!("at the source, in database `{}`:", statement.database));
    text += &comment(&statement.statement);
    for step in &statement.steps {
        text += step;
        text += ";\n";
    }
    text
}
