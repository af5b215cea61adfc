//! Components as they are on this node now.

use oms_actors::ComponentHost;
use oms_core::{ComponentId, Epoch};
use oms_proto::{
    peer::{AppliedPosition, ObserveRequest, ObserveResponse},
    v1::Component,
};
use tonic::{Request, Response, Status};

use crate::{api::Backend, observer::step_progress};

pub(crate) async fn observe(
    backend: &Backend,
    request: Request<ObserveRequest>,
) -> Result<Response<ObserveResponse>, Status> {
    let wanted = request.into_inner().components;
    let mut response = ObserveResponse::default();
    for (id, epoch) in backend.host.list() {
        if wanted.is_empty() || wanted.contains(&id.to_string()) {
            show(&backend.host, &id, epoch, &mut response).await;
        }
    }
    Ok(Response::new(response))
}

async fn show(host: &ComponentHost, id: &ComponentId, epoch: Epoch, into: &mut ObserveResponse) {
    let Some(observation) = host.observe(id).await else {
        return;
    };
    if let Some(applied) = &observation.progress.applied {
        into.applied.push(AppliedPosition {
            component: id.to_string(),
            position: applied.encode(),
        });
    }
    into.components.push(Component {
        id: id.to_string(),
        project: id.project().to_string(),
        kind: id.kind().as_str().to_owned(),
        epoch: epoch.0,
        progress: Some(step_progress(&observation)),
        retries: observation.retries,
        last_retry: observation.last_retry.unwrap_or_default(),
        ..Default::default()
    });
}
