//! The replicated metadata as the rest of the daemon sees it.

use std::sync::Arc;

use oms_actors::{Clock, SystemClock};
use oms_core::{ErrorCode, Failure, codes};
use oms_meta::{MetaCommand, MetaState, command};
use oms_proto::meta::Reply;
use oms_raft::{RaftError, RaftHandle, RaftStatus, RestoreError, StateMachine};
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
    /// A refusal of the state machine with its own code; `OMS-API-0009` when no leader can be reached.
    pub(crate) async fn propose(&self, body: MetaCommand) -> Result<u64, Failure> {
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

    /// The local state. May be behind the leader's by what is on its way.
    pub(crate) fn state(&self) -> Result<Arc<MetaState>, Failure> {
        self.raft.view().map_err(|e| failure_of(&e))
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
}

pub(crate) fn failure_of(error: &RaftError) -> Failure {
    let code = match error {
        // Trying again here is in vain: the node ends.
        RaftError::Stopped(_) => error.code(),
        _ => codes::api::UNAVAILABLE,
    };
    Failure::new(code, error.to_string())
}
