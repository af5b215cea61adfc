//! The node's loop: runs what the state assigns to this node, stops everything else.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use oms_actors::{ComponentHost, ComponentLog, Context, ProgressCell, Reporter as _, RunState, SystemClock};
use oms_core::{ComponentId, ComponentKind, Epoch, Failure};
use oms_meta::MetaState;
use oms_proto::{
    meta::{ComponentRecord, Desired, ProjectRecord},
    v1::ComponentState,
};
use oms_types::ProjectId;
use tokio_util::sync::CancellationToken;

use crate::{
    behaviors::Behaviors,
    guard::Permission,
    metadata::Metadata,
    removal::{Removal, Removals},
    reporter::MetaReporter,
};

/// How long a component may take to stop before it is ended where it stands.
const STOP: Duration = Duration::from_secs(5);

/// Brings the components of this node in line with the state.
pub(crate) struct Agent {
    pub(crate) metadata: Metadata,
    pub(crate) host: Arc<ComponentHost>,
    pub(crate) behaviors: Behaviors,
    pub(crate) removals: Removals,
    pub(crate) permission: Permission,
}

/// What the state wants of this node.
struct Wanted {
    project: ProjectRecord,
    component: ComponentRecord,
}

impl Agent {
    /// Follows the state until cancelled. Level triggered: works from what is, not from what changed.
    ///
    /// Without the lease nothing is started or removed; what runs then is stopped by the guard.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut status = self.metadata.watch();
        let mut permission = self.permission.clone();
        loop {
            status.borrow_and_update();
            if permission.is_given() {
                match self.metadata.state() {
                    Ok(state) => self.round(&state).await,
                    Err(failure) => tracing::error!("the metadata cannot be read: {failure}"),
                }
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = permission.changed() => {}
                changed = status.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(Duration::from_secs(2)) => {}
            }
        }
    }

    async fn round(&self, state: &MetaState) {
        let wanted = self.wanted(state);
        // All at once: one that hangs must not hold up the others.
        let stops = self.host.list().into_iter().map(|(id, epoch)| {
            let wanted = wanted.get(&id);
            let keep =
                wanted.is_some_and(|w| w.component.epoch == epoch.0 && w.component.desired() == Desired::Run);
            let forget = wanted.is_none();
            async move {
                if !keep {
                    // Also for a component that has ended: stopping it is cheap and makes room for the next epoch.
                    if let Err(error) = self.host.stop_within(&id, STOP).await {
                        tracing::error!(component = %id, "{error}");
                    }
                }
                if forget {
                    let _ = self.host.forget(&id).await;
                }
            }
        });
        futures::future::join_all(stops).await;
        for (id, w) in wanted {
            let outcome = match w.component.desired() {
                Desired::Run => self.start(&id, &w).await,
                Desired::Stop => self.confirm_stopped(&id, &w).await,
                Desired::Remove => self.remove(&id, &w).await,
                Desired::Unspecified => Ok(()),
            };
            if let Err(failure) = outcome {
                tracing::warn!(component = %id, "{failure}");
            }
        }
    }

    fn wanted(&self, state: &MetaState) -> BTreeMap<ComponentId, Wanted> {
        let me = self.metadata.node_id();
        let mut wanted = BTreeMap::new();
        for project in state.projects() {
            let Some(id) = project
                .public
                .as_ref()
                .and_then(|p| p.id.parse::<ProjectId>().ok())
            else {
                continue;
            };
            for component in project.components.iter().filter(|c| c.node == me) {
                let Ok(kind) = component.kind.parse::<ComponentKind>() else {
                    continue;
                };
                let key = ComponentId::new(id.clone(), kind);
                wanted.insert(
                    key,
                    Wanted {
                        project: project.clone(),
                        component: component.clone(),
                    },
                );
            }
        }
        wanted
    }

    fn reporter(&self, id: &ComponentId, component: &ComponentRecord) -> Arc<MetaReporter> {
        Arc::new(MetaReporter {
            metadata: self.metadata.clone(),
            id: id.clone(),
            epoch: Epoch(component.epoch),
        })
    }

    async fn start(&self, id: &ComponentId, w: &Wanted) -> Result<(), Failure> {
        if !matches!(
            w.component.state(),
            ComponentState::Assigned | ComponentState::Running
        ) {
            return Ok(());
        }
        let here = self
            .host
            .list()
            .into_iter()
            .any(|(other, epoch)| other == *id && epoch.0 == w.component.epoch);
        if here || !self.permission.is_given() {
            return Ok(());
        }
        let reporter = self.reporter(id, &w.component);
        let behavior = self.behaviors.build(id, &w.project, &w.component)?;
        if let Err(error) = self
            .host
            .run(id.clone(), Epoch(w.component.epoch), behavior, reporter)
            .await
        {
            tracing::warn!(component = %id, "not started yet: {error}");
        }
        Ok(())
    }

    /// The owner that was asked to stop says so, also when it was not running at all.
    async fn confirm_stopped(&self, id: &ComponentId, w: &Wanted) -> Result<(), Failure> {
        if matches!(
            w.component.state(),
            ComponentState::Assigned | ComponentState::Running
        ) {
            self.host
                .stop_within(id, STOP)
                .await
                .map_err(|e| Failure::new(oms_core::codes::api::INTERNAL, e.to_string()))?;
            self.reporter(id, &w.component)
                .state(&RunState::Stopped, "")
                .await?;
        }
        Ok(())
    }

    async fn remove(&self, id: &ComponentId, w: &Wanted) -> Result<(), Failure> {
        if w.component.removed || self.removals.is_busy(id) {
            return Ok(());
        }
        self.host
            .stop_within(id, STOP)
            .await
            .map_err(|e| Failure::new(oms_core::codes::api::INTERNAL, e.to_string()))?;
        let clock = Arc::new(SystemClock);
        let log = self
            .host
            .log(id)
            .unwrap_or_else(|| Arc::new(ComponentLog::new(id.clone(), clock.clone())));
        let context = Context {
            id: id.clone(),
            epoch: Epoch(w.component.epoch),
            cancel: CancellationToken::new(),
            reporter: self.reporter(id, &w.component),
            log,
            progress: Arc::new(ProgressCell::default()),
            clock,
        };
        self.removals.begin(Removal {
            context,
            component: w.component.clone(),
            forced: w.project.release_forced,
            behavior: self.behaviors.build(id, &w.project, &w.component),
        });
        Ok(())
    }
}
