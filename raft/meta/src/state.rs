//! The state and its snapshots.

use std::{collections::BTreeMap, sync::Arc};

use oms_proto::meta::{
    Command, ComponentRecord, DataSourceRecord, NodeRecord, ProjectRecord, Refusal, Reply, State,
    TokenRecord, command::Body,
};
use oms_proto::v1::Template;
use oms_types::{ComponentKind, ErrorCode, codes};
use prost::Message as _;
use thiserror::Error;

use crate::{
    VERSION,
    command::{FEATURE_LEVEL, level_of},
    node::is_removed,
};

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
///
/// Cloning costs a pointer for each data source and project: records are shared until one side changes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetaState {
    pub(crate) data_sources: BTreeMap<String, Arc<DataSourceRecord>>,
    pub(crate) projects: BTreeMap<String, Arc<ProjectRecord>>,
    pub(crate) nodes: Arc<BTreeMap<u64, NodeRecord>>,
    pub(crate) tokens: Arc<BTreeMap<String, TokenRecord>>,
    pub(crate) last_node_id: u64,
    pub(crate) preferred_regions: Arc<[String]>,
    pub(crate) templates: Arc<BTreeMap<String, Template>>,
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
        if let Some(body) = &command.body {
            let (needed, level) = (level_of(body), self.feature_level());
            if needed > level {
                return refused(
                    codes::cluster::FEATURE_LEVEL,
                    format!("this needs feature level {needed}; all nodes together have {level}"),
                );
            }
        }
        let outcome = match &command.body {
            None => refuse(codes::api::INTERNAL, "the command is empty or of an unknown kind"),
            Some(Body::CreateDataSource(c)) => self.create_data_source(now, c),
            Some(Body::UpdateDataSource(c)) => self.update_data_source(now, c),
            Some(Body::DeleteDataSource(c)) => self.delete_data_source(&c.id),
            Some(Body::CreateProject(c)) => self.create_project(now, c),
            Some(Body::ChangeProject(c)) => self.change_project(now, c),
            Some(Body::DeleteProject(c)) => self.delete_project(&c.id),
            Some(Body::TuneProject(c)) => self.tune_project(now, c),
            Some(Body::AddObjects(c)) => self.add_objects(now, c),
            Some(Body::RemoveObjects(c)) => self.remove_objects(now, c),
            Some(Body::DecideObjectChange(c)) => self.decide_object_change(now, c),
            Some(Body::JoinObjects(c)) => self.join_objects(now, c),
            Some(Body::SetProject(c)) => self.set_project(now, c),
            Some(Body::PutTemplate(c)) => self.put_template(now, c.template.as_ref()),
            Some(Body::DeleteTemplate(c)) => self.delete_template(&c.name),
            Some(Body::StepTransition(c)) => self.step_transition(now, c),
            Some(Body::AssignComponent(c)) => self.assign_component(now, c),
            Some(Body::ReportComponent(c)) => self.report_component(now, c),
            Some(Body::UpsertObjects(c)) => self.upsert_objects(now, c),
            Some(Body::DecideObject(c)) => self.decide_object(now, c),
            Some(Body::DecideDdl(c)) => self.decide_ddl(now, c),
            Some(Body::SetFollowedTables(c)) => self.set_followed_tables(now, c),
            Some(Body::SetPrecheckItems(c)) => self.set_precheck_items(now, c),
            Some(Body::SetVerifiedTables(c)) => self.set_verified_tables(now, c),
            Some(Body::FreezeComponent(c)) => self.freeze_component(now, c),
            Some(Body::RaiseEpochs(c)) => self.raise_epochs(now, c),
            Some(Body::StartSwitchover(c)) => self.start_switchover(now, c),
            Some(Body::DecideSwitchover(c)) => self.decide_switchover(now, c),
            Some(Body::AdvanceSwitchover(c)) => self.advance_switchover(now, c),
            Some(Body::ReportSwitchover(c)) => self.report_switchover(now, c),
            Some(Body::RegisterNode(c)) => self.register_node(now, c.node.as_ref()),
            Some(Body::AdmitNode(c)) => self.admit_node(now, c),
            Some(Body::ChangeNode(c)) => self.change_node(c),
            Some(Body::RemoveNode(c)) => self.remove_node(c.id),
            Some(Body::CreateToken(c)) => self.create_token(now, c),
            Some(Body::RevokeToken(c)) => self.revoke_token(now, &c.id),
            Some(Body::SetPreferredRegions(c)) => self.set_preferred_regions(&c.regions),
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
            data_sources: self.data_sources().cloned().collect(),
            projects: self.projects().cloned().collect(),
            nodes: self.nodes().cloned().collect(),
            tokens: self.tokens().cloned().collect(),
            last_node_id: self.last_node_id,
            preferred_regions: self.preferred_regions.to_vec(),
            templates: self.templates().cloned().collect(),
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
        let token_id = |r: &TokenRecord| r.public.as_ref().map(|p| p.id.clone()).unwrap_or_default();
        let nodes: BTreeMap<u64, NodeRecord> = state.nodes.into_iter().map(|n| (n.id, n)).collect();
        // Snapshots from before ids were counted know the nodes alone.
        let highest = nodes.keys().next_back().copied().unwrap_or_default();
        Ok(Self {
            data_sources: state
                .data_sources
                .into_iter()
                .map(|r| (id_of(&r), Arc::new(r)))
                .collect(),
            projects: state
                .projects
                .into_iter()
                .map(|r| (project_id(&r).to_owned(), Arc::new(r)))
                .collect(),
            nodes: Arc::new(nodes),
            tokens: Arc::new(state.tokens.into_iter().map(|t| (token_id(&t), t)).collect()),
            last_node_id: state.last_node_id.max(highest),
            preferred_regions: state.preferred_regions.into(),
            templates: Arc::new(state.templates.into_iter().map(|t| (t.name.clone(), t)).collect()),
        })
    }

    /// Data sources by id.
    pub fn data_sources(&self) -> impl Iterator<Item = &DataSourceRecord> {
        self.data_sources.values().map(Arc::as_ref)
    }

    /// A data source by name or id.
    pub fn data_source(&self, name_or_id: &str) -> Option<&DataSourceRecord> {
        self.data_sources
            .get(name_or_id)
            .map(Arc::as_ref)
            .or_else(|| self.data_sources().find(|r| named(r, name_or_id)))
    }

    /// Projects by id.
    pub fn projects(&self) -> impl Iterator<Item = &ProjectRecord> {
        self.projects.values().map(Arc::as_ref)
    }

    /// A project by name or id.
    pub fn project(&self, name_or_id: &str) -> Option<&ProjectRecord> {
        self.projects
            .get(name_or_id)
            .map(Arc::as_ref)
            .or_else(|| self.projects().find(|r| project_name(r) == name_or_id))
    }

    /// The record of a project by id, for changing it; readers of older copies keep what they have.
    pub(crate) fn project_mut(&mut self, id: &str) -> Option<&mut ProjectRecord> {
        self.projects.get_mut(id).map(Arc::make_mut)
    }

    /// Nodes by id, removed ones too: their records stay as tombstones.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeRecord> {
        self.nodes.values()
    }

    /// A node by id, also a removed one.
    pub fn node(&self, id: u64) -> Option<&NodeRecord> {
        self.nodes.get(&id)
    }

    /// The highest id that a node ever had.
    pub fn last_node_id(&self) -> u64 {
        self.last_node_id
    }

    /// Tokens by id, for about a day also expired ones.
    pub fn tokens(&self) -> impl Iterator<Item = &TokenRecord> {
        self.tokens.values()
    }

    /// A token by id.
    pub fn token(&self, id: &str) -> Option<&TokenRecord> {
        self.tokens.get(id)
    }

    /// Templates by name.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values()
    }

    /// Where the leader should be, the best region first. Empty: anywhere.
    pub fn preferred_regions(&self) -> &[String] {
        &self.preferred_regions
    }

    /// What every node of the cluster can do: commands above it must not be proposed, and are refused.
    ///
    /// Without nodes, what this binary can do: the one that makes a cluster is alone.
    pub fn feature_level(&self) -> u32 {
        self.nodes()
            .filter(|n| !is_removed(n))
            .map(|n| n.feature_level.max(1))
            .min()
            .unwrap_or(FEATURE_LEVEL)
    }

    /// A component of a project.
    pub fn component(&self, project_id: &str, kind: ComponentKind) -> Option<&ComponentRecord> {
        self.projects
            .get(project_id)?
            .as_ref()
            .components
            .iter()
            .find(|c| c.kind == kind.as_str())
    }
}

fn named(record: &DataSourceRecord, name: &str) -> bool {
    record.public.as_ref().is_some_and(|p| p.name == name)
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
