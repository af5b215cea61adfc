//! The nodes of a cluster.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use oms_proto::v1::{
    Cluster, Component, CreateTokenRequest, GetClusterRequest, ListComponentsRequest, ListNodesRequest,
    LogLine, Node, NodeHealth, ReadComponentLogRequest,
};
use tokio::time::{Instant, sleep, timeout};

use super::lan::{Lan, say};
use super::small_disk::SmallDisk;
use crate::node::{Admission, OmsNode, tail};

/// How long the cluster may take for anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long one question to one node may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Messages of tests show ends of logs: what consensus says about each of its steps would hide the rest.
const QUIET: [(&str, &str); 2] = [("NO_COLOR", "1"), ("OMSNODE_TELEMETRY__LOG", "info,openraft=off")];

/// Region and zone of a node.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Region.
    pub region: &'static str,
    /// Zone.
    pub zone: &'static str,
    /// Votes and runs nothing.
    pub witness: bool,
}

impl Place {
    /// A place for a full node.
    pub fn new(region: &'static str, zone: &'static str) -> Self {
        Self {
            region,
            zone,
            witness: false,
        }
    }

    /// A place for a voter without components.
    pub fn witness(region: &'static str, zone: &'static str) -> Self {
        Self {
            region,
            zone,
            witness: true,
        }
    }
}

#[derive(Debug)]
enum Disk {
    Common,
    Own { megabytes: u32 },
    Forbidden(String),
}

/// Nodes by number, from 1 in the order of [`NodeCluster::add`]. The number is the testbed's; the node's id in the
/// cluster is [`NodeCluster::id_of`].
#[derive(Debug)]
pub struct NodeCluster {
    nodes: BTreeMap<u8, OmsNode>,
    /// The number given last. None is given twice: the network still knows a lost node's.
    numbered: u8,
    /// Ids in the cluster, as far as they were asked for.
    ids: BTreeMap<u8, u64>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    /// How large the nodes' disks are, if they have their own.
    disk: Disk,
    // Behind the nodes, like their namespaces: what is in use cannot be taken away.
    disks: BTreeMap<u8, SmallDisk>,
    lan: Lan,
}

impl NodeCluster {
    /// A network without nodes. `folder` holds their data; `environment` is given to each.
    pub async fn create(folder: &Path, wan: bool, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        Ok(Self {
            nodes: BTreeMap::new(),
            numbered: 0,
            ids: BTreeMap::new(),
            environment: QUIET
                .iter()
                .chain(environment)
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            folder: folder.to_owned(),
            disk: Disk::Common,
            disks: BTreeMap::new(),
            lan: Lan::create(wan).await?,
        })
    }

    /// Nodes that are added from now on have a small disk of their own for their data, where the machine allows that.
    pub fn own_disks(&mut self, megabytes: u32) -> anyhow::Result<()> {
        let trial = SmallDisk::mount(&self.folder.join("disk"), 1);
        self.disk = match trial {
            Ok(_) => Disk::Own { megabytes },
            Err(why) => {
                say(&format!("nodes have no disks of their own: {why:#}"));
                Disk::Forbidden(format!("{why:#}"))
            }
        };
        Ok(())
    }

    /// The small disk of a node.
    pub fn disk(&self, number: u8) -> anyhow::Result<&SmallDisk> {
        self.disks.get(&number).context("the node has no disk of its own")
    }

    /// Why disks cannot be full; `None`: they can.
    pub fn obstacle_to_full_disks(&self) -> Option<&str> {
        match &self.disk {
            Disk::Common => Some("the nodes have no disks of their own"),
            Disk::Own { .. } => None,
            Disk::Forbidden(why) => Some(why),
        }
    }

    /// The network.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }

    /// Adds a node that is not started. Its number.
    pub async fn settle(&mut self, place: Place) -> anyhow::Result<u8> {
        let number = self.numbered + 1;
        let home = self.lan.settle(number).await?;
        self.numbered = number;
        let data = self.folder.join(format!("node{number}"));
        if let Disk::Own { megabytes } = self.disk {
            self.disks.insert(number, SmallDisk::mount(&data, megabytes)?);
        }
        let mut node = OmsNode::at(home, &data, (place.region, place.zone));
        node.set_environment(&self.environment);
        self.nodes.insert(number, node);
        Ok(number)
    }

    /// Adds and starts a node: the first makes the cluster, the others join it with a token of their own. Returns when
    /// it answers.
    pub async fn add(&mut self, place: Place) -> anyhow::Result<u8> {
        let admission = match self.running().first() {
            Some(member) => Some(self.admission(*member, place.witness).await?),
            None => None,
        };
        let number = self.settle(place).await?;
        self.start(number, admission.as_ref()).await?;
        Ok(number)
    }

    /// Starts a settled or ended node and waits until it answers.
    pub async fn start(&mut self, number: u8, admission: Option<&Admission>) -> anyhow::Result<()> {
        self.start_unready(number, admission)?;
        self.node_mut(number).wait_ready().await
    }

    /// [`NodeCluster::start`] without waiting for an answer.
    pub fn start_unready(&mut self, number: u8, admission: Option<&Admission>) -> anyhow::Result<()> {
        let node = self.nodes.get_mut(&number).context("no such node")?;
        node.spawn(admission)?;
        let pid = node.pid().context("the node was just started")?;
        self.lan.moved_in(number, pid);
        Ok(())
    }

    /// Starts a settled node that shall not get into the cluster, and waits for its end: what it wrote to standard error.
    pub async fn refused(&mut self, number: u8, admission: Option<&Admission>) -> anyhow::Result<String> {
        let before = self.node(number).log().len();
        self.start_unready(number, admission)?;
        let node = self.node_mut(number);
        let status = node.wait_exit(PATIENCE).await?;
        let log = node.log().split_off(before);
        ensure!(!status.success(), "the node ended in good order:\n{log}");
        Ok(log)
    }

    /// A token's secret, asked from a node.
    pub async fn token(&self, asked: u8, valid_seconds: u64, uses: u32) -> anyhow::Result<String> {
        let request = CreateTokenRequest {
            valid_seconds,
            uses,
            remarks: String::new(),
        };
        let mut client = self.node(asked).tokens().await?;
        Ok(client.create_token(request).await?.into_inner().secret)
    }

    /// What a node needs to join through another one, with a token of its own.
    pub async fn admission(&self, member: u8, witness: bool) -> anyhow::Result<Admission> {
        Ok(Admission {
            member: self.node(member).advertised().to_owned(),
            token: self.token(member, 0, 1).await?,
            witness,
        })
    }

    /// A cluster of these places whose nodes are all online and which has as many voters as that allows.
    pub async fn grow(&mut self, places: &[Place]) -> anyhow::Result<()> {
        for place in places {
            self.add(*place).await?;
        }
        self.settled().await
    }

    /// Waits until every running node is online and there are as many voters as the running nodes allow.
    pub async fn settled(&self) -> anyhow::Result<()> {
        let running = self.running().len();
        let what = format!("{} voters and {running} nodes online", voters(running));
        self.wait(&what, async || self.is_settled().await).await
    }

    /// [`NodeCluster::settled`], where a node may end by itself meanwhile and is started again then: one that had no room
    /// on its disk.
    pub async fn settled_again(&mut self, number: u8) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.node(number).pid().is_none() {
                self.start(number, None).await?;
            }
            if !self.node_mut(number).is_running()? {
                self.node_mut(number).wait_exit(PATIENCE).await?;
                continue;
            }
            let Err(last) = self.is_settled().await else {
                return Ok(());
            };
            ensure!(
                Instant::now() < deadline,
                "the cluster does not settle: {last:#}\n{}",
                self.logs()
            );
            sleep(Duration::from_millis(25)).await;
        }
    }

    async fn is_settled(&self) -> anyhow::Result<()> {
        let running = self.running();
        let first = *running.first().context("no node runs")?;
        let cluster = self.cluster(first).await?;
        let online = self.nodes(first).await?;
        let online = online.iter().filter(|n| n.health() == NodeHealth::Online).count();
        ensure!(
            cluster.voters.len() >= voters(running.len()) && online >= running.len() && cluster.leader != 0,
            "{cluster:?}, {online} online"
        );
        Ok(())
    }

    /// A node.
    pub fn node(&self, number: u8) -> &OmsNode {
        &self.nodes[&number]
    }

    /// A node, to do something to it.
    pub fn node_mut(&mut self, number: u8) -> &mut OmsNode {
        self.nodes.get_mut(&number).expect("a node of this cluster")
    }

    /// Numbers of all nodes.
    pub fn numbers(&self) -> Vec<u8> {
        self.nodes.keys().copied().collect()
    }

    /// Numbers of nodes whose process was started and not ended by a test.
    pub fn running(&self) -> Vec<u8> {
        let running = self.nodes.iter().filter(|(_, node)| node.pid().is_some());
        running.map(|(number, _)| *number).collect()
    }

    /// SIGKILL as if the machine died: nobody gets an end of a connection. Links of the node are cut until
    /// [`NodeCluster::revive`].
    pub fn vanish(&mut self, number: u8) -> anyhow::Result<()> {
        self.lan.cut_from_peers(number)?;
        self.lan.cut_from_databases(number)?;
        self.node_mut(number).kill()
    }

    /// Heals all links and starts the node with its disk.
    pub async fn revive(&mut self, number: u8) -> anyhow::Result<()> {
        self.lan.heal()?;
        self.start(number, None).await
    }

    /// Ends a node and loses its disk. It is no part of this value any more.
    pub fn lose(&mut self, number: u8) -> anyhow::Result<()> {
        let mut node = self.nodes.remove(&number).context("no such node")?;
        if node.pid().is_some() {
            node.kill()?;
        }
        self.ids.remove(&number);
        self.disks.remove(&number);
        Ok(std::fs::remove_dir_all(node.data())?)
    }

    /// The cluster as a node sees it.
    pub async fn cluster(&self, asked: u8) -> anyhow::Result<Cluster> {
        let node = self.node(asked);
        let answer = async {
            Ok(node
                .nodes()
                .await?
                .get_cluster(GetClusterRequest {})
                .await?
                .into_inner())
        };
        timeout(ANSWER, answer)
            .await
            .context("no answer about the cluster")?
    }

    /// All nodes as a node sees them.
    pub async fn nodes(&self, asked: u8) -> anyhow::Result<Vec<Node>> {
        let node = self.node(asked);
        let request = ListNodesRequest { all: true };
        let answer = async { Ok(node.nodes().await?.list_nodes(request).await?.into_inner().nodes) };
        timeout(ANSWER, answer).await.context("no answer about nodes")?
    }

    /// All components as a node sees them.
    pub async fn components(&self, asked: u8) -> anyhow::Result<Vec<Component>> {
        let node = self.node(asked);
        let request = ListComponentsRequest::default();
        let answer = async {
            let mut client = node.components().await?;
            Ok(client.list_components(request).await?.into_inner().components)
        };
        timeout(ANSWER, answer)
            .await
            .context("no answer about components")?
    }

    /// The component of a kind of the only project, as a node sees it.
    pub async fn component(&self, asked: u8, kind: &str) -> anyhow::Result<Component> {
        let all = self.components(asked).await?;
        let found = all.into_iter().find(|c| c.kind == kind);
        found.with_context(|| format!("there is no component {kind}"))
    }

    /// The log that a node keeps of a component.
    pub async fn component_log(&self, asked: u8, id: &str) -> anyhow::Result<Vec<LogLine>> {
        let request = ReadComponentLogRequest {
            id: id.to_owned(),
            follow: false,
            lines: 1_000,
        };
        let answer = async {
            let mut client = self.node(asked).components().await?;
            let mut stream = client.read_component_log(request).await?.into_inner();
            let mut lines = Vec::new();
            while let Some(line) = stream.message().await? {
                lines.push(line);
            }
            anyhow::Ok(lines)
        };
        timeout(ANSWER, answer)
            .await
            .context("no answer about a component's log")?
    }

    /// A node's id in the cluster, as it is known to `asked`.
    pub async fn id_of(&self, number: u8, asked: u8) -> anyhow::Result<u64> {
        let address = self.node(number).advertised().to_owned();
        let nodes = self.nodes(asked).await?;
        let removed = oms_proto::v1::NodeState::Removed;
        let found = nodes
            .iter()
            .find(|n| n.address == address && n.state() != removed);
        Ok(found
            .with_context(|| format!("{address} is not among {nodes:?}"))?
            .id)
    }

    /// The node with an id.
    pub async fn number_of(&self, id: u64, asked: u8) -> anyhow::Result<u8> {
        let nodes = self.nodes(asked).await?;
        let node = nodes
            .iter()
            .find(|n| n.id == id)
            .with_context(|| format!("no node has the id {id}"))?;
        let found = self.nodes.iter().find(|(_, n)| n.advertised() == node.address);
        Ok(*found.with_context(|| format!("nobody is at {}", node.address))?.0)
    }

    /// The node that owns a component of the only project, as `asked` knows it, and the component.
    pub async fn owner(&self, asked: u8, kind: &str) -> anyhow::Result<(u8, Component)> {
        let component = self.component(asked, kind).await?;
        Ok((self.number_of(component.node, asked).await?, component))
    }

    /// The leader, as a node sees it.
    pub async fn leader(&self, asked: u8) -> anyhow::Result<u8> {
        let cluster = self.cluster(asked).await?;
        ensure!(cluster.leader != 0, "no leader is known");
        self.number_of(cluster.leader, asked).await
    }

    /// A running node that is none of these.
    pub fn other_than(&self, numbers: &[u8]) -> anyhow::Result<u8> {
        let running = self.running();
        let found = running.into_iter().find(|n| !numbers.contains(n));
        found.context("no other node runs")
    }

    /// Asks again and again until the answer is right; the last reason and the ends of all logs when it never is.
    pub async fn wait<T, F: Future<Output = anyhow::Result<T>>>(
        &self,
        what: &str,
        ask: impl Fn() -> F,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let last = match ask().await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            if Instant::now() >= deadline {
                bail!(
                    "{what} did not happen within {} s: {last:#}\n{}",
                    PATIENCE.as_secs(),
                    self.logs()
                );
            }
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// Copies all logs to the folder that `TESTBED_KEEP_LOGS` names, if it does.
    fn keep_logs(&self) -> std::io::Result<()> {
        let Some(folder) = std::env::var_os("TESTBED_KEEP_LOGS").map(PathBuf::from) else {
            return Ok(());
        };
        let name = self.folder.file_name().unwrap_or_default();
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder)?;
        for (number, node) in &self.nodes {
            std::fs::write(folder.join(format!("node{number}.log")), node.log())?;
        }
        Ok(())
    }

    /// The ends of all nodes' logs.
    pub fn logs(&self) -> String {
        let part = |(number, node): (&u8, &OmsNode)| {
            let state = if node.pid().is_some() { "" } else { " (ended)" };
            format!(
                "--- node {number}{state} {}\n{}",
                node.advertised(),
                tail(&node.log())
            )
        };
        self.nodes.iter().map(part).collect::<Vec<_>>().join("\n")
    }
}

/// How many voters so many nodes have.
fn voters(nodes: usize) -> usize {
    match nodes {
        0..=2 => 1,
        3..=4 => 3,
        _ => 5,
    }
}

impl Drop for NodeCluster {
    fn drop(&mut self) {
        if let Err(error) = self.keep_logs() {
            say(&format!("logs are not kept: {error}"));
        }
    }
}
