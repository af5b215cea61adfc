//! Components and nodes.

use std::pin::Pin;

use futures::{Stream, StreamExt as _, stream};
use oms_core::{ComponentId, Failure, codes};
use oms_proto::v1::{
    Component, GetComponentRequest, ListComponentsRequest, ListComponentsResponse, ListNodesRequest,
    ListNodesResponse, LogLine, Node, ReadComponentLogRequest, component_service_server::ComponentService,
    node_service_server::NodeService,
};
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tonic::{Request, Response, Status};

use super::{Backend, status};

/// The component and node services.
#[derive(Clone)]
pub(crate) struct Components(pub(crate) Backend);

fn unknown(id: &str) -> Failure {
    Failure::new(
        codes::api::NOT_FOUND,
        format!("component {id:?} does not exist; `omsnode component list` shows all"),
    )
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
        let mut components = Vec::new();
        for record in state.projects() {
            let matches = record.public.as_ref().is_some_and(|p| {
                wanted.is_empty() || p.id == wanted || p.spec.as_ref().is_some_and(|s| s.name == wanted)
            });
            if matches {
                for c in &record.components {
                    components.extend(self.0.observer.component(record, c).await);
                }
            }
        }
        Ok(Response::new(ListComponentsResponse { components }))
    }

    async fn get_component(
        &self,
        request: Request<GetComponentRequest>,
    ) -> Result<Response<Component>, Status> {
        let id = request.into_inner().id;
        let key: ComponentId = id.parse().map_err(|_| status(unknown(&id)))?;
        let state = self.0.metadata.latest().await.map_err(status)?;
        let found = state.project(key.project().as_str()).and_then(|r| {
            r.components
                .iter()
                .find(|c| c.kind == key.kind().as_str())
                .map(|c| (r, c))
        });
        let Some((record, component)) = found else {
            return Err(status(unknown(&id)));
        };
        let shown = self.0.observer.component(record, component).await;
        shown.map(Response::new).ok_or_else(|| status(unknown(&id)))
    }

    type ReadComponentLogStream = Pin<Box<dyn Stream<Item = Result<LogLine, Status>> + Send>>;

    async fn read_component_log(
        &self,
        request: Request<ReadComponentLogRequest>,
    ) -> Result<Response<Self::ReadComponentLogStream>, Status> {
        let r = request.into_inner();
        let key: ComponentId = r.id.parse().map_err(|_| status(unknown(&r.id)))?;
        let log = self.0.host.log(&key).ok_or_else(|| {
            let words = format!(
                "{} has not run on this node since it was started; the daemon's log may hold more",
                r.id
            );
            status(Failure::new(codes::api::NOT_FOUND, words))
        })?;
        let count = if r.lines == 0 { 100 } else { r.lines as usize };
        let (lines, following) = log.tail(count);
        let old = stream::iter(lines.into_iter().map(|l| Ok(line(l))));
        if !r.follow {
            return Ok(Response::new(Box::pin(old)));
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
        Ok(Response::new(Box::pin(old.chain(new))))
    }
}

fn line(l: oms_actors::LogLine) -> LogLine {
    LogLine {
        at_ms: l.at_ms,
        level: l.level.as_str().to_owned(),
        message: l.message,
    }
}

#[tonic::async_trait]
impl NodeService for Components {
    async fn list_nodes(&self, _: Request<ListNodesRequest>) -> Result<Response<ListNodesResponse>, Status> {
        let state = self.0.metadata.latest().await.map_err(status)?;
        let leader = self.0.metadata.watch().borrow().leader;
        let nodes = state
            .nodes()
            .map(|n| Node {
                id: n.id,
                address: n.address.clone(),
                region: n.region.clone(),
                zone: n.zone.clone(),
                leader: leader == Some(n.id),
                version: n.version.clone(),
                components: state
                    .projects()
                    .flat_map(|p| &p.components)
                    .filter(|c| c.node == n.id)
                    .count() as u64,
            })
            .collect();
        Ok(Response::new(ListNodesResponse { nodes }))
    }
}
