//! Nodes that can be started, crashed and started again.

use std::{path::Path, time::Duration};

use oms_config::NodeConfig;
use oms_node::{Daemon, DaemonError, JoinOptions, StopReason};
use oms_proto::v1::{
    Cluster, CreateTokenRequest, GetClusterRequest, ListNodesRequest, Node as NodeInfo,
    node_service_client::NodeServiceClient, token_service_client::TokenServiceClient,
};
use oms_types::codes;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

/// Long enough for a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const LEASE_MS: u64 = 1_000;

/// A node with its folder.
pub(crate) struct Node {
    pub(crate) dir: TempDir,
    running: Option<(Runtime, Daemon)>,
    address: String,
    region: String,
}

pub(crate) fn config(dir: &Path) -> NodeConfig {
    NodeConfig {
        data_dir: dir.to_owned(),
        listen: "127.0.0.1:0".to_owned(),
        lease_ms: LEASE_MS,
        ..NodeConfig::default()
    }
}

type Started = Result<(Runtime, Daemon), DaemonError>;

/// Starts or joins on a runtime of its own.
pub(crate) async fn launch(config: NodeConfig, join: Option<JoinOptions>) -> Started {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let started = runtime.spawn(async move {
        match join {
            Some(options) => Box::pin(Daemon::join(&config, options)).await,
            None => Box::pin(Daemon::start(&config)).await,
        }
    });
    match started.await.unwrap() {
        Ok(daemon) => Ok((runtime, daemon)),
        Err(error) => {
            runtime.shutdown_background();
            Err(error)
        }
    }
}

pub(crate) fn options(seed: &str, token: &str) -> JoinOptions {
    JoinOptions {
        seeds: vec![seed.to_owned()],
        token: token.to_owned(),
        witness: false,
    }
}

impl Node {
    async fn new(region: &str, join: Option<JoinOptions>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = NodeConfig {
            region: region.to_owned(),
            ..config(dir.path())
        };
        let running = launch(config, join).await.unwrap();
        Self {
            address: running.1.address().to_string(),
            dir,
            running: Some(running),
            region: region.to_owned(),
        }
    }

    /// The first node of a new cluster.
    pub(crate) async fn first() -> Self {
        Self::first_in(&NodeConfig::default().region).await
    }

    /// The same, in a region.
    pub(crate) async fn first_in(region: &str) -> Self {
        Self::new(region, None).await
    }

    /// The node of a folder.
    pub(crate) async fn on(dir: TempDir, region: &str) -> Self {
        let config = NodeConfig {
            region: region.to_owned(),
            ..config(dir.path())
        };
        let running = launch(config, None).await.unwrap();
        Self {
            address: running.1.address().to_string(),
            dir,
            running: Some(running),
            region: region.to_owned(),
        }
    }

    /// Another node of this one's cluster.
    pub(crate) async fn another(&self) -> Self {
        self.another_in(&self.region).await
    }

    /// The same, in a region.
    pub(crate) async fn another_in(&self, region: &str) -> Self {
        let token = self.token(1).await;
        Self::new(region, Some(options(&self.address, &token))).await
    }

    /// Ends the node where it stands: nothing is said or written any more.
    pub(crate) fn crash(&mut self) {
        let (runtime, daemon) = self.running.take().expect("it runs");
        runtime.shutdown_background();
        drop(daemon);
    }

    /// Starts the node again, on another port.
    pub(crate) async fn restart(&mut self) {
        self.try_restart().await.unwrap();
    }

    /// Starts the node again where it was.
    pub(crate) async fn restart_in_place(&mut self) {
        let listen = self.address.clone();
        self.restart_at(&listen).await.unwrap();
    }

    pub(crate) async fn try_restart(&mut self) -> Result<(), DaemonError> {
        self.restart_at("127.0.0.1:0").await
    }

    async fn restart_at(&mut self, listen: &str) -> Result<(), DaemonError> {
        let config = NodeConfig {
            listen: listen.to_owned(),
            region: self.region.clone(),
            ..config(self.dir.path())
        };
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            match launch(config.clone(), None).await {
                Ok(running) => {
                    self.address = running.1.address().to_string();
                    self.running = Some(running);
                    return Ok(());
                }
                // Threads of the crashed node may still hold the folder for a moment.
                Err(error) if is_busy(&error) && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Stops the node as a signal would.
    pub(crate) async fn stop(&mut self) {
        let (runtime, daemon) = self.running.take().expect("it runs");
        runtime.spawn(daemon.stop()).await.unwrap();
        runtime.shutdown_background();
    }

    pub(crate) fn id(&self) -> u64 {
        self.running.as_ref().expect("it runs").1.node_id()
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Waits until the node ends by itself.
    pub(crate) async fn ended(&mut self) -> StopReason {
        let daemon = &mut self.running.as_mut().expect("it runs").1;
        tokio::time::timeout(PATIENCE, daemon.ended()).await.unwrap()
    }

    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn nodes(&self) -> NodeServiceClient<Channel> {
        NodeServiceClient::new(self.channel().await)
    }

    pub(crate) async fn try_token(&self, uses: u32, seconds: u64) -> Result<String, tonic::Status> {
        let request = CreateTokenRequest {
            uses,
            valid_seconds: seconds,
            ..Default::default()
        };
        let mut client = TokenServiceClient::new(self.channel().await);
        client.create_token(request).await.map(|r| r.into_inner().secret)
    }

    pub(crate) async fn token(&self, uses: u32) -> String {
        self.try_token(uses, 0).await.unwrap()
    }

    pub(crate) async fn cluster(&self) -> Cluster {
        let asked = self.nodes().await.get_cluster(GetClusterRequest {}).await;
        asked.unwrap().into_inner()
    }

    pub(crate) async fn list(&self) -> Vec<NodeInfo> {
        let asked = self
            .nodes()
            .await
            .list_nodes(ListNodesRequest { all: false })
            .await;
        asked.unwrap().into_inner().nodes
    }

    pub(crate) async fn until_cluster(&self, what: &str, reached: impl Fn(&Cluster) -> bool) -> Cluster {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let now = self.cluster().await;
            if reached(&now) {
                return now;
            }
            assert!(tokio::time::Instant::now() < deadline, "never: {what}; {now:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn until_nodes(
        &self,
        what: &str,
        reached: impl Fn(&[NodeInfo]) -> bool,
    ) -> Vec<NodeInfo> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let now = self.list().await;
            if reached(&now) {
                return now;
            }
            assert!(tokio::time::Instant::now() < deadline, "never: {what}; {now:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some((runtime, daemon)) = self.running.take() {
            runtime.shutdown_background();
            drop(daemon);
        }
    }
}

fn is_busy(error: &DaemonError) -> bool {
    let code = error.code().as_str();
    // The lock of the folder, that of the metadata in it, or the port.
    [
        "OMS-CLUSTER-0003",
        "OMS-CLUSTER-0007",
        codes::config::ADDRESS_IN_USE.as_str(),
    ]
    .contains(&code)
}

/// Three voters.
pub(crate) async fn three() -> Vec<Node> {
    let first = Node::first().await;
    let second = first.another().await;
    let third = first.another().await;
    first
        .until_cluster("three voters", |c| c.voters == [1, 2, 3] && c.leader == 1)
        .await;
    vec![first, second, third]
}
