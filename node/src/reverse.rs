//! From a project to the one that brings its changes back. The argument is in `node/docs/reverse-and-loops.md`.
//!
//! Pure: what is made is a function of the project's record. A switchover calls [`reverse_record`] with the position at which
//! the forward direction has stopped ([`ReverseStart::At`]) and proposes `CreateProject` with the record. The id is made of
//! [`WantedReverse::own`]: asked again with the same one after a crash, the metadata refuses the second as existing.

use std::collections::BTreeMap;

use oms_core::Position;
use oms_meta::steps_of;
use oms_proto::{
    meta::{ProjectRecord, QualifiedName, SelectedObject},
    v1::{
        DataSourceKind, DatabaseSelection, DdlSynchronization, IncrementalOptions, MatchRules, NameRule,
        ObjectKind, ObjectState, PrecheckOptions, Project, ProjectSpec, StepKind, Steps, TableSelection,
    },
};
use oms_types::ProjectId;

#[cfg(test)]
mod tests;

/// Characters of a project's name.
const NAME: usize = 128;
/// What is put behind the project's name where none is wanted.
const BEHIND_NAME: &str = " (reverse)";

/// Where the log of a reverse project begins.
#[derive(Clone, Debug)]
pub(crate) enum ReverseStart {
    /// Where it ends when the Store begins: the forward direction may go on beside it. Only between servers whose logs show
    /// which transactions are ours.
    Now,
    /// At this position of the forward destination, behind everything that the forward direction has ever written there.
    /// Only right when the forward direction has stopped for good before the position was taken.
    At(Position),
}

/// What a reverse project shall be, as far as its project does not say it.
#[derive(Clone, Debug)]
pub(crate) struct WantedReverse {
    /// Its name; empty: that of its project and ` (reverse)`.
    pub(crate) name: String,
    pub(crate) labels: Vec<String>,
    /// 1 to 7 lower-case letters and digits by which its id differs from those of other reverse projects of the same family.
    pub(crate) own: String,
    /// Absent: those of its project, but statements that define tables are not followed.
    pub(crate) incremental: Option<IncrementalOptions>,
    pub(crate) precheck: Option<PrecheckOptions>,
    pub(crate) start: ReverseStart,
}

/// The record of the project that brings changes of `forward` back, not started.
///
/// `kinds` are those of the forward source and destination. Tables go back under the names and into the columns that they came
/// from; columns that only the destination has stay there. Views do not go back, nor do tables that were left out by a decision
/// about their definition.
///
/// # Errors
/// Everything that has no way back, all at once, each named.
pub(crate) fn reverse_record(
    forward: &ProjectRecord,
    kinds: (DataSourceKind, DataSourceKind),
    wanted: WantedReverse,
) -> Result<ProjectRecord, Vec<String>> {
    let project = forward.public.clone().unwrap_or_default();
    let spec = project.spec.clone().unwrap_or_default();
    let mut problems = Vec::new();
    let id = project
        .id
        .parse::<ProjectId>()
        .and_then(|id| id.reverse(&wanted.own));
    if let Err(e) = &id {
        problems.push(e.to_string());
    }
    ways_back(&spec, kinds, &wanted, &mut problems);
    let selection = turned(forward);
    if selection.is_empty() {
        problems.push("the project has no table whose changes could come back".to_owned());
    }
    merged(&selection, &mut problems);
    let (databases, rules) = selected(&spec, &selection, &mut problems);
    let name = match wanted.name.is_empty() {
        true => {
            let kept = NAME - BEHIND_NAME.len();
            spec.name.chars().take(kept).collect::<String>() + BEHIND_NAME
        }
        false => wanted.name,
    };
    let incremental = wanted.incremental.or_else(|| {
        let mut options = spec.incremental?;
        options.set_ddl(DdlSynchronization::Unspecified);
        Some(options)
    });
    let (Ok(id), true) = (id, problems.is_empty()) else {
        return Err(problems);
    };
    Ok(ProjectRecord {
        public: Some(Project {
            id: id.to_string(),
            spec: Some(ProjectSpec {
                name,
                labels: wanted.labels,
                source: spec.destination,
                destination: spec.source,
                steps: Some(Steps {
                    incremental: true,
                    ..Default::default()
                }),
                databases,
                rules,
                precheck: wanted.precheck,
                incremental,
                reverse_of: spec.name,
                ..Default::default()
            }),
            reverse_of: project.id,
            ..Default::default()
        }),
        source_id: forward.destination_id.clone(),
        destination_id: forward.source_id.clone(),
        selection,
        verify_run: 1,
        log_start: match &wanted.start {
            ReverseStart::Now => String::new(),
            ReverseStart::At(position) => position.encode(),
        },
        ..Default::default()
    })
}

/// What of the project as a whole has no way back.
fn ways_back(
    spec: &ProjectSpec,
    (source, destination): (DataSourceKind, DataSourceKind),
    wanted: &WantedReverse,
    problems: &mut Vec<String>,
) {
    if destination == DataSourceKind::Kafka || spec.kafka.is_some() {
        problems.push("messages do not come back: the destination is kafka".to_owned());
    }
    if !steps_of(spec).iter().any(|s| s.kind() == StepKind::IncrTransfer) {
        problems.push("the project has no step `incremental`".to_owned());
    }
    let follows = |o: Option<IncrementalOptions>| o.is_some_and(|o| o.ddl() == DdlSynchronization::Follow);
    if follows(wanted.incremental) {
        problems.push(
            "incremental.ddl: statements that define tables go in one direction only; `stop` in the reverse one".to_owned(),
        );
    }
    if matches!(wanted.start, ReverseStart::At(_)) {
        return;
    }
    if follows(spec.incremental) {
        problems.push(
            "incremental.ddl: the project executes statements that define tables at its destination, where the reverse project \
             would meet them; that goes together only when the project has stopped (a switchover)"
                .to_owned(),
        );
    }
    for (end, kind) in [("source", source), ("destination", destination)] {
        if kind == DataSourceKind::Oceanbase {
            problems.push(format!(
                "the project's {end} is oceanbase, which is read by comparing its rows: that does not show which of them the \
                 other direction has written, so both directions cannot run at once; after a switchover changes can come back"
            ));
        }
    }
}

/// The tables with their names exchanged.
fn turned(forward: &ProjectRecord) -> Vec<SelectedObject> {
    let left_out = |name: &QualifiedName| {
        forward.objects.iter().any(|o| {
            o.state() == ObjectState::Removed
                && o.kind() == ObjectKind::Table
                && o.database == name.database
                && o.table == name.table
        })
    };
    let tables = forward.selection.iter().filter(|o| !o.view && !o.gone);
    tables
        .filter(|o| o.source.as_ref().is_some_and(|s| !left_out(s)))
        .map(|o| SelectedObject {
            source: o.destination.clone(),
            destination: o.source.clone(),
            ..Default::default()
        })
        .collect()
}

/// Names the tables at the destination that several tables became.
fn merged(selection: &[SelectedObject], problems: &mut Vec<String>) {
    let mut from: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for object in selection {
        if let (Some(s), Some(d)) = (&object.source, &object.destination) {
            from.entry((&s.database, &s.table)).or_default().push(quoted(d));
        }
    }
    for ((database, table), from) in from.iter().filter(|(_, from)| from.len() > 1) {
        problems.push(format!(
            "`{database}`.`{table}` is made of {}: where a row of it would go back to is not known",
            from.join(", ")
        ));
    }
}

/// The selection of a spec that names exactly these tables: by database where each goes to one database, else by rules.
fn selected(
    forward: &ProjectSpec,
    selection: &[SelectedObject],
    problems: &mut Vec<String>,
) -> (Vec<DatabaseSelection>, Option<MatchRules>) {
    let mut databases: Vec<DatabaseSelection> = Vec::new();
    let mut rules = Vec::new();
    let mut to_one = true;
    let mut plain = true;
    for object in selection {
        let (Some(from), Some(to)) = (&object.source, &object.destination) else {
            continue;
        };
        let chosen = chosen(forward, to);
        let table = match chosen {
            Some(chosen) => inverse(chosen, from, to, problems),
            None => named(from, to),
        };
        plain &= is_plain(&table);
        rules.push(format!("{}={}", rule_name(from), rule_name(to)));
        match databases.iter_mut().find(|d| d.name == from.database) {
            Some(database) => {
                to_one &= database.rename_to == to.database;
                database.tables.push(table);
            }
            None => databases.push(DatabaseSelection {
                name: from.database.clone(),
                rename_to: to.database.clone(),
                tables: vec![table],
                exclude: Vec::new(),
            }),
        }
    }
    if to_one {
        return (databases, None);
    }
    if !plain {
        problems.push(
            "tables of one database at the destination come from several databases, and columns or changes of some are chosen: \
             such a choice cannot be said of tables that are selected one by one"
                .to_owned(),
        );
    }
    let rules = MatchRules {
        include: rules,
        exclude: Vec::new(),
    };
    (Vec::new(), Some(rules))
}

/// What the project says of a table of its source.
fn chosen<'s>(spec: &'s ProjectSpec, table: &QualifiedName) -> Option<&'s TableSelection> {
    let database = spec.databases.iter().find(|d| d.name == table.database)?;
    database.tables.iter().find(|t| t.name == table.table)
}

fn named(from: &QualifiedName, to: &QualifiedName) -> TableSelection {
    TableSelection {
        name: from.table.clone(),
        rename_to: to.table.clone(),
        ..Default::default()
    }
}

/// Whether nothing but the name is said of it.
fn is_plain(table: &TableSelection) -> bool {
    let bare = TableSelection {
        name: table.name.clone(),
        rename_to: table.rename_to.clone(),
        ..Default::default()
    };
    *table == bare
}

/// The choice of columns and changes, the other way round.
fn inverse(
    forward: &TableSelection,
    from: &QualifiedName,
    to: &QualifiedName,
    problems: &mut Vec<String>,
) -> TableSelection {
    if !forward.filter.is_empty() {
        problems.push(format!(
            "{} moves by a filter: rows of the destination that are new there could meet rows that never moved",
            quoted(to)
        ));
    }
    if !forward.columns.is_empty() || !forward.omit_columns.is_empty() {
        problems.push(format!(
            "{} moves without some of its columns: rows that are new at the destination would come back without them",
            quoted(to)
        ));
    }
    let renamed = forward.rename_columns.iter().map(|r| NameRule {
        from: r.to.clone(),
        to: r.from.clone(),
    });
    TableSelection {
        // The source has no such column.
        omit_columns: forward.add_columns.iter().map(|c| c.name.clone()).collect(),
        rename_columns: renamed.collect(),
        dml: forward.dml,
        ..named(from, to)
    }
}

fn quoted(name: &QualifiedName) -> String {
    format!("`{}`.`{}`", name.database, name.table)
}

/// A name as rules have it, literally.
fn rule_name(name: &QualifiedName) -> String {
    let quote = |part: &str| format!("`{}`", part.replace('`', "``"));
    format!("{}.{}", quote(&name.database), quote(&name.table))
}
