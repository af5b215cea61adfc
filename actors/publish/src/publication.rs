//! What goes to which topic, and how.

use std::{borrow::Cow, num::NonZeroUsize, sync::Arc};

use oms_codec::{PartitionRule, Settings};
use oms_core::{Failure, TableName, TopicPlan, codes};

/// What goes to which topic, and how.
#[derive(Clone, Debug)]
pub struct Publication {
    /// How messages are written.
    pub settings: Settings,
    /// How they are spread over partitions.
    pub rule: PartitionRule,
    /// Whether an update that changes the key of its message becomes a delete and an insert.
    pub split_key_change: bool,
    /// The tables.
    pub tables: Vec<PublishedTable>,
    /// Contents of more bytes are sent in parts of at most so many. `None`: whole, whatever their size.
    pub split_bytes: Option<NonZeroUsize>,
    /// Statements that define are told, and tables may come while the project runs.
    pub follows: Option<NewTopics>,
    /// How many writers full import may have at a time; each is a lane of the queue.
    pub import_lanes: u32,
}

/// A table whose rows become messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTable {
    /// Its name at the source.
    pub source: TableName,
    /// Its name in messages.
    pub published: TableName,
    /// Its topic.
    pub topic: String,
    /// The columns by whose values messages are keyed; empty: those of the table's key.
    pub key_columns: Vec<String>,
}

/// What becomes of tables that come while a project runs.
#[derive(Clone)]
pub struct NewTopics {
    /// The topic of a table, by its names at the source and in messages.
    pub topic_of: TopicOf,
    /// How a topic is created that is missing. `None`: it is not, and the project stops.
    pub plan: Option<PlanOf>,
}

/// The topic of a table, by its names at the source and in messages.
pub type TopicOf = Arc<dyn Fn(&TableName, &TableName) -> Result<PublishedTable, Failure> + Send + Sync>;
/// How the topic of this name is created.
pub type PlanOf = Arc<dyn Fn(&str) -> TopicPlan + Send + Sync>;

impl std::fmt::Debug for NewTopics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewTopics")
            .field("creates", &self.plan.is_some())
            .finish_non_exhaustive()
    }
}

impl Publication {
    /// The table of these names at the source and in messages.
    ///
    /// # Errors
    /// `OMS-APPLY-0008` for a table that the project does not have; `OMS-API-0001` for a name that no topic can have.
    pub(crate) fn table(
        &self,
        source: &TableName,
        published: &TableName,
    ) -> Result<Cow<'_, PublishedTable>, Failure> {
        let known = self.tables.iter();
        if let Some(table) = known
            .into_iter()
            .find(|t| t.published == *published && t.source == *source)
        {
            return Ok(Cow::Borrowed(table));
        }
        match &self.follows {
            Some(new) => (new.topic_of)(source, published).map(Cow::Owned),
            None => Err(Failure::new(
                codes::apply::INTERNAL,
                format!("{published} has no topic in this project"),
            )),
        }
    }

    /// The table of this name in messages.
    pub(crate) fn find(&self, published: &TableName) -> Option<&PublishedTable> {
        self.tables.iter().find(|t| t.published == *published)
    }
}
