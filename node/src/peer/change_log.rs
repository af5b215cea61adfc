//! The change log of a Store that runs here, for readers elsewhere.
//!
//! One stream reads one log. Records go out only as far as the reader's credit reaches, in messages of
//! bounded size, so that neither a large record nor a slow link keeps the signs of life from coming
//! through. The reader's place holds back retention while the stream lives.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use oms_actors::{LogStart, Shelf, ShelvedLog};
use oms_changelog::{ChangeLogError, LogId, LogReader, LogRecord, LogSeq};
use oms_core::{Failure, Position, codes};
use oms_proto::{
    peer::{
        ChangeLogRecord, OpenChangeLog, ReadChangeLogRequest, ReadChangeLogResponse,
        read_change_log_request::Body,
    },
    status_of,
};
use oms_types::ProjectId;
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Peer, PeerService};
use crate::api::{Backend, status};

/// Payload bytes of one message.
const MESSAGE: usize = 256 << 10;
/// Messages that wait for the connection.
const QUEUED: usize = 2;
/// How often a reader hears from us at least.
const ALIVE: Duration = Duration::from_secs(1);
/// How long a reader may take to say what it wants, and the Store to put its log up.
const OPENING: Duration = Duration::from_secs(3);
/// How often it is looked whether the log has come to the reader's position.
const COMING: Duration = Duration::from_millis(100);
/// The most credit that is kept: more is not needed and could only come from a broken reader.
const MOST_CREDIT: i64 = 1 << 40;
/// What a record costs besides its payload and position.
pub(super) const RECORD_COST: usize = 40;

pub(crate) async fn read(
    backend: &Backend,
    request: Request<Streaming<ReadChangeLogRequest>>,
) -> Result<Response<<Peer as PeerService>::ReadChangeLogStream>, Status> {
    let stream = serve(backend.shelf.clone(), &backend.cluster_id, request.into_inner()).await?;
    Ok(Response::new(Box::pin(stream)))
}

/// Answers one reader. Ends when the log closes, the reader goes, or with what cannot be answered.
///
/// # Errors
/// `OMS-CLUSTER-0004` for a reader of another cluster, `OMS-API-0001` for one that does not say what it
/// wants; on the stream those of [`ShelvedLog::open_reader`], and `OMS-API-0009` while no Store of the
/// project is up here.
pub(super) async fn serve<S>(
    shelf: Arc<Shelf>,
    cluster_id: &str,
    mut requests: S,
) -> Result<impl Stream<Item = Result<ReadChangeLogResponse, Status>> + Send + use<S>, Status>
where
    S: Stream<Item = Result<ReadChangeLogRequest, Status>> + Unpin + Send + 'static,
{
    let invalid = |words: String| status(Failure::new(codes::api::INVALID_ARGUMENT, words));
    let first = timeout(OPENING, requests.next()).await;
    let Ok(Some(Ok(ReadChangeLogRequest {
        body: Some(Body::Open(open)),
    }))) = first
    else {
        return Err(invalid("the first message does not open a change log".to_owned()));
    };
    if open.cluster_id != cluster_id {
        return Err(status(Failure::new(
            codes::cluster::WRONG_CLUSTER,
            format!(
                "the reader is of cluster {}, this node of {cluster_id}",
                open.cluster_id
            ),
        )));
    }
    let project: ProjectId = open
        .project
        .parse()
        .map_err(|e| invalid(format!("{:?} is not a project: {e}", open.project)))?;
    let from = start(&open).map_err(invalid)?;
    let (out, stream) = mpsc::channel(QUEUED);
    let mut alive = interval(ALIVE);
    alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let sending = Sending {
        requests,
        out: out.clone(),
        credit: credit(open.credit_bytes),
        alive,
        shelved: None,
    };
    tokio::spawn(async move {
        if let Err(Ended::Refused(status)) = sending.run(&shelf, &project, &from).await {
            // Nobody may be listening any more.
            let _ = out.send(Err(status)).await;
        }
    });
    Ok(ReceiverStream::new(stream))
}

fn start(open: &OpenChangeLog) -> Result<LogStart, String> {
    let position = Position::decode(&open.position)?;
    let next = match <[u8; 16]>::try_from(open.log_id.as_ref()) {
        Ok(id) => Some((LogId(id), LogSeq(open.seq))),
        Err(_) if open.log_id.is_empty() => None,
        Err(_) => return Err("the identity of a log has 16 bytes".to_owned()),
    };
    Ok(LogStart { position, next })
}

fn credit(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(MOST_CREDIT).min(MOST_CREDIT)
}

/// Why a stream ends before its log does.
enum Ended {
    /// The reader went away.
    Gone,
    Refused(Status),
}

impl From<ChangeLogError> for Ended {
    fn from(error: ChangeLogError) -> Self {
        Self::Refused(status_of(error.code(), error.to_string()))
    }
}

struct Sending<S> {
    requests: S,
    out: mpsc::Sender<Result<ReadChangeLogResponse, Status>>,
    credit: i64,
    alive: Interval,
    shelved: Option<ShelvedLog>,
}

impl<S> Sending<S>
where
    S: Stream<Item = Result<ReadChangeLogRequest, Status>> + Unpin + Send,
{
    async fn run(mut self, shelf: &Shelf, project: &ProjectId, from: &LogStart) -> Result<(), Ended> {
        let shelved = timeout(OPENING, shelf.wait_for(project)).await.map_err(|_| {
            let words = format!("no Store of project {project} is up on this node");
            Ended::Refused(status(Failure::new(codes::api::UNAVAILABLE, words)))
        })?;
        let mut reader = self.open(&shelved, from).await?;
        self.shelved = Some(shelved.clone());
        self.send(ReadChangeLogResponse {
            log_id: Bytes::copy_from_slice(&shelved.log_id.0),
            ..Default::default()
        })
        .await?;
        loop {
            let room = usize::try_from(self.credit).unwrap_or(0).min(MESSAGE);
            tokio::select! {
                biased;
                () = self.out.closed() => return Err(Ended::Gone),
                request = self.requests.next() => self.take(request).await?,
                batch = reader.next_batch(room), if room > 0 => match batch {
                    Ok(records) => self.records(records).await?,
                    Err(ChangeLogError::Closed) => return Ok(()),
                    Err(error) => return Err(error.into()),
                },
                _ = self.alive.tick() => self.send(ReadChangeLogResponse::default()).await?,
            }
        }
    }

    /// Opens the log, waiting until capture has come to the position.
    async fn open(&mut self, shelved: &ShelvedLog, from: &LogStart) -> Result<Box<dyn LogReader>, Ended> {
        loop {
            match shelved.open_reader(from).await {
                Ok(reader) => return Ok(reader),
                Err(ChangeLogError::Closed) => {
                    let words = "the Store is being stopped";
                    return Err(Ended::Refused(status(Failure::new(
                        codes::api::UNAVAILABLE,
                        words,
                    ))));
                }
                Err(ChangeLogError::PositionAhead { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = self.out.closed() => return Err(Ended::Gone),
                request = self.requests.next() => self.take(request).await?,
                _ = self.alive.tick() => self.send(ReadChangeLogResponse::default()).await?,
                () = sleep(COMING) => {}
            }
        }
    }

    async fn take(&mut self, request: Option<Result<ReadChangeLogRequest, Status>>) -> Result<(), Ended> {
        match request {
            Some(Ok(ReadChangeLogRequest { body: Some(body) })) => match body {
                Body::Credit(more) => {
                    self.credit = self.credit.saturating_add(credit(more.bytes)).min(MOST_CREDIT);
                }
                Body::Applied(applied) => {
                    if let Some(shelved) = &self.shelved
                        && let Err(failure) = shelved.needs_from(LogSeq(applied.needs_from)).await
                    {
                        // Too much is kept then, never too little.
                        tracing::warn!("the mark of a reader is not kept: {failure}");
                    }
                }
                Body::Open(_) => {
                    let words = "the stream is open already";
                    return Err(Ended::Refused(status(Failure::new(
                        codes::api::INVALID_ARGUMENT,
                        words,
                    ))));
                }
            },
            Some(Ok(ReadChangeLogRequest { body: None })) => {
                let words = "a message of an unknown kind";
                return Err(Ended::Refused(status(Failure::new(
                    codes::api::INVALID_ARGUMENT,
                    words,
                ))));
            }
            Some(Err(_)) | None => return Err(Ended::Gone),
        }
        Ok(())
    }

    /// Sends records in messages of bounded size.
    async fn records(&mut self, records: Vec<LogRecord>) -> Result<(), Ended> {
        let mut message = Vec::new();
        let mut size = 0;
        for record in records {
            for part in parts(record) {
                let cost = cost(&part);
                if size > 0 && size + cost > MESSAGE + RECORD_COST {
                    self.send_paid(std::mem::take(&mut message), size).await?;
                    size = 0;
                }
                size += cost;
                message.push(part);
            }
        }
        self.send_paid(message, size).await
    }

    /// Sends a message when there is credit left; it may be overdrawn by one message.
    async fn send_paid(&mut self, records: Vec<ChangeLogRecord>, cost: usize) -> Result<(), Ended> {
        while self.credit <= 0 {
            tokio::select! {
                () = self.out.closed() => return Err(Ended::Gone),
                request = self.requests.next() => self.take(request).await?,
                _ = self.alive.tick() => self.send(ReadChangeLogResponse::default()).await?,
            }
        }
        self.credit = self.credit.saturating_sub_unsigned(cost as u64);
        self.send(ReadChangeLogResponse {
            records,
            ..Default::default()
        })
        .await
    }

    async fn send(&mut self, response: ReadChangeLogResponse) -> Result<(), Ended> {
        self.out.send(Ok(response)).await.map_err(|_| Ended::Gone)?;
        self.alive.reset();
        Ok(())
    }
}

/// What a record takes of the reader's credit.
pub(super) fn cost(record: &ChangeLogRecord) -> usize {
    record.payload.len() + record.position.len() + RECORD_COST
}

/// A record as one or more parts that fit into messages. The payload is shared, not copied.
fn parts(record: LogRecord) -> impl Iterator<Item = ChangeLogRecord> {
    let LogRecord {
        seq,
        flags,
        source_time_us,
        position,
        payload,
    } = record;
    let count = payload.len().div_ceil(MESSAGE).max(1);
    (0..count).map(move |n| {
        let last = n + 1 == count;
        let end = if last { payload.len() } else { (n + 1) * MESSAGE };
        let position = position.as_ref().filter(|_| last);
        ChangeLogRecord {
            seq: seq.0,
            flags: u32::from(flags.bits()),
            source_time_us,
            position: position.map(|p| p.as_bytes().clone()).unwrap_or_default(),
            payload: payload.slice(n * MESSAGE..end),
            continues: !last,
        }
    })
}
