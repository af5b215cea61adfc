//! What brokers can do by themselves, for measurements.

use std::time::{Duration, Instant};

use bytes::Bytes;
use oms_core::{Failure, codes};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{connect, failure::failure};
use crate::KafkaSettings;

/// How long reading or writing may stand still.
const BOUND: Duration = Duration::from_secs(60);

/// A message without an owner: what was read, and can be written again.
#[derive(Clone, Debug)]
pub struct ReadyMessage {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The key; empty: none.
    pub key: Bytes,
    /// The content; empty: none.
    pub value: Bytes,
    /// Names and contents of the headers.
    pub headers: Vec<(String, Bytes)>,
}

/// Reads and writes messages without claims, transactions and positions: what the brokers and librdkafka do by
/// themselves. For measurements and audits only; all calls block.
#[derive(Clone, Debug)]
pub struct BareKafka {
    settings: KafkaSettings,
}

impl BareKafka {
    /// The cluster of these settings. Connects when it is first used.
    pub fn new(settings: KafkaSettings) -> Self {
        Self { settings }
    }

    /// How many offsets the partitions of these topics have given out together, those of transactions' ends included.
    ///
    /// # Errors
    /// Those of asking.
    pub fn offsets(&self, topics: &[&str]) -> Result<u64, Failure> {
        let reader = self.reader()?;
        let mut sum = 0;
        for topic in topics {
            for partition in partitions(&reader, topic)? {
                let (low, high) = reader
                    .fetch_watermarks(topic, partition, BOUND)
                    .map_err(|e| failure("asking for the end of a partition", e))?;
                sum += u64::try_from(high - low).unwrap_or_default();
            }
        }
        Ok(sum)
    }

    /// Reads the committed messages of these topics from their beginnings to their present ends, partition by partition
    /// in order, and hands each to `see`.
    ///
    /// # Errors
    /// Those of reading; `OMS-DST-0007` when nothing comes for a minute.
    pub fn read(&self, topics: &[&str], mut see: impl FnMut(ReadyMessage)) -> Result<(), Failure> {
        let reader = self.reader()?;
        let failed = |e| failure("reading messages", e);
        for topic in topics {
            for partition in partitions(&reader, topic)? {
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(topic, partition, Offset::Beginning)
                    .map_err(failed)?;
                reader.assign(&list).map_err(failed)?;
                let mut moved = Instant::now();
                loop {
                    match reader.poll(Duration::from_millis(200)) {
                        None if moved.elapsed() > BOUND => {
                            return Err(Failure::new(codes::dst::TRANSIENT, "no end of a partition"));
                        }
                        None => {}
                        Some(Err(KafkaError::PartitionEOF(_))) => break,
                        Some(Err(error)) => return Err(failed(error)),
                        Some(Ok(message)) => {
                            moved = Instant::now();
                            see(ready(&message));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes the messages in order with `acks=all`, librdkafka's own settings otherwise, and returns when all are
    /// acknowledged.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&self, messages: &[ReadyMessage]) -> Result<(), Failure> {
        let mut config = connect::base(&self.settings);
        config.set("acks", "all");
        config.set("message.max.bytes", "60000000");
        let failed = |e| failure("writing messages", e);
        let producer: BaseProducer = config.create().map_err(failed)?;
        for message in messages {
            let mut record = BaseRecord::<[u8], [u8]>::to(&message.topic).partition(message.partition);
            if !message.key.is_empty() {
                record = record.key(&message.key);
            }
            if !message.value.is_empty() {
                record = record.payload(&message.value);
            }
            loop {
                match producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                        record = again;
                        producer.poll(Duration::from_millis(10));
                    }
                    Err((error, _)) => return Err(failed(error)),
                }
            }
        }
        producer.flush(BOUND).map_err(failed)
    }

    fn reader(&self) -> Result<BaseConsumer, Failure> {
        connect::reader(&self.settings)
            .create()
            .map_err(|e| failure("opening a reader", e))
    }
}

fn partitions(reader: &BaseConsumer, topic: &str) -> Result<Vec<i32>, Failure> {
    let found = reader
        .fetch_metadata(Some(topic), BOUND)
        .map_err(|e| failure("looking for a topic", e))?;
    let topic = found.topics().first();
    Ok(topic.map_or_else(Vec::new, |t| t.partitions().iter().map(|p| p.id()).collect()))
}

fn ready(message: &rdkafka::message::BorrowedMessage<'_>) -> ReadyMessage {
    use rdkafka::message::Headers;
    let bytes = |content: Option<&[u8]>| content.map_or_else(Bytes::new, Bytes::copy_from_slice);
    let headers = message.headers().map_or_else(Vec::new, |all| {
        all.iter().map(|h| (h.key.to_owned(), bytes(h.value))).collect()
    });
    ReadyMessage {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        key: bytes(message.key()),
        value: bytes(message.payload()),
        headers,
    }
}
