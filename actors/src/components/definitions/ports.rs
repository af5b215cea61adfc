//! What following definitions asks of both servers.

use std::collections::BTreeMap;

use async_trait::async_trait;
use oms_core::{DdlContext, Failure, Position, TableName};
use oms_schema::{
    ConvertOptions, DestinationTraits, Flavor, SchemaTracker, SourceTraits, StatementContext, TableDefinition,
};

/// What statements of the log are read with.
#[derive(Clone, Debug)]
pub struct SourceFacts {
    /// The family of the server.
    pub flavor: Flavor,
    /// Its version as versioned comments say it.
    pub version: u32,
    /// What its definitions leave unsaid.
    pub traits: SourceTraits,
    /// Character set and collation by the number of the collation.
    pub collations: BTreeMap<u16, (String, String)>,
    /// `explicit_defaults_for_timestamp`, where the log does not tell.
    pub explicit_timestamps: bool,
    /// Whether names of databases and tables are kept in lower case.
    pub lower_case_names: bool,
}

impl SourceFacts {
    /// What a statement was run under.
    pub(crate) fn context(&self, database: &str, logged: &DdlContext) -> StatementContext {
        let mut context = StatementContext::new(self.flavor, self.version).with_sql_mode(logged.sql_mode);
        if !database.is_empty() {
            context = context.in_database(database);
        }
        context.explicit_timestamps = logged.explicit_timestamps.unwrap_or(self.explicit_timestamps);
        context.server_charset = logged
            .server_collation
            .and_then(|number| self.collations.get(&number).cloned());
        context.lower_case_names = self.lower_case_names;
        context
    }
}

/// The definitions that the source shows.
#[derive(Clone, Debug)]
pub struct SourceDefinitions {
    /// The databases and their tables. Tables that cannot be read are not in it.
    pub tracker: SchemaTracker,
    /// Tables that are there and cannot be read, with the reason.
    pub unreadable: Vec<(TableName, String)>,
    /// The end of the log, asked for when all was read.
    pub read_at: Position,
}

/// What following definitions asks of both servers.
#[async_trait]
pub trait DefinitionPorts: Send + Sync {
    /// What statements of the source's log are read with, asked now.
    async fn facts(&self) -> Result<SourceFacts, Failure>;

    /// All definitions of the databases, as they are now.
    async fn read_source(&self, databases: &[String]) -> Result<SourceDefinitions, Failure>;

    /// What the destination accepts.
    async fn destination(&self) -> Result<DestinationTraits, Failure>;

    /// Tables of the destination as far as [`oms_schema::DdlFact`]s ask for them: names of columns, keys,
    /// constraints and partitions. `None` for one that is not there.
    async fn look_up(
        &self,
        tables: &[TableName],
    ) -> Result<BTreeMap<TableName, Option<TableDefinition>>, Failure>;

    /// What the user decided about conversions.
    fn options(&self) -> ConvertOptions;
}
