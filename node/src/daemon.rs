//! One running node.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use oms_actors::{ComponentHost, RetryPolicy, Shelf, SystemClock};
use oms_config::NodeConfig;
use oms_core::{ErrorCode, Failure, codes};
use oms_kv::{KvEngine, SledEngine};
use oms_meta::MetaCommand;
use oms_proto::{
    DESCRIPTORS,
    meta::{NodeRecord, RegisterNode},
};
use oms_raft::{NodeInfo, RaftConfig, RaftHandle, Role, TcpConnect};
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;

use crate::{
    agent::Agent,
    api::{self, Backend},
    behaviors::Behaviors,
    controller,
    liveness::LivenessTable,
    metadata::{Machine, Metadata},
    observer::Observer,
    peer::PeerChannels,
    secrets::Vault,
};

/// How long components may take to stop, and to have that written down.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// The same when nothing can be written down any more: only what they hold open is waited for.
const LAME_GRACE: Duration = Duration::from_secs(5);

/// Why a node does not start.
#[derive(Debug, Error)]
#[error("{code} {message}")]
pub struct DaemonError {
    code: ErrorCode,
    message: String,
}

impl DaemonError {
    fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The public code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl From<Failure> for DaemonError {
    fn from(failure: Failure) -> Self {
        Self::new(failure.code(), failure.detail())
    }
}

/// Why a node ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// It was asked to.
    Asked,
    /// It cannot go on.
    Failed {
        /// The public code.
        code: ErrorCode,
        /// What happened.
        message: String,
    },
}

/// A running node.
pub struct Daemon {
    address: SocketAddr,
    cancel: CancellationToken,
    host: Arc<ComponentHost>,
    raft: RaftHandle<Machine>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
    loops: Vec<JoinHandle<()>>,
    // Held as long as the node lives: one process per data folder.
    _lock: std::fs::File,
}

impl Daemon {
    /// Opens the data folder, joins consensus and serves the API.
    ///
    /// Returns when the API answers. The components that were running when the node stopped are
    /// started again by then or a moment later.
    pub async fn start(config: &NodeConfig) -> Result<Self, DaemonError> {
        let dir = &config.data_dir;
        let io = |e: std::io::Error| {
            let code = match e.kind() {
                std::io::ErrorKind::StorageFull => codes::cluster::DISK_FULL,
                _ => codes::cluster::METADATA_IO,
            };
            DaemonError::new(code, format!("{}: {e}", dir.display()))
        };
        std::fs::create_dir_all(dir).map_err(io)?;
        let lock = std::fs::File::create(dir.join("lock")).map_err(io)?;
        lock.try_lock().map_err(|_| {
            let words = format!("{} is used by another omsnode process", dir.display());
            DaemonError::new(codes::cluster::DATA_DIR_IN_USE, words)
        })?;
        let listener = TcpListener::bind(&config.listen).await.map_err(|e| {
            DaemonError::new(
                codes::config::ADDRESS_IN_USE,
                format!("cannot listen on {}: {e}", config.listen),
            )
        })?;
        let address = listener.local_addr().map_err(io)?;
        let vault = Arc::new(Vault::open(dir)?);

        let kv_dir = dir.join("meta");
        let engine = tokio::task::spawn_blocking(move || SledEngine::open(&kv_dir))
            .await
            .map_err(|e| DaemonError::new(codes::api::INTERNAL, e.to_string()))?
            .map_err(|e| DaemonError::new(e.code(), e.to_string()))?;
        let engine: Arc<dyn KvEngine> = Arc::new(engine);
        let advertised = if config.advertise.is_empty() {
            address.to_string()
        } else {
            config.advertise.clone()
        };
        let node = NodeInfo {
            address: advertised,
            region: config.region.clone(),
            zone: config.zone.clone(),
        };
        let raft_config = RaftConfig::new(cluster_id(dir).map_err(io)?, 1, node.clone());
        let refused = |e: oms_raft::RaftError| DaemonError::new(e.code(), e.to_string());
        let raft = RaftHandle::open(
            raft_config,
            engine,
            Machine::default(),
            Arc::new(TcpConnect::default()),
        )
        .await
        .map_err(refused)?;
        raft.initialize_single().await.map_err(refused)?;

        let metadata = Metadata::new(raft.clone());
        let policy = RetryPolicy::default();
        let host = ComponentHost::start(Arc::new(SystemClock), policy)
            .await
            .map_err(|e| DaemonError::new(codes::api::INTERNAL, e.to_string()))?;
        let host = Arc::new(host);
        let observer = Arc::new(Observer { host: host.clone() });
        let shelf = Arc::new(Shelf::default());
        let backend = Backend {
            metadata: metadata.clone(),
            vault: vault.clone(),
            host: host.clone(),
            observer,
            data_dir: dir.clone(),
            cluster_id: cluster_id(dir).map_err(io)?,
            liveness: Arc::new(LivenessTable::new(raft.node_id(), Duration::from_millis(2_500))),
            peers: Arc::new(PeerChannels::new(Arc::new(TcpConnect::default()))),
            shelf: shelf.clone(),
        };
        let cancel = CancellationToken::new();
        let record = NodeRecord {
            id: metadata.node_id(),
            address: node.address,
            region: node.region,
            zone: node.zone,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            feature_level: oms_meta::FEATURE_LEVEL,
            ..NodeRecord::default()
        };
        metadata
            .propose(MetaCommand::RegisterNode(RegisterNode { node: Some(record) }))
            .await?;
        // Only now: the first command of a run also commits what earlier runs acknowledged last, and before
        // that a read could miss it.
        let server = serve(listener, backend, &raft, cancel.clone()).await;
        let behaviors = Behaviors {
            metadata: metadata.clone(),
            vault,
            shelf,
            data_dir: dir.clone(),
            reserve_bytes: config.disk_reserve_mb << 20,
        };
        let agent = Agent {
            metadata: metadata.clone(),
            host: host.clone(),
            behaviors,
        };
        let loops = vec![
            tokio::spawn(agent.run(cancel.clone())),
            tokio::spawn(controller::run(metadata, cancel.clone())),
        ];
        tracing::info!(%address, data_dir = %dir.display(), "node is ready");
        Ok(Self {
            address,
            cancel,
            host,
            raft,
            server,
            loops,
            _lock: lock,
        })
    }

    /// The address on which the API answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the node ends by itself, which is an error: its server failed, or its metadata cannot
    /// be written any more. A node without metadata must not go on, because nobody could tell what it does.
    /// Cancel safe.
    pub async fn ended(&mut self) -> StopReason {
        let failed = |code, message| StopReason::Failed { code, message };
        let mut status = self.raft.watch();
        tokio::select! {
            _ = status.wait_for(|s| s.role == Role::Stopped) => {
                let cause = self.raft.metrics().stopped_because;
                let cause = cause.unwrap_or_else(|| "it was shut down".to_owned());
                failed(codes::cluster::NODE_STOPPED, format!("consensus has stopped on this node: {cause}"))
            }
            ended = &mut self.server => match ended {
                Ok(Ok(())) => StopReason::Asked,
                Ok(Err(error)) => failed(codes::api::INTERNAL, error.to_string()),
                Err(error) => failed(codes::api::INTERNAL, error.to_string()),
            },
        }
    }

    /// Stops the node. Components stop where they are and continue at the next start, under a new epoch.
    pub async fn stop(self) {
        // The loops end first, so that stopping components is not taken for something to mend.
        self.cancel.cancel();
        // What a component reports last may have nowhere to go. It is as safe as a crash to leave then.
        let lame = self.raft.watch().borrow().role == Role::Stopped;
        let grace = if lame { LAME_GRACE } else { STOP_GRACE };
        let components = async {
            for task in self.loops {
                let _ = task.await;
            }
            self.host.shutdown().await;
        };
        if tokio::time::timeout(grace, components).await.is_err() {
            tracing::warn!("components did not stop within {} s", grace.as_secs());
        }
        if let Err(error) = self.raft.shutdown().await {
            tracing::warn!("consensus did not end cleanly: {error}");
        }
        self.server.abort();
    }
}

async fn serve(
    listener: TcpListener,
    backend: Backend,
    raft: &RaftHandle<Machine>,
    cancel: CancellationToken,
) -> JoinHandle<Result<(), tonic::transport::Error>> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    let router = Server::builder()
        .add_service(health_service)
        .add_service(raft.service());
    let mut router = api::add_services(router, backend);
    match reflection {
        Ok(service) => router = router.add_service(service),
        Err(error) => tracing::error!("reflection is not served: {error}"),
    }
    tokio::spawn(async move {
        router
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), cancel.cancelled_owned())
            .await
    })
}

/// The cluster's id: made once, kept in the data folder.
fn cluster_id(dir: &std::path::Path) -> std::io::Result<String> {
    let path = dir.join("cluster-id");
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let id = uuid::Uuid::new_v4().to_string();
            let temporary = dir.join("cluster-id.new");
            std::fs::write(&temporary, &id)?;
            std::fs::File::open(&temporary)?.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            std::fs::File::open(dir)?.sync_all()?;
            Ok(id)
        }
        Err(e) => Err(e),
    }
}
