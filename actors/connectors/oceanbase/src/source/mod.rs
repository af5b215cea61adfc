//! OceanBase as a source, read in rounds between two moments. The argument is in `node/docs/oceanbase-source.md`.

mod batch;
mod capture;
mod decoder;
mod moment;
mod outlet;
mod reader;
mod round;
mod shape;
mod statement;

use std::sync::Arc;

use async_trait::async_trait;
use mysql_async::Conn;
use oms_core::{
    Capture, Failure, LogDecoder, Position, ScnPosition, SnapshotReader, Source, TableMap, TableName,
    TableSchema, codes,
};
use oms_mysql::{
    catalog::Catalog,
    connection::{Endpoint, Flavor, ServerInfo, Side, connect},
    snapshot::MysqlSnapshotReader,
};

use capture::RoundCapture;
use decoder::RoundDecoder;
use reader::OceanBaseReader;

/// Reads from a tenant of OceanBase in MySQL mode, or from seekdb, over SQL alone.
///
/// The log of this source is made by looking: each transaction of it is a *round*, the net difference of the followed
/// tables between two system change numbers. Which tables are followed is fixed when the source is made. Positions
/// compare by number; they also hold what the tables were like, and where that differs nothing is read
/// (`OMS-SRC-0019`).
#[derive(Clone, Debug)]
pub struct OceanBaseSource {
    endpoint: Endpoint,
    tables: Arc<[TableName]>,
    as_of: Option<ScnPosition>,
}

impl OceanBaseSource {
    /// A source at this address that follows these tables, named as the server writes them. Nothing is opened yet.
    pub fn new(endpoint: Endpoint, tables: impl IntoIterator<Item = TableName>) -> Self {
        let mut tables: Vec<TableName> = tables.into_iter().collect();
        tables.sort();
        tables.dedup();
        Self {
            endpoint,
            tables: tables.into(),
            as_of: None,
        }
    }

    /// The same source, whose readers see all rows as they were at a position: what follows it is exactly what they
    /// lack.
    ///
    /// # Errors
    /// `OMS-SRC-0014` when the position is not one of OceanBase.
    pub fn reading_as_of(mut self, position: &Position) -> Result<Self, Failure> {
        self.as_of = Some(moment::of(position)?.clone());
        Ok(self)
    }

    async fn open(&self) -> Result<(Conn, ServerInfo), Failure> {
        let mut conn = connect(&self.endpoint, Side::Source).await?;
        let info = ServerInfo::probe(&mut conn, Side::Source).await?;
        if info.flavor == Flavor::OceanBase {
            return Ok((conn, info));
        }
        let words = format!("{} ({}) answers, not OceanBase", info.flavor.name(), info.version);
        Err(Failure::new(codes::src::SERVER_CHANGED, words))
    }

    /// Refuses a position that rounds cannot go on from; gives the connection back.
    async fn can_go_on(&self, from: &ScnPosition) -> Result<(), Failure> {
        let (mut conn, info) = self.open().await?;
        moment::is_of(from, &info)?;
        let now = moment::current(&mut conn).await?;
        if from.scn > now {
            let words = format!("{from} lies behind the source's own time, SCN {now}");
            return Err(Failure::new(codes::src::LOG_PURGED, words));
        }
        shape::read(&mut conn, &self.tables).await?.must_be(from)?;
        for table in self.tables.iter() {
            moment::is_kept(&mut conn, table, from.scn).await?;
        }
        close(conn).await;
        Ok(())
    }
}

/// What was asked is known already: a connection that breaks while it is closed changes nothing.
async fn close(conn: Conn) {
    if let Err(e) = conn.disconnect().await {
        tracing::debug!(error = %e, "closing a connection");
    }
}

#[async_trait]
impl Source for OceanBaseSource {
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
        // First the moment: what the tables are like is then not older than it.
        let scn = moment::current(&mut conn).await?;
        let shape = shape::read(&mut conn, &self.tables).await?;
        if let Some(began) = &self.as_of {
            // What was read as of then was read of these tables.
            shape.must_be(began)?;
        }
        close(conn).await;
        Ok(Position::Scn(ScnPosition {
            server: info.server,
            scn,
            shape: shape.digest().to_owned(),
        }))
    }

    async fn check_position(&self, position: &Position) -> Result<(), Failure> {
        self.can_go_on(moment::of(position)?).await
    }

    async fn open_capture(&self, from: &Position) -> Result<Box<dyn Capture>, Failure> {
        let from = moment::of(from)?.clone();
        self.can_go_on(&from).await?;
        let capture = RoundCapture::start(self.endpoint.clone(), self.tables.clone(), from);
        Ok(Box::new(capture))
    }

    fn decoder(&self, tables: Arc<TableMap>, _: &Position) -> Result<Box<dyn LogDecoder>, Failure> {
        Ok(Box::new(RoundDecoder::new(tables)))
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        if let Some(as_of) = &self.as_of {
            let (mut conn, info) = self.open().await?;
            moment::is_of(as_of, &info)?;
            shape::read(&mut conn, &self.tables).await?.must_be(as_of)?;
            close(conn).await;
        }
        let inner = MysqlSnapshotReader::open(self.endpoint.clone(), Side::Source, None).await?;
        Ok(Box::new(OceanBaseReader::new(
            inner,
            self.clone(),
            self.as_of.clone(),
        )))
    }
}
