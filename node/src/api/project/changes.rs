//! Objects that are added to projects and taken out of them.

use std::collections::BTreeSet;

use oms_core::{Failure, codes};
use oms_meta::MetaCommand;
use oms_proto::{
    meta::{AddObjects, DecideObjectChange, ProjectRecord, QualifiedName, RemoveObjects},
    v1::{
        AddObjectsRequest, DataSourceKind, DatabaseSelection, DecideObjectChangeRequest, Project,
        ProjectSpec, RemoveObjectsRequest,
    },
};
use oms_types::ProjectId;

use super::{
    Projects,
    create::{Selecting, check_choice},
    find, public,
};
use crate::selection::check_spec;

/// Characters of a project's name.
const NAME: usize = 128;

impl Projects {
    pub(super) async fn add_objects(&self, request: AddObjectsRequest) -> Result<Project, Failure> {
        let state = self.0.metadata.latest().await?;
        let record = find(&state, &request.project)?;
        let project = public(record)?;
        let mut spec = project.spec.clone().unwrap_or_default();
        if spec.rules.is_some() {
            return Err(Failure::new(
                codes::api::WRONG_STATE,
                "the project selects by rules; only objects of projects that select by name can be added and removed",
            ));
        }
        let number = project.changes.last().map_or(0, |c| c.number).saturating_add(1);
        spec.name = sub_name(&spec.name, number);
        spec.labels.clear();
        spec.databases = beside(&spec, request.databases)?;
        check_spec(&spec)?;
        let (names, ids) = (spec.clone(), record);
        // By their ids: data sources may have got other names since.
        spec.source.clone_from(&ids.source_id);
        spec.destination.clone_from(&ids.destination_id);
        let (source, _) = self.ends(&state, &spec)?;
        if source.kind() == DataSourceKind::Oceanbase {
            return Err(Failure::new(
                codes::api::WRONG_STATE,
                "which tables of an OceanBase source are followed is fixed when the project is created; make another \
                 project for the new ones",
            ));
        }
        let mut selection = Selecting::of(&spec, &source).await?.resolved.selected;
        // A database as a whole stands for what the project does not move yet.
        let whole: BTreeSet<&str> = spec
            .databases
            .iter()
            .filter(|d| d.tables.is_empty())
            .map(|d| d.name.as_str())
            .collect();
        let moved: BTreeSet<(&str, &str)> = record.selection.iter().filter_map(|o| key(&o.source)).collect();
        selection
            .retain(|o| key(&o.source).is_some_and(|(d, t)| !(whole.contains(d) && moved.contains(&(d, t)))));
        check_choice(&spec, &source, &selection).await?;
        let random = uuid::Uuid::now_v7().simple().to_string();
        let id =
            ProjectId::from_suffix(&random).map_err(|e| Failure::new(codes::api::INTERNAL, e.to_string()))?;
        let sub_project = ProjectRecord {
            public: Some(Project {
                id: id.to_string(),
                spec: Some(names),
                ..Default::default()
            }),
            source_id: record.source_id.clone(),
            destination_id: record.destination_id.clone(),
            selection,
            verify_run: 1,
            ..Default::default()
        };
        self.0
            .metadata
            .propose(MetaCommand::AddObjects(AddObjects {
                project: project.id.clone(),
                sub_project: Some(sub_project),
            }))
            .await?;
        self.get(&project.id).await
    }

    pub(super) async fn remove_objects(&self, request: RemoveObjectsRequest) -> Result<Project, Failure> {
        let id = self.get(&request.project).await?.id;
        let objects = request
            .objects
            .into_iter()
            .map(|o| QualifiedName {
                database: o.database,
                table: o.table,
            })
            .collect();
        let body = MetaCommand::RemoveObjects(RemoveObjects {
            project: id.clone(),
            objects,
        });
        self.0.metadata.propose(body).await?;
        self.get(&id).await
    }

    pub(super) async fn decide_change(&self, request: DecideObjectChangeRequest) -> Result<Project, Failure> {
        let id = self.get(&request.project).await?.id;
        let body = MetaCommand::DecideObjectChange(DecideObjectChange {
            project: id.clone(),
            decision: request.decision,
        });
        self.0.metadata.propose(body).await?;
        self.get(&id).await
    }
}

fn key(name: &Option<QualifiedName>) -> Option<(&str, &str)> {
    name.as_ref().map(|n| (n.database.as_str(), n.table.as_str()))
}

/// The name of a sub-project.
fn sub_name(project: &str, number: u32) -> String {
    let ending = format!("~{number}");
    let kept = NAME.saturating_sub(ending.len());
    project.chars().take(kept).collect::<String>() + &ending
}

/// The wanted databases under the names that the project's spec gives them at the destination.
fn beside(spec: &ProjectSpec, wanted: Vec<DatabaseSelection>) -> Result<Vec<DatabaseSelection>, Failure> {
    if wanted.is_empty() {
        return Err(Failure::new(
            codes::api::INVALID_ARGUMENT,
            "databases: nothing is to be added",
        ));
    }
    let mut problems = Vec::new();
    let mut databases = Vec::new();
    for (i, mut database) in wanted.into_iter().enumerate() {
        if let Some(present) = spec.databases.iter().find(|d| d.name == database.name) {
            if !database.rename_to.is_empty() && database.rename_to != present.rename_to {
                problems.push(format!(
                    "databases[{i}].rename_to: the project moves {:?} to {:?}; one database has one name at the destination",
                    database.name,
                    if present.rename_to.is_empty() { &present.name } else { &present.rename_to },
                ));
            }
            database.rename_to.clone_from(&present.rename_to);
        }
        databases.push(database);
    }
    if problems.is_empty() {
        Ok(databases)
    } else {
        Err(Failure::new(codes::api::INVALID_ARGUMENT, problems.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_project_has_a_name_that_a_project_may_have() {
        assert_eq!(sub_name("shop", 3), "shop~3");
        let long: String = "ü".repeat(128);
        assert_eq!(sub_name(&long, 12).chars().count(), 128);
    }

    #[test]
    fn a_database_keeps_its_name_at_the_destination() {
        let of = |name: &str, rename_to: &str| DatabaseSelection {
            name: name.into(),
            rename_to: rename_to.into(),
            ..Default::default()
        };
        let spec = ProjectSpec {
            databases: vec![of("a", "x"), of("b", "")],
            ..Default::default()
        };
        let good = beside(&spec, vec![of("a", ""), of("c", "y")]).unwrap();
        assert_eq!(good, [of("a", "x"), of("c", "y")]);
        let bad = beside(&spec, vec![of("a", "z"), of("b", "q")])
            .unwrap_err()
            .text();
        assert!(
            bad.contains("databases[0]") && bad.contains("databases[1]"),
            "{bad}"
        );
        assert!(beside(&spec, Vec::new()).is_err());
    }
}
