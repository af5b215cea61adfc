//! Where a server's log is, and whether it can be read from somewhere.

use std::time::{Duration, Instant};

use mysql_async::{Conn, Row, prelude::Queryable};
use oms_core::{BinlogPosition, Failure, GtidState, MysqlGtidSet, Position, codes};

use tokio::time::sleep;

use super::owned::owned;
use crate::connection::{Flavor, ServerInfo, Side, failure};

/// The end of the log now. Everything committed before the call is before it.
///
/// Transactions of MySQL that were being committed during the call may be missing in its GTID set
/// while the offset already counts them; a capture from here then delivers them.
///
/// # Errors
/// `OMS-SRC-0006` when the server writes no log, `-0005` when the account may not ask.
pub async fn current_position(conn: &mut Conn, info: &ServerInfo) -> Result<Position, Failure> {
    let (file, offset, executed) = status(conn).await?;
    let gtid = match info.flavor {
        Flavor::MariaDb => {
            // The state at exactly this offset; NULL when the server cannot tell.
            let text: Option<Option<String>> = conn
                .exec_first("SELECT BINLOG_GTID_POS(?, ?)", (&file, offset))
                .await
                .map_err(|e| failure(e, Side::Source))?;
            match text.flatten() {
                Some(text) => GtidState::MariaDb(parse(&text)?),
                None => GtidState::None,
            }
        }
        _ if gtid_mode(conn).await? => GtidState::Mysql(parse(&executed)?),
        _ => GtidState::None,
    };
    Ok(Position::Binlog(BinlogPosition {
        server: info.server.clone(),
        file,
        offset,
        gtid,
    }))
}

/// How long transactions that are in the log may take to be committed.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at them.
const PAUSE: Duration = Duration::from_millis(5);

/// A position to begin at: [`current_position`], of which the offset and the GTID set of MySQL fit together.
///
/// MySQL writes a transaction to the log before it counts it as executed. A capture by GTID delivers those that the
/// set does not name, so none of them may lie before the offset. Therefore: the offset first; then every transaction
/// that was being committed then (it owns its GTID from before it is written until it is committed) is waited for;
/// then the set. What was committed meanwhile is in the set, and lies behind the offset: it was committed before
/// capture begins, and is not captured.
///
/// # Errors
/// Those of [`current_position`]; `OMS-SRC-0013` when a transaction is not committed for half a minute.
pub async fn start_position(conn: &mut Conn, info: &ServerInfo) -> Result<Position, Failure> {
    if info.flavor == Flavor::MariaDb || !gtid_mode(conn).await? {
        return current_position(conn, info).await;
    }
    let (file, offset, _) = status(conn).await?;
    let begun = Instant::now();
    let pending = owned(&variable(conn, "gtid_owned").await?)?;
    let mut still = pending.clone();
    while pending.difference(&still) != pending {
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(
                codes::src::TRANSIENT,
                "a transaction that is in the log is not committed for half a minute",
            ));
        }
        sleep(PAUSE).await;
        still = owned(&variable(conn, "gtid_owned").await?)?;
    }
    let executed = variable(conn, "gtid_executed").await?;
    Ok(Position::Binlog(BinlogPosition {
        server: info.server.clone(),
        file,
        offset,
        gtid: GtidState::Mysql(parse(&executed)?),
    }))
}

async fn variable(conn: &mut Conn, name: &str) -> Result<String, Failure> {
    let text: Option<Option<String>> = conn
        .query_first(format!("SELECT @@global.{name}"))
        .await
        .map_err(|e| failure(e, Side::Source))?;
    Ok(text.flatten().unwrap_or_default())
}

/// Whether the log can still be read from the position.
///
/// # Errors
/// `OMS-SRC-0008` names what is missing and what is there; `OMS-SRC-0014` when the position is
/// another server's and names no transactions, or transactions this server does not know.
pub async fn check_position(conn: &mut Conn, info: &ServerInfo, position: &Position) -> Result<(), Failure> {
    start(conn, info, position).await.map(drop)
}

/// Where a dump that continues behind `position` starts on this server, after checking that it can.
pub(crate) async fn start(
    conn: &mut Conn,
    info: &ServerInfo,
    position: &Position,
) -> Result<BinlogPosition, Failure> {
    let Position::Binlog(from) = position else {
        return Err(Failure::new(
            codes::src::SERVER_CHANGED,
            format!("{position} is not a position in a binary log"),
        ));
    };
    let mut from = from.clone();
    let same_server = from.server == info.server;
    match &from.gtid {
        GtidState::Mysql(set) if info.flavor != Flavor::MariaDb => {
            if !gtid_mode(conn).await? {
                if !same_server {
                    return Err(other_server(info, &from, "gtid_mode is not ON there"));
                }
                from.gtid = GtidState::None;
                check_files(conn, &from).await?;
                return Ok(from);
            }
            check_mysql_gtids(conn, info, &from, set).await?;
        }
        // Whether a MariaDB server can start from here is only known when it is asked.
        GtidState::MariaDb(_) if info.flavor == Flavor::MariaDb => {
            if same_server {
                check_files_if_listed(conn, &from).await?;
            }
        }
        _ if same_server => {
            from.gtid = GtidState::None;
            check_files(conn, &from).await?;
        }
        _ => return Err(other_server(info, &from, "it names no transactions")),
    }
    from.server.clone_from(&info.server);
    Ok(from)
}

fn other_server(info: &ServerInfo, from: &BinlogPosition, why: &str) -> Failure {
    Failure::new(
        codes::src::SERVER_CHANGED,
        format!(
            "the position {from} is of server {}, but {} answers, and {why}",
            from.server, info.server
        ),
    )
}

async fn check_mysql_gtids(
    conn: &mut Conn,
    info: &ServerInfo,
    from: &BinlogPosition,
    set: &MysqlGtidSet,
) -> Result<(), Failure> {
    let row: Option<(String, String)> = conn
        .query_first("SELECT @@global.gtid_purged, @@global.gtid_executed")
        .await
        .map_err(|e| failure(e, Side::Source))?;
    let (purged, executed) = row.unwrap_or_default();
    let purged: MysqlGtidSet = parse(&purged)?;
    let executed: MysqlGtidSet = parse(&executed)?;
    let missing = purged.difference(set);
    if !missing.is_empty() {
        return Err(Failure::new(
            codes::src::LOG_PURGED,
            format!(
                "{from}: the transactions {missing} are needed but purged; there are {} in {}",
                executed.difference(&purged),
                files_text(&files(conn).await?)
            ),
        ));
    }
    let unknown = set.difference(&executed);
    if !unknown.is_empty() {
        return Err(Failure::new(
            codes::src::SERVER_CHANGED,
            format!(
                "{from}: server {} does not know the transactions {unknown} of the position",
                info.server
            ),
        ));
    }
    Ok(())
}

async fn check_files(conn: &mut Conn, from: &BinlogPosition) -> Result<(), Failure> {
    let files = files(conn).await?;
    match files.iter().find(|(name, _)| *name == from.file) {
        Some((_, size)) if *size >= from.offset => Ok(()),
        Some((_, size)) => Err(Failure::new(
            codes::src::LOG_PURGED,
            format!(
                "{}:{} is wanted, but the file ends at {size}: the log was reset or lost its end",
                from.file, from.offset
            ),
        )),
        None => Err(Failure::new(
            codes::src::LOG_PURGED,
            format!(
                "{}:{} is wanted, but there are only {}",
                from.file,
                from.offset,
                files_text(&files)
            ),
        )),
    }
}

/// The same for a position that is looked up by transactions: only a file that is older than all
/// that are there is a sign, because an intact log may have gone on to other files.
async fn check_files_if_listed(conn: &mut Conn, from: &BinlogPosition) -> Result<(), Failure> {
    let files = files(conn).await?;
    let number = |name: &str| name.rsplit_once('.').and_then(|(_, d)| d.parse::<u64>().ok());
    let oldest = files.first().and_then(|(name, _)| number(name));
    match (from.file_number(), oldest) {
        (Some(wanted), Some(oldest)) if wanted < oldest => Err(Failure::new(
            codes::src::LOG_PURGED,
            format!("{from} is wanted, but there are only {}", files_text(&files)),
        )),
        _ => Ok(()),
    }
}

fn files_text(files: &[(String, u64)]) -> String {
    match (files.first(), files.last()) {
        (Some((first, _)), Some((last, size))) => format!("the files {first} to {last}:{size}"),
        _ => "no files".to_owned(),
    }
}

/// Names and sizes of the log's files, oldest first.
async fn files(conn: &mut Conn) -> Result<Vec<(String, u64)>, Failure> {
    let rows: Vec<Row> = conn
        .query("SHOW BINARY LOGS")
        .await
        .map_err(|e| failure(e, Side::Source))?;
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((row.get(0)?, row.get(1)?)))
        .collect())
}

/// File, offset and (of MySQL) executed transactions.
async fn status(conn: &mut Conn) -> Result<(String, u64, String), Failure> {
    // MySQL 8.4 dropped the old statement; others do not know the new one.
    let row: Option<Row> = match conn.query_first("SHOW BINARY LOG STATUS").await {
        Ok(row) => row,
        Err(mysql_async::Error::Server(e)) if e.code == 1064 => conn
            .query_first("SHOW MASTER STATUS")
            .await
            .map_err(|e| failure(e, Side::Source))?,
        Err(e) => return Err(failure(e, Side::Source)),
    };
    let Some(row) = row else {
        return Err(Failure::new(
            codes::src::LOG_DISABLED,
            "the server shows no binary log",
        ));
    };
    let executed = row
        .get_opt::<String, _>(4)
        .and_then(Result::ok)
        .unwrap_or_default();
    match (row.get(0), row.get(1)) {
        (Some(file), Some(offset)) => Ok((file, offset, executed)),
        _ => Err(Failure::new(
            codes::src::STATEMENT_FAILED,
            "the binary log status has an unexpected form",
        )),
    }
}

/// Whether every transaction of the log has a GTID.
async fn gtid_mode(conn: &mut Conn) -> Result<bool, Failure> {
    let row: Option<(String, String)> = conn
        .query_first("SHOW GLOBAL VARIABLES LIKE 'gtid_mode'")
        .await
        .map_err(|e| failure(e, Side::Source))?;
    Ok(row.is_some_and(|(_, value)| value.eq_ignore_ascii_case("ON")))
}

fn parse<T: std::str::FromStr<Err = oms_core::GtidParseError>>(text: &str) -> Result<T, Failure> {
    text.parse()
        .map_err(|e| Failure::new(codes::src::STATEMENT_FAILED, "the server's GTID state").with_source(e))
}

#[cfg(test)]
mod tests {
    use oms_core::MariaDbGtidPosition;

    use super::*;

    #[test]
    fn states_of_servers_parse() {
        let set: MysqlGtidSet =
            parse("6f6d736e-6f64-4500-8000-000000000001:1-5,\n6f6d736e-6f64-4500-8000-000000000002:7")
                .unwrap();
        assert_eq!(set.iter().count(), 2);
        let position: MariaDbGtidPosition = parse("0-1-5,2-1-9").unwrap();
        assert_eq!(position.get(2), Some((1, 9)));
        assert!(parse::<MysqlGtidSet>("nonsense").is_err());
    }
}
