//! The network of a cluster.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Once};

use anyhow::Context;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::links::{End, Links};
use super::netns::{self, run};
use super::proxy;
use super::subnet::Subnet;
use crate::PortLease;

const NODE_PORT: u16 = 7070;

/// Nodes as hosts of their own: each in a network namespace, joined by a bridge, cut by `iptables`. Where the
/// machine forbids namespaces, all on the loopback device with a proxy before every node and database, and the
/// proxies cut (the first cluster of a process prints which). Links can be slow where proxies carry them: always on the
/// loopback device, and in namespaces if the network was made so.
///
/// Dropping it removes everything; what a killed process left behind is removed by the next one.
#[derive(Debug)]
pub struct Lan {
    subnet: Option<Subnet>,
    links: Arc<Links>,
    /// Whether nodes and databases are reached through proxies, also in namespaces.
    proxied: bool,
    nodes: Mutex<BTreeSet<u8>>,
    databases: Mutex<BTreeSet<End>>,
    /// Ports of this machine at which nodes reach an end.
    doors: Mutex<Vec<(End, u16)>>,
    proxies: Mutex<JoinSet<()>>,
}

/// Where a node lives.
#[derive(Debug, Clone)]
pub struct Home {
    /// Its namespace; `None`: the machine's own.
    pub namespace: Option<String>,
    /// Where its API listens.
    pub listen: String,
    /// Where others reach it.
    pub advertise: String,
    /// Held as long as the address is in use.
    pub(crate) _port: Option<Arc<PortLease>>,
}

impl Lan {
    /// An empty network. `proxied`: nodes and databases are reached through proxies, so that delays, rates, stalls and
    /// resets of [`Links`] apply.
    pub async fn create(proxied: bool) -> anyhow::Result<Self> {
        static SAID: Once = Once::new();
        let obstacle = tokio::task::spawn_blocking(netns::obstacle).await?;
        let said = match &obstacle {
            None => "nodes run in network namespaces".to_owned(),
            Some(why) => format!("nodes run on the loopback device, proxies cut links: {why}"),
        };
        SAID.call_once(|| say(&said));
        let subnet = match obstacle {
            Some(_) => None,
            None => Some(tokio::task::spawn_blocking(Subnet::take).await??),
        };
        let lan = Self {
            subnet,
            links: Arc::new(Links::default()),
            proxied,
            nodes: Mutex::default(),
            databases: Mutex::default(),
            doors: Mutex::default(),
            proxies: Mutex::default(),
        };
        if let Some(subnet) = &lan.subnet {
            let (bridge, host) = (bridge(subnet), subnet.interface());
            // The bridge has a namespace of its own: rules of this machine for bridged packets do not reach it.
            run("ip", &["netns", "add", &bridge])?;
            run(
                "ip",
                &["-n", &bridge, "link", "add", "name", "lan", "type", "bridge"],
            )?;
            run("ip", &["-n", &bridge, "link", "set", "lan", "up"])?;
            run(
                "ip",
                &[
                    "link", "add", "name", &host, "type", "veth", "peer", "name", "host", "netns", &bridge,
                ],
            )?;
            run(
                "ip",
                &["-n", &bridge, "link", "set", "host", "master", "lan", "up"],
            )?;
            run(
                "ip",
                &["addr", "add", &format!("{}/24", subnet.address(1)), "dev", &host],
            )?;
            run("ip", &["link", "set", &host, "up"])?;
        }
        Ok(lan)
    }

    /// Whether nodes have namespaces of their own.
    pub fn is_isolated(&self) -> bool {
        self.subnet.is_some()
    }

    /// This machine's address as nodes see it.
    pub fn host(&self) -> Ipv4Addr {
        self.subnet.as_ref().map_or(Ipv4Addr::LOCALHOST, |s| s.address(1))
    }

    /// What holds between its ends, for connections that go through proxies.
    pub fn links(&self) -> &Arc<Links> {
        &self.links
    }

    /// Why links cannot be slow; `None`: they can.
    pub fn obstacle_to_delay(&self) -> Option<&'static str> {
        (self.is_isolated() && !self.proxied)
            .then_some("in namespaces only proxies delay, and there are none")
    }

    /// A place for node number `node`.
    pub async fn settle(&self, node: u8) -> anyhow::Result<Home> {
        let home = match &self.subnet {
            Some(subnet) => {
                let (name, bridge) = (namespace(subnet, node), bridge(subnet));
                let (address, port) = (subnet.address(10 + node), format!("node{node}"));
                run("ip", &["netns", "add", &name])?;
                run("ip", &["-n", &name, "link", "set", "lo", "up"])?;
                run(
                    "ip",
                    &[
                        "-n", &bridge, "link", "add", "name", &port, "type", "veth", "peer", "name", "eth0",
                        "netns", &name,
                    ],
                )?;
                run(
                    "ip",
                    &["-n", &bridge, "link", "set", &port, "master", "lan", "up"],
                )?;
                run(
                    "ip",
                    &[
                        "-n",
                        &name,
                        "addr",
                        "add",
                        &format!("{address}/24"),
                        "dev",
                        "eth0",
                    ],
                )?;
                run("ip", &["-n", &name, "link", "set", "eth0", "up"])?;
                self.links.place(address, End::Node(node));
                let listen = format!("{address}:{NODE_PORT}");
                let advertise = match self.proxied {
                    true => self.door(End::Node(node), &listen).await?.to_string(),
                    false => listen.clone(),
                };
                Home {
                    namespace: Some(name),
                    listen,
                    advertise,
                    _port: None,
                }
            }
            None => {
                let lease = PortLease::take()?;
                let listen = format!("127.0.0.1:{}", lease.port());
                let advertise = self.door(End::Node(node), &listen).await?.to_string();
                Home {
                    namespace: None,
                    listen,
                    advertise,
                    _port: Some(Arc::new(lease)),
                }
            }
        };
        self.nodes.lock().insert(node);
        Ok(home)
    }

    /// Makes a database of this machine reachable for nodes and says where it is for them.
    pub async fn attach(&self, end: End, port: u16) -> anyhow::Result<SocketAddr> {
        self.databases.lock().insert(end);
        match &self.subnet {
            Some(subnet) if !self.proxied => {
                self.doors.lock().push((end, port));
                Ok(SocketAddr::from((subnet.address(1), port)))
            }
            _ => self.door(end, &format!("127.0.0.1:{port}")).await,
        }
    }

    /// Starts a proxy before `end` and says where it listens. It lives as long as this network.
    async fn door(&self, end: End, target: &str) -> anyhow::Result<SocketAddr> {
        let listener = StdListener::bind((self.host(), 0)).context("a proxy's port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let proxy = proxy::serve(listener, end, target.to_owned(), Arc::clone(&self.links));
        self.proxies.lock().spawn(proxy);
        self.doors.lock().push((end, address.port()));
        Ok(address)
    }

    /// Tells which process a node is: on the loopback device that is how a proxy knows who connects.
    pub(crate) fn moved_in(&self, node: u8, pid: u32) {
        if self.subnet.is_none() {
            self.links.run_as(pid, End::Node(node));
        }
    }

    /// Nothing gets from one end to the other any more, without a word to either. Not the other way round: cut
    /// that too for both.
    pub fn cut(&self, from: End, to: End) -> anyhow::Result<()> {
        self.links.cut(from, to, true);
        self.rule("-A", from, to)
    }

    /// Both ways.
    pub fn cut_both(&self, a: End, b: End) -> anyhow::Result<()> {
        self.cut(a, b)?;
        self.cut(b, a)
    }

    /// A node from all other nodes, both ways.
    pub fn cut_from_peers(&self, node: u8) -> anyhow::Result<()> {
        let others: Vec<u8> = self.nodes.lock().iter().copied().filter(|n| *n != node).collect();
        others
            .into_iter()
            .try_for_each(|other| self.cut_both(End::Node(node), End::Node(other)))
    }

    /// A node from all databases, both ways.
    pub fn cut_from_databases(&self, node: u8) -> anyhow::Result<()> {
        self.databases()
            .into_iter()
            .try_for_each(|end| self.cut_both(End::Node(node), end))
    }

    /// All databases.
    pub fn databases(&self) -> Vec<End> {
        self.databases.lock().iter().copied().collect()
    }

    /// Every link works again.
    pub fn heal(&self) -> anyhow::Result<()> {
        self.links.heal();
        if let Some(subnet) = &self.subnet {
            for node in self.nodes.lock().iter() {
                let name = namespace(subnet, *node);
                run("ip", &["netns", "exec", &name, "iptables", "-w", "-F"])?;
            }
        }
        Ok(())
    }

    fn rule(&self, verb: &str, from: End, to: End) -> anyhow::Result<()> {
        let Some(subnet) = &self.subnet else {
            return Ok(());
        };
        let doors = self.doors.lock().clone();
        let doors = |end: End| {
            let found = doors.iter().filter(move |(e, _)| *e == end);
            found.map(|(_, port)| port.to_string()).collect::<Vec<_>>()
        };
        let host = subnet.address(1).to_string();
        if let End::Node(a) = from {
            for port in doors(to) {
                let rule = [
                    verb, "OUTPUT", "-p", "tcp", "-d", &host, "--dport", &port, "-j", "DROP",
                ];
                iptables(&namespace(subnet, a), &rule)?;
            }
        }
        if let End::Node(b) = to {
            for port in doors(from) {
                let rule = [
                    verb, "INPUT", "-p", "tcp", "-s", &host, "--sport", &port, "-j", "DROP",
                ];
                iptables(&namespace(subnet, b), &rule)?;
            }
        }
        if let (End::Node(a), End::Node(b)) = (from, to) {
            let source = subnet.address(10 + a).to_string();
            iptables(
                &namespace(subnet, b),
                &[verb, "INPUT", "-s", &source, "-j", "DROP"],
            )?;
        }
        Ok(())
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.proxies.lock().abort_all();
        if let Some(subnet) = &self.subnet {
            // What cannot be removed now is removed by the next owner of the number.
            let _ = netns::sweep(&subnet.prefix());
        }
    }
}

fn bridge(subnet: &Subnet) -> String {
    format!("{}lan", subnet.prefix())
}

fn namespace(subnet: &Subnet, node: u8) -> String {
    format!("{}node{node}", subnet.prefix())
}

fn iptables(namespace: &str, rule: &[&str]) -> anyhow::Result<()> {
    let command = ["netns", "exec", namespace, "iptables", "-w"];
    run("ip", &[&command, rule].concat()).map(|_| ())
}

#[allow(clippy::print_stderr)]
pub(super) fn say(text: &str) {
    eprintln!("testbed: {text}");
}
