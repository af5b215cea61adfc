//! A project under test.

use std::time::Duration;

use anyhow::{Context, bail};
use oms_proto::v1::{
    DatabaseSelection, Difference, ListDifferencesRequest, Project, ProjectRequest, ProjectSpec,
    ProjectState, StepKind, StepState, VerificationResult, VerifiedTable, VerifyProjectRequest, VerifyScope,
};
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::OmsNode;

/// How long a step of a test project may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits and asks. Survives restarts of the node in between: a call that cannot reach it is made again.
#[derive(Debug, Clone)]
pub struct ProjectClient {
    /// The project's name.
    pub name: String,
}

impl ProjectClient {
    /// A spec with the project's name that moves whole databases from `src` to `dst` with all steps.
    pub fn spec(&self, databases: &[&str]) -> ProjectSpec {
        let whole = |name: &&str| DatabaseSelection {
            name: (*name).to_owned(),
            ..Default::default()
        };
        ProjectSpec {
            name: self.name.clone(),
            source: "src".to_owned(),
            destination: "dst".to_owned(),
            databases: databases.iter().map(whole).collect(),
            ..Default::default()
        }
    }

    fn request(&self) -> ProjectRequest {
        ProjectRequest {
            project: self.name.clone(),
        }
    }

    /// The project now.
    pub async fn get(&self, node: &OmsNode) -> anyhow::Result<Project> {
        let request = oms_proto::v1::GetProjectRequest {
            project: self.name.clone(),
        };
        Ok(node.projects().await?.get_project(request).await?.into_inner())
    }

    /// Waits until the project is as wanted; fails at once when it has failed and that was not wanted.
    pub async fn wait(
        &self,
        node: &OmsNode,
        what: &str,
        wanted: impl Fn(&Project) -> bool,
    ) -> anyhow::Result<Project> {
        let deadline = Instant::now() + PATIENCE;
        let mut last;
        loop {
            match self.get(node).await {
                Ok(project) if wanted(&project) => return Ok(project),
                Ok(project) if project.state() == ProjectState::Failed => {
                    let error = project.error.unwrap_or_default();
                    bail!(
                        "waiting for {what}, but the project failed: {} {}",
                        error.code,
                        error.message
                    );
                }
                Ok(project) => last = brief(&project),
                Err(error) => last = error.to_string(),
            }
            if Instant::now() >= deadline {
                bail!("{what} did not happen: {last}\n{}", recent(node));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a step is in one of the states.
    pub async fn wait_step(
        &self,
        node: &OmsNode,
        step: StepKind,
        states: &[StepState],
    ) -> anyhow::Result<Project> {
        let what = format!(
            "{} in {:?}",
            step.name(),
            states.iter().map(|s| s.name()).collect::<Vec<_>>()
        );
        self.wait(node, &what, |p| {
            p.steps
                .iter()
                .any(|s| s.kind() == step && states.contains(&s.state()))
        })
        .await
    }

    /// Waits until the project has failed, and gives the error's code and message.
    pub async fn wait_failed(&self, node: &OmsNode) -> anyhow::Result<(String, String)> {
        let project = self
            .wait(node, "failure", |p| p.state() == ProjectState::Failed)
            .await?;
        let error = project.error.context("a failed project has an error")?;
        Ok((error.code, error.message))
    }

    /// Waits until everything that the source has now is at the destination.
    pub async fn wait_caught_up(&self, node: &OmsNode) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let attempt = async {
                let mut stream = node
                    .projects()
                    .await?
                    .wait_caught_up(self.request())
                    .await?
                    .into_inner();
                while let Some(progress) = stream.message().await? {
                    if progress.done {
                        return anyhow::Ok(true);
                    }
                    if Instant::now() >= deadline {
                        bail!(
                            "not caught up: target {}, applied {}",
                            progress.target,
                            progress.applied
                        );
                    }
                }
                Ok(false)
            };
            match attempt.await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) if is_unavailable(&error) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                bail!("not caught up in time");
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Verifies everything (again) and waits for the result.
    pub async fn verify(&self, node: &OmsNode) -> anyhow::Result<VerificationResult> {
        let before = self
            .wait_step(node, StepKind::FullVerifier, &[StepState::Finished])
            .await?;
        let run = before.verification.unwrap_or_default().run;
        let request = VerifyProjectRequest {
            project: self.name.clone(),
            scope: VerifyScope::All as i32,
        };
        node.projects().await?.verify_project(request).await?;
        let done = self
            .wait(node, "verification", |p| {
                let finished = p
                    .steps
                    .iter()
                    .any(|s| s.kind() == StepKind::FullVerifier && s.state() == StepState::Finished);
                finished && p.verification.unwrap_or_default().run > run
            })
            .await?;
        done.verification.context("a finished verification has a result")
    }

    /// Tables of the last verification.
    pub async fn verified_tables(&self, node: &OmsNode) -> anyhow::Result<Vec<VerifiedTable>> {
        Ok(node
            .projects()
            .await?
            .list_verified_tables(self.request())
            .await?
            .into_inner()
            .tables)
    }

    /// The differences that the last verification found.
    pub async fn differences(&self, node: &OmsNode, with_values: bool) -> anyhow::Result<Vec<Difference>> {
        let request = ListDifferencesRequest {
            project: self.name.clone(),
            with_values,
            with_correction: true,
            limit: 1_000,
            ..Default::default()
        };
        let mut stream = node
            .projects()
            .await?
            .list_differences(request)
            .await?
            .into_inner();
        let mut all = Vec::new();
        while let Some(difference) = stream.message().await? {
            all.push(difference);
        }
        Ok(all)
    }
}

fn is_unavailable(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<tonic::Status>()
        .is_some_and(|s| matches!(s.code(), Code::Unavailable | Code::Unknown | Code::Cancelled))
        || error.downcast_ref::<tonic::transport::Error>().is_some()
}

/// The last lines of the node's log.
fn recent(node: &OmsNode) -> String {
    let log = node.log();
    let lines: Vec<_> = log.lines().collect();
    lines
        .get(lines.len().saturating_sub(40)..)
        .unwrap_or_default()
        .join("\n")
}

fn brief(project: &Project) -> String {
    let steps: Vec<_> = project
        .steps
        .iter()
        .map(|s| format!("{}={}", s.kind().name(), s.state().name()))
        .collect();
    format!("{} {}", project.state().name(), steps.join(" "))
}
