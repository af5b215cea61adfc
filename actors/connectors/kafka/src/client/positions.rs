//! The topic that holds a component's claim and its lanes' states.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use oms_core::{ApplyCheckpoint, ClaimNumber, ComponentId, Epoch, Failure, LaneState, codes};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use serde::{Deserialize, Serialize};

use super::{connect, failure::failure};
use crate::KafkaSettings;

/// How long reading the positions may take.
const READ_BOUND: Duration = Duration::from_secs(60);
/// The key of the claim; the others are numbers of lanes.
pub(crate) const CLAIM_KEY: &str = "claim";
/// What keys of notes begin with.
const NOTE: &str = "note/";

/// The key of a note.
pub(crate) fn note_key(name: &str) -> String {
    format!("{NOTE}{name}")
}

/// The topic of a component.
pub(crate) fn topic_of(component: &ComponentId) -> String {
    format!("__omsnode.{component}")
}

/// The transactional id of a lane.
pub(crate) fn transactional_id(component: &ComponentId, lane: u32) -> String {
    format!("omsnode.{component}.{lane}")
}

/// Who may write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClaimRecord {
    pub(crate) epoch: Epoch,
    pub(crate) number: ClaimNumber,
    /// How many lanes any claim has had.
    pub(crate) lanes: u32,
}

/// What the topic says.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    pub(crate) claim: ClaimRecord,
    lanes: BTreeMap<String, LaneState>,
    pub(crate) notes: BTreeMap<String, Bytes>,
}

impl Positions {
    pub(crate) fn checkpoint(&self) -> Option<ApplyCheckpoint> {
        ApplyCheckpoint::from_lanes(self.lanes.values().cloned())
    }
}

/// Reads the topic to its end, as far as transactions are decided. Blocks.
pub(crate) fn read(settings: &KafkaSettings, topic: &str) -> Result<Positions, Failure> {
    let doing = format!("reading positions from topic `{topic}`");
    let failed = |error| failure(&doing, error);
    let reader: BaseConsumer = connect::reader(settings).create().map_err(failed)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)
        .map_err(failed)?;
    reader.assign(&list).map_err(failed)?;
    let end = Instant::now() + READ_BOUND;
    let mut positions = Positions::default();
    loop {
        if Instant::now() > end {
            return Err(Failure::new(
                codes::dst::TRANSIENT,
                format!("{doing}: no end within {READ_BOUND:?}"),
            ));
        }
        let message = match reader.poll(Duration::from_millis(200)) {
            None => continue,
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(positions),
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(message)) => message,
        };
        let broken = |what: &str| Failure::new(codes::apply::INTERNAL, format!("{doing}: {what}"));
        let key = message.key().and_then(|k| std::str::from_utf8(k).ok());
        let key = key.ok_or_else(|| broken("a record without a key"))?;
        if let Some(name) = key.strip_prefix(NOTE) {
            match message.payload() {
                Some(note) => positions
                    .notes
                    .insert(name.to_owned(), Bytes::copy_from_slice(note)),
                None => positions.notes.remove(name),
            };
            continue;
        }
        let value = message
            .payload()
            .ok_or_else(|| broken("a record without content"))?;
        if key == CLAIM_KEY {
            positions.claim =
                serde_json::from_slice(value).map_err(|_| broken("a claim that cannot be read"))?;
        } else {
            let state = serde_json::from_slice(value).map_err(|_| broken("a state that cannot be read"))?;
            positions.lanes.insert(key.to_owned(), state);
        }
    }
}
