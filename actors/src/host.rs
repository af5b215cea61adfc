//! The components of one node, each under an actor.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use oms_core::{ComponentId, Epoch};
use parking_lot::Mutex;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, SupervisionEvent};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Behavior, Clock, ComponentLog, Context, Observation, ProgressCell, Reporter, RetryPolicy, RunState,
    worker::{Retries, live},
};

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
    Observe(RpcReplyPort<Observation>),
}

/// The control surface of one component.
struct ComponentActor;

struct Seat {
    behavior: Arc<dyn Behavior>,
    context: Context,
    policy: RetryPolicy,
    ended: Arc<AtomicBool>,
}

struct State {
    context: Context,
    retries: Arc<Retries>,
    run: RunState,
    worker: Option<JoinHandle<()>>,
    waiting: Vec<RpcReplyPort<()>>,
}

impl Actor for ComponentActor {
    type Msg = Control;
    type State = State;
    type Arguments = Seat;

    async fn pre_start(&self, myself: ActorRef<Control>, seat: Seat) -> Result<State, ActorProcessingErr> {
        let retries = Arc::new(Retries::default());
        let (context, noted) = (seat.context.clone(), retries.clone());
        let worker = tokio::spawn(async move {
            let ended = live(seat.behavior, context, seat.policy, noted).await;
            seat.ended.store(true, Ordering::Release);
            // The actor is gone only when the host is.
            let _ = myself.send_message(Control::Ended(ended));
        });
        Ok(State {
            context: seat.context,
            retries,
            run: RunState::Running,
            worker: Some(worker),
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
            Control::Observe(port) => {
                let (progress, rows_per_second, bytes_per_second) = state.context.progress.read();
                let (retries, last_retry) = state.retries.read();
                let _ = port.send(Observation {
                    state: state.run.clone(),
                    progress,
                    rows_per_second,
                    bytes_per_second,
                    retries,
                    last_retry,
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
            Some(entry) if alive(entry) && entry.epoch == epoch => return Ok(()),
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
        let seat = Seat {
            behavior,
            context: context.clone(),
            policy: self.policy,
            ended: ended.clone(),
        };
        let (actor, _) = Actor::spawn_linked(None, ComponentActor, seat, self.root.get_cell())
            .await
            .map_err(|e| HostError::Actor(e.to_string()))?;
        let old = self.entries.lock().insert(
            id,
            Entry {
                epoch,
                ended,
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

    /// Stops a component and forgets it.
    pub async fn forget(&self, id: &ComponentId) -> Result<(), HostError> {
        self.stop(id).await?;
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

    /// The components here with their epochs, those that have ended included.
    pub fn list(&self) -> Vec<(ComponentId, Epoch)> {
        self.entries
            .lock()
            .iter()
            .map(|(id, e)| (id.clone(), e.epoch))
            .collect()
    }
}

fn alive(entry: &Entry) -> bool {
    !matches!(
        entry.actor.get_status(),
        ractor::ActorStatus::Stopping | ractor::ActorStatus::Stopped
    )
}
