//! One thing that goes wrong, and how it is put right.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cluster::{Deployment, End, Links};

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// SIGKILL; peers see closed connections.
    Kill,
    /// SIGKILL behind cut links: nobody is told.
    Vanish,
    /// SIGSTOP, later SIGCONT.
    Freeze,
    /// A node cannot reach other nodes, but databases.
    CutFromPeers,
    /// A node cannot reach databases, but other nodes.
    CutFromDatabases,
    /// A node's packets do not arrive at the other nodes; theirs do.
    Mute,
    /// A node does not receive what the others send; they receive from it.
    Deaf,
    /// A node's links are slow and narrow, and stall again and again: to other nodes, to databases, or to all.
    SlowLink,
    /// There is no byte left on the disk of a node, for some time.
    FullDisk,
    /// The destination is killed and started again.
    KillDestination,
    /// The source is killed and started again.
    KillSource,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Kill,
        Self::Vanish,
        Self::Freeze,
        Self::CutFromPeers,
        Self::CutFromDatabases,
        Self::Mute,
        Self::Deaf,
        Self::SlowLink,
        Self::FullDisk,
        Self::KillDestination,
        Self::KillSource,
    ];

    /// Whether both databases can be reached by somebody meanwhile.
    pub fn leaves_databases(self) -> bool {
        !matches!(self, Self::KillDestination | Self::KillSource)
    }

    /// Why this cannot happen in a deployment; `None`: it can.
    pub fn obstacle(self, deployment: &Deployment) -> Option<String> {
        let cluster = &deployment.cluster;
        match self {
            Self::SlowLink => cluster.lan().obstacle_to_delay().map(str::to_owned),
            Self::FullDisk => cluster.obstacle_to_full_disks().map(str::to_owned),
            _ => None,
        }
    }
}

/// How slow a link is.
#[derive(Debug, Clone)]
struct Slowness {
    towards: Vec<End>,
    delay: Duration,
    bytes_per_second: u64,
    /// Repeats the stalls.
    seed: u64,
}

impl Slowness {
    fn new(victim: u8, deployment: &Deployment, rng: &mut StdRng) -> Self {
        let cluster = &deployment.cluster;
        let peers = cluster.numbers().into_iter().filter(|n| *n != victim);
        let peers: Vec<End> = peers.map(End::Node).collect();
        let databases = cluster.lan().databases();
        let towards = match rng.random_range(0..3) {
            0 => peers,
            1 => databases,
            _ => [peers, databases].concat(),
        };
        Self {
            towards,
            delay: Duration::from_millis(rng.random_range(20..120)),
            bytes_per_second: rng.random_range(30_000..500_000),
            seed: rng.random(),
        }
    }

    /// Stalls one direction after the other until it is dropped.
    async fn stall(self, victim: End, links: Arc<Links>) {
        let mut rng = StdRng::seed_from_u64(self.seed);
        loop {
            sleep(Duration::from_millis(rng.random_range(300..2_000))).await;
            let other = self.towards[rng.random_range(0..self.towards.len())];
            let (from, to) = match rng.random_bool(0.5) {
                true => (victim, other),
                false => (other, victim),
            };
            links.cut(from, to, true);
            sleep(Duration::from_millis(rng.random_range(50..900))).await;
            links.cut(from, to, false);
        }
    }
}

/// A fault at a place.
#[derive(Debug)]
pub struct Fault {
    kind: FaultKind,
    victim: u8,
    /// Whether a killed node comes back only when the fault ends, or at once.
    stays_away: bool,
    slowness: Option<Slowness>,
    stalls: JoinSet<()>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.leaves_databases() {
            true => write!(f, "{:?} of node {}", self.kind, self.victim)?,
            false => write!(f, "{:?}", self.kind)?,
        }
        if let Some(slow) = &self.slowness {
            let delay = slow.delay.as_millis();
            let rate = slow.bytes_per_second / 1_000;
            write!(f, " to {:?}, {delay} ms and {rate} kB/s", slow.towards)?;
        }
        Ok(())
    }
}

impl Fault {
    pub(super) fn new(kind: FaultKind, victim: u8, deployment: &Deployment, rng: &mut StdRng) -> Self {
        let stays_away = rng.random_bool(0.7);
        let slow = kind == FaultKind::SlowLink;
        Self {
            kind,
            victim,
            stays_away,
            slowness: slow.then(|| Slowness::new(victim, deployment, rng)),
            stalls: JoinSet::new(),
        }
    }

    pub(super) async fn begin(&mut self, deployment: &mut Deployment) -> anyhow::Result<()> {
        let victim = self.victim;
        let cluster = &mut deployment.cluster;
        match self.kind {
            FaultKind::Kill => {
                cluster.node_mut(victim).kill()?;
                if !self.stays_away {
                    cluster.start_unready(victim, None)?;
                }
                Ok(())
            }
            FaultKind::Vanish => cluster.vanish(victim),
            FaultKind::Freeze => cluster.node_mut(victim).freeze(),
            FaultKind::CutFromPeers => cluster.lan().cut_from_peers(victim),
            FaultKind::CutFromDatabases => cluster.lan().cut_from_databases(victim),
            FaultKind::Mute | FaultKind::Deaf => {
                for other in cluster.numbers() {
                    if other != victim {
                        let (from, to) = match self.kind {
                            FaultKind::Mute => (victim, other),
                            _ => (other, victim),
                        };
                        cluster.lan().cut(End::Node(from), End::Node(to))?;
                    }
                }
                Ok(())
            }
            FaultKind::SlowLink => {
                if let Some(slow) = self.slowness.clone() {
                    let (end, links) = (End::Node(victim), Arc::clone(cluster.lan().links()));
                    links.shape_all(end, &slow.towards, slow.delay, slow.bytes_per_second);
                    self.stalls.spawn(slow.stall(end, links));
                }
                Ok(())
            }
            FaultKind::FullDisk => cluster.disk(victim)?.fill(),
            FaultKind::KillDestination => Ok(deployment.destination.kill()?),
            FaultKind::KillSource => Ok(deployment.source.kill()?),
        }
    }

    pub(super) async fn end(&mut self, deployment: &mut Deployment) -> anyhow::Result<()> {
        let cluster = &mut deployment.cluster;
        match self.kind {
            FaultKind::Kill if self.stays_away => cluster.start(self.victim, None).await,
            FaultKind::Kill => cluster.node_mut(self.victim).wait_ready().await,
            FaultKind::Vanish => cluster.revive(self.victim).await,
            FaultKind::Freeze => cluster.node_mut(self.victim).thaw(),
            FaultKind::CutFromPeers | FaultKind::CutFromDatabases | FaultKind::Mute | FaultKind::Deaf => {
                cluster.lan().heal()
            }
            FaultKind::SlowLink => {
                self.stalls.shutdown().await;
                let links = cluster.lan().links();
                if let Some(slow) = &self.slowness {
                    links.shape_all(End::Node(self.victim), &slow.towards, Duration::ZERO, 0);
                }
                links.heal();
                Ok(())
            }
            FaultKind::FullDisk => cluster.disk(self.victim)?.empty(),
            FaultKind::KillDestination => Ok(deployment.destination.restart().await?),
            FaultKind::KillSource => Ok(deployment.source.restart().await?),
        }
    }

    /// Waits until the cluster is as before. A node that had no room may have ended by itself: it is started again.
    pub(super) async fn settled(&self, deployment: &mut Deployment) -> anyhow::Result<()> {
        match self.kind {
            FaultKind::FullDisk => deployment.cluster.settled_again(self.victim).await,
            _ => deployment.cluster.settled().await,
        }
    }
}
