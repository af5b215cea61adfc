//! Nodes in one process that talk over real sockets on loopback.
#![allow(dead_code, unused_imports)]

mod slots;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oms_kv::{KvEngine, MemoryEngine, SledEngine};
use oms_raft::{
    NodeInfo, RaftConfig, RaftHandle, RaftResult, RaftStatus, RestoreError, StateMachine, TcpConnect,
};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;

pub(crate) use slots::Slots;

/// Remembers every command in order; replies with how many it has.
#[derive(Default)]
pub(crate) struct Journal {
    commands: Arc<Vec<Vec<u8>>>,
}

impl StateMachine for Journal {
    type View = Arc<Vec<Vec<u8>>>;

    fn apply(&mut self, _index: u64, command: &[u8]) -> Vec<u8> {
        let commands = Arc::make_mut(&mut self.commands);
        commands.push(command.to_vec());
        (commands.len() as u64).to_be_bytes().to_vec()
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for command in self.commands.iter() {
            out.extend_from_slice(&(command.len() as u32).to_be_bytes());
            out.extend_from_slice(command);
        }
        out
    }

    fn restore(&mut self, mut snapshot: &[u8]) -> Result<(), RestoreError> {
        let mut commands = Vec::new();
        while !snapshot.is_empty() {
            let torn = || RestoreError("torn".to_owned());
            let (length, rest) = snapshot.split_at_checked(4).ok_or_else(torn)?;
            let length = u32::from_be_bytes(length.try_into().map_err(|_| torn())?) as usize;
            let (command, rest) = rest.split_at_checked(length).ok_or_else(torn)?;
            commands.push(command.to_vec());
            snapshot = rest;
        }
        self.commands = Arc::new(commands);
        Ok(())
    }

    fn view(&self) -> Arc<Vec<Vec<u8>>> {
        Arc::clone(&self.commands)
    }
}

pub(crate) fn config(id: u64, port: u16) -> RaftConfig {
    let node = NodeInfo {
        address: format!("127.0.0.1:{port}"),
        region: "here".to_owned(),
        zone: format!("z{id}"),
    };
    let mut config = RaftConfig::new("test-cluster", id, node);
    config.timings.heartbeat = Duration::from_millis(100);
    config.timings.election_base = Duration::from_millis(400);
    config.timings.election_step = Duration::from_millis(100);
    config
}

pub(crate) struct Node {
    pub(crate) raft: RaftHandle<Journal>,
    pub(crate) port: u16,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Node {
    /// Starts a node; port 0 takes a free one.
    pub(crate) async fn start(
        id: u64,
        port: u16,
        engine: Arc<dyn KvEngine>,
        adjust: impl FnOnce(&mut RaftConfig),
    ) -> RaftResult<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut config = config(id, port);
        adjust(&mut config);
        let raft = RaftHandle::open(
            config,
            engine,
            Journal::default(),
            Arc::new(TcpConnect::default()),
        )
        .await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = tonic::transport::Server::builder()
            .add_service(raft.service())
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
                let _ = stopped.await;
            });
        let server = tokio::spawn(async move { serve.await.unwrap() });
        Ok(Self {
            raft,
            port,
            stop,
            server,
        })
    }

    /// Ends the node as a dying process would for the others: no more answers, connections closed.
    pub(crate) async fn stop(self) -> u16 {
        self.raft.shutdown().await.unwrap();
        let _ = self.stop.send(());
        self.server.await.unwrap();
        self.port
    }

    pub(crate) fn commands(&self) -> Arc<Vec<Vec<u8>>> {
        self.raft.view().unwrap()
    }

    pub(crate) async fn until(&self, what: &str, reached: impl Fn(&RaftStatus) -> bool) -> RaftStatus {
        let mut watch = self.raft.watch();
        let status =
            tokio::time::timeout(Duration::from_secs(20), watch.wait_for(|status| reached(status))).await;
        match status {
            Ok(Ok(status)) => status.clone(),
            _ => panic!(
                "node {} never reached: {what}; it stands at {:?}",
                self.raft.node_id(),
                self.raft.metrics()
            ),
        }
    }
}

/// A single voter on an engine, leading.
pub(crate) async fn single(
    engine: Arc<dyn KvEngine>,
    adjust: impl FnOnce(&mut RaftConfig),
) -> RaftResult<Node> {
    let node = Node::start(1, 0, engine, adjust).await?;
    node.raft.initialize_single().await?;
    Ok(node)
}

/// Three voters; the engines stay with the caller so that nodes can be started again on them.
pub(crate) async fn three(engines: &[MemoryEngine], adjust: impl Fn(&mut RaftConfig) + Copy) -> Vec<Node> {
    let mut nodes = Vec::new();
    for (id, engine) in (1..).zip(engines) {
        nodes.push(
            Node::start(id, 0, Arc::new(engine.clone()), adjust)
                .await
                .unwrap(),
        );
    }
    nodes[0].raft.initialize_single().await.unwrap();
    for node in &nodes[1..] {
        let info = config(node.raft.node_id(), node.port).node;
        nodes[0]
            .raft
            .add_learner(node.raft.node_id(), info, true)
            .await
            .unwrap();
    }
    nodes[0]
        .raft
        .change_membership([1, 2, 3].into(), false)
        .await
        .unwrap();
    for node in &nodes {
        node.until("a leader is known", |status| status.leader.is_some())
            .await;
    }
    nodes
}

pub(crate) fn sled(folder: &Path) -> Arc<dyn KvEngine> {
    Arc::new(SledEngine::open(folder).unwrap())
}
