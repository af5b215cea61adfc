//! Components.

use std::pin::Pin;

use futures::{Stream, StreamExt as _, future::join_all, stream};
use oms_core::{ComponentId, Failure, codes};
use oms_meta::{MetaCommand, MetaState};
use oms_proto::{
    meta::{AssignComponent, ComponentRecord, Desired, FreezeComponent, ProjectRecord},
    v1::{
        Component, ComponentState, FreezeComponentRequest, GetComponentRequest, ListComponentsRequest,
        ListComponentsResponse, LogLine, MoveComponentRequest, NodeState, ReadComponentLogRequest,
        UnfreezeComponentRequest, component_service_server::ComponentService,
    },
};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tonic::{Request, Response, Status};

use super::{Backend, node, status};

type Lines = Pin<Box<dyn Stream<Item = Result<LogLine, Status>> + Send>>;

/// The component service.
#[derive(Clone)]
pub(crate) struct Components(pub(crate) Backend);

fn unknown(id: &str) -> Failure {
    Failure::new(
        codes::api::NOT_FOUND,
        format!("component {id:?} does not exist; `omsnode component list` shows all"),
    )
}

/// A component and its project, by the component's id.
fn find<'s>(
    state: &'s MetaState,
    id: &str,
) -> Result<(ComponentId, &'s ProjectRecord, &'s ComponentRecord), Failure> {
    let key: ComponentId = id.parse().map_err(|_| unknown(id))?;
    let project = state.project(key.project().as_str()).ok_or_else(|| unknown(id))?;
    let kind = key.kind().as_str();
    let component = project
        .components
        .iter()
        .find(|c| c.kind == kind)
        .ok_or_else(|| unknown(id))?;
    Ok((key, project, component))
}

impl Components {
    async fn get(&self, id: &str) -> Result<Component, Failure> {
        let state = self.0.metadata.latest().await?;
        let (_, project, component) = find(&state, id)?;
        let shown = self.0.observer.component(project, component).await;
        shown.ok_or_else(|| unknown(id))
    }

    /// Gives a component to another node under a new epoch.
    async fn give(&self, r: &MoveComponentRequest) -> Result<(), Failure> {
        let state = self.0.metadata.latest().await?;
        let (key, _, component) = find(&state, &r.id)?;
        let target = node::find(&state, r.node)?;
        let refuse = |words: String| Err(Failure::new(codes::api::WRONG_STATE, words));
        let live = matches!(
            component.state(),
            ComponentState::Assigned | ComponentState::Running
        );
        if component.desired() != Desired::Run || !live {
            return refuse(format!(
                "{} is {} and needs no node",
                r.id,
                component.state().name()
            ));
        }
        if component.node == r.node {
            return refuse(format!("{} is on node {} already", r.id, r.node));
        }
        let stands = node::state_of(target);
        if stands != NodeState::Active {
            return refuse(format!(
                "node {id} is {}; `omsnode node uncordon {id}` lets it take components",
                stands.name(),
                id = r.node
            ));
        }
        let here = node::components(&state).get(&r.node).copied().unwrap_or_default();
        if target.quota > 0 && here >= u64::from(target.quota) {
            return refuse(format!(
                "node {id} has {here} components and may run {}; `omsnode node quota {id} N` changes that",
                target.quota,
                id = r.node
            ));
        }
        self.0
            .metadata
            .propose(MetaCommand::AssignComponent(AssignComponent {
                project: key.project().to_string(),
                kind: key.kind().as_str().to_owned(),
                node: r.node,
                expected_epoch: component.epoch,
                raise_epoch: true,
                desired: Desired::Run as i32,
                step: component.step,
                because: "moved by hand".to_owned(),
                by_user: true,
                ..Default::default()
            }))
            .await
            .map(|_| ())
    }

    /// An empty reason unfreezes.
    async fn freeze(&self, id: &str, reason: String) -> Result<Component, Failure> {
        let state = self.0.metadata.latest().await?;
        let (key, _, _) = find(&state, id)?;
        let body = MetaCommand::FreezeComponent(FreezeComponent {
            project: key.project().to_string(),
            kind: key.kind().as_str().to_owned(),
            reason,
        });
        self.0.metadata.propose(body).await?;
        self.get(id).await
    }

    fn local_log(&self, key: &ComponentId, r: &ReadComponentLogRequest) -> Result<Lines, Failure> {
        let log = self.0.host.log(key).ok_or_else(|| {
            let words = format!(
                "{} has not run on node {} since that was started; the daemon's log may hold more",
                r.id,
                self.0.metadata.node_id()
            );
            Failure::new(codes::api::NOT_FOUND, words)
        })?;
        let count = if r.lines == 0 { 100 } else { r.lines as usize };
        let (lines, following) = log.tail(count);
        let old = stream::iter(lines.into_iter().map(|l| Ok(line(l))));
        if !r.follow {
            return Ok(Box::pin(old));
        }
        let new = BroadcastStream::new(following).map(|next| {
            Ok(match next {
                Ok(l) => line(l),
                Err(BroadcastStreamRecvError::Lagged(lost)) => LogLine {
                    message: format!("({lost} lines were too fast for this reader)"),
                    ..Default::default()
                },
            })
        });
        Ok(Box::pin(old.chain(new)))
    }
}

#[tonic::async_trait]
impl ComponentService for Components {
    async fn list_components(
        &self,
        request: Request<ListComponentsRequest>,
    ) -> Result<Response<ListComponentsResponse>, Status> {
        let wanted = request.into_inner().project;
        let state = self.0.metadata.latest().await.map_err(status)?;
        if !wanted.is_empty() && state.project(&wanted).is_none() {
            return Err(status(super::project::unknown(&wanted)));
        }
        let records = state.projects().filter(|record| {
            record.public.as_ref().is_some_and(|p| {
                wanted.is_empty() || p.id == wanted || p.spec.as_ref().is_some_and(|s| s.name == wanted)
            })
        });
        let all = records.flat_map(|record| record.components.iter().map(move |c| (record, c)));
        // At once: a node that does not answer costs its deadline only once.
        let shown = join_all(all.map(|(record, c)| self.0.observer.component(record, c))).await;
        let components = shown.into_iter().flatten().collect();
        Ok(Response::new(ListComponentsResponse { components }))
    }

    async fn get_component(
        &self,
        request: Request<GetComponentRequest>,
    ) -> Result<Response<Component>, Status> {
        let id = request.into_inner().id;
        self.get(&id).await.map(Response::new).map_err(status)
    }

    type ReadComponentLogStream = Lines;

    async fn read_component_log(
        &self,
        request: Request<ReadComponentLogRequest>,
    ) -> Result<Response<Self::ReadComponentLogStream>, Status> {
        let state = self.0.metadata.latest().await.map_err(status)?;
        let (key, _, component) = find(&state, &request.get_ref().id).map_err(status)?;
        if let Some(peer) = self.0.owner(&request, &state, component.node).map_err(status)? {
            let asked = peer
                .components()
                .read_component_log(peer.request(request.into_inner()))
                .await;
            let lines = asked.map_err(|e| peer.failed(&e))?.into_inner();
            let relayed = lines.map(move |line| line.map_err(|e| peer.failed(&e)));
            return Ok(Response::new(Box::pin(relayed)));
        }
        let lines = self.local_log(&key, request.get_ref()).map_err(status)?;
        Ok(Response::new(lines))
    }

    async fn move_component(
        &self,
        request: Request<MoveComponentRequest>,
    ) -> Result<Response<Component>, Status> {
        // Only the leader knows which nodes are alive.
        if let Some(peer) = self.0.leader_needed(&request).await.map_err(status)? {
            let request = peer.request(request.into_inner());
            return peer
                .components()
                .move_component(request)
                .await
                .map_err(|e| peer.failed(&e));
        }
        let r = request.into_inner();
        self.give(&r).await.map_err(status)?;
        self.get(&r.id).await.map(Response::new).map_err(status)
    }

    async fn freeze_component(
        &self,
        request: Request<FreezeComponentRequest>,
    ) -> Result<Response<Component>, Status> {
        let r = request.into_inner();
        let reason = r.reason.trim();
        if reason.is_empty() {
            let words = "a freeze needs a reason";
            return Err(status(Failure::new(codes::api::INVALID_ARGUMENT, words)));
        }
        self.freeze(&r.id, reason.to_owned())
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn unfreeze_component(
        &self,
        request: Request<UnfreezeComponentRequest>,
    ) -> Result<Response<Component>, Status> {
        let r = request.into_inner();
        self.freeze(&r.id, String::new())
            .await
            .map(Response::new)
            .map_err(status)
    }
}

fn line(l: oms_actors::LogLine) -> LogLine {
    LogLine {
        at_ms: l.at_ms,
        level: l.level.as_str().to_owned(),
        message: l.message,
    }
}
