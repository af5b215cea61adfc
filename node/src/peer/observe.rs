//! Components as they are on this node now.

use oms_proto::peer::{ObserveRequest, ObserveResponse};
use tonic::{Request, Response, Status};

use crate::api::Backend;

pub(crate) async fn observe(
    _: &Backend,
    _: Request<ObserveRequest>,
) -> Result<Response<ObserveResponse>, Status> {
    Err(Status::unimplemented("this node does not show its components yet"))
}
