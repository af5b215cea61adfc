//! New clusters out of what is left of old ones: from a backup file, or from one node's folder.
//!
//! Both work on a folder that no process uses. Until the last step the folder is as it was; a crash between the
//! last two leaves one that refuses to start, and the command can be repeated.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use oms_actors::{Clock as _, SystemClock};
use oms_config::NodeConfig;
use oms_core::{Failure, codes};
use oms_kv::{KvEngine, SledEngine};
use oms_meta::{FEATURE_LEVEL, MetaState};
use oms_proto::meta::NodeRecord;
use oms_raft::{NodeInfo, RaftConfig, RaftError, Salvaged, StateMachine as _, salvage, seed};

use crate::{DaemonError, backup, identity::Identity, metadata::Machine, secrets::Vault};

/// Folder of the metadata in the data folder.
const META: &str = "meta";

/// What came out of a recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The new cluster.
    pub cluster_id: String,
    /// The cluster before.
    pub former_cluster_id: String,
    /// This node's id in it.
    pub node_id: u64,
    /// Projects that it knows.
    pub projects: usize,
    /// Data sources that it knows.
    pub data_sources: usize,
    /// Entries of the old log that this node held without knowing whether they were committed; they count now.
    pub uncommitted: u64,
    /// Where the metadata of before lies.
    pub kept: Option<PathBuf>,
    /// Whether the key that opens the passwords is there.
    pub has_key: bool,
}

/// Makes a stopped node the only one of a new cluster that knows all that this node knew, for good.
///
/// For clusters that lost a majority of their voters. The cluster id changes, so that nodes of the old cluster
/// that come back are refused, and every epoch is raised, so that their components cannot write where
/// the new ones have claimed. What only the lost nodes knew is lost.
///
/// # Errors
/// `OMS-CLUSTER-0003` while a process uses the folder, `OMS-CLUSTER-0002` when it does not hold together.
pub fn force_recover(config: &NodeConfig) -> Result<Recovered, DaemonError> {
    Ok(recover_folder(config)?)
}

fn recover_folder(config: &NodeConfig) -> Result<Recovered, Failure> {
    let dir = &config.data_dir;
    let identity = Identity::read(dir)?.filter(Identity::is_member).ok_or_else(|| {
        Failure::new(
            codes::cluster::RECOVERY_IMPOSSIBLE,
            format!(
                "{} is not the folder of a node that was in a cluster",
                dir.display()
            ),
        )
    })?;
    let _lock = lock(dir)?;
    let old = dir.join(META);
    if !old.is_dir() {
        return Err(Failure::new(
            codes::cluster::RECOVERY_IMPOSSIBLE,
            format!("{} does not exist", old.display()),
        ));
    }
    let Salvaged {
        machine,
        cluster_id: former,
        node_id,
        last_index,
        committed_index,
    } = {
        let engine = open(&old)?;
        salvage(&engine, Machine::default()).map_err(consensus)?
    };
    let mut state = MetaState::clone(&machine.view());
    let known = state.node(node_id).cloned().unwrap_or_default();
    // What the node says at its next start replaces it.
    let address = if config.advertise.is_empty() {
        known.address
    } else {
        config.advertise.clone()
    };
    let next = renewed(&identity, node_id);
    let record = record(config, &next, node_id, &address);
    state.recover(SystemClock.now_ms(), record);

    let fresh = unused(dir, "meta.recovery")?;
    build(&fresh, config, &next, &address, &state)?;
    // A folder whose identity and metadata name different clusters refuses to start.
    next.write(dir)?;
    // At no moment is there no metadata, which would look like a new node.
    rustix::fs::renameat_with(
        rustix::fs::CWD,
        &fresh,
        rustix::fs::CWD,
        &old,
        rustix::fs::RenameFlags::EXCHANGE,
    )
    .map_err(|e| io(&fresh, &e.into()))?;
    sync(dir)?;
    Ok(Recovered {
        former_cluster_id: former,
        uncommitted: last_index.saturating_sub(committed_index),
        kept: Some(fresh),
        has_key: Vault::open(dir, false).is_ok(),
        ..summary(&next, &state)
    })
}

/// Makes an empty data folder that of the first node of a new cluster with the metadata of a backup file.
///
/// `key` is the content of `secret.key` of a node of the old cluster; without it passwords must be set anew.
/// Raises every epoch, as [`force_recover`] does.
///
/// # Errors
/// `OMS-CLUSTER-0050` when the file is not a whole backup, `OMS-CLUSTER-0031` when the folder is not empty.
pub fn restore_backup(
    config: &NodeConfig,
    file: &[u8],
    key: Option<&[u8]>,
) -> Result<Recovered, DaemonError> {
    Ok(restore_folder(config, file, key)?)
}

fn restore_folder(config: &NodeConfig, file: &[u8], key: Option<&[u8]>) -> Result<Recovered, Failure> {
    let dir = &config.data_dir;
    let (backup, mut state) = backup::decode(file)?;
    std::fs::create_dir_all(dir).map_err(|e| io(dir, &e))?;
    crate::identity::check_empty(dir)?;
    let _lock = lock(dir)?;
    if let Some(key) = key {
        let key: &[u8; 32] = key.try_into().map_err(|_| {
            Failure::new(
                codes::cluster::BACKUP_INVALID,
                format!("a key has 32 bytes, this one {}", key.len()),
            )
        })?;
        Vault::store(dir, key)?;
    } else {
        Vault::open(dir, true)?;
    }
    let address = config.advertised().to_owned();
    let draft = Identity::founder();
    let node_id = state.recover(SystemClock.now_ms(), record(config, &draft, 0, &address));
    let next = renewed(&draft, node_id);
    let fresh = unused(dir, "meta.recovery")?;
    build(&fresh, config, &next, &address, &state)?;
    let meta = dir.join(META);
    std::fs::rename(&fresh, &meta).map_err(|e| io(&meta, &e))?;
    sync(dir)?;
    // Last: a folder with metadata and no identity refuses to start.
    next.write(dir)?;
    Ok(Recovered {
        former_cluster_id: backup.cluster_id,
        has_key: key.is_some(),
        ..summary(&next, &state)
    })
}

/// The same folder as a node of a new cluster.
fn renewed(identity: &Identity, node_id: u64) -> Identity {
    let mut next = identity.admitted(&uuid::Uuid::new_v4().to_string(), node_id);
    // Like one that joined: if its metadata were lost, it must not found an empty cluster in its place.
    next.joined = true;
    next
}

fn summary(identity: &Identity, state: &MetaState) -> Recovered {
    Recovered {
        cluster_id: identity.cluster.clone(),
        former_cluster_id: String::new(),
        node_id: identity.node,
        projects: state.projects().count(),
        data_sources: state.data_sources().count(),
        uncommitted: 0,
        kept: None,
        has_key: false,
    }
}

fn record(config: &NodeConfig, identity: &Identity, id: u64, address: &str) -> NodeRecord {
    NodeRecord {
        id,
        address: address.to_owned(),
        region: config.region.clone(),
        zone: config.zone.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        feature_level: FEATURE_LEVEL,
        folder_id: identity.folder.clone(),
        witness: identity.witness,
        ..NodeRecord::default()
    }
}

/// Writes the metadata of a cluster of one into an empty folder.
fn build(
    folder: &Path,
    config: &NodeConfig,
    identity: &Identity,
    address: &str,
    state: &MetaState,
) -> Result<(), Failure> {
    let node = NodeInfo {
        address: address.to_owned(),
        region: config.region.clone(),
        zone: config.zone.clone(),
    };
    let raft = RaftConfig::new(&identity.cluster, identity.node, node);
    let engine = open(folder)?;
    seed(&engine, &raft, &state.snapshot()).map_err(consensus)?;
    engine.sync().map_err(|e| Failure::new(e.code(), e.to_string()))
}

fn open(folder: &Path) -> Result<Arc<dyn KvEngine>, Failure> {
    let engine = SledEngine::open(folder).map_err(|e| Failure::new(e.code(), e.to_string()))?;
    Ok(Arc::new(engine))
}

/// A name that nothing has yet: what an interrupted attempt left may be the only copy of something.
fn unused(dir: &Path, name: &str) -> Result<PathBuf, Failure> {
    (1..1_000)
        .map(|n| dir.join(format!("{name}-{n}")))
        .find(|path| !path.exists())
        .ok_or_else(|| {
            Failure::new(
                codes::cluster::RECOVERY_IMPOSSIBLE,
                format!("{} holds too many {name}-… of earlier attempts", dir.display()),
            )
        })
}

fn lock(dir: &Path) -> Result<std::fs::File, Failure> {
    let file = std::fs::File::create(dir.join("lock")).map_err(|e| io(dir, &e))?;
    file.try_lock().map_err(|_| {
        Failure::new(
            codes::cluster::DATA_DIR_IN_USE,
            format!("{} is used by another omsnode process", dir.display()),
        )
    })?;
    Ok(file)
}

fn sync(dir: &Path) -> Result<(), Failure> {
    std::fs::File::open(dir)
        .and_then(|d| d.sync_all())
        .map_err(|e| io(dir, &e))
}

fn io(path: &Path, e: &std::io::Error) -> Failure {
    Failure::new(codes::cluster::METADATA_IO, format!("{}: {e}", path.display()))
}

fn consensus(e: RaftError) -> Failure {
    Failure::new(e.code(), e.to_string())
}
