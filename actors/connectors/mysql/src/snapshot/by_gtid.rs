//! The position of a snapshot of MySQL with GTID mode on.
//!
//! The argument is in `node/docs/snapshot-and-log.md`.

use mysql_async::{Conn, prelude::Queryable};
use oms_core::{Failure, GtidState, MysqlGtidSet, Position};

use super::{
    consistent::{at_source, run, unknown},
    gap::{Gap, Membership},
    rounds::Rounds,
};
use crate::{binlog, connection::ServerInfo};

/// Begins a snapshot whose position can be told.
pub(super) async fn begin(conn: &mut Conn, info: &ServerInfo, gap: &Gap<'_>) -> Result<Position, Failure> {
    let mut rounds = Rounds::begin(conn.id());
    while let Some(looks) = rounds.next() {
        let low = binlog::current_position(conn, info).await?;
        let in_log = executed(&low)?.clone();
        let mut look = take(conn).await?;
        for _ in 1..looks {
            if look.is_settled() {
                break;
            }
            rounds.pause().await;
            look = take(conn).await?;
        }
        if let Some(position) = place(conn, info, gap, &low, &in_log, &look).await? {
            return Ok(position);
        }
        run(conn, "ROLLBACK").await?;
        tracing::debug!("the tables changed while the snapshot was taken");
        rounds.pause().await;
    }
    Err(unknown(rounds.failure_text()))
}

/// The position of the snapshot that `look` was taken around.
async fn place(
    conn: &mut Conn,
    info: &ServerInfo,
    gap: &Gap<'_>,
    low: &Position,
    in_log: &MysqlGtidSet,
    look: &Look,
) -> Result<Option<Position>, Failure> {
    if !look.is_continuous {
        return Ok(None);
    }
    if look.is_settled() && in_log.is_superset(&look.before) {
        return Ok(Some(low.clone()));
    }
    // What a capture from `low` leaves out must be known to be in the snapshot. MySQL 5.6 counts transactions as
    // executed that are not committed yet.
    if look.unsure.difference(in_log) != look.unsure {
        return Ok(None);
    }
    let high = binlog::current_position(conn, info).await?;
    gap.cut(low, &high, |id| look.membership(id)).await
}

fn executed(position: &Position) -> Result<&MysqlGtidSet, Failure> {
    match position {
        Position::Binlog(p) => match &p.gtid {
            GtidState::Mysql(set) => Ok(set),
            _ => Err(unknown("GTID mode was changed while the snapshot was taken")),
        },
        _ => Err(unknown("the position is not one of a binary log")),
    }
}

/// What a server tells before and after it takes a snapshot, in one packet: the order of the statements carries
/// the argument, and nothing but the server's own work lies between them.
const LOOK: &str = "SELECT @@global.gtid_executed; SELECT @@global.gtid_owned; \
                    START TRANSACTION WITH CONSISTENT SNAPSHOT; \
                    SELECT @@global.gtid_owned; SELECT @@global.gtid_executed";

/// A snapshot, and what is known of it.
#[derive(Debug)]
struct Look {
    /// Certainly in the snapshot: they were executed and not owned any more.
    before: MysqlGtidSet,
    /// All that existed when the snapshot had been taken; others are certainly not in it.
    known: MysqlGtidSet,
    /// Those that existed and are not certain.
    unsure: MysqlGtidSet,
    /// Whether what was executed before is still.
    is_continuous: bool,
}

impl Look {
    fn new(
        executed_before: &MysqlGtidSet,
        owned_before: &MysqlGtidSet,
        owned_after: &MysqlGtidSet,
        executed_after: &MysqlGtidSet,
    ) -> Self {
        let before = executed_before.difference(owned_before);
        let mut known = executed_after.clone();
        for (uuid, tag, intervals) in owned_after.iter() {
            for &(start, end) in intervals {
                known.insert_interval(uuid, tag, start, end);
            }
        }
        Self {
            unsure: known.difference(&before),
            is_continuous: executed_after.is_superset(executed_before),
            before,
            known,
        }
    }

    /// Whether it is certain of every transaction.
    fn is_settled(&self) -> bool {
        self.unsure.is_empty()
    }

    fn membership(&self, id: Option<&str>) -> Membership {
        let Some(Ok(id)) = id.map(str::parse::<MysqlGtidSet>) else {
            return Membership::Unsure;
        };
        if self.before.is_superset(&id) {
            Membership::In
        } else if self.known.is_superset(&id) {
            Membership::Unsure
        } else {
            Membership::Out
        }
    }
}

async fn take(conn: &mut Conn) -> Result<Look, Failure> {
    let mut result = conn.query_iter(LOOK).await.map_err(at_source)?;
    let mut answers = Vec::with_capacity(4);
    while !result.is_empty() {
        answers.extend(result.collect::<Option<String>>().await.map_err(at_source)?);
    }
    drop(result);
    let [executed_before, owned_before, owned_after, executed_after] = answers.as_slice() else {
        return Err(unknown(format!(
            "{} answers came for the state of GTIDs around a snapshot",
            answers.len()
        )));
    };
    let text = |answer: &Option<String>| answer.clone().unwrap_or_default();
    let set = |answer| {
        let parsed = text(answer).parse::<MysqlGtidSet>();
        parsed.map_err(|e| unknown("the server's GTID state cannot be read").with_source(e))
    };
    Ok(Look::new(
        &set(executed_before)?,
        &binlog::owned(&text(owned_before))?,
        &binlog::owned(&text(owned_after))?,
        &set(executed_after)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "8f55295b-e4c4-11f1-a147-02fc00000001";

    fn set(text: &str) -> MysqlGtidSet {
        if text.is_empty() {
            return MysqlGtidSet::default();
        }
        format!("{A}:{text}").parse().unwrap()
    }

    #[test]
    fn transactions_are_told_apart() {
        // 4 is executed and owned, as MySQL 5.6 shows what is written and not committed; 5 was owned and is done by now;
        // 6 came while the snapshot was taken.
        let look = Look::new(&set("1-4"), &set("4-5"), &set("6"), &set("1-5"));
        let of = |n: u32| look.membership(Some(&format!("{A}:{n}")));
        assert_eq!([of(1), of(3)], [Membership::In; 2]);
        assert_eq!([of(4), of(5), of(6)], [Membership::Unsure; 3]);
        assert_eq!(of(7), Membership::Out);
        assert_eq!(look.membership(None), Membership::Unsure);
        assert_eq!(look.membership(Some("ANONYMOUS")), Membership::Unsure);
        assert!(!look.is_settled() && look.is_continuous);
        assert!(Look::new(&set("1-4"), &set(""), &set(""), &set("1-4")).is_settled());
        // RESET BINARY LOGS AND GTIDS in between.
        assert!(!Look::new(&set("1-4"), &set(""), &set(""), &set("1-2")).is_continuous);
    }
}
