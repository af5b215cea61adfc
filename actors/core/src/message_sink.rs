//! Writing messages to a queue, fenced.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{ApplyCheckpoint, ClaimNumber, ClaimToken, ComponentId, Failure, LaneId, LaneState};

/// A queue that messages are written to. Cheap to share.
///
/// What [`crate::Sink`] is for databases. A destination that has transactions keeps, beside the messages, each lane's
/// [`LaneState`], and commits both together: a reader of committed messages sees the effects of exactly the source
/// transactions that the checkpoint names. The only way to a producer is a claim, which fences all earlier ones.
#[async_trait]
pub trait MessageSink: Send + Sync + std::fmt::Debug {
    /// The number of partitions of a topic; `None` if there is no such topic.
    async fn partitions(&self, topic: &str) -> Result<Option<u32>, Failure>;

    /// Creates a topic. One that exists already is left as it is.
    async fn create_topic(&self, topic: &TopicPlan) -> Result<(), Failure>;

    /// Takes over writing for a component: ends what producers of earlier claims have under way, and makes it
    /// impossible for them to commit anything from then on.
    ///
    /// # Errors
    /// `OMS-APPLY-0004` when a higher epoch has claimed already. Such an attempt may void what that owner has under
    /// way, but it writes nothing and can never commit.
    async fn claim(&self, token: ClaimToken, lanes: u32) -> Result<Arc<dyn MessageClaim>, Failure>;

    /// What was written for a component, without claiming: as far as it is committed now. The owner may commit more
    /// at any moment. `None`: nothing ever.
    async fn applied(&self, component: &ComponentId) -> Result<Option<ApplyCheckpoint>, Failure>;

    /// The component's notes as they are committed now, without claiming. None where nothing was ever kept.
    async fn notes(&self, component: &ComponentId) -> Result<BTreeMap<String, Bytes>, Failure>;

    /// Removes what the queue keeps for a component, but no message. Idempotent.
    async fn forget(&self, component: &ComponentId) -> Result<(), Failure>;

    /// In words for the user: what [`MessageSink::forget`] would remove, and where it is.
    fn keeps(&self, component: &ComponentId) -> String;
}

/// How a topic is created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// Number of partitions, at least 1.
    pub partitions: u32,
    /// Number of copies; `None`: as the brokers are set.
    pub replication: Option<u32>,
    /// The topic's own settings, as the destination names them.
    pub config: BTreeMap<String, String>,
}

/// The right to write for a component until somebody claims after us.
#[async_trait]
pub trait MessageClaim: Send + Sync + std::fmt::Debug {
    /// The number of this claim within the epoch.
    fn number(&self) -> ClaimNumber;

    /// What was written, as of this claim. `None`: nothing ever.
    fn checkpoint(&self) -> Option<ApplyCheckpoint>;

    /// The component's notes as of this claim, by name.
    fn notes(&self) -> &BTreeMap<String, Bytes>;

    /// The producer of a lane. At most one per lane at a time: a second is refused while the first lives.
    fn producer(&self, lane: LaneId) -> Result<Box<dyn MessageProducer>, Failure>;
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: u32,
    /// The key; never empty.
    pub key: Bytes,
    /// The content; `None` marks the key as deleted in a compacted topic.
    pub value: Option<Bytes>,
    /// Names and contents of the headers.
    pub headers: Vec<(&'static str, Bytes)>,
}

/// Writes the transactions of one lane: `begin`, any number of `write`, then `commit` or `rollback`.
///
/// After an error the transaction is void, or, with `OMS-APPLY-0005`, may or may not have happened; the producer must be
/// dropped and the component claims again, which settles it.
#[async_trait]
pub trait MessageProducer: Send {
    /// Begins a transaction.
    async fn begin(&mut self) -> Result<(), Failure>;

    /// Writes messages. Those of one partition keep their order. Returns when they are accepted, not when they are
    /// durable; memory is bounded by the producer.
    async fn write(&mut self, messages: &[Message]) -> Result<(), Failure>;

    /// Writes the lane's state and commits: messages and state are there together, or neither.
    ///
    /// # Errors
    /// `OMS-APPLY-0004` when this claim is no longer the latest.
    async fn commit(&mut self, state: &LaneState) -> Result<(), Failure>;

    /// Writes notes of the component and commits: messages and notes are there together, or neither. A note replaces the
    /// one of the same name; `None` removes it.
    ///
    /// # Errors
    /// As [`MessageProducer::commit`].
    async fn commit_notes(&mut self, notes: &[(String, Option<Bytes>)]) -> Result<(), Failure>;

    /// Gives the transaction up.
    async fn rollback(&mut self) -> Result<(), Failure>;
}
