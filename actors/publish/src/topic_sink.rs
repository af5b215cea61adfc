//! A queue of messages as a destination.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{
    ApplyCheckpoint, Claim, ClaimToken, ComponentId, ComponentKind, Failure, LaneId, MessageSink,
    RecordReader, Sink, SinkOptions, SnapshotReader, Source, TableName, TableSchema, codes,
};
use parking_lot::Mutex;

use crate::{Publication, note_records::NoteRecords, notebook::Notebook, topic_claim::TopicClaim};

/// The time now, in milliseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A queue of messages as a destination. Cheap to share.
///
/// Its tables look as they do at the source: a message has what a row has. It never holds rows, and what was written stays
/// written: a change that is applied again in safe mode is another message.
pub struct TopicSink {
    pub(crate) queue: Arc<dyn MessageSink>,
    source: Arc<dyn Source>,
    pub(crate) publication: Arc<Publication>,
    pub(crate) clock: Clock,
    /// The notes of the latest claim.
    claimed: Mutex<Option<(ComponentId, Arc<Notebook>)>>,
}

impl std::fmt::Debug for TopicSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TopicSink({:?})", self.queue)
    }
}

impl TopicSink {
    /// Messages about the tables of a source, which is asked for their definitions.
    pub fn new(
        queue: Arc<dyn MessageSink>,
        source: Arc<dyn Source>,
        publication: Publication,
        clock: Clock,
    ) -> Self {
        Self {
            queue,
            source,
            publication: Arc::new(publication),
            clock,
            claimed: Mutex::default(),
        }
    }
}

fn not_for_messages(what: &str) -> Failure {
    Failure::new(
        codes::apply::INTERNAL,
        format!("a queue of messages takes no {what}"),
    )
}

#[async_trait]
impl Sink for TopicSink {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<Option<TableSchema>>, Failure> {
        let found: Vec<_> = names.iter().map(|name| self.publication.find(name)).collect();
        let wanted: Vec<_> = found.iter().flatten().map(|t| t.source.clone()).collect();
        let mut schemas = self.source.load_tables(&wanted).await?.into_iter();
        let loaded = found.into_iter().map(|table| {
            let table = table?;
            let mut schema = schemas.next()?;
            schema.name = table.published.clone();
            // Messages hold what the source computes, too.
            for column in &mut schema.columns {
                column.generated = None;
            }
            Some(schema)
        });
        Ok(loaded.collect())
    }

    async fn has_rows(&self, _name: &TableName) -> Result<bool, Failure> {
        Ok(false)
    }

    async fn execute_ddl(&self, _database: Option<&str>, _statement: &str) -> Result<(), Failure> {
        Err(not_for_messages("statements"))
    }

    async fn claim(&self, token: ClaimToken, options: SinkOptions) -> Result<Arc<dyn Claim>, Failure> {
        let lanes = if token.component.kind() == ComponentKind::FullImport {
            self.publication.import_lanes.max(1)
        } else {
            options.lanes.max(1)
        };
        let stream = token.component.project().to_string();
        let component = token.component.clone();
        let follows = self.publication.follows.is_some() && component.kind() == ComponentKind::IncrSync;
        // What is told and noted beside the changes has a lane of its own.
        let claim = self.queue.claim(token, lanes + u32::from(follows)).await?;
        let notebook = follows.then(|| Arc::new(Notebook::new(claim.clone(), LaneId(lanes))));
        *self.claimed.lock() = notebook.clone().map(|notebook| (component, notebook));
        Ok(Arc::new(
            TopicClaim::new(self, claim, options, lanes, stream, notebook).await?,
        ))
    }

    /// Under a claim, those that are written under it; else those that are committed.
    fn records(&self, component: &ComponentId) -> Option<Arc<dyn RecordReader>> {
        let queue = self.queue.clone();
        let claimed = self.claimed.lock();
        Some(Arc::new(match &*claimed {
            Some((of, notebook)) if of == component => {
                NoteRecords::claimed(queue, component.clone(), notebook.notes().clone())
            }
            _ => NoteRecords::new(queue, component.clone()),
        }))
    }

    fn announces(&self) -> bool {
        true
    }

    async fn applied(&self, component: &ComponentId) -> Result<Option<ApplyCheckpoint>, Failure> {
        self.queue.applied(component).await
    }

    async fn forget(&self, component: &ComponentId) -> Result<(), Failure> {
        self.queue.forget(component).await
    }

    fn keeps(&self, component: &ComponentId) -> String {
        self.queue.keeps(component)
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        Err(not_for_messages("questions for rows"))
    }
}
