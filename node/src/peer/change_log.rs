//! The change log of a Store that runs here, for readers elsewhere.

use oms_proto::peer::ReadChangeLogRequest;
use tonic::{Request, Response, Status, Streaming};

use super::{Peer, PeerService};
use crate::api::Backend;

pub(crate) async fn read(
    _: &Backend,
    _: Request<Streaming<ReadChangeLogRequest>>,
) -> Result<Response<<Peer as PeerService>::ReadChangeLogStream>, Status> {
    Err(Status::unimplemented("this node does not hand out change logs yet"))
}
