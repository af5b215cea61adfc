//! The engine of incremental synchronization.

use std::sync::Arc;

use oms_core::{AppliedSet, ApplyCheckpoint, Claim, Counters, Failure, LaneState, Position, Watermark};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    ApplyProgress, DefinitionHandler, EventSource, SyncConfig, SyncPlan,
    intake::Intake,
    running::{Environment, Halt, Running},
    window::Window,
};

/// The checkpoint of a claim; where there is none, the first one, at `start`, is written.
pub async fn resume_or_initialize(claim: &dyn Claim, start: &Position) -> Result<ApplyCheckpoint, Failure> {
    if let Some(checkpoint) = claim.checkpoint().await? {
        return Ok(checkpoint);
    }
    let watermark = Watermark {
        applied: 0,
        position: start.clone(),
    };
    let state = LaneState {
        watermark,
        above: AppliedSet::default(),
    };
    claim.initialize(&state).await?;
    Ok(ApplyCheckpoint {
        watermark: state.watermark,
        above: state.above,
    })
}

/// How a run ended without a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEnd {
    /// Everything up to the stop position is durable at the destination.
    Reached(Watermark),
    /// The feed has ended, and everything that it gave is durable at the destination.
    FeedEnded(Watermark),
    /// A statement redefined tables; what precedes it and the statement itself are durable at the destination. Run
    /// again with a plan of the new tables ([`Synchronizer::succeeded_by`]) and a new claim.
    Redefined(Watermark),
    /// The run was cancelled. What is at the destination is what its checkpoint says.
    Cancelled,
}

/// Applies a log to a destination.
///
/// One value may run several times, one run after the other; each run wants a fresh claim.
/// Counters go on over all runs.
pub struct Synchronizer {
    plan: SyncPlan,
    config: SyncConfig,
    counters: Arc<Counters>,
    progress: Arc<watch::Sender<ApplyProgress>>,
    definitions: Option<Arc<dyn DefinitionHandler>>,
}

impl std::fmt::Debug for Synchronizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Synchronizer")
            .field("plan", &self.plan)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Synchronizer {
    /// An engine for a plan.
    pub fn new(plan: SyncPlan, config: SyncConfig) -> Self {
        Self {
            plan,
            config,
            counters: Arc::default(),
            progress: Arc::new(watch::Sender::new(ApplyProgress::default())),
            definitions: None,
        }
    }

    /// The same with statements that define carried over by the handler. Without one they stop the run.
    #[must_use]
    pub fn following(mut self, definitions: Arc<dyn DefinitionHandler>) -> Self {
        self.definitions = Some(definitions);
        self
    }

    /// An engine for another plan that goes on with the same counters, progress and handler.
    #[must_use]
    pub fn succeeded_by(&self, plan: SyncPlan) -> Self {
        Self {
            plan,
            config: self.config.clone(),
            counters: self.counters.clone(),
            progress: self.progress.clone(),
            definitions: self.definitions.clone(),
        }
    }

    /// Rows, bytes and transactions that were committed.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// How far the run is.
    pub fn progress(&self) -> watch::Receiver<ApplyProgress> {
        self.progress.subscribe()
    }

    /// Reads behind the checkpoint and applies until the stop position, the end of the feed, the
    /// cancellation or a failure. The claim must have been made for [`SyncConfig::lanes`] lanes and
    /// the plan's tables, and `checkpoint` must be what it holds ([`resume_or_initialize`]).
    ///
    /// When it returns no lane works any more and every open transaction is rolled back or its
    /// connection closed. The exception is a commit that did not answer within
    /// [`SyncConfig::stop_grace`]; the next claim waits for its end. Dropping the future is allowed
    /// and closes all connections.
    ///
    /// # Errors
    /// What a lane, the feed or the handler of definitions failed with. After a transient one (also `OMS-APPLY-0005`) claim
    /// again and run again; after a fenced one never. Without such a handler `OMS-APPLY-0003` for DDL on a table of the
    /// plan, with everything before it durable; `-0007`, `-0008` and `-0009` as in [`crate::ApplyError`].
    pub async fn run(
        &self,
        claim: &dyn Claim,
        source: &dyn EventSource,
        checkpoint: ApplyCheckpoint,
        cancel: &CancellationToken,
    ) -> Result<SyncEnd, Failure> {
        let ApplyCheckpoint { watermark, above } = checkpoint;
        let environment = Environment {
            plan: &self.plan,
            config: &self.config,
            counters: &self.counters,
            progress: &self.progress,
            cancel,
        };
        let mut running = Running::start(claim, environment, watermark, &above).await?;
        let window = Window::new(&self.plan);
        let tables = self.plan.tables.len();
        let mut intake = Intake::new(source, &self.config, window, above, tables);
        intake.definitions = self.definitions.as_deref();
        let ended = Box::pin(intake.run(&mut running)).await;
        running.shut_down().await;
        match ended {
            Ok(end) => Ok(end),
            Err(Halt::Cancelled) => Ok(SyncEnd::Cancelled),
            Err(Halt::Failed(failure)) => Err(failure),
        }
    }
}
