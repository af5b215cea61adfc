//! What is to be checked.

use std::sync::Arc;

use oms_core::{Failure, TableName, TableSchema};

/// The steps of the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Schema migration.
    pub schema: bool,
    /// Full import.
    pub full: bool,
    /// Incremental synchronization.
    pub incr: bool,
    /// Statements that define tables are followed.
    pub follows_ddl: bool,
}

/// The objects and steps of a project, as far as prechecks need them.
#[derive(Clone)]
pub struct PrecheckPlan {
    /// Source tables and their destinations.
    pub tables: Vec<(TableName, TableName)>,
    /// Source views and their destinations.
    pub views: Vec<(TableName, TableName)>,
    /// The steps.
    pub steps: Steps,
    /// The database for our own tables at the destination.
    pub meta_database: String,
    /// The time now, in microseconds since the epoch, for the clocks' comparison.
    pub now_us: i64,
    /// Several tables may go to one table of the destination.
    pub merges: bool,
    /// How tables of the source are seen: with the columns that are chosen of them.
    pub seen: Seen,
}

/// A table as the destination is to have it; fails where what is chosen does not fit.
pub type Seen = Arc<dyn Fn(TableSchema) -> Result<TableSchema, Failure> + Send + Sync>;

impl PrecheckPlan {
    /// The source databases, each once, in the order of their first object.
    pub(super) fn source_databases(&self) -> Vec<&str> {
        distinct(
            self.tables
                .iter()
                .chain(&self.views)
                .map(|(s, _)| s.database.as_str()),
        )
    }

    /// The destination databases, each once.
    pub(super) fn destination_databases(&self) -> Vec<&str> {
        distinct(
            self.tables
                .iter()
                .chain(&self.views)
                .map(|(_, d)| d.database.as_str()),
        )
    }
}

fn distinct<'n>(names: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}
