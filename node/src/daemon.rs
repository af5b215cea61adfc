//! One running node.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use oms_actors::{ComponentHost, RetryPolicy, Shelf, SystemClock};
use oms_config::NodeConfig;
use oms_core::{ErrorCode, Failure, codes};
use oms_kv::{KvEngine, SledEngine};
use oms_proto::{meta::NodeRecord, v1::NodeState};
use oms_raft::{NodeInfo, RaftConfig, RaftError, RaftHandle, RaftTimings, Role, TcpConnect};
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    agent::Agent,
    api::Backend,
    behaviors::Behaviors,
    controller,
    ending::Ending,
    guard::Guard,
    heartbeat::{Heart, Leave},
    identity::{self, Identity},
    join::{self, JoinOptions, Newcomer},
    lease::Lease,
    leftovers::Leftovers,
    liveness::LivenessTable,
    membership,
    metadata::{Machine, Metadata},
    observer::Observer,
    office::{Deed, Office},
    peer::{Elsewhere, PeerChannels},
    removal::Removals,
    secrets::Vault,
    server,
};

/// Folder of the metadata in the data folder.
const METADATA: &str = "meta";
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
    lease: Arc<Lease>,
    ending: Ending,
    leave: Leave,
    deed: Deed,
    // Held as long as the node lives: one process per data folder.
    _lock: std::fs::File,
}

/// A data folder that is ours, and the address that is.
struct Place {
    lock: std::fs::File,
    listener: TcpListener,
    address: SocketAddr,
}

impl Place {
    async fn take(config: &NodeConfig) -> Result<Self, DaemonError> {
        let dir = &config.data_dir;
        let io = |e: std::io::Error| io_error(dir, &e);
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
        Ok(Self {
            lock,
            listener,
            address,
        })
    }

    /// Where others reach this node.
    fn advertised(&self, config: &NodeConfig) -> String {
        match config.advertise.is_empty() {
            true => self.address.to_string(),
            false => config.advertise.clone(),
        }
    }
}

impl Daemon {
    /// Starts a node on its data folder; a new folder becomes a cluster of one.
    ///
    /// Returns when the API answers. A node that has a majority by itself leads by then, and the components
    /// that were running when it stopped are started again a moment later. Any other node does so when it
    /// finds a leader; until then its API answers with `OMS-API-0009`.
    ///
    /// # Errors
    /// Among others `OMS-CLUSTER-0017` for a node that was removed.
    pub async fn start(config: &NodeConfig) -> Result<Self, DaemonError> {
        let place = Place::take(config).await?;
        let dir = &config.data_dir;
        let identity = match Identity::read(dir)? {
            Some(identity) if identity.is_member() => identity,
            Some(_) => {
                let words = format!(
                    "a join was begun with {} and not finished; repeat `omsnode join`",
                    dir.display()
                );
                return Err(DaemonError::new(codes::cluster::WRONG_NODE, words));
            }
            None if dir.join(METADATA).exists() => {
                let words = format!("{} holds metadata, but does not say of which node", dir.display());
                return Err(DaemonError::new(codes::cluster::METADATA_CORRUPT, words));
            }
            None => Identity::founder(),
        };
        identity.write(dir)?;
        Box::pin(Self::run(config, place, identity)).await
    }

    /// Starts a node as part of an existing cluster. With an empty data folder it asks the seeds to be let
    /// in first; repeating a join that was interrupted goes on with it. A folder that belongs to the cluster
    /// already is just started, and needs neither a token nor a seed that answers.
    ///
    /// Returns when the API answers; the leader takes the node in within a second of that.
    ///
    /// # Errors
    /// What the cluster refuses with: `OMS-CLUSTER-0013` to `-0017` and `-0030`; `OMS-CLUSTER-0004` when the
    /// folder belongs to another cluster than the seeds, `-0031` when something else lies in it, `-0032` when
    /// no seed answers.
    pub async fn join(config: &NodeConfig, options: JoinOptions) -> Result<Self, DaemonError> {
        let place = Place::take(config).await?;
        let dir = &config.data_dir;
        let peers = PeerChannels::new(Arc::new(TcpConnect::default()));
        let identity = match Identity::read(dir)? {
            Some(identity) if identity.is_member() => {
                join::check_cluster(&options.seeds, &identity, &peers).await?;
                identity
            }
            begun => {
                // What was said last counts, also when the join was begun otherwise.
                let mut identity = begun.unwrap_or_else(|| Identity::newcomer(options.witness));
                identity.witness = options.witness;
                Box::pin(admit(config, &options, &place, identity, &peers)).await?
            }
        };
        Box::pin(Self::run(config, place, identity)).await
    }

    async fn run(config: &NodeConfig, place: Place, identity: Identity) -> Result<Self, DaemonError> {
        let dir = &config.data_dir;
        let vault = Arc::new(Vault::open(dir, !identity.joined)?);
        let node = NodeInfo {
            address: place.advertised(config),
            region: config.region.clone(),
            zone: config.zone.clone(),
        };
        let record = NodeRecord {
            id: identity.node,
            address: node.address.clone(),
            region: node.region.clone(),
            zone: node.zone.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            witness: identity.witness,
            feature_level: oms_meta::FEATURE_LEVEL,
            folder_id: identity.folder.clone(),
            ..NodeRecord::default()
        };
        let lease_length = Duration::from_millis(config.lease_ms);
        let raft = open_consensus(dir, &identity, node, lease_length).await?;
        let metadata = Metadata::new(raft.clone());
        refuse_removed(&metadata)?;
        // A node that is a majority by itself leads in a moment. For any other it may take until somebody
        // else comes, and until then it serves what it can.
        let founds = !identity.joined && !raft.is_initialized().await.map_err(refused)?;
        let registered = match founds || raft.metrics().voters.iter().eq([&identity.node]) {
            true => {
                raft.initialize_single().await.map_err(refused)?;
                // The first command of a run also commits what earlier runs acknowledged last, and before
                // that a read could miss it.
                Some(Heart::register(&metadata, &record).await?)
            }
            false => None,
        };
        let host = ComponentHost::start(Arc::new(SystemClock), RetryPolicy::default())
            .await
            .map_err(|e| DaemonError::new(codes::api::INTERNAL, e.to_string()))?;
        let host = Arc::new(host);
        let peers = Arc::new(PeerChannels::new(Arc::new(TcpConnect::default())));
        let cluster = identity.cluster.clone();
        let elsewhere = Arc::new(Elsewhere::new(metadata.clone(), peers.clone(), cluster.clone()));
        let observer = Arc::new(Observer {
            host: host.clone(),
            elsewhere: elsewhere.clone(),
        });
        let shelf = Arc::new(Shelf::new(elsewhere));
        let liveness = Arc::new(LivenessTable::new(identity.node, lease_length));
        let backend = Backend {
            metadata: metadata.clone(),
            vault: vault.clone(),
            host: host.clone(),
            observer,
            cluster_id: cluster.clone(),
            liveness: liveness.clone(),
            peers: peers.clone(),
            shelf: shelf.clone(),
        };
        let cancel = CancellationToken::new();
        let server = server::serve(place.listener, backend, &raft, cancel.clone()).await;
        let lease = Arc::new(Lease::default());
        let (guard, permission) = Guard::new(lease.clone(), host.clone(), lease_length);
        let agent = Agent {
            metadata: metadata.clone(),
            host: host.clone(),
            behaviors: Behaviors {
                metadata: metadata.clone(),
                vault,
                shelf,
                data_dir: dir.clone(),
                reserve_bytes: config.disk_reserve_mb << 20,
            },
            removals: Removals::new(metadata.clone()),
            permission,
        };
        let ending = Ending::default();
        let deed = Deed {
            metadata: metadata.clone(),
            liveness: liveness.clone(),
            lease: lease.clone(),
            peers: peers.clone(),
            cluster_id: cluster.clone(),
        };
        let office = Office::new(deed.clone());
        let heart = Heart {
            metadata: metadata.clone(),
            lease: lease.clone(),
            liveness: liveness.clone(),
            peers,
            host: host.clone(),
            ending: ending.clone(),
            cluster_id: cluster,
            record,
            data_dir: dir.clone(),
            generation: Arc::default(),
            granted: AtomicU64::default(),
        };
        let leave = heart.leave();
        let leftovers = Leftovers {
            metadata: metadata.clone(),
            host: host.clone(),
            data_dir: dir.clone(),
        };
        let loops = vec![
            tokio::spawn(guard.run(cancel.clone())),
            tokio::spawn(heart.run(registered, cancel.clone())),
            tokio::spawn(agent.run(cancel.clone())),
            tokio::spawn(controller::run(
                metadata.clone(),
                liveness.clone(),
                cancel.clone(),
            )),
            tokio::spawn(leftovers.run(cancel.clone())),
            tokio::spawn(membership::run(metadata, liveness, office, cancel.clone())),
        ];
        tracing::info!(address = %place.address, node = identity.node, data_dir = %dir.display(), "node is ready");
        Ok(Self {
            address: place.address,
            cancel,
            host,
            raft,
            server,
            loops,
            lease,
            ending,
            leave,
            deed,
            _lock: place.lock,
        })
    }

    /// The node's id in its cluster.
    pub fn node_id(&self) -> u64 {
        self.raft.node_id()
    }

    /// The address on which the API answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until the node ends by itself, which is an error: its server failed, its metadata cannot be
    /// written any more, or it is no part of its cluster any more. A node without metadata must not go on,
    /// because nobody could tell what it does.
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
            (code, message) = self.ending.reason() => failed(code, message),
            ended = &mut self.server => match ended {
                Ok(Ok(())) => StopReason::Asked,
                Ok(Err(error)) => failed(codes::api::INTERNAL, error.to_string()),
                Err(error) => failed(codes::api::INTERNAL, error.to_string()),
            },
        }
    }

    /// Stops the node. A leader hands over first. Components stop where they are and continue elsewhere, or here
    /// at the next start, under a new epoch.
    pub async fn stop(self) {
        self.deed.resign().await;
        self.leave.say().await;
        // The loops end first, so that stopping components is not taken for something to mend.
        self.cancel.cancel();
        // What a component reports last may have nowhere to go. It is as safe as a crash to leave then.
        let writable = self.raft.watch().borrow().role != Role::Stopped;
        let lame = !(writable && self.lease.held(tokio::time::Instant::now()));
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

/// Lets the cluster give this folder its identity, and makes that durable: the key first, so that a member
/// always has it.
async fn admit(
    config: &NodeConfig,
    options: &JoinOptions,
    place: &Place,
    identity: Identity,
    peers: &PeerChannels,
) -> Result<Identity, DaemonError> {
    let dir = &config.data_dir;
    identity::check_empty(dir)?;
    if config.advertise.is_empty() && place.address.ip().is_unspecified() {
        let words = format!(
            "nobody can reach this node at {}; set `advertise` to its address",
            place.address
        );
        return Err(DaemonError::new(codes::config::INVALID, words));
    }
    // The folder's own id is durable before anybody hears it: a repeated join is the same node.
    identity.write(dir)?;
    let newcomer = Newcomer {
        identity: &identity,
        address: &place.advertised(config),
        region: &config.region,
        zone: &config.zone,
    };
    let admission = join::ask(options, &newcomer, peers).await?;
    Vault::store(dir, &admission.key)?;
    let identity = identity.admitted(&admission.cluster, admission.node);
    identity.write(dir)?;
    tracing::info!(cluster = %identity.cluster, node = identity.node, "this node was let in");
    Ok(identity)
}

async fn open_consensus(
    dir: &Path,
    identity: &Identity,
    node: NodeInfo,
    lease: Duration,
) -> Result<RaftHandle<Machine>, DaemonError> {
    let kv_dir = dir.join(METADATA);
    let engine = tokio::task::spawn_blocking(move || SledEngine::open(&kv_dir))
        .await
        .map_err(|e| DaemonError::new(codes::api::INTERNAL, e.to_string()))?
        .map_err(|e| DaemonError::new(e.code(), e.to_string()))?;
    let engine: Arc<dyn KvEngine> = Arc::new(engine);
    let mut config = RaftConfig::new(identity.cluster.clone(), identity.node, node);
    config.timings = timings(lease);
    let connect = Arc::new(TcpConnect::default());
    RaftHandle::open(config, engine, Machine::default(), connect)
        .await
        .map_err(refused)
}

/// The times of consensus that fit a lease: a new leader must be there well within the time for which the
/// leases of the old one are waited for. The heartbeat is also the deadline of a replication call: by default
/// it bears a round trip of 160 ms and a disk sync.
fn timings(lease: Duration) -> RaftTimings {
    RaftTimings {
        heartbeat: lease / 8,
        election_base: lease * 7 / 25,
        election_step: lease * 3 / 125,
        ..RaftTimings::default()
    }
}

/// A node that knows that it was removed does not even try.
fn refuse_removed(metadata: &Metadata) -> Result<(), DaemonError> {
    let id = metadata.node_id();
    let state = metadata.state()?;
    match state.node(id) {
        Some(node) if node.state() == NodeState::Removed => Err(DaemonError::new(
            codes::cluster::NODE_REMOVED,
            format!("node {id} was removed from the cluster"),
        )),
        _ => Ok(()),
    }
}

fn refused(e: RaftError) -> DaemonError {
    DaemonError::new(e.code(), e.to_string())
}

fn io_error(dir: &Path, e: &std::io::Error) -> DaemonError {
    let code = match e.kind() {
        std::io::ErrorKind::StorageFull => codes::cluster::DISK_FULL,
        _ => codes::cluster::METADATA_IO,
    };
    DaemonError::new(code, format!("{}: {e}", dir.display()))
}
