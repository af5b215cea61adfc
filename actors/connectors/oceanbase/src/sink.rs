//! The destination.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{
    ApplyCheckpoint, Claim, ClaimToken, ComponentId, Failure, RecordReader, Sink, SinkOptions,
    SnapshotReader, TableName, TableSchema,
};
use oms_mysql::{
    connection::Endpoint,
    sink::{MetaTables, MysqlSink},
};

use crate::OceanBaseDialect;

/// An OceanBase tenant in MySQL mode as destination.
#[derive(Debug)]
pub struct OceanBaseSink {
    inner: MysqlSink,
}

impl OceanBaseSink {
    /// A tenant; the endpoint's user names it (`user@tenant#cluster`).
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with_meta(endpoint, MetaTables::default())
    }

    /// With the hidden tables in another database.
    pub fn with_meta(endpoint: Endpoint, meta: MetaTables) -> Self {
        Self {
            inner: MysqlSink::with_dialect(endpoint, Arc::new(OceanBaseDialect::default()), meta),
        }
    }

    /// The hidden tables, which must not be migrated.
    pub fn meta(&self) -> &MetaTables {
        self.inner.meta()
    }
}

#[async_trait]
impl Sink for OceanBaseSink {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<Option<TableSchema>>, Failure> {
        self.inner.load_tables(names).await
    }

    async fn has_rows(&self, name: &TableName) -> Result<bool, Failure> {
        self.inner.has_rows(name).await
    }

    async fn execute_ddl(&self, database: Option<&str>, statement: &str) -> Result<(), Failure> {
        self.inner.execute_ddl(database, statement).await
    }

    async fn claim(&self, token: ClaimToken, options: SinkOptions) -> Result<Arc<dyn Claim>, Failure> {
        self.inner.claim(token, options).await
    }

    async fn applied(&self, component: &ComponentId) -> Result<Option<ApplyCheckpoint>, Failure> {
        self.inner.applied(component).await
    }

    fn records(&self, component: &ComponentId) -> Option<Arc<dyn RecordReader>> {
        self.inner.records(component)
    }

    async fn forget(&self, component: &ComponentId) -> Result<(), Failure> {
        self.inner.forget(component).await
    }

    fn keeps(&self, component: &ComponentId) -> String {
        self.inner.keeps(component)
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        self.inner.open_snapshot().await
    }
}
