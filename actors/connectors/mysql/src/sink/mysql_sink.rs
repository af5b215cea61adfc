//! The destination.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{
    ApplyCheckpoint, Claim, ClaimToken, ComponentId, Failure, RecordReader, Sink, SinkOptions,
    SnapshotReader, TableName, TableSchema, codes,
};

use super::{
    claim,
    dialect::{Dialect, MysqlDialect},
    fence, literal,
    meta::MetaTables,
    record::MysqlRecordReader,
    session::{Session, Shared},
};
use crate::{
    catalog::Catalog,
    connection::{self, Endpoint, ServerInfo, Side},
    snapshot::MysqlSnapshotReader,
};

/// Rows that one statement of `forget` removes at most.
const FORGET_ROWS: u64 = 1_000;

/// A destination that speaks the MySQL protocol. Opens connections as they are needed and keeps none.
#[derive(Debug)]
pub struct MysqlSink {
    shared: Arc<Shared>,
}

impl MysqlSink {
    /// A MySQL or MariaDB server.
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with_dialect(endpoint, Arc::new(MysqlDialect), MetaTables::default())
    }

    /// A server of another dialect, or with the hidden tables in another database.
    pub fn with_dialect(endpoint: Endpoint, dialect: Arc<dyn Dialect>, meta: MetaTables) -> Self {
        Self {
            shared: Arc::new(Shared {
                endpoint,
                dialect,
                meta,
            }),
        }
    }

    /// The hidden tables, which must not be migrated.
    pub fn meta(&self) -> &MetaTables {
        &self.shared.meta
    }

    /// Creates the hidden tables if they are missing. An account that may not create them works when
    /// somebody else has.
    async fn prepare(&self, session: &mut Session) -> Result<(), Failure> {
        let mut missing = false;
        for probe in self.shared.meta.probe() {
            match session.run(probe.as_bytes()).await {
                Ok(_) => {}
                Err(error) if matches!(error.number, Some(1146 | 1049)) => missing = true,
                // Without the right to see the database, 1142 or 1044 may be the answer to its absence.
                Err(error) if matches!(error.number, Some(1142 | 1044)) => missing = true,
                Err(error) => return Err(error.failure.context("the hidden tables")),
            }
        }
        if missing {
            for statement in self.shared.meta.create() {
                session
                    .run(statement.as_bytes())
                    .await
                    .map_err(|e| e.failure.context("creating the hidden tables"))?;
            }
        }
        Ok(())
    }

    async fn table_of(&self, name: &TableName) -> Result<Option<TableSchema>, Failure> {
        match self.tables(std::slice::from_ref(name)).await {
            Ok(mut found) => Ok(found.pop()),
            Err(failure) if failure.code() == codes::dst::TABLE_MISSING => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn tables(&self, names: &[TableName]) -> Result<Vec<TableSchema>, Failure> {
        let mut conn = connection::connect(&self.shared.endpoint, Side::Destination).await?;
        let server = ServerInfo::probe(&mut conn, Side::Destination).await?;
        self.shared.dialect.accept(&server)?;
        Catalog::new(&mut conn, server.flavor, Side::Destination)
            .load_tables(names)
            .await
    }
}

#[async_trait]
impl Sink for MysqlSink {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<Option<TableSchema>>, Failure> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        match self.tables(names).await {
            Ok(found) => Ok(found.into_iter().map(Some).collect()),
            Err(failure) if failure.code() == codes::dst::TABLE_MISSING => {
                let mut all = Vec::with_capacity(names.len());
                for name in names {
                    all.push(self.table_of(name).await?);
                }
                Ok(all)
            }
            Err(failure) => Err(failure),
        }
    }

    async fn has_rows(&self, name: &TableName) -> Result<bool, Failure> {
        let mut session = Session::open(&self.shared).await?;
        let rows: Vec<(u8,)> = session
            .rows(format!("SELECT 1 FROM {name} LIMIT 1"))
            .await
            .map_err(|e| e.failure.context(name))?;
        Ok(!rows.is_empty())
    }

    async fn execute_ddl(&self, database: Option<&str>, statement: &str) -> Result<(), Failure> {
        let mut session = Session::open(&self.shared).await?;
        if let Some(database) = database {
            let mut select = b"USE ".to_vec();
            literal::identifier(&mut select, database);
            session.run(&select).await?;
        }
        session.run(statement.as_bytes()).await?;
        Ok(())
    }

    async fn claim(&self, token: ClaimToken, options: SinkOptions) -> Result<Arc<dyn Claim>, Failure> {
        let mut session = Session::open(&self.shared).await?;
        self.prepare(&mut session).await?;
        Ok(Arc::new(
            claim::take(session, &self.shared, token, options).await?,
        ))
    }

    async fn applied(&self, component: &ComponentId) -> Result<Option<ApplyCheckpoint>, Failure> {
        let mut session = Session::open(&self.shared).await?;
        fence::read_checkpoint(&mut session, component).await
    }

    fn records(&self, component: &ComponentId) -> Option<Arc<dyn RecordReader>> {
        Some(Arc::new(MysqlRecordReader::new(
            self.shared.clone(),
            component.clone(),
        )))
    }

    async fn forget(&self, component: &ComponentId) -> Result<(), Failure> {
        let mut session = Session::open(&self.shared).await?;
        let component = fence::component_literal(component);
        let meta = &self.shared.meta;
        // The fences first: what is removed behind them stays removed.
        for table in [meta.fence(), meta.receipt(), meta.record()] {
            let sql = format!("DELETE FROM {table} WHERE component={component} LIMIT {FORGET_ROWS}");
            loop {
                match session.run(sql.as_bytes()).await {
                    // Nothing was ever written here.
                    Err(error) if matches!(error.number, Some(1146 | 1049)) => break,
                    Err(error) => return Err(error.into()),
                    Ok(outcome) if outcome.affected < FORGET_ROWS => break,
                    Ok(_) => {}
                }
            }
        }
        Ok(())
    }

    fn keeps(&self, component: &ComponentId) -> String {
        let Shared { endpoint, meta, .. } = &*self.shared;
        format!(
            "the rows with component = '{component}' in {}, {} and {} at {}:{}",
            meta.fence(),
            meta.receipt(),
            meta.record(),
            endpoint.host,
            endpoint.port
        )
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        let endpoint = self.shared.endpoint.clone();
        Ok(Box::new(
            MysqlSnapshotReader::open(endpoint, Side::Destination, None).await?,
        ))
    }
}
