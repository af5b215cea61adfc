//! What a project would do, before there is one.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use oms_apply::{Shape, TableShape};
use oms_core::{Failure, TableName, codes};
use oms_mysql::{
    catalog::{Catalog, Object},
    connection::{ServerInfo, Side, connect},
    snapshot::sql_condition,
};
use oms_proto::v1::{ChosenRows, ObjectKind, PreviewItem, ProjectSpec, UnselectedObject};

use super::{
    Projects, Streaming,
    create::{Selecting, check_choice},
};
use crate::{
    behaviors::{SchemaPlanning, shown, summary},
    connectors::Connector,
    selection::{check_spec, choices},
};

impl Projects {
    /// Plans a spec. Everything is known before the first item is sent, so that an error comes instead of items and
    /// not behind them.
    pub(super) async fn preview(&self, spec: ProjectSpec) -> Result<Streaming<PreviewItem>, Failure> {
        let state = self.0.metadata.latest().await?;
        let spec = self.completed(&state, spec)?.spec;
        check_spec(&spec)?;
        if spec.kafka.is_some() {
            return Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                "a project to Kafka creates no objects that could be previewed; `project create --dry-run` checks it",
            ));
        }
        let (source, destination) = self.ends(&state, &spec)?;
        let Selecting { resolved, existing } = Selecting::of(&spec, &source).await?;
        let shapes = check_choice(&spec, &source, &resolved.selected).await?;
        let listed = choices(&spec, &resolved.selected);
        let steps = spec.steps.unwrap_or_default();
        let creates = steps.schema || !(steps.full || steps.incremental || steps.verification);
        let mut unselected = resolved.unselected;
        if spec.schema.as_ref().is_some_and(|s| s.omit_views) {
            for name in resolved
                .selected
                .iter()
                .filter(|o| o.view)
                .filter_map(|o| o.source.as_ref())
            {
                unselected.push(stays(
                    "view",
                    &name.database,
                    &name.table,
                    "`schema.omit_views` is set",
                ));
            }
        }
        unselected.extend(programs(&source, existing.keys()).await?);

        let planning = SchemaPlanning {
            source,
            destination,
            spec,
            selection: resolved.selected,
        };
        let (plan, _) = planning.plan().await?;
        let sizes: BTreeMap<(&str, &str), &Object> = existing
            .iter()
            .flat_map(|(database, objects)| {
                objects
                    .iter()
                    .map(|o| ((database.as_str(), o.name.table.as_str()), o))
            })
            .collect();
        let mut items = Vec::with_capacity(plan.objects.len() + unselected.len());
        for planned in &plan.objects {
            let mut object = shown(planned);
            if !creates {
                object.statements.clear();
            }
            let size = sizes
                .get(&(object.database.as_str(), object.table.as_str()))
                .filter(|_| object.kind() == ObjectKind::Table);
            let name = TableName::new(&object.database, &object.table);
            let choice = (object.kind() == ObjectKind::Table)
                .then(|| Some(chosen(listed.get(&name)?, shapes.get(&name)?)))
                .flatten();
            items.push(PreviewItem {
                choice,
                estimated_rows: size.map_or(0, |o| o.estimated_rows),
                estimated_bytes: size.map_or(0, |o| o.estimated_bytes),
                object: Some(object),
                ..Default::default()
            });
        }
        let summary = summary(items.iter().filter_map(|i| i.object.as_ref()));
        items.extend(unselected.into_iter().map(|u| PreviewItem {
            unselected: Some(u),
            ..Default::default()
        }));
        items.push(PreviewItem {
            summary: Some(summary),
            ..Default::default()
        });
        Ok(stream::iter(items.into_iter().map(Ok)).boxed())
    }
}

/// What is chosen of a table, for people and for lists.
fn chosen(choice: &TableShape, shape: &Shape) -> ChosenRows {
    let mut notes = Vec::new();
    let (plain, seen) = (shape.plain(), shape.seen());
    let moves = |index: usize| {
        let column = plain.columns.get(index)?;
        let listed = |names: &[String]| {
            names
                .iter()
                .any(|n| n.to_lowercase() == column.name.to_lowercase())
        };
        Some((choice.columns.is_empty() || listed(&choice.columns)) && !listed(&choice.omitted))
    };
    let stays: Vec<String> = plain
        .columns
        .iter()
        .enumerate()
        .filter(|(i, _)| moves(*i) == Some(false))
        .map(|(_, c)| format!("`{}`", c.name))
        .collect();
    if !stays.is_empty() {
        notes.push(format!("columns that do not move: {}", stays.join(", ")));
    }
    let left: Vec<String> = plain
        .keys
        .iter()
        .filter(|k| !seen.keys.iter().any(|s| s.name == k.name))
        .map(|k| format!("`{}`", k.name))
        .collect();
    if !left.is_empty() {
        notes.push(format!(
            "unique keys that do not move with them: {}",
            left.join(", ")
        ));
    }
    if choice.filter.is_some() {
        notes.push("only rows for which the filter is true arrive".to_owned());
        notes.push(match shape.push_down() {
            Some(condition) => format!("the source is asked for rows with {}", sql_condition(condition)),
            None => "the source is asked for all rows: it might understand the filter otherwise".to_owned(),
        });
    }
    for (name, applied) in [
        ("inserts", choice.changes.insert),
        ("updates", choice.changes.update),
        ("deletes", choice.changes.delete),
    ] {
        if !applied {
            notes.push(format!("{name} are not applied"));
        }
    }
    ChosenRows {
        filter: choice.filter.clone().unwrap_or_default(),
        columns: seen.columns.iter().map(|c| c.name.clone()).collect(),
        notes,
    }
}

fn stays(kind: &str, database: &str, name: &str, reason: &str) -> UnselectedObject {
    UnselectedObject {
        kind: kind.to_owned(),
        database: database.to_owned(),
        name: name.to_owned(),
        reason: reason.to_owned(),
    }
}

/// The programs of the databases that move: none of them does.
async fn programs(
    source: &Connector,
    databases: impl Iterator<Item = &String>,
) -> Result<Vec<UnselectedObject>, Failure> {
    let mut conn = connect(&source.endpoint, Side::Source).await?;
    let info = ServerInfo::probe(&mut conn, Side::Source).await?;
    let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
    let mut found = Vec::new();
    for database in databases.collect::<BTreeSet<_>>() {
        for program in catalog.programs(database).await? {
            let reason = match program.kind.as_str() {
                "trigger" => {
                    "triggers are not created at the destination: what they wrote at the source arrives as rows"
                }
                _ => "programs in the server do not move; create it by hand if applications call it",
            };
            found.push(stays(&program.kind, database, &program.name, reason));
        }
    }
    Ok(found)
}
