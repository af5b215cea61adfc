//! The transactions of one lane.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oms_core::{Failure, LaneId, LaneState, Message, MessageProducer, codes};
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig, ClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    message::{DeliveryResult, Header, Message as _, OwnedHeaders},
    producer::{BaseRecord, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer},
};

use super::{
    claim::Shared,
    failure::{failure, is_fence, refused},
    positions::note_key,
};

/// How long one call to the brokers may take.
pub(crate) const CALL_BOUND: Duration = Duration::from_secs(30);

/// Keeps the first error of a message, which says more than the transaction's.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    first: Mutex<Option<(RDKafkaErrorCode, String)>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if let Err((error, message)) = result
            && let Some(code) = error.rdkafka_error_code()
        {
            // Those that follow are only swept away by it.
            let mut first = self.first.lock();
            first.get_or_insert_with(|| (code, message.topic().to_owned()));
        }
    }
}

/// A producer of one transactional id.
pub(crate) type Lane = ThreadedProducer<Deliveries>;

/// Makes a producer. Nothing is fenced before [`initialize`].
pub(crate) fn open(config: &ClientConfig) -> Result<Lane, Failure> {
    config
        .create_with_context(Deliveries::default())
        .map_err(|e| failure("opening a producer", e))
}

/// Ends what earlier producers of the id have under way and fences them. Blocks.
pub(crate) fn initialize(lane: &Lane) -> Result<(), Failure> {
    lane.init_transactions(CALL_BOUND)
        .map_err(|e| failure("beginning to write transactions", e))
}

/// Hands a message to librdkafka; waits while its queue is full. Blocks.
pub(crate) fn send(
    lane: &Lane,
    topic: &str,
    partition: u32,
    key: &[u8],
    value: Option<&[u8]>,
    headers: &[(&'static str, bytes::Bytes)],
) -> Result<(), KafkaError> {
    let end = std::time::Instant::now() + CALL_BOUND;
    let partition = i32::try_from(partition)
        .map_err(|_| KafkaError::MessageProduction(RDKafkaErrorCode::UnknownPartition))?;
    let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).key(key);
    if let Some(value) = value {
        record = record.payload(value);
    }
    if !headers.is_empty() {
        let mut all = OwnedHeaders::new_with_capacity(headers.len());
        for (name, content) in headers {
            all = all.insert(Header {
                key: name,
                value: Some(content.as_ref()),
            });
        }
        record = record.headers(all);
    }
    loop {
        match lane.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again))
                if std::time::Instant::now() < end =>
            {
                record = again;
                std::thread::sleep(Duration::from_millis(1));
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// The writer of a lane, until its claim is no longer the latest.
pub(crate) struct LaneProducer {
    shared: Arc<Shared>,
    lane: Option<Arc<Lane>>,
    id: LaneId,
}

impl LaneProducer {
    pub(crate) fn new(shared: Arc<Shared>, lane: Arc<Lane>, id: LaneId) -> Self {
        Self {
            shared,
            lane: Some(lane),
            id,
        }
    }

    /// Runs a call that blocks. After an error the lane is void.
    async fn call<T: Send + 'static>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Lane, &Shared) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, Failure> {
        let lane = self.lane.clone().ok_or_else(|| {
            Failure::new(
                codes::apply::INTERNAL,
                format!("lane {} was used after an error", self.id.0),
            )
        })?;
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || match work(&lane, &shared) {
            Ok(value) => Ok(value),
            Err(error) if is_fence(&error) => Err(shared.why_fenced()),
            Err(error) => match lane.context().first.lock().take() {
                Some((code, topic)) => Err(refused(&format!("{doing}, to topic `{topic}`"), code)),
                None => Err(failure(doing, error)),
            },
        })
        .await
        .map_err(|e| Failure::new(codes::apply::INTERNAL, doing).with_source(e))
        .flatten();
        if done.is_err() {
            self.lane = None;
        }
        done
    }

    async fn end(&mut self) -> Result<(), Failure> {
        self.call("committing a transaction", |lane, _| {
            lane.commit_transaction(CALL_BOUND)
        })
        .await
        .map_err(|failure| {
            // What was not answered in time may have happened.
            if failure.code() == codes::dst::TRANSIENT || failure.code() == codes::dst::UNREACHABLE {
                Failure::new(codes::apply::COMMIT_UNKNOWN, failure.detail().to_owned()).with_source(failure)
            } else {
                failure
            }
        })
    }
}

#[async_trait]
impl MessageProducer for LaneProducer {
    async fn begin(&mut self) -> Result<(), Failure> {
        self.call("beginning a transaction", |lane, _| lane.begin_transaction())
            .await
    }

    async fn write(&mut self, messages: &[Message]) -> Result<(), Failure> {
        let messages = messages.to_vec();
        self.call("writing messages", move |lane, _| {
            messages.iter().try_for_each(|m| {
                send(
                    lane,
                    &m.topic,
                    m.partition,
                    &m.key,
                    m.value.as_deref(),
                    &m.headers,
                )
            })
        })
        .await
    }

    async fn commit(&mut self, state: &LaneState) -> Result<(), Failure> {
        let state = serde_json::to_vec(state)
            .map_err(|e| Failure::new(codes::apply::INTERNAL, "writing a lane's state").with_source(e))?;
        let key = self.id.0.to_string();
        self.call("writing a lane's state", move |lane, shared| {
            send(lane, &shared.topic, 0, key.as_bytes(), Some(&state), &[])
        })
        .await?;
        self.end().await
    }

    async fn commit_notes(&mut self, notes: &[(String, Option<Bytes>)]) -> Result<(), Failure> {
        let notes = notes.to_vec();
        self.call("writing notes", move |lane, shared| {
            notes.iter().try_for_each(|(name, note)| {
                let key = note_key(name);
                send(lane, &shared.topic, 0, key.as_bytes(), note.as_deref(), &[])
            })
        })
        .await?;
        self.end().await
    }

    async fn rollback(&mut self) -> Result<(), Failure> {
        self.call("giving a transaction up", |lane, _| {
            lane.abort_transaction(CALL_BOUND)
        })
        .await
    }
}
