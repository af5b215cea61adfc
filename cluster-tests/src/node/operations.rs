//! What a user does to a project, and what the project says about it.

use anyhow::Context;
use oms_proto::v1::{
    DecideObjectRequest, ListObjectsRequest, ObjectDecision, ObjectKind, PrecheckItem, Project,
    ProjectRequest, ProjectState, ReleaseProjectRequest, ResumeProjectRequest, SchemaObject,
};
use tonic::Status;

use super::{OmsNode, ProjectClient};

/// One call of the life cycle: either the connection fails, or the daemon answers, maybe with a refusal.
pub type Answer<T> = anyhow::Result<Result<T, Status>>;

impl ProjectClient {
    fn named(&self) -> ProjectRequest {
        ProjectRequest {
            project: self.name.clone(),
        }
    }

    /// INIT to RUNNING.
    pub async fn start(&self, node: &OmsNode) -> Answer<Project> {
        let answer = node.projects().await?.start_project(self.named()).await;
        Ok(answer.map(tonic::Response::into_inner))
    }

    /// RUNNING to SUSPEND.
    pub async fn pause(&self, node: &OmsNode) -> Answer<Project> {
        let answer = node.projects().await?.pause_project(self.named()).await;
        Ok(answer.map(tonic::Response::into_inner))
    }

    /// SUSPEND or FAILED to RUNNING.
    pub async fn resume(&self, node: &OmsNode) -> Answer<Project> {
        let request = ResumeProjectRequest {
            project: self.name.clone(),
        };
        let answer = node.projects().await?.resume_project(request).await;
        Ok(answer.map(tonic::Response::into_inner))
    }

    /// To RELEASING; [`ProjectClient::wait_released`] waits for the end of it.
    pub async fn release(&self, node: &OmsNode) -> Answer<Project> {
        self.release_with(node, false).await
    }

    /// To RELEASING, and what cannot be removed is given up.
    pub async fn force_release(&self, node: &OmsNode) -> Answer<Project> {
        self.release_with(node, true).await
    }

    async fn release_with(&self, node: &OmsNode, force: bool) -> Answer<Project> {
        let request = ReleaseProjectRequest {
            project: self.name.clone(),
            force,
        };
        let answer = node.projects().await?.release_project(request).await;
        Ok(answer.map(tonic::Response::into_inner))
    }

    /// Forgets the project.
    pub async fn delete(&self, node: &OmsNode) -> Answer<()> {
        Ok(node
            .projects()
            .await?
            .delete_project(self.named())
            .await
            .map(|_| ()))
    }

    /// Waits until everything that the project kept is gone.
    pub async fn wait_released(&self, node: &OmsNode) -> anyhow::Result<Project> {
        self.wait(node, "release", |p| p.state() == ProjectState::Released)
            .await
    }

    /// Items of the last precheck.
    pub async fn precheck_items(&self, node: &OmsNode) -> anyhow::Result<Vec<PrecheckItem>> {
        let answer = node.projects().await?.list_precheck_items(self.named()).await?;
        Ok(answer.into_inner().items)
    }

    /// Objects of the schema migration, with their statements.
    pub async fn objects(&self, node: &OmsNode) -> anyhow::Result<Vec<SchemaObject>> {
        let request = ListObjectsRequest {
            project: self.name.clone(),
            with_statements: true,
            ..Default::default()
        };
        let answer = node.projects().await?.list_objects(request).await?;
        Ok(answer.into_inner().objects)
    }

    /// One table among the objects.
    pub async fn table_object(&self, node: &OmsNode, table: &str) -> anyhow::Result<SchemaObject> {
        let objects = self.objects(node).await?;
        objects
            .into_iter()
            .find(|o| o.kind() == ObjectKind::Table && o.table == table)
            .with_context(|| format!("{table} is not among the objects"))
    }

    /// Decides about a table that failed.
    pub async fn decide_table(
        &self,
        node: &OmsNode,
        (database, table): (&str, &str),
        decision: ObjectDecision,
        statements: &[&str],
    ) -> Answer<()> {
        let request = DecideObjectRequest {
            project: self.name.clone(),
            kind: ObjectKind::Table as i32,
            database: database.to_owned(),
            table: table.to_owned(),
            decision: decision as i32,
            statements: statements.iter().map(|s| (*s).to_owned()).collect(),
            ..Default::default()
        };
        Ok(node.projects().await?.decide_object(request).await.map(|_| ()))
    }
}
