//! Keeping the cluster's own data safe.

use std::pin::Pin;

use oms_proto::v1::{BackupChunk, BackupRequest, admin_service_server::AdminService};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::{Backend, status};
use crate::backup;

/// Bytes of one piece of a file.
const PIECE: usize = 256 << 10;

/// The administration service.
pub(crate) struct Admin(pub(crate) Backend);

#[tonic::async_trait]
impl AdminService for Admin {
    type BackupStream = Pin<Box<dyn Stream<Item = Result<BackupChunk, Status>> + Send>>;

    async fn backup(&self, _: Request<BackupRequest>) -> Result<Response<Self::BackupStream>, Status> {
        let metadata = &self.0.metadata;
        let (state, index) = metadata.latest_at().await.map_err(status)?;
        let file = backup::encode(&state, &self.0.cluster_id, index, metadata.now_ms());
        let pieces: Vec<_> = file
            .chunks(PIECE)
            .map(|piece| Ok(BackupChunk { data: piece.to_vec() }))
            .collect();
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces))))
    }
}
