//! What a verification found.
use super::{Projects, Streaming};
use oms_core::{Failure, codes};
use oms_proto::v1::{Difference, ListDifferencesRequest};
impl Projects {
    pub(super) async fn differences(
        &self,
        _r: ListDifferencesRequest,
    ) -> Result<Streaming<Difference>, Failure> {
        Err(Failure::new(codes::api::INTERNAL, "x"))
    }
}
