//! openraft's network over [`Peers`].

use std::sync::Arc;
use std::time::Duration;

use oms_proto::raft as pb;
use openraft::error::{
    InstallSnapshotError, NetworkError, RPCError, RaftError as OpenraftError, RemoteError, SnapshotMismatch,
    Unreachable,
};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{AnyError, SnapshotSegmentId};

use super::peers::{CallError, Method, Peers};
use crate::codec;
use crate::config::NodeInfo;
use crate::types::TypeConfig;

type RpcResult<T, E = OpenraftError<u64>> = Result<T, RPCError<u64, NodeInfo, E>>;

/// How long a call without an answer takes at least. Whoever answers at once with the end of the connection, such as a
/// program that has the address by now, would else be called without a pause.
const PAUSE: Duration = Duration::from_millis(20);

/// Makes a [`PeerNetwork`] per target.
pub(crate) struct NetworkFactory(pub(crate) Arc<Peers>);

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = PeerNetwork;

    async fn new_client(&mut self, target: u64, node: &NodeInfo) -> PeerNetwork {
        PeerNetwork {
            peers: Arc::clone(&self.0),
            target,
            node: node.clone(),
        }
    }
}

/// Calls to one target.
pub(crate) struct PeerNetwork {
    peers: Arc<Peers>,
    target: u64,
    node: NodeInfo,
}

impl PeerNetwork {
    async fn call<Q: prost::Message, A: prost::Message + Default, E: std::error::Error>(
        &self,
        method: Method,
        request: &Q,
        option: &RPCOption,
    ) -> RpcResult<A, E> {
        let outcome = self
            .peers
            .call(self.target, &self.node, method, request, option.hard_ttl())
            .await;
        match outcome {
            Ok(answer) => Ok(answer),
            // openraft waits before it tries an unreachable node again.
            Err(error @ (CallError::NotSent(_) | CallError::Refused(_))) => {
                Err(RPCError::Unreachable(Unreachable::new(&error)))
            }
            // After this it does not, as long as there are entries to send.
            Err(error @ CallError::Lost(_)) => {
                tokio::time::sleep(PAUSE).await;
                Err(RPCError::Network(NetworkError::new(&error)))
            }
        }
    }
}

fn malformed<E: std::error::Error>(what: &str) -> RPCError<u64, NodeInfo, E> {
    RPCError::Network(NetworkError::from(AnyError::error(format!(
        "malformed answer: {what}"
    ))))
}

impl RaftNetwork<TypeConfig> for PeerNetwork {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<u64>> {
        let request = pb::AppendRequest {
            ballot: Some(codec::vote_to(&rpc.vote)),
            previous: rpc.prev_log_id.as_ref().map(codec::log_id_to),
            entries: rpc.entries.iter().map(codec::entry_to).collect(),
            committed: rpc.leader_commit.as_ref().map(codec::log_id_to),
        };
        let reply: pb::AppendReply = self.call(Method::Append, &request, &option).await?;
        use pb::append_reply::Outcome;
        match reply.outcome {
            Some(Outcome::Success(_)) => Ok(AppendEntriesResponse::Success),
            Some(Outcome::Partial(partial)) => Ok(AppendEntriesResponse::PartialSuccess(
                partial.matched.as_ref().map(codec::log_id_from),
            )),
            Some(Outcome::Conflict(_)) => Ok(AppendEntriesResponse::Conflict),
            Some(Outcome::Higher(ballot)) => Ok(AppendEntriesResponse::HigherVote(codec::vote_from(&ballot))),
            None => Err(malformed("no outcome")),
        }
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<InstallSnapshotResponse<u64>, OpenraftError<u64, InstallSnapshotError>> {
        let request = pb::SnapshotChunk {
            ballot: Some(codec::vote_to(&rpc.vote)),
            meta: Some(codec::snapshot_meta_to(&rpc.meta)),
            offset: rpc.offset,
            data: rpc.data.into(),
            done: rpc.done,
        };
        let reply: pb::SnapshotReply = self.call(Method::InstallSnapshot, &request, &option).await?;
        use pb::snapshot_reply::Outcome;
        match reply.outcome {
            Some(Outcome::Ballot(ballot)) => Ok(InstallSnapshotResponse {
                vote: codec::vote_from(&ballot),
            }),
            Some(Outcome::Mismatch(mismatch)) => {
                let mismatch = SnapshotMismatch {
                    expect: SnapshotSegmentId {
                        id: mismatch.expected_id,
                        offset: mismatch.expected_offset,
                    },
                    got: SnapshotSegmentId {
                        id: mismatch.got_id,
                        offset: mismatch.got_offset,
                    },
                };
                let error = OpenraftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch));
                Err(RPCError::RemoteError(RemoteError::new(self.target, error)))
            }
            None => Err(malformed("no outcome")),
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> RpcResult<VoteResponse<u64>> {
        let request = pb::VoteRequest {
            ballot: Some(codec::vote_to(&rpc.vote)),
            last: rpc.last_log_id.as_ref().map(codec::log_id_to),
        };
        let reply: pb::VoteReply = self.call(Method::Vote, &request, &option).await?;
        let ballot = reply.ballot.ok_or_else(|| malformed("no ballot"))?;
        Ok(VoteResponse {
            vote: codec::vote_from(&ballot),
            vote_granted: reply.granted,
            last_log_id: reply.last.as_ref().map(codec::log_id_from),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::connect::TcpConnect;
    use super::*;
    use crate::config::RaftConfig;
    use openraft::error::RPCError;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    fn node(address: &str) -> NodeInfo {
        NodeInfo {
            address: address.to_owned(),
            ..Default::default()
        }
    }

    /// What has the address now ends every connection at once: calls to it are paced.
    #[tokio::test]
    async fn who_ends_every_connection_is_not_called_without_a_pause() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let closing = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                drop(connection);
            }
        });
        let config = RaftConfig::new("c", 1, node("127.0.0.1:1"));
        let peers = Arc::new(Peers::new(config, Arc::new(TcpConnect::default())));
        let mut network = NetworkFactory(peers).new_client(2, &node(&address)).await;
        for _ in 0..3 {
            let request = VoteRequest::new(openraft::Vote::new(1, 1), None);
            let begun = Instant::now();
            let answer = network
                .vote(request, RPCOption::new(Duration::from_secs(60)))
                .await;
            match answer.unwrap_err() {
                RPCError::Network(_) => assert!(begun.elapsed() >= PAUSE),
                // This it does not repeat at once by itself.
                RPCError::Unreachable(_) => {}
                other => panic!("{other}"),
            }
        }
        closing.abort();
    }
}
