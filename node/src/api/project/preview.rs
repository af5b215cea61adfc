//! What a project would do, before there is one.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt as _, stream};
use oms_core::Failure;
use oms_mysql::{
    catalog::{Catalog, Object},
    connection::{ServerInfo, Side, connect},
};
use oms_proto::v1::{ObjectKind, PreviewItem, ProjectSpec, UnselectedObject};

use super::{Projects, Streaming, create::Selecting};
use crate::{
    behaviors::{SchemaPlanning, shown},
    connectors::Connector,
    selection::check_spec,
};

impl Projects {
    /// Plans a spec. Everything is known before the first item is sent, so that an error comes instead of items and
    /// not behind them.
    pub(super) async fn preview(&self, spec: ProjectSpec) -> Result<Streaming<PreviewItem>, Failure> {
        check_spec(&spec)?;
        let state = self.0.metadata.latest().await?;
        let (source, destination) = self.ends(&state, &spec)?;
        let Selecting { resolved, existing } = Selecting::of(&spec, &source).await?;
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
            items.push(PreviewItem {
                estimated_rows: size.map_or(0, |o| o.estimated_rows),
                estimated_bytes: size.map_or(0, |o| o.estimated_bytes),
                object: Some(object),
                unselected: None,
            });
        }
        items.extend(unselected.into_iter().map(|u| PreviewItem {
            unselected: Some(u),
            ..Default::default()
        }));
        Ok(stream::iter(items.into_iter().map(Ok)).boxed())
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
