//! Prechecks: both ends are looked at before anything is changed.

use std::sync::Arc;

use async_trait::async_trait;
use oms_actors::{Behavior, Completion, Context, Mapping};
use oms_apply::{MergedSource, MergedTables, Shape, ShapedSource};
use oms_core::{
    Failure, PrecheckItem, PrecheckSide, PrecheckStatus, Source as _, TableName, TableSchema, codes,
};
use oms_meta::{MetaCommand, steps_of};
use oms_mysql::precheck::{PrecheckPlan, Seen, Steps, run, run_source};
use oms_proto::{
    meta::{QualifiedName, SelectedObject, SetPrecheckItems},
    v1::{self, DdlSynchronization, KafkaOptions, PartialRows, ProjectSpec, StepKind},
};

use super::{
    loops, publishing,
    schema::{self, SchemaPlanning},
};
use crate::{connectors::Connector, metadata::Metadata, selection::choices};

/// The database that the sinks keep at destinations.
const META_DATABASE: &str = "omsnode_meta";

/// Runs the prechecks of a project and records their items.
pub(crate) struct Precheck {
    pub(crate) metadata: Metadata,
    pub(crate) source: Connector,
    pub(crate) destination: Connector,
    pub(crate) spec: ProjectSpec,
    pub(crate) selection: Vec<SelectedObject>,
}

/// Runs all prechecks and gives their items as the API shows them.
pub(crate) async fn precheck_items(
    spec: &ProjectSpec,
    source: &Connector,
    destination: &Connector,
    selection: &[SelectedObject],
    now_us: i64,
) -> Vec<v1::PrecheckItem> {
    let mut plan = PrecheckPlan {
        tables: Vec::new(),
        views: Vec::new(),
        steps: Steps {
            schema: has(spec, StepKind::StructTransfer),
            full: has(spec, StepKind::FullTransfer),
            incr: has(spec, StepKind::IncrTransfer),
            follows_ddl: has(spec, StepKind::IncrTransfer)
                && spec
                    .incremental
                    .as_ref()
                    .is_some_and(|i| i.ddl() == DdlSynchronization::Follow),
        },
        meta_database: META_DATABASE.to_owned(),
        now_us,
        merges: spec.merge_tables,
        seen: seen(spec, selection),
    };
    for object in selection {
        if let (Some(s), Some(d)) = (&object.source, &object.destination) {
            let pair = (
                TableName::new(&s.database, &s.table),
                TableName::new(&d.database, &d.table),
            );
            if object.view {
                plan.views.push(pair)
            } else {
                plan.tables.push(pair)
            }
        }
    }
    let mut items = match &spec.kafka {
        Some(options) => to_kafka(options, source, destination, &plan).await,
        None => run(&source.endpoint, &destination.endpoint, &plan).await,
    };
    let connected = !items
        .iter()
        .any(|i| i.key == "RDB_CONNECT" && i.status == PrecheckStatus::Failed);
    if spec.merge_tables && connected {
        items.push(merged_tables(spec, source, selection, &plan.tables).await);
    }
    if plan.steps.schema && connected && spec.kafka.is_none() {
        let planning = SchemaPlanning {
            source: source.clone(),
            destination: destination.clone(),
            spec: spec.clone(),
            selection: selection.to_vec(),
        };
        items.push(conversions(&planning).await);
    }
    let apply_partial = spec
        .incremental
        .as_ref()
        .is_some_and(|i| i.partial_rows() == PartialRows::Apply);
    for item in &mut items {
        // The user has said that partial rows are to be applied.
        if apply_partial && item.code == Some(codes::src::ROW_IMAGE) && item.status == PrecheckStatus::Failed
        {
            item.status = PrecheckStatus::Warning;
        }
    }
    let skipped = spec
        .precheck
        .as_ref()
        .map(|p| p.skip.as_slice())
        .unwrap_or_default();
    items.iter().map(|item| shown(item, skipped)).collect()
}

/// Both ends of a project to Kafka.
async fn to_kafka(
    options: &KafkaOptions,
    source: &Connector,
    destination: &Connector,
    plan: &PrecheckPlan,
) -> Vec<PrecheckItem> {
    let mut items = run_source(&source.endpoint, plan).await;
    let reads = match source.source(0, PartialRows::Refuse) {
        Ok(reads) => reads,
        Err(_) => return items,
    };
    let mappings = plan
        .tables
        .iter()
        .map(|(s, d)| Mapping {
            source: s.clone(),
            destination: d.clone(),
        })
        .collect();
    let seen = &plan.seen;
    items.extend(publishing::items(options, &*reads, seen, destination, mappings, plan.steps.schema).await);
    items
}

/// Tables with the columns that the spec chooses of them.
fn seen(spec: &ProjectSpec, selection: &[SelectedObject]) -> Seen {
    let (choices, texts) = (choices(spec, selection), super::text_decoder());
    Arc::new(move |table: TableSchema| {
        let Some(choice) = choices.get(&table.name) else {
            return Ok(table);
        };
        let name = table.name.clone();
        match Shape::new(choice, Arc::new(table), &texts) {
            Ok(shape) => Ok(TableSchema::clone(shape.seen())),
            Err(problems) => Err(Failure::new(codes::filter::NOT_USABLE, problems.join("; ")).context(name)),
        }
    })
}

/// Names what keeps tables from becoming one, all at once.
async fn merged_tables(
    spec: &ProjectSpec,
    source: &Connector,
    selection: &[SelectedObject],
    tables: &[(TableName, TableName)],
) -> PrecheckItem {
    let merged = MergedTables::of(tables.iter().map(|(s, d)| (s, d)));
    let item = |status, code, message: String, action: &str| PrecheckItem {
        key: "DB_MERGED_TABLES",
        side: PrecheckSide::Source,
        status,
        skippable: false,
        code,
        message,
        action: action.to_owned(),
    };
    let looked = async {
        let plain = source.source(0, PartialRows::Refuse)?;
        let shaped = ShapedSource::new(plain, choices(spec, selection), super::text_decoder());
        let names: Vec<TableName> = merged.iter().map(|(first, _)| first.clone()).collect();
        MergedSource::new(Arc::new(shaped), merged.clone())
            .load_tables(&names)
            .await
    };
    match looked.await {
        Ok(_) => {
            let words: Vec<String> = merged
                .iter()
                .map(|(first, all)| format!("{first} and {} more", all.len() - 1))
                .collect();
            let message = if words.is_empty() {
                "no tables become one".to_owned()
            } else {
                format!("tables that become one fit each other: {}", listed(&words))
            };
            item(PrecheckStatus::Passed, None, message, "")
        }
        Err(failure) => item(
            PrecheckStatus::Failed,
            Some(failure.code()),
            failure.detail().to_owned(),
            "Make the definitions equal at the source, choose the same columns of all (`columns`, `omit_columns`), or give the \
             tables names of their own at the destination.",
        ),
    }
}

/// Names what cannot be created and what is lost, before anything is executed. Schema migration itself stops at the former,
/// where each object can be decided.
async fn conversions(planning: &SchemaPlanning) -> PrecheckItem {
    let item = |status, message: String, action: &str| PrecheckItem {
        key: "DB_SCHEMA_CONVERSION",
        side: PrecheckSide::Both,
        status,
        skippable: true,
        code: None,
        message,
        action: action.to_owned(),
    };
    let plan = match planning.plan().await {
        Ok((plan, _)) => plan,
        Err(f) => return item(PrecheckStatus::NotChecked, f.text(), ""),
    };
    let (mut refused, mut lossy) = (Vec::new(), Vec::new());
    for object in plan.objects.iter().map(schema::shown) {
        let name = schema::label(&object);
        if let Some(error) = &object.error {
            refused.push(format!("{name}: {}", error.message));
        } else if schema::losses(&object).next().is_some() {
            lossy.push(name);
        }
    }
    if refused.is_empty() && lossy.is_empty() {
        let message = "every object can be created without a loss".to_owned();
        return item(PrecheckStatus::Passed, message, "");
    }
    let mut message = Vec::new();
    if !refused.is_empty() {
        message.push(format!("objects that cannot be created: {}", listed(&refused)));
    }
    if !lossy.is_empty() {
        message.push(format!(
            "objects whose conversion loses something: {}",
            listed(&lossy)
        ));
    }
    let action = if refused.is_empty() && !planning.stops_at_losses() {
        "See what is lost with `omsnode project preview --changes`; `schema.lossy: stop` makes the project wait there."
    } else {
        "See them with `omsnode project preview --changes`. Schema migration will stop at them, before any row moves."
    };
    item(PrecheckStatus::Warning, message.join("; "), action)
}

/// The first names, and how many more there are.
pub(super) fn listed(names: &[String]) -> String {
    const LISTED: usize = 10;
    let shown: Vec<&str> = names.iter().take(LISTED).map(String::as_str).collect();
    match names.len().saturating_sub(LISTED) {
        0 => shown.join("; "),
        rest => format!("{} and {rest} more", shown.join("; ")),
    }
}

fn has(spec: &ProjectSpec, kind: StepKind) -> bool {
    steps_of(spec).iter().any(|s| s.kind() == kind)
}

fn shown(item: &PrecheckItem, skipped: &[String]) -> v1::PrecheckItem {
    let status = match item.status {
        PrecheckStatus::Passed => v1::PrecheckStatus::Passed,
        PrecheckStatus::Warning | PrecheckStatus::NotChecked => v1::PrecheckStatus::Warning,
        PrecheckStatus::Failed if item.blocks(skipped) => v1::PrecheckStatus::Failed,
        PrecheckStatus::Failed => v1::PrecheckStatus::Skipped,
    };
    let unchecked = if item.status == PrecheckStatus::NotChecked {
        "not checked: "
    } else {
        ""
    };
    let code = item.code.map(|c| format!("{c} ")).unwrap_or_default();
    v1::PrecheckItem {
        key: item.key.to_owned(),
        side: match item.side {
            PrecheckSide::Source => v1::Side::Source,
            PrecheckSide::Destination => v1::Side::Destination,
            PrecheckSide::Both => v1::Side::Both,
        } as i32,
        status: status as i32,
        skippable: item.skippable,
        message: format!("{unchecked}{code}{}", item.message),
        action: item.action.clone(),
    }
}

impl Precheck {
    /// Whether what either direction writes can be told at both ends.
    async fn loops(&self, context: &Context) -> Vec<v1::PrecheckItem> {
        let name = |n: &QualifiedName| TableName::new(&n.database, &n.table);
        let ends = [
            (
                &self.source,
                PrecheckSide::Source,
                self.selection.iter().map(|o| &o.source).collect::<Vec<_>>(),
            ),
            (
                &self.destination,
                PrecheckSide::Destination,
                self.selection.iter().map(|o| &o.destination).collect(),
            ),
        ];
        let mut items = Vec::new();
        for (end, side, names) in ends {
            let tables: Vec<TableName> = names.into_iter().flatten().map(name).collect();
            let item = loops::item(&context.id, context.epoch, end, side, &tables).await;
            items.push(shown(&item, &[]));
        }
        items
    }
}

#[async_trait]
impl Behavior for Precheck {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let now_us = context.clock.now_ms().saturating_mul(1_000);
        let mut items = precheck_items(
            &self.spec,
            &self.source,
            &self.destination,
            &self.selection,
            now_us,
        )
        .await;
        if !self.spec.reverse_of.is_empty() {
            items.extend(self.loops(context).await);
        }
        let failed: Vec<_> = items
            .iter()
            .filter(|i| i.status() == v1::PrecheckStatus::Failed)
            .cloned()
            .collect();
        let passed = items.len() - failed.len();
        context.progress.update(|p| {
            p.objects = passed as u64;
            p.total_objects = items.len() as u64;
        });
        let command = SetPrecheckItems {
            project: context.id.project().to_string(),
            epoch: context.epoch.0,
            items,
        };
        self.metadata
            .propose(MetaCommand::SetPrecheckItems(command))
            .await?;
        if failed.is_empty() {
            return Ok(Completion::Done(format!("{passed} items")));
        }
        let named: Vec<_> = failed
            .iter()
            .map(|i| {
                let skip = if i.skippable {
                    " (can be skipped by name)"
                } else {
                    ""
                };
                format!("{} at {}: {}{skip}", i.key, i.side().name(), i.message)
            })
            .collect();
        Err(Failure::new(codes::precheck::FAILED, named.join("; ")))
    }

    async fn remove(&self, _: &Context) -> Result<(), Failure> {
        Ok(())
    }
}
