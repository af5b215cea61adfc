//! The called side.

use std::sync::Arc;
use std::time::Duration;

use oms_proto::raft as pb;
use oms_proto::raft::raft_service_server::{RaftService, RaftServiceServer};
use openraft::error::{InstallSnapshotError, RaftError as OpenraftError};
use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, VoteRequest};
use prost::Message;
use tonic::{Request, Response, Status};

use super::WIRE_VERSION;
use crate::codec::{self, DecodeError};
use crate::config::RaftConfig;
use crate::operation::Submitter;
use crate::types::Raft;

/// The gRPC service other nodes call. A node adds it to its server with
/// [`RaftHandle::service`](crate::RaftHandle::service); it refuses requests of other clusters, for other
/// nodes, of unknown versions, and over the size limits.
#[derive(Clone)]
pub struct RaftEndpoint {
    raft: Raft,
    submitter: Arc<Submitter>,
    config: RaftConfig,
}

impl RaftEndpoint {
    pub(crate) fn new(raft: Raft, submitter: Arc<Submitter>, config: RaftConfig) -> Self {
        Self {
            raft,
            submitter,
            config,
        }
    }

    /// The service with its message limits.
    pub(crate) fn into_service(self) -> RaftServiceServer<Self> {
        let limit = self.config.max_message_bytes();
        RaftServiceServer::new(self)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit)
    }

    fn open<M: Message + Default>(&self, request: &pb::PeerRequest) -> Result<M, Status> {
        if request.version != WIRE_VERSION {
            return Err(Status::failed_precondition(format!(
                "the request has version {}, this node speaks {WIRE_VERSION}",
                request.version
            )));
        }
        if request.cluster_id != self.config.cluster_id {
            return Err(Status::failed_precondition(format!(
                "the request is for cluster \"{}\", this node belongs to \"{}\"",
                request.cluster_id, self.config.cluster_id
            )));
        }
        if request.to != self.config.node_id {
            return Err(Status::failed_precondition(format!(
                "the request is for node {}, this is node {}",
                request.to, self.config.node_id
            )));
        }
        codec::decode(&request.payload).map_err(malformed)
    }
}

fn malformed(what: DecodeError) -> Status {
    Status::invalid_argument(format!("malformed payload: {what}"))
}

fn required<T>(field: Option<T>, name: &str) -> Result<T, Status> {
    codec::required(field, name).map_err(malformed)
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("consensus has stopped on this node: {error}"))
}

fn seal(message: &impl Message) -> Result<Response<pb::PeerReply>, Status> {
    Ok(Response::new(pb::PeerReply {
        version: WIRE_VERSION,
        payload: message.encode_to_vec().into(),
    }))
}

type Reply = Result<Response<pb::PeerReply>, Status>;

#[tonic::async_trait]
impl RaftService for RaftEndpoint {
    async fn append(&self, request: Request<pb::PeerRequest>) -> Reply {
        let request: pb::AppendRequest = self.open(request.get_ref())?;
        let entries = request
            .entries
            .into_iter()
            .map(codec::entry_from)
            .collect::<Result<_, _>>();
        let rpc = AppendEntriesRequest {
            vote: codec::vote_from(&required(request.ballot, "ballot")?),
            prev_log_id: request.previous.as_ref().map(codec::log_id_from),
            entries: entries.map_err(malformed)?,
            leader_commit: request.committed.as_ref().map(codec::log_id_from),
        };
        use pb::append_reply::Outcome;
        let outcome = match self.raft.append_entries(rpc).await.map_err(stopped)? {
            AppendEntriesResponse::Success => Outcome::Success(pb::Blank {}),
            AppendEntriesResponse::PartialSuccess(matched) => Outcome::Partial(pb::PartialSuccess {
                matched: matched.as_ref().map(codec::log_id_to),
            }),
            AppendEntriesResponse::Conflict => Outcome::Conflict(pb::Blank {}),
            AppendEntriesResponse::HigherVote(vote) => Outcome::Higher(codec::vote_to(&vote)),
        };
        seal(&pb::AppendReply {
            outcome: Some(outcome),
        })
    }

    async fn vote(&self, request: Request<pb::PeerRequest>) -> Reply {
        let request: pb::VoteRequest = self.open(request.get_ref())?;
        let vote = codec::vote_from(&required(request.ballot, "ballot")?);
        let rpc = VoteRequest::new(vote, request.last.as_ref().map(codec::log_id_from));
        let answer = self.raft.vote(rpc).await.map_err(stopped)?;
        seal(&pb::VoteReply {
            ballot: Some(codec::vote_to(&answer.vote)),
            granted: answer.vote_granted,
            last: answer.last_log_id.as_ref().map(codec::log_id_to),
        })
    }

    async fn install_snapshot(&self, request: Request<pb::PeerRequest>) -> Reply {
        let request: pb::SnapshotChunk = self.open(request.get_ref())?;
        let end = request.offset.saturating_add(request.data.len() as u64);
        if end > self.config.max_snapshot_bytes {
            return Err(Status::failed_precondition(format!(
                "the snapshot is over the limit of {} bytes",
                self.config.max_snapshot_bytes
            )));
        }
        let rpc = InstallSnapshotRequest {
            vote: codec::vote_from(&required(request.ballot, "ballot")?),
            meta: codec::snapshot_meta_from(required(request.meta, "meta")?).map_err(malformed)?,
            offset: request.offset,
            data: request.data.into(),
            done: request.done,
        };
        use pb::snapshot_reply::Outcome;
        let outcome = match self.raft.install_snapshot(rpc).await {
            Ok(answer) => Outcome::Ballot(codec::vote_to(&answer.vote)),
            Err(OpenraftError::APIError(InstallSnapshotError::SnapshotMismatch(mismatch))) => {
                Outcome::Mismatch(pb::SnapshotMismatch {
                    expected_id: mismatch.expect.id,
                    expected_offset: mismatch.expect.offset,
                    got_id: mismatch.got.id,
                    got_offset: mismatch.got.offset,
                })
            }
            Err(OpenraftError::Fatal(fatal)) => return Err(stopped(fatal)),
        };
        seal(&pb::SnapshotReply {
            outcome: Some(outcome),
        })
    }

    async fn forward(&self, request: Request<pb::PeerRequest>) -> Reply {
        let asked = caller_deadline(&request);
        let request: pb::ForwardRequest = self.open(request.get_ref())?;
        let longest = self.config.timings.operation.max(self.config.timings.membership);
        let reply = self
            .submitter
            .answer(request, asked.map_or(longest, |asked| asked.min(longest)))
            .await;
        seal(&reply)
    }
}

/// The deadline the caller sent along, in the form gRPC prescribes (digits and a unit).
fn caller_deadline<T>(request: &Request<T>) -> Option<Duration> {
    let text = request.metadata().get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(value.checked_mul(3600)?),
        "M" => Duration::from_secs(value.checked_mul(60)?),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}
