//! Switchovers.

use oms_core::Failure;
use oms_meta::{MetaCommand, planned_switchover, switchover_missing};
use oms_proto::{
    meta::{DecideSwitchover, ProjectRecord, StartSwitchover},
    v1::{
        DecideSwitchoverRequest, Project, StartSwitchoverRequest, StepKind, SwitchStepKind,
        SwitchoverEstimate, SwitchoverPlan,
    },
};

use super::{Projects, find, public};
use crate::behaviors::{deferred, sub_step};

/// What a restart of incremental synchronization takes.
const RESTART_MS: u64 = 1_000;

impl Projects {
    pub(super) async fn begin_switchover(
        &self,
        request: StartSwitchoverRequest,
    ) -> Result<SwitchoverPlan, Failure> {
        let state = self.0.metadata.latest().await?;
        let record = find(&state, &request.project)?;
        let project = public(record)?;
        if request.dry_run {
            return Ok(self
                .planned(record, &project, &request, switchover_missing(&state, record))
                .await);
        }
        let id = project.id;
        let body = MetaCommand::StartSwitchover(StartSwitchover {
            project: id.clone(),
            set_read_only: request.set_read_only,
            max_lag_seconds: request.max_lag_seconds,
        });
        self.0.metadata.propose(body).await?;
        let state = self.0.metadata.latest().await?;
        let record = find(&state, &id)?;
        Ok(SwitchoverPlan {
            switchover: public(record)?.switchovers.last().cloned(),
            deferred_objects: deferred(&record.objects) as u64,
            ..Default::default()
        })
    }

    /// What it would do and how long writes would be stopped.
    async fn planned(
        &self,
        record: &ProjectRecord,
        project: &Project,
        request: &StartSwitchoverRequest,
        missing: Vec<String>,
    ) -> SwitchoverPlan {
        let deferred_objects = deferred(&record.objects) as u64;
        let mut estimates = Vec::new();
        let mut add = |step: SwitchStepKind, ms: u64, basis: String| {
            estimates.push(SwitchoverEstimate {
                step: step as i32,
                ms,
                basis,
            });
        };
        match self.0.observer.applied(project).await {
            Some((_, lag)) => add(
                SwitchStepKind::Drained,
                lag.saturating_add(RESTART_MS),
                format!("the lag of now, {lag} ms, and a restart of incremental synchronization"),
            ),
            None => add(
                SwitchStepKind::Drained,
                RESTART_MS,
                "a restart of incremental synchronization; its lag is not known now".to_owned(),
            ),
        }
        let verified = project.steps.iter().find(|s| s.kind() == StepKind::FullVerifier);
        let took = verified
            .map(|s| s.finished_at_ms.saturating_sub(s.started_at_ms))
            .and_then(|ms| u64::try_from(ms).ok())
            .filter(|ms| *ms > 0);
        match took {
            Some(ms) => add(
                SwitchStepKind::Verified,
                ms,
                "what the last verification took".to_owned(),
            ),
            None => add(
                SwitchStepKind::Verified,
                0,
                "not known: the project was never verified".to_owned(),
            ),
        }
        if deferred_objects > 0 {
            add(
                SwitchStepKind::Objects,
                0,
                format!("not known: {deferred_objects} foreign keys and checks would be created"),
            );
        }
        SwitchoverPlan {
            switchover: Some(planned_switchover(request.set_read_only, request.max_lag_seconds)),
            missing,
            write_stop_ms: estimates.iter().map(|e| e.ms).sum(),
            estimates,
            deferred_objects,
        }
    }

    pub(super) async fn decided_switchover(
        &self,
        mut request: DecideSwitchoverRequest,
    ) -> Result<Project, Failure> {
        let id = self.get(&request.project).await?.id;
        request.project.clone_from(&id);
        let (decision, step) = (request.decision(), request.step());
        let body = MetaCommand::DecideSwitchover(DecideSwitchover {
            request: Some(request),
        });
        self.0.metadata.propose(body).await?;
        // What is skipped is never only in the records.
        tracing::info!(project = %id, decision = decision.name(), sub_step = sub_step(step), "switchover decided");
        self.get(&id).await
    }
}
