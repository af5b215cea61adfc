//! The calling side: envelopes, deadlines, and what a failure proves.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use oms_proto::raft as pb;
use oms_proto::raft::raft_service_client::RaftServiceClient;
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::WIRE_VERSION;
use super::connect::Connect;
use crate::codec;
use crate::config::{NodeInfo, RaftConfig};

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Append,
    Vote,
    InstallSnapshot,
    Forward,
}

/// Why a call failed, by what it says about the other side.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The request never left this node.
    #[error("not reachable: {0}")]
    NotSent(String),
    /// The request may have arrived and may have had its effect.
    #[error("no answer: {0}")]
    Lost(String),
    /// The other side is not the node or not of the cluster it was taken for, or does not know this
    /// version; nothing was done.
    #[error("refused: {0}")]
    Refused(String),
}

/// Calls in a row without an answer after which a connection is made anew. Packets into a cut network can hold
/// up a connection for long after the cut has healed.
const MOST_MISSES: u32 = 5;

/// Channels to other nodes, one per member.
pub(crate) struct Peers {
    config: RaftConfig,
    connect: Arc<dyn Connect>,
    clients: Mutex<BTreeMap<u64, Line>>,
}

struct Line {
    node: NodeInfo,
    client: RaftServiceClient<Channel>,
    /// Calls without an answer since the last one with.
    misses: u32,
}

impl Peers {
    pub(crate) fn new(config: RaftConfig, connect: Arc<dyn Connect>) -> Self {
        Self {
            config,
            connect,
            clients: Mutex::new(BTreeMap::new()),
        }
    }

    fn client(&self, id: u64, node: &NodeInfo) -> Result<RaftServiceClient<Channel>, CallError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = clients.get(&id)
            && line.node == *node
            && line.misses < MOST_MISSES
        {
            return Ok(line.client.clone());
        }
        let channel = self.connect.channel(node).map_err(CallError::NotSent)?;
        let limit = self.config.max_message_bytes();
        let client = RaftServiceClient::new(channel)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
        let line = Line {
            node: node.clone(),
            client: client.clone(),
            misses: 0,
        };
        clients.insert(id, line);
        Ok(client)
    }

    fn note(&self, id: u64, answered: bool) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = clients.get_mut(&id) {
            line.misses = match answered {
                true => 0,
                false => line.misses.saturating_add(1),
            };
        }
    }

    /// Calls a node and waits for its answer at most `deadline`.
    pub(crate) async fn call<Q: Message, A: Message + Default>(
        &self,
        id: u64,
        node: &NodeInfo,
        method: Method,
        request: &Q,
        deadline: Duration,
    ) -> Result<A, CallError> {
        let mut client = self.client(id, node)?;
        let mut envelope = tonic::Request::new(pb::PeerRequest {
            version: WIRE_VERSION,
            cluster_id: self.config.cluster_id.clone(),
            from: self.config.node_id,
            to: id,
            payload: request.encode_to_vec().into(),
        });
        envelope.set_timeout(deadline);
        let answer = async {
            match method {
                Method::Append => client.append(envelope).await,
                Method::Vote => client.vote(envelope).await,
                Method::InstallSnapshot => client.install_snapshot(envelope).await,
                Method::Forward => client.forward(envelope).await,
            }
        };
        let outcome = tokio::time::timeout(deadline, answer).await;
        self.note(id, outcome.is_ok());
        let reply = match outcome {
            Ok(Ok(reply)) => reply.into_inner(),
            Ok(Err(status)) => return Err(classify(&status)),
            Err(_) => {
                return Err(CallError::Lost(format!(
                    "nothing within {} ms",
                    deadline.as_millis()
                )));
            }
        };
        if reply.version != WIRE_VERSION {
            return Err(CallError::Lost(format!(
                "the answer has the unknown version {}",
                reply.version
            )));
        }
        codec::decode(&reply.payload).map_err(CallError::Lost)
    }
}

fn classify(status: &Status) -> CallError {
    let text = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::Unimplemented
        | Code::Unauthenticated
        | Code::PermissionDenied => CallError::Refused(text),
        _ if never_connected(status) => CallError::NotSent(text),
        _ => CallError::Lost(text),
    }
}

/// True only when the connection could not be made at all.
fn never_connected(status: &Status) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = status.source();
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
