//! A source that shows its rows as they were: OceanBase.

use mysql_async::{Conn, Error, Row, prelude::Queryable};
use oms_core::{PrecheckSide, codes};

use super::{ledger::Ledger, plan::PrecheckPlan};

const LOG: &str = "DB_INCR_LOG";
const PRIVILEGE: &str = "DB_ACCOUNT_INCR_READ_PRIVILEGE";
const SOURCE: PrecheckSide = PrecheckSide::Source;
/// What OceanBase keeps of the past unless told otherwise, in seconds.
const USUAL_RETENTION: u64 = 1_800;

/// Tries what rounds ask, and looks how long the past is kept.
pub(super) async fn check(conn: &mut Conn, plan: &PrecheckPlan, ledger: &mut Ledger) -> Result<(), Error> {
    match refused(conn, "SELECT 1 FROM oceanbase.DBA_OBJECTS LIMIT 1").await? {
        None => ledger.passed(PRIVILEGE, SOURCE, "the account may read what tables are like"),
        Some(words) => ledger.failed(
            PRIVILEGE,
            SOURCE,
            codes::src::PRIVILEGE_MISSING,
            format!("oceanbase.DBA_OBJECTS cannot be read: {words}"),
            "GRANT SELECT ON oceanbase.* TO the account: without it a table that is truncated or redefined between two \
             rounds would not be noticed.",
        ),
    }
    let cannot = |ledger: &mut Ledger, words: String| {
        ledger.failed(
            LOG,
            SOURCE,
            codes::src::LOG_DISABLED,
            format!("rows of earlier moments cannot be compared: {words}"),
            "OceanBase 4 in MySQL mode shows them (`AS OF SNAPSHOT`, `ora_rowscn`).",
        );
    };
    let scn: Option<u64> = match conn.query_first("SELECT current_scn()").await {
        Ok(scn) => scn,
        Err(Error::Server(e)) => {
            cannot(ledger, format!("current_scn(): error {}", e.code));
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    let Some(scn) = scn else {
        cannot(ledger, "current_scn() tells nothing".to_owned());
        return Ok(());
    };
    if let Some((table, _)) = plan.tables.first() {
        let query =
            format!("SELECT 1 FROM {table} AS OF SNAPSHOT {scn} n WHERE n.ora_rowscn > {scn} LIMIT 1");
        if let Some(words) = refused(conn, &query).await? {
            cannot(ledger, format!("{table}: {words}"));
            return Ok(());
        }
    }
    let how = "changes are found by comparing the rows of two moments: the net changes of each round, in one transaction";
    match retention(conn).await? {
        Some(seconds) if seconds < USUAL_RETENTION => ledger.warning(
            LOG,
            SOURCE,
            format!("{how}; the past is kept for {seconds} seconds only (undo_retention)"),
            "ALTER SYSTEM SET undo_retention to more seconds than full import takes, and than any interruption may last: \
             once the last position is not kept any more, tables have to be imported again.",
        ),
        Some(seconds) => ledger.passed(
            LOG,
            SOURCE,
            format!(
                "{how}; the past is kept for {seconds} seconds at least (undo_retention), within which full import must \
                 end and any interruption too"
            ),
        ),
        None => ledger.warning(
            LOG,
            SOURCE,
            format!("{how}; how long the past is kept is not shown to this account (undo_retention)"),
            "See to it that undo_retention is longer than full import takes, and than any interruption may last.",
        ),
    }
    Ok(())
}

/// The server's reason to refuse a query; `None`: it answers.
async fn refused(conn: &mut Conn, query: &str) -> Result<Option<String>, Error> {
    match conn.query_drop(query).await {
        Ok(()) => Ok(None),
        Err(Error::Server(e)) => Ok(Some(format!("error {}", e.code))),
        Err(e) => Err(e),
    }
}

/// `undo_retention` in seconds; `None`: it is not shown.
async fn retention(conn: &mut Conn) -> Result<Option<u64>, Error> {
    let row: Option<Row> = match conn.query_first("SHOW PARAMETERS LIKE 'undo_retention'").await {
        Ok(row) => row,
        Err(Error::Server(_)) => return Ok(None),
        Err(e) => return Err(e),
    };
    // The columns before and behind it differ between releases.
    let at = |row: &Row| {
        let columns = row.columns_ref();
        columns
            .iter()
            .position(|c| c.name_str().eq_ignore_ascii_case("value"))
    };
    Ok(row.and_then(|row| row.get_opt::<String, _>(at(&row)?)?.ok()?.trim().parse().ok()))
}
