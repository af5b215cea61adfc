//! What nodes ask of each other besides consensus.

mod change_log;
mod channels;
mod observe;

use std::pin::Pin;

use futures::Stream;
use oms_proto::peer::{
    HeartbeatRequest, HeartbeatResponse, JoinRequest, JoinResponse, ObserveRequest, ObserveResponse,
    ReadChangeLogRequest, ReadChangeLogResponse, peer_service_server::PeerService,
};
use tonic::{Request, Response, Status, Streaming};

use crate::api::Backend;

pub(crate) use channels::PeerChannels;

/// The answering side.
#[derive(Clone)]
pub(crate) struct Peer(pub(crate) Backend);

#[tonic::async_trait]
impl PeerService for Peer {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        Err(Status::unimplemented(request.into_inner().folder_id))
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        Err(Status::unimplemented(request.into_inner().cluster_id))
    }

    async fn observe(&self, request: Request<ObserveRequest>) -> Result<Response<ObserveResponse>, Status> {
        observe::observe(&self.0, request).await
    }

    type ReadChangeLogStream = Pin<Box<dyn Stream<Item = Result<ReadChangeLogResponse, Status>> + Send>>;

    async fn read_change_log(
        &self,
        request: Request<Streaming<ReadChangeLogRequest>>,
    ) -> Result<Response<Self::ReadChangeLogStream>, Status> {
        change_log::read(&self.0, request).await
    }
}
