//! Projects.

mod changes;
mod create;
mod ddl;
mod preview;
mod results;
mod setting;
mod several;
mod switchover;
mod watch;

use futures::Stream;
use oms_core::{Failure, codes};
use oms_meta::{MetaCommand, MetaState};
use oms_proto::{
    meta::{ChangeProject, DecideObject, DeleteProject, ProjectChange, ProjectRecord, TuneProject},
    v1::{
        AddObjectsRequest, BatchProjectsRequest, BatchProjectsResponse, CaughtUpProgress, CopyProjectRequest,
        CreateProjectRequest, DdlStatement, DecideDdlRequest, DecideObjectChangeRequest, DecideObjectRequest,
        DecideSwitchoverRequest, DeleteProjectResponse, DeleteTemplateRequest, DeleteTemplateResponse,
        Difference, GetProjectRequest, LabelProjectRequest, ListDdlRequest, ListDdlResponse,
        ListDifferencesRequest, ListLabelsRequest, ListLabelsResponse, ListObjectsRequest,
        ListObjectsResponse, ListPrecheckItemsResponse, ListProjectsRequest, ListProjectsResponse,
        ListTemplatesRequest, ListTemplatesResponse, ListVerifiedTablesResponse, ObjectState, PreviewItem,
        PreviewProjectRequest, Project, ProjectRequest, ProjectSnapshot, PutTemplateRequest,
        ReleaseProjectRequest, RemoveObjectsRequest, ResumeProjectRequest, SchemaObject, SetProjectRequest,
        SetProjectResponse, StartSwitchoverRequest, SwitchoverPlan, Template, TuneProjectRequest,
        ValidateProjectRequest, ValidateProjectResponse, VerifyProjectRequest, VerifyScope,
        project_service_server::ProjectService,
    },
};
use std::pin::Pin;
use tonic::{Request, Response, Status};

use super::{Backend, status};
use crate::behaviors::summary;

type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The project service.
#[derive(Clone)]
pub(crate) struct Projects(pub(crate) Backend);

pub(super) fn unknown(name: &str) -> Failure {
    Failure::new(
        codes::api::NOT_FOUND,
        format!("project {name:?} does not exist; `omsnode project list` shows all"),
    )
}

/// A project's record by name or id.
pub(super) fn find<'s>(state: &'s MetaState, name: &str) -> Result<&'s ProjectRecord, Failure> {
    state.project(name).ok_or_else(|| unknown(name))
}

fn public(record: &ProjectRecord) -> Result<Project, Failure> {
    record
        .public
        .clone()
        .ok_or_else(|| Failure::new(codes::api::INTERNAL, "the project's record is empty"))
}

impl Projects {
    async fn get(&self, name: &str) -> Result<Project, Failure> {
        public(find(&*self.0.metadata.latest().await?, name)?)
    }

    async fn change(&self, name: &str, change: ChangeProject) -> Result<Response<Project>, Status> {
        let work = async {
            let id = self.get(name).await?.id;
            self.0
                .metadata
                .propose(MetaCommand::ChangeProject(ChangeProject {
                    id: id.clone(),
                    ..change
                }))
                .await?;
            self.get(&id).await
        };
        work.await.map(Response::new).map_err(status)
    }

    async fn simple(&self, name: &str, change: ProjectChange) -> Result<Response<Project>, Status> {
        self.change(
            name,
            ChangeProject {
                change: change as i32,
                ..Default::default()
            },
        )
        .await
    }
}

#[tonic::async_trait]
impl ProjectService for Projects {
    async fn validate_project(
        &self,
        request: Request<ValidateProjectRequest>,
    ) -> Result<Response<ValidateProjectResponse>, Status> {
        let r = request.into_inner();
        let validated = self.validate(&r.spec.unwrap_or_default(), r.offline).await;
        validated.map(Response::new).map_err(status)
    }

    async fn create_project(
        &self,
        request: Request<CreateProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        let spec = request.into_inner().spec.unwrap_or_default();
        self.create(spec).await.map(Response::new).map_err(status)
    }

    type PreviewProjectStream = Streaming<PreviewItem>;

    async fn preview_project(
        &self,
        request: Request<PreviewProjectRequest>,
    ) -> Result<Response<Self::PreviewProjectStream>, Status> {
        let spec = request.into_inner().spec.unwrap_or_default();
        self.preview(spec).await.map(Response::new).map_err(status)
    }

    async fn get_project(&self, request: Request<GetProjectRequest>) -> Result<Response<Project>, Status> {
        self.get(&request.into_inner().project)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn list_projects(
        &self,
        request: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let listed = self.listed(&request.into_inner()).await;
        listed.map(Response::new).map_err(status)
    }

    async fn start_project(&self, request: Request<ProjectRequest>) -> Result<Response<Project>, Status> {
        self.simple(&request.into_inner().project, ProjectChange::Start)
            .await
    }

    async fn pause_project(&self, request: Request<ProjectRequest>) -> Result<Response<Project>, Status> {
        self.simple(&request.into_inner().project, ProjectChange::Pause)
            .await
    }

    async fn resume_project(
        &self,
        request: Request<ResumeProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        self.simple(&request.into_inner().project, ProjectChange::Resume)
            .await
    }

    async fn release_project(
        &self,
        request: Request<ReleaseProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        let r = request.into_inner();
        let change = ChangeProject {
            change: ProjectChange::Release as i32,
            force: r.force,
            ..Default::default()
        };
        self.change(&r.project, change).await
    }

    async fn delete_project(
        &self,
        request: Request<ProjectRequest>,
    ) -> Result<Response<DeleteProjectResponse>, Status> {
        let found = self.get(&request.into_inner().project).await.map_err(status)?;
        let body = MetaCommand::DeleteProject(DeleteProject { id: found.id });
        self.0.metadata.propose(body).await.map_err(status)?;
        Ok(Response::new(DeleteProjectResponse {}))
    }

    async fn label_project(
        &self,
        request: Request<LabelProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        let r = request.into_inner();
        let change = ChangeProject {
            change: ProjectChange::Label as i32,
            add_labels: r.add,
            remove_labels: r.remove,
            ..Default::default()
        };
        self.change(&r.project, change).await
    }

    async fn list_ddl(&self, request: Request<ListDdlRequest>) -> Result<Response<ListDdlResponse>, Status> {
        let listed = self.ddl_statements(request.into_inner()).await;
        listed.map(Response::new).map_err(status)
    }

    async fn decide_ddl(&self, request: Request<DecideDdlRequest>) -> Result<Response<DdlStatement>, Status> {
        let decided = self.decided_ddl(request.into_inner()).await;
        decided.map(Response::new).map_err(status)
    }

    async fn tune_project(&self, request: Request<TuneProjectRequest>) -> Result<Response<Project>, Status> {
        let r = request.into_inner();
        let work = async {
            let id = self.get(&r.project).await?.id;
            let body = MetaCommand::TuneProject(TuneProject {
                id: id.clone(),
                full: r.full,
            });
            self.0.metadata.propose(body).await?;
            self.get(&id).await
        };
        work.await.map(Response::new).map_err(status)
    }

    async fn add_objects(&self, request: Request<AddObjectsRequest>) -> Result<Response<Project>, Status> {
        let added = Projects::add_objects(self, request.into_inner()).await;
        added.map(Response::new).map_err(status)
    }

    async fn remove_objects(
        &self,
        request: Request<RemoveObjectsRequest>,
    ) -> Result<Response<Project>, Status> {
        let removed = Projects::remove_objects(self, request.into_inner()).await;
        removed.map(Response::new).map_err(status)
    }

    async fn decide_object_change(
        &self,
        request: Request<DecideObjectChangeRequest>,
    ) -> Result<Response<Project>, Status> {
        let decided = self.decide_change(request.into_inner()).await;
        decided.map(Response::new).map_err(status)
    }

    async fn set_project(
        &self,
        request: Request<SetProjectRequest>,
    ) -> Result<Response<SetProjectResponse>, Status> {
        let set = self.set(request.into_inner()).await;
        set.map(Response::new).map_err(status)
    }

    async fn copy_project(&self, request: Request<CopyProjectRequest>) -> Result<Response<Project>, Status> {
        let copied = self.copy(request.into_inner()).await;
        copied.map(Response::new).map_err(status)
    }

    async fn batch_projects(
        &self,
        request: Request<BatchProjectsRequest>,
    ) -> Result<Response<BatchProjectsResponse>, Status> {
        let done = self.batch(request.into_inner()).await;
        done.map(Response::new).map_err(status)
    }

    async fn list_labels(
        &self,
        _: Request<ListLabelsRequest>,
    ) -> Result<Response<ListLabelsResponse>, Status> {
        self.labels().await.map(Response::new).map_err(status)
    }

    async fn put_template(&self, request: Request<PutTemplateRequest>) -> Result<Response<Template>, Status> {
        let put = Projects::put_template(self, request.into_inner()).await;
        put.map(Response::new).map_err(status)
    }

    async fn list_templates(
        &self,
        _: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        let state = self.0.metadata.latest().await.map_err(status)?;
        let templates = state.templates().cloned().collect();
        Ok(Response::new(ListTemplatesResponse { templates }))
    }

    async fn delete_template(
        &self,
        request: Request<DeleteTemplateRequest>,
    ) -> Result<Response<DeleteTemplateResponse>, Status> {
        let deleted = Projects::delete_template(self, request.into_inner().name).await;
        deleted
            .map(|()| Response::new(DeleteTemplateResponse {}))
            .map_err(status)
    }

    type WatchProjectStream = Streaming<ProjectSnapshot>;

    async fn watch_project(
        &self,
        request: Request<ProjectRequest>,
    ) -> Result<Response<Self::WatchProjectStream>, Status> {
        self.watch(&request.into_inner().project)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn start_switchover(
        &self,
        request: Request<StartSwitchoverRequest>,
    ) -> Result<Response<SwitchoverPlan>, Status> {
        let begun = self.begin_switchover(request.into_inner()).await;
        begun.map(Response::new).map_err(status)
    }

    async fn decide_switchover(
        &self,
        request: Request<DecideSwitchoverRequest>,
    ) -> Result<Response<Project>, Status> {
        let decided = self.decided_switchover(request.into_inner()).await;
        decided.map(Response::new).map_err(status)
    }

    type WaitCaughtUpStream = Streaming<CaughtUpProgress>;

    async fn wait_caught_up(
        &self,
        request: Request<ProjectRequest>,
    ) -> Result<Response<Self::WaitCaughtUpStream>, Status> {
        self.caught_up(&request.into_inner().project)
            .await
            .map(Response::new)
            .map_err(status)
    }

    async fn list_precheck_items(
        &self,
        request: Request<ProjectRequest>,
    ) -> Result<Response<ListPrecheckItemsResponse>, Status> {
        let state = self.0.metadata.latest().await.map_err(status)?;
        let record = find(&state, &request.into_inner().project).map_err(status)?;
        Ok(Response::new(ListPrecheckItemsResponse {
            items: record.precheck_items.clone(),
        }))
    }

    async fn list_objects(
        &self,
        request: Request<ListObjectsRequest>,
    ) -> Result<Response<ListObjectsResponse>, Status> {
        let r = request.into_inner();
        let state = self.0.metadata.latest().await.map_err(status)?;
        let record = find(&state, &r.project).map_err(status)?;
        let objects = record
            .objects
            .iter()
            .filter(|o| r.states.is_empty() || r.states.contains(&o.state))
            .filter(|o| o.at_switchover || !r.at_switchover)
            .map(|o| if r.with_statements { o.clone() } else { brief(o) })
            .collect();
        let summary = Some(summary(&record.objects));
        Ok(Response::new(ListObjectsResponse { objects, summary }))
    }

    async fn decide_object(
        &self,
        request: Request<DecideObjectRequest>,
    ) -> Result<Response<ListObjectsResponse>, Status> {
        let mut r = request.into_inner();
        let work = async {
            r.project = self.get(&r.project).await?.id;
            let id = r.project.clone();
            self.0
                .metadata
                .propose(MetaCommand::DecideObject(DecideObject { request: Some(r) }))
                .await?;
            let state = self.0.metadata.latest().await?;
            let open = [
                ObjectState::Failed,
                ObjectState::NotObtained,
                ObjectState::NotSupported,
            ];
            let record = find(&state, &id)?;
            Ok(record
                .objects
                .iter()
                .filter(|o| open.contains(&o.state()) && !o.at_switchover)
                .map(brief)
                .collect::<Vec<_>>())
        };
        let objects = work.await.map_err(status)?;
        Ok(Response::new(ListObjectsResponse {
            objects,
            summary: None,
        }))
    }

    async fn verify_project(
        &self,
        request: Request<VerifyProjectRequest>,
    ) -> Result<Response<Project>, Status> {
        let r = request.into_inner();
        let scope = if r.scope() == VerifyScope::Unspecified {
            VerifyScope::All
        } else {
            r.scope()
        };
        let change = ChangeProject {
            change: ProjectChange::Verify as i32,
            verify_scope: scope as i32,
            ..Default::default()
        };
        self.change(&r.project, change).await
    }

    async fn skip_verification(&self, request: Request<ProjectRequest>) -> Result<Response<Project>, Status> {
        self.simple(&request.into_inner().project, ProjectChange::SkipVerification)
            .await
    }

    async fn list_verified_tables(
        &self,
        request: Request<ProjectRequest>,
    ) -> Result<Response<ListVerifiedTablesResponse>, Status> {
        let state = self.0.metadata.latest().await.map_err(status)?;
        let record = find(&state, &request.into_inner().project).map_err(status)?;
        let run = record
            .verify_run
            .max(u32::from(!record.verified_tables.is_empty()));
        Ok(Response::new(ListVerifiedTablesResponse {
            run,
            tables: record.verified_tables.clone(),
        }))
    }

    type ListDifferencesStream = Streaming<Difference>;

    async fn list_differences(
        &self,
        request: Request<ListDifferencesRequest>,
    ) -> Result<Response<Self::ListDifferencesStream>, Status> {
        self.differences(request.into_inner())
            .await
            .map(Response::new)
            .map_err(status)
    }
}

/// An object without its long texts.
fn brief(object: &SchemaObject) -> SchemaObject {
    SchemaObject {
        source_definition: String::new(),
        statements: Vec::new(),
        ..object.clone()
    }
}
