//! What components are doing, as the API shows it.

use std::sync::Arc;

use oms_actors::{ComponentHost, Observation};
use oms_core::{ComponentId, ComponentKind, Position};
use oms_proto::{
    meta::{ComponentRecord, ProjectRecord},
    v1::{Component, Project, StepProgress, StepState},
};

/// Reads the components of this node.
pub(crate) struct Observer {
    pub(crate) host: Arc<ComponentHost>,
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
            if assigned.is_none_or(|c| c.step() != step.kind()) {
                continue;
            }
            if let Some(observation) = self.observe(project, kind).await {
                progress.push(StepProgress {
                    kind: step.kind,
                    ..step_progress(&observation)
                });
            }
        }
        progress
    }

    /// Everything up to this position is at the destination, as far as this node's component knows.
    pub(crate) async fn applied(&self, project: &Project) -> Option<(Position, u64)> {
        let observation = self.observe(project, ComponentKind::IncrSync).await?;
        let lag = observation.progress.lag_ms.unwrap_or_default();
        observation.progress.applied.map(|p| (p, lag))
    }

    /// A component as the API shows it.
    pub(crate) async fn component(&self, record: &ProjectRecord, c: &ComponentRecord) -> Option<Component> {
        let project = record.public.as_ref()?;
        let kind: ComponentKind = c.kind.parse().ok()?;
        let id = ComponentId::new(project.id.parse().ok()?, kind);
        let observation = self.host.observe(&id).await;
        Some(Component {
            id: id.to_string(),
            project: project.id.clone(),
            project_name: project.spec.as_ref().map(|s| s.name.clone()).unwrap_or_default(),
            kind: c.kind.clone(),
            state: c.state,
            node: c.node,
            epoch: c.epoch,
            error: c.error.clone(),
            progress: observation.as_ref().map(|o| StepProgress {
                kind: c.step,
                ..step_progress(o)
            }),
            updated_at_ms: c.updated_at_ms,
            retries: observation.as_ref().map_or(0, |o| o.retries),
            last_retry: observation.and_then(|o| o.last_retry).unwrap_or_default(),
            assigned_at_ms: c.assigned_at_ms,
            frozen_reason: c.frozen_reason.clone(),
            placed_because: c.placed_because.clone(),
            failovers: c.failovers,
            guarantee: guarantee(kind).to_owned(),
            waiting: c.waiting.clone(),
        })
    }

    async fn observe(&self, project: &Project, kind: ComponentKind) -> Option<Observation> {
        self.host
            .observe(&ComponentId::new(project.id.parse().ok()?, kind))
            .await
    }
}

/// What keeps a former owner's writes from doing harm at the destination.
fn guarantee(kind: ComponentKind) -> &'static str {
    match kind {
        // Every destination there is commits rows, position or receipt, and fence together.
        ComponentKind::FullImport | ComponentKind::IncrSync => "exactly-once",
        // Statements commit by themselves; each is idempotent.
        ComponentKind::SchemaMigration => "replaying",
        ComponentKind::Precheck | ComponentKind::Store | ComponentKind::FullVerification => "none",
    }
}

fn step_progress(o: &Observation) -> StepProgress {
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
