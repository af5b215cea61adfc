//! The replicated metadata as the rest of the daemon sees it.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use oms_actors::{Clock, SystemClock};
use oms_core::{ErrorCode, Failure, codes};
use oms_meta::{Followers, Members, MetaCommand, MetaState, command, level_of};
use oms_proto::{meta::Reply, v1::NodeState};
use oms_raft::{
    NodeInfo, RaftError, RaftHandle, RaftMetrics, RaftStatus, RestoreError, Silence, StateMachine,
};
use prost::Message as _;
use tokio::sync::watch;

/// The state machine behind consensus. Readers share an immutable copy.
#[derive(Default)]
pub(crate) struct Machine {
    state: MetaState,
    view: Arc<MetaState>,
}

impl StateMachine for Machine {
    type View = Arc<MetaState>;

    fn apply(&mut self, _index: u64, command: &[u8]) -> Vec<u8> {
        let reply = self.state.apply_bytes(command);
        self.view = Arc::new(self.state.clone());
        reply
    }

    fn snapshot(&self) -> Vec<u8> {
        self.state.snapshot()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        self.state = MetaState::restore(snapshot).map_err(|e| RestoreError(e.to_string()))?;
        self.view = Arc::new(self.state.clone());
        Ok(())
    }

    fn view(&self) -> Arc<MetaState> {
        self.view.clone()
    }
}

/// Reads and changes the metadata. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Metadata {
    raft: RaftHandle<Machine>,
    clock: Arc<dyn Clock>,
}

impl Metadata {
    pub(crate) fn new(raft: RaftHandle<Machine>) -> Self {
        Self {
            raft,
            clock: Arc::new(SystemClock),
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Proposes a command; returns the version of what it wrote, once it is committed and applied.
    ///
    /// # Errors
    /// A refusal of the state machine with its own code; `OMS-API-0009` when no leader can be reached,
    /// `OMS-CLUSTER-0020` for what a node of the cluster would not understand: that never reaches the log.
    pub(crate) async fn propose(&self, body: MetaCommand) -> Result<u64, Failure> {
        self.check_level(level_of(&body)).await?;
        let applied = self
            .raft
            .propose(command(self.now_ms(), body))
            .await
            .map_err(|e| failure_of(&e))?;
        let reply = Reply::decode(applied.reply.as_slice())
            .map_err(|e| Failure::new(codes::api::INTERNAL, format!("the reply cannot be decoded: {e}")))?;
        match reply.refusal {
            None => Ok(reply.object_version),
            Some(refusal) => {
                let code = ErrorCode::find(&refusal.code).unwrap_or(codes::api::INTERNAL);
                Err(Failure::new(code, refusal.message))
            }
        }
    }

    /// Refuses what not all nodes understand. An older leader would take it into the log all the same.
    async fn check_level(&self, needed: u32) -> Result<(), Failure> {
        if needed <= self.state()?.feature_level() {
            return Ok(());
        }
        // This replica may be late.
        let state = self.latest().await?;
        let level = state.feature_level();
        if needed <= level {
            return Ok(());
        }
        let old: Vec<String> = state
            .nodes()
            .filter(|n| n.state() != NodeState::Removed && n.feature_level < needed)
            .map(|n| format!("node {} (omsnode {}, level {})", n.id, n.version, n.feature_level))
            .collect();
        let words = format!(
            "this needs feature level {needed}, which these lack: {}",
            old.join(", ")
        );
        Err(Failure::new(codes::cluster::FEATURE_LEVEL, words))
    }

    /// The local state. May be behind the leader's by what is on its way.
    pub(crate) fn state(&self) -> Result<Arc<MetaState>, Failure> {
        self.raft.view().map_err(|e| failure_of(&e))
    }

    /// The state with everything that was committed before the call, and an entry of the log that it includes.
    pub(crate) async fn latest_at(&self) -> Result<(Arc<MetaState>, u64), Failure> {
        let index = self.raft.read_barrier().await.map_err(|e| failure_of(&e))?;
        Ok((self.state()?, index))
    }

    /// The state with everything that was committed before the call.
    pub(crate) async fn latest(&self) -> Result<Arc<MetaState>, Failure> {
        self.raft.read_barrier().await.map_err(|e| failure_of(&e))?;
        self.state()
    }

    /// Changes whenever the applied index or the leader changes.
    pub(crate) fn watch(&self) -> watch::Receiver<RaftStatus> {
        self.raft.watch()
    }

    pub(crate) fn node_id(&self) -> u64 {
        self.raft.node_id()
    }

    /// What this node knows of consensus: leader, term, indexes, members with their addresses.
    pub(crate) fn metrics(&self) -> RaftMetrics {
        self.raft.metrics()
    }

    /// The leader, as far as this node knows.
    pub(crate) fn leader(&self) -> Option<u64> {
        self.raft.watch().borrow().leader
    }

    /// Who takes part in consensus, as far as this node knows.
    pub(crate) fn members(&self) -> Members {
        let metrics = self.raft.metrics();
        let learners = metrics.members.keys().copied();
        let mut sets = metrics.voter_sets;
        Members {
            learners: learners.filter(|id| !metrics.voters.contains(id)).collect(),
            voters: sets.pop().unwrap_or_default(),
            former: sets,
        }
    }

    /// Asks a majority whether this node leads; true if it does. One round trip, on this node only.
    pub(crate) async fn confirm_leadership(&self, within: Duration) -> bool {
        self.raft.confirm_leadership(within).await
    }

    /// On the leader: how far the others' logs are. Who has been there for how long, the caller adds.
    pub(crate) fn followers(&self) -> Followers {
        let metrics = self.raft.metrics();
        Followers {
            last_log: metrics.last_log,
            matched: metrics.matched,
            ..Followers::default()
        }
    }

    /// Begins to hand leadership to a voter; see [`RaftHandle::fall_silent`].
    pub(crate) async fn fall_silent(&self, to: u64, within: Duration) -> Result<Silence, Failure> {
        let silence = self.raft.fall_silent(to, within).await;
        silence.map_err(|e| failure_of(&e))
    }

    /// Stands for election after a while; see [`RaftHandle::stand`].
    pub(crate) async fn stand(
        &self,
        from: (u64, u64),
        last_log: u64,
        after: Duration,
    ) -> Result<(), Failure> {
        let stood = self.raft.stand(from, last_log, after).await;
        stood.map_err(|e| Failure::new(codes::cluster::MEMBERSHIP_REFUSED, e.to_string()))
    }

    /// Adds a node that receives everything and has no vote; returns when that is committed.
    pub(crate) async fn add_learner(&self, id: u64, node: NodeInfo) -> Result<(), Failure> {
        let added = self.raft.add_learner(id, node, false).await;
        added.map_err(|e| failure_of(&e))
    }

    /// Makes exactly these members the voters; others stay as learners.
    pub(crate) async fn change_voters(&self, voters: BTreeSet<u64>) -> Result<(), Failure> {
        let changed = self.raft.change_membership(voters, true).await;
        changed.map_err(|e| failure_of(&e))
    }

    /// Takes a learner out of consensus.
    pub(crate) async fn remove_learner(&self, id: u64) -> Result<(), Failure> {
        self.raft.remove_learner(id).await.map_err(|e| failure_of(&e))
    }

    /// Corrects what consensus knows about another member.
    pub(crate) async fn set_member(&self, id: u64, node: NodeInfo) -> Result<(), Failure> {
        self.raft.set_member(id, node).await.map_err(|e| failure_of(&e))
    }

    /// Corrects what consensus knows about this node, if it differs.
    pub(crate) async fn announce(&self) -> Result<bool, Failure> {
        self.raft.announce().await.map_err(|e| failure_of(&e))
    }
}

pub(crate) fn failure_of(error: &RaftError) -> Failure {
    let code = match error {
        // Trying again here is in vain: the node ends.
        RaftError::Stopped(_) => error.code(),
        _ => codes::api::UNAVAILABLE,
    };
    Failure::new(code, error.to_string())
}
