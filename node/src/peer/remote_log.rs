//! The change log of a Store that runs on another node.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use oms_actors::{LogConsumer, LogStart, LogStream};
use oms_changelog::{EncodedPosition, LogId, LogRecord, LogSeq, MAX_PAYLOAD, RecordFlags};
use oms_core::{ErrorCode, Failure, codes};
use oms_proto::{
    error_of,
    peer::{
        Applied, ChangeLogRecord, Credit, OpenChangeLog, ReadChangeLogRequest, ReadChangeLogResponse,
        peer_service_client::PeerServiceClient, read_change_log_request::Body,
    },
};
use oms_types::ProjectId;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, codec::CompressionEncoding, transport::Channel};

use super::change_log::cost;

/// Bytes that may be on their way. With 80 ms between two regions this allows about 200 MB a second.
const CREDIT: u64 = 16 << 20;
/// Credit is given back in parts of this size.
const CREDIT_PART: u64 = CREDIT / 8;
/// The Store's node says something every second: one that is silent for so long is cut off.
const SILENCE: Duration = Duration::from_secs(5);
/// Messages to the Store's node that may wait.
const QUEUED: usize = 16;
/// A message holds 256 KiB of payload, and the position of one large record.
const MOST_MESSAGE: usize = 24 << 20;

/// One connection to a log on another node.
pub(crate) struct RemoteStream {
    log_id: LogId,
    responses: Streaming<ReadChangeLogResponse>,
    requests: Arc<Requests>,
    /// The number that must come next; the first one is the log's choice.
    next: Option<LogSeq>,
    /// The beginning of a record that did not fit into a message.
    partial: Option<(ChangeLogRecord, BytesMut)>,
    ready: VecDeque<LogRecord>,
}

impl RemoteStream {
    /// Opens the log of a project over a channel. Returns when the place to begin at is found, which may
    /// take as long as capture takes to come there.
    ///
    /// # Errors
    /// `OMS-STORE-0004` and `-0005` as the log says; `OMS-API-0009` for everything that is in the way
    /// of the connection.
    pub(crate) async fn open(
        channel: Channel,
        cluster_id: &str,
        project: &ProjectId,
        from: &LogStart,
    ) -> Result<Self, Failure> {
        let (sender, outgoing) = mpsc::channel(QUEUED);
        let requests = Arc::new(Requests {
            sender,
            waiting: Mutex::default(),
        });
        requests.send(Body::Open(OpenChangeLog {
            cluster_id: cluster_id.to_owned(),
            project: project.to_string(),
            position: from.position.encode(),
            seq: from.next.map_or(0, |(_, seq)| seq.0),
            log_id: from
                .next
                .map_or_else(Bytes::new, |(id, _)| Bytes::copy_from_slice(&id.0)),
            credit_bytes: CREDIT,
        }));
        let mut client = PeerServiceClient::new(channel)
            .accept_compressed(CompressionEncoding::Zstd)
            .max_decoding_message_size(MOST_MESSAGE);
        let opening = client.read_change_log(ReceiverStream::new(outgoing));
        let responses = timeout(SILENCE, opening)
            .await
            .map_err(|_| silent())?
            .map_err(|status| failure_of(&status))?;
        let mut stream = Self {
            log_id: LogId([0; 16]),
            responses: responses.into_inner(),
            requests,
            next: None,
            partial: None,
            ready: VecDeque::new(),
        };
        loop {
            let response = stream.message().await?;
            if let Ok(id) = <[u8; 16]>::try_from(response.log_id.as_ref()) {
                stream.log_id = LogId(id);
                stream.next = from
                    .next
                    .filter(|(known, _)| *known == stream.log_id)
                    .map(|n| n.1);
                stream.take(response)?;
                return Ok(stream);
            }
            if !response.records.is_empty() {
                return Err(malformed("records of a log without identity"));
            }
        }
    }

    async fn message(&mut self) -> Result<ReadChangeLogResponse, Failure> {
        match timeout(SILENCE, self.responses.message()).await {
            Ok(Ok(Some(response))) => Ok(response),
            Ok(Ok(None)) => Err(Failure::new(codes::api::UNAVAILABLE, "the Store closed its log")),
            Ok(Err(status)) => Err(failure_of(&status)),
            Err(_) => Err(silent()),
        }
    }

    /// Makes records of a message and gives its cost back as credit: it has left the network.
    fn take(&mut self, response: ReadChangeLogResponse) -> Result<(), Failure> {
        let mut paid = 0;
        for record in response.records {
            paid += cost(&record) as u64;
            if let Some(whole) = self.assemble(record)? {
                self.ready.push_back(self.checked(whole)?);
                self.next = self.ready.back().map(|r| r.seq.next());
            }
        }
        self.requests.grant(paid);
        Ok(())
    }

    /// Joins the parts of a large record.
    fn assemble(&mut self, mut part: ChangeLogRecord) -> Result<Option<ChangeLogRecord>, Failure> {
        let Some((head, mut payload)) = self.partial.take() else {
            if !part.continues {
                return Ok(Some(part));
            }
            let payload = BytesMut::from(part.payload.as_ref());
            part.payload = Bytes::new();
            self.partial = Some((part, payload));
            return Ok(None);
        };
        let same = (head.seq, head.flags, head.source_time_us) == (part.seq, part.flags, part.source_time_us);
        if !same || payload.len().saturating_add(part.payload.len()) > MAX_PAYLOAD {
            return Err(malformed("the parts of a record do not fit together"));
        }
        payload.extend_from_slice(&part.payload);
        if part.continues {
            self.partial = Some((head, payload));
            return Ok(None);
        }
        part.payload = payload.freeze();
        Ok(Some(part))
    }

    fn checked(&self, record: ChangeLogRecord) -> Result<LogRecord, Failure> {
        let seq = LogSeq(record.seq);
        if self.next.is_some_and(|next| next != seq) {
            return Err(malformed("a record is missing"));
        }
        let flags = u16::try_from(record.flags)
            .ok()
            .and_then(RecordFlags::from_bits)
            .ok_or_else(|| malformed("a record has marks that this version does not know"))?;
        let position = (!record.position.is_empty()).then(|| EncodedPosition::from_bytes(record.position));
        Ok(LogRecord {
            seq,
            flags,
            source_time_us: record.source_time_us,
            position,
            payload: record.payload,
        })
    }
}

#[async_trait]
impl LogStream for RemoteStream {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Vec<LogRecord>, Failure> {
        while self.ready.is_empty() {
            let response = self.message().await?;
            self.take(response)?;
        }
        let (mut batch, mut bytes) = (Vec::new(), 0usize);
        while let Some(record) = self.ready.front() {
            bytes = bytes.saturating_add(record.size());
            if !batch.is_empty() && bytes > max_bytes {
                break;
            }
            batch.extend(self.ready.pop_front());
        }
        Ok(batch)
    }

    fn consumer(&self) -> Arc<dyn LogConsumer> {
        self.requests.clone()
    }
}

/// What is said to the Store's node. Never waits: what finds no room is said with the next message.
struct Requests {
    sender: mpsc::Sender<ReadChangeLogRequest>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    credit: u64,
    applied: Option<u64>,
}

impl Requests {
    fn send(&self, body: Body) -> bool {
        let request = ReadChangeLogRequest { body: Some(body) };
        self.sender.try_send(request).is_ok()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grant(&self, bytes: u64) {
        let mut waiting = self.waiting();
        waiting.credit += bytes;
        self.flush(&mut waiting);
    }

    fn flush(&self, waiting: &mut Waiting) {
        if waiting.credit >= CREDIT_PART
            && self.send(Body::Credit(Credit {
                bytes: waiting.credit,
            }))
        {
            waiting.credit = 0;
        }
        if let Some(needs_from) = waiting.applied
            && self.send(Body::Applied(Applied { needs_from }))
        {
            waiting.applied = None;
        }
    }
}

#[async_trait]
impl LogConsumer for Requests {
    async fn needs_from(&self, seq: LogSeq) -> Result<(), Failure> {
        let mut waiting = self.waiting();
        waiting.applied = Some(seq.0);
        self.flush(&mut waiting);
        Ok(())
    }
}

fn silent() -> Failure {
    Failure::new(
        codes::api::UNAVAILABLE,
        format!("nothing came for {} s", SILENCE.as_secs()),
    )
}

fn malformed(what: &str) -> Failure {
    Failure::new(
        codes::store::INTERNAL,
        format!("the stream of the change log is malformed: {what}"),
    )
}

/// What the other node said of its log; everything else is a connection that may come back.
fn failure_of(status: &Status) -> Failure {
    let said = error_of(status);
    let of_the_log = ErrorCode::find(&said.code)
        .filter(|_| status.metadata().contains_key("oms-code"))
        .filter(|code| code.as_str().starts_with("OMS-STORE-"));
    match of_the_log {
        Some(code) => Failure::new(code, said.message),
        None => Failure::new(
            codes::api::UNAVAILABLE,
            format!("{:?}: {}", status.code(), said.message),
        ),
    }
}
