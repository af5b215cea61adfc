//! A consistent snapshot at a known log position, without locks.
//!
//! The argument why the position is right is in `node/docs/snapshot-and-log.md`.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use mysql_async::{Conn, Row, prelude::Queryable};
use oms_core::{
    BinlogPosition, Failure, GtidState, LogEvent, MariaDbGtidPosition, Position, Source, TableMap, TableName,
    TableSchema, codes,
};

use crate::connection::{Flavor, Side, failure};

/// Snapshots that are tried until no transaction on the tables falls into the gap.
const ATTEMPTS: u32 = 30;
/// How long transactions that are in the log may take to become visible, and the log of a gap to
/// be read.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the server.
const PAUSE: Duration = Duration::from_millis(120);
/// Longest wait between two looks at a list that others look at too.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

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

fn unknown(detail: impl Into<String>) -> Failure {
    Failure::new(codes::import::SNAPSHOT_POSITION_UNKNOWN, detail)
}

fn at_source(e: mysql_async::Error) -> Failure {
    failure(e, Side::Source).context("consistent snapshot")
}

async fn run(conn: &mut Conn, statement: &str) -> Result<(), Failure> {
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

/// MySQL does not tell the position of a snapshot, so it is enclosed: everything before `low` is
/// certainly in the snapshot, everything behind `high` certainly not, and the log between the two
/// shows whether anything there concerns the tables. If nothing does, `high` is exact for them.
async fn mysql(conn: &mut Conn, source: &dyn Source, schemas: Vec<TableSchema>) -> Result<Position, Failure> {
    let tables = Arc::new(TableMap::new(schemas.into_iter().map(Arc::new).collect()));
    for attempt in 1..=ATTEMPTS {
        let low = source.current_position().await?;
        wait_until_visible(conn).await?;
        run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        let high = source.current_position().await?;
        if !touched(source, &tables, &low, &high).await? {
            return Ok(high);
        }
        run(conn, "ROLLBACK").await?;
        tracing::debug!(attempt, "the tables changed while the snapshot was taken");
        tokio::time::sleep(PAUSE * attempt.min(8)).await;
    }
    Err(unknown(format!(
        "each of {ATTEMPTS} snapshots met a transaction on these tables; pause their writers for some seconds, or add \
         a key"
    )))
}

/// Waits until every transaction that was in the log when the function was called is visible to new
/// snapshots. A transaction is written to the log *before* the engine commits it.
async fn wait_until_visible(conn: &mut Conn) -> Result<(), Failure> {
    let mode: Option<String> = conn
        .query_first("SELECT @@global.gtid_mode")
        .await
        .map_err(at_source)?;
    if mode.is_some_and(|m| m.eq_ignore_ascii_case("ON")) {
        wait_for_owners(conn).await
    } else {
        wait_for_engine(conn).await
    }
}

/// With GTIDs: a transaction owns its identifier from before it is written to the log until after
/// the engine committed it.
async fn wait_for_owners(conn: &mut Conn) -> Result<(), Failure> {
    let started = Instant::now();
    let first = owned(conn).await?;
    let mut now = first.clone();
    while !first.is_disjoint(&now) {
        if started.elapsed() > PATIENCE {
            return Err(unknown(
                "a transaction that is in the log is not committed for a minute",
            ));
        }
        tokio::time::sleep(PAUSE).await;
        now = owned(conn).await?;
    }
    Ok(())
}

async fn owned(conn: &mut Conn) -> Result<BTreeSet<String>, Failure> {
    let text: Option<String> = conn
        .query_first("SELECT @@global.gtid_owned")
        .await
        .map_err(at_source)?;
    Ok(parse_owned(&text.unwrap_or_default()))
}

/// `uuid:5#34:6#35,uuid:tag:1#36`: every identifier without its thread.
fn parse_owned(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for member in text.split(',').map(str::trim).filter(|m| !m.is_empty()) {
        let mut parts = member.split(':').map(str::trim);
        let uuid = parts.next().unwrap_or_default().to_ascii_lowercase();
        let mut tag = "";
        for part in parts {
            let number = part.split('#').next().unwrap_or_default();
            if number.bytes().all(|b| b.is_ascii_digit()) {
                all.insert(format!("{uuid}:{tag}:{number}"));
            } else {
                tag = part;
            }
        }
    }
    all
}

/// Without GTIDs: a transaction that is in the log and not committed yet is among InnoDB's
/// transactions. That list is served from a cache, so a transaction of our own in it proves that
/// it is no older than this call. The server renews the cache only when nobody has read it for
/// 100 ms (`CACHE_MIN_IDLE_TIME`), so several readers that look often would starve each other: each
/// waits longer every time, and by an amount of its own.
async fn wait_for_engine(conn: &mut Conn) -> Result<(), Failure> {
    let started = Instant::now();
    let late = |what: &str| {
        unknown(format!(
            "{what}; enable GTID mode at the source, or add a key to the table"
        ))
    };
    let me = u64::from(conn.id());
    let mut looks = Looks::of(me);
    loop {
        // Our transaction of an earlier attempt must not be taken for the new one.
        if !transactions(conn).await?.iter().any(|t| t.thread == me) {
            break;
        }
        if started.elapsed() > PATIENCE {
            return Err(late("the list of transactions is not renewed"));
        }
        tokio::time::sleep(looks.next_pause()).await;
    }
    run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
    let writers: BTreeSet<String> = loop {
        let all = transactions(conn).await?;
        if all.iter().any(|t| t.thread == me) {
            break all
                .into_iter()
                .filter(|t| t.thread != me && t.rows_modified > 0)
                .map(|t| t.id)
                .collect();
        }
        if started.elapsed() > PATIENCE {
            run(conn, "ROLLBACK").await?;
            return Err(late("the list of transactions is not renewed"));
        }
        tokio::time::sleep(looks.next_pause()).await;
    };
    run(conn, "ROLLBACK").await?;
    loop {
        let all = transactions(conn).await?;
        if !all.iter().any(|t| writers.contains(&t.id)) {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(late("a writing transaction stays open for a minute"));
        }
        tokio::time::sleep(looks.next_pause()).await;
    }
}

/// Pauses between looks at a shared list: growing, and unlike those of other connections.
struct Looks {
    taken: u32,
    state: u64,
}

impl Looks {
    fn of(connection: u64) -> Self {
        Self {
            taken: 0,
            state: connection,
        }
    }

    /// From 120 ms up to three seconds; each a random part longer than half of its bound.
    fn next_pause(&mut self) -> Duration {
        self.taken = self.taken.saturating_add(1);
        // Knuth's MMIX generator: spread over connections is all that is asked of it.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let bound = (PAUSE * 2 * self.taken).min(LONGEST_PAUSE);
        let half = bound / 2;
        half + half * u32::from((self.state >> 56) as u8) / 255
    }
}

/// `ER_CANNOT_CONVERT_STRING`.
const UNCONVERTIBLE: u16 = 3854;
/// How often the list is asked for again because of it.
const UNCONVERTIBLE_TRIES: u32 = 300;

struct EngineTransaction {
    id: String,
    thread: u64,
    rows_modified: u64,
}

async fn transactions(conn: &mut Conn) -> Result<Vec<EngineTransaction>, Failure> {
    let query = "SELECT CAST(trx_id AS CHAR), trx_mysql_thread_id, trx_rows_modified FROM information_schema.innodb_trx";
    let mut tries = 0;
    let rows: Vec<Row> = loop {
        match conn.query(query).await {
            Ok(rows) => break rows,
            // MySQL 9.7 fails to show the statement of another session that holds characters beyond U+FFFF,
            // although it is not asked for: until that statement is over.
            Err(mysql_async::Error::Server(e)) if e.code == UNCONVERTIBLE && tries < UNCONVERTIBLE_TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(e) => {
                let e = at_source(e);
                let words = format!(
                    "the transactions of InnoDB must be listed (PROCESS privilege), or GTID mode enabled: {}",
                    e.detail()
                );
                return Err(unknown(words).with_source(e));
            }
        }
    };
    rows.into_iter()
        .map(|row| {
            let (id, thread, rows_modified) =
                mysql_async::from_row_opt(row).map_err(|_| unknown("INNODB_TRX has an unknown form"))?;
            Ok(EngineTransaction {
                id,
                thread,
                rows_modified,
            })
        })
        .collect()
}

/// Whether the log between two positions changes one of the tables.
async fn touched(
    source: &dyn Source,
    tables: &Arc<TableMap>,
    low: &Position,
    high: &Position,
) -> Result<bool, Failure> {
    if low >= high {
        return Ok(false);
    }
    let read = async {
        let mut decoder = source.decoder(Arc::clone(tables), low)?;
        let mut capture = source.open_capture(low).await?;
        let mut events = Vec::new();
        // Whether the transaction being read concerns the tables. One that ends at or before `low`
        // (a capture by GTID may repeat some) is in the snapshot.
        let mut concerned = false;
        loop {
            let record = capture.next().await?;
            decoder.decode(&record, &mut events)?;
            for event in events.drain(..) {
                match event {
                    LogEvent::Begin { .. } | LogEvent::Abort => concerned = false,
                    LogEvent::Row(_) => concerned = true,
                    LogEvent::Commit { position, .. } if concerned && position > *low => return Ok(true),
                    LogEvent::Ddl { position, .. } if position > *low => return Ok(true),
                    LogEvent::Commit { .. } | LogEvent::Ddl { .. } | LogEvent::Heartbeat { .. } => {
                        concerned = false
                    }
                }
            }
            if record.position.as_ref().is_some_and(|p| p >= high) {
                return Ok(false);
            }
        }
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(result) => result,
        Err(_) => Err(unknown(
            "the log between two positions could not be read within a minute",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_differ_between_connections() {
        let pauses = |id| {
            let mut looks = Looks::of(id);
            (0..20).map(|_| looks.next_pause()).collect::<Vec<_>>()
        };
        for id in 1..50 {
            let of = pauses(id);
            assert!(of.iter().all(|p| (PAUSE..=LONGEST_PAUSE).contains(p)), "{of:?}");
            assert_ne!(of, pauses(id + 1));
        }
    }

    #[test]
    fn owned_identifiers_are_told_apart() {
        let a = "8f55295b-e4c4-11f1-a147-02fc00000001";
        let got = parse_owned(&format!("{a}:5#34:6#35,\n{a}:tag:1#36"));
        let want: BTreeSet<String> = [format!("{a}::5"), format!("{a}::6"), format!("{a}:tag:1")].into();
        assert_eq!(got, want);
        assert!(parse_owned("").is_empty());
    }
}
