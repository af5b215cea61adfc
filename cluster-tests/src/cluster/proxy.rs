//! A TCP proxy that makes a link slow, narrow, dead or broken.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::links::{End, Links, WayWatch};

const PIECE: usize = 16 << 10;
// With pieces of 16 KiB and 80 ms of delay: 50 MB/s.
const UNDER_WAY: usize = 256;

/// Accepts until dropped, and carries what comes to `target`, the address of `end`.
pub(super) async fn serve(listener: TcpListener, end: End, target: String, links: Arc<Links>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, address)) = listener.accept().await else {
            // Out of file descriptors, for example: others may end.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let opener = links.opener(address);
        let there = links.watch(opener, end);
        let back = links.watch(end, opener);
        connections.spawn(carry(client, target.clone(), there, back));
    }
}

async fn carry(client: TcpStream, target: String, mut there: WayWatch, mut back: WayWatch) {
    let mut broken = there.clone();
    let work = async {
        // A connection is made by packets in both directions.
        there.passable().await;
        back.passable().await;
        let Ok(server) = TcpStream::connect(&target).await else {
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let ((client_in, client_out), (server_in, server_out)) = (client.into_split(), server.into_split());
        tokio::join!(
            pass(client_in, server_out, there),
            pass(server_in, client_out, back)
        );
    };
    tokio::select! {
        () = work => {}
        () = broken.reset() => {}
    }
}

/// One direction. A piece leaves when its delay is over, the rate allows it, and the way is not cut.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: WayWatch) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let seen = way.clone();
    let read = async move {
        loop {
            let mut piece = vec![0; PIECE];
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    piece.truncate(n);
                    let due = Instant::now() + seen.now().delay;
                    if sender.send((due, piece)).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    let write = async move {
        let mut free = Instant::now();
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due.max(free)).await;
            way.passable().await;
            let nanos = (piece.len() as u64).saturating_mul(1_000_000_000);
            if let Some(nanos) = nanos.checked_div(way.now().bytes_per_second) {
                free = Instant::now() + Duration::from_nanos(nanos);
            }
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The end of the stream is under way, too, and does not pass a cut.
        way.passable().await;
        let _ = to.shutdown().await;
    };
    tokio::select! {
        // Whoever cannot be written to any more is not read from either.
        () = write => {}
        () = async { read.await; std::future::pending().await } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn proxied(links: &Arc<Links>) -> (TcpStream, TcpStream, JoinSet<()>) {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (target, address) = (server.local_addr().unwrap(), front.local_addr().unwrap());
        let mut proxy = JoinSet::new();
        proxy.spawn(serve(front, End::Node(1), target.to_string(), Arc::clone(links)));
        let client = TcpStream::connect(address).await.unwrap();
        let (server, _) = server.accept().await.unwrap();
        (client, server, proxy)
    }

    #[tokio::test]
    async fn bytes_arrive_late_slowly_and_in_order() {
        let links = Arc::new(Links::default());
        links.shape(End::Outside, End::Node(1), Duration::from_millis(80), 1_000_000);
        let (mut client, mut server, _proxy) = proxied(&links).await;
        let sent: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
        let start = Instant::now();
        let (copy, mut got) = (sent.clone(), vec![0; sent.len()]);
        let writer = tokio::spawn(async move {
            client.write_all(&copy).await.unwrap();
            client
        });
        server.read_exact(&mut got).await.unwrap();
        let took = start.elapsed();
        assert!(got == sent);
        assert!(took >= Duration::from_millis(330), "{took:?}");
        drop(writer);
    }

    #[tokio::test]
    async fn one_direction_is_cut_and_nothing_is_lost() {
        let links = Arc::new(Links::default());
        let (mut client, mut server, _proxy) = proxied(&links).await;
        links.cut(End::Outside, End::Node(1), true);
        client.write_all(b"question").await.unwrap();
        server.write_all(b"news").await.unwrap();
        let mut news = [0; 4];
        client.read_exact(&mut news).await.unwrap();
        let mut question = [0; 8];
        let waited = tokio::time::timeout(Duration::from_millis(200), server.read_exact(&mut question)).await;
        assert!(waited.is_err());
        links.heal();
        server.read_exact(&mut question).await.unwrap();
        assert_eq!(&question, b"question");
    }

    #[tokio::test]
    async fn a_reset_ends_both_sides() {
        let links = Arc::new(Links::default());
        let (mut client, mut server, _proxy) = proxied(&links).await;
        client.write_all(b"x").await.unwrap();
        let mut one = [0; 1];
        server.read_exact(&mut one).await.unwrap();
        links.reset(End::Node(1), End::Outside);
        // Either an end or an error.
        assert_eq!(client.read(&mut one).await.unwrap_or(0), 0);
        assert_eq!(server.read(&mut one).await.unwrap_or(0), 0);
    }
}
