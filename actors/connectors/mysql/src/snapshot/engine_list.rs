//! The position of a snapshot of MySQL without GTID mode, from the list of InnoDB's transactions.
//!
//! The slow way, for servers whose engine status cannot be used. The argument is in
//! `node/docs/snapshot-and-log.md`.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mysql_async::{Conn, Row, prelude::Queryable};
use oms_core::{Failure, Position};

use super::{
    consistent::{at_source, run, unknown},
    gap::Gap,
    rounds::{Rounds, random_byte},
};
use crate::{binlog, connection::ServerInfo};

/// How long transactions that are in the log may take to become visible.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the server.
const PAUSE: Duration = Duration::from_millis(120);
/// Longest wait between two looks at a list that others look at too.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Begins a snapshot whose position can be told.
pub(super) async fn begin(conn: &mut Conn, info: &ServerInfo, gap: &Gap<'_>) -> Result<Position, Failure> {
    let mut rounds = Rounds::begin(conn.id());
    while rounds.next().is_some() {
        let low = binlog::current_position(conn, info).await?;
        wait_for_engine(conn).await?;
        run(conn, "START TRANSACTION WITH CONSISTENT SNAPSHOT").await?;
        let high = binlog::current_position(conn, info).await?;
        if let Some(position) = gap.untouched(&low, &high).await? {
            return Ok(position);
        }
        run(conn, "ROLLBACK").await?;
        tracing::debug!("the tables changed while the snapshot was taken");
    }
    Err(unknown(format!(
        "{}, or enable GTID mode at the source",
        rounds.failure_text()
    )))
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
        let bound = (PAUSE * 2 * self.taken).min(LONGEST_PAUSE);
        let half = bound / 2;
        half + half * u32::from(random_byte(&mut self.state)) / 255
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
}
