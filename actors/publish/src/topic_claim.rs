//! The right to write messages for a component.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use oms_core::{
    Announcement, Applier, ApplyCheckpoint, ChunkReceipt, ChunkWriter, Claim, ClaimNumber, Failure, LaneId,
    LaneState, MessageClaim, MessageSink, RecordWriter, SinkOptions, TableName, codes,
};

use crate::{
    Publication,
    composer::{Composer, Subjects},
    note_records::NoteRecordWriter,
    notebook::Notebook,
    receipt_note,
    topic_applier::TopicApplier,
    topic_chunk_writer::{Import, TopicChunkWriter},
    topic_sink::{Clock, TopicSink},
};

/// What names of the notes begin with that hold a topic's number of partitions.
const PARTITIONS: &str = "partitions/";
/// The name of the note that holds the number of the last announcement.
const TOLD: &str = "told";
/// How long brokers may take to learn of a new topic, and how often they are asked.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) struct TopicClaim {
    claim: Arc<dyn MessageClaim>,
    subjects: Arc<Subjects>,
    clock: Clock,
    import: Arc<Import>,
    options: SinkOptions,
    queue: Arc<dyn MessageSink>,
    publication: Arc<Publication>,
    notebook: Option<Arc<Notebook>>,
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
        notebook: Option<Arc<Notebook>>,
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
            queue: sink.queue.clone(),
            publication: sink.publication.clone(),
            notebook,
        })
    }

    fn notebook(&self) -> Result<&Arc<Notebook>, Failure> {
        self.notebook.as_ref().ok_or_else(|| {
            Failure::new(
                codes::apply::INTERNAL,
                "a project that does not follow statements keeps no records",
            )
        })
    }

    fn composer(&self) -> Composer {
        Composer::new(self.subjects.clone(), self.clock.clone())
    }
}

/// How many partitions of each topic are written to: as many as there were when the component first wrote there. A topic
/// that grows later would else bring changes of one key into two partitions.
async fn partitions(
    sink: &TopicSink,
    claim: &dyn MessageClaim,
    options: &SinkOptions,
) -> Result<BTreeMap<String, u32>, Failure> {
    let mut all = BTreeMap::new();
    let mut new = Vec::new();
    for pair in options.tables.iter() {
        let (source, published) = (&pair.source.name, &pair.destination.name);
        let table = sink.publication.table(source, published)?;
        let topic = table.topic.as_str();
        if all.contains_key(topic) {
            continue;
        }
        let note = claim.notes().get(&note_of(topic)).cloned();
        let (used, is_new) = used(&*sink.queue, &sink.publication, (topic, published), note).await?;
        if is_new {
            new.push((note_of(topic), Some(Bytes::from(used.to_string()))));
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

fn note_of(topic: &str) -> String {
    format!("{PARTITIONS}{topic}")
}

/// How many partitions of a topic are written to, and whether that must be noted. Creates the topic where that is wanted.
async fn used(
    queue: &dyn MessageSink,
    publication: &Publication,
    (topic, table): (&str, &TableName),
    note: Option<Bytes>,
) -> Result<(u32, bool), Failure> {
    let missing = |what: String| Failure::new(codes::message::TOPIC_MISSING, what);
    let mut there = queue.partitions(topic).await?;
    let plan = publication.follows.as_ref().and_then(|new| new.plan.as_ref());
    // One that was written to and is gone is another matter.
    if let (None, None, Some(plan)) = (there, &note, plan) {
        queue.create_topic(&plan(topic)).await?;
        let deadline = tokio::time::Instant::now() + KNOWN_WITHIN;
        while there.is_none() {
            if tokio::time::Instant::now() > deadline {
                let what = format!("topic `{topic}` was created, and is not known yet");
                return Err(Failure::new(codes::dst::TRANSIENT, what));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
            there = queue.partitions(topic).await?;
        }
    }
    let there = there.ok_or_else(|| missing(format!("topic `{topic}` of table {table}")))?;
    let Some(note) = note else {
        return Ok((there, true));
    };
    let used: u32 = std::str::from_utf8(&note)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| {
            Failure::new(
                codes::apply::INTERNAL,
                format!("the note of topic `{topic}` cannot be read"),
            )
        })?;
    if there < used {
        return Err(missing(format!(
            "topic `{topic}` has {there} partitions, and messages were written to {used}"
        )));
    }
    Ok((used, false))
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

    fn record_writer(&self) -> Result<Arc<dyn RecordWriter>, Failure> {
        Ok(Arc::new(NoteRecordWriter(self.notebook()?.clone())))
    }

    /// To each topic of the tables once, naming the first of them there.
    async fn announce(&self, announcement: &Announcement) -> Result<(), Failure> {
        let notebook = self.notebook()?;
        let known = notebook.notes().lock().clone();
        let told: Option<(u64, u64)> = match known.get(TOLD) {
            None => None,
            Some(note) => Some(serde_json::from_slice(note).map_err(|e| {
                let what = "the note of the last announcement cannot be read";
                Failure::new(codes::apply::INTERNAL, what).with_source(e)
            })?),
        };
        if told.is_some_and(|told| told >= announcement.number) {
            return Ok(());
        }
        let note = serde_json::to_vec(&announcement.number)
            .map_err(|e| Failure::new(codes::apply::INTERNAL, "writing a note").with_source(e))?;
        let mut notes = vec![(TOLD.to_owned(), Some(Bytes::from(note)))];
        let (mut messages, mut done) = (Vec::new(), Vec::new());
        for (source, published) in &announcement.tables {
            let topic = self.publication.table(source, published)?.topic.clone();
            if done.contains(&topic) {
                continue;
            }
            let note = known.get(&note_of(&topic)).cloned();
            let (used, is_new) = used(&*self.queue, &self.publication, (&topic, published), note).await?;
            if is_new {
                notes.push((note_of(&topic), Some(Bytes::from(used.to_string()))));
            }
            let about = self
                .subjects
                .statement(announcement, (&topic, used), published, (self.clock)())?;
            messages.extend(about);
            done.push(topic);
        }
        notebook.write(messages, notes).await
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
