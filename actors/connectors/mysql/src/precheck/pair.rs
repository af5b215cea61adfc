//! Both ends compared.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::{Conn, Error, prelude::Queryable};
use oms_core::{PrecheckSide, TableSchema, codes};

use super::{ledger::Ledger, plan::PrecheckPlan};
use crate::connection::{Endpoint, ServerInfo};

const BOTH: PrecheckSide = PrecheckSide::Both;

/// What was read from each end for the comparison.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) info: ServerInfo,
    /// Its clock, in microseconds since the epoch, minus ours.
    pub(super) clock_ahead_us: i64,
    /// What its default zone is ahead of UTC now, in seconds.
    pub(super) zone_seconds: i64,
}

impl End {
    pub(super) async fn read(conn: &mut Conn, info: ServerInfo, now_us: i64) -> Result<Self, Error> {
        // Microseconds since the epoch, computed without the session's zone.
        let clock: Option<i64> = conn
            .query_first("SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))")
            .await?;
        let zone: Option<Option<i64>> = {
            let global: Option<String> = conn.query_first("SELECT @@global.time_zone").await?;
            let system: Option<String> = conn.query_first("SELECT @@system_time_zone").await?;
            let name = global.unwrap_or_default();
            let name = if name.eq_ignore_ascii_case("SYSTEM") {
                system.unwrap_or_default()
            } else {
                name
            };
            match offset(&name) {
                Some(seconds) => Some(Some(seconds)),
                None => conn
                    .exec_first(
                        "SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', ?))",
                        (name,),
                    )
                    .await
                    .or_else(|e| if matches!(e, Error::Server(_)) { Ok(None) } else { Err(e) })?,
            }
        };
        Ok(Self {
            info,
            clock_ahead_us: clock.unwrap_or(now_us) - now_us,
            zone_seconds: zone.flatten().unwrap_or(0),
        })
    }
}

/// `+08:00`, `UTC` and the like, in seconds.
fn offset(name: &str) -> Option<i64> {
    if matches!(name, "UTC" | "GMT" | "Etc/UTC") {
        return Some(0);
    }
    let (sign, rest) = match name.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, name.strip_prefix('+')?),
    };
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3_600 + minutes.parse::<i64>().ok()? * 60))
}

/// Adds the items that compare both ends.
pub(super) fn check(
    plan: &PrecheckPlan,
    endpoints: (&Endpoint, &Endpoint),
    source: &End,
    destination: &End,
    tables: &[TableSchema],
    ledger: &mut Ledger,
) {
    same_table(plan, endpoints, source, destination, ledger);
    case(source, destination, ledger);
    charsets(destination, tables, ledger);
    let (from, to) = (
        source.info.max_allowed_packet,
        destination.info.max_allowed_packet,
    );
    if to >= from {
        ledger.passed(
            "DB_MAX_ALLOWED_PACKET",
            BOTH,
            format!("{to} bytes at the destination, {from} at the source"),
        );
    } else {
        ledger.warning(
            "DB_MAX_ALLOWED_PACKET",
            BOTH,
            format!("max_allowed_packet is {to} at the destination and {from} at the source"),
            "Raise max_allowed_packet at the destination if rows may be larger than it; such a row would stop the \
             project.",
        );
    }
    sql_mode(source, destination, ledger);
    for (end, side) in [
        (source, PrecheckSide::Source),
        (destination, PrecheckSide::Destination),
    ] {
        let ahead = end.clock_ahead_us;
        if ahead.abs() <= 10_000_000 {
            ledger.passed("DB_TIME_SYNC", side, "the clock agrees with ours");
        } else {
            ledger.warning(
                "DB_TIME_SYNC",
                side,
                format!("the clock differs from ours by {} seconds", ahead / 1_000_000),
                "Synchronize the clocks: delays are computed from the source's.",
            );
        }
    }
    if source.zone_seconds == destination.zone_seconds {
        ledger.passed("DB_TIMEZONE", BOTH, "both have the same time zone");
    } else {
        ledger.warning(
            "DB_TIMEZONE",
            BOTH,
            format!(
                "the default time zone is {} seconds ahead of UTC at the source and {} at the destination",
                source.zone_seconds, destination.zone_seconds
            ),
            "Values are carried exactly either way. Set one zone if applications use the server's default.",
        );
    }
}

fn same_table(
    plan: &PrecheckPlan,
    endpoints: (&Endpoint, &Endpoint),
    source: &End,
    destination: &End,
    ledger: &mut Ledger,
) {
    let key = "DB_TABLE_CYCLICALLY";
    // A server identity may be absent or copied; an equal address is proof by itself.
    let address = |e: &Endpoint| (e.host.to_lowercase(), e.port);
    let identity = source.info.server == destination.info.server && !source.info.server.ends_with('@');
    if !identity && address(endpoints.0) != address(endpoints.1) {
        ledger.passed(key, BOTH, "source and destination are different servers");
        return;
    }
    let sources: BTreeSet<_> = plan.tables.iter().map(|(s, _)| s).collect();
    let loops: Vec<String> = plan
        .tables
        .iter()
        .filter(|(_, d)| sources.contains(d))
        .map(|(_, d)| d.to_string())
        .collect();
    ledger.none_of(
        key,
        BOTH,
        codes::schema::DEFINITION_DIFFERS,
        &loops,
        "tables that are source and destination at once",
        "Choose another destination.",
    );
}

fn case(source: &End, destination: &End, ledger: &mut Ledger) {
    let key = "DB_LOWER_CASE_TABLE_NAMES";
    let (from, to) = (
        source.info.lower_case_table_names,
        destination.info.lower_case_table_names,
    );
    match (from == 0, to == 0) {
        (true, false) => ledger.warning(
            key,
            BOTH,
            format!("lower_case_table_names is {from} at the source and {to} at the destination"),
            "Names that differ in case only become one; the item DB_TABLE_NAME_UNIQUE names them.",
        ),
        (false, true) => ledger.warning(
            key,
            BOTH,
            format!("lower_case_table_names is {from} at the source and {to} at the destination"),
            "Applications must write names at the destination as they are stored.",
        ),
        _ => ledger.passed(key, BOTH, "names are compared alike"),
    }
}

fn charsets(destination: &End, tables: &[TableSchema], ledger: &mut Ledger) {
    let key = "DB_CHARSET";
    let mut foreign: BTreeMap<&str, String> = BTreeMap::new();
    for table in tables {
        for column in &table.columns {
            if let Some(charset) = column.ty.charset()
                && !destination.info.has_charset(charset)
            {
                foreign
                    .entry(charset)
                    .or_insert_with(|| format!("{}.`{}`", table.name, column.name));
            }
        }
    }
    if foreign.is_empty() {
        ledger.passed(key, BOTH, "the destination has every character set of the tables");
        return;
    }
    let names: Vec<String> = foreign
        .iter()
        .map(|(c, column)| format!("{c} (for example {column})"))
        .collect();
    let text = format!("the destination lacks {}", names.join(", "));
    if destination.info.has_charset("utf8mb4") {
        ledger.warning(
            key,
            BOTH,
            text,
            "These columns become utf8mb4, which holds all their characters.",
        );
    } else {
        ledger.failed(
            key,
            BOTH,
            codes::dst::VALUE_NOT_REPRESENTABLE,
            text,
            "Convert the columns, or choose a destination with utf8mb4.",
        );
    }
}

/// Modes that change what statements mean; our own sessions set their mode themselves.
fn sql_mode(source: &End, destination: &End, ledger: &mut Ledger) {
    const MEANING: [&str; 6] = [
        "ANSI_QUOTES",
        "PIPES_AS_CONCAT",
        "NO_BACKSLASH_ESCAPES",
        "PAD_CHAR_TO_FULL_LENGTH",
        "REAL_AS_FLOAT",
        "NO_UNSIGNED_SUBTRACTION",
    ];
    let of = |end: &End| -> BTreeSet<String> {
        end.info
            .sql_mode
            .split(',')
            .map(|m| m.trim().to_ascii_uppercase())
            .collect()
    };
    let (from, to) = (of(source), of(destination));
    let different: Vec<&str> = MEANING
        .into_iter()
        .filter(|m| from.contains(*m) != to.contains(*m))
        .collect();
    if different.is_empty() {
        ledger.passed("DB_SQL_MODE", BOTH, "no mode changes the meaning of statements");
    } else {
        ledger.warning(
            "DB_SQL_MODE",
            BOTH,
            format!("only one end has {}", different.join(", ")),
            "Rows are not affected. Applications, views and generated columns may behave differently.",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_with_an_offset_need_no_tables() {
        assert_eq!(offset("+08:00"), Some(28_800));
        assert_eq!(offset("-03:30"), Some(-12_600));
        assert_eq!(offset("UTC"), Some(0));
        assert_eq!(offset("Asia/Shanghai"), None);
    }
}
