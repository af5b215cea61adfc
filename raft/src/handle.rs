//! The narrow handle in front of consensus.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use oms_kv::KvEngine;
use oms_proto::raft::raft_service_server::RaftServiceServer;
use openraft::error::{InitializeError, RaftError as OpenraftError};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};

use crate::config::{NodeInfo, RaftConfig};
use crate::error::{RaftError, RaftResult};
use crate::handover::{self, Silence};
use crate::network::{Connect, NetworkFactory, Peers, RaftEndpoint};
use crate::operation::{Applied, Operation, Submitter};
use crate::state_machine::StateMachine;
use crate::status::{MetricsWatch, RaftMetrics, RaftStatus, Role};
use crate::storage::{LogStore, Machine, SharedState, SnapshotStore, check_folder};
use crate::types::Raft;

/// A running node of the cluster. Clones are cheap and stand for the same node.
///
/// Dropping every clone does not stop the node; [`RaftHandle::shutdown`] does.
pub struct RaftHandle<S> {
    raft: Raft,
    state: Arc<SharedState<S>>,
    submitter: Arc<Submitter>,
    engine: Arc<dyn KvEngine>,
    config: RaftConfig,
    status: watch::Receiver<RaftStatus>,
}

impl<S> Clone for RaftHandle<S> {
    fn clone(&self) -> Self {
        Self {
            raft: self.raft.clone(),
            state: Arc::clone(&self.state),
            submitter: Arc::clone(&self.submitter),
            engine: Arc::clone(&self.engine),
            config: self.config.clone(),
            status: self.status.clone(),
        }
    }
}

impl<S: StateMachine> RaftHandle<S> {
    /// Opens the node on its engine: checks the folder, restores the last snapshot into `machine`, and
    /// applies again what is known to be committed since.
    ///
    /// A node that led a cluster of one before leads it again when this returns or a moment later. A new
    /// node waits until it is initialized or added by a leader.
    ///
    /// # Errors
    /// [`RaftError::Config`], [`RaftError::WrongFolder`], [`RaftError::Damaged`] or
    /// [`RaftError::Storage`]; the folder is then as it was.
    pub async fn open(
        config: RaftConfig,
        engine: Arc<dyn KvEngine>,
        machine: S,
        connect: Arc<dyn Connect>,
    ) -> RaftResult<Self> {
        let settings = Arc::new(config.to_openraft()?);
        let (checked_engine, checked_config) = (Arc::clone(&engine), config.clone());
        let machine = tokio::task::spawn_blocking(move || {
            check_folder(&*checked_engine, &checked_config)?;
            Machine::open(machine, SnapshotStore::new(checked_engine))
        })
        .await
        .map_err(|error| RaftError::Damaged(format!("opening ended abnormally: {error}")))??;
        let state = machine.shared();
        let peers = Arc::new(Peers::new(config.clone(), connect));
        let network = NetworkFactory(Arc::clone(&peers));
        let log = LogStore::new(Arc::clone(&engine));
        let last_index = log.last_index();
        let raft = Raft::new(config.node_id, settings, network, log, machine)
            .await
            .map_err(|error| RaftError::Stopped(error.to_string()))?;
        let submitter = Arc::new(Submitter::new(raft.clone(), peers, last_index, config.clone()));
        let status = follow(raft.metrics());
        Ok(Self {
            raft,
            state,
            submitter,
            engine,
            config,
            status,
        })
    }

    /// Makes this node, when its folder is new, a cluster of one voter, and returns once it leads it. On
    /// a node that is a member of a cluster already it does nothing but wait for a leader, so it may be
    /// called at every start.
    pub async fn initialize_single(&self) -> RaftResult<()> {
        let members = BTreeMap::from([(self.config.node_id, self.config.node.clone())]);
        match self.raft.initialize(members).await {
            Ok(()) | Err(OpenraftError::APIError(InitializeError::NotAllowed(_))) => {}
            Err(OpenraftError::APIError(InitializeError::NotInMembers(error))) => {
                return Err(RaftError::Config(error.to_string()));
            }
            Err(OpenraftError::Fatal(fatal)) => return Err(RaftError::Stopped(fatal.to_string())),
        }
        self.wait_for_leader(self.config.timings.operation)
            .await
            .map(|_| ())
    }

    /// Whether this node has ever been part of a cluster.
    pub async fn is_initialized(&self) -> RaftResult<bool> {
        self.raft
            .is_initialized()
            .await
            .map_err(|fatal| RaftError::Stopped(fatal.to_string()))
    }

    /// Proposes a command and returns the state machine's reply once a majority has stored the command
    /// durably, the leader has applied it, and (unless that takes longer than the deadline) this node
    /// has applied it too. Linearizable; works on every node.
    ///
    /// # Errors
    /// After [`RaftError::Indeterminate`] the command may have been or may still be applied; after every
    /// other error it was not and never will be. Commands are never proposed twice.
    ///
    /// # Cancellation
    /// Dropping the future leaves it open whether the command is applied.
    pub async fn propose(&self, command: Vec<u8>) -> RaftResult<Applied> {
        self.submit(Operation::Propose(command), self.config.timings.operation)
            .await
    }

    /// Returns once this node's state includes everything that was committed anywhere before the call;
    /// returns the applied index. A read after it is linearizable. Works on every node; may be repeated.
    pub async fn read_barrier(&self) -> RaftResult<u64> {
        let deadline = Instant::now() + self.config.timings.operation;
        let applied = self
            .submitter
            .submit(Operation::ReadIndex, self.config.timings.operation)
            .await?;
        self.wait_until(deadline, |status| status.applied >= applied.index)
            .await
            .map(|status| status.applied)
    }

    /// Follows role, leader and applied index. Values may be skipped; the newest is always there.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<RaftStatus> {
        self.status.clone()
    }

    /// Waits until a leader is known and returns its id.
    pub async fn wait_for_leader(&self, timeout: Duration) -> RaftResult<u64> {
        let status = self
            .wait_until(Instant::now() + timeout, |status| status.leader.is_some())
            .await?;
        status.leader.ok_or(RaftError::NoLeader { waited_ms: 0 })
    }

    /// A view of the local state: consistent in itself, but possibly behind the leader's; see
    /// [`RaftHandle::read_barrier`].
    pub fn view(&self) -> RaftResult<S::View> {
        self.state.read(|machine, _| machine.view())
    }

    /// Looks at the local state and the index it stands at. The state cannot change meanwhile, so `look`
    /// must be short and must not call this handle.
    pub fn with_state<R>(&self, look: impl FnOnce(&S, u64) -> R) -> RaftResult<R> {
        self.state.read(look)
    }

    /// What this node reports about consensus.
    #[must_use]
    pub fn metrics(&self) -> RaftMetrics {
        RaftMetrics::of(&self.raft.metrics().borrow())
    }

    /// This node's id.
    #[must_use]
    pub fn node_id(&self) -> u64 {
        self.config.node_id
    }

    /// Adds a node that receives everything and has no vote; with `wait`, returns only when it has
    /// caught up. Adding a member again changes nothing.
    pub async fn add_learner(&self, id: u64, node: NodeInfo, wait: bool) -> RaftResult<()> {
        self.submit(
            Operation::AddLearner {
                id,
                node,
                blocking: wait,
            },
            self.config.timings.membership,
        )
        .await
        .map(|_| ())
    }

    /// Makes exactly these members the voters; each must be a learner or voter already. Voters that are
    /// no longer named stay as learners with `retain` and leave the cluster without.
    pub async fn change_membership(&self, voters: BTreeSet<u64>, retain: bool) -> RaftResult<()> {
        self.submit(
            Operation::ChangeVoters { voters, retain },
            self.config.timings.membership,
        )
        .await
        .map(|_| ())
    }

    /// Removes a learner from the cluster.
    pub async fn remove_learner(&self, id: u64) -> RaftResult<()> {
        self.submit(Operation::RemoveLearner(id), self.config.timings.membership)
            .await
            .map(|_| ())
    }

    /// Corrects what the cluster knows about this node (its address above all) when it differs from the
    /// configuration; nothing is proposed when it does not, or when this node is not a member. True when
    /// something was corrected.
    pub async fn announce(&self) -> RaftResult<bool> {
        let id = self.config.node_id;
        match self.metrics().members.get(&id) {
            Some(known) if *known != self.config.node => {
                let operation = Operation::SetMember {
                    id,
                    node: self.config.node.clone(),
                };
                self.submit(operation, self.config.timings.membership)
                    .await
                    .map(|_| true)
            }
            _ => Ok(false),
        }
    }

    /// Corrects what the cluster knows about a member, above all its address. For the leader, when a member came
    /// back elsewhere and cannot be reached to announce itself.
    pub async fn set_member(&self, id: u64, node: NodeInfo) -> RaftResult<()> {
        self.submit(Operation::SetMember { id, node }, self.config.timings.membership)
            .await
            .map(|_| ())
    }

    /// Whether this node leads, confirmed by a majority in answer to messages that are sent after the call
    /// began. Never handed on to another node; false when `within` is over.
    /// False while this node hands over, too: a confirmation would make voters refuse its successor.
    pub async fn confirm_leadership(&self, within: Duration) -> bool {
        let gate = self.submitter.gate();
        let Ok(_open) = gate.try_read() else { return false };
        let asked = tokio::time::timeout(within, self.raft.get_read_log_id()).await;
        matches!(asked, Ok(Ok(_)))
    }

    /// Begins to hand leadership to the voter `to`: this leader falls silent once `to` has its whole log, so that the
    /// voters come to accept another one. Tell `to` to [`RaftHandle::stand`] with what the silence says.
    ///
    /// # Errors
    /// [`RaftError::Membership`] when that is not possible `within` this time; then nothing has changed.
    pub async fn fall_silent(&self, to: u64, within: Duration) -> RaftResult<Silence> {
        let timings = &self.config.timings;
        Silence::begin(&self.raft, self.submitter.gate(), timings, to, within).await
    }

    /// Asks for votes on this node after `after`, if it follows `leader` in `term` then and now, and has the log up to
    /// `last_log` then. Returns when the votes have been asked for.
    ///
    /// # Errors
    /// [`RaftError::Membership`] when something else is the case; nothing was done then.
    ///
    /// # Cancellation
    /// Dropping the future before `after` is over calls it off.
    pub async fn stand(&self, (leader, term): (u64, u64), last_log: u64, after: Duration) -> RaftResult<()> {
        handover::stand(&self.raft, (leader, term), last_log, after).await
    }

    /// Takes a snapshot soon and purges the log behind it; returns when it was requested.
    pub async fn request_snapshot(&self) -> RaftResult<()> {
        self.raft
            .trigger()
            .snapshot()
            .await
            .map_err(|fatal| RaftError::Stopped(fatal.to_string()))
    }

    /// The gRPC service that other nodes call; add it to the node's server.
    #[must_use]
    pub fn service(&self) -> RaftServiceServer<RaftEndpoint> {
        RaftEndpoint::new(
            self.raft.clone(),
            Arc::clone(&self.submitter),
            self.config.clone(),
        )
        .into_service()
    }

    /// Stops taking part and makes everything written durable. Operations under way end with an error.
    /// May be called again.
    pub async fn shutdown(&self) -> RaftResult<()> {
        self.raft
            .shutdown()
            .await
            .map_err(|error| RaftError::Stopped(error.to_string()))?;
        let engine = Arc::clone(&self.engine);
        tokio::task::spawn_blocking(move || engine.sync())
            .await
            .map_err(|error| RaftError::Stopped(error.to_string()))??;
        Ok(())
    }

    async fn submit(&self, operation: Operation, timeout: Duration) -> RaftResult<Applied> {
        let deadline = Instant::now() + timeout;
        let applied = self.submitter.submit(operation, timeout).await?;
        // It is done, whether or not this node gets to see it in time.
        let _ = self
            .wait_until(deadline, |status| status.applied >= applied.index)
            .await;
        Ok(applied)
    }

    async fn wait_until(
        &self,
        deadline: Instant,
        enough: impl Fn(&RaftStatus) -> bool,
    ) -> RaftResult<RaftStatus> {
        let begun = Instant::now();
        let mut status = self.status.clone();
        let reached = status.wait_for(|status| enough(status) || status.role == Role::Stopped);
        match tokio::time::timeout_at(deadline, reached).await {
            Ok(Ok(status)) if status.role == Role::Stopped => Err(self.stopped()),
            Ok(Ok(status)) => Ok(status.clone()),
            Ok(Err(_)) => Err(self.stopped()),
            Err(_) => Err(RaftError::NoLeader {
                waited_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            }),
        }
    }

    fn stopped(&self) -> RaftError {
        RaftError::Stopped(
            self.metrics()
                .stopped_because
                .unwrap_or_else(|| "it was shut down".to_owned()),
        )
    }
}

/// Turns openraft's metrics into a status that changes only when the status does. Ends with the node.
fn follow(mut metrics: MetricsWatch) -> watch::Receiver<RaftStatus> {
    let (sender, receiver) = watch::channel(RaftStatus::of(&metrics.borrow_and_update()));
    tokio::spawn(async move {
        loop {
            let alive = tokio::select! {
                changed = metrics.changed() => changed.is_ok(),
                // Nobody listens any more.
                () = sender.closed() => return,
            };
            let mut next = RaftStatus::of(&metrics.borrow_and_update());
            if !alive {
                (next.role, next.leader) = (Role::Stopped, None);
            }
            sender.send_if_modified(|status| {
                let changed = *status != next;
                *status = next;
                changed
            });
            if !alive {
                return;
            }
        }
    });
    receiver
}
