//! Validation and creation.

use std::collections::BTreeMap;

use oms_core::{Failure, codes};
use oms_meta::{MetaCommand, MetaState};
use oms_mysql::{
    catalog::{Catalog, Object},
    connection::{ServerInfo, Side, connect},
};
use oms_proto::{
    meta::{CreateProject, ProjectRecord, SelectedObject},
    v1::{PartialRows, Project, ProjectSpec, ValidateProjectResponse},
};
use oms_types::ProjectId;

use super::Projects;
use crate::{
    behaviors::precheck_items,
    connectors::Connector,
    selection::{check_spec, resolve},
};

impl Projects {
    pub(super) async fn validate(
        &self,
        spec: &ProjectSpec,
        offline: bool,
    ) -> Result<ValidateProjectResponse, Failure> {
        check_spec(spec)?;
        let state = self.0.metadata.latest().await?;
        let (source, destination) = self.ends(&state, spec)?;
        if offline {
            return Ok(ValidateProjectResponse::default());
        }
        let selection = select(spec, &source).await?;
        let views = selection.iter().filter(|o| o.view).count() as u64;
        let now_us = self.0.metadata.now_ms().saturating_mul(1_000);
        let items = precheck_items(spec, &source, &destination, &selection, now_us).await;
        Ok(ValidateProjectResponse {
            items,
            databases: spec.databases.len() as u64,
            tables: selection.len() as u64 - views,
            views,
        })
    }

    pub(super) async fn create(&self, mut spec: ProjectSpec) -> Result<Project, Failure> {
        check_spec(&spec)?;
        let state = self.0.metadata.latest().await?;
        if state.project(&spec.name).is_some() {
            return Err(Failure::new(
                codes::api::ALREADY_EXISTS,
                format!("project {:?} exists", spec.name),
            ));
        }
        let (source, destination) = self.ends(&state, &spec)?;
        let selection = select(&spec, &source).await?;
        spec.source.clone_from(&source.data_source.name);
        spec.destination.clone_from(&destination.data_source.name);
        let random = uuid::Uuid::now_v7().simple().to_string();
        let id =
            ProjectId::from_suffix(&random).map_err(|e| Failure::new(codes::api::INTERNAL, e.to_string()))?;
        let record = ProjectRecord {
            public: Some(Project {
                id: id.to_string(),
                spec: Some(spec),
                ..Default::default()
            }),
            source_id: source.data_source.id,
            destination_id: destination.data_source.id,
            selection,
            verify_run: 1,
            ..Default::default()
        };
        self.0
            .metadata
            .propose(MetaCommand::CreateProject(CreateProject { record: Some(record) }))
            .await?;
        self.get(id.as_str()).await
    }

    /// Both ends of a spec, each able to play its part.
    fn ends(&self, state: &MetaState, spec: &ProjectSpec) -> Result<(Connector, Connector), Failure> {
        let source = Connector::of(state, &self.0.vault, &spec.source).map_err(|f| f.context("source"))?;
        let destination =
            Connector::of(state, &self.0.vault, &spec.destination).map_err(|f| f.context("destination"))?;
        source.source(0, PartialRows::Refuse)?;
        destination.sink()?;
        Ok((source, destination))
    }
}

/// Asks the source what there is and resolves the selection.
async fn select(spec: &ProjectSpec, source: &Connector) -> Result<Vec<SelectedObject>, Failure> {
    let mut conn = connect(&source.endpoint, Side::Source).await?;
    let info = ServerInfo::probe(&mut conn, Side::Source).await?;
    let mut catalog = Catalog::new(&mut conn, info.flavor, Side::Source);
    let databases = catalog.databases().await?;
    let mut existing: BTreeMap<String, Vec<Object>> = BTreeMap::new();
    for wanted in &spec.databases {
        if databases.iter().any(|d| d.name == wanted.name) {
            let objects = catalog.objects(&wanted.name).await?;
            existing.insert(wanted.name.clone(), objects);
        }
    }
    resolve(spec, &existing)
}
