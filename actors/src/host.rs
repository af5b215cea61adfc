//! The components of one node, each under an actor.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use oms_core::{ComponentId, Epoch};
use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use thiserror::Error;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Behavior, Clock, ComponentLog, Context, Observation, ProgressCell, Reporter, RetryPolicy, RunState,
    worker::{Retries, live},
};

/// How long a component that is forgotten may take to stop.
const FORGET_GRACE: Duration = Duration::from_secs(10);

/// Why the host could not do something.
#[derive(Debug, Error)]
pub enum HostError {
    /// The actor system did not start or answer.
    #[error("the component's actor does not answer: {0}")]
    Actor(String),
    /// Already running here under another epoch.
    #[error("{0} is running here under epoch {1}; stop it first")]
    Running(ComponentId, Epoch),
}

enum Control {
    /// The worker ended.
    Ended(RunState),
    /// Stop; answered when the worker has ended.
    Stop(RpcReplyPort<()>),
    /// End the worker where it stands, if it is still there.
    Abort,
    Observe(RpcReplyPort<Observation>),
}

/// The control surface of one component.
struct ComponentActor;

struct Seat {
    behavior: Arc<dyn Behavior>,
    context: Context,
    policy: RetryPolicy,
    ended: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
}

struct State {
    context: Context,
    healthy_after: Duration,
    retries: Arc<Retries>,
    run: RunState,
    worker: Option<AbortHandle>,
    waiting: Vec<RpcReplyPort<()>>,
}

impl Actor for ComponentActor {
    type Msg = Control;
    type State = State;
    type Arguments = Seat;

    async fn pre_start(&self, myself: ActorRef<Control>, seat: Seat) -> Result<State, ActorProcessingErr> {
        let retries = Arc::new(Retries::default());
        let (context, noted) = (seat.context.clone(), retries.clone());
        let worker = tokio::spawn(live(seat.behavior, context, seat.policy, noted, seat.silent));
        let abort = worker.abort_handle();
        tokio::spawn(async move {
            // An error means that it was aborted, and by now is gone with everything that it held.
            let ended = worker.await.unwrap_or(RunState::Stopped);
            seat.ended.store(true, Ordering::Release);
            // The actor is gone only when the host is.
            let _ = myself.send_message(Control::Ended(ended));
        });
        Ok(State {
            context: seat.context,
            healthy_after: seat.policy.healthy_after,
            retries,
            run: RunState::Running,
            worker: Some(abort),
            waiting: Vec::new(),
        })
    }

    async fn post_stop(&self, _: ActorRef<Control>, state: &mut State) -> Result<(), ActorProcessingErr> {
        state.context.cancel.cancel();
        if let Some(worker) = state.worker.take() {
            worker.abort();
        }
        Ok(())
    }

    async fn handle(
        &self,
        _: ActorRef<Control>,
        message: Control,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Control::Ended(run) => {
                state.run = run;
                state.worker = None;
                for port in state.waiting.drain(..) {
                    let _ = port.send(());
                }
            }
            Control::Stop(port) => {
                state.context.cancel.cancel();
                if state.worker.is_some() {
                    state.waiting.push(port);
                } else {
                    let _ = port.send(());
                }
            }
            Control::Abort => {
                if let Some(worker) = &state.worker {
                    state
                        .context
                        .log
                        .warn("did not stop in time; ended where it stood");
                    worker.abort();
                }
            }
            Control::Observe(port) => {
                let (progress, rows_per_second, bytes_per_second) = state.context.progress.read();
                let (retries, last_retry, trouble) = state.retries.read(&progress, state.healthy_after);
                let _ = port.send(Observation {
                    state: state.run.clone(),
                    progress,
                    rows_per_second,
                    bytes_per_second,
                    retries,
                    last_retry,
                    trouble: trouble.filter(|_| state.run == RunState::Running),
                });
            }
        }
        Ok(())
    }
}

/// Root of the component actors: notes when one of them fails.
struct Root;

impl Actor for Root {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _: ActorRef<()>,
        event: SupervisionEvent,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        // A worker's panic is caught inside its actor; an actor itself fails only through a defect.
        // Its entry stays behind without a live actor, which the node agent sees and starts anew.
        if let SupervisionEvent::ActorFailed(cell, error) = event {
            tracing::error!(actor = ?cell.get_name(), "a component actor failed: {error}");
        }
        Ok(())
    }
}

struct Entry {
    epoch: Epoch,
    ended: Arc<AtomicBool>,
    /// Its end is nobody's decision about the component: it may run again under the same epoch.
    silent: Arc<AtomicBool>,
    actor: ActorRef<Control>,
    context: Context,
}

/// Runs the components of one node.
///
/// At most one actor per component. Starting is refused while the component runs under another
/// epoch, so that two workers of one component never overlap on a node.
pub struct ComponentHost {
    root: ActorRef<()>,
    clock: Arc<dyn Clock>,
    policy: RetryPolicy,
    entries: Mutex<BTreeMap<ComponentId, Entry>>,
}

impl ComponentHost {
    /// Starts the root actor.
    pub async fn start(clock: Arc<dyn Clock>, policy: RetryPolicy) -> Result<Self, HostError> {
        let (root, _) = Actor::spawn(None, Root, ())
            .await
            .map_err(|e| HostError::Actor(e.to_string()))?;
        Ok(Self {
            root,
            clock,
            policy,
            entries: Mutex::new(BTreeMap::new()),
        })
    }

    /// Starts a component. Does nothing if it runs here under this epoch.
    pub async fn run(
        &self,
        id: ComponentId,
        epoch: Epoch,
        behavior: Arc<dyn Behavior>,
        reporter: Arc<dyn Reporter>,
    ) -> Result<(), HostError> {
        let log = match self.entries.lock().get(&id) {
            Some(entry) if alive(entry) && entry.epoch == epoch && !halted(entry) => return Ok(()),
            Some(entry) if alive(entry) && !entry.ended.load(Ordering::Acquire) => {
                return Err(HostError::Running(id, entry.epoch));
            }
            // The log goes on over restarts: what happened before is what users look for.
            Some(entry) => entry.context.log.clone(),
            None => Arc::new(ComponentLog::new(id.clone(), self.clock.clone())),
        };
        let context = Context {
            id: id.clone(),
            epoch,
            cancel: CancellationToken::new(),
            reporter,
            log,
            progress: Arc::new(ProgressCell::default()),
            clock: self.clock.clone(),
        };
        context.log.info(format!("starting under epoch {epoch}"));
        let ended = Arc::new(AtomicBool::new(false));
        let silent = Arc::new(AtomicBool::new(false));
        let seat = Seat {
            behavior,
            context: context.clone(),
            policy: self.policy,
            ended: ended.clone(),
            silent: silent.clone(),
        };
        let (actor, _) = Actor::spawn_linked(None, ComponentActor, seat, self.root.get_cell())
            .await
            .map_err(|e| HostError::Actor(e.to_string()))?;
        let old = self.entries.lock().insert(
            id,
            Entry {
                epoch,
                ended,
                silent,
                actor,
                context,
            },
        );
        if let Some(old) = old {
            old.actor.stop(None);
        }
        Ok(())
    }

    /// Stops a component and waits until its worker has ended. Does nothing for one that is not here.
    pub async fn stop(&self, id: &ComponentId) -> Result<(), HostError> {
        let actor = self.entries.lock().get(id).map(|e| e.actor.clone());
        match actor {
            Some(actor) => ractor::call!(actor, Control::Stop).map_err(|e| HostError::Actor(e.to_string())),
            None => Ok(()),
        }
    }

    /// The same, but a worker that has not ended after `grace` is ended where it stands: its future is
    /// dropped, which closes its connections, and a run that comes later mends what it left.
    pub async fn stop_within(&self, id: &ComponentId, grace: Duration) -> Result<(), HostError> {
        let actor = self.entries.lock().get(id).map(|e| e.actor.clone());
        let Some(actor) = actor else { return Ok(()) };
        let stop = async { ractor::call!(actor, Control::Stop).map_err(|e| HostError::Actor(e.to_string())) };
        let mut stop = std::pin::pin!(stop);
        if let Ok(stopped) = tokio::time::timeout(grace, &mut stop).await {
            return stopped;
        }
        let _ = actor.send_message(Control::Abort);
        stop.await
    }

    /// Stops all components at once without reporting it, because this node may not run any for now. Their
    /// assignments stand, and [`ComponentHost::run`] starts them again under the same epochs. Returns when the
    /// last worker has ended, which those are made to that need longer than `grace`.
    pub async fn halt(&self, grace: Duration) {
        let ids: Vec<_> = {
            let entries = self.entries.lock();
            let running = entries.iter().filter(|(_, e)| !e.ended.load(Ordering::Acquire));
            running
                .map(|(id, e)| {
                    e.silent.store(true, Ordering::Release);
                    e.context.log.warn("this node's lease has run out; stopping");
                    id.clone()
                })
                .collect()
        };
        futures::future::join_all(ids.iter().map(|id| self.stop_within(id, grace))).await;
    }

    /// Stops a component and forgets it.
    pub async fn forget(&self, id: &ComponentId) -> Result<(), HostError> {
        self.stop_within(id, FORGET_GRACE).await?;
        let entry = self.entries.lock().remove(id);
        if let Some(entry) = entry {
            entry.actor.stop(None);
        }
        Ok(())
    }

    /// Stops all components and waits for them.
    pub async fn shutdown(&self) {
        let ids: Vec<_> = self.entries.lock().keys().cloned().collect();
        futures::future::join_all(ids.iter().map(|id| self.stop(id))).await;
        self.root.stop(None);
    }

    /// A reading of a component that is here.
    pub async fn observe(&self, id: &ComponentId) -> Option<Observation> {
        let actor = self.entries.lock().get(id).map(|e| e.actor.clone())?;
        ractor::call!(actor, Control::Observe).ok()
    }

    /// The log of a component that is or was here.
    pub fn log(&self, id: &ComponentId) -> Option<Arc<ComponentLog>> {
        self.entries.lock().get(id).map(|e| e.context.log.clone())
    }

    /// The components here with their epochs, those that have ended included, but not those that were
    /// halted and have not been started again.
    pub fn list(&self) -> Vec<(ComponentId, Epoch)> {
        self.entries
            .lock()
            .iter()
            .filter(|(_, e)| !halted(e))
            .map(|(id, e)| (id.clone(), e.epoch))
            .collect()
    }
}

/// Ended only because this node had to stop everything.
fn halted(entry: &Entry) -> bool {
    entry.ended.load(Ordering::Acquire) && entry.silent.load(Ordering::Acquire)
}

fn alive(entry: &Entry) -> bool {
    !matches!(
        entry.actor.get_status(),
        ractor::ActorStatus::Stopping | ractor::ActorStatus::Stopped
    )
}
