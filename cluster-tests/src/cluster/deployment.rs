//! A cluster with a source, a destination and a project.

use std::time::Duration;

use anyhow::{Context, ensure};
use oms_proto::v1::{Connection, CreateDataSourceRequest, CreateProjectRequest, ProjectRequest, ProjectSpec};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::links::End;
use super::members::{NodeCluster, Place};
use crate::bank::{Bank, BankOptions};
use crate::node::{ProjectClient, data_source_kind};
use crate::{Client, Server, ServerKind, ServerOptions, compare_tables};

/// What a deployment is made of.
#[derive(Debug, Clone)]
pub struct DeploymentOptions {
    /// The source; always with a log.
    pub source: ServerKind,
    /// The destination.
    pub destination: ServerKind,
    /// Nodes, in the order in which they join.
    pub places: Vec<Place>,
    /// Regions of source and destination; empty: unknown.
    pub regions: (&'static str, &'static str),
    /// Whether nodes reach each other and the databases through proxies that can be slow.
    pub wan: bool,
    /// The size of a disk of its own for each node's data, if wanted.
    pub disk_megabytes: Option<u32>,
    /// For every node.
    pub environment: Vec<(&'static str, &'static str)>,
}

impl Default for DeploymentOptions {
    fn default() -> Self {
        Self {
            source: ServerKind::MariaDb,
            destination: ServerKind::MariaDb,
            places: ["a", "b", "c"].map(|zone| Place::new("default", zone)).to_vec(),
            regions: ("", ""),
            wan: false,
            disk_megabytes: None,
            environment: Vec::new(),
        }
    }
}

/// Everything one test of a cluster needs. Taken away when dropped.
#[derive(Debug)]
pub struct Deployment {
    /// The nodes.
    pub cluster: NodeCluster,
    /// Read from.
    pub source: Server,
    /// Written to.
    pub destination: Server,
    /// The project.
    pub project: ProjectClient,
    // Last, so that the processes end before their folder goes.
    _folder: TempDir,
}

impl Deployment {
    /// Starts servers and nodes and registers the data sources `src` and `dst`.
    pub async fn start(options: DeploymentOptions) -> anyhow::Result<Self> {
        let root = std::env::var_os("OMSNODE_TESTBED_DIR").map_or_else(std::env::temp_dir, Into::into);
        let folder = tempfile::Builder::new()
            .prefix("omsnode-cluster-")
            .tempdir_in(root)?;
        let cluster = async {
            let mut cluster = NodeCluster::create(folder.path(), options.wan, &options.environment).await?;
            if let Some(megabytes) = options.disk_megabytes {
                cluster.own_disks(megabytes)?;
            }
            cluster.grow(&options.places).await?;
            anyhow::Ok(cluster)
        };
        let (source, destination, cluster) = tokio::join!(
            Server::start(
                options.source,
                reachable(options.source, ServerOptions::source().gtid(true))
            ),
            Server::start(
                options.destination,
                reachable(options.destination, ServerOptions::destination())
            ),
            cluster,
        );
        let deployment = Self {
            cluster: cluster?,
            source: source?,
            destination: destination?,
            project: ProjectClient {
                name: "test".to_owned(),
            },
            _folder: folder,
        };
        let (source_region, destination_region) = options.regions;
        deployment
            .register("src", End::Source, &deployment.source, source_region)
            .await?;
        deployment
            .register(
                "dst",
                End::Destination,
                &deployment.destination,
                destination_region,
            )
            .await?;
        Ok(deployment)
    }

    async fn register(&self, name: &str, end: End, server: &Server, region: &str) -> anyhow::Result<()> {
        let address = self.cluster.lan().attach(end, server.port()).await?;
        let request = CreateDataSourceRequest {
            name: name.to_owned(),
            connection: Some(Connection {
                kind: data_source_kind(server.kind()) as i32,
                host: address.ip().to_string(),
                port: u32::from(address.port()),
                user: server.oms_user().to_owned(),
                ..Default::default()
            }),
            password: server.password().to_owned(),
            region: region.to_owned(),
            ..Default::default()
        };
        let first = self.cluster.other_than(&[])?;
        self.cluster
            .node(first)
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

    /// Creates and starts the project, through a node.
    pub async fn launch(&self, through: u8, spec: ProjectSpec) -> anyhow::Result<()> {
        let mut projects = self.cluster.node(through).projects().await?;
        projects
            .create_project(CreateProjectRequest { spec: Some(spec) })
            .await?;
        let project = self.project.name.clone();
        projects.start_project(ProjectRequest { project }).await?;
        Ok(())
    }

    /// Fills the bank, starts writing to it, and moves it until the copy is one that the source had: from then on every
    /// consistent read of it must be in order.
    pub async fn follow_bank(&self, options: &BankOptions) -> anyhow::Result<Bank> {
        Bank::prepare(&self.source, options).await?;
        let bank = Bank::start(&self.source, options).await?;
        let first = self.cluster.other_than(&[])?;
        self.launch(first, self.spec(&[&options.database])).await?;
        self.following().await?;
        let caught_up = self.project.wait_caught_up(self.cluster.node(first)).await;
        caught_up.with_context(|| self.cluster.logs())?;
        Ok(bank)
    }

    /// Waits until changes are followed; the copied rows are complete by then.
    pub async fn following(&self) -> anyhow::Result<()> {
        use oms_proto::v1::{StepKind, StepState};
        let first = self.cluster.other_than(&[])?;
        let node = self.cluster.node(first);
        let wanted = [StepState::Monitoring];
        let waited = self
            .project
            .wait_step(node, StepKind::IncrTransfer, &wanted)
            .await;
        waited.map(|_| ()).with_context(|| self.cluster.logs())
    }

    /// Waits until a transaction of the bank that began after this call is at the destination. How long that took.
    pub async fn flows(&self, bank: &Bank, patience: Duration) -> anyhow::Result<Duration> {
        let (start, mark) = (Instant::now(), bank.begun());
        let mut client = self.destination.client().await?;
        loop {
            let highest = Bank::highest(&mut client, bank.database()).await?;
            if highest > mark {
                return Ok(start.elapsed());
            }
            ensure!(
                start.elapsed() < patience,
                "entry {} did not arrive within {} s (the highest there is {highest}, begun are {})\n{}\n{}",
                mark + 1,
                patience.as_secs(),
                bank.begun(),
                self.describe().await,
                self.cluster.logs()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops the bank, waits until everything is at the destination, and proves that both sides are equal and every
    /// transfer is there once.
    pub async fn settle_bank(&self, bank: Bank, asked: u8) -> anyhow::Result<u64> {
        let database = bank.database().to_owned();
        let committed = bank.stop().await?;
        let caught_up = self.project.wait_caught_up(self.cluster.node(asked)).await;
        caught_up.with_context(|| self.cluster.logs())?;
        let mut client = self.destination.client().await?;
        Bank::judge(&mut client, &database, Some(committed)).await?;
        self.assert_equal(&database, &Bank::TABLES).await?;
        Ok(committed)
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

    /// Nodes and components as the first node that answers sees them, for messages.
    pub async fn describe(&self) -> String {
        for number in self.cluster.running() {
            if let (Ok(nodes), Ok(components)) = (
                self.cluster.nodes(number).await,
                self.cluster.components(number).await,
            ) {
                let nodes = nodes.iter().map(|n| {
                    format!(
                        "node {} {} {:?} {:?} {:?}",
                        n.id,
                        n.address,
                        n.role(),
                        n.health(),
                        n.state()
                    )
                });
                let components = components.iter().map(|c| {
                    let error = c.error.as_ref().map(|e| e.code.as_str()).unwrap_or_default();
                    let progress = c.progress.clone().unwrap_or_default();
                    format!(
                        "{} on {} epoch {} {:?} {error} retries {} ({}) {}; at {} {}",
                        c.kind,
                        c.node,
                        c.epoch,
                        c.state(),
                        c.retries,
                        c.last_retry,
                        c.placed_because,
                        progress.position,
                        progress.detail
                    )
                });
                return nodes.chain(components).collect::<Vec<_>>().join("\n");
            }
        }
        "no node answers".to_owned()
    }
}

/// A server that listens on every address, so that namespaces reach it.
fn reachable(kind: ServerKind, options: ServerOptions) -> ServerOptions {
    match kind {
        // It does so always.
        ServerKind::SeekDb => options,
        _ => options.set("bind_address", "0.0.0.0"),
    }
}
