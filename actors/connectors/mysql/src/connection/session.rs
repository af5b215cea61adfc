//! The session's settings.

use mysql_async::{Conn, Error, prelude::Queryable};

use super::{Flavor, Side};

/// Source: nothing is written, and an empty mode keeps every statement's meaning the same on every
/// server (no ANSI_QUOTES, no PIPES_AS_CONCAT, no NO_BACKSLASH_ESCAPES, no PAD_CHAR_TO_FULL_LENGTH,
/// which would change what CHAR columns return).
const SOURCE_MODE: &str = "";

/// Destination: strict, so that a value that does not fit is an error and never cut; without
/// NO_ZERO_DATE and NO_ZERO_IN_DATE and with ALLOW_INVALID_DATES, because the source may hold such
/// dates; with NO_AUTO_VALUE_ON_ZERO, because 0 in an AUTO_INCREMENT column is a value.
const DESTINATION_MODE: &str = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO";

/// Sets what [`super::connect`] promises.
pub(super) async fn prepare(conn: &mut Conn, side: Side) -> Result<(), Error> {
    let version: Option<String> = conn
        .query_first("SELECT CONCAT(VERSION(), ' ', @@version_comment)")
        .await?;
    let flavor = Flavor::of(&version.unwrap_or_default());
    let mode = match side {
        Side::Source => SOURCE_MODE,
        Side::Destination => DESTINATION_MODE,
    };
    conn.query_drop("SET NAMES utf8mb4").await?;
    let foreign_keys = match side {
        Side::Source => "",
        // Unique checks stay on: replays rely on duplicate-key errors, and InnoDB may skip the check
        // for secondary indexes when it is told to.
        Side::Destination => ", foreign_key_checks = 0, unique_checks = 1",
    };
    conn.query_drop(format!(
        "SET time_zone = '+00:00', sql_mode = '{mode}', autocommit = 1{foreign_keys}"
    ))
    .await?;
    for statement in optional(flavor, side) {
        optional_statement(conn, statement).await?;
    }
    Ok(())
}

/// Settings that not every server of a flavor knows, or not every account may change.
fn optional(flavor: Flavor, side: Side) -> Vec<&'static str> {
    let mut all = vec![
        // A reader that is held back by a slow destination must not be cut off after a minute.
        "SET SESSION net_write_timeout = 86400, net_read_timeout = 86400, wait_timeout = 86400",
        // Session defaults of the server that would change results.
        "SET SESSION sql_select_limit = 18446744073709551615",
        "SET SESSION sql_safe_updates = 0, sql_auto_is_null = 0, sql_quote_show_create = 1",
        "SET SESSION group_concat_max_len = 16777216",
    ];
    if side == Side::Destination {
        all.push("SET SESSION innodb_lock_wait_timeout = 30, lock_wait_timeout = 60");
    } else {
        all.push("SET SESSION lock_wait_timeout = 60");
    }
    match flavor {
        Flavor::Mysql => {
            all.push("SET SESSION max_execution_time = 0");
            if side == Side::Destination {
                all.push("SET SESSION sql_require_primary_key = 0");
                all.push("SET SESSION sql_generate_invisible_primary_key = 0");
            }
        }
        Flavor::MariaDb => all.push("SET SESSION max_statement_time = 0"),
        Flavor::TiDb => all.push("SET SESSION max_execution_time = 0"),
        Flavor::OceanBase => {
            // Microseconds. The default for a query is 10 s.
            all.push("SET SESSION ob_query_timeout = 86400000000, ob_trx_timeout = 86400000000");
            if side == Side::Destination {
                all.push("SET SESSION ob_trx_lock_timeout = 30000000");
            }
        }
    }
    all
}

/// Runs a setting that may be unknown (1193), read-only (1238), not allowed (1227) or not
/// understood (1064, 1231, 1235) here.
async fn optional_statement(conn: &mut Conn, statement: &str) -> Result<(), Error> {
    match conn.query_drop(statement).await {
        Err(Error::Server(e)) if matches!(e.code, 1193 | 1238 | 1227 | 1064 | 1231 | 1235 | 1229) => {
            tracing::debug!(errno = e.code, statement, "a session setting does not exist here");
            Ok(())
        }
        other => other,
    }
}
