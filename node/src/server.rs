//! Everything that the node's port serves.

use std::time::Duration;

use oms_proto::DESCRIPTORS;
use oms_raft::RaftHandle;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::{
    api::{self, Backend},
    metadata::Machine,
    peer,
};

/// How long a connection may be silent before it is asked, and how long the answer may take.
const KEEPALIVE: Duration = Duration::from_secs(20);

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
        // Notices readers of change logs that are gone without a word: they hold back retention.
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_service(health_service)
        .add_service(raft.service())
        .add_service(peer::service(backend.clone()));
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
