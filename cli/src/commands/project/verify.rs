//! Verification and its results.

use clap::Args;
use oms_proto::v1::{
    Difference, DifferenceKind, ListDifferencesRequest, ProjectRequest, VerifyProjectRequest, VerifyScope,
};
use tokio_stream::StreamExt as _;

use super::lifecycle::name_of;
use crate::{
    client::Context,
    confirm::confirm,
    error::CliError,
    exit::Exit,
    output::{Table, amount, count},
    watch::{FollowArgs, Until, follow},
};

/// Which differences to list, and how.
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// Name or id
    name: String,
    /// Only of this database (its name at the source)
    #[arg(long)]
    database: Option<String>,
    /// Only of this table (its name at the source)
    #[arg(long, requires = "database")]
    table: Option<String>,
    /// Read both rows now and show the columns that differ
    #[arg(long)]
    values: bool,
    /// Print only the statements that make the destination equal to the source
    #[arg(long)]
    sql: bool,
    /// At most this many differences
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

pub(super) async fn verify(
    context: &Context,
    name: String,
    scope: VerifyScope,
    wait: bool,
) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = VerifyProjectRequest {
        project: name,
        scope: scope as i32,
    };
    let project = client
        .verify_project(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if wait {
        let arguments = FollowArgs {
            until: Until::Verified,
            ..FollowArgs::default()
        };
        return follow(context, &project.id, project.version, &arguments).await;
    }
    let words = format!(
        "project {} is being verified; `omsnode project watch` shows it",
        name_of(&project)
    );
    context.out.done(&project, &words)?;
    Ok(Exit::Ok)
}

pub(super) async fn skip(context: &Context, name: String) -> Result<Exit, CliError> {
    confirm(
        context,
        &format!("The verification of project {name} will end without a result"),
        &name,
    )
    .await?;
    let mut client = context.projects().await?;
    let request = ProjectRequest { project: name };
    let project = client
        .skip_verification(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    context.out.done(
        &project,
        &format!("the verification of project {} is skipped", name_of(&project)),
    )?;
    Ok(Exit::Ok)
}

pub(super) async fn tables(context: &Context, name: String) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = ProjectRequest { project: name };
    let list = client
        .list_verified_tables(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    if context.out.is_json() {
        context.out.json(&list)?;
        return Ok(Exit::Ok);
    }
    if list.tables.is_empty() {
        context.out.note("no table has been verified yet")?;
        return Ok(Exit::Ok);
    }
    let header = [
        "TABLE",
        "STATE",
        "ROWS>",
        "SOURCE ONLY>",
        "DESTINATION ONLY>",
        "DIFFERENT>",
        "ERROR",
    ];
    let mut table = Table::new(&header);
    for t in &list.tables {
        let error = t
            .error
            .as_ref()
            .map(|e| format!("{} {}", e.code, e.message))
            .unwrap_or_default();
        table.row([
            format!("{}.{}", t.database, t.table),
            t.state().name().to_owned(),
            count(t.rows),
            count(t.source_only),
            count(t.destination_only),
            count(t.mismatched),
            error,
        ]);
    }
    context.out.table(&table)?;
    Ok(Exit::Ok)
}

pub(super) async fn diff(context: &Context, arguments: DiffArgs) -> Result<Exit, CliError> {
    let mut client = context.projects().await?;
    let request = ListDifferencesRequest {
        project: arguments.name,
        database: arguments.database.unwrap_or_default(),
        table: arguments.table.unwrap_or_default(),
        with_values: arguments.values,
        with_correction: arguments.sql,
        limit: arguments.limit.unwrap_or_default(),
    };
    let mut stream = client
        .list_differences(request)
        .await
        .map_err(context.failed())?
        .into_inner();
    let out = &context.out;
    let mut found = 0;
    let mut without_statement = 0;
    while let Some(difference) = stream.next().await {
        let difference = difference.map_err(context.failed())?;
        found += 1;
        if out.is_json() {
            out.json_line(&difference)?;
        } else if !arguments.sql {
            out.line(&describe(&difference))?;
        } else if difference.correction.trim().is_empty() {
            without_statement += 1;
        } else {
            // As it is: replacing characters would change the values.
            let statement = difference.correction.trim_end().trim_end_matches(';');
            out.raw(format!("{statement};\n").as_bytes())?;
        }
    }
    if !out.is_json() {
        if found == 0 {
            out.note("no differences are recorded")?;
        } else if without_statement > 0 {
            out.note(&format!(
                "{} cannot be corrected by a statement",
                amount(without_statement, "difference")
            ))?;
        }
    }
    Ok(Exit::Ok)
}

fn describe(d: &Difference) -> String {
    let what = match d.kind() {
        DifferenceKind::SourceOnly => "only at the source",
        DifferenceKind::DestinationOnly => "only at the destination",
        DifferenceKind::Mismatched => "different",
        DifferenceKind::Unspecified => "unknown",
    };
    let key: Vec<_> = d
        .key
        .iter()
        .map(|c| format!("{} = {}", c.column, c.value))
        .collect();
    let mut text = format!("{}.{}  {}  {what}", d.database, d.table, key.join(", "));
    if d.source_count > 0 || d.destination_count > 0 {
        text += &format!(
            "  ({} at the source, {} at the destination)",
            count(d.source_count),
            count(d.destination_count)
        );
    }
    for column in &d.columns {
        text += &format!(
            "\n    {}: {} -> {}",
            column.column, column.source, column.destination
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use oms_proto::v1::{ColumnDifference, ColumnValue};

    use super::*;

    #[test]
    fn a_difference_names_table_key_and_values() {
        let d = Difference {
            database: "shop".to_owned(),
            table: "orders".to_owned(),
            kind: DifferenceKind::Mismatched as i32,
            key: vec![ColumnValue {
                column: "id".to_owned(),
                value: "7".to_owned(),
            }],
            columns: vec![ColumnDifference {
                column: "name".to_owned(),
                source: "'a'".to_owned(),
                destination: "NULL".to_owned(),
            }],
            ..Default::default()
        };
        assert_eq!(
            describe(&d),
            "shop.orders  id = 7  different\n    name: 'a' -> NULL"
        );
    }
}
