//! Change logs over real connections, whole and broken.
#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use oms_actors::{LogStart, LogStream as _, Shelf, ShelfGuard, ShelvedLog};
use oms_changelog::{
    ChangeLog, ChangeLogError, LogConfig, LogId, LogOrigin, LogReader, LogRecord, LogSeq, LogStats,
    LogWriter, NewRecord, ReadFrom, RecordFlags, Retained, RetentionPolicy, SegmentLog,
    testing::{self, Subject, payload, position},
};
use oms_core::{Failure, Position, codes};
use oms_proto::peer::{
    Credit, HeartbeatRequest, HeartbeatResponse, JoinRequest, JoinResponse, ObserveRequest, ObserveResponse,
    OpenChangeLog, ReadChangeLogRequest, StandForElectionRequest, StandForElectionResponse,
    peer_service_client::PeerServiceClient, peer_service_server::PeerServiceServer,
    read_change_log_request::Body,
};
use oms_raft::TcpConnect;
use oms_types::ProjectId;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Request, Response, Status, Streaming,
    codec::CompressionEncoding,
    transport::{Channel, Server},
};

use super::{Peer, PeerChannels, PeerService, change_log, remote_log::RemoteStream};

const CLUSTER: &str = "the-cluster";

fn project() -> ProjectId {
    "p_1".parse().unwrap()
}

/// The answering side with a shelf alone.
struct LogsOnly(Arc<Shelf>);

#[tonic::async_trait]
impl PeerService for LogsOnly {
    async fn join(&self, _: Request<JoinRequest>) -> Result<Response<JoinResponse>, Status> {
        Err(Status::unimplemented("join"))
    }
    async fn heartbeat(&self, _: Request<HeartbeatRequest>) -> Result<Response<HeartbeatResponse>, Status> {
        Err(Status::unimplemented("heartbeat"))
    }
    async fn observe(&self, _: Request<ObserveRequest>) -> Result<Response<ObserveResponse>, Status> {
        Err(Status::unimplemented("observe"))
    }
    async fn stand_for_election(
        &self,
        _: Request<StandForElectionRequest>,
    ) -> Result<Response<StandForElectionResponse>, Status> {
        Err(Status::unimplemented("stand_for_election"))
    }
    type ReadChangeLogStream = <Peer as PeerService>::ReadChangeLogStream;
    async fn read_change_log(
        &self,
        request: Request<Streaming<ReadChangeLogRequest>>,
    ) -> Result<Response<Self::ReadChangeLogStream>, Status> {
        let stream = change_log::serve(self.0.clone(), CLUSTER, request.into_inner()).await?;
        Ok(Response::new(Box::pin(stream)))
    }
}

/// A node that serves logs, and the link to it.
struct Bed {
    shelf: Arc<Shelf>,
    link: Link,
    folder: tempfile::TempDir,
    up: Mutex<Option<ShelfGuard>>,
}

impl Bed {
    async fn new() -> Self {
        let shelf = Arc::new(Shelf::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service =
            PeerServiceServer::new(LogsOnly(shelf.clone())).send_compressed(CompressionEncoding::Zstd);
        let server = Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self {
            shelf,
            link: Link::new(address).await,
            folder: tempfile::tempdir().unwrap(),
            up: Mutex::default(),
        }
    }

    /// Puts a fresh log up in the place of any other.
    async fn log(&self, number: u8, start: u64) -> Arc<SegmentLog> {
        let config = LogConfig {
            segment_bytes: 1 << 20,
            reserve_bytes: 1 << 20,
            ..LogConfig::new(self.folder.path().join(number.to_string()))
        };
        let log_id = LogId([number; 16]);
        let origin = LogOrigin {
            log_id,
            start_position: position(start),
        };
        let log = Arc::new(SegmentLog::open(config, origin).await.unwrap().0);
        drop(self.up.lock().unwrap().take());
        let guard = self.shelf.put(project(), ShelvedLog::new(log.clone(), log_id));
        *self.up.lock().unwrap() = Some(guard);
        log
    }

    async fn open(&self, from: &LogStart) -> Result<RemoteStream, Failure> {
        RemoteStream::open(self.link.channel(), CLUSTER, &project(), from).await
    }

    async fn behind(&self, at: u64) -> Result<RemoteStream, Failure> {
        self.open(&start(at)).await
    }
}

fn start(at: u64) -> LogStart {
    LogStart {
        position: position(at),
        next: None,
    }
}

/// Passes bytes on, until it does not.
struct Link {
    address: SocketAddr,
    /// Connections are reset; new ones are let through.
    resets: Arc<AtomicU64>,
    /// Nothing is passed on, and nobody is told.
    stalled: Arc<AtomicBool>,
    /// Bytes a second towards the reader; 0: any number.
    rate: Arc<AtomicU64>,
    /// Bytes that went towards the reader.
    passed: Arc<AtomicU64>,
}

impl Link {
    async fn new(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Self {
            address: listener.local_addr().unwrap(),
            resets: Arc::default(),
            stalled: Arc::default(),
            rate: Arc::default(),
            passed: Arc::default(),
        };
        let (resets, stalled, rate, passed) = (
            link.resets.clone(),
            link.stalled.clone(),
            link.rate.clone(),
            link.passed.clone(),
        );
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(to).await.unwrap();
                let born = resets.load(Ordering::SeqCst);
                let (near_in, near_out) = near.into_split();
                let (far_in, far_out) = far.into_split();
                let (resets, stalled) = (resets.clone(), stalled.clone());
                let up = pass(near_in, far_out, stalled.clone(), Arc::default(), Arc::default());
                let down = pass(far_in, near_out, stalled, rate.clone(), passed.clone());
                tokio::spawn(async move {
                    let reset = async {
                        while resets.load(Ordering::SeqCst) == born {
                            sleep(Duration::from_millis(2)).await;
                        }
                    };
                    tokio::select! { () = up => {} () = down => {} () = reset => {} }
                });
            }
        });
        link
    }

    fn channel(&self) -> Channel {
        PeerChannels::new(Arc::new(TcpConnect::default()))
            .dedicated(&self.address.to_string())
            .unwrap()
    }

    fn reset(&self) {
        self.resets.fetch_add(1, Ordering::SeqCst);
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    stalled: Arc<AtomicBool>,
    rate: Arc<AtomicU64>,
    passed: Arc<AtomicU64>,
) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        while stalled.load(Ordering::SeqCst) {
            sleep(Duration::from_millis(5)).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
        passed.fetch_add(read as u64, Ordering::SeqCst);
        let rate = rate.load(Ordering::SeqCst);
        if let Some(pause) = (read as u64 * 1_000_000).checked_div(rate) {
            sleep(Duration::from_micros(pause)).await;
        }
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Bytes {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words
        .take(len.div_ceil(8))
        .flatten()
        .take(len)
        .collect::<Vec<u8>>()
        .into()
}

/// Transactions of `rows` records each, which end at these positions.
async fn write(writer: &mut dyn LogWriter, ends: std::ops::Range<u64>, rows: u64, len: usize) {
    for end in ends {
        let mut records = vec![NewRecord::first(1, payload(end, len))];
        records.extend((2..rows).map(|n| NewRecord::middle(1, payload(n, len))));
        records.push(NewRecord::last(1, position(end), payload(end, len)));
        writer.append(records).await.unwrap();
    }
    writer.commit().await.unwrap();
}

async fn read(stream: &mut RemoteStream, count: usize) -> Result<Vec<LogRecord>, Failure> {
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(stream.next_batch(1 << 20).await?);
    }
    Ok(records)
}

/// A log whose readers come over the wire; everything else is done where the log is.
struct OverTheWire {
    bed: Arc<Bed>,
    log: Arc<SegmentLog>,
}

struct WireReader {
    stream: RemoteStream,
    next: LogSeq,
}

#[async_trait]
impl LogReader for WireReader {
    async fn next_batch(&mut self, max_bytes: usize) -> oms_changelog::Result<Vec<LogRecord>> {
        let batch = self
            .stream
            .next_batch(max_bytes)
            .await
            .map_err(|_| ChangeLogError::Closed)?;
        self.next = batch.last().unwrap().seq.next();
        Ok(batch)
    }
    fn next_seq(&self) -> LogSeq {
        self.next
    }
}

#[async_trait]
impl ChangeLog for OverTheWire {
    async fn writer(&self) -> oms_changelog::Result<Box<dyn LogWriter>> {
        self.log.writer().await
    }
    async fn open_reader(&self, from: ReadFrom) -> oms_changelog::Result<Box<dyn LogReader>> {
        assert!(
            matches!(from, ReadFrom::Start),
            "the cases used here begin at the start"
        );
        let stream = self.bed.behind(0).await.unwrap();
        let next = LogSeq::FIRST;
        Ok(Box::new(WireReader { stream, next }))
    }
    fn resume_position(&self) -> oms_changelog::Result<Position> {
        self.log.resume_position()
    }
    fn durable_seq(&self) -> LogSeq {
        self.log.durable_seq()
    }
    async fn set_low_watermark(&self, consumer: &str, needs_from: LogSeq) -> oms_changelog::Result<()> {
        self.log.set_low_watermark(consumer, needs_from).await
    }
    async fn remove_consumer(&self, consumer: &str) -> oms_changelog::Result<bool> {
        self.log.remove_consumer(consumer).await
    }
    async fn retain(&self, now_us: i64, policy: RetentionPolicy) -> oms_changelog::Result<Retained> {
        self.log.retain(now_us, policy).await
    }
    fn stats(&self) -> LogStats {
        self.log.stats()
    }
    async fn close(&self) -> oms_changelog::Result<()> {
        self.log.close().await
    }
}

struct Wire;

#[async_trait]
impl Subject for Wire {
    async fn fresh(&self) -> Arc<dyn ChangeLog> {
        let bed = Arc::new(Bed::new().await);
        let log = bed.log(1, 0).await;
        Arc::new(OverTheWire { bed, log })
    }
}

/// The cases of the log's contract that are about reading.
#[tokio::test(flavor = "multi_thread")]
async fn reading_keeps_the_contract_of_the_log() {
    testing::order_and_content(&Wire).await;
    testing::uncommitted_is_invisible(&Wire).await;
    testing::commit_wakes_reader(&Wire).await;
    testing::open_transaction_is_voided(&Wire).await;
    testing::many_readers(&Wire).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_within_a_transaction_costs_nothing() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let mut writer = log.writer().await.unwrap();
    write(&mut *writer, 1..3, 40, 30_000).await;
    let mut current = Some(bed.behind(0).await.unwrap());
    let mut seen = Vec::new();
    let mut resets = 0;
    while seen.len() < 80 {
        let from = LogStart {
            position: position(0),
            next: seen.last().map(|r: &LogRecord| (LogId([1; 16]), r.seq.next())),
        };
        let mut stream = match current.take() {
            Some(stream) => stream,
            None => bed.open(&from).await.unwrap(),
        };
        match stream.next_batch(1).await {
            Ok(records) => {
                seen.extend(records);
                if seen.len() % 7 == 3 {
                    bed.link.reset();
                    resets += 1;
                }
                current = Some(stream);
            }
            Err(failure) => assert!(failure.is_transient(), "{failure}"),
        }
    }
    assert!(resets > 5);
    let numbers: Vec<_> = seen.iter().map(|r| r.seq.0).collect();
    assert_eq!(
        numbers,
        (1..=80).collect::<Vec<_>>(),
        "nothing twice, nothing left out"
    );
    let aborts = seen
        .iter()
        .filter(|r| r.flags.contains(RecordFlags::TXN_ABORT))
        .count();
    assert_eq!(aborts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_link_is_given_up() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let mut writer = log.writer().await.unwrap();
    write(&mut *writer, 1..2, 3, 100).await;
    let mut stream = bed.behind(0).await.unwrap();
    read(&mut stream, 3).await.unwrap();
    bed.link.stalled.store(true, Ordering::SeqCst);
    let failure = timeout(Duration::from_secs(15), stream.next_batch(1))
        .await
        .unwrap()
        .unwrap_err();
    assert!(failure.is_transient(), "{failure}");
    let unopened = timeout(Duration::from_secs(15), bed.behind(1)).await.unwrap();
    assert!(unopened.err().unwrap().is_transient());
    bed.link.stalled.store(false, Ordering::SeqCst);
    bed.link.reset();
    write(&mut *writer, 2..3, 3, 100).await;
    let mut stream = bed.behind(1).await.unwrap();
    assert_eq!(read(&mut stream, 3).await.unwrap()[0].seq, LogSeq(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_begun_anew_is_read_behind_the_position() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let mut writer = log.writer().await.unwrap();
    write(&mut *writer, 1..9, 4, 100).await;
    let mut stream = bed.behind(0).await.unwrap();
    let seen = read(&mut stream, 14).await.unwrap();
    drop(writer);
    log.close().await.unwrap();
    while stream.next_batch(1 << 20).await.is_ok() {}

    // It begins at 2, where the reader had three and a half transactions.
    let second = bed.log(2, 2).await;
    let mut writer = second.writer().await.unwrap();
    write(&mut *writer, 3..9, 4, 100).await;
    let border = seen[..14].iter().rev().find_map(|r| r.position.clone()).unwrap();
    let from = LogStart {
        position: border.decode().unwrap(),
        next: Some((LogId([1; 16]), LogSeq(15))),
    };
    assert_eq!(from.position, position(3));
    let mut stream = bed.open(&from).await.unwrap();
    assert_eq!(
        stream.log_id(),
        LogId([2; 16]),
        "the reader sees that its numbers mean nothing here"
    );
    let records = read(&mut stream, 20).await.unwrap();
    assert_eq!(
        (records[0].seq, records[0].flags),
        (LogSeq(5), RecordFlags::TXN_FIRST)
    );
    assert_eq!(records[0].payload, payload(4, 100));

    // One that began behind the reader's position cannot serve it.
    bed.log(3, 7).await;
    let purged = bed.open(&from).await.err().unwrap();
    assert_eq!(purged.code(), codes::store::POSITION_PURGED, "{purged}");

    // One that has not come there yet is waited for.
    let fourth = bed.log(4, 0).await;
    let mut writer = fourth.writer().await.unwrap();
    write(&mut *writer, 1..3, 4, 100).await;
    let (opened, ()) = tokio::join!(bed.open(&from), async {
        sleep(Duration::from_millis(300)).await;
        write(&mut *writer, 3..6, 4, 100).await;
    });
    let records = read(&mut opened.unwrap(), 8).await.unwrap();
    assert_eq!(records[0].payload, payload(4, 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_64_mib_passes() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let mut writer = log.writer().await.unwrap();
    let large = noise(64 << 20);
    let records = vec![
        NewRecord::first(1, payload(1, 10)),
        NewRecord::middle(2, large.clone()),
        NewRecord::last(3, position(1), Bytes::from(vec![7; (1 << 20) + 1])),
    ];
    writer.append(records).await.unwrap();
    writer.commit().await.unwrap();
    let mut stream = bed.behind(0).await.unwrap();
    let seen = read(&mut stream, 3).await.unwrap();
    assert!(seen[1].payload == large, "the payload is what it was");
    assert_eq!(seen[2].payload.len(), (1 << 20) + 1);
    let ends = seen[2].position.as_ref().map(|p| p.decode().unwrap());
    assert_eq!((ends, seen[1].position.clone()), (Some(position(1)), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_is_not_taken_for_a_stalled_one() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let mut writer = log.writer().await.unwrap();
    let large = noise(3 << 20);
    let record = NewRecord::single(1, position(1), large.clone());
    writer.append(vec![record]).await.unwrap();
    writer.commit().await.unwrap();
    bed.link.rate.store(420_000, Ordering::SeqCst);
    let began = tokio::time::Instant::now();
    let mut stream = bed.behind(0).await.unwrap();
    let seen = read(&mut stream, 1).await.unwrap();
    assert!(seen[0].payload == large);
    assert!(began.elapsed() > Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_repeats_travels_small() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let mut writer = log.writer().await.unwrap();
    write(&mut *writer, 1..101, 10, 4_000).await;
    let mut stream = bed.behind(0).await.unwrap();
    read(&mut stream, 1_000).await.unwrap();
    let passed = bed.link.passed.load(Ordering::SeqCst);
    assert!(passed < 400_000, "{passed} bytes for 4 MB");
}

/// The first messages of a reader that speaks for itself.
async fn by_hand(
    bed: &Bed,
    open: OpenChangeLog,
) -> Result<
    (
        tokio::sync::mpsc::Sender<ReadChangeLogRequest>,
        Streaming<oms_proto::peer::ReadChangeLogResponse>,
    ),
    Status,
> {
    let (sender, requests) = tokio::sync::mpsc::channel(4);
    let body = Some(Body::Open(open));
    sender.send(ReadChangeLogRequest { body }).await.unwrap();
    let mut client = PeerServiceClient::new(bed.link.channel());
    let response = client.read_change_log(ReceiverStream::new(requests)).await?;
    Ok((sender, response.into_inner()))
}

fn opening(credit_bytes: u64) -> OpenChangeLog {
    OpenChangeLog {
        cluster_id: CLUSTER.into(),
        project: "p_1".into(),
        position: position(0).encode(),
        credit_bytes,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_sent_than_there_is_credit() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let mut writer = log.writer().await.unwrap();
    write(&mut *writer, 1..101, 10, 5_000).await;
    let (requests, mut responses) = by_hand(&bed, opening(1_000_000)).await.unwrap();
    let mut received = 0;
    let mut signs = 0;
    while signs < 3 {
        let response = responses.message().await.unwrap().unwrap();
        signs += u32::from(response.records.is_empty());
        received += response.records.iter().map(change_log::cost).sum::<usize>();
    }
    // One message may overdraw it; then there are only signs of life.
    assert!((1_000_000..1_300_000).contains(&received), "{received}");
    let body = Some(Body::Credit(Credit { bytes: 2_000_000 }));
    requests.send(ReadChangeLogRequest { body }).await.unwrap();
    signs = 0;
    while signs < 2 {
        let response = responses.message().await.unwrap().unwrap();
        signs += u32::from(response.records.is_empty());
        received += response.records.iter().map(change_log::cost).sum::<usize>();
    }
    assert!((3_000_000..3_300_000).contains(&received), "{received}");
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_other_clusters_and_nonsense_are_refused() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let of = |change: fn(&mut OpenChangeLog)| {
        let mut open = opening(1);
        change(&mut open);
        open
    };
    for (open, words) in [
        (
            of(|o| o.cluster_id = "another".into()),
            "the reader is of cluster another",
        ),
        (of(|o| o.position = "7".into()), "not a position"),
        (of(|o| o.log_id = Bytes::from_static(b"short")), "16 bytes"),
    ] {
        let refused = by_hand(&bed, open).await.err().unwrap();
        assert!(refused.message().contains(words), "{refused}");
    }
    let nobody = of(|o| o.project = "p_2".into());
    let (_requests, mut responses) = by_hand(&bed, nobody).await.unwrap();
    let refused = responses.message().await.unwrap_err();
    assert_eq!(
        oms_proto::error_of(&refused).code,
        codes::api::UNAVAILABLE.as_str()
    );
    // A log that closes ends the stream without an error.
    let (_requests, mut responses) = by_hand(&bed, opening(1)).await.unwrap();
    assert!(responses.message().await.unwrap().is_some());
    log.close().await.unwrap();
    while let Some(response) = responses.message().await.unwrap() {
        assert!(response.records.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_no_longer_needs_may_go() {
    let bed = Bed::new().await;
    let log = bed.log(1, 0).await;
    let mut writer = log.writer().await.unwrap();
    write(&mut *writer, 1..1_001, 2, 5_000).await;
    log.set_low_watermark("incr-sync", LogSeq::FIRST).await.unwrap();
    let mut stream = bed.behind(0).await.unwrap();
    read(&mut stream, 2_000).await.unwrap();
    let all = RetentionPolicy {
        min_age_us: i64::MAX,
        max_bytes: 0,
    };
    assert_eq!(log.retain(0, all).await.unwrap().segments, 0);
    stream.consumer().needs_from(LogSeq(1_900)).await.unwrap();
    let removed = async {
        while log.retain(0, all).await.unwrap().segments == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), removed).await.unwrap();
    assert!(log.stats().first_seq <= LogSeq(1_900), "{:?}", log.stats());
}
