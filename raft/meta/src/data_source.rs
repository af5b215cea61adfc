//! Commands on data sources.

use std::sync::Arc;

use oms_proto::{
    meta::{CreateDataSource, DataSourceRecord, UpdateDataSource},
    v1::ProjectState,
};
use oms_types::codes;

use crate::state::{MetaState, Outcome, project_name, refuse};

impl MetaState {
    pub(crate) fn create_data_source(&mut self, now: i64, c: &CreateDataSource) -> Outcome {
        let Some((record, public)) = c.record.as_ref().and_then(|r| r.public.as_ref().map(|p| (r, p))) else {
            return refuse(codes::api::INVALID_ARGUMENT, "the data source is missing");
        };
        let name_ok =
            (1..=32).contains(&public.name.chars().count()) && !public.name.contains(char::is_whitespace);
        if !name_ok {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!(
                    "{:?} is not a name: 1 to 32 characters without white space",
                    public.name
                ),
            );
        }
        if self.data_source(&public.name).is_some() || self.data_sources.contains_key(&public.id) {
            return refuse(
                codes::api::ALREADY_EXISTS,
                format!("data source {:?} exists", public.name),
            );
        }
        let mut record = record.clone();
        if let Some(p) = record.public.as_mut() {
            p.version = 1;
            p.created_at_ms = now;
            p.updated_at_ms = now;
        }
        self.data_sources.insert(public.id.clone(), Arc::new(record));
        Ok(1)
    }

    pub(crate) fn update_data_source(&mut self, now: i64, c: &UpdateDataSource) -> Outcome {
        let Some((record, public)) = c.record.as_ref().and_then(|r| r.public.as_ref().map(|p| (r, p))) else {
            return refuse(codes::api::INVALID_ARGUMENT, "the data source is missing");
        };
        let Some(old) = self.data_sources.get(&public.id).and_then(|r| r.public.as_ref()) else {
            return refuse(
                codes::api::NOT_FOUND,
                format!("data source {} does not exist", public.id),
            );
        };
        if c.expected_version != 0 && c.expected_version != old.version {
            return refuse(
                codes::api::CONFLICT,
                format!(
                    "data source {:?} has version {}, not {}",
                    old.name, old.version, c.expected_version
                ),
            );
        }
        let version = old.version.saturating_add(1);
        let mut updated: DataSourceRecord = record.clone();
        if let Some(p) = updated.public.as_mut() {
            p.name.clone_from(&old.name);
            p.created_at_ms = old.created_at_ms;
            p.updated_at_ms = now;
            p.version = version;
        }
        self.data_sources.insert(public.id.clone(), Arc::new(updated));
        Ok(version)
    }

    pub(crate) fn delete_data_source(&mut self, id: &str) -> Outcome {
        if !self.data_sources.contains_key(id) {
            return refuse(codes::api::NOT_FOUND, format!("data source {id} does not exist"));
        }
        let users: Vec<_> = self
            .projects()
            .filter(|r| r.source_id == id || r.destination_id == id)
            .filter(|r| {
                r.public
                    .as_ref()
                    .is_some_and(|p| p.state() != ProjectState::Released)
            })
            .map(|r| format!("{:?}", project_name(r)))
            .collect();
        if !users.is_empty() {
            return refuse(
                codes::api::IN_USE,
                format!("used by project {}", users.join(", ")),
            );
        }
        self.data_sources.remove(id);
        Ok(0)
    }
}
