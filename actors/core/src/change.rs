//! What a log decoder produces.

use std::sync::Arc;

use crate::{Position, Row, TableName, TableSchema};

/// An event of a source's log, decoded.
///
/// A transaction is `Begin`, any number of `Row`, then `Commit` or `Abort`. Nothing else lies
/// between them. Tables outside the project give no `Row`, but their transactions still give
/// `Begin` and `Commit`, so that counting commits gives every reader of a log the same numbers.
#[derive(Clone, Debug)]
pub enum LogEvent {
    /// A transaction begins.
    Begin {
        /// The source's name of it (a GTID), if it has one.
        id: Option<String>,
    },
    /// One row changed.
    Row(RowChange),
    /// The transaction is complete.
    Commit {
        /// The position after it.
        position: Position,
        /// When the source committed it, in microseconds since the epoch; whole seconds where the
        /// log is no finer.
        source_time_us: i64,
    },
    /// The transaction did not happen: forget its rows.
    Abort,
    /// A statement that changed a table of the project, or a database that holds one. It stands
    /// alone, between transactions.
    Ddl {
        /// The default database of the statement.
        database: String,
        /// The statement as logged.
        statement: String,
        /// The position after it.
        position: Position,
        /// When the source executed it.
        source_time_us: i64,
    },
    /// Nothing happened up to this position.
    Heartbeat {
        /// The position reached.
        position: Position,
        /// The source's time.
        source_time_us: i64,
    },
}

/// A change of one row. Rows hold all columns of the source table in its order; columns that a
/// partial image does not carry are [`crate::Value::Absent`].
#[derive(Clone, Debug)]
pub struct RowChange {
    /// Index of the table in the decoder's [`TableMap`].
    pub table: u32,
    /// The row before the change: of updates and deletes.
    pub before: Option<Row>,
    /// The row after the change: of inserts and updates.
    pub after: Option<Row>,
}

/// The tables of a project, numbered.
#[derive(Clone, Debug, Default)]
pub struct TableMap {
    tables: Vec<Arc<TableSchema>>,
}

impl TableMap {
    /// Numbers the tables in the given order.
    pub fn new(tables: Vec<Arc<TableSchema>>) -> Self {
        Self { tables }
    }

    /// The table with this number.
    pub fn get(&self, index: u32) -> Option<&Arc<TableSchema>> {
        self.tables.get(index as usize)
    }

    /// The number of the table with this name.
    pub fn find(&self, name: &TableName) -> Option<u32> {
        self.tables
            .iter()
            .position(|t| t.name == *name)
            .and_then(|i| u32::try_from(i).ok())
    }

    /// All tables in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TableSchema>> {
        self.tables.iter()
    }

    /// Number of tables.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }
}
