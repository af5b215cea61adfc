//! Claims.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use oms_core::{
    ApplyCheckpoint, ClaimNumber, ClaimToken, Failure, LaneId, MessageClaim, MessageProducer, codes,
};
use rdkafka::producer::Producer;

use super::{
    connect,
    failure::{failure, is_fence},
    positions::{self, CLAIM_KEY, ClaimRecord},
    producer::{CALL_BOUND, Lane, LaneProducer, initialize, open, send},
};
use crate::KafkaSettings;

/// What a claim's producers share.
#[derive(Debug)]
pub(crate) struct Shared {
    settings: KafkaSettings,
    /// The topic of positions.
    pub(crate) topic: String,
    mine: ClaimRecord,
}

impl Shared {
    /// Why a producer was fenced. Blocks.
    pub(crate) fn why_fenced(&self) -> Failure {
        match positions::read(&self.settings, &self.topic) {
            Ok(now) if (now.claim.epoch, now.claim.number) != (self.mine.epoch, self.mine.number) => {
                Failure::new(
                    codes::apply::FENCED,
                    format!("claimed as {}.{}", now.claim.epoch, now.claim.number),
                )
            }
            // A former owner has tried to claim and was refused. It fenced us, but only that.
            Ok(_) => Failure::new(codes::dst::TRANSIENT, "a former owner interfered: claim again"),
            Err(failure) => failure,
        }
    }
}

/// A claim on a component.
pub(crate) struct KafkaClaim {
    shared: Arc<Shared>,
    checkpoint: Option<ApplyCheckpoint>,
    notes: BTreeMap<String, Bytes>,
    lanes: Vec<Arc<Lane>>,
}

impl std::fmt::Debug for KafkaClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KafkaClaim({:?})", self.shared.mine)
    }
}

impl KafkaClaim {
    /// Claims. Blocks.
    pub(crate) fn new(settings: KafkaSettings, token: &ClaimToken, wanted: u32) -> Result<Self, Failure> {
        let topic = positions::topic_of(&token.component);
        let mut lanes: Vec<Lane> = Vec::new();
        let mut needed = wanted.max(1);
        // Every lane that any claim has had is fenced before the positions are read for good: what an earlier owner
        // has under way is then ended, and nothing of it can be committed behind what is read.
        let found = loop {
            for number in lanes.len()..needed as usize {
                let id =
                    positions::transactional_id(&token.component, u32::try_from(number).unwrap_or(u32::MAX));
                let lane = open(&connect::producer(&settings, &id))?;
                initialize(&lane)?;
                lanes.push(lane);
            }
            let found = positions::read(&settings, &topic)?;
            if found.claim.epoch > token.epoch {
                return Err(Failure::new(
                    codes::apply::FENCED,
                    format!("claimed as {}.{}", found.claim.epoch, found.claim.number),
                ));
            }
            if found.claim.lanes <= needed {
                break found;
            }
            needed = found.claim.lanes;
        };
        let number = if found.claim.epoch == token.epoch {
            found.claim.number.0.saturating_add(1)
        } else {
            1
        };
        let mine = ClaimRecord {
            epoch: token.epoch,
            number: ClaimNumber(number),
            lanes: needed,
        };
        let shared = Shared {
            settings,
            topic,
            mine,
        };
        // Only who holds the first lane gets this committed, so of two that claim at the same time one fails here.
        if let Some(first) = lanes.first() {
            let text = serde_json::to_vec(&mine)
                .map_err(|e| Failure::new(codes::apply::INTERNAL, "writing a claim").with_source(e))?;
            let written = first
                .begin_transaction()
                .and_then(|()| send(first, &shared.topic, 0, CLAIM_KEY.as_bytes(), Some(&text), &[]))
                .and_then(|()| first.commit_transaction(CALL_BOUND));
            match written {
                Err(error) if is_fence(&error) => {
                    let detail = "somebody else claimed at the same time";
                    return Err(Failure::new(codes::dst::TRANSIENT, detail).with_source(error));
                }
                other => other.map_err(|e| failure("writing a claim", e))?,
            }
        }
        Ok(Self {
            shared: Arc::new(shared),
            checkpoint: found.checkpoint(),
            notes: found.notes,
            lanes: lanes
                .into_iter()
                .take(wanted.max(1) as usize)
                .map(Arc::new)
                .collect(),
        })
    }
}

impl MessageClaim for KafkaClaim {
    fn number(&self) -> ClaimNumber {
        self.shared.mine.number
    }

    fn checkpoint(&self) -> Option<ApplyCheckpoint> {
        self.checkpoint.clone()
    }

    fn notes(&self) -> &BTreeMap<String, Bytes> {
        &self.notes
    }

    fn producer(&self, lane: LaneId) -> Result<Box<dyn MessageProducer>, Failure> {
        let found = self.lanes.get(lane.0 as usize).ok_or_else(|| {
            Failure::new(codes::apply::INTERNAL, format!("lane {} was not claimed", lane.0))
        })?;
        if Arc::strong_count(found) > 1 {
            return Err(Failure::new(
                codes::apply::INTERNAL,
                format!("lane {} has a producer already", lane.0),
            ));
        }
        Ok(Box::new(LaneProducer::new(
            self.shared.clone(),
            found.clone(),
            lane,
        )))
    }
}
