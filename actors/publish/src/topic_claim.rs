//! The right to write messages for a component.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use oms_core::{
    Applier, ApplyCheckpoint, ChunkReceipt, ChunkWriter, Claim, ClaimNumber, Failure, LaneId, LaneState,
    MessageClaim, SinkOptions, TableName, codes,
};

use crate::{
    composer::{Composer, Subjects},
    receipt_note,
    topic_applier::TopicApplier,
    topic_chunk_writer::{Import, TopicChunkWriter},
    topic_sink::{Clock, TopicSink},
};

/// What names of the notes begin with that hold a topic's number of partitions.
const PARTITIONS: &str = "partitions/";

pub(crate) struct TopicClaim {
    claim: Arc<dyn MessageClaim>,
    subjects: Arc<Subjects>,
    clock: Clock,
    import: Arc<Import>,
    options: SinkOptions,
}

impl std::fmt::Debug for TopicClaim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TopicClaim({:?})", self.claim)
    }
}

impl TopicClaim {
    /// Under a claim that was just made, with so many lanes.
    pub(crate) async fn new(
        sink: &TopicSink,
        claim: Arc<dyn MessageClaim>,
        options: SinkOptions,
        lanes: u32,
        stream: String,
    ) -> Result<Self, Failure> {
        let partitions = partitions(sink, &*claim, &options).await?;
        let find = |topic: &str| partitions.get(topic).copied();
        let subjects = Subjects::new(&sink.publication, &options.tables, stream, find)?;
        let mut receipts = BTreeMap::new();
        for (name, note) in claim.notes() {
            if let Some(receipt) = receipt_note::read(name, note)? {
                receipts.insert((receipt.table.clone(), receipt.number), receipt);
            }
        }
        let import = Import {
            free: (0..lanes).rev().map(LaneId).collect::<Vec<_>>().into(),
            receipts: receipts.into(),
        };
        Ok(Self {
            claim,
            subjects: Arc::new(subjects),
            clock: sink.clock.clone(),
            import: Arc::new(import),
            options,
        })
    }

    fn composer(&self) -> Composer {
        Composer::new(self.subjects.clone(), self.clock.clone())
    }
}

/// How many partitions of each topic are written to: as many as there were when the component first claimed. A topic
/// that grows later would else bring changes of one key into two partitions.
async fn partitions(
    sink: &TopicSink,
    claim: &dyn MessageClaim,
    options: &SinkOptions,
) -> Result<BTreeMap<String, u32>, Failure> {
    let mut all = BTreeMap::new();
    let mut new = Vec::new();
    for pair in options.tables.iter() {
        let table = sink.publication.find(&pair.destination.name);
        let Some(topic) = table.map(|t| t.topic.as_str()) else {
            continue;
        };
        if all.contains_key(topic) {
            continue;
        }
        let missing = |what: String| Failure::new(codes::message::TOPIC_MISSING, what);
        let there = sink
            .queue
            .partitions(topic)
            .await?
            .ok_or_else(|| missing(format!("topic `{topic}` of table {}", pair.destination.name)))?;
        let name = format!("{PARTITIONS}{topic}");
        let used = match claim.notes().get(&name) {
            None => {
                new.push((name, Some(Bytes::from(there.to_string()))));
                there
            }
            Some(note) => std::str::from_utf8(note)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| {
                    Failure::new(
                        codes::apply::INTERNAL,
                        format!("the note {name:?} cannot be read"),
                    )
                })?,
        };
        if there < used {
            return Err(missing(format!(
                "topic `{topic}` has {there} partitions, and messages were written to {used}"
            )));
        }
        all.insert(topic.to_owned(), used);
    }
    if !new.is_empty() {
        let mut producer = claim.producer(LaneId(0))?;
        producer.begin().await?;
        producer.commit_notes(&new).await?;
    }
    Ok(all)
}

#[async_trait]
impl Claim for TopicClaim {
    fn number(&self) -> ClaimNumber {
        self.claim.number()
    }

    async fn checkpoint(&self) -> Result<Option<ApplyCheckpoint>, Failure> {
        Ok(self.claim.checkpoint())
    }

    async fn initialize(&self, state: &LaneState) -> Result<(), Failure> {
        if self.claim.checkpoint().is_some() {
            return Err(Failure::new(
                codes::apply::INTERNAL,
                "the component has a checkpoint",
            ));
        }
        let mut producer = self.claim.producer(LaneId(0))?;
        producer.begin().await?;
        producer.commit(state).await
    }

    async fn applier(&self, lane: LaneId) -> Result<Box<dyn Applier>, Failure> {
        Ok(Box::new(TopicApplier {
            producer: self.claim.producer(lane)?,
            composer: self.composer(),
        }))
    }

    async fn chunk_writer(&self) -> Result<Box<dyn ChunkWriter>, Failure> {
        let free = self.import.free.lock().pop();
        // Lanes on which something failed are settled by the next claim.
        let lane = free.ok_or_else(|| {
            Failure::new(
                codes::apply::COMMIT_UNKNOWN,
                "every lane has a transaction whose end is not known",
            )
        })?;
        Ok(Box::new(TopicChunkWriter {
            import: self.import.clone(),
            lane,
            producer: Some(self.claim.producer(lane)?),
            composer: self.composer(),
            table: 0,
            open: false,
        }))
    }

    async fn receipts(&self, table: &TableName) -> Result<Vec<ChunkReceipt>, Failure> {
        let receipts = self.import.receipts.lock();
        Ok(receipts.values().filter(|r| r.table == *table).cloned().collect())
    }

    /// Messages stay where they are; the receipts go, so that the table is read again.
    async fn clear_table(&self, table: u32) -> Result<(), Failure> {
        let pair = self.options.tables.get(table as usize).ok_or_else(|| {
            Failure::new(
                codes::apply::INTERNAL,
                format!("there is no table number {table}"),
            )
        })?;
        let name = &pair.source.name;
        let gone: Vec<_> = self
            .receipts(name)
            .await?
            .iter()
            .map(|r| (receipt_note::name(name, r.number), None))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        let free = self.import.free.lock().pop();
        let lane = free.ok_or_else(|| Failure::new(codes::apply::COMMIT_UNKNOWN, "no lane is free"))?;
        let mut producer = self.claim.producer(lane)?;
        producer.begin().await?;
        producer.commit_notes(&gone).await?;
        drop(producer);
        self.import.free.lock().push(lane);
        self.import.receipts.lock().retain(|(t, _), _| t != name);
        Ok(())
    }
}
