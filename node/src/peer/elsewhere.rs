//! Other nodes, as the components and the API of this one see them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_actors::{LogStart, LogStream, OtherNodes, StoreSite};
use oms_core::{ComponentId, ComponentKind, Epoch, Failure, Position, codes};
use oms_proto::{
    meta::ComponentRecord,
    peer::{ObserveRequest, ObserveResponse},
    v1::Component,
};
use oms_types::ProjectId;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use tonic::Request;

use super::{PeerChannels, remote_log::RemoteStream};
use crate::metadata::Metadata;

/// How long another node may take to show its components.
const DEADLINE: Duration = Duration::from_secs(1);
/// How long an answer, or that there was none, is good for.
const FRESH: Duration = Duration::from_millis(250);
/// The same for a node that did not answer: asking costs the deadline.
const SILENT: Duration = Duration::from_secs(2);

/// Finds components on other nodes by this node's copy of the metadata.
pub(crate) struct Elsewhere {
    metadata: Metadata,
    peers: Arc<PeerChannels>,
    cluster_id: String,
    /// The last answer of each node; nodes are few.
    seen: Mutex<BTreeMap<u64, Arc<tokio::sync::Mutex<Seen>>>>,
}

#[derive(Default)]
struct Seen {
    until: Option<Instant>,
    answer: Option<Arc<ObserveResponse>>,
}

impl Elsewhere {
    pub(crate) fn new(metadata: Metadata, peers: Arc<PeerChannels>, cluster_id: String) -> Self {
        Self {
            metadata,
            peers,
            cluster_id,
            seen: Mutex::default(),
        }
    }

    /// Whether a component is assigned to another node.
    pub(crate) fn has(&self, component: &ComponentRecord) -> bool {
        component.node != 0 && component.node != self.metadata.node_id()
    }

    /// The components of another node as it showed them a moment ago; `None` when it does not answer in
    /// time. Many callers cost one question.
    async fn observe(&self, node: u64) -> Option<Arc<ObserveResponse>> {
        let seen = self.seen.lock().entry(node).or_default().clone();
        let mut seen = seen.lock().await;
        if seen.until.is_none_or(|until| Instant::now() >= until) {
            seen.answer = self.ask(node).await.map(Arc::new);
            let good_for = if seen.answer.is_some() { FRESH } else { SILENT };
            seen.until = Some(Instant::now() + good_for);
        }
        seen.answer.clone()
    }

    async fn ask(&self, node: u64) -> Option<ObserveResponse> {
        let address = self.address(node).ok()?;
        let mut client = self.peers.client(&address).ok()?;
        let mut request = Request::new(ObserveRequest::default());
        request.set_timeout(DEADLINE);
        match timeout(DEADLINE, client.observe(request)).await {
            Ok(Ok(response)) => Some(response.into_inner()),
            Ok(Err(_)) | Err(_) => {
                self.peers.forget(&address);
                None
            }
        }
    }

    /// A component as its node shows it, if that has it under this epoch.
    pub(crate) async fn component_of(&self, id: &ComponentId, record: &ComponentRecord) -> Option<Component> {
        let answer = self.observe(record.node).await?;
        let id = id.to_string();
        let mut shown = answer.components.iter();
        shown.find(|c| c.id == id && c.epoch == record.epoch).cloned()
    }

    /// What incremental synchronization has applied, as its node says, and its lag in milliseconds.
    pub(crate) async fn applied(
        &self,
        id: &ComponentId,
        record: &ComponentRecord,
    ) -> Option<(Position, u64)> {
        let answer = self.observe(record.node).await?;
        let name = id.to_string();
        let applied = answer.applied.iter().find(|a| a.component == name)?;
        let position = Position::decode(&applied.position).ok()?;
        let shown = answer.components.iter().find(|c| c.id == name);
        let lag = shown.and_then(|c| c.progress.as_ref()?.lag_ms);
        Some((position, lag.unwrap_or_default()))
    }

    /// The record of a component that is assigned to another node.
    pub(crate) fn assigned(&self, id: &ComponentId) -> Option<ComponentRecord> {
        self.component(id.project(), id.kind()).filter(|c| self.has(c))
    }

    fn address(&self, node: u64) -> Result<String, Failure> {
        let state = self.metadata.state()?;
        state
            .node(node)
            .map(|record| record.address.clone())
            .filter(|address| !address.is_empty())
            .ok_or_else(|| {
                Failure::new(
                    codes::api::UNAVAILABLE,
                    format!("the address of node {node} is not known"),
                )
            })
    }

    fn component(&self, project: &ProjectId, kind: ComponentKind) -> Option<ComponentRecord> {
        let state = self.metadata.state().ok()?;
        let record = state.project(project.as_str())?;
        record
            .components
            .iter()
            .find(|c| c.kind == kind.as_str())
            .cloned()
    }
}

#[async_trait]
impl OtherNodes for Elsewhere {
    fn store_site(&self, project: &ProjectId) -> StoreSite {
        match self.component(project, ComponentKind::Store) {
            None => StoreSite::Nowhere,
            Some(store) if store.node == 0 => StoreSite::Nowhere,
            Some(store) if self.has(&store) => StoreSite::On {
                node: store.node,
                epoch: Epoch(store.epoch),
            },
            Some(_) => StoreSite::Here,
        }
    }

    async fn store_left(&self, project: &ProjectId, site: StoreSite) {
        let mut changes = self.metadata.watch();
        loop {
            changes.borrow_and_update();
            if self.store_site(project) != site {
                return;
            }
            if changes.changed().await.is_err() {
                // Consensus has stopped, and this node with it.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn open_log(
        &self,
        project: &ProjectId,
        site: StoreSite,
        from: &LogStart,
    ) -> Result<Box<dyn LogStream>, Failure> {
        let StoreSite::On { node, .. } = site else {
            let words = format!("the Store of {project} is on no other node");
            return Err(Failure::new(codes::store::IO, words));
        };
        let address = self.address(node)?;
        let unusable = |f: Failure| Failure::new(codes::api::UNAVAILABLE, f.detail().to_owned());
        let channel = self.peers.dedicated(&address).map_err(unusable)?;
        let stream = RemoteStream::open(channel, &self.cluster_id, project, from)
            .await
            .map_err(|failure| failure.context(format_args!("node {node} ({address})")))?;
        Ok(Box::new(stream))
    }
}
