//! A daemon that answers from a script, over a real socket.

use std::{
    collections::VecDeque,
    pin::Pin,
    process::{Command, Output},
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use oms_proto::{status_of, v1::*};
use oms_types::codes;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::{Stream, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status, transport::Server};

type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the fake knows, and what it was asked.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) data_sources: Vec<DataSource>,
    pub(crate) projects: Vec<Project>,
    pub(crate) components: Vec<Component>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) tokens: Vec<Token>,
    /// Components that a draining node loses each time somebody looks at it.
    pub(crate) drains_by: u64,
    pub(crate) items: Vec<PrecheckItem>,
    pub(crate) preview: Vec<PreviewItem>,
    pub(crate) objects: Vec<SchemaObject>,
    pub(crate) tables: Vec<VerifiedTable>,
    pub(crate) differences: Vec<Difference>,
    pub(crate) lines: Vec<LogLine>,
    pub(crate) caught_up: Vec<CaughtUpProgress>,
    /// One list per call of `WatchProject`; the last one is followed by silence.
    pub(crate) watches: VecDeque<Vec<ProjectSnapshot>>,
    pub(crate) calls: Vec<String>,
    pub(crate) passwords: Vec<String>,
    pub(crate) preferred_regions: Vec<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Script>>);

/// A running fake; it ends when this is dropped.
pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) fake: Fake,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Running {
    pub(crate) fn start(script: Script) -> Self {
        let fake = Fake(Arc::new(Mutex::new(script)));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, address) = std::sync::mpsc::channel();
        let served = fake.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap().to_string()).unwrap();
                let server = Server::builder()
                    .add_service(data_source_service_server::DataSourceServiceServer::new(
                        served.clone(),
                    ))
                    .add_service(project_service_server::ProjectServiceServer::new(served.clone()))
                    .add_service(component_service_server::ComponentServiceServer::new(
                        served.clone(),
                    ))
                    .add_service(node_service_server::NodeServiceServer::new(served.clone()))
                    .add_service(token_service_server::TokenServiceServer::new(served))
                    .serve_with_incoming(TcpListenerStream::new(listener));
                tokio::select! {
                    result = server => result.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address: address.recv().unwrap(),
            fake,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The command with these arguments, pointed at this fake. Standard input is closed.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = omsnode(arguments);
        command.env("OMSNODE_SERVER", &self.address);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    pub(crate) fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.fake.script()
    }
}

/// The built command without anything inherited that changes what it does.
pub(crate) fn omsnode(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omsnode"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OMSNODE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(std::process::Stdio::null());
    command
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Fake {
    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    fn called(&self, what: impl Into<String>) -> std::sync::MutexGuard<'_, Script> {
        let mut script = self.script();
        script.calls.push(what.into());
        script
    }

    fn change(&self, call: &str, name: &str, state: ProjectState) -> Result<Response<Project>, Status> {
        let mut script = self.called(format!("{call} {name}"));
        let project = find(&mut script.projects, name)?;
        project.state = state as i32;
        project.version += 1;
        Ok(Response::new(project.clone()))
    }
}

fn find<'a>(projects: &'a mut [Project], name: &str) -> Result<&'a mut Project, Status> {
    projects
        .iter_mut()
        .find(|p| p.id == name || p.spec.as_ref().is_some_and(|s| s.name == name))
        .ok_or_else(|| status_of(codes::api::NOT_FOUND, format!("project {name:?} does not exist")))
}

fn stream<T: Send + 'static>(items: Vec<T>) -> Response<Streaming<T>> {
    Response::new(Box::pin(tokio_stream::iter(items.into_iter().map(Ok))))
}

#[tonic::async_trait]
impl data_source_service_server::DataSourceService for Fake {
    async fn create_data_source(
        &self,
        r: Request<CreateDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        let r = r.into_inner();
        let created = DataSource {
            name: r.name,
            connection: r.connection,
            remarks: r.remarks,
            ..Default::default()
        };
        let mut script = self.called("create");
        script.passwords.push(r.password);
        script.data_sources.push(created.clone());
        Ok(Response::new(created))
    }
    async fn test_data_source(
        &self,
        r: Request<TestDataSourceRequest>,
    ) -> Result<Response<TestDataSourceResponse>, Status> {
        let r = r.into_inner();
        if r.name == "locked" {
            return Err(status_of(codes::src::ACCESS_DENIED, "Access denied for user 'x'"));
        }
        self.called(format!("test {}", r.name)).passwords.push(r.password);
        Ok(Response::new(TestDataSourceResponse {
            facts: None,
            elapsed_ms: 12,
        }))
    }
    async fn list_data_sources(
        &self,
        _: Request<ListDataSourcesRequest>,
    ) -> Result<Response<ListDataSourcesResponse>, Status> {
        Ok(Response::new(ListDataSourcesResponse {
            data_sources: self.called("list").data_sources.clone(),
        }))
    }
    async fn get_data_source(
        &self,
        r: Request<GetDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        let name = r.into_inner().name;
        let found = self
            .script()
            .data_sources
            .iter()
            .find(|d| d.name == name)
            .cloned();
        found
            .map(Response::new)
            .ok_or_else(|| status_of(codes::api::NOT_FOUND, "no such data source"))
    }
    async fn update_data_source(
        &self,
        r: Request<UpdateDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        let r = r.into_inner();
        drop(self.called(format!("update {} password={}", r.name, r.password.is_some())));
        Ok(Response::new(DataSource {
            name: r.name,
            ..Default::default()
        }))
    }
    async fn copy_data_source(
        &self,
        r: Request<CopyDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        Ok(Response::new(DataSource {
            name: r.into_inner().new_name,
            ..Default::default()
        }))
    }
    async fn delete_data_source(
        &self,
        r: Request<DeleteDataSourceRequest>,
    ) -> Result<Response<DeleteDataSourceResponse>, Status> {
        drop(self.called(format!("delete {}", r.into_inner().name)));
        Ok(Response::new(DeleteDataSourceResponse {}))
    }
}

#[tonic::async_trait]
impl project_service_server::ProjectService for Fake {
    async fn validate_project(
        &self,
        _: Request<ValidateProjectRequest>,
    ) -> Result<Response<ValidateProjectResponse>, Status> {
        let items = self.called("validate").items.clone();
        Ok(Response::new(ValidateProjectResponse {
            items,
            databases: 1,
            tables: 2,
            views: 0,
        }))
    }
    type PreviewProjectStream = Streaming<PreviewItem>;
    async fn preview_project(
        &self,
        r: Request<PreviewProjectRequest>,
    ) -> Result<Response<Self::PreviewProjectStream>, Status> {
        let rules = r.into_inner().spec.and_then(|s| s.rules).unwrap_or_default();
        let items = self
            .called(format!("preview {}", rules.include.join(" ")))
            .preview
            .clone();
        Ok(stream(items))
    }
    async fn create_project(&self, r: Request<CreateProjectRequest>) -> Result<Response<Project>, Status> {
        let spec = r.into_inner().spec;
        let project = Project {
            id: "p1".into(),
            spec,
            state: ProjectState::Init as i32,
            version: 1,
            ..Default::default()
        };
        self.called("create-project").projects.push(project.clone());
        Ok(Response::new(project))
    }
    async fn get_project(&self, r: Request<GetProjectRequest>) -> Result<Response<Project>, Status> {
        let name = r.into_inner().project;
        find(&mut self.called(format!("get {name}")).projects, &name).map(|p| Response::new(p.clone()))
    }
    async fn list_projects(
        &self,
        _: Request<ListProjectsRequest>,
    ) -> Result<Response<ListProjectsResponse>, Status> {
        let projects = self.called("list").projects.clone();
        let total = projects.len() as u32;
        Ok(Response::new(ListProjectsResponse { projects, total }))
    }
    async fn start_project(&self, r: Request<ProjectRequest>) -> Result<Response<Project>, Status> {
        self.change("start", &r.into_inner().project, ProjectState::Running)
    }
    async fn pause_project(&self, r: Request<ProjectRequest>) -> Result<Response<Project>, Status> {
        self.change("pause", &r.into_inner().project, ProjectState::Suspend)
    }
    async fn resume_project(&self, r: Request<ResumeProjectRequest>) -> Result<Response<Project>, Status> {
        self.change("resume", &r.into_inner().project, ProjectState::Running)
    }
    async fn release_project(&self, r: Request<ReleaseProjectRequest>) -> Result<Response<Project>, Status> {
        self.change("release", &r.into_inner().project, ProjectState::Releasing)
    }
    async fn delete_project(
        &self,
        r: Request<ProjectRequest>,
    ) -> Result<Response<DeleteProjectResponse>, Status> {
        let name = r.into_inner().project;
        let mut script = self.called(format!("delete-project {name}"));
        find(&mut script.projects, &name)?;
        Ok(Response::new(DeleteProjectResponse {}))
    }
    async fn label_project(&self, r: Request<LabelProjectRequest>) -> Result<Response<Project>, Status> {
        let r = r.into_inner();
        let mut script = self.called("label");
        let project = find(&mut script.projects, &r.project)?;
        project.spec.get_or_insert_default().labels.extend(r.add);
        Ok(Response::new(project.clone()))
    }
    async fn tune_project(&self, r: Request<TuneProjectRequest>) -> Result<Response<Project>, Status> {
        let r = r.into_inner();
        let mut script = self.called(format!("tune {:?}", r.full));
        let project = find(&mut script.projects, &r.project)?;
        let full = project.spec.get_or_insert_default().full.get_or_insert_default();
        let tuning = r.full.unwrap_or_default();
        full.max_rows_per_second = tuning.max_rows_per_second.unwrap_or(full.max_rows_per_second);
        full.workers = tuning.workers.unwrap_or(full.workers);
        Ok(Response::new(project.clone()))
    }
    async fn list_ddl(&self, r: Request<ListDdlRequest>) -> Result<Response<ListDdlResponse>, Status> {
        let r = r.into_inner();
        let mut script = self.called(format!("list ddl {}", r.project));
        find(&mut script.projects, &r.project)?;
        Ok(Response::new(ListDdlResponse::default()))
    }
    async fn start_switchover(
        &self,
        r: Request<StartSwitchoverRequest>,
    ) -> Result<Response<SwitchoverPlan>, Status> {
        let r = r.into_inner();
        let mut script = self.called(format!(
            "start switchover {} {} {}",
            r.set_read_only, r.max_lag_seconds, r.dry_run
        ));
        find(&mut script.projects, &r.project)?;
        Ok(Response::new(SwitchoverPlan::default()))
    }

    async fn decide_switchover(
        &self,
        r: Request<DecideSwitchoverRequest>,
    ) -> Result<Response<Project>, Status> {
        let r = r.into_inner();
        let mut script = self.called(format!(
            "switchover {} {} {:?} {:?}",
            r.decision().name(),
            r.step().name(),
            r.reason,
            r.item
        ));
        let found = find(&mut script.projects, &r.project)?;
        Ok(Response::new(found.clone()))
    }

    async fn decide_ddl(&self, r: Request<DecideDdlRequest>) -> Result<Response<DdlStatement>, Status> {
        let r = r.into_inner();
        let mut script = self.called(format!("decide ddl {} {:?}", r.number, r.statements));
        find(&mut script.projects, &r.project)?;
        Ok(Response::new(DdlStatement {
            number: r.number,
            ..DdlStatement::default()
        }))
    }
    async fn add_objects(&self, r: Request<AddObjectsRequest>) -> Result<Response<Project>, Status> {
        let r = r.into_inner();
        let names: Vec<String> = r
            .databases
            .iter()
            .flat_map(|d| {
                let tables = d.tables.iter();
                tables.map(move |t| format!("{}|{}|{}", d.name, t.name, t.rename_to))
            })
            .collect();
        let call = format!("add {}", names.join(" "));
        self.change(&call, &r.project, ProjectState::RunningModifying)
    }
    async fn remove_objects(&self, r: Request<RemoveObjectsRequest>) -> Result<Response<Project>, Status> {
        let r = r.into_inner();
        let names: Vec<String> = r
            .objects
            .iter()
            .map(|o| format!("{}|{}", o.database, o.table))
            .collect();
        let call = format!("remove {}", names.join(" "));
        self.change(&call, &r.project, ProjectState::Running)
    }
    async fn decide_object_change(
        &self,
        r: Request<DecideObjectChangeRequest>,
    ) -> Result<Response<Project>, Status> {
        let r = r.into_inner();
        self.change(r.decision().name(), &r.project, ProjectState::Running)
    }
    async fn set_project(
        &self,
        r: Request<SetProjectRequest>,
    ) -> Result<Response<SetProjectResponse>, Status> {
        let r = r.into_inner();
        let settings = r.settings.iter().map(|s| format!("{}={}", s.key, s.value));
        let call = format!("set {} {}", settings.collect::<Vec<_>>().join(" "), r.dry_run);
        let mut script = self.called(call);
        let project = Some(find(&mut script.projects, &r.project)?.clone());
        let changes = r.settings.into_iter().map(|s| SettingChange {
            key: s.key,
            after: s.value,
            effect: "at once".into(),
            ..Default::default()
        });
        let changes = changes.collect();
        Ok(Response::new(SetProjectResponse { project, changes }))
    }
    async fn copy_project(&self, r: Request<CopyProjectRequest>) -> Result<Response<Project>, Status> {
        let r = r.into_inner();
        self.change(&format!("copy {}", r.name), &r.project, ProjectState::Init)
    }
    async fn batch_projects(
        &self,
        r: Request<BatchProjectsRequest>,
    ) -> Result<Response<BatchProjectsResponse>, Status> {
        let r = r.into_inner();
        let script = self.called(format!("batch {} {}", r.operation().name(), r.dry_run));
        let results = script.projects.iter().map(|p| BatchResult {
            id: p.id.clone(),
            eligible: true,
            done: !r.dry_run,
            ..Default::default()
        });
        let results = results.collect();
        Ok(Response::new(BatchProjectsResponse { results }))
    }
    async fn list_labels(
        &self,
        _: Request<ListLabelsRequest>,
    ) -> Result<Response<ListLabelsResponse>, Status> {
        drop(self.called("labels"));
        let labels = vec![Label {
            name: "l1".into(),
            projects: 2,
        }];
        Ok(Response::new(ListLabelsResponse { labels }))
    }
    async fn put_template(&self, r: Request<PutTemplateRequest>) -> Result<Response<Template>, Status> {
        let r = r.into_inner();
        drop(self.called(format!("put-template {} {}", r.name, r.project)));
        Ok(Response::new(Template {
            name: r.name,
            ..Default::default()
        }))
    }
    async fn list_templates(
        &self,
        _: Request<ListTemplatesRequest>,
    ) -> Result<Response<ListTemplatesResponse>, Status> {
        drop(self.called("templates"));
        Ok(Response::new(ListTemplatesResponse::default()))
    }
    async fn delete_template(
        &self,
        r: Request<DeleteTemplateRequest>,
    ) -> Result<Response<DeleteTemplateResponse>, Status> {
        drop(self.called(format!("delete-template {}", r.into_inner().name)));
        Ok(Response::new(DeleteTemplateResponse {}))
    }
    type WatchProjectStream = Streaming<ProjectSnapshot>;
    async fn watch_project(
        &self,
        r: Request<ProjectRequest>,
    ) -> Result<Response<Self::WatchProjectStream>, Status> {
        let name = r.into_inner().project;
        let mut script = self.called(format!("watch {name}"));
        find(&mut script.projects, &name)?;
        let items = script.watches.pop_front().unwrap_or_default();
        if !script.watches.is_empty() {
            return Ok(stream(items));
        }
        let items = tokio_stream::iter(items.into_iter().map(Ok));
        Ok(Response::new(Box::pin(tokio_stream::StreamExt::chain(
            items,
            tokio_stream::pending(),
        ))))
    }
    type WaitCaughtUpStream = Streaming<CaughtUpProgress>;
    async fn wait_caught_up(
        &self,
        r: Request<ProjectRequest>,
    ) -> Result<Response<Self::WaitCaughtUpStream>, Status> {
        let mut script = self.called("wait");
        find(&mut script.projects, &r.into_inner().project)?;
        let items = tokio_stream::iter(script.caught_up.clone().into_iter().map(Ok));
        Ok(Response::new(Box::pin(tokio_stream::StreamExt::chain(
            items,
            tokio_stream::pending(),
        ))))
    }
    async fn list_precheck_items(
        &self,
        _: Request<ProjectRequest>,
    ) -> Result<Response<ListPrecheckItemsResponse>, Status> {
        Ok(Response::new(ListPrecheckItemsResponse {
            items: self.script().items.clone(),
        }))
    }
    async fn list_objects(
        &self,
        _: Request<ListObjectsRequest>,
    ) -> Result<Response<ListObjectsResponse>, Status> {
        Ok(Response::new(ListObjectsResponse {
            objects: self.script().objects.clone(),
            ..Default::default()
        }))
    }
    async fn decide_object(
        &self,
        r: Request<DecideObjectRequest>,
    ) -> Result<Response<ListObjectsResponse>, Status> {
        let r = r.into_inner();
        let words = [
            r.decision().name(),
            &r.database,
            &r.table,
            &r.part,
            &r.statements.join("|"),
        ]
        .join(" ");
        drop(self.called(words));
        Ok(Response::new(ListObjectsResponse::default()))
    }
    async fn verify_project(&self, r: Request<VerifyProjectRequest>) -> Result<Response<Project>, Status> {
        let r = r.into_inner();
        self.change(
            &format!("verify {}", r.scope().name()),
            &r.project,
            ProjectState::Running,
        )
    }
    async fn skip_verification(&self, r: Request<ProjectRequest>) -> Result<Response<Project>, Status> {
        self.change("skip", &r.into_inner().project, ProjectState::Running)
    }
    async fn list_verified_tables(
        &self,
        _: Request<ProjectRequest>,
    ) -> Result<Response<ListVerifiedTablesResponse>, Status> {
        Ok(Response::new(ListVerifiedTablesResponse {
            run: 1,
            tables: self.script().tables.clone(),
        }))
    }
    type ListDifferencesStream = Streaming<Difference>;
    async fn list_differences(
        &self,
        _: Request<ListDifferencesRequest>,
    ) -> Result<Response<Self::ListDifferencesStream>, Status> {
        Ok(stream(self.script().differences.clone()))
    }
}

#[tonic::async_trait]
impl component_service_server::ComponentService for Fake {
    async fn list_components(
        &self,
        _: Request<ListComponentsRequest>,
    ) -> Result<Response<ListComponentsResponse>, Status> {
        Ok(Response::new(ListComponentsResponse {
            components: self.script().components.clone(),
        }))
    }
    async fn get_component(&self, r: Request<GetComponentRequest>) -> Result<Response<Component>, Status> {
        let id = r.into_inner().id;
        let found = self.script().components.iter().find(|c| c.id == id).cloned();
        found
            .map(Response::new)
            .ok_or_else(|| status_of(codes::api::NOT_FOUND, "no such component"))
    }
    type ReadComponentLogStream = Streaming<LogLine>;
    async fn read_component_log(
        &self,
        _: Request<ReadComponentLogRequest>,
    ) -> Result<Response<Self::ReadComponentLogStream>, Status> {
        Ok(stream(self.script().lines.clone()))
    }
    async fn move_component(&self, r: Request<MoveComponentRequest>) -> Result<Response<Component>, Status> {
        let r = r.into_inner();
        self.change_component(format!("move {} {}", r.id, r.node), &r.id, |c| {
            c.node = r.node;
            c.epoch += 1;
        })
    }
    async fn freeze_component(
        &self,
        r: Request<FreezeComponentRequest>,
    ) -> Result<Response<Component>, Status> {
        let r = r.into_inner();
        self.change_component(format!("freeze {}", r.id), &r.id, |c| {
            c.frozen_reason = r.reason.clone()
        })
    }
    async fn unfreeze_component(
        &self,
        r: Request<UnfreezeComponentRequest>,
    ) -> Result<Response<Component>, Status> {
        let id = r.into_inner().id;
        self.change_component(format!("unfreeze {id}"), &id, |c| c.frozen_reason.clear())
    }
}

impl Fake {
    fn change_component(
        &self,
        call: String,
        id: &str,
        change: impl FnOnce(&mut Component),
    ) -> Result<Response<Component>, Status> {
        let mut script = self.called(call);
        let found = script.components.iter_mut().find(|c| c.id == id);
        let found = found.ok_or_else(|| status_of(codes::api::NOT_FOUND, "no such component"))?;
        change(found);
        Ok(Response::new(found.clone()))
    }

    fn change_node(
        &self,
        call: &str,
        id: u64,
        change: impl FnOnce(&mut Node),
    ) -> Result<Response<Node>, Status> {
        let mut script = self.called(format!("{call} {id}"));
        let found = script.nodes.iter_mut().find(|n| n.id == id);
        let found = found.ok_or_else(|| status_of(codes::api::NOT_FOUND, "no such node"))?;
        change(found);
        Ok(Response::new(found.clone()))
    }
}

#[tonic::async_trait]
impl node_service_server::NodeService for Fake {
    async fn list_nodes(&self, r: Request<ListNodesRequest>) -> Result<Response<ListNodesResponse>, Status> {
        let all = r.into_inner().all;
        let mut nodes = self.script().nodes.clone();
        nodes.retain(|n| all || n.state() != NodeState::Removed);
        Ok(Response::new(ListNodesResponse { nodes }))
    }
    async fn get_node(&self, r: Request<GetNodeRequest>) -> Result<Response<Node>, Status> {
        let by = self.script().drains_by;
        self.change_node("look", r.into_inner().id, |n| {
            if n.state() == NodeState::Draining {
                n.components = n.components.saturating_sub(by);
            }
        })
    }
    async fn cordon_node(&self, r: Request<CordonNodeRequest>) -> Result<Response<Node>, Status> {
        let r = r.into_inner();
        self.change_node("cordon", r.id, |n| {
            n.set_state(NodeState::Cordoned);
            n.reason = r.reason;
        })
    }
    async fn uncordon_node(&self, r: Request<UncordonNodeRequest>) -> Result<Response<Node>, Status> {
        self.change_node("uncordon", r.into_inner().id, |n| n.set_state(NodeState::Active))
    }
    async fn drain_node(&self, r: Request<DrainNodeRequest>) -> Result<Response<Node>, Status> {
        let r = r.into_inner();
        self.change_node("drain", r.id, |n| {
            n.set_state(NodeState::Draining);
            n.reason = r.reason;
        })
    }
    async fn remove_node(
        &self,
        r: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        let r = r.into_inner();
        let call = if r.force { "remove-by-force" } else { "remove" };
        self.change_node(call, r.id, |n| {
            n.set_state(NodeState::Removed);
            n.set_role(NodeRole::Outside);
        })?;
        Ok(Response::new(RemoveNodeResponse {}))
    }
    async fn set_node_quota(&self, r: Request<SetNodeQuotaRequest>) -> Result<Response<Node>, Status> {
        let r = r.into_inner();
        self.change_node("quota", r.id, |n| n.quota = r.quota)
    }
    async fn get_cluster(&self, _: Request<GetClusterRequest>) -> Result<Response<Cluster>, Status> {
        let nodes = self.script().nodes.clone();
        let with = |role: &[NodeRole]| {
            nodes
                .iter()
                .filter(|n| role.contains(&n.role()))
                .map(|n| n.id)
                .collect()
        };
        Ok(Response::new(Cluster {
            id: "c1".into(),
            leader: nodes.iter().find(|n| n.leader).map_or(0, |n| n.id),
            term: 3,
            commit_index: 77,
            voters: with(&[NodeRole::Leader, NodeRole::Voter]),
            learners: with(&[NodeRole::Learner]),
            tolerates: 1,
            feature_level: 3,
            answered_by: nodes.first().map_or(0, |n| n.id),
            preferred_regions: self.script().preferred_regions.clone(),
            leader_region: nodes
                .iter()
                .find(|n| n.leader)
                .map_or_else(String::new, |n| n.region.clone()),
        }))
    }
    async fn set_preferred_regions(
        &self,
        r: Request<SetPreferredRegionsRequest>,
    ) -> Result<Response<Cluster>, Status> {
        self.script().preferred_regions = r.into_inner().regions;
        self.get_cluster(Request::new(GetClusterRequest {})).await
    }
}

#[tonic::async_trait]
impl token_service_server::TokenService for Fake {
    async fn create_token(
        &self,
        r: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let r = r.into_inner();
        let token = Token {
            id: "t1".into(),
            created_at_ms: 1,
            expires_at_ms: i64::MAX,
            uses_left: r.uses,
            remarks: r.remarks,
        };
        let mut script = self.called(format!("create-token {} {}", r.valid_seconds, r.uses));
        script.tokens.push(token.clone());
        Ok(Response::new(CreateTokenResponse {
            token: Some(token),
            secret: "omsnode-join.t1.s3cret".into(),
        }))
    }
    async fn list_tokens(
        &self,
        _: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        Ok(Response::new(ListTokensResponse {
            tokens: self.script().tokens.clone(),
        }))
    }
    async fn revoke_token(
        &self,
        r: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let id = r.into_inner().id;
        let mut script = self.called(format!("revoke {id}"));
        let before = script.tokens.len();
        script.tokens.retain(|t| t.id != id);
        if script.tokens.len() == before {
            return Err(status_of(
                codes::cluster::TOKEN_UNKNOWN,
                format!("token {id:?} does not exist"),
            ));
        }
        Ok(Response::new(RevokeTokenResponse {}))
    }
}
