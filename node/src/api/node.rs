//! Nodes and the cluster as a whole.
//!
//! Only the leader hears of all nodes, so it answers every call of this service; the others pass theirs
//! on to it. While there is none, lists are answered from the local state, without health.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use oms_core::{Failure, codes};
use oms_meta::{Liveness, MetaCommand, MetaState};
use oms_proto::{
    meta::{ChangeNode, Desired, NodeRecord, RemoveNode, SetPreferredRegions},
    v1::{
        Cluster, ComponentState, CordonNodeRequest, DrainNodeRequest, GetClusterRequest, GetNodeRequest,
        ListNodesRequest, ListNodesResponse, Node, NodeHealth, NodeRole, NodeState, RemoveNodeRequest,
        RemoveNodeResponse, SetNodeQuotaRequest, SetPreferredRegionsRequest, UncordonNodeRequest,
        node_service_server::NodeService,
    },
};
use oms_raft::RaftMetrics;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::{Backend, forward::Peer, status};

/// How long reads may wait for the leader, before they show what this node knows.
const READ: Duration = Duration::from_secs(3);

/// The node service.
#[derive(Clone)]
pub(crate) struct Nodes(pub(crate) Backend);

/// Everything that nodes are shown from, at one moment.
struct Scene {
    state: Arc<MetaState>,
    metrics: RaftMetrics,
    loads: BTreeMap<u64, u64>,
}

fn unknown(id: u64) -> Failure {
    Failure::new(
        codes::api::NOT_FOUND,
        format!("node {id} does not exist; `omsnode node list` shows all"),
    )
}

/// A node that has not been removed, by its id.
pub(super) fn find(state: &MetaState, id: u64) -> Result<&NodeRecord, Failure> {
    let found = state.node(id).ok_or_else(|| unknown(id))?;
    if found.state() == NodeState::Removed {
        return Err(Failure::new(
            codes::cluster::NODE_REMOVED,
            format!("node {id} was removed from the cluster and cannot come back under this id"),
        ));
    }
    Ok(found)
}

/// What others decided about a node; records from before there were states are active.
pub(super) fn state_of(record: &NodeRecord) -> NodeState {
    match record.state() {
        NodeState::Unspecified => NodeState::Active,
        other => other,
    }
}

/// Components that each node has to look after: those it runs or stops, and those whose remains it still
/// has to remove.
pub(super) fn components(state: &MetaState) -> BTreeMap<u64, u64> {
    let mut loads = BTreeMap::new();
    for c in state.projects().flat_map(|p| &p.components) {
        let live = matches!(c.state(), ComponentState::Assigned | ComponentState::Running);
        let counts = match c.desired() {
            Desired::Run | Desired::Stop => live,
            Desired::Remove => !c.removed,
            Desired::Unspecified => false,
        };
        if counts {
            *loads.entry(c.node).or_default() += 1;
        }
    }
    loads
}

impl Nodes {
    /// What is known here: with everything that is committed, unless no majority can be asked.
    async fn scene(&self) -> Result<Scene, Failure> {
        // What this node holds may be late, but a cluster in trouble must show its nodes.
        let state = match self.0.metadata.leader() {
            Some(_) => match tokio::time::timeout(READ, self.0.metadata.latest()).await {
                Ok(Ok(state)) => state,
                Ok(Err(_)) | Err(_) => self.0.metadata.state()?,
            },
            None => self.0.metadata.state()?,
        };
        Ok(Scene {
            loads: components(&state),
            metrics: self.0.metadata.metrics(),
            state,
        })
    }

    fn show(&self, scene: &Scene, record: &NodeRecord) -> Node {
        let id = record.id;
        let members = &scene.metrics;
        let leader = members.status.leader == Some(id);
        let role = if leader {
            NodeRole::Leader
        } else if members.voters.contains(&id) {
            NodeRole::Voter
        } else if members.members.contains_key(&id) {
            NodeRole::Learner
        } else {
            NodeRole::Outside
        };
        let mut node = Node {
            id,
            address: record.address.clone(),
            region: record.region.clone(),
            zone: record.zone.clone(),
            leader,
            version: record.version.clone(),
            components: scene.loads.get(&id).copied().unwrap_or_default(),
            state: state_of(record) as i32,
            role: role as i32,
            health: NodeHealth::Unknown as i32,
            silent_ms: None,
            witness: record.witness,
            quota: record.quota,
            generation: record.generation,
            joined_at_ms: record.joined_at_ms,
            applied_index: 0,
            reason: record.reason.clone(),
            load: None,
        };
        if record.state() != NodeState::Removed {
            self.observe(&mut node);
        }
        node
    }

    /// Adds what the leader heard from the node itself.
    fn observe(&self, node: &mut Node) {
        let (table, now) = (&self.0.liveness, Instant::now());
        let health = match table.liveness(node.id, now) {
            Liveness::Alive => NodeHealth::Online,
            Liveness::Lost { .. } => NodeHealth::Down,
            Liveness::Unknown => NodeHealth::Unknown,
        };
        node.health = health as i32;
        if let Some(heard) = table.heard(node.id) {
            let silent = now.saturating_duration_since(heard.at).as_millis();
            node.silent_ms = Some(u64::try_from(silent).unwrap_or(u64::MAX));
            node.applied_index = heard.applied_index;
            node.load = heard.load;
        }
        if node.id == self.0.metadata.node_id() {
            node.silent_ms = Some(0);
            node.applied_index = self.0.metadata.metrics().status.applied;
        }
    }

    async fn node(&self, id: u64) -> Result<Node, Failure> {
        let scene = self.scene().await?;
        let record = scene.state.node(id).ok_or_else(|| unknown(id))?;
        Ok(self.show(&scene, record))
    }

    async fn change(&self, change: ChangeNode) -> Result<Node, Failure> {
        let id = change.id;
        find(&*self.0.metadata.latest().await?, id)?;
        self.0.metadata.propose(MetaCommand::ChangeNode(change)).await?;
        self.node(id).await
    }

    async fn list(&self, all: bool) -> Result<ListNodesResponse, Failure> {
        let scene = self.scene().await?;
        let nodes = scene
            .state
            .nodes()
            .filter(|n| all || n.state() != NodeState::Removed)
            .map(|n| self.show(&scene, n))
            .collect();
        Ok(ListNodesResponse { nodes })
    }

    async fn remove(&self, r: RemoveNodeRequest) -> Result<(), Failure> {
        let state = self.0.metadata.latest().await?;
        let record = find(&state, r.id)?;
        let refuse = |words: String| Err(Failure::new(codes::api::WRONG_STATE, words));
        if !r.force {
            let shown = self.node(r.id).await?;
            if shown.health() != NodeHealth::Down {
                if record.state() != NodeState::Draining {
                    return refuse(format!(
                        "node {id} is not down and not drained; `omsnode node drain {id} --wait` moves its \
                         components first, --force removes it as it is",
                        id = r.id
                    ));
                }
                if shown.components > 0 {
                    return refuse(format!(
                        "node {} is being drained and still has {} components; wait, or use --force",
                        r.id, shown.components
                    ));
                }
            }
        }
        self.0
            .metadata
            .propose(MetaCommand::RemoveNode(RemoveNode { id: r.id }))
            .await
            .map(|_| ())
    }

    async fn cluster(&self) -> Result<Cluster, Failure> {
        let scene = self.scene().await?;
        let m = &scene.metrics;
        let here = |n: &&NodeRecord| n.state() != NodeState::Removed;
        // A node that was removed may still be counted for a moment; its vote will not come.
        let gone = |id: &u64| match scene.state.node(*id).filter(here) {
            Some(record) => self.show(&scene, record).health() == NodeHealth::Down,
            None => true,
        };
        let down = m.voters.iter().copied().filter(gone).count();
        // Without a leader too many are lost already, or nobody can tell yet.
        let spare = m
            .status
            .leader
            .map_or(0, |_| m.voters.len().saturating_sub(1) / 2);
        Ok(Cluster {
            id: self.0.cluster_id.clone(),
            leader: m.status.leader.unwrap_or_default(),
            term: m.status.term,
            commit_index: m.status.applied,
            voters: m.voters.iter().copied().collect(),
            learners: m
                .members
                .keys()
                .copied()
                .filter(|id| !m.voters.contains(id))
                .collect(),
            tolerates: u32::try_from(spare.saturating_sub(down)).unwrap_or(u32::MAX),
            feature_level: scene
                .state
                .nodes()
                .filter(here)
                .map(|n| n.feature_level)
                .min()
                .unwrap_or_default(),
            answered_by: self.0.metadata.node_id(),
            preferred_regions: scene.state.preferred_regions().to_vec(),
            leader_region: m
                .status
                .leader
                .and_then(|id| scene.state.node(id))
                .map(|n| n.region.clone())
                .unwrap_or_default(),
        })
    }

    /// Carried out here, by whatever leader there is: an older one would not know the call.
    async fn prefer(&self, regions: Vec<String>) -> Result<Cluster, Failure> {
        let state = self.0.metadata.latest().await?;
        let known: std::collections::BTreeSet<&str> = state
            .nodes()
            .filter(|n| n.state() != NodeState::Removed)
            .map(|n| n.region.as_str())
            .collect();
        if let Some(unknown) = regions.iter().find(|r| !known.contains(r.as_str())) {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            let words = format!("no node is in region {unknown:?}; there are {known}");
            return Err(Failure::new(codes::api::INVALID_ARGUMENT, words));
        }
        let command = SetPreferredRegions { regions };
        self.0
            .metadata
            .propose(MetaCommand::SetPreferredRegions(command))
            .await?;
        self.cluster().await
    }
}

/// Lets the leader answer a read. `None`: this node has to.
macro_rules! ask_leader {
    ($self:ident, $request:ident, $method:ident) => {
        match $self.0.leader(&$request, READ).await {
            Ok(None) | Err(_) => None,
            Ok(Some(peer)) => {
                let asked = peer
                    .nodes()
                    .$method(peer.within(READ, $request.get_ref().clone()))
                    .await;
                match asked.map_err(|e| peer.failed(&e)) {
                    Err(e) if Peer::is_silent(&e) => None,
                    answer => Some(answer),
                }
            }
        }
    };
}

/// Lets the leader carry out a change, unless this node is the leader.
macro_rules! leave_to_leader {
    ($self:ident, $request:ident, $method:ident) => {
        if let Some(peer) = $self.0.leader_needed(&$request).await.map_err(status)? {
            let request = peer.request($request.into_inner());
            return peer.nodes().$method(request).await.map_err(|e| peer.failed(&e));
        }
    };
}

#[tonic::async_trait]
impl NodeService for Nodes {
    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        if let Some(answer) = ask_leader!(self, request, list_nodes) {
            return answer;
        }
        self.list(request.get_ref().all)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn get_node(&self, request: Request<GetNodeRequest>) -> Result<Response<Node>, Status> {
        if let Some(answer) = ask_leader!(self, request, get_node) {
            return answer;
        }
        self.node(request.get_ref().id)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn cordon_node(&self, request: Request<CordonNodeRequest>) -> Result<Response<Node>, Status> {
        leave_to_leader!(self, request, cordon_node);
        let r = request.into_inner();
        let change = ChangeNode {
            id: r.id,
            state: NodeState::Cordoned as i32,
            reason: r.reason,
            quota: None,
        };
        self.change(change).await.map(Response::new).map_err(status)
    }

    async fn uncordon_node(&self, request: Request<UncordonNodeRequest>) -> Result<Response<Node>, Status> {
        leave_to_leader!(self, request, uncordon_node);
        let change = ChangeNode {
            id: request.get_ref().id,
            state: NodeState::Active as i32,
            ..Default::default()
        };
        self.change(change).await.map(Response::new).map_err(status)
    }

    async fn drain_node(&self, request: Request<DrainNodeRequest>) -> Result<Response<Node>, Status> {
        leave_to_leader!(self, request, drain_node);
        let r = request.into_inner();
        let change = ChangeNode {
            id: r.id,
            state: NodeState::Draining as i32,
            reason: r.reason,
            quota: None,
        };
        self.change(change).await.map(Response::new).map_err(status)
    }

    async fn remove_node(
        &self,
        request: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        leave_to_leader!(self, request, remove_node);
        self.remove(request.into_inner()).await.map_err(status)?;
        Ok(Response::new(RemoveNodeResponse {}))
    }

    async fn set_node_quota(&self, request: Request<SetNodeQuotaRequest>) -> Result<Response<Node>, Status> {
        leave_to_leader!(self, request, set_node_quota);
        let r = request.into_inner();
        let change = ChangeNode {
            id: r.id,
            quota: Some(r.quota),
            ..Default::default()
        };
        self.change(change).await.map(Response::new).map_err(status)
    }

    async fn get_cluster(&self, request: Request<GetClusterRequest>) -> Result<Response<Cluster>, Status> {
        let me = self.0.metadata.node_id();
        let answer = match ask_leader!(self, request, get_cluster) {
            Some(answer) => answer,
            None => self.cluster().await.map(Response::new).map_err(status),
        };
        answer.map(|mut response| {
            // The caller asked this node, whoever knew the answer.
            response.get_mut().answered_by = me;
            response
        })
    }

    async fn set_preferred_regions(
        &self,
        request: Request<SetPreferredRegionsRequest>,
    ) -> Result<Response<Cluster>, Status> {
        let changed = self.prefer(request.into_inner().regions).await;
        changed.map(Response::new).map_err(status)
    }
}
