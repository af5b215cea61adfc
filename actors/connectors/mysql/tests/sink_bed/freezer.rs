//! A process that freezes: a proxy that passes requests on until it is told to stop.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use oms_core::{Sink, testing::sink::Freezer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
    task::JoinSet,
};

struct Gate {
    /// Requests that may still pass.
    left: AtomicU64,
    stands: Notify,
}

impl Gate {
    fn lets_pass(&self) -> bool {
        let left = |left: u64| left.checked_sub(1);
        let passed = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left);
        if passed.is_err() {
            self.stands.notify_one();
        }
        passed.is_ok()
    }
}

pub(crate) struct ProxyFreezer {
    sink: Arc<dyn Sink>,
    gate: Arc<Gate>,
    _connections: JoinSet<()>,
}

impl ProxyFreezer {
    /// Passes on to a server's port; `sink` makes the sink for a port.
    pub(crate) async fn start(server: u16, sink: impl FnOnce(u16) -> Arc<dyn Sink>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let gate = Arc::new(Gate {
            left: AtomicU64::new(u64::MAX),
            stands: Notify::new(),
        });
        let mut connections = JoinSet::new();
        let own = gate.clone();
        connections.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.expect("connect");
                // Otherwise each packet waits for the acknowledgement of its header.
                for stream in [&client, &server] {
                    stream.set_nodelay(true).expect("set an option");
                }
                let (mut from_server, to_server) = server.into_split();
                let (from_client, mut to_client) = client.into_split();
                open.spawn(async move {
                    let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
                });
                let gate = own.clone();
                open.spawn(async move {
                    let _ = requests(&gate, from_client, to_server).await;
                });
            }
        });
        Self {
            sink: sink(port),
            gate,
            _connections: connections,
        }
    }
}

/// Passes packets of the client on. A packet with the number 0 begins a request.
async fn requests(gate: &Gate, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
    loop {
        let mut header = [0u8; 4];
        from.read_exact(&mut header).await?;
        let [a, b, c, number] = header;
        let mut packet = vec![0u8; u32::from_le_bytes([a, b, c, 0]) as usize];
        from.read_exact(&mut packet).await?;
        if number == 0 && !gate.lets_pass() {
            // Until the end of the test: the connection stays open.
            std::future::pending::<()>().await;
        }
        to.write_all(&header).await?;
        to.write_all(&packet).await?;
    }
}

#[async_trait]
impl Freezer for ProxyFreezer {
    fn sink(&self) -> Arc<dyn Sink> {
        self.sink.clone()
    }

    fn freeze_after(&self, requests: u64) {
        self.gate.left.store(requests, Ordering::SeqCst);
    }

    async fn frozen(&self) {
        self.gate.stands.notified().await;
    }
}
