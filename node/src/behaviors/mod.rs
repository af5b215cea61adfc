//! From a record in the metadata to the work of a component.

mod charsets;
mod definitions;
mod loops;
mod precheck;
mod publishing;
mod schema;
mod switchover;
mod traits;

use std::{path::PathBuf, sync::Arc, time::Duration};

use oms_actors::{
    Behavior, FullImport, FullImportSettings, FullVerification, FullVerificationSettings, IncrSync,
    IncrSyncSettings, Lanes, Live, Mapping, Settle, Shelf, Store, StoreSettings,
};
use oms_apply::{ImportTuning, LeftOut, MergedSource, MergedTables, ShapedSource, TextDecoder, Workers};
use oms_core::{ComponentId, ComponentKind, Failure, Position, Sink, Source, TableName, codes};
use oms_mysql::binlog::OwnWrites;
use oms_proto::{
    meta::{ComponentFacts, ComponentRecord, ProjectRecord, QualifiedName},
    v1::{
        CommitOrder, Concurrency, DataSourceKind, DdlSynchronization, FullOptions, IncrementalOptions,
        ObjectKind, ObjectState, OnExistingRows, PartialRows, ProjectSpec, StepKind, VerifyScope,
    },
};
use oms_verify::{Preset, Scope, VerifyOptions};

pub(crate) use precheck::precheck_items;
pub(crate) use schema::{SchemaPlanning, shown, summary};
pub(crate) use switchover::{deferred, sub_step};

use crate::{
    connectors::Connector,
    leftovers::log_folder,
    metadata::Metadata,
    secrets::Vault,
    selection::{MOST_PUBLISHING_WORKERS, choices},
};

/// Most workers that full import starts by itself.
const MOST_IMPORT_WORKERS: usize = 16;

/// Workers and limits as the spec has them.
fn import_tuning(full: &FullOptions) -> ImportTuning {
    let limit = |n: u64| (n > 0).then_some(n);
    let workers = match (full.workers, full.concurrency()) {
        (0, Concurrency::Stable) => Workers::Fixed(2),
        (0, Concurrency::Normal) => Workers::Fixed(4),
        (0, Concurrency::Fast) => Workers::Fixed(8),
        (0, _) => Workers::Auto(MOST_IMPORT_WORKERS),
        (n, _) => Workers::Fixed(usize::try_from(n).unwrap_or(1)),
    };
    ImportTuning {
        workers,
        rows_per_second: limit(full.max_rows_per_second),
        bytes_per_second: limit(full.max_bytes_per_second),
    }
}

/// The same with no more workers than a claim on a queue has lanes for them.
fn bounded(tuning: ImportTuning) -> ImportTuning {
    let most = usize::try_from(MOST_PUBLISHING_WORKERS).unwrap_or(1);
    let workers = match tuning.workers {
        Workers::Fixed(n) => Workers::Fixed(n.min(most)),
        Workers::Auto(n) => Workers::Auto(n.min(most)),
    };
    ImportTuning { workers, ..tuning }
}

/// Most lanes of incremental synchronization that are opened without being asked for.
const MOST_LANES: u32 = 16;

/// Lanes as the spec has them.
fn lanes(incremental: &IncrementalOptions) -> Lanes {
    match (incremental.lanes, incremental.concurrency()) {
        (0, Concurrency::Stable) => Lanes::Fixed(2),
        (0, Concurrency::Normal) => Lanes::Fixed(4),
        (0, Concurrency::Fast) => Lanes::Fixed(8),
        (0, _) => Lanes::Auto(MOST_LANES),
        // Specs of earlier releases were not checked.
        (n, _) => Lanes::Fixed(n.min(oms_meta::MOST_WORKERS)),
    }
}

/// Builds the work of components.
pub(crate) struct Behaviors {
    pub(crate) metadata: Metadata,
    pub(crate) vault: Arc<Vault>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) reserve_bytes: u64,
}

impl Behaviors {
    /// The work of a component as its project's record wants it.
    pub(crate) fn build(
        &self,
        id: &ComponentId,
        project: &ProjectRecord,
        component: &ComponentRecord,
    ) -> Result<Arc<dyn Behavior>, Failure> {
        let state = self.metadata.state()?;
        let source = Connector::of(&state, &self.vault, &project.source_id)?;
        let destination = Connector::of(&state, &self.vault, &project.destination_id)?;
        let spec = project
            .public
            .as_ref()
            .and_then(|p| p.spec.clone())
            .unwrap_or_default();
        Ok(match id.kind() {
            ComponentKind::Precheck => Arc::new(precheck::Precheck {
                metadata: self.metadata.clone(),
                source,
                destination,
                spec,
                selection: project.selection.clone(),
            }),
            ComponentKind::SchemaMigration if spec.kafka.is_some() => {
                let options = spec.kafka.unwrap_or_default();
                Arc::new(publishing::TopicCreation::new(
                    &destination,
                    options,
                    mappings(project),
                )?)
            }
            ComponentKind::SchemaMigration => Arc::new(schema::SchemaMigration {
                metadata: self.metadata.clone(),
                planning: schema::SchemaPlanning {
                    source,
                    destination,
                    spec,
                    selection: project.selection.clone(),
                },
                recorded: project.objects.clone(),
                moment: match component.step() {
                    StepKind::IndexTransfer => schema::Moment::AfterRows,
                    StepKind::TransferAppSwitch => schema::Moment::Switchover,
                    _ => schema::Moment::First,
                },
            }),
            ComponentKind::Store => self.store(id, &source, project, component, &spec)?,
            ComponentKind::FullImport => self.full_import(id, &source, &destination, project, &spec)?,
            ComponentKind::IncrSync => self.incr_sync(id, &source, &destination, project, &spec)?,
            ComponentKind::FullVerification => {
                self.verification(id, &source, &destination, project, component, &spec)?
            }
            ComponentKind::Switchover => Arc::new(switchover::Switchover {
                metadata: self.metadata.clone(),
                vault: self.vault.clone(),
            }),
        })
    }

    /// What full import and incremental synchronization write to.
    fn sink(
        &self,
        destination: &Connector,
        source: &Arc<dyn Source>,
        project: &ProjectRecord,
        spec: &ProjectSpec,
    ) -> Result<Arc<dyn Sink>, Failure> {
        let Some(options) = &spec.kafka else {
            return destination.sink();
        };
        let metadata = self.metadata.clone();
        let clock = Arc::new(move || metadata.now_ms());
        let tables = mappings(project);
        let sink = publishing::topic_sink(destination, source.clone(), spec, options, tables, clock)?;
        Ok(Arc::new(sink))
    }

    fn store(
        &self,
        id: &ComponentId,
        source: &Connector,
        project: &ProjectRecord,
        component: &ComponentRecord,
        spec: &ProjectSpec,
    ) -> Result<Arc<dyn Behavior>, Failure> {
        let hours = spec.incremental.as_ref().map_or(0, |i| i.retention_hours);
        let settings = StoreSettings {
            dir: log_folder(&self.data_dir, id.project().as_str()),
            log_family: log_family(id.project().as_str()),
            reserve_bytes: self.reserve_bytes,
            retention: Duration::from_secs(u64::from(if hours == 0 { 24 } else { hours }) * 3_600),
            start: match position(component.facts.as_ref().map(|f| f.store_start.as_str()))? {
                Some(start) => Some(start),
                None => position(Some(&project.log_start))?,
            },
            applied: position(
                facts(project, ComponentKind::IncrSync)
                    .as_ref()
                    .map(|f| f.applied.as_str()),
            )?,
        };
        let number = server_id(id.project().as_str());
        Ok(Arc::new(Store::new(
            source.following(number, partial_rows(spec), &followed(project), None)?,
            self.shelf.clone(),
            settings,
        )))
    }

    fn full_import(
        &self,
        id: &ComponentId,
        source: &Connector,
        destination: &Connector,
        project: &ProjectRecord,
        spec: &ProjectSpec,
    ) -> Result<Arc<dyn Behavior>, Failure> {
        let full = spec.full.unwrap_or_default();
        let chunk_rows = match full.concurrency() {
            Concurrency::Stable => 1_000,
            Concurrency::Normal => 5_000,
            Concurrency::Fast | Concurrency::Custom | Concurrency::Auto | Concurrency::Unspecified => 10_000,
        };
        let (metadata, project_id) = (self.metadata.clone(), id.project().to_string());
        let publishes = spec.kafka.is_some();
        let tuning = Live::new(move || {
            let state = metadata.state().ok();
            let record = state.as_ref().and_then(|s| s.project(&project_id));
            let spec = record.and_then(|r| r.public.as_ref()?.spec.as_ref());
            let tuning = import_tuning(&spec.map_or(full, |s| s.full.unwrap_or_default()));
            if publishes { bounded(tuning) } else { tuning }
        });
        let or = |value: u64, default: u64| if value == 0 { default } else { value };
        let settings = FullImportSettings {
            tables: mappings(project),
            ignore_existing: full.on_existing_rows() == OnExistingRows::Ignore,
            existing_accepted: project.existing_rows_accepted,
            tuning,
            chunk_rows: or(full.chunk_rows, chunk_rows),
            max_conflicts: or(full.max_conflicts, 10_000),
            log_position: steps_include(project, StepKind::IncrTransfer),
        };
        // Rows are those of where the log began, if the source can show them: then nothing is read that it continues.
        let store = facts(project, ComponentKind::Store).unwrap_or_default();
        let began = position(Some(&store.store_start))?;
        let number = server_id(&id.to_string());
        let source = source.following(number, partial_rows(spec), &followed(project), began.as_ref())?;
        let (source, left_out) = chosen(source, project);
        let sink = self.sink(destination, &source, project, spec)?;
        let import = FullImport::new(source, sink, settings);
        Ok(Arc::new(import.leaving_out(left_out)))
    }

    fn incr_sync(
        &self,
        id: &ComponentId,
        source: &Connector,
        destination: &Connector,
        project: &ProjectRecord,
        spec: &ProjectSpec,
    ) -> Result<Arc<dyn Behavior>, Failure> {
        let store = facts(project, ComponentKind::Store).unwrap_or_default();
        let import = facts(project, ComponentKind::FullImport).unwrap_or_default();
        let start = position(Some(&store.store_start))?.ok_or_else(|| {
            Failure::new(
                codes::api::INTERNAL,
                "the Store has not recorded its start position",
            )
        })?;
        let mut snapshots = Vec::new();
        for s in &import.snapshots {
            if let (Some(table), Some(p)) = (&s.table, position(Some(&s.position))?) {
                snapshots.push((table_name(table), p));
            }
        }
        // Of a table that joined, a sub-project has applied what is before that position; it counts instead of earlier ones.
        for j in &project.joined {
            if let (Some(table), Some(p)) = (&j.table, position(Some(&j.position))?) {
                let name = table_name(table);
                snapshots.retain(|(other, _)| *other != name);
                snapshots.push((name, p));
            }
        }
        let incremental = spec.incremental.unwrap_or_default();
        let caught_up = if incremental.caught_up_seconds == 0 {
            10
        } else {
            incremental.caught_up_seconds
        };
        let settings = IncrSyncSettings {
            tables: mappings(project),
            start,
            safe_until: position(Some(&import.safe_until))?,
            snapshots,
            lanes: if spec.kafka.is_some() {
                // One lane keeps the source's order in every topic, whatever messages are keyed by.
                Lanes::Fixed(1)
            } else {
                lanes(&incremental)
            },
            publishes: spec.kafka.is_some(),
            commit_order: match incremental.commit_order() {
                // Rounds that are made again end elsewhere: only what is a prefix of them can be gone on from.
                _ if source.kind() == DataSourceKind::Oceanbase => oms_apply::CommitOrder::Strict,
                CommitOrder::Strict => oms_apply::CommitOrder::Strict,
                CommitOrder::Relaxed | CommitOrder::Unspecified => oms_apply::CommitOrder::Relaxed,
            },
            caught_up: Duration::from_secs(u64::from(caught_up)),
            settle: if project.settle {
                let behind = position(Some(&project.settle_behind))?;
                Some(Settle { behind })
            } else {
                None
            },
            always_safe: choices(spec, &project.selection)
                .into_iter()
                .filter(|(_, choice)| !choice.changes.is_all())
                .map(|(name, _)| name)
                .collect(),
        };
        let own_writes = OwnWrites::of(id.project());
        let log = source.without_echoes(server_id(id.project().as_str()), partial_rows(spec), &own_writes)?;
        let (log, left_out) = chosen(log, project);
        let sink = self.sink(destination, &log, project, spec)?;
        let sync = IncrSync::new(log.clone(), sink, self.shelf.clone(), settings)
            .leaving_out(left_out)
            .counting_echoes(Arc::new(move || own_writes.transactions()));
        Ok(Arc::new(match incremental.ddl() {
            // Such a project chooses neither rows nor columns.
            DdlSynchronization::Follow => {
                let follow = definitions::follow_settings(project, spec, source, destination, log)?;
                sync.following(follow)
            }
            DdlSynchronization::Stop | DdlSynchronization::Unspecified => sync,
        }))
    }
}

impl Behaviors {
    fn verification(
        &self,
        id: &ComponentId,
        source: &Connector,
        destination: &Connector,
        project: &ProjectRecord,
        component: &ComponentRecord,
        spec: &ProjectSpec,
    ) -> Result<Arc<dyn Behavior>, Failure> {
        let verify = spec.verify.unwrap_or_default();
        let ignore = spec
            .full
            .as_ref()
            .is_some_and(|f| f.on_existing_rows() == OnExistingRows::Ignore);
        let preset = match verify.concurrency() {
            Concurrency::Stable => Preset::Stable,
            // The others are refused in specs.
            Concurrency::Normal | Concurrency::Unspecified | Concurrency::Auto | Concurrency::Custom => {
                Preset::Normal
            }
            Concurrency::Fast => Preset::Fast,
        };
        let defaults = VerifyOptions::default();
        // What has settled for a switchover applies nothing: nothing is to be waited for.
        let at_rest = component.step() == StepKind::TransferAppSwitch && project.settle;
        let synchronized = steps_include(project, StepKind::IncrTransfer) && !at_rest;
        // Nothing applies changes behind the scan: reading again can only show the same.
        let rounds = if synchronized { defaults.recheck_rounds } else { 2 };
        let options = VerifyOptions {
            workers: preset.workers(),
            max_differences: if verify.max_differences == 0 {
                defaults.max_differences
            } else {
                verify.max_differences
            },
            recheck_rounds: if verify.recheck_rounds == 0 {
                rounds
            } else {
                verify.recheck_rounds
            },
            ignore_destination_only: ignore,
            ..defaults
        };
        let run = project.verify_run.max(1);
        let of = run.saturating_sub(1);
        let scope = match project.verify_scope() {
            VerifyScope::Unspecified | VerifyScope::All => Scope::All,
            _ if of == 0 => Scope::All,
            VerifyScope::TablesWithDifferences => Scope::TablesWithDifferences { of },
            VerifyScope::Differences => Scope::Differences { of },
        };
        let settings = FullVerificationSettings {
            tables: mappings(project),
            run,
            scope,
            options,
            charsets: server_charsets(),
            synchronized,
            unordered: merged(project).iter().map(|(first, _)| first.clone()).collect(),
        };
        let source = source.source(server_id(&id.to_string()), partial_rows(spec))?;
        let (source, _) = chosen(source, project);
        let sink = destination.sink()?;
        Ok(Arc::new(FullVerification::new(source, sink, settings)))
    }
}

/// The source as far as the project has chosen rows, columns and changes of it, with the tables that it merges as one; and
/// what the choice leaves out, counted.
pub(crate) fn chosen(
    source: Arc<dyn Source>,
    project: &ProjectRecord,
) -> (Arc<dyn Source>, Option<Arc<LeftOut>>) {
    let spec = project.public.as_ref().and_then(|p| p.spec.as_ref());
    let choice = spec
        .map(|spec| choices(spec, &project.selection))
        .unwrap_or_default();
    let (source, left_out): (Arc<dyn Source>, _) = if choice.is_empty() {
        (source, None)
    } else {
        let source = ShapedSource::new(source, choice, text_decoder());
        let left_out = source.left_out();
        (Arc::new(source), Some(left_out))
    };
    let merged = merged(project);
    if merged.is_empty() {
        (source, left_out)
    } else {
        (Arc::new(MergedSource::new(source, merged)), left_out)
    }
}

/// The tables of the project that become one at the destination.
fn merged(project: &ProjectRecord) -> MergedTables {
    let tables = all_mappings(project);
    MergedTables::of(tables.iter().map(|m| (&m.source, &m.destination)))
}

/// Decodes texts for row filters, with the tables that the sinks convert with.
pub(crate) fn text_decoder() -> Arc<dyn TextDecoder> {
    Arc::new(charsets::ServerCharsets::default())
}

/// The tables as full verification numbers and decodes them.
pub(crate) fn server_charsets() -> Arc<dyn oms_verify::Charsets> {
    Arc::new(charsets::ServerCharsets::default())
}

fn steps_include(project: &ProjectRecord, kind: StepKind) -> bool {
    project
        .public
        .as_ref()
        .is_some_and(|p| p.steps.iter().any(|s| s.kind() == kind))
}

fn partial_rows(spec: &ProjectSpec) -> PartialRows {
    spec.incremental.map_or(PartialRows::Refuse, |i| i.partial_rows())
}

fn table_name(name: &QualifiedName) -> TableName {
    TableName::new(&name.database, &name.table)
}

/// All tables that the project has ever moved: what is captured must not change while it runs.
fn followed(project: &ProjectRecord) -> Vec<TableName> {
    project
        .selection
        .iter()
        .filter(|o| !o.view)
        .filter_map(|o| o.source.as_ref().map(table_name))
        .collect()
}

/// The tables whose rows move, as [`chosen`] shows them: of tables that become one the first, which stands for all.
pub(crate) fn mappings(project: &ProjectRecord) -> Vec<Mapping> {
    let merged = merged(project);
    let mut tables = all_mappings(project);
    tables.retain(|m| !merged.is_hidden(&m.source));
    tables
}

/// The selection without views and without what the user removed.
fn all_mappings(project: &ProjectRecord) -> Vec<Mapping> {
    let removed = |t: &QualifiedName| {
        project.objects.iter().any(|o| {
            o.state() == ObjectState::Removed
                && o.kind() == ObjectKind::Table
                && o.database == t.database
                && o.table == t.table
        })
    };
    project
        .selection
        .iter()
        .filter(|o| !o.view && !o.gone)
        .filter_map(|o| Some((o.source.as_ref()?, o.destination.as_ref()?)))
        .filter(|(s, _)| !removed(s))
        .map(|(s, d)| Mapping {
            source: table_name(s),
            destination: table_name(d),
        })
        .collect()
}

fn position(text: Option<&str>) -> Result<Option<Position>, Failure> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => Position::decode(text)
            .map(Some)
            .map_err(|e| Failure::new(codes::api::INTERNAL, e)),
    }
}

/// What a component has found so far, under whichever owner.
fn facts(project: &ProjectRecord, kind: ComponentKind) -> Option<ComponentFacts> {
    let component = project.components.iter().find(|c| c.kind == kind.as_str())?;
    component.facts.clone()
}

/// What the identities of all change logs of a project begin with.
fn log_family(project: &str) -> [u8; 8] {
    let digest = ring::digest::digest(&ring::digest::SHA256, project.as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// From this a project's captures draw the numbers under which they register as replicas.
fn server_id(project: &str) -> u32 {
    let digest = ring::digest::digest(&ring::digest::SHA256, project.as_bytes());
    let bytes: [u8; 4] = digest.as_ref().first_chunk().copied().unwrap_or_default();
    (u32::from_le_bytes(bytes) & 0x7fff_ffff).max(1)
}
