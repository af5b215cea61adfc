//! A source, a destination, a node and a project between them.

use anyhow::ensure;
use oms_proto::v1::{
    Connection, CreateDataSourceRequest, CreateProjectRequest, DataSourceKind, ProjectRequest, ProjectSpec,
};
use tempfile::TempDir;

use super::{OmsNode, ProjectClient};
use crate::{Client, Server, ServerKind, ServerOptions, compare_tables};

/// The data source kind of a server kind.
pub fn data_source_kind(kind: ServerKind) -> DataSourceKind {
    match kind {
        ServerKind::MariaDb => DataSourceKind::Mariadb,
        ServerKind::Mysql56 | ServerKind::Mysql97 => DataSourceKind::Mysql,
        ServerKind::SeekDb => DataSourceKind::Oceanbase,
    }
}

/// Everything one end-to-end test needs. Taken away when dropped.
#[derive(Debug)]
pub struct Scenario {
    /// Read from.
    pub source: Server,
    /// Written to.
    pub destination: Server,
    /// In between.
    pub node: OmsNode,
    /// The project.
    pub project: ProjectClient,
    // Last, so that the processes end before their folder goes.
    _folder: TempDir,
}

impl Scenario {
    /// Starts both servers and a node and registers the data sources `src` and `dst`.
    pub async fn start(source: ServerKind, destination: ServerKind) -> anyhow::Result<Self> {
        let options = ServerOptions::source().gtid(true);
        Self::start_with(source, options, destination, ServerOptions::destination()).await
    }

    /// As [`Scenario::start`], with options for the servers.
    pub async fn start_with(
        source: ServerKind,
        source_options: ServerOptions,
        destination: ServerKind,
        destination_options: ServerOptions,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let source = Server::start(source, source_options).await?;
        let destination = Server::start(destination, destination_options).await?;
        let node = OmsNode::start(&folder.path().join("node")).await?;
        let project = ProjectClient {
            name: "test".to_owned(),
        };
        let scenario = Self {
            source,
            destination,
            node,
            project,
            _folder: folder,
        };
        scenario.register("src", &scenario.source).await?;
        scenario.register("dst", &scenario.destination).await?;
        Ok(scenario)
    }

    /// Registers a server as a data source.
    pub async fn register(&self, name: &str, server: &Server) -> anyhow::Result<()> {
        let request = CreateDataSourceRequest {
            name: name.to_owned(),
            connection: Some(Connection {
                kind: data_source_kind(server.kind()) as i32,
                host: server.host().to_owned(),
                port: u32::from(server.port()),
                user: server.oms_user().to_owned(),
                ..Default::default()
            }),
            password: server.password().to_owned(),
            ..Default::default()
        };
        self.node
            .data_sources()
            .await?
            .create_data_source(request)
            .await?;
        Ok(())
    }

    /// A spec that moves whole databases with all steps.
    pub fn spec(&self, databases: &[&str]) -> ProjectSpec {
        self.project.spec(databases)
    }

    /// Creates and starts the project.
    pub async fn launch(&self, spec: ProjectSpec) -> anyhow::Result<()> {
        let mut projects = self.node.projects().await?;
        let request = CreateProjectRequest { spec: Some(spec) };
        projects.create_project(request).await?;
        projects
            .start_project(ProjectRequest {
                project: self.project.name.clone(),
            })
            .await?;
        Ok(())
    }

    /// Compares tables of both sides by the testbed's own judge, which shares no code with the product.
    pub async fn assert_equal(&self, database: &str, tables: &[&str]) -> anyhow::Result<u64> {
        let mut left: Client = self.source.client().await?;
        let mut right: Client = self.destination.client().await?;
        let mut rows = 0;
        for table in tables {
            let comparison =
                compare_tables((&mut left, database, table), (&mut right, database, table)).await?;
            ensure!(
                comparison.is_equal(),
                "{database}.{table} differs: {} and {} rows\n{}",
                comparison.left.rows,
                comparison.right.rows,
                comparison.differences.join("\n")
            );
            rows += comparison.left.rows;
        }
        Ok(rows)
    }
}
