//! Following a project.

use std::time::Duration;

use futures::{Stream, stream};
use oms_core::{Failure, codes};
use oms_proto::v1::{CaughtUpProgress, PartialRows, ProjectSnapshot, ProjectState};
use tonic::Status;

use super::{Projects, Streaming, find, public};
use crate::{api::status, connectors::Connector};

/// How often progress is shown.
const EVERY: Duration = Duration::from_secs(1);
/// How often a caller that waits to catch up is checked.
const CHECK: Duration = Duration::from_millis(200);

impl Projects {
    pub(super) async fn watch(&self, name: &str) -> Result<Streaming<ProjectSnapshot>, Failure> {
        let id = self.get(name).await?.id;
        let projects = self.clone();
        let changes = self.0.metadata.watch();
        let stream = stream::unfold(Some((projects, id, changes, None)), |seat| async move {
            let (projects, id, mut changes, last_version) = seat?;
            // Wait for a change of this project or the next tick, whichever comes first.
            let deadline = tokio::time::Instant::now() + EVERY;
            loop {
                let state = match projects.0.metadata.state() {
                    Ok(state) => state,
                    Err(failure) => return Some((Err(status(failure)), None)),
                };
                let record = state.project(&id)?;
                let version = record.public.as_ref().map(|p| p.version);
                let due = tokio::time::Instant::now() >= deadline;
                if last_version.is_none() || version != last_version || due {
                    let snapshot = ProjectSnapshot {
                        project: record.public.clone(),
                        progress: projects.0.observer.progress(record).await,
                        at_ms: projects.0.metadata.now_ms(),
                    };
                    return Some((Ok(snapshot), Some((projects, id, changes, version))));
                }
                tokio::select! {
                    changed = changes.changed() => if changed.is_err() { return None },
                    () = tokio::time::sleep_until(deadline) => {}
                }
            }
        });
        Ok(Box::pin(stream))
    }

    pub(super) async fn caught_up(&self, name: &str) -> Result<Streaming<CaughtUpProgress>, Failure> {
        let state = self.0.metadata.latest().await?;
        let record = find(&state, name)?;
        let project = public(record)?;
        let runs = matches!(
            project.state(),
            ProjectState::Running | ProjectState::RunningModifying | ProjectState::RunningMerging
        );
        if !runs {
            return Err(Failure::new(
                codes::api::WRONG_STATE,
                format!(
                    "the project is {}; only a RUNNING project catches up",
                    project.state().name()
                ),
            ));
        }
        let source =
            Connector::of(&state, &self.0.vault, &record.source_id)?.source(0, PartialRows::Refuse)?;
        let target = source.current_position().await?;
        let projects = self.clone();
        let stream = stream::unfold(Some((projects, project.id, target, true)), |seat| async move {
            let (projects, id, target, first) = seat?;
            if !first {
                tokio::time::sleep(CHECK).await;
            }
            let look = async {
                let state = projects.0.metadata.state()?;
                let project = public(find(&state, &id)?)?;
                if project.state() == ProjectState::Failed {
                    let words = project
                        .error
                        .map(|e| format!("{} {}", e.code, e.message))
                        .unwrap_or_default();
                    return Err(Failure::new(
                        codes::api::WRONG_STATE,
                        format!("the project failed: {words}"),
                    ));
                }
                Ok(projects.0.observer.applied(&project).await)
            };
            let applied = match look.await {
                Ok(applied) => applied,
                Err(failure) => return Some((Err(status(failure)), None)),
            };
            let done = applied.as_ref().is_some_and(|(p, _)| *p >= target);
            let progress = CaughtUpProgress {
                target: target.to_string(),
                applied: applied.as_ref().map(|(p, _)| p.to_string()).unwrap_or_default(),
                lag_ms: applied.map(|(_, lag)| lag).unwrap_or_default(),
                done,
            };
            let next = (!done).then_some((projects, id, target, false));
            Some((Ok::<_, Status>(progress), next))
        });
        Ok(Box::pin(stream) as std::pin::Pin<Box<dyn Stream<Item = _> + Send>>)
    }
}
