//! The source's binary log.

use std::collections::BTreeMap;

use mysql_async::{Conn, Error, Row, prelude::Queryable};
use oms_core::{PrecheckSide, codes};

use super::ledger::Ledger;
use crate::connection::{Flavor, ServerInfo, variables};

const KEY: &str = "DB_INCR_LOG";
const SOURCE: PrecheckSide = PrecheckSide::Source;

/// Adds the items about the log.
pub(super) async fn check(conn: &mut Conn, info: &ServerInfo, ledger: &mut Ledger) -> Result<(), Error> {
    let names = [
        "log_bin",
        "binlog_format",
        "binlog_row_image",
        "binlog_expire_logs_seconds",
        "expire_logs_days",
        "log_slave_updates",
        "log_replica_updates",
        "read_only",
        "server_id",
    ];
    let v = variables(conn, &names).await?;
    let status = log_status(conn).await;
    match &status {
        Err(Error::Server(e)) if matches!(e.code, 1227 | 1044 | 1045) => {
            // The privilege's own item names it.
            ledger.not_checked(KEY, SOURCE, "the account may not ask for the end of the log");
        }
        _ => judge(info, &v, matches!(status, Ok(true)), ledger),
    }
    match status {
        Err(Error::Server(_)) | Ok(_) => Ok(()),
        Err(e) => Err(e),
    }
}

fn judge(info: &ServerInfo, v: &BTreeMap<String, String>, has_log: bool, ledger: &mut Ledger) {
    let get = |name: &str| v.get(name).map(String::as_str).unwrap_or_default();
    let number = |name: &str| get(name).parse::<f64>().ok();
    // OceanBase says `log_bin = ON` without having a log, so the status decides.
    if !has_log || get("log_bin").eq_ignore_ascii_case("OFF") {
        ledger.failed(
            KEY,
            SOURCE,
            codes::src::LOG_DISABLED,
            "the source writes no binary log",
            codes::src::LOG_DISABLED.action(),
        );
        return;
    }
    let mut sound = true;
    let format = get("binlog_format");
    // MySQL 9 deprecates the variable; where it is gone, rows are all there is.
    if !format.is_empty() && !format.eq_ignore_ascii_case("ROW") {
        sound = false;
        ledger.failed(
            KEY,
            SOURCE,
            codes::src::LOG_FORMAT,
            format!("binlog_format is {format}"),
            codes::src::LOG_FORMAT.action(),
        );
    }
    if info.server_id == 0 {
        sound = false;
        ledger.failed(
            KEY,
            SOURCE,
            codes::src::LOG_DISABLED,
            "server_id is 0: the server lets no replica follow it",
            "Set server_id to a number that is unique among the servers that replicate with each other.",
        );
    }
    let image = get("binlog_row_image");
    if !image.is_empty() && !image.eq_ignore_ascii_case("FULL") {
        sound = false;
        ledger.failed_skippable(
            KEY,
            SOURCE,
            Some(codes::src::ROW_IMAGE),
            format!("binlog_row_image is {image}: updates carry only part of each row"),
            codes::src::ROW_IMAGE.action(),
        );
    }
    // 0 keeps the log for ever. MySQL 8 has both variables and uses the seconds if they are set.
    let seconds = match (number("binlog_expire_logs_seconds"), number("expire_logs_days")) {
        (Some(s), _) if s > 0.0 => s,
        (_, Some(days)) => days * 86_400.0,
        _ => 0.0,
    };
    if seconds > 0.0 && seconds < 86_400.0 {
        sound = false;
        ledger.warning(
            KEY,
            SOURCE,
            format!("the log is kept for {seconds} seconds only"),
            "Keep it for at least a day, so that an interruption does not mean importing again.",
        );
    }
    let updates = if get("log_replica_updates").is_empty() {
        get("log_slave_updates")
    } else {
        get("log_replica_updates")
    };
    if get("read_only").eq_ignore_ascii_case("ON") && updates.eq_ignore_ascii_case("OFF") {
        sound = false;
        ledger.failed_skippable(
            KEY,
            SOURCE,
            Some(codes::src::LOG_DISABLED),
            "the server looks like a replica (read_only) and does not log what it replicates",
            "Set log_slave_updates (log_replica_updates) at this server, or read from its primary.",
        );
    }
    if sound {
        let kept = if seconds == 0.0 {
            "kept for ever".to_owned()
        } else {
            format!("kept for {:.1} days", seconds / 86_400.0)
        };
        ledger.passed(KEY, SOURCE, format!("rows are logged in full and {kept}"));
    }
    if info.flavor == Flavor::TiDb {
        ledger.warning(
            KEY,
            SOURCE,
            "TiDB has no MySQL binary log of its own",
            "Use its change feed.",
        );
    }
}

/// Whether the server tells an end of its log. The statement's name changed twice.
async fn log_status(conn: &mut Conn) -> Result<bool, Error> {
    let mut last = Ok(false);
    for statement in [
        "SHOW MASTER STATUS",
        "SHOW BINARY LOG STATUS",
        "SHOW BINLOG STATUS",
    ] {
        match conn.query_first::<Row, _>(statement).await {
            Ok(row) => return Ok(row.is_some()),
            // Not understood, or not supported.
            Err(Error::Server(e)) if matches!(e.code, 1064 | 1235 | 1289) => last = Ok(false),
            Err(e) => return Err(e),
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use oms_core::PrecheckStatus;

    use super::*;

    fn info(server_id: u64) -> ServerInfo {
        ServerInfo {
            flavor: Flavor::Mysql,
            version: "5.6.24".into(),
            server: "s".into(),
            server_id,
            lower_case_table_names: 0,
            max_allowed_packet: 1,
            charsets: Default::default(),
            collations: Default::default(),
            sql_mode: String::new(),
        }
    }

    fn judged(
        server_id: u64,
        has_log: bool,
        pairs: &[(&str, &str)],
    ) -> Vec<(PrecheckStatus, Option<&'static str>)> {
        let v = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let mut ledger = Ledger::default();
        judge(&info(server_id), &v, has_log, &mut ledger);
        ledger
            .into_items()
            .iter()
            .map(|i| (i.status, i.code.map(|c| c.as_str())))
            .collect()
    }

    #[test]
    fn each_fault_of_the_log_is_named() {
        let good = [
            ("log_bin", "ON"),
            ("binlog_format", "ROW"),
            ("binlog_row_image", "FULL"),
        ];
        assert_eq!(judged(1, true, &good), [(PrecheckStatus::Passed, None)]);
        assert_eq!(
            judged(1, false, &good),
            [(PrecheckStatus::Failed, Some("OMS-SRC-0006"))]
        );
        assert_eq!(
            judged(
                0,
                true,
                &[
                    ("log_bin", "ON"),
                    ("binlog_format", "MIXED"),
                    ("binlog_row_image", "MINIMAL")
                ]
            ),
            [
                (PrecheckStatus::Failed, Some("OMS-SRC-0007")),
                (PrecheckStatus::Failed, Some("OMS-SRC-0006")),
                (PrecheckStatus::Failed, Some("OMS-SRC-0015")),
            ]
        );
        assert_eq!(
            judged(1, true, &[("log_bin", "ON"), ("expire_logs_days", "0.5")]),
            [(PrecheckStatus::Warning, None)]
        );
        assert_eq!(
            judged(
                1,
                true,
                &[
                    ("log_bin", "ON"),
                    ("expire_logs_days", "0"),
                    ("binlog_expire_logs_seconds", "2592000")
                ]
            ),
            [(PrecheckStatus::Passed, None)]
        );
    }
}
