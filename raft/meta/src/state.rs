//! The state and its snapshots.

use std::collections::BTreeMap;

use oms_proto::meta::{
    Command, ComponentRecord, DataSourceRecord, NodeRecord, ProjectRecord, Refusal, Reply, State,
    command::Body,
};
use oms_types::{ComponentKind, ErrorCode, codes};
use prost::Message as _;
use thiserror::Error;

use crate::VERSION;

/// Why bytes are not a snapshot.
#[derive(Debug, Error)]
pub enum StateError {
    /// Not a protobuf message of this kind.
    #[error("the snapshot of the metadata cannot be decoded: {0}")]
    Decode(#[from] prost::DecodeError),
    /// Written by a newer version.
    #[error("the snapshot of the metadata has version {found}, this binary knows up to {known}")]
    Version {
        /// Version in the snapshot.
        found: u32,
        /// Highest known version.
        known: u32,
    },
}

/// A refusal on its way to becoming a reply.
pub(crate) type Outcome = Result<u64, (ErrorCode, String)>;

pub(crate) fn refuse(code: ErrorCode, message: impl Into<String>) -> Outcome {
    Err((code, message.into()))
}

/// Everything that all nodes agree on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetaState {
    pub(crate) data_sources: BTreeMap<String, DataSourceRecord>,
    pub(crate) projects: BTreeMap<String, ProjectRecord>,
    pub(crate) nodes: BTreeMap<u64, NodeRecord>,
}

impl MetaState {
    /// Carries out an encoded command and gives the encoded [`Reply`].
    pub fn apply_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let reply = match Command::decode(bytes) {
            Ok(command) => self.apply(&command),
            Err(error) => refused(
                codes::api::INTERNAL,
                format!("the command cannot be decoded: {error}"),
            ),
        };
        reply.encode_to_vec()
    }

    /// Carries out a command.
    pub fn apply(&mut self, command: &Command) -> Reply {
        if command.version > VERSION {
            return refused(
                codes::cluster::UNSUPPORTED_FORMAT,
                format!("command version {} is not known to this node", command.version),
            );
        }
        let now = command.now_ms;
        let outcome = match &command.body {
            None => refuse(codes::api::INTERNAL, "the command is empty or of an unknown kind"),
            Some(Body::CreateDataSource(c)) => self.create_data_source(now, c),
            Some(Body::UpdateDataSource(c)) => self.update_data_source(now, c),
            Some(Body::DeleteDataSource(c)) => self.delete_data_source(&c.id),
            Some(Body::CreateProject(c)) => self.create_project(now, c),
            Some(Body::ChangeProject(c)) => self.change_project(now, c),
            Some(Body::DeleteProject(c)) => self.delete_project(&c.id),
            Some(Body::StepTransition(c)) => self.step_transition(now, c),
            Some(Body::AssignComponent(c)) => self.assign_component(now, c),
            Some(Body::ReportComponent(c)) => self.report_component(now, c),
            Some(Body::UpsertObjects(c)) => self.upsert_objects(now, c),
            Some(Body::DecideObject(c)) => self.decide_object(now, c),
            Some(Body::SetPrecheckItems(c)) => self.set_precheck_items(now, c),
            Some(Body::SetVerifiedTables(c)) => self.set_verified_tables(now, c),
            Some(Body::RegisterNode(c)) => self.register_node(c.node.as_ref()),
        };
        match outcome {
            Ok(object_version) => Reply {
                version: VERSION,
                refusal: None,
                object_version,
            },
            Err((code, message)) => refused(code, message),
        }
    }

    /// The whole state as bytes.
    pub fn snapshot(&self) -> Vec<u8> {
        State {
            version: VERSION,
            data_sources: self.data_sources.values().cloned().collect(),
            projects: self.projects.values().cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
        }
        .encode_to_vec()
    }

    /// Reads what [`MetaState::snapshot`] wrote.
    pub fn restore(bytes: &[u8]) -> Result<Self, StateError> {
        let state = State::decode(bytes)?;
        if state.version > VERSION {
            return Err(StateError::Version {
                found: state.version,
                known: VERSION,
            });
        }
        let id_of = |r: &DataSourceRecord| r.public.as_ref().map(|p| p.id.clone()).unwrap_or_default();
        Ok(Self {
            data_sources: state.data_sources.into_iter().map(|r| (id_of(&r), r)).collect(),
            projects: state
                .projects
                .into_iter()
                .map(|r| (project_id(&r).to_owned(), r))
                .collect(),
            nodes: state.nodes.into_iter().map(|n| (n.id, n)).collect(),
        })
    }

    /// Data sources by id.
    pub fn data_sources(&self) -> impl Iterator<Item = &DataSourceRecord> {
        self.data_sources.values()
    }

    /// A data source by name or id.
    pub fn data_source(&self, name_or_id: &str) -> Option<&DataSourceRecord> {
        self.data_sources.get(name_or_id).or_else(|| {
            self.data_sources
                .values()
                .find(|r| r.public.as_ref().is_some_and(|p| p.name == name_or_id))
        })
    }

    /// Projects by id.
    pub fn projects(&self) -> impl Iterator<Item = &ProjectRecord> {
        self.projects.values()
    }

    /// A project by name or id.
    pub fn project(&self, name_or_id: &str) -> Option<&ProjectRecord> {
        self.projects
            .get(name_or_id)
            .or_else(|| self.projects.values().find(|r| project_name(r) == name_or_id))
    }

    /// Nodes by id.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    /// A component of a project.
    pub fn component(&self, project_id: &str, kind: ComponentKind) -> Option<&ComponentRecord> {
        self.projects
            .get(project_id)?
            .components
            .iter()
            .find(|c| c.kind == kind.as_str())
    }

    fn register_node(&mut self, node: Option<&NodeRecord>) -> Outcome {
        let Some(node) = node.filter(|n| n.id != 0) else {
            return refuse(codes::api::INVALID_ARGUMENT, "a node needs an id");
        };
        let generation = self
            .nodes
            .get(&node.id)
            .map_or(0, |n| n.generation)
            .saturating_add(1);
        self.nodes.insert(
            node.id,
            NodeRecord {
                generation,
                ..node.clone()
            },
        );
        Ok(generation)
    }
}

fn refused(code: ErrorCode, message: String) -> Reply {
    Reply {
        version: VERSION,
        refusal: Some(Refusal {
            code: code.as_str().to_owned(),
            message,
        }),
        object_version: 0,
    }
}

pub(crate) fn project_id(record: &ProjectRecord) -> &str {
    record.public.as_ref().map_or("", |p| p.id.as_str())
}

pub(crate) fn project_name(record: &ProjectRecord) -> &str {
    record
        .public
        .as_ref()
        .and_then(|p| p.spec.as_ref())
        .map_or("", |s| s.name.as_str())
}
