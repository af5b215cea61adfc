//! Validation and creation.

use std::collections::BTreeMap;

use oms_apply::Shape;
use oms_core::{Failure, Position, TableName, codes};
use oms_meta::{MetaCommand, MetaState, switched_over};
use oms_mysql::{
    catalog::{Catalog, Object},
    connection::{ServerInfo, Side, connect},
};
use oms_proto::{
    meta::{CreateProject, DataSourceRecord, ProjectRecord, QualifiedName, SelectedObject},
    v1::{
        DataSourceKind, DdlSynchronization, KafkaOptions, PartialRows, Project, ProjectSpec, Switchover,
        ValidateProjectResponse,
    },
};
use oms_types::ProjectId;

use super::{Projects, find};
use crate::{
    behaviors::{precheck_items, text_decoder},
    connectors::Connector,
    reverse::{ReverseStart, WantedReverse, reverse_record},
    selection::{Resolved, check_against, check_spec, databases, published, resolve},
};

impl Projects {
    pub(super) async fn validate(
        &self,
        spec: &ProjectSpec,
        offline: bool,
    ) -> Result<ValidateProjectResponse, Failure> {
        let state = self.0.metadata.latest().await?;
        let spec = &self.completed(&state, spec.clone())?.spec;
        check_spec(spec)?;
        let (source, destination) = self.ends(&state, spec)?;
        if offline {
            return Ok(ValidateProjectResponse::default());
        }
        let selection = Selecting::of(spec, &source).await?.resolved.selected;
        check_choice(spec, &source, &selection).await?;
        let views = selection.iter().filter(|o| o.view).count() as u64;
        let now_us = self.0.metadata.now_ms().saturating_mul(1_000);
        let items = precheck_items(spec, &source, &destination, &selection, now_us).await;
        Ok(ValidateProjectResponse {
            items,
            databases: databases(spec).len() as u64,
            tables: selection.len() as u64 - views,
            views,
        })
    }

    pub(super) async fn create(&self, spec: ProjectSpec) -> Result<Project, Failure> {
        let state = self.0.metadata.latest().await?;
        let Completed { mut spec, reverse } = self.completed(&state, spec)?;
        check_spec(&spec)?;
        if state.project(&spec.name).is_some() {
            return Err(Failure::new(
                codes::api::ALREADY_EXISTS,
                format!("project {:?} exists", spec.name),
            ));
        }
        let (source, destination) = self.ends(&state, &spec)?;
        let selection = Selecting::of(&spec, &source).await?.resolved.selected;
        check_choice(&spec, &source, &selection).await?;
        spec.source.clone_from(&source.data_source.name);
        spec.destination.clone_from(&destination.data_source.name);
        let (id, reverse_of, log_start) = match reverse {
            Some(reverse) => {
                let project = reverse.public.unwrap_or_default();
                (project.id, project.reverse_of, reverse.log_start)
            }
            None => {
                let random = uuid::Uuid::now_v7().simple().to_string();
                let id = ProjectId::from_suffix(&random);
                let id = id.map_err(|e| Failure::new(codes::api::INTERNAL, e.to_string()))?;
                (id.to_string(), String::new(), String::new())
            }
        };
        let record = ProjectRecord {
            public: Some(Project {
                id: id.clone(),
                spec: Some(spec),
                reverse_of,
                ..Default::default()
            }),
            source_id: source.data_source.id,
            destination_id: destination.data_source.id,
            selection,
            verify_run: 1,
            log_start,
            ..Default::default()
        };
        self.0
            .metadata
            .propose(MetaCommand::CreateProject(CreateProject { record: Some(record) }))
            .await?;
        self.get(&id).await
    }

    /// Both ends of a spec, each able to play its part.
    pub(super) fn ends(
        &self,
        state: &MetaState,
        spec: &ProjectSpec,
    ) -> Result<(Connector, Connector), Failure> {
        let source = Connector::of(state, &self.0.vault, &spec.source).map_err(|f| f.context("source"))?;
        let destination =
            Connector::of(state, &self.0.vault, &spec.destination).map_err(|f| f.context("destination"))?;
        source.source(0, PartialRows::Refuse)?;
        if destination.kind() == DataSourceKind::Kafka {
            destination.kafka()?;
        } else if spec.kafka.is_some() {
            return Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                format!("kafka: {:?} is not kafka", destination.data_source.name),
            ));
        } else {
            destination.sink()?;
        }
        let follows = spec
            .incremental
            .is_some_and(|i| i.ddl() == DdlSynchronization::Follow);
        if follows && source.kind() == DataSourceKind::Oceanbase {
            let words = "incremental.ddl: statements of an OceanBase source are not followed; rounds stop at them (`stop`)";
            return Err(Failure::new(codes::api::INVALID_ARGUMENT, words));
        }
        // A round gives its changes table by table: a row that passes to a table that is given earlier would be deleted
        // where it has just been written.
        if spec.merge_tables && source.kind() == DataSourceKind::Oceanbase {
            let words = "merge_tables: tables of an OceanBase source cannot be merged into one";
            return Err(Failure::new(codes::api::INVALID_ARGUMENT, words));
        }
        Ok((source, destination))
    }

    /// The spec of a project to this destination: one to Kafka says how messages are written, if only that all is as
    /// usual, so that it is known by its spec. That of a reverse project has what follows from its project.
    ///
    /// # Errors
    /// `OMS-API-0001` names all at once that a reverse project cannot bring back.
    pub(super) fn completed(&self, state: &MetaState, mut spec: ProjectSpec) -> Result<Completed, Failure> {
        if !spec.reverse_of.is_empty() {
            let reverse = self.reverse(state, spec)?;
            let spec = reverse.public.as_ref().and_then(|p| p.spec.clone());
            let spec = spec.unwrap_or_default();
            return Ok(Completed {
                spec,
                reverse: Some(reverse),
            });
        }
        let kind = |d: &DataSourceRecord| Some(d.public.as_ref()?.connection.as_ref()?.kind());
        let kafka = state.data_source(&spec.destination).and_then(kind) == Some(DataSourceKind::Kafka);
        if kafka && spec.kafka.is_none() {
            spec.kafka = Some(KafkaOptions::default());
        }
        Ok(Completed { spec, reverse: None })
    }

    /// The project that a spec with `reverse_of` asks for.
    fn reverse(&self, state: &MetaState, asked: ProjectSpec) -> Result<ProjectRecord, Failure> {
        let forward = find(state, &asked.reverse_of)?;
        let kind = |id: &str| {
            let connection = state.data_source(id)?.public.as_ref()?.connection.as_ref()?;
            Some(connection.kind())
        };
        let kinds = (
            kind(&forward.source_id).unwrap_or_default(),
            kind(&forward.destination_id).unwrap_or_default(),
        );
        let mut problems = named_besides(&asked);
        let start = match forward.public.as_ref().and_then(switched_over) {
            None => ReverseStart::Now,
            Some(switchover) => behind(switchover)?,
        };
        let random = uuid::Uuid::now_v7().simple().to_string();
        let wanted = WantedReverse {
            name: asked.name,
            labels: asked.labels,
            own: random.get(random.len() - OWN..).unwrap_or_default().to_owned(),
            incremental: asked.incremental,
            precheck: asked.precheck,
            start,
        };
        match reverse_record(forward, kinds, wanted) {
            Ok(mut record) if problems.is_empty() => {
                // By their ids: data sources may have got other names since.
                if let Some(spec) = record.public.as_mut().and_then(|p| p.spec.as_mut()) {
                    spec.source.clone_from(&record.source_id);
                    spec.destination.clone_from(&record.destination_id);
                }
                Ok(record)
            }
            Ok(_) => Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; "))),
            Err(more) => {
                problems.extend(more);
                Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; "))
                    .context(format_args!("reverse_of: {:?}", asked.reverse_of)))
            }
        }
    }
}

/// Characters of a reverse project's id that are its own.
const OWN: usize = 7;

/// A spec with everything that follows from what it names.
pub(super) struct Completed {
    pub(super) spec: ProjectSpec,
    /// Of a reverse project: its id, whose reverse project it is, and where it begins.
    pub(super) reverse: Option<ProjectRecord>,
}

/// Where changes begin to come back of a project that has switched over.
fn behind(switchover: &Switchover) -> Result<ReverseStart, Failure> {
    if switchover.reverse_from.is_empty() {
        return Err(Failure::new(
            codes::api::WRONG_STATE,
            "reverse_of: the project has switched over, and where its destination's log ended then is not known: its account could \
             not read the log, or the last look was left out. What was written there since cannot come back",
        ));
    }
    let position = Position::decode(&switchover.reverse_from);
    position
        .map(ReverseStart::At)
        .map_err(|e| Failure::new(codes::api::INTERNAL, "the position of a switchover").with_source(e))
}

/// What a reverse project's spec must leave to its project, and does not.
fn named_besides(asked: &ProjectSpec) -> Vec<String> {
    let named = [
        ("source", !asked.source.is_empty()),
        ("destination", !asked.destination.is_empty()),
        ("steps", asked.steps.is_some()),
        ("databases", !asked.databases.is_empty()),
        ("rules", asked.rules.is_some()),
        ("schema", asked.schema.is_some()),
        ("full", asked.full.is_some()),
        ("verify", asked.verify.is_some()),
        ("merge_tables", asked.merge_tables),
        ("kafka", asked.kafka.is_some()),
    ];
    let words = |(field, _)| format!("{field}: follows from `reverse_of`, and is not named beside it");
    named.into_iter().filter(|(_, is)| *is).map(words).collect()
}

/// What is chosen of the selected tables, checked against them as they are.
pub(super) async fn check_choice(
    spec: &ProjectSpec,
    source: &Connector,
    selection: &[SelectedObject],
) -> Result<BTreeMap<TableName, Shape>, Failure> {
    let reads = source.source(0, PartialRows::Refuse)?;
    if let Some(options) = &spec.kafka {
        let name = |n: &QualifiedName| TableName::new(&n.database, &n.table);
        let tables = selection
            .iter()
            .filter(|o| !o.view)
            .filter_map(|o| Some((name(o.source.as_ref()?), name(o.destination.as_ref()?))));
        published(options, tables)?;
    }
    check_against(&*reads, spec, selection, &text_decoder()).await
}

/// What a spec selects among what the source has.
pub(super) struct Selecting {
    pub(super) resolved: Resolved,
    /// All objects of the databases that the spec names.
    pub(super) existing: BTreeMap<String, Vec<Object>>,
}

impl Selecting {
    /// Asks the source what there is and resolves the selection.
    pub(super) async fn of(spec: &ProjectSpec, source: &Connector) -> Result<Self, Failure> {
        let mut conn = connect(&source.endpoint, Side::Source).await?;
        let info = ServerInfo::probe(&mut conn, Side::Source).await?;
        let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
        let there = catalog.databases().await?;
        let mut existing: BTreeMap<String, Vec<Object>> = BTreeMap::new();
        for wanted in databases(spec) {
            if there.iter().any(|d| d.name == wanted) {
                let objects = catalog.objects(&wanted).await?;
                existing.insert(wanted, objects);
            }
        }
        let resolved = resolve(spec, &existing)?;
        Ok(Self { resolved, existing })
    }
}
