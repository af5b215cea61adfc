//! What nodes ask of each other besides consensus.

mod change_log;
mod channels;
mod elsewhere;
mod heartbeat;
mod join;
mod observe;
mod remote_log;
mod seal;
mod stand;
#[cfg(test)]
mod stream_tests;

use std::pin::Pin;

use futures::Stream;
use oms_proto::peer::{
    HeartbeatRequest, HeartbeatResponse, JoinRequest, JoinResponse, ObserveRequest, ObserveResponse,
    ReadChangeLogRequest, ReadChangeLogResponse, StandForElectionRequest, StandForElectionResponse,
    peer_service_server::{PeerService, PeerServiceServer},
};
use tonic::{Request, Response, Status, Streaming, codec::CompressionEncoding};

use crate::api::{Backend, status};

pub(crate) use channels::PeerChannels;
pub(crate) use elsewhere::Elsewhere;
pub(crate) use seal::{JOIN_VERSION, TokenSecret, fresh_nonce};

/// The service, which compresses what it sends to those who understand it.
pub(crate) fn service(backend: Backend) -> PeerServiceServer<Peer> {
    PeerServiceServer::new(Peer(backend)).send_compressed(CompressionEncoding::Zstd)
}

/// The answering side.
#[derive(Clone)]
pub(crate) struct Peer(pub(crate) Backend);

#[tonic::async_trait]
impl PeerService for Peer {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        let answer = join::join(&self.0, request.into_inner()).await;
        answer.map(Response::new).map_err(status)
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatResponse>, Status> {
        heartbeat::heartbeat(&self.0, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn stand_for_election(
        &self,
        request: Request<StandForElectionRequest>,
    ) -> Result<Response<StandForElectionResponse>, Status> {
        let answer = stand::stand(&self.0, request.into_inner()).await;
        answer.map(Response::new).map_err(status)
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
