//! Everything that the node's port serves.

use oms_proto::{DESCRIPTORS, peer::peer_service_server::PeerServiceServer};
use oms_raft::RaftHandle;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::{
    api::{self, Backend},
    metadata::Machine,
    peer::Peer,
};

/// Serves until cancelled.
pub(crate) async fn serve(
    listener: TcpListener,
    backend: Backend,
    raft: &RaftHandle<Machine>,
    cancel: CancellationToken,
) -> JoinHandle<Result<(), tonic::transport::Error>> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    let router = Server::builder()
        .add_service(health_service)
        .add_service(raft.service())
        .add_service(PeerServiceServer::new(Peer(backend.clone())));
    let mut router = api::add_services(router, backend);
    match reflection {
        Ok(service) => router = router.add_service(service),
        Err(error) => tracing::error!("reflection is not served: {error}"),
    }
    tokio::spawn(async move {
        router
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), cancel.cancelled_owned())
            .await
    })
}
