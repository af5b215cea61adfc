//! Tables that come and go.

use oms_core::TableName;

use super::{ConvertedDdl, DdlFact, DdlOutcome, DdlPart, DdlRequest, DdlStep, Part, refuse};
use crate::{
    CheckPolicy, ConvertOptions, Converted, ForeignKeyPolicy, IndexPolicy, Outcome, SchemaTracker,
    TableDefinition, convert_table,
};

/// Why statements about a table mean nothing for the destination, if so.
pub(super) fn unselected(r: &DdlRequest<'_>, table: &TableName) -> Option<ConvertedDdl> {
    for tracker in [r.before, r.after] {
        if let Some(base) = tracker.online_base(table)
            && r.selection.destination(&base).is_some()
        {
            return Some(ConvertedDdl::nothing(format!(
                "a table that an online change of {base} made"
            )));
        }
    }
    r.selection
        .destination(table)
        .is_none()
        .then(|| ConvertedDdl::nothing("a table that is not selected"))
}

/// Refuses where the selection says that the table is not carried over as it is.
pub(super) fn no_obstacle(r: &DdlRequest<'_>, table: &TableName) -> std::result::Result<(), crate::Refusal> {
    match r.selection.obstacle(table) {
        Some(reason) => refuse(format!("{table}: {reason}")),
        None => Ok(()),
    }
}

/// Converts a definition as schema migration does, under the destination names of the selection.
pub(super) fn converted(
    r: &DdlRequest<'_>,
    tracker: &SchemaTracker,
    name: &TableName,
    to: &TableName,
) -> std::result::Result<Converted, crate::Refusal> {
    let Some(definition) = tracker.table(name) else {
        return refuse(format!("the definition of {name} is not known"));
    };
    let options = options(r, name, to, definition)?;
    let mut converted = convert_table(definition, &name.database, r.source, r.destination, &options);
    if let Outcome::NotSupported(refusal) = &converted.outcome {
        return Err(refusal.clone());
    }
    if options.checks == CheckPolicy::AtSwitchover {
        // The destination has none before the switchover, which takes them from the source as it is then.
        converted.checks.clear();
        if let Some(definition) = &mut converted.definition {
            definition.checks.clear();
        }
    }
    Ok(converted)
}

/// The user's options with the names that the selection gives.
fn options(
    r: &DdlRequest<'_>,
    name: &TableName,
    to: &TableName,
    definition: &TableDefinition,
) -> std::result::Result<ConvertOptions, crate::Refusal> {
    let mut options = r.options.clone();
    options.indexes = IndexPolicy::WithTable;
    match options.foreign_keys {
        ForeignKeyPolicy::AfterData => options.foreign_keys = ForeignKeyPolicy::AfterTables,
        // The destination has none before the switchover, which takes them from the source as it is then.
        ForeignKeyPolicy::AtSwitchover => options.foreign_keys = ForeignKeyPolicy::Omit,
        ForeignKeyPolicy::AfterTables | ForeignKeyPolicy::Omit => {}
    }
    let mut names = vec![(name.clone(), to.clone())];
    if options.foreign_keys != ForeignKeyPolicy::Omit {
        for key in &definition.foreign_keys {
            let database = key.database.as_deref().unwrap_or(&name.database);
            let parent = TableName::new(database, &key.table);
            if parent == *name {
                continue;
            }
            match r.selection.destination(&parent) {
                Some(to) => names.push((parent, to)),
                None => return refuse(format!("{name} refers to {parent}, which is not selected")),
            }
        }
    }
    names.append(&mut options.renames.tables);
    options.renames.tables = names;
    Ok(options)
}

pub(super) fn create(
    r: &DdlRequest<'_>,
    name: &TableName,
    if_not_exists: bool,
    or_replace: bool,
    from_query: bool,
) -> Part {
    if let Some(nothing) = unselected(r, name) {
        return Ok(nothing);
    }
    no_obstacle(r, name)?;
    let Some(to) = r.selection.destination(name) else {
        return Ok(ConvertedDdl::nothing("a table that is not selected"));
    };
    let was_there = r.before.table(name).is_some();
    if was_there && if_not_exists {
        return Ok(ConvertedDdl::ignored("the table was there"));
    }
    if from_query {
        return refuse(format!(
            "{name} is created from a query in the form of a statement"
        ));
    }
    let mut result = ConvertedDdl::of(DdlOutcome::Converted);
    if was_there && or_replace {
        result.and(ConvertedDdl::step(
            format!("DROP TABLE IF EXISTS {to}"),
            true,
            Vec::new(),
        ));
    }
    let converted = converted(r, r.after, name, &to)?;
    let definition = converted.definition.clone();
    for statement in converted.statements {
        result.steps.push(DdlStep {
            sql: statement.sql,
            repeatable: false,
            facts: vec![DdlFact::new(&to, DdlPart::Table, true)],
        });
    }
    for statement in converted.foreign_keys {
        let part = DdlPart::ForeignKey(statement.object.part);
        result.steps.push(DdlStep {
            sql: statement.sql,
            repeatable: false,
            facts: vec![DdlFact::new(&to, part, true)],
        });
    }
    result.notes = converted.notes;
    result.expected.push((to, definition));
    Ok(result)
}

pub(super) fn drop(r: &DdlRequest<'_>, tables: &[TableName]) -> Part {
    let mut all = ConvertedDdl::nothing("tables that are not selected");
    for name in tables {
        if unselected(r, name).is_some() {
            continue;
        }
        no_obstacle(r, name)?;
        if let Some(to) = r.selection.destination(name) {
            let mut dropped = ConvertedDdl::step(format!("DROP TABLE IF EXISTS {to}"), true, Vec::new());
            dropped.expected.push((to, None));
            all.and(dropped);
        }
    }
    Ok(all)
}

pub(super) fn truncate(r: &DdlRequest<'_>, name: &TableName) -> Part {
    if let Some(nothing) = unselected(r, name) {
        return Ok(nothing);
    }
    no_obstacle(r, name)?;
    match r.selection.destination(name) {
        Some(to) => Ok(ConvertedDdl::step(
            format!("TRUNCATE TABLE {to}"),
            true,
            Vec::new(),
        )),
        None => Ok(ConvertedDdl::nothing("a table that is not selected")),
    }
}
