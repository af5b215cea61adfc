//! A server of the MySQL family as a source.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use mysql_async::Conn;
use oms_core::{
    Capture, Failure, LogDecoder, Position, SnapshotReader, Source, TableMap, TableName, TableSchema,
};

use crate::{
    binlog::{self, BinlogCapture, BinlogDecoder, CaptureOptions},
    catalog::Catalog,
    connection::{Endpoint, ServerInfo, Side, connect},
    snapshot::MysqlSnapshotReader,
};

/// Reads from MySQL or MariaDB. Cloning is cheap and gives the same source.
///
/// Every call opens a connection of its own and closes it; captures and readers keep theirs.
#[derive(Clone, Debug)]
pub struct MysqlSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    endpoint: Endpoint,
    capture: CaptureOptions,
    /// Snapshot readers opened so far.
    readers: AtomicU32,
}

impl MysqlSource {
    /// A source at this address. From `capture.server_id`, which must not be 0, every capture draws a number
    /// of its own below 2^31; the numbers above are for the short looks into the log that snapshot readers
    /// take. Nothing is opened yet.
    pub fn new(endpoint: Endpoint, capture: CaptureOptions) -> Self {
        Self {
            inner: Arc::new(Inner {
                endpoint,
                capture,
                readers: AtomicU32::new(0),
            }),
        }
    }

    /// The same source under another number in the server's list of log readers.
    fn for_reader(&self) -> Self {
        let mut capture = self.inner.capture.clone();
        let reader = self.inner.readers.fetch_add(1, Ordering::Relaxed);
        // Spread, so that sources with neighbouring numbers do not meet.
        let offset = reader.wrapping_mul(0x9E37_79B1) >> 1;
        capture.server_id = capture.server_id.wrapping_add(offset) | 0x8000_0000;
        // Rows that the other direction wrote are in a snapshot or not, like all others.
        capture.own_writes = None;
        Self::new(self.inner.endpoint.clone(), capture)
    }

    /// The options of one capture, under a number that no earlier one had.
    ///
    /// A server ends an older dump with the same number before it begins a new one. That older one may be
    /// writing to a machine that is gone: MariaDB then waits until `net_write_timeout` (a minute) is over,
    /// and a Store that begins elsewhere would wait with it.
    fn for_capture(&self) -> CaptureOptions {
        let mut capture = self.inner.capture.clone();
        // Each has random keys of its own: also two nodes that begin in the same moment differ.
        let random = RandomState::new().hash_one(capture.server_id) as u32;
        capture.server_id = match capture.server_id {
            // Not set; refused where it is used.
            0 => 0,
            base => ((base ^ random) & 0x7fff_ffff).max(1),
        };
        capture
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    /// What the server is, asked now.
    pub async fn info(&self) -> Result<ServerInfo, Failure> {
        let (conn, info) = self.open().await?;
        close(conn).await;
        Ok(info)
    }

    async fn open(&self) -> Result<(Conn, ServerInfo), Failure> {
        let mut conn = connect(&self.inner.endpoint, Side::Source).await?;
        let info = ServerInfo::probe(&mut conn, Side::Source).await?;
        Ok((conn, info))
    }
}

/// What was asked is known already: a connection that breaks while it is closed changes nothing.
async fn close(conn: Conn) {
    if let Err(e) = conn.disconnect().await {
        tracing::debug!(error = %e, "closing a connection");
    }
}

#[async_trait]
impl Source for MysqlSource {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<TableSchema>, Failure> {
        let (mut conn, info) = self.open().await?;
        let tables = Catalog::new(&mut conn, info.flavor, Side::Source)
            .load_tables(names)
            .await?;
        close(conn).await;
        Ok(tables)
    }

    async fn current_position(&self) -> Result<Position, Failure> {
        let (mut conn, info) = self.open().await?;
        let position = binlog::current_position(&mut conn, &info).await?;
        close(conn).await;
        Ok(position)
    }

    async fn start_position(&self) -> Result<Position, Failure> {
        let (mut conn, info) = self.open().await?;
        let position = binlog::start_position(&mut conn, &info).await?;
        close(conn).await;
        Ok(position)
    }

    async fn check_position(&self, position: &Position) -> Result<(), Failure> {
        let (mut conn, info) = self.open().await?;
        binlog::check_position(&mut conn, &info, position).await?;
        close(conn).await;
        Ok(())
    }

    async fn open_capture(&self, from: &Position) -> Result<Box<dyn Capture>, Failure> {
        let capture = BinlogCapture::open(&self.inner.endpoint, &self.for_capture(), from).await?;
        Ok(Box::new(capture))
    }

    fn decoder(&self, tables: Arc<TableMap>, from: &Position) -> Result<Box<dyn LogDecoder>, Failure> {
        let refuse = self.inner.capture.refuse_partial_rows;
        Ok(Box::new(
            BinlogDecoder::new(tables, from.clone())
                .refuse_partial_rows(refuse)
                .leaving_out(self.inner.capture.own_writes.clone()),
        ))
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        let source: Arc<dyn Source> = Arc::new(self.for_reader());
        let endpoint = self.inner.endpoint.clone();
        let reader = MysqlSnapshotReader::open(endpoint, Side::Source, Some(source)).await?;
        Ok(Box::new(reader))
    }
}
