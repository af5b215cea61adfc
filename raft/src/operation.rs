//! Operations only the leader can do, and the one place that takes them there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use oms_proto::raft as pb;
use openraft::error::{CheckIsLeaderError, ClientWriteError, RaftError as OpenraftError};
use openraft::{ChangeMembers, LogIdOptionExt, ServerState};
use tokio::sync::RwLock;
use tokio::time::Instant;

use crate::codec;
use crate::config::{NodeInfo, RaftConfig};
use crate::error::{RaftError, RaftResult};
use crate::network::{CallError, Method, Peers};
use crate::storage::LastIndex;
use crate::types::{Command, Raft};

/// How often an operation may be handed on: once to the node taken for the leader, and a few times more
/// while leadership moves.
const MAX_HOPS: u32 = 3;

/// A committed and applied command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its index in the log.
    pub index: u64,
    /// The state machine's reply.
    pub reply: Vec<u8>,
}

/// An operation for the leader.
#[derive(Clone)]
pub(crate) enum Operation {
    Propose(Vec<u8>),
    ReadIndex,
    AddLearner { id: u64, node: NodeInfo, blocking: bool },
    SetMember { id: u64, node: NodeInfo },
    ChangeVoters { voters: BTreeSet<u64>, retain: bool },
    RemoveLearner(u64),
}

/// How an operation ended on the node that tried it.
enum Attempt {
    Done(Applied),
    /// Nothing was done: this node is not the leader. The leader, as far as it knows.
    NotLeader(Option<(u64, NodeInfo)>),
    Failed(RaftError),
}

/// Runs operations: here when this node leads, on the leader otherwise.
pub(crate) struct Submitter {
    raft: Raft,
    peers: Arc<Peers>,
    last_index: LastIndex,
    config: RaftConfig,
    /// Held by every operation that this node carries out as the leader; closed while it hands over.
    gate: Arc<RwLock<()>>,
}

impl Submitter {
    pub(crate) fn new(raft: Raft, peers: Arc<Peers>, last_index: LastIndex, config: RaftConfig) -> Self {
        Self {
            raft,
            peers,
            last_index,
            config,
            gate: Arc::default(),
        }
    }

    /// What closes this leader to operations; see [`crate::Silence`].
    pub(crate) fn gate(&self) -> Arc<RwLock<()>> {
        Arc::clone(&self.gate)
    }

    /// Does an operation wherever the leader is, waiting for one until the deadline.
    ///
    /// It is tried again only while it is certain that nothing was proposed. For a read index the
    /// returned reply is empty.
    pub(crate) async fn submit(&self, operation: Operation, timeout: Duration) -> RaftResult<Applied> {
        self.check_size(&operation)?;
        let deadline = Instant::now() + timeout;
        let mut metrics = self.raft.metrics();
        loop {
            metrics.mark_unchanged();
            let quorum_missing = match self.attempt(&operation, 0, deadline).await {
                Attempt::Done(applied) => return Ok(applied),
                Attempt::Failed(RaftError::NoQuorum) => true,
                Attempt::Failed(error) => return Err(error),
                Attempt::NotLeader(_) => false,
            };
            // Woken by any change; the pause covers changes on other nodes that this one cannot see.
            let pause = self
                .config
                .timings
                .heartbeat
                .min(deadline.saturating_duration_since(Instant::now()));
            if let Ok(Err(_)) = tokio::time::timeout(pause, metrics.changed()).await {
                return Err(RaftError::Stopped("it was shut down".to_owned()));
            }
            // Not tried once more at the very end: a proposal cut off at once would leave its outcome open.
            if Instant::now() >= deadline {
                return Err(if quorum_missing {
                    RaftError::NoQuorum
                } else {
                    RaftError::NoLeader {
                        waited_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                    }
                });
            }
        }
    }

    /// Answers an operation that another node handed over.
    pub(crate) async fn answer(&self, request: pb::ForwardRequest, timeout: Duration) -> pb::ForwardReply {
        let hops = request.hops;
        let deadline = Instant::now() + timeout;
        let outcome = match Operation::from_wire(request) {
            Err(what) => forward_error(pb::forward_error::Kind::Refused, what),
            Ok(operation) => match self.check_size(&operation) {
                Err(error) => failure_to_wire(&error),
                Ok(()) => match self.attempt(&operation, hops, deadline).await {
                    Attempt::Done(applied) if matches!(operation, Operation::ReadIndex) => {
                        pb::forward_reply::Outcome::ReadIndex(applied.index)
                    }
                    Attempt::Done(Applied { index, reply }) => {
                        pb::forward_reply::Outcome::Applied(pb::Applied {
                            index,
                            reply: reply.into(),
                        })
                    }
                    Attempt::NotLeader(_) => {
                        forward_error(pb::forward_error::Kind::NotLeader, "not the leader".to_owned())
                    }
                    Attempt::Failed(error) => failure_to_wire(&error),
                },
            },
        };
        pb::ForwardReply {
            outcome: Some(outcome),
        }
    }

    fn check_size(&self, operation: &Operation) -> RaftResult<()> {
        match operation {
            Operation::Propose(command) if command.len() > self.config.max_command_bytes => {
                Err(RaftError::TooLarge {
                    size: command.len(),
                    limit: self.config.max_command_bytes,
                })
            }
            _ => Ok(()),
        }
    }

    async fn attempt(&self, operation: &Operation, hops: u32, deadline: Instant) -> Attempt {
        match self.here(operation, deadline).await {
            Attempt::NotLeader(Some((leader, node))) if leader != self.config.node_id && hops < MAX_HOPS => {
                self.forward(operation, leader, &node, hops + 1, deadline).await
            }
            other => other,
        }
    }

    /// Tries the operation on this node alone.
    async fn here(&self, operation: &Operation, deadline: Instant) -> Attempt {
        // Whatever is said before anything is handed in is certain.
        {
            let metrics = self.raft.metrics();
            let metrics = metrics.borrow();
            if let Err(fatal) = &metrics.running_state {
                return Attempt::Failed(RaftError::Stopped(fatal.to_string()));
            }
            if metrics.state != ServerState::Leader {
                let known = metrics.current_leader.and_then(|leader| {
                    let node = metrics.membership_config.membership().get_node(&leader)?;
                    Some((leader, node.clone()))
                });
                return Attempt::NotLeader(known);
            }
        }
        // A leader that is about to hand over takes nothing; in a moment there is another one, or it goes on.
        let Ok(_open) = self.gate.try_read() else {
            return Attempt::NotLeader(None);
        };
        let attempt = async {
            match operation.clone() {
                Operation::Propose(command) => from_write(self.raft.client_write(Command(command)).await),
                Operation::ReadIndex => from_read(self.raft.get_read_log_id().await, &self.last_index),
                Operation::AddLearner { id, node, blocking } => {
                    from_write(self.raft.add_learner(id, node, blocking).await)
                }
                Operation::SetMember { id, node } => {
                    let change = ChangeMembers::SetNodes([(id, node)].into());
                    from_write(self.raft.change_membership(change, true).await)
                }
                Operation::ChangeVoters { voters, retain } => {
                    from_write(self.raft.change_membership(voters, retain).await)
                }
                Operation::RemoveLearner(id) => {
                    let change = ChangeMembers::RemoveNodes([id].into());
                    from_write(self.raft.change_membership(change, false).await)
                }
            }
        };
        match tokio::time::timeout_at(deadline, attempt).await {
            Ok(attempt) => attempt,
            Err(_) if matches!(operation, Operation::ReadIndex) => Attempt::Failed(RaftError::NoQuorum),
            Err(_) => Attempt::Failed(RaftError::Indeterminate(
                "no majority confirmed it in time".to_owned(),
            )),
        }
    }

    async fn forward(
        &self,
        operation: &Operation,
        leader: u64,
        node: &NodeInfo,
        hops: u32,
        deadline: Instant,
    ) -> Attempt {
        let remaining = deadline.saturating_duration_since(Instant::now());
        let request = operation.to_wire(hops);
        match self
            .peers
            .call::<_, pb::ForwardReply>(leader, node, Method::Forward, &request, remaining)
            .await
        {
            Ok(reply) => from_wire(reply),
            // A read may be asked again whatever happened to the question.
            Err(CallError::NotSent(_)) => Attempt::NotLeader(None),
            Err(CallError::Lost(_)) if matches!(operation, Operation::ReadIndex) => Attempt::NotLeader(None),
            Err(CallError::Lost(what)) => Attempt::Failed(RaftError::Indeterminate(what)),
            Err(CallError::Refused(what)) => Attempt::Failed(RaftError::WrongPeer(what)),
        }
    }
}

type WriteResult = Result<
    openraft::raft::ClientWriteResponse<crate::types::TypeConfig>,
    OpenraftError<u64, ClientWriteError<u64, NodeInfo>>,
>;

fn from_write(result: WriteResult) -> Attempt {
    match result {
        Ok(response) => Attempt::Done(Applied {
            index: response.log_id.index,
            reply: response.data.0,
        }),
        Err(OpenraftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
            Attempt::NotLeader(to.leader_id.zip(to.leader_node))
        }
        Err(OpenraftError::APIError(ClientWriteError::ChangeMembershipError(error))) => {
            Attempt::Failed(RaftError::Membership(error.to_string()))
        }
        // Whatever was handed in may already be in the log; only a node that never took it in knows better.
        Err(OpenraftError::Fatal(fatal)) => Attempt::Failed(RaftError::Indeterminate(format!(
            "consensus stopped on the node that proposed it: {fatal}"
        ))),
    }
}

type ReadResult = Result<
    (Option<crate::types::LogId>, Option<crate::types::LogId>),
    OpenraftError<u64, CheckIsLeaderError<u64, NodeInfo>>,
>;

/// What a linearizable read must wait for.
///
/// openraft answers with the last index it knows to be committed. A leader that was restarted and leads
/// its old term again may not know yet how far that was; the end of its log is never too early.
fn from_read(result: ReadResult, last_index: &LastIndex) -> Attempt {
    match result {
        Ok((read, _)) => {
            let index = read.index().unwrap_or(0).max(last_index.get());
            Attempt::Done(Applied {
                index,
                reply: Vec::new(),
            })
        }
        Err(OpenraftError::APIError(CheckIsLeaderError::ForwardToLeader(to))) => {
            Attempt::NotLeader(to.leader_id.zip(to.leader_node))
        }
        Err(OpenraftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))) => {
            Attempt::Failed(RaftError::NoQuorum)
        }
        Err(OpenraftError::Fatal(fatal)) => Attempt::Failed(RaftError::Stopped(fatal.to_string())),
    }
}

impl Operation {
    fn to_wire(&self, hops: u32) -> pb::ForwardRequest {
        use pb::forward_request::Operation as Wire;
        let operation = match self {
            Self::Propose(command) => Wire::Propose(command.clone().into()),
            Self::ReadIndex => Wire::ReadIndex(pb::Blank {}),
            Self::AddLearner { id, node, blocking } => Wire::AddLearner(pb::AddLearner {
                member: Some(codec::member_to(*id, node)),
                blocking: *blocking,
            }),
            Self::SetMember { id, node } => Wire::SetMember(codec::member_to(*id, node)),
            Self::ChangeVoters { voters, retain } => Wire::ChangeVoters(pb::ChangeVoters {
                voters: voters.iter().copied().collect(),
                retain: *retain,
            }),
            Self::RemoveLearner(id) => Wire::RemoveLearner(*id),
        };
        pb::ForwardRequest {
            hops,
            operation: Some(operation),
        }
    }

    fn from_wire(request: pb::ForwardRequest) -> Result<Self, codec::DecodeError> {
        use pb::forward_request::Operation as Wire;
        Ok(match codec::required(request.operation, "operation")? {
            Wire::Propose(command) => Self::Propose(command.into()),
            Wire::ReadIndex(_) => Self::ReadIndex,
            Wire::AddLearner(add) => {
                let (id, node) = codec::member_from(codec::required(add.member, "member")?);
                Self::AddLearner {
                    id,
                    node,
                    blocking: add.blocking,
                }
            }
            Wire::SetMember(member) => {
                let (id, node) = codec::member_from(member);
                Self::SetMember { id, node }
            }
            Wire::ChangeVoters(change) => Self::ChangeVoters {
                voters: change.voters.into_iter().collect(),
                retain: change.retain,
            },
            Wire::RemoveLearner(id) => Self::RemoveLearner(id),
        })
    }
}

fn forward_error(kind: pb::forward_error::Kind, message: String) -> pb::forward_reply::Outcome {
    pb::forward_reply::Outcome::Error(pb::ForwardError {
        kind: kind.into(),
        message,
    })
}

fn failure_to_wire(error: &RaftError) -> pb::forward_reply::Outcome {
    use pb::forward_error::Kind;
    let (kind, message) = match error {
        RaftError::Membership(what) => (Kind::Refused, what.clone()),
        RaftError::NoQuorum => (Kind::NoQuorum, error.to_string()),
        RaftError::TooLarge { .. } | RaftError::TooLargeForLeader(_) => (Kind::TooLarge, error.to_string()),
        RaftError::Indeterminate(what) => (Kind::Indeterminate, what.clone()),
        // Everything else says that nothing was proposed here.
        other => (Kind::NotLeader, other.to_string()),
    };
    forward_error(kind, message)
}

fn from_wire(reply: pb::ForwardReply) -> Attempt {
    use pb::forward_error::Kind;
    let error = match reply.outcome {
        Some(pb::forward_reply::Outcome::Applied(applied)) => {
            return Attempt::Done(Applied {
                index: applied.index,
                reply: applied.reply.into(),
            });
        }
        Some(pb::forward_reply::Outcome::ReadIndex(index)) => {
            return Attempt::Done(Applied {
                index,
                reply: Vec::new(),
            });
        }
        Some(pb::forward_reply::Outcome::Error(error)) => error,
        None => {
            return Attempt::Failed(RaftError::Indeterminate(
                "the leader's answer is empty".to_owned(),
            ));
        }
    };
    match error.kind() {
        Kind::NotLeader => Attempt::NotLeader(None),
        Kind::Refused => Attempt::Failed(RaftError::Membership(error.message)),
        Kind::NoQuorum => Attempt::Failed(RaftError::NoQuorum),
        Kind::TooLarge => Attempt::Failed(RaftError::TooLargeForLeader(error.message)),
        Kind::Indeterminate | Kind::Unspecified => Attempt::Failed(RaftError::Indeterminate(error.message)),
    }
}
