//! What a project would do, and what one was told to do.

use clap::Args;
use oms_proto::v1::{
    GetProjectRequest, ObjectKind, ObjectState, PreviewItem, PreviewProjectRequest, ProjectSpec,
    SchemaObject, TableSelection, UnselectedObject,
};

use super::{
    objects::{changes, counted, detail, path},
    spec_file::SpecFile,
};
use crate::{
    client::Context,
    error::CliError,
    exit::Exit,
    object_list::write_object_list,
    output::{Table, amount, count},
    spec::print_spec,
};

#[derive(Args, Debug)]
pub(crate) struct PreviewArgs {
    #[command(flatten)]
    file: SpecFile,
    /// With definitions and statements
    #[arg(long, conflicts_with = "csv")]
    statements: bool,
    /// What the conversion changes, one line per change, with how much it matters
    #[arg(long, conflicts_with_all = ["csv", "statements"])]
    changes: bool,
    /// Only the tables and views that move, as a list for --objects
    #[arg(long)]
    csv: bool,
}

pub(super) async fn preview(context: &Context, arguments: &PreviewArgs) -> Result<Exit, CliError> {
    let spec = arguments.file.read()?;
    let request = PreviewProjectRequest {
        spec: Some(spec.clone()),
    };
    let mut client = context.projects().await?;
    let mut items = client
        .preview_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let (mut objects, mut unselected): (Vec<PreviewItem>, Vec<UnselectedObject>) = (Vec::new(), Vec::new());
    let mut summary = None;
    while let Some(item) = items.message().await.map_err(context.failed())? {
        if context.out.is_json() && !arguments.csv {
            context.out.json_line(&item)?;
        }
        match (item.unselected, item.summary) {
            (Some(other), _) => unselected.push(other),
            (None, Some(found)) => summary = Some(found),
            (None, None) => objects.push(PreviewItem {
                unselected: None,
                ..item
            }),
        }
    }
    let planned: Vec<&SchemaObject> = objects.iter().filter_map(|i| i.object.as_ref()).collect();
    let stuck = planned.iter().filter(|o| is_stuck(o) && !o.at_switchover).count() as u64;
    if arguments.csv {
        let moves = planned
            .iter()
            .filter(|o| matches!(o.kind(), ObjectKind::Table | ObjectKind::View));
        let rows = moves.map(|o| {
            let names = [
                o.database.as_str(),
                o.table.as_str(),
                o.destination_database.as_str(),
                o.destination_table.as_str(),
            ];
            (names, selection(&spec, o))
        });
        for table in spec.databases.iter().flat_map(|d| &d.tables) {
            if !table.add_columns.is_empty() || table.dml.is_some() {
                context.out.note(&format!(
                    "a list cannot hold the added columns and the choice of changes of {}",
                    table.name
                ))?;
            }
        }
        let list = write_object_list(rows).map_err(CliError::io("the list"))?;
        context.out.raw(&list)?;
    } else if !context.out.is_json() {
        if arguments.statements {
            for object in &planned {
                context.out.line(&detail(object))?;
            }
        } else if arguments.changes {
            changes(context, planned.iter().copied())?;
        } else {
            show(context, &objects)?;
        }
        stays(context, &unselected, arguments.statements)?;
        let tables = objects
            .iter()
            .filter(|i| i.object.as_ref().is_some_and(|o| o.kind() == ObjectKind::Table));
        let rows: u64 = tables.clone().map(|i| i.estimated_rows).sum();
        context.out.note(&format!(
            "{} with about {}; {} stay at the source",
            amount(tables.count() as u64, "table"),
            amount(rows, "row"),
            amount(unselected.len() as u64, "object")
        ))?;
        counted(context, summary.as_ref())?;
        context.out.note(
            "triggers, routines and events never move; those that the source's account may see are among them",
        )?;
    }
    if stuck > 0 {
        context.out.note(&format!(
            "{} cannot be created as planned",
            amount(stuck, "object")
        ))?;
        return Ok(Exit::Failure);
    }
    Ok(Exit::Ok)
}

/// The table as the spec names it.
fn selection<'s>(spec: &'s ProjectSpec, object: &SchemaObject) -> Option<&'s TableSelection> {
    let database = spec.databases.iter().find(|d| d.name == object.database)?;
    database.tables.iter().find(|t| t.name == object.table)
}

/// Whether schema migration would stop at the object.
fn is_stuck(object: &SchemaObject) -> bool {
    matches!(
        object.state(),
        ObjectState::Failed | ObjectState::NotObtained | ObjectState::NotSupported
    )
}

fn show(context: &Context, items: &[PreviewItem]) -> Result<(), CliError> {
    let mut table = Table::new(&["KIND", "OBJECT", "DESTINATION", "STATE", "ROWS>", "REMARKS"]);
    for item in items {
        let object = item.object.clone().unwrap_or_default();
        let mut remarks = object.notes.clone();
        if object.postponed {
            remarks.push("after the rows".to_owned());
        }
        if let Some(choice) = &item.choice {
            if !choice.filter.is_empty() {
                remarks.push(format!("filter: {}", choice.filter));
            }
            remarks.push(format!("columns there: {}", choice.columns.join(", ")));
            remarks.extend(choice.notes.iter().cloned());
        }
        if object.at_switchover {
            remarks.push("at the switchover".to_owned());
        }
        if object.state() == ObjectState::Completed {
            remarks.push("is at the destination already".to_owned());
        }
        if let Some(error) = &object.error {
            remarks.insert(0, format!("{} {}", error.code, error.message));
        }
        let rows = if object.kind() == ObjectKind::Table {
            count(item.estimated_rows)
        } else {
            String::new()
        };
        table.row([
            object.kind().name().to_owned(),
            path(&[&object.database, &object.table, &object.part]),
            path(&[&object.destination_database, &object.destination_table]),
            object.state().name().to_owned(),
            rows,
            remarks.join("; "),
        ]);
    }
    context.out.table(&table)
}

/// What does not move. Among statements it is comments.
fn stays(context: &Context, unselected: &[UnselectedObject], comments: bool) -> Result<(), CliError> {
    if unselected.is_empty() {
        return Ok(());
    }
    if comments {
        for object in unselected {
            let name = path(&[&object.database, &object.name]);
            context.out.line(&format!(
                "-- {} {name} stays at the source: {}",
                object.kind, object.reason
            ))?;
        }
        return Ok(());
    }
    let mut table = Table::new(&["STAYS", "OBJECT", "WHY"]);
    for object in unselected {
        table.row([
            object.kind.clone(),
            path(&[&object.database, &object.name]),
            object.reason.clone(),
        ]);
    }
    context.out.line("")?;
    context.out.table(&table)
}

pub(super) async fn export(context: &Context, name: String) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let project = client
        .get_project(GetProjectRequest { project: name })
        .await
        .map_err(context.failed())?
        .into_inner();
    let spec = project.spec.unwrap_or_default();
    if context.out.is_json() {
        context.out.json(&spec)?;
    } else {
        let text = print_spec(&spec).map_err(|e| CliError::io("the spec")(std::io::Error::other(e)))?;
        context.out.raw(text.as_bytes())?;
    }
    Ok(Exit::Ok)
}
