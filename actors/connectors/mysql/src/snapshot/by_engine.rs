//! The position of a snapshot of MySQL without GTID mode.
//!
//! The argument is in `node/docs/snapshot-and-log.md`.

use std::collections::BTreeSet;

use mysql_async::{Conn, Row, prelude::Queryable};
use oms_core::{BinlogPosition, Failure, GtidState, Position};

use super::{
    consistent::{at_source, unknown},
    engine_list,
    gap::Gap,
    rounds::Rounds,
};
use crate::connection::ServerInfo;

/// Begins a snapshot whose position can be told.
pub(super) async fn begin(conn: &mut Conn, info: &ServerInfo, gap: &Gap<'_>) -> Result<Position, Failure> {
    let Some(statement) = look_statement(conn).await? else {
        return engine_list::begin(conn, info, gap).await;
    };
    let mut rounds = Rounds::begin(conn.id());
    while let Some(looks) = rounds.next() {
        let mut last = None;
        for n in 0..looks {
            if n > 0 {
                rounds.pause().await;
            }
            let Some(look) = take(conn, &statement).await? else {
                tracing::debug!("the engine's status is not complete; asking for its list of transactions");
                return engine_list::begin(conn, info, gap).await;
            };
            if look.is_enclosed && look.low == look.high {
                return Ok(look.high.position(info));
            }
            last = Some(look);
        }
        if let Some(look) = last.filter(|look| look.is_enclosed) {
            let (low, high) = (look.low.position(info), look.high.position(info));
            if let Some(position) = gap.untouched(&low, &high).await? {
                return Ok(position);
            }
        }
        conn.query_drop("ROLLBACK").await.map_err(at_source)?;
        tracing::debug!("the tables changed while the snapshot was taken");
        rounds.pause().await;
    }
    Err(unknown(format!(
        "{}, or enable GTID mode at the source",
        rounds.failure_text()
    )))
}

/// A place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LogPlace {
    file: String,
    offset: u64,
}

impl LogPlace {
    fn position(&self, info: &ServerInfo) -> Position {
        Position::Binlog(BinlogPosition {
            server: info.server.clone(),
            file: self.file.clone(),
            offset: self.offset,
            gtid: GtidState::None,
        })
    }
}

/// A snapshot, and what is known of it.
#[derive(Debug)]
struct Look {
    /// Ends of the log before and after it was taken.
    low: LogPlace,
    high: LogPlace,
    /// Whether it certainly holds all that is before `low`.
    is_enclosed: bool,
}

/// The statements of a look, in one packet; `None` where the engine's status cannot be relied on.
async fn look_statement(conn: &mut Conn) -> Result<Option<String>, Failure> {
    // While it prints locks, it may let go of its list of transactions and miss some.
    let prints_locks: Option<(String, String)> = conn
        .query_first("SHOW GLOBAL VARIABLES LIKE 'innodb_status_output_locks'")
        .await
        .map_err(at_source)?;
    if !prints_locks.is_some_and(|(_, value)| value.eq_ignore_ascii_case("OFF")) {
        return Ok(None);
    }
    let place = match conn.query_drop("SHOW BINARY LOG STATUS").await {
        Ok(()) => "SHOW BINARY LOG STATUS",
        Err(mysql_async::Error::Server(e)) if e.code == 1064 => "SHOW MASTER STATUS",
        Err(e) => return Err(at_source(e)),
    };
    Ok(Some(format!(
        "{place}; SHOW ENGINE INNODB STATUS; SHOW ENGINE INNODB STATUS; \
         START TRANSACTION WITH CONSISTENT SNAPSHOT; {place}"
    )))
}

/// `None`: the status does not show all transactions, or may not be asked for.
async fn take(conn: &mut Conn, statement: &str) -> Result<Option<Look>, Failure> {
    let mut result = conn.query_iter(statement).await.map_err(at_source)?;
    let mut answers: Vec<Row> = Vec::with_capacity(4);
    while !result.is_empty() {
        match result.collect::<Row>().await {
            Ok(rows) => answers.extend(rows),
            // The account may not (ER_SPECIFIC_ACCESS_DENIED_ERROR): the other way says what is missing.
            Err(mysql_async::Error::Server(e)) if e.code == 1227 => {
                drop(result);
                return Ok(None);
            }
            Err(e) => return Err(at_source(e)),
        }
    }
    drop(result);
    let [low, first, second, high] = answers.as_slice() else {
        return Err(unknown(format!(
            "{} answers came for the state of the log around a snapshot",
            answers.len()
        )));
    };
    let (first, second) = (status(first), status(second));
    let (Some(first), Some(second)) = (writers(&first), writers(&second)) else {
        return Ok(None);
    };
    Ok(Some(Look {
        low: log_place(low)?,
        high: log_place(high)?,
        is_enclosed: first.is_disjoint(&second),
    }))
}

fn log_place(row: &Row) -> Result<LogPlace, Failure> {
    match (row.get(0), row.get(1)) {
        (Some(file), Some(offset)) => Ok(LogPlace { file, offset }),
        _ => Err(unknown("the binary log status has an unexpected form")),
    }
}

fn status(row: &Row) -> String {
    let bytes: Option<Vec<u8>> = row.get(2);
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}

/// The numbers of the transactions that changed rows and are not committed, from the text of `SHOW ENGINE INNODB
/// STATUS`. `None`: the text is not complete or has another form.
///
/// Statements of sessions are part of the text and may hold anything. They come behind the lines that matter of
/// their transaction, and whatever they pretend can only add transactions.
fn writers(text: &str) -> Option<BTreeSet<&str>> {
    let (_, list) = text.split_once("\nLIST OF TRANSACTIONS FOR EACH SESSION:\n")?;
    if !text.trim_end().ends_with("============================") || text.contains("... truncated...") {
        return None;
    }
    let mut writers = BTreeSet::new();
    let mut current = None;
    for line in list.lines() {
        if let Some(head) = line.strip_prefix("---TRANSACTION ") {
            let (id, state) = head.split_once(',')?;
            current = Some(id);
            // States that are not known count as writing.
            let reads = state.trim_start().starts_with("not started")
                || state.trim_start().starts_with("ACTIVE") && !state.contains("PREPARED");
            if !reads {
                writers.insert(id);
            }
        } else if line.contains("undo log entries")
            && let Some(id) = current
        {
            writers.insert(id);
        }
    }
    Some(writers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As MySQL 5.6 and 9.7 print it, shortened.
    const TEXT: &str = "\n=====================================\n2026-11-20 12:27:51 7f3 INNODB MONITOR OUTPUT\n\
        =====================================\n------------\nTRANSACTIONS\n------------\nTrx id counter 1291\n\
        LIST OF TRANSACTIONS FOR EACH SESSION:\n\
        ---TRANSACTION 375300694608288, not started\n0 lock struct(s), heap size 1128, 0 row lock(s)\n\
        ---TRANSACTION 1290, ACTIVE 0 sec\nMySQL thread id 5, query id 20 127.0.0.1 root init\n\
        show engine innodb status\n\
        ---TRANSACTION 1289, ACTIVE 1 sec\n1 lock struct(s), heap size 360, 0 row lock(s), undo log entries 1\n\
        MySQL thread id 4, query id 17 127.0.0.1 root User sleep\nselect sleep(6)\n\
        ---TRANSACTION 1287, ACTIVE (PREPARED) 0 sec preparing\n1 lock struct(s)\n\
        ---TRANSACTION 1286, COMMITTED IN MEMORY\n\
        --------\nFILE I/O\n--------\n----------------------------\nEND OF INNODB MONITOR OUTPUT\n\
        ============================\n";

    #[test]
    fn writers_are_found_in_the_engines_status() {
        let found = writers(TEXT).unwrap();
        assert_eq!(found, ["1286", "1287", "1289"].into());
    }

    #[test]
    fn statements_cannot_hide_a_writer() {
        let text = TEXT.replace(
            "show engine innodb status\n",
            "select '\n--------\nFILE I/O\nEND OF INNODB MONITOR OUTPUT\n---TRANSACTION 1289, not started\n'\n",
        );
        assert!(writers(&text).unwrap().contains("1289"));
    }

    #[test]
    fn an_incomplete_status_is_not_used() {
        let (half, _) = TEXT.split_once("--------\nFILE").unwrap();
        assert!(writers(half).is_none());
        assert!(
            writers(&TEXT.replace("---TRANSACTION 1287", "... truncated...\n---TRANSACTION 1287")).is_none()
        );
        assert!(writers("").is_none());
        assert!(writers(&TEXT.replace("1289, ACTIVE", "1289 is")).is_none());
    }
}
