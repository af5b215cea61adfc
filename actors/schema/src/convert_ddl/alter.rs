//! ALTER TABLE, CREATE INDEX and DROP INDEX.

use oms_core::TableName;

use super::{
    ConvertedDdl, DdlOutcome, DdlRequest, Part,
    diff::{self, Change, Origins, Rank},
    partition, refuse, rename, table,
};
use crate::{
    AlterClause, AlterTable, ColumnDefinition, ConversionNote, Converted, DefaultValue, Flavor,
    TableDefinition, TableOption, syntax, track,
};

/// Functions that give another value each time: rows that are there already would differ.
const UNSTEADY: &[&str] = &[
    "uuid",
    "uuid_short",
    "rand",
    "random_bytes",
    "connection_id",
    "sys_guid",
    "user",
    "current_user",
    "session_user",
    "system_user",
    "uuid_v4",
    "uuid_v7",
];

/// Functions of the current time.
const TIMES: &[&str] = &[
    "now",
    "sysdate",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "curdate",
    "current_date",
    "curtime",
    "current_time",
    "unix_timestamp",
    "utc_timestamp",
    "utc_date",
    "utc_time",
];

pub(super) fn table(r: &DdlRequest<'_>, alter: &AlterTable) -> Part {
    let name = &alter.table;
    let renamed_to = alter.clauses.iter().rev().find_map(|clause| match clause {
        AlterClause::Rename { to } if to != name => Some(to.clone()),
        _ => None,
    });
    let last = renamed_to.clone().unwrap_or_else(|| name.clone());
    let is_moved = |name: &TableName| table::unselected(r, name).is_none();
    if is_moved(name) != is_moved(&last) {
        // Refused with its reason, unless nothing of it is selected.
        return rename::tables(r, &[(name.clone(), last)]);
    }
    if let Some(nothing) = table::unselected(r, name) {
        return Ok(nothing);
    }
    table::no_obstacle(r, name)?;
    if r.before.table(name).is_none() {
        return if alter.if_exists {
            Ok(ConvertedDdl::ignored("the table was not there"))
        } else {
            refuse(format!("the definition of {name} is not known"))
        };
    }
    let Some(to) = r.selection.destination(name) else {
        return Ok(ConvertedDdl::nothing("a table that is not selected"));
    };
    let old = table::converted(r, r.before, name, &to)?;
    let new = table::converted(r, r.after, &last, &to)?;
    let mut result = changes(r, alter, &to, &old, &new)?;
    if let Some(last) = renamed_to {
        result.and(rename(r, &to, &last)?);
    }
    Ok(result)
}

/// What happens to the table under its old name.
fn changes(r: &DdlRequest<'_>, alter: &AlterTable, to: &TableName, old: &Converted, new: &Converted) -> Part {
    let (Some(before), Some(after)) = (&old.definition, &new.definition) else {
        return refuse(format!("the definition of {} is not known", alter.table));
    };
    // A column keeps its character set when the default of its table changes.
    let (before, after) = (&said(r, before), &said(r, after));
    let flavor = r.destination.flavor;
    let (origins, renamed_columns) = origins(alter, before)?;
    refuse_unsteady(after, &origins)?;
    let mut old_definition = before.clone();
    track::rename_columns(&mut old_definition, &renamed_columns);
    if flavor != Flavor::OceanBase {
        // What was named after the table follows it.
        let source_name = alter.clauses.iter().find_map(|clause| match clause {
            AlterClause::Rename { to } => Some(to.table.clone()),
            _ => None,
        });
        if let Some(new_name) = source_name {
            track::generated_names(&mut old_definition, &alter.table.table, &new_name);
        }
    }
    let mut list = diff::columns(flavor, to, before, after, &origins);
    let renamed_indexes: Vec<_> = alter
        .clauses
        .iter()
        .filter_map(|clause| match clause {
            AlterClause::RenameIndex { old, new, .. } => Some((old.clone(), new.clone())),
            _ => None,
        })
        .collect();
    list.extend(diff::indexes(
        flavor,
        to,
        &old_definition,
        after,
        &renamed_indexes,
    ));
    match diff::constraint_changes(to, &old_definition, after) {
        Ok(changes) => list.extend(changes),
        Err(reason) => return refuse(format!("{}: {reason}", alter.table)),
    }
    list.extend(options(alter, before, after));
    if before.periods != after.periods {
        return refuse(format!("periods of {} change", alter.table));
    }
    let mut result = ConvertedDdl::ignored("it changes nothing that the destination keeps");
    if !list.is_empty() {
        result.outcome = DdlOutcome::Converted;
        result.steps = diff::steps(flavor, to, list);
    }
    result.notes = new
        .notes
        .iter()
        .filter(|n| !old.notes.contains(n))
        .cloned()
        .collect();
    result.notes.extend(filled_in(after, &origins));
    for clause in &alter.clauses {
        if let Some(part) = partition::convert(r, to, (before, after), clause) {
            let part = part?;
            if let DdlOutcome::Ignored(why) = &part.outcome {
                result.notes.push(left_out(clause, why));
            }
            result.and(part);
        } else if let Some(why) = ignored(clause) {
            result.notes.push(left_out(clause, why));
        }
    }
    result.expected.push((to.clone(), Some(after.clone())));
    Ok(result)
}

/// The definition with the character sets of all columns written out.
fn said(r: &DdlRequest<'_>, table: &TableDefinition) -> TableDefinition {
    let default = |charset: &str| {
        let known = r.destination.default_collation(charset);
        known.map_or_else(|| format!("{charset}_general_ci"), str::to_owned)
    };
    let mut said = table.clone();
    for column in said.columns.iter_mut().filter(|c| c.ty.is_character()) {
        let (charset, collation) = table.column_charset(column, &default);
        (column.charset, column.collation) = (Some(charset), Some(collation));
    }
    said
}

/// Why a clause has no effect at the destination.
fn ignored(clause: &AlterClause) -> Option<&'static str> {
    Some(match clause {
        AlterClause::Algorithm(_) | AlterClause::Lock(_) => "how the source does it",
        AlterClause::Force => "the source writes the table anew",
        AlterClause::OrderBy(_) => "rows have an order on disk only at the source",
        AlterClause::Keys { .. } => "keys are always kept",
        AlterClause::Validation(_) => "rows are as they are",
        AlterClause::Option(TableOption::Engine(_) | TableOption::Storage(..)) => "how the table is kept",
        _ => return None,
    })
}

fn left_out(clause: &AlterClause, why: &str) -> ConversionNote {
    ConversionNote {
        object: "statement".to_owned(),
        what: why.to_owned(),
        from: clause.to_string(),
        to: String::new(),
        lossy: false,
    }
}

/// Where the columns come from, and which are renamed.
fn origins(
    alter: &AlterTable,
    before: &TableDefinition,
) -> Result<(Origins, Vec<(String, String)>), crate::Refusal> {
    let mut renamed: Vec<(String, String)> = Vec::new();
    let mut added: Vec<String> = Vec::new();
    for clause in &alter.clauses {
        match clause {
            AlterClause::ChangeColumn { old, spec, .. } if *old != spec.column.name => {
                renamed.push((old.clone(), spec.column.name.clone()));
            }
            AlterClause::RenameColumn { old, new, .. } if old != new => {
                renamed.push((old.clone(), new.clone()));
            }
            AlterClause::AddColumn {
                spec, if_not_exists, ..
            } => {
                let dropped = alter.clauses.iter().any(|c| {
                    matches!(c, AlterClause::DropColumn { name, .. }
                        if name.eq_ignore_ascii_case(&spec.column.name))
                });
                let was_there = before.column(&spec.column.name).is_some();
                let leaves = renamed
                    .iter()
                    .any(|(old, _)| old.eq_ignore_ascii_case(&spec.column.name));
                if !(*if_not_exists && was_there) || dropped || leaves {
                    added.push(spec.column.name.clone());
                }
            }
            _ => {}
        }
    }
    renamed.retain(|(old, _)| before.column(old).is_some());
    let lower = |name: &str| name.to_lowercase();
    for (old, new) in &renamed {
        let other = renamed
            .iter()
            .any(|(o, _)| lower(o) == lower(new) && lower(o) != lower(old));
        if other {
            return refuse(format!(
                "column {old:?} takes the name of another that is renamed as well: whether that ran cannot be told"
            ));
        }
        if added.iter().any(|name| lower(name) == lower(old)) {
            return refuse(format!(
                "column {old:?} is renamed and a new one takes its name: whether that ran cannot be told"
            ));
        }
    }
    let mut origins: Origins = renamed
        .iter()
        .map(|(old, new)| (new.clone(), Some(old.clone())))
        .collect();
    origins.extend(added.into_iter().map(|name| (name, None)));
    Ok((origins, renamed))
}

fn new_columns<'a>(
    after: &'a TableDefinition,
    origins: &'a Origins,
) -> impl Iterator<Item = &'a ColumnDefinition> {
    origins
        .iter()
        .filter(|(_, from)| from.is_none())
        .filter_map(|(name, _)| after.column(name))
}

/// New columns whose values the destination would fill in otherwise than the source did.
fn refuse_unsteady(after: &TableDefinition, origins: &Origins) -> Result<(), crate::Refusal> {
    for column in new_columns(after, origins) {
        if column.auto_increment {
            return refuse(format!(
                "column {:?} is added with AUTO_INCREMENT: the destination would number the rows in another order",
                column.name
            ));
        }
        if let Some(DefaultValue::Expression(text)) = &column.default
            && let Some(function) = UNSTEADY.iter().find(|f| syntax::has_function(text, f))
        {
            return refuse(format!(
                "column {:?} is added with a default of {function}(): rows that are there would get other values",
                column.name
            ));
        }
    }
    Ok(())
}

/// Rows that are there get the destination's time.
fn filled_in(after: &TableDefinition, origins: &Origins) -> Vec<ConversionNote> {
    new_columns(after, origins)
        .filter_map(|column| {
            let text = match &column.default {
                Some(DefaultValue::Now(_)) => "CURRENT_TIMESTAMP".to_owned(),
                Some(DefaultValue::Expression(text))
                    if TIMES.iter().any(|f| syntax::has_function(text, f)) =>
                {
                    text.clone()
                }
                _ => return None,
            };
            Some(ConversionNote {
                object: format!("column {}", syntax::identifier(&column.name)),
                what: "rows that are there get the time at which the destination adds it".to_owned(),
                from: text.clone(),
                to: text,
                lossy: true,
            })
        })
        .collect()
}

fn options(alter: &AlterTable, before: &TableDefinition, after: &TableDefinition) -> Vec<Change> {
    let mut list = Vec::new();
    let mut add = |clause: String| list.push(Change::new(Rank::Option, clause, Vec::new()));
    let (old, new) = (&before.options, &after.options);
    if old.comment != new.comment {
        add(format!("COMMENT={}", syntax::text(&new.comment)));
    }
    if (&old.charset, &old.collation) != (&new.charset, &new.collation) {
        let charset = new.charset.as_deref().unwrap_or("utf8mb4");
        let collation = new
            .collation
            .as_ref()
            .map(|c| format!(" COLLATE={c}"))
            .unwrap_or_default();
        add(format!("DEFAULT CHARACTER SET={charset}{collation}"));
    }
    let next = alter.clauses.iter().rev().find_map(|clause| match clause {
        AlterClause::Option(TableOption::AutoIncrement(next)) => Some(*next),
        _ => None,
    });
    if let Some(next) = next {
        add(format!("AUTO_INCREMENT={next}"));
    }
    list
}

/// The RENAME clause, as a statement of its own.
fn rename(r: &DdlRequest<'_>, old: &TableName, last: &TableName) -> Part {
    let Some(new) = r.selection.destination(last) else {
        return refuse(format!("{last} is not selected"));
    };
    table::no_obstacle(r, last)?;
    let mut result = ConvertedDdl::ignored("the table keeps its name at the destination");
    if new != *old {
        let facts = vec![
            super::DdlFact::new(old, super::DdlPart::Table, false),
            super::DdlFact::new(&new, super::DdlPart::Table, true),
        ];
        result = ConvertedDdl::step(format!("RENAME TABLE {old} TO {new}"), false, facts);
        result.expected.push((old.clone(), None));
    }
    let after = table::converted(r, r.after, last, &new)?;
    result.expected.push((new, after.definition));
    Ok(result)
}
