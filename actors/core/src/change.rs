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
    /// A statement that changed a table of the project, or a database that holds one; where definitions
    /// are followed ([`TableMap::following_definitions`]) any that may define a table. It stands alone,
    /// between transactions.
    Ddl {
        /// The default database of the statement.
        database: String,
        /// The statement as logged.
        statement: String,
        /// The position after it; of a statement that is the first of a transaction
        /// ([`DdlContext::in_transaction`]) the one before it.
        position: Position,
        /// When the source executed it.
        source_time_us: i64,
        /// What it was run under.
        context: DdlContext,
    },
    /// Nothing happened up to this position.
    Heartbeat {
        /// The position reached.
        position: Position,
        /// The source's time.
        source_time_us: i64,
    },
}

/// What the log says of the session that ran a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DdlContext {
    /// The bits of the session's `sql_mode`.
    pub sql_mode: u64,
    /// The number of `collation_server` in the session; `None` where the log does not tell.
    pub server_collation: Option<u16>,
    /// `explicit_defaults_for_timestamp` of the session; `None` where the log does not tell.
    pub explicit_timestamps: Option<bool>,
    /// Whether the text is exactly what was logged. False where bytes had no meaning as UTF-8.
    pub exact: bool,
    /// The statement begins a transaction whose rows follow (CREATE TABLE … SELECT).
    pub in_transaction: bool,
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
    follows: bool,
}

impl TableMap {
    /// Numbers the tables in the given order.
    pub fn new(tables: Vec<Arc<TableSchema>>) -> Self {
        Self {
            tables,
            follows: false,
        }
    }

    /// The same tables, with every statement given that may define a table, of whichever database: so that
    /// the definitions of tables can be followed that are not numbered here (yet).
    #[must_use]
    pub fn following_definitions(mut self) -> Self {
        self.follows = true;
        self
    }

    /// Whether definitions are followed.
    pub fn follows_definitions(&self) -> bool {
        self.follows
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
