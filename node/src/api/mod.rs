//! The gRPC services.
//!
//! Any node answers any call; [`forward`] fetches what only another one knows.

mod admin;
mod component;
mod data_source;
mod forward;
mod node;
mod project;
mod token;

use std::{sync::Arc, time::Duration};

use oms_actors::{ComponentHost, Shelf};
use oms_core::Failure;
use oms_meta::MetaState;
use oms_proto::{
    status_of,
    v1::{
        admin_service_server::AdminServiceServer, component_service_server::ComponentServiceServer,
        data_source_service_server::DataSourceServiceServer, node_service_server::NodeServiceServer,
        project_service_server::ProjectServiceServer, token_service_server::TokenServiceServer,
    },
};
use tonic::{Request, Status, transport::server::Router};

use crate::{
    liveness::LivenessTable, metadata::Metadata, observer::Observer, peer::PeerChannels, secrets::Vault,
};

use admin::Admin;
use component::Components;
use data_source::DataSources;
use forward::Peer;
use node::Nodes;
use project::Projects;
use token::Tokens;

/// Largest message of the public API: spec files and statements of many objects.
const MAX_MESSAGE: usize = 64 << 20;
/// How long a change that only the leader can carry out waits for one.
const ELECTION: Duration = Duration::from_secs(5);

/// What all services work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) metadata: Metadata,
    pub(crate) vault: Arc<Vault>,
    pub(crate) host: Arc<ComponentHost>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) cluster_id: String,
    /// What the leader heard from the nodes; empty elsewhere.
    pub(crate) liveness: Arc<LivenessTable>,
    /// Connections for the calls of nodes among themselves.
    pub(crate) peers: Arc<PeerChannels>,
    /// The change logs of Stores that run here.
    pub(crate) shelf: Arc<Shelf>,
}

impl Backend {
    /// The leader, when it is another node and the call was not passed on already. Waits this long for one.
    async fn leader<T>(&self, request: &Request<T>, wait: Duration) -> Result<Option<Peer>, Failure> {
        if forward::is_forwarded(request) {
            return Ok(None);
        }
        let mut changes = self.metadata.watch();
        let known = changes.wait_for(|status| status.leader.is_some());
        let leader = match tokio::time::timeout(wait, known).await {
            Ok(Ok(status)) => status.leader,
            Ok(Err(_)) | Err(_) => None,
        };
        match leader {
            Some(id) if id != self.metadata.node_id() => self.peer(&*self.metadata.state()?, id).map(Some),
            _ => Ok(None),
        }
    }

    /// The same for what nobody but the leader can do.
    ///
    /// # Errors
    /// `OMS-CLUSTER-0001` when there is no leader, or when the call was passed on to a node that is none.
    async fn leader_needed<T>(&self, request: &Request<T>) -> Result<Option<Peer>, Failure> {
        if let Some(peer) = self.leader(request, ELECTION).await? {
            return Ok(Some(peer));
        }
        if self.metadata.leader() == Some(self.metadata.node_id()) {
            return Ok(None);
        }
        Err(Failure::new(
            oms_core::codes::cluster::NO_LEADER,
            "the cluster has no leader that could do this; nothing was changed",
        ))
    }

    /// The node that a component is assigned to, when it is another one and the call was not passed on.
    fn owner<T>(&self, request: &Request<T>, state: &MetaState, node: u64) -> Result<Option<Peer>, Failure> {
        if forward::is_forwarded(request) || node == 0 || node == self.metadata.node_id() {
            return Ok(None);
        }
        self.peer(state, node).map(Some)
    }

    fn peer(&self, state: &MetaState, id: u64) -> Result<Peer, Failure> {
        Peer::find(&self.peers, self.metadata.node_id(), state, id)
    }
}

/// Adds the public services to a server.
pub(crate) fn add_services(router: Router, backend: Backend) -> Router {
    router
        .add_service(DataSourceServiceServer::new(DataSources(backend.clone())))
        .add_service(
            ProjectServiceServer::new(Projects(backend.clone()))
                .max_decoding_message_size(MAX_MESSAGE)
                .max_encoding_message_size(MAX_MESSAGE),
        )
        .add_service(ComponentServiceServer::new(Components(backend.clone())))
        .add_service(NodeServiceServer::new(Nodes(backend.clone())))
        .add_service(AdminServiceServer::new(Admin(backend.clone())))
        .add_service(TokenServiceServer::new(Tokens(backend)))
}

/// A failure as the caller sees it.
pub(crate) fn status(failure: Failure) -> Status {
    status_of(failure.code(), failure.detail())
}
