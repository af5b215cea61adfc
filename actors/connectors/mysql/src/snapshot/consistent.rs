//! A consistent snapshot at a known log position, without locks.
//!
//! The argument why the position is right is in `node/docs/snapshot-and-log.md`.

use std::sync::Arc;

use mysql_async::{Conn, prelude::Queryable};
use oms_core::{
    BinlogPosition, Failure, GtidState, MariaDbGtidPosition, Position, Source, TableMap, TableName,
    TableSchema, codes,
};

use super::{by_engine, by_gtid, gap::Gap};
use crate::connection::{Flavor, ServerInfo, Side, failure};

/// Begins the snapshot on the connection and returns its position.
pub(super) async fn begin(
    conn: &mut Conn,
    flavor: Flavor,
    source: &dyn Source,
    tables: &[TableName],
) -> Result<Position, Failure> {
    let schemas = source.load_tables(tables).await?;
    let foreign: Vec<String> = schemas
        .iter()
        .filter(|t| !t.engine.eq_ignore_ascii_case("InnoDB"))
        .map(|t| format!("{} ({})", t.name, t.engine))
        .collect();
    if !foreign.is_empty() {
        return Err(unknown(format!(
            "tables whose engine has no snapshots: {}",
            foreign.join(", ")
        )));
    }
    run(conn, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    match flavor {
        Flavor::MariaDb => mariadb(conn, source).await,
        Flavor::Mysql => mysql(conn, source, schemas).await,
        Flavor::OceanBase | Flavor::TiDb => Err(unknown(format!("{} tells no log position", flavor.name()))),
    }
}

pub(super) fn unknown(detail: impl Into<String>) -> Failure {
    Failure::new(codes::import::SNAPSHOT_POSITION_UNKNOWN, detail)
}

pub(super) fn at_source(e: mysql_async::Error) -> Failure {
    failure(e, Side::Source).context("consistent snapshot")
}

pub(super) async fn run(conn: &mut Conn, statement: &str) -> Result<(), Failure> {
    conn.query_drop(statement).await.map_err(at_source)
}

fn binlog(position: Position) -> Result<BinlogPosition, Failure> {
    match position {
        Position::Binlog(p) => Ok(p),
        _ => Err(unknown("the position is not one of a binary log")),
    }
}

/// MariaDB takes the snapshot between two group commits and tells its position
/// (<https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/>).
async fn mariadb(conn: &mut Conn, source: &dyn Source) -> Result<Position, Failure> {
    let server = binlog(source.current_position().await?)?.server;
    run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    let status: Vec<(String, String)> = conn
        .query("SHOW STATUS LIKE 'binlog_snapshot_%'")
        .await
        .map_err(at_source)?;
    let find = |name: &str| {
        let entry = status.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        entry.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let file = find("binlog_snapshot_file").to_owned();
    let offset = find("binlog_snapshot_position").parse::<u64>();
    let (false, Ok(offset)) = (file.is_empty(), offset) else {
        return Err(unknown(
            "the server does not tell binlog_snapshot_file and binlog_snapshot_position",
        ));
    };
    let gtid: Option<Option<String>> = conn
        .exec_first("SELECT BINLOG_GTID_POS(?, ?)", (&file, offset))
        .await
        .map_err(at_source)?;
    let gtid: MariaDbGtidPosition = gtid
        .flatten()
        .ok_or_else(|| unknown(format!("the server knows no GTID position at {file}:{offset}")))?
        .parse()
        .map_err(|e| unknown("the server's GTID position cannot be read").with_source(e))?;
    Ok(Position::Binlog(BinlogPosition {
        server,
        file,
        offset,
        gtid: GtidState::MariaDb(gtid),
    }))
}

/// MySQL does not tell the position of a snapshot; it is found out by what the server shows around it.
async fn mysql(conn: &mut Conn, source: &dyn Source, schemas: Vec<TableSchema>) -> Result<Position, Failure> {
    let info = ServerInfo::probe(conn, Side::Source).await?;
    let tables = Arc::new(TableMap::new(schemas.into_iter().map(Arc::new).collect()));
    let gap = Gap::new(source, tables);
    let mode: Option<String> = conn
        .query_first("SELECT @@global.gtid_mode")
        .await
        .map_err(at_source)?;
    if mode.is_some_and(|m| m.eq_ignore_ascii_case("ON")) {
        by_gtid::begin(conn, &info, &gap).await
    } else {
        by_engine::begin(conn, &info, &gap).await
    }
}
