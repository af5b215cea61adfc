//! One thing that goes wrong, and how it is put right.

use std::fmt;

use rand::Rng;
use rand::rngs::StdRng;

use crate::cluster::{Deployment, End};

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
    /// The destination is killed and started again.
    KillDestination,
    /// The source is killed and started again.
    KillSource,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Kill,
        Self::Vanish,
        Self::Freeze,
        Self::CutFromPeers,
        Self::CutFromDatabases,
        Self::Mute,
        Self::Deaf,
        Self::KillDestination,
        Self::KillSource,
    ];

    /// Whether both databases can be reached by somebody meanwhile.
    pub fn leaves_databases(self) -> bool {
        !matches!(self, Self::KillDestination | Self::KillSource)
    }
}

/// A fault at a place.
#[derive(Debug, Clone)]
pub struct Fault {
    kind: FaultKind,
    victim: u8,
    /// Whether a killed node comes back only when the fault ends, or at once.
    stays_away: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.leaves_databases() {
            true => write!(f, "{:?} of node {}", self.kind, self.victim),
            false => write!(f, "{:?}", self.kind),
        }
    }
}

impl Fault {
    pub(super) fn new(kind: FaultKind, victim: u8, rng: &mut StdRng) -> Self {
        Self {
            kind,
            victim,
            stays_away: rng.random_bool(0.7),
        }
    }

    pub(super) async fn begin(&self, deployment: &mut Deployment) -> anyhow::Result<()> {
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
            FaultKind::KillDestination => Ok(deployment.destination.kill()?),
            FaultKind::KillSource => Ok(deployment.source.kill()?),
        }
    }

    pub(super) async fn end(&self, deployment: &mut Deployment) -> anyhow::Result<()> {
        let cluster = &mut deployment.cluster;
        match self.kind {
            FaultKind::Kill if self.stays_away => cluster.start(self.victim, None).await,
            FaultKind::Kill => cluster.node_mut(self.victim).wait_ready().await,
            FaultKind::Vanish => cluster.revive(self.victim).await,
            FaultKind::Freeze => cluster.node_mut(self.victim).thaw(),
            FaultKind::CutFromPeers | FaultKind::CutFromDatabases | FaultKind::Mute | FaultKind::Deaf => {
                cluster.lan().heal()
            }
            FaultKind::KillDestination => Ok(deployment.destination.restart().await?),
            FaultKind::KillSource => Ok(deployment.source.restart().await?),
        }
    }
}
