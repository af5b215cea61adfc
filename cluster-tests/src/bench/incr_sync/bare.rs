//! The same changes as statements that are ready.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, ensure};

use super::{DATABASE, Tool};
use crate::server::Server;

const CONNECTIONS: usize = 2;
/// Source transactions in one destination transaction of each connection.
const TRANSACTIONS: u64 = 1_000;
const ROWS: usize = 500;

/// Statements for each connection.
#[derive(Debug)]
pub(super) struct Bare {
    statements: [Vec<String>; CONNECTIONS],
    /// Row changes in the log.
    pub(super) changes: u64,
    /// Rows that are written.
    pub(super) rows: u64,
}

/// By table and id.
type Images = BTreeMap<(String, u64), String>;

impl Bare {
    /// From the log files of a stopped load, beginning with `first`. Every transaction of the load leaves all rows in place,
    /// so the last image of each is all there is to write.
    pub(super) async fn read(folder: &Path, first: &str) -> anyhow::Result<Self> {
        let mut files: Vec<_> = std::fs::read_dir(folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("binlog.0") && name.as_str() >= first)
            .collect();
        files.sort();
        let mut bare = Self {
            statements: Default::default(),
            changes: 0,
            rows: 0,
        };
        let mut images = Images::new();
        let mut transactions = 0;
        for file in files {
            let tool = Tool::new("mysqlbinlog")
                .args(["--no-defaults", "--base64-output=DECODE-ROWS", "-v"])
                .arg(folder.join(file));
            let text = tool.run_for_output().await?.output;
            let (mut table, mut after, mut values) = (String::new(), false, Vec::new());
            for line in text.lines() {
                if let Some(value) = line.strip_prefix("###   @") {
                    if after {
                        values.extend(value.split_once('=').map(|(_, value)| value));
                    }
                    if let [id, _, _, _] = values.as_slice() {
                        images.insert((table.clone(), id.parse()?), format!("({})", values.join(",")));
                        values.clear();
                    }
                } else if let Some(rest) = line.strip_prefix("### ") {
                    match rest.split(' ').next().unwrap_or_default() {
                        "WHERE" => after = false,
                        "SET" => after = true,
                        _ => {
                            bare.changes += 1;
                            table = rest.rsplit('`').nth(1).unwrap_or_default().to_owned();
                        }
                    }
                } else if line.starts_with("COMMIT") {
                    transactions += 1;
                    if transactions % TRANSACTIONS == 0 {
                        bare.write(std::mem::take(&mut images));
                    }
                }
            }
        }
        bare.write(images);
        ensure!(bare.rows > 0, "the log holds no change");
        Ok(bare)
    }

    fn write(&mut self, images: Images) {
        let mut parts: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
        for ((table, id), image) in images {
            self.rows += 1;
            let connection = usize::try_from(id).unwrap_or_default() % CONNECTIONS;
            parts.entry((connection, table)).or_default().push(image);
        }
        for statements in &mut self.statements {
            statements.push("BEGIN".to_owned());
        }
        for ((connection, table), rows) in parts {
            for part in rows.chunks(ROWS) {
                let sql = format!(
                    "INSERT INTO {DATABASE}.{table} (id,k,c,pad) VALUES {} \
                     ON DUPLICATE KEY UPDATE k=VALUES(k),c=VALUES(c),pad=VALUES(pad)",
                    part.join(",")
                );
                if let Some(statements) = self.statements.get_mut(connection) {
                    statements.push(sql);
                }
            }
        }
        for statements in &mut self.statements {
            statements.push("COMMIT".to_owned());
        }
    }

    /// Executes them; the time it takes.
    pub(super) async fn run(&self, server: &Server) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let [one, two] = &self.statements;
        let (one, two) = tokio::join!(replay(server, one), replay(server, two));
        one.and(two).context("replaying")?;
        Ok(begun.elapsed().as_secs_f64())
    }
}

async fn replay(server: &Server, statements: &[String]) -> anyhow::Result<()> {
    let mut client = server.client().await?;
    for statement in statements {
        client.query_drop(statement).await?;
    }
    Ok(client.close().await?)
}
