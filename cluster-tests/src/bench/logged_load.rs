//! Sources whose binlog holds a known number of row changes.

use std::path::PathBuf;

use anyhow::{bail, ensure};

use crate::client::Client;
use crate::server::Server;
use crate::sysbench::{Sysbench, SysbenchLoad};

/// What the log is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoggedLoad {
    /// sysbench `oltp_write_only`: four changes of narrow rows in each transaction.
    Sysbench,
    /// Inserts and updates of rows of 60 columns, a thousand in each transaction.
    Wide,
}

/// The database that [`LoggedLoad::write`] uses.
pub(super) const DATABASE: &str = "logged";
/// Its tables of [`LoggedLoad::Sysbench`]: so many with so many rows each.
const TABLES: (u32, u32) = (4, 10_000);
const WIDE_ROWS: u64 = 1_000;
const WIDE_COLUMNS: [&str; 6] = [
    "BIGINT",
    "INT",
    "DATETIME(3)",
    "DECIMAL(12,2)",
    "VARCHAR(40)",
    "CHAR(12)",
];

/// A finished log file.
#[derive(Debug, Clone)]
pub(super) struct LoggedFile {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// Its name at the server.
    pub(super) name: String,
    /// Where its last transaction ends; behind that it only names the next file.
    pub(super) end: u64,
}

impl LoggedLoad {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Sysbench, Self::Wide];

    /// Its name in results.
    pub(super) fn case(self) -> &'static str {
        match self {
            Self::Sysbench => "sysbench oltp_write_only",
            Self::Wide => "wide rows",
        }
    }

    /// The tables that it changes.
    pub(super) fn tables(self) -> Vec<String> {
        match self {
            Self::Sysbench => (1..=TABLES.0).map(|n| format!("sbtest{n}")).collect(),
            Self::Wide => vec!["wide".to_owned()],
        }
    }

    /// Begins the server's log anew and writes about so many row changes; the log's one file.
    pub(super) async fn write(self, source: &Server, rows: u64) -> anyhow::Result<LoggedFile> {
        let mut client = source.client().await?;
        client
            .query_drop(&format!("DROP DATABASE IF EXISTS {DATABASE}"))
            .await?;
        match self {
            Self::Sysbench => {
                Sysbench::prepare(source, DATABASE, TABLES.0, TABLES.1).await?;
                client.query_drop("RESET MASTER").await?;
                let transactions = (rows / 4).max(1);
                Sysbench::burst(source, SysbenchLoad::WriteOnly, DATABASE, TABLES, 4, transactions).await?;
            }
            Self::Wide => write_wide(&mut client, rows).await?,
        }
        let status = client.query_strings("SHOW MASTER STATUS").await?;
        let Some([name, end, ..]) = status.first().map(Vec::as_slice) else {
            bail!("the source shows no log");
        };
        client.query_drop("FLUSH BINARY LOGS").await?;
        let logs = client.query_strings("SHOW BINARY LOGS").await?;
        ensure!(
            logs.len() == 2,
            "the log has {} files: ask for fewer rows",
            logs.len()
        );
        client.close().await?;
        Ok(LoggedFile {
            path: source.data_folder().join(name),
            name: name.clone(),
            end: end.parse()?,
        })
    }
}

async fn write_wide(client: &mut Client, rows: u64) -> anyhow::Result<()> {
    let (mut columns, mut values, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..60 {
        let kind = WIDE_COLUMNS[n % WIDE_COLUMNS.len()];
        columns.push(format!("c{n} {kind}"));
        values.push(match n % WIDE_COLUMNS.len() {
            0 => format!("seq * {}", 7_919 + n),
            1 => format!("(seq * 31 + {n}) % 1000000"),
            2 => format!("'2024-01-01 10:00:00.123' + INTERVAL (seq + {n}) SECOND"),
            3 => format!("(seq + {n}) / 7"),
            // Now and then nothing.
            4 => format!("IF(seq % 9 = {}, NULL, CONCAT('word-', MD5(seq)))", n % 9),
            _ => "LEFT(MD5(seq), 12)".to_owned(),
        });
        if n % 12 == 1 {
            changes.push(format!("c{n} = c{n} + 1"));
        }
    }
    client.query_drop(&format!("CREATE DATABASE {DATABASE}")).await?;
    client
        .query_drop(&format!(
            "CREATE TABLE {DATABASE}.wide (id BIGINT PRIMARY KEY AUTO_INCREMENT, {}) CHARACTER SET utf8mb4",
            columns.join(", ")
        ))
        .await?;
    client.query_drop("RESET MASTER").await?;
    let rounds = rows.div_ceil(2 * WIDE_ROWS);
    let per_round = (rows / (2 * rounds).max(1)).max(1);
    let names: Vec<_> = (0..60).map(|n| format!("c{n}")).collect();
    for _ in 0..rounds {
        client
            .query_drop(&format!(
                "INSERT INTO {DATABASE}.wide ({}) SELECT {} FROM {DATABASE}.seq_1_to_{per_round}",
                names.join(", "),
                values.join(", ")
            ))
            .await?;
        client
            .query_drop(&format!(
                "UPDATE {DATABASE}.wide SET {} ORDER BY id DESC LIMIT {per_round}",
                changes.join(", ")
            ))
            .await?;
    }
    Ok(())
}
