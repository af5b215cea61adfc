//! Moments: what the source's numbers mean, and whether it still keeps one.

use mysql_async::{Conn, prelude::Queryable as _};
use oms_core::{Failure, Position, ScnPosition, TableName, codes};
use oms_mysql::connection::{ServerInfo, Side, failure};

/// The moment of a position.
pub(super) fn of(position: &Position) -> Result<&ScnPosition, Failure> {
    match position {
        Position::Scn(moment) => Ok(moment),
        _ => Err(Failure::new(
            codes::src::SERVER_CHANGED,
            format!("{position} is no position of OceanBase"),
        )),
    }
}

/// Refuses a moment of another server.
pub(super) fn is_of(moment: &ScnPosition, info: &ServerInfo) -> Result<(), Failure> {
    if moment.server == info.server {
        return Ok(());
    }
    let words = format!(
        "{moment} belongs to {}, and {} answers",
        moment.server, info.server
    );
    Err(Failure::new(codes::src::SERVER_CHANGED, words))
}

/// A moment such that every transaction that commits from now on gets a greater number, and every one that committed
/// before does not.
pub(super) async fn current(conn: &mut Conn) -> Result<u64, Failure> {
    let scn: Option<u64> = conn
        .query_first("SELECT current_scn()")
        .await
        .map_err(|e| failure(e, Side::Source).context("the present SCN"))?;
    scn.ok_or_else(|| Failure::new(codes::src::LOG_DISABLED, "the server tells no present SCN"))
}

/// Tries to read a table as it was.
pub(super) async fn is_kept(conn: &mut Conn, table: &TableName, scn: u64) -> Result<(), Failure> {
    conn.query_drop(format!("SELECT 1 FROM {table} AS OF SNAPSHOT {scn} LIMIT 1"))
        .await
        .map_err(|e| explained(failure(e, Side::Source).context(table), scn))
}

/// Says what the server's refusal to show rows of a moment means.
///
/// OceanBase gives 4344 and 4138 for a moment that is not kept any more, 1210 for one that it cannot read, and 1412 for a
/// table whose storage is younger than the moment.
pub(super) fn explained(refused: Failure, scn: u64) -> Failure {
    if refused.code() != codes::src::STATEMENT_FAILED {
        return refused;
    }
    let is = |number: u32| refused.detail().contains(&format!("error {number} ("));
    let code = if is(4344) || is(4138) || is(1210) {
        codes::src::LOG_PURGED
    } else if is(1412) {
        codes::src::REDEFINED
    } else {
        return refused;
    };
    Failure::new(code, format!("SCN {scn}: {}", refused.detail()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_to_show_a_moment_are_told_apart() {
        let code = |text: &str| {
            let refused = Failure::new(codes::src::STATEMENT_FAILED, text.to_owned());
            explained(refused.context("`d`.`t`"), 7).code()
        };
        assert_eq!(
            code("error 4344 (HY000): invalid timestamp"),
            codes::src::LOG_PURGED
        );
        assert_eq!(code("error 1412 (HY000): changed"), codes::src::REDEFINED);
        assert_eq!(
            code("error 1064 (42000): near 4344"),
            codes::src::STATEMENT_FAILED
        );
        let lost = Failure::new(codes::src::UNREACHABLE, "error 4344 (HY000)");
        assert_eq!(explained(lost, 7).code(), codes::src::UNREACHABLE);
    }
}
