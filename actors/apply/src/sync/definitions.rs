//! Statements of the log that define.

use async_trait::async_trait;
use oms_core::{DdlContext, Failure, Position, Watermark};

/// A statement of the log that may define, change or remove tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedDdl {
    /// Its default database.
    pub database: String,
    /// Its text.
    pub statement: String,
    /// The position behind it; of one that begins a transaction the position before it.
    pub position: Position,
    /// When the source executed it, in microseconds since the epoch.
    pub source_time_us: i64,
    /// What it was run under.
    pub context: DdlContext,
}

/// How a run goes on behind a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterDdl {
    /// With the same tables.
    Continue,
    /// It ends ([`super::SyncEnd::Redefined`]): the tables are others, or look otherwise.
    Redefined,
}

/// Carries statements that define over to the destination.
#[async_trait]
pub trait DefinitionHandler: Send + Sync {
    /// Whether the statement matters at all. Those that do not cost nothing: they are passed like a heartbeat.
    /// Called once for each statement in the order of the log; the answer must depend on the statement and on those
    /// before it alone.
    fn concerns(&self, ddl: &LoggedDdl) -> bool;

    /// Carries the statement over. All that precedes it in the log is durable at the destination, nothing behind it
    /// has been begun, and no lane has an open transaction. `behind` is the durable watermark, which the
    /// position of the statement follows.
    ///
    /// The same statement comes again if the run ends before the watermark behind it was made durable.
    /// What it did must be found again by its position then.
    ///
    /// # Errors
    /// End the run; the watermark stays in front of the statement.
    async fn on_ddl(&self, ddl: &LoggedDdl, behind: &Watermark) -> Result<AfterDdl, Failure>;
}
