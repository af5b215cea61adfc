//! openraft's network over [`Peers`].

use std::sync::Arc;

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
        self.peers
            .call(self.target, &self.node, method, request, option.hard_ttl())
            .await
            .map_err(|error| {
                match &error {
                    // openraft waits before it tries an unreachable node again.
                    CallError::NotSent(_) | CallError::Refused(_) => {
                        RPCError::Unreachable(Unreachable::new(&error))
                    }
                    CallError::Lost(_) => RPCError::Network(NetworkError::new(&error)),
                }
            })
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
