//! What goes to which topic, and how.

use oms_codec::{PartitionRule, Settings};
use oms_core::TableName;

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

impl Publication {
    /// The table of this name in messages.
    pub(crate) fn find(&self, published: &TableName) -> Option<&PublishedTable> {
        self.tables.iter().find(|t| t.published == *published)
    }
}
