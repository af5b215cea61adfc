//! What components are doing, as the API shows it.

use std::sync::Arc;

use oms_actors::{ComponentHost, Observation};
use oms_core::{ComponentId, ComponentKind, Position};
use oms_proto::{
    meta::{ComponentRecord, ProjectRecord},
    v1::{Component, Project, StepProgress, StepState},
};

use crate::peer::Elsewhere;

/// Reads the components of all nodes: those of this one from their host, others by asking the node they
/// are assigned to, which may not answer. Then nothing is shown, and nobody waits longer than a second.
pub(crate) struct Observer {
    pub(crate) host: Arc<ComponentHost>,
    pub(crate) elsewhere: Arc<Elsewhere>,
}

/// What only the node of a component knows.
#[derive(Default)]
struct Seen {
    progress: StepProgress,
    retries: u64,
    last_retry: String,
}

impl Observer {
    /// Progress of every step that has begun, in order.
    pub(crate) async fn progress(&self, record: &ProjectRecord) -> Vec<StepProgress> {
        let Some(project) = record.public.as_ref() else {
            return Vec::new();
        };
        let mut progress = Vec::new();
        for step in project.steps.iter().filter(|s| s.state() != StepState::Init) {
            let Some(kind) = oms_meta::component_of(step.kind()) else {
                continue;
            };
            // A component that has gone on to another step shows that one's progress.
            let assigned = record.components.iter().find(|c| c.kind == kind.as_str());
            let Some(component) = assigned.filter(|c| c.step() == step.kind()) else {
                continue;
            };
            if let Some(seen) = self.observe(project, kind, component).await {
                progress.push(StepProgress {
                    kind: step.kind,
                    ..seen.progress
                });
            }
        }
        progress
    }

    /// Everything up to this position is at the destination, as far as the component itself knows; with
    /// its lag in milliseconds.
    pub(crate) async fn applied(&self, project: &Project) -> Option<(Position, u64)> {
        let id = ComponentId::new(project.id.parse().ok()?, ComponentKind::IncrSync);
        if let Some(record) = self.elsewhere.assigned(&id) {
            return self.elsewhere.applied(&id, &record).await;
        }
        let observation = self.host.observe(&id).await?;
        let lag = observation.progress.lag_ms.unwrap_or_default();
        observation.progress.applied.map(|p| (p, lag))
    }

    /// A component as the API shows it.
    pub(crate) async fn component(&self, record: &ProjectRecord, c: &ComponentRecord) -> Option<Component> {
        let project = record.public.as_ref()?;
        let kind: ComponentKind = c.kind.parse().ok()?;
        let id = ComponentId::new(project.id.parse().ok()?, kind);
        let seen = self.observe(project, kind, c).await;
        Some(Component {
            id: id.to_string(),
            project: project.id.clone(),
            project_name: project.spec.as_ref().map(|s| s.name.clone()).unwrap_or_default(),
            kind: c.kind.clone(),
            state: c.state,
            node: c.node,
            epoch: c.epoch,
            error: c.error.clone(),
            progress: seen.as_ref().map(|seen| StepProgress {
                kind: c.step,
                ..seen.progress.clone()
            }),
            updated_at_ms: c.updated_at_ms,
            retries: seen.as_ref().map_or(0, |seen| seen.retries),
            last_retry: seen.map(|seen| seen.last_retry).unwrap_or_default(),
            assigned_at_ms: c.assigned_at_ms,
            frozen_reason: c.frozen_reason.clone(),
            placed_because: c.placed_because.clone(),
            failovers: c.failovers,
            guarantee: guarantee(kind).to_owned(),
            waiting: c.waiting.clone(),
        })
    }

    async fn observe(
        &self,
        project: &Project,
        kind: ComponentKind,
        component: &ComponentRecord,
    ) -> Option<Seen> {
        let id = ComponentId::new(project.id.parse().ok()?, kind);
        if !self.elsewhere.has(component) {
            let observation = self.host.observe(&id).await?;
            return Some(Seen {
                progress: step_progress(&observation),
                retries: observation.retries,
                last_retry: observation.last_retry.unwrap_or_default(),
            });
        }
        let shown = self.elsewhere.component_of(&id, component).await?;
        Some(Seen {
            progress: shown.progress.unwrap_or_default(),
            retries: shown.retries,
            last_retry: shown.last_retry,
        })
    }
}

/// What keeps a former owner's writes from doing harm at the destination.
fn guarantee(kind: ComponentKind) -> &'static str {
    match kind {
        // Every destination there is commits rows or results, position or receipt, and fence together.
        ComponentKind::FullImport | ComponentKind::IncrSync | ComponentKind::FullVerification => {
            "exactly-once"
        }
        // Statements commit by themselves; each is idempotent.
        ComponentKind::SchemaMigration => "replaying",
        ComponentKind::Precheck | ComponentKind::Store | ComponentKind::Switchover => "none",
    }
}

/// Progress as the API shows it; whose step it is, the caller adds.
pub(crate) fn step_progress(o: &Observation) -> StepProgress {
    let p = &o.progress;
    let left = p.total_rows.saturating_sub(p.rows);
    StepProgress {
        rows: p.rows,
        total_rows: p.total_rows,
        bytes: p.bytes,
        rows_per_second: o.rows_per_second,
        bytes_per_second: o.bytes_per_second,
        objects: p.objects,
        total_objects: p.total_objects,
        eta_seconds: if left > 0 && o.rows_per_second > 0 {
            left.div_ceil(o.rows_per_second)
        } else {
            0
        },
        lag_ms: p.lag_ms,
        position: p.position.clone(),
        detail: p.detail.clone(),
        ..Default::default()
    }
}
