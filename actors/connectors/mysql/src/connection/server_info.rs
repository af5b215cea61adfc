//! What a server is and can do.

use std::collections::BTreeSet;

use mysql_async::{Conn, Error, Row, prelude::Queryable};
use oms_core::Failure;

use super::{Side, failure};

/// The family member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flavor {
    /// MySQL and forks that call themselves so.
    Mysql,
    /// MariaDB.
    MariaDb,
    /// OceanBase in MySQL mode, seekdb included.
    OceanBase,
    /// TiDB.
    TiDb,
}

impl Flavor {
    /// Recognises the flavor by the text of `VERSION()` and `@@version_comment`.
    pub fn of(version: &str) -> Self {
        let lower = version.to_ascii_lowercase();
        if lower.contains("oceanbase") || lower.contains("seekdb") {
            Self::OceanBase
        } else if lower.contains("tidb") {
            Self::TiDb
        } else if lower.contains("mariadb") {
            Self::MariaDb
        } else {
            Self::Mysql
        }
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mysql => "MySQL",
            Self::MariaDb => "MariaDB",
            Self::OceanBase => "OceanBase",
            Self::TiDb => "TiDB",
        }
    }
}

/// Properties of a server, probed rather than derived from its version number.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// The family member.
    pub flavor: Flavor,
    /// `VERSION()`, with `@@version_comment` behind it.
    pub version: String,
    /// Identity, as used in positions: `server_uuid` where there is one, else `server_id@hostname`.
    pub server: String,
    /// `server_id`; 0 where unset or unknown.
    pub server_id: u64,
    /// `lower_case_table_names`.
    pub lower_case_table_names: u8,
    /// `max_allowed_packet`: the longest statement the server accepts.
    pub max_allowed_packet: u64,
    /// The character sets that columns may have, lower case.
    pub charsets: BTreeSet<String>,
    /// The collations, lower case.
    pub collations: BTreeSet<String>,
    /// The global SQL mode.
    pub sql_mode: String,
}

impl ServerInfo {
    /// Asks the server.
    pub async fn probe(conn: &mut Conn, side: Side) -> Result<Self, Failure> {
        Self::ask(conn)
            .await
            .map_err(|e| failure(e, side).context("server properties"))
    }

    async fn ask(conn: &mut Conn) -> Result<Self, Error> {
        let version: String = conn
            .query_first("SELECT CONCAT(VERSION(), ' ', @@version_comment)")
            .await?
            .unwrap_or_default();
        let variables = variables(
            conn,
            &[
                "server_uuid",
                "server_id",
                "hostname",
                "lower_case_table_names",
                "max_allowed_packet",
            ],
        )
        .await?;
        let number = |name: &str| {
            let text = variables.get(name).map(String::as_str).unwrap_or_default();
            text.parse::<u64>().unwrap_or_default()
        };
        let server_id = number("server_id");
        let server = match variables.get("server_uuid").filter(|u| !u.is_empty()) {
            Some(uuid) => uuid.to_ascii_lowercase(),
            None => {
                let host = variables.get("hostname").map(String::as_str).unwrap_or_default();
                format!("{server_id}@{host}")
            }
        };
        let sql_mode: Option<String> = conn.query_first("SELECT @@global.sql_mode").await?;
        let charsets = names(
            conn,
            "SELECT character_set_name FROM information_schema.character_sets",
        )
        .await?;
        let collations = names(conn, "SELECT collation_name FROM information_schema.collations").await?;
        Ok(Self {
            flavor: Flavor::of(&version),
            version,
            server,
            server_id,
            lower_case_table_names: number("lower_case_table_names").try_into().unwrap_or(u8::MAX),
            max_allowed_packet: number("max_allowed_packet"),
            charsets,
            collations,
            sql_mode: sql_mode.unwrap_or_default(),
        })
    }

    /// Whether the server has a character set of this name or one of its aliases (`utf8` and
    /// `utf8mb3` are one).
    pub fn has_charset(&self, name: &str) -> bool {
        let lower = name.to_ascii_lowercase();
        self.charsets.contains(&lower)
            || match lower.as_str() {
                "utf8" => self.charsets.contains("utf8mb3"),
                "utf8mb3" => self.charsets.contains("utf8"),
                _ => false,
            }
    }
}

/// Global variables by name; those that do not exist are left out.
pub(crate) async fn variables(
    conn: &mut Conn,
    wanted: &[&str],
) -> Result<std::collections::BTreeMap<String, String>, Error> {
    let list = wanted
        .iter()
        .map(|n| format!("'{n}'"))
        .collect::<Vec<_>>()
        .join(",");
    let rows: Vec<Row> = conn
        .query(format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({list})"))
        .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| mysql_async::from_row_opt(row).ok())
        .collect())
}

async fn names(conn: &mut Conn, query: &str) -> Result<BTreeSet<String>, Error> {
    let rows: Vec<Option<String>> = conn.query(query).await?;
    Ok(rows
        .into_iter()
        .flatten()
        .map(|n| n.to_ascii_lowercase())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavors_are_recognised_by_their_texts() {
        assert_eq!(Flavor::of("5.7.25-OceanBase seekdb-v1.4.0.0"), Flavor::OceanBase);
        assert_eq!(
            Flavor::of("10.11.14-MariaDB-0+deb12u2-log Debian 12"),
            Flavor::MariaDb
        );
        assert_eq!(Flavor::of("8.0.11-TiDB-v7.5.0 TiDB Server"), Flavor::TiDb);
        assert_eq!(
            Flavor::of("5.6.24-log MySQL Community Server (GPL)"),
            Flavor::Mysql
        );
        assert_eq!(Flavor::of("9.7.4-2 (Debian)"), Flavor::Mysql);
    }
}
