//! Tables that get another name.

use oms_core::TableName;

use super::{ConvertedDdl, DdlFact, DdlPart, DdlRequest, Part, alter, diff, refuse, table};
use crate::{AlterTable, DdlStatement, Flavor, OnlineChange};

pub(super) fn tables(r: &DdlRequest<'_>, pairs: &[(TableName, TableName)]) -> Part {
    if let Some((shadow, base, change)) = finished_change(r, pairs) {
        return online(r, &shadow, &base, &change, pairs);
    }
    // What each table is called at last.
    let mut net: Vec<(TableName, TableName)> = Vec::new();
    for (from, to) in pairs {
        match net.iter_mut().find(|(_, now)| now == from) {
            Some((_, now)) => now.clone_from(to),
            None => net.push((from.clone(), to.clone())),
        }
    }
    let mut moves = false;
    for (from, to) in &net {
        if is_moved(r, from) != is_moved(r, to) && from != to {
            let (verb, name) = if is_moved(r, from) {
                ("leaves the selection as", to)
            } else {
                ("comes into the selection as", to)
            };
            return refuse(format!("{from} {verb} {name}: its rows would be lost or missing"));
        }
        if is_moved(r, from) {
            table::no_obstacle(r, from)?;
            table::no_obstacle(r, to)?;
            moves = true;
        }
    }
    if !moves {
        return Ok(ConvertedDdl::nothing("tables that are not selected"));
    }
    let mut result = ConvertedDdl::nothing("tables that keep their names");
    for (from, to) in pairs {
        // Part of a chain whose table is selected.
        let of_selected = net.iter().any(|(first, last)| {
            is_moved(r, first) && (first == from || last == to || chain_has(pairs, first, from))
        });
        if of_selected {
            let (old, new) = (destination(r, from), destination(r, to));
            if old != new {
                let facts = vec![
                    DdlFact::new(&old, DdlPart::Table, false),
                    DdlFact::new(&new, DdlPart::Table, true),
                ];
                result.and(ConvertedDdl::step(
                    format!("RENAME TABLE {old} TO {new}"),
                    false,
                    facts,
                ));
                result.expected.retain(|(name, _)| *name != old);
                result.expected.push((old, None));
            }
        }
    }
    for (from, to) in net.iter().filter(|(from, _)| is_moved(r, from)) {
        let new = destination(r, to);
        let after = table::converted(r, r.after, to, &new)?;
        if r.destination.flavor == Flavor::OceanBase {
            // It does not rename what was named after the table.
            let old = table::converted(r, r.before, from, &new)?;
            result.and(diff::constraints(r, &new, &old, &after));
        }
        result.expected.retain(|(name, _)| *name != new);
        result.expected.push((new, after.definition));
    }
    Ok(result)
}

/// Whether a table passes through a name on its way.
fn chain_has(pairs: &[(TableName, TableName)], first: &TableName, name: &TableName) -> bool {
    let mut now = first;
    for (from, to) in pairs {
        if from == now {
            if from == name {
                return true;
            }
            now = to;
        }
    }
    false
}

fn is_moved(r: &DdlRequest<'_>, name: &TableName) -> bool {
    table::unselected(r, name).is_none()
}

/// Where a table goes; names in between are taken as they are.
fn destination(r: &DdlRequest<'_>, name: &TableName) -> TableName {
    r.selection
        .destination(name)
        .unwrap_or_else(|| r.options.renames.table(name))
}

/// The online change that ends with these renames: the table goes away and the filled one comes.
fn finished_change(
    r: &DdlRequest<'_>,
    pairs: &[(TableName, TableName)],
) -> Option<(TableName, TableName, OnlineChange)> {
    pairs.iter().find_map(|(from, to)| {
        let change = r.before.online_change(from)?;
        let base = TableName::new(&from.database, &change.of);
        let is_its = *to == base && r.selection.destination(&base).is_some();
        is_its.then(|| (from.clone(), base, change.clone()))
    })
}

/// What was done to the filled table is done to the table itself.
fn online(
    r: &DdlRequest<'_>,
    shadow: &TableName,
    base: &TableName,
    change: &OnlineChange,
    pairs: &[(TableName, TableName)],
) -> Part {
    let others = pairs
        .iter()
        .filter(|(from, _)| from != shadow && from != base)
        .any(|(from, to)| is_moved(r, from) || is_moved(r, to));
    if others {
        return refuse(format!(
            "the end of an online change of {base} together with other renames"
        ));
    }
    let mut before = r.before.clone();
    let mut result = ConvertedDdl::ignored(format!("an online change of {base} that changes nothing"));
    for statement in &change.statements {
        let same = AlterTable {
            table: base.clone(),
            ..statement.clone()
        };
        let statement = DdlStatement::AlterTable(same.clone());
        let mut after = before.clone();
        if let Err(error) = after.apply(&statement, r.context) {
            return refuse(format!("an online change of {base}: {error}"));
        }
        let request = DdlRequest {
            statement: &statement,
            before: &before,
            after: &after,
            ..*r
        };
        result.and(alter::table(&request, &same)?);
        before = after;
    }
    Ok(result)
}
