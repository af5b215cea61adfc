//! Several projects at once, and what projects have in common: labels and templates.

use std::collections::BTreeMap;

use oms_core::{Failure, codes};
use oms_meta::MetaCommand;
use oms_proto::{
    meta::{ChangeProject, DeleteProject, DeleteTemplate, ProjectChange, PutTemplate},
    v1::{
        BatchOperation, BatchProjectsRequest, BatchProjectsResponse, BatchResult, CopyProjectRequest,
        ErrorInfo, Label, ListLabelsResponse, ListProjectsRequest, ListProjectsResponse, Project,
        ProjectSpec, ProjectState, PutTemplateRequest, StepKind, StepState, Template,
    },
};

use super::{Projects, find, public};

/// Projects of a batch.
const MOST: usize = 1_000;

fn error(failure: &Failure) -> ErrorInfo {
    ErrorInfo {
        code: failure.code().as_str().to_owned(),
        message: failure.text(),
        failed_at_ms: 0,
    }
}

fn spec_of(project: &Project) -> ProjectSpec {
    project.spec.clone().unwrap_or_default()
}

/// Why the operation cannot be done to the project now, if so.
fn unfit(project: &Project, operation: BatchOperation) -> Option<String> {
    use ProjectState as S;
    let allowed: &[S] = match operation {
        BatchOperation::Unspecified => &[],
        BatchOperation::Start => &[S::Init],
        BatchOperation::Pause => &[S::Running, S::RunningModifying, S::RunningMerging],
        BatchOperation::Resume => &[S::Suspend, S::Failed],
        BatchOperation::Release => &[S::Suspend, S::Failed, S::Finished],
        BatchOperation::Delete => &[S::Init, S::Released],
        BatchOperation::SkipVerification => &[S::Running, S::RunningModifying, S::Failed],
    };
    if !allowed.contains(&project.state()) {
        let names: Vec<_> = allowed.iter().map(|s| s.name()).collect();
        return Some(format!(
            "the project is {}; this is possible in {}",
            project.state().name(),
            names.join(", ")
        ));
    }
    let not_empty = codes::import::DESTINATION_NOT_EMPTY.as_str();
    match operation {
        BatchOperation::Resume if project.error.as_ref().is_some_and(|e| e.code == not_empty) => Some(
            "its destination tables hold rows that it did not write; resuming accepts them and must be confirmed for \
             this project alone"
                .to_owned(),
        ),
        BatchOperation::SkipVerification => {
            let verifies = project.steps.iter().any(|s| {
                s.kind() == StepKind::FullVerifier && matches!(s.state(), StepState::Running | StepState::Failed)
            });
            (!verifies).then(|| "no verification is running or has failed".to_owned())
        }
        _ => None,
    }
}

impl Projects {
    pub(super) async fn listed(&self, r: &ListProjectsRequest) -> Result<ListProjectsResponse, Failure> {
        let state = self.0.metadata.latest().await?;
        let matches = |p: &Project| {
            let spec = p.spec.as_ref();
            spec.is_some_and(|s| {
                s.name.contains(&r.name_contains) && r.labels.iter().all(|l| s.labels.contains(l))
            }) && (r.state() == ProjectState::Unspecified || p.state() == r.state())
                && (r.with_sub_projects || (p.parent.is_empty() && p.reverse_of.is_empty()))
        };
        let mut projects: Vec<_> = state
            .projects()
            .filter_map(|p| p.public.clone())
            .filter(matches)
            .collect();
        let by_change = r.by_change;
        projects.sort_by_key(|p| {
            std::cmp::Reverse(if by_change {
                p.updated_at_ms
            } else {
                p.created_at_ms
            })
        });
        let total = u32::try_from(projects.len()).unwrap_or(u32::MAX);
        if r.page_size > 0 {
            let size = usize::try_from(r.page_size).unwrap_or(usize::MAX);
            let page = usize::try_from(r.page.max(1) - 1).unwrap_or(usize::MAX);
            projects = projects
                .into_iter()
                .skip(page.saturating_mul(size))
                .take(size)
                .collect();
        }
        Ok(ListProjectsResponse { projects, total })
    }

    pub(super) async fn batch(&self, r: BatchProjectsRequest) -> Result<BatchProjectsResponse, Failure> {
        if r.operation() == BatchOperation::Unspecified {
            return Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                "the operation is not named",
            ));
        }
        let all = r.projects.is_empty() && r.labels.is_empty() && r.state() == ProjectState::Unspecified;
        if all {
            return Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                "select projects by name, label or state",
            ));
        }
        let selecting = ListProjectsRequest {
            labels: r.labels.clone(),
            state: r.state,
            ..Default::default()
        };
        let mut projects = self.listed(&selecting).await?.projects;
        if !r.projects.is_empty() {
            let state = self.0.metadata.latest().await?;
            let mut wanted = Vec::new();
            let mut missing = Vec::new();
            for name in &r.projects {
                match find(&state, name).and_then(public) {
                    Ok(project) => wanted.push(project.id),
                    Err(_) => missing.push(format!("{name:?}")),
                }
            }
            if !missing.is_empty() {
                return Err(Failure::new(
                    codes::api::NOT_FOUND,
                    format!("there is no project {}; nothing was done", missing.join(", ")),
                ));
            }
            projects.retain(|p| wanted.contains(&p.id));
        }
        if projects.len() > MOST {
            return Err(Failure::new(
                codes::api::INVALID_ARGUMENT,
                format!("{} projects are selected; at most {MOST} at once", projects.len()),
            ));
        }
        let mut results = Vec::new();
        for project in projects {
            results.push(self.one(&project, r.operation(), r.dry_run).await);
        }
        Ok(BatchProjectsResponse { results })
    }

    async fn one(&self, project: &Project, operation: BatchOperation, dry_run: bool) -> BatchResult {
        let mut result = BatchResult {
            id: project.id.clone(),
            name: spec_of(project).name,
            state: project.state,
            eligible: true,
            ..Default::default()
        };
        if let Some(why) = unfit(project, operation) {
            result.eligible = false;
            result.error = Some(error(&Failure::new(codes::api::WRONG_STATE, why)));
            return result;
        }
        if dry_run {
            return result;
        }
        let change = |change: ProjectChange| {
            MetaCommand::ChangeProject(ChangeProject {
                id: project.id.clone(),
                change: change as i32,
                ..Default::default()
            })
        };
        let body = match operation {
            BatchOperation::Unspecified => return result,
            BatchOperation::Start => change(ProjectChange::Start),
            BatchOperation::Pause => change(ProjectChange::Pause),
            BatchOperation::Resume => change(ProjectChange::Resume),
            BatchOperation::Release => change(ProjectChange::Release),
            BatchOperation::SkipVerification => change(ProjectChange::SkipVerification),
            BatchOperation::Delete => MetaCommand::DeleteProject(DeleteProject {
                id: project.id.clone(),
            }),
        };
        match self.0.metadata.propose(body).await {
            Ok(_) => result.done = true,
            Err(failure) => result.error = Some(error(&failure)),
        }
        result
    }

    /// A new project that selects what the other one moves now, from what its source has now.
    pub(super) async fn copy(&self, r: CopyProjectRequest) -> Result<Project, Failure> {
        let state = self.0.metadata.latest().await?;
        let record = find(&state, &r.project)?;
        let project = public(record)?;
        if !project.parent.is_empty() {
            return Err(Failure::new(
                codes::api::WRONG_STATE,
                format!("it moves objects that were added to project {}", project.parent),
            ));
        }
        let spec = ProjectSpec {
            name: r.name,
            // Their names may have changed since.
            source: record.source_id.clone(),
            destination: record.destination_id.clone(),
            ..spec_of(&project)
        };
        self.create(spec).await
    }

    pub(super) async fn labels(&self) -> Result<ListLabelsResponse, Failure> {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        for record in self.0.metadata.latest().await?.projects() {
            for label in record.public.iter().flat_map(|p| spec_of(p).labels) {
                *counts.entry(label).or_default() += 1;
            }
        }
        let labels = counts
            .into_iter()
            .map(|(name, projects)| Label { name, projects })
            .collect();
        Ok(ListLabelsResponse { labels })
    }

    pub(super) async fn put_template(&self, r: PutTemplateRequest) -> Result<Template, Failure> {
        let state = self.0.metadata.latest().await?;
        let spec = match (r.project.is_empty(), r.spec) {
            (false, None) => spec_of(&public(find(&state, &r.project)?)?),
            (true, Some(spec)) => spec,
            _ => {
                return Err(Failure::new(
                    codes::api::INVALID_ARGUMENT,
                    "a template is made of a project or of a spec",
                ));
            }
        };
        let template = Template {
            name: r.name.clone(),
            spec: Some(ProjectSpec {
                name: String::new(),
                labels: Vec::new(),
                source: String::new(),
                destination: String::new(),
                databases: Vec::new(),
                rules: None,
                merge_tables: false,
                reverse_of: String::new(),
                ..spec
            }),
            ..Default::default()
        };
        let body = MetaCommand::PutTemplate(PutTemplate {
            template: Some(template),
        });
        self.0.metadata.propose(body).await?;
        let state = self.0.metadata.latest().await?;
        state
            .templates()
            .find(|t| t.name == r.name)
            .cloned()
            .ok_or_else(|| Failure::new(codes::api::CONFLICT, "somebody deleted the template"))
    }

    pub(super) async fn delete_template(&self, name: String) -> Result<(), Failure> {
        let body = MetaCommand::DeleteTemplate(DeleteTemplate { name });
        self.0.metadata.propose(body).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_fits_the_states_that_a_single_one_would() {
        let states = [
            ProjectState::Init,
            ProjectState::Running,
            ProjectState::RunningModifying,
            ProjectState::RunningMerging,
            ProjectState::Suspend,
            ProjectState::Failed,
            ProjectState::Finished,
            ProjectState::Releasing,
            ProjectState::Released,
        ];
        let fits = |operation| -> Vec<bool> {
            let project = |state: ProjectState| Project {
                state: state as i32,
                ..Default::default()
            };
            states
                .iter()
                .map(|s| unfit(&project(*s), operation).is_none())
                .collect()
        };
        let (t, f) = (true, false);
        assert_eq!(fits(BatchOperation::Start), [t, f, f, f, f, f, f, f, f]);
        assert_eq!(fits(BatchOperation::Pause), [f, t, t, t, f, f, f, f, f]);
        assert_eq!(fits(BatchOperation::Resume), [f, f, f, f, t, t, f, f, f]);
        assert_eq!(fits(BatchOperation::Release), [f, f, f, f, t, t, t, f, f]);
        assert_eq!(fits(BatchOperation::Delete), [t, f, f, f, f, f, f, f, t]);
        assert_eq!(fits(BatchOperation::SkipVerification), [f; 9]);
        assert_eq!(fits(BatchOperation::Unspecified), [f; 9]);
    }

    #[test]
    fn rows_of_others_are_not_accepted_in_a_batch() {
        let project = Project {
            state: ProjectState::Failed as i32,
            error: Some(ErrorInfo {
                code: codes::import::DESTINATION_NOT_EMPTY.as_str().to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert!(unfit(&project, BatchOperation::Resume).is_some());
        assert!(unfit(&project, BatchOperation::Release).is_none());
    }
}
