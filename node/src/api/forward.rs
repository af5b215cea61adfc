//! Calls that only another node can answer.
//!
//! What is replicated every node answers itself, and progress it asks for with everything else that runs
//! on a node. What is left (a component's log lines, the leader's view of the others) is fetched from the
//! node that has it by the same public call, marked so that it is never passed on a second time.

use std::{sync::Arc, time::Duration};

use oms_core::{ErrorCode, Failure, codes};
use oms_meta::MetaState;
use oms_proto::{
    error_of, status_of,
    v1::{component_service_client::ComponentServiceClient, node_service_client::NodeServiceClient},
};
use tonic::{Request, Status, metadata::MetadataValue, transport::Channel};

use crate::peer::PeerChannels;

/// Metadata key that says which node passed a call on.
const KEY: &str = "omsnode-forwarded";
/// How long another node may take for the first part of its answer.
const ANSWER: Duration = Duration::from_secs(15);

/// Whether another node passed this call on.
pub(crate) fn is_forwarded<T>(request: &Request<T>) -> bool {
    request.metadata().contains_key(KEY)
}

/// Another node, to pass a call on to.
pub(crate) struct Peer {
    me: u64,
    id: u64,
    address: String,
    channel: Channel,
    peers: Arc<PeerChannels>,
}

impl Peer {
    /// The node behind an id. Nothing is sent: whether it answers, the call tells.
    ///
    /// # Errors
    /// `OMS-API-0009` when the state does not know the node, or no address that could be used.
    pub(crate) fn find(
        peers: &Arc<PeerChannels>,
        me: u64,
        state: &MetaState,
        id: u64,
    ) -> Result<Self, Failure> {
        let unusable = |why: &str| {
            Failure::new(
                codes::api::UNAVAILABLE,
                format!("node {id} cannot be asked: {why}"),
            )
        };
        let record = state
            .node(id)
            .ok_or_else(|| unusable("it is not a node of this cluster"))?;
        let channel = peers.channel(&record.address).map_err(|f| unusable(f.detail()))?;
        Ok(Self {
            me,
            id,
            address: record.address.clone(),
            channel,
            peers: peers.clone(),
        })
    }

    /// The request that the peer gets: marked, and given up when nobody answers.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        self.within(ANSWER, message)
    }

    /// The same, given up earlier or later.
    pub(crate) fn within<T>(&self, deadline: Duration, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(KEY, MetadataValue::from(self.me));
        request.set_timeout(deadline);
        request
    }

    pub(crate) fn nodes(&self) -> NodeServiceClient<Channel> {
        NodeServiceClient::new(self.channel.clone())
    }

    pub(crate) fn components(&self) -> ComponentServiceClient<Channel> {
        ComponentServiceClient::new(self.channel.clone())
    }

    /// The caller's error for the peer's: what the peer said is handed on as it is; that it said nothing
    /// becomes `OMS-API-0009` and names the node.
    pub(crate) fn failed(&self, status: &Status) -> Status {
        let said = error_of(status);
        // A status of another omsnode has come over the wire; one that the transport made has a source.
        let lost = std::error::Error::source(status).is_some() || status.metadata().get("oms-code").is_none();
        match ErrorCode::find(&said.code) {
            Some(code) if !lost => status_of(code, said.message),
            _ => {
                self.peers.forget(&self.address);
                status_of(
                    codes::api::UNAVAILABLE,
                    format!(
                        "node {} ({}) does not answer: {}",
                        self.id,
                        self.address,
                        innermost(status)
                    ),
                )
            }
        }
    }

    /// Whether this error of [`Peer::failed`] means that the peer did not answer.
    pub(crate) fn is_silent(status: &Status) -> bool {
        error_of(status).code == codes::api::UNAVAILABLE.as_str()
    }
}

/// What the operating system or the protocol said.
fn innermost(status: &Status) -> String {
    let mut error: &dyn std::error::Error = status;
    while let Some(cause) = error.source() {
        error = cause;
    }
    match error.downcast_ref::<Status>() {
        Some(status) => status.message().to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use oms_proto::{
        meta::{NodeRecord, RegisterNode},
        v1::GetNodeRequest,
    };
    use oms_raft::TcpConnect;

    use super::*;

    fn state(id: u64, address: &str) -> MetaState {
        let mut state = MetaState::default();
        let node = NodeRecord {
            id,
            address: address.to_owned(),
            ..Default::default()
        };
        let body = oms_meta::MetaCommand::RegisterNode(RegisterNode { node: Some(node) });
        state.apply_bytes(&oms_meta::command(1, body));
        state
    }

    fn peer(state: &MetaState, id: u64) -> Result<Peer, Failure> {
        let peers = Arc::new(PeerChannels::new(Arc::new(TcpConnect::default())));
        Peer::find(&peers, 1, state, id)
    }

    #[tokio::test]
    async fn a_node_that_does_not_answer_is_named() {
        let peer = peer(&state(1, "127.0.0.1:1"), 1).unwrap();
        let request = peer.request(GetNodeRequest { id: 1 });
        assert!(is_forwarded(&request));
        let error = peer.nodes().get_node(request).await.unwrap_err();
        let shown = peer.failed(&error);
        assert_eq!(shown.code(), tonic::Code::Unavailable);
        assert!(
            shown
                .message()
                .starts_with("node 1 (127.0.0.1:1) does not answer: "),
            "{shown}"
        );
        assert!(Peer::is_silent(&shown));
    }

    #[tokio::test]
    async fn what_a_node_says_is_handed_on() {
        let peer = peer(&state(2, "127.0.0.1:1"), 2).unwrap();
        let said = status_of(codes::api::WRONG_STATE, "words");
        let shown = peer.failed(&said);
        assert_eq!((shown.code(), shown.message()), (said.code(), "words"));
        assert_eq!(error_of(&shown).code, codes::api::WRONG_STATE.as_str());
    }

    #[tokio::test]
    async fn only_nodes_of_the_cluster_are_asked() {
        let unknown = peer(&state(2, "127.0.0.1:2"), 7).err().unwrap();
        assert!(unknown.to_string().contains("node 7"), "{unknown}");
    }
}
