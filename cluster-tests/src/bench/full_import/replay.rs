//! Texts that lie ready, and sending them as fast as the server takes them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context, ensure};
use bytes::Bytes;
use futures::StreamExt;

use super::fresh;
use crate::{Client, Server};

/// Rows of one text; of one INSERT, too.
const ROWS_PER_FILE: usize = 50_000;
const ROWS_PER_INSERT: usize = 1_000;
/// Bytes that are sent at once.
const PIECE: usize = 256 << 10;

/// The kind of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// For LOAD DATA.
    Files,
    /// INSERTs of 1,000 rows.
    Inserts,
}

impl Texts {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Files => "LOAD DATA of ready files",
            Self::Inserts => "ready INSERTs of 1,000 rows",
        }
    }
}

/// One file and the table that it is for.
#[derive(Debug, Clone)]
struct Part {
    table: String,
    file: PathBuf,
    rows: u64,
}

/// All texts of some tables.
#[derive(Debug)]
pub(super) struct Replay {
    texts: Texts,
    parts: Vec<Part>,
}

impl Replay {
    /// Writes the texts of all rows of the tables into files below `folder`.
    pub(super) async fn make(
        source: &Server,
        texts: Texts,
        database: &str,
        tables: &[&str],
        folder: &Path,
    ) -> anyhow::Result<Self> {
        fresh(folder)?;
        let mut client = source.client().await?;
        let mut parts = Vec::new();
        for table in tables {
            let whole = folder.join(format!("{table}.all"));
            client
                .query_drop(&format!(
                    "SELECT * FROM {database}.{table} ORDER BY id INTO OUTFILE '{}' CHARACTER SET utf8mb4",
                    whole.display()
                ))
                .await?;
            let content = std::fs::read(&whole)?;
            std::fs::remove_file(&whole)?;
            let name = format!("{database}.{table}");
            let rows = lines(&content);
            for (n, chunk) in rows.chunks(ROWS_PER_FILE).enumerate() {
                let file = folder.join(format!("{table}.{n}"));
                let text = match texts {
                    Texts::Files => chunk.iter().copied().flatten().copied().collect(),
                    Texts::Inserts => inserts(&name, chunk),
                };
                std::fs::write(&file, text)?;
                parts.push((
                    n,
                    Part {
                        table: name.clone(),
                        file,
                        rows: chunk.len() as u64,
                    },
                ));
            }
        }
        // All tables side by side, each in the order of its key.
        parts.sort_by_key(|(n, _)| *n);
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        Ok(Self { texts, parts })
    }

    pub(super) fn texts(&self) -> Texts {
        self.texts
    }

    /// Sends everything over so many connections; the seconds that it took.
    pub(super) async fn run(&self, server: &Server, connections: usize) -> anyhow::Result<f64> {
        let queue = Arc::new(Mutex::new(self.parts.iter().cloned().collect::<VecDeque<_>>()));
        let mut clients = Vec::new();
        for _ in 0..connections {
            let mut client = server.client().await?;
            for setting in [
                "SET foreign_key_checks = 0",
                // Known to seekdb only.
                "SET ob_query_timeout = 3600000000, ob_trx_timeout = 3600000000",
            ] {
                match client.query_drop(setting).await {
                    Err(error) if error.server_code() != Some(1193) => return Err(error.into()),
                    _ => {}
                }
            }
            clients.push(client);
        }
        let begun = Instant::now();
        let mut senders = tokio::task::JoinSet::new();
        for client in clients {
            senders.spawn(send(client, self.texts, queue.clone()));
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}

async fn send(mut client: Client, texts: Texts, queue: Arc<Mutex<VecDeque<Part>>>) -> anyhow::Result<()> {
    loop {
        let part = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(part) = part else { break };
        let file = std::fs::read(&part.file);
        let text = Bytes::from(file.with_context(|| part.file.display().to_string())?);
        match texts {
            Texts::Files => {
                let pieces: Vec<_> = (0..text.len())
                    .step_by(PIECE)
                    .map(|at| Ok(text.slice(at..text.len().min(at + PIECE))))
                    .collect();
                client
                    .conn()
                    .set_infile_handler(async move { Ok(futures::stream::iter(pieces).boxed()) });
                let load = format!(
                    "LOAD DATA LOCAL INFILE 'ready' INTO TABLE {} CHARACTER SET utf8mb4",
                    part.table
                );
                client.query_drop(&load).await?;
                ensure!(
                    client.affected_rows() == part.rows,
                    "{}: rows are missing",
                    part.table
                );
            }
            Texts::Inserts => {
                let text = std::str::from_utf8(&text)?;
                client.query_drop("BEGIN").await?;
                for statement in text.split_terminator('\u{1e}') {
                    client.query_drop(statement).await?;
                }
                client.query_drop("COMMIT").await?;
            }
        }
    }
    client.close().await?;
    Ok(())
}

/// The lines of a file of the server, each with its end; an escaped line feed does not end one.
fn lines(content: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, byte) in content.iter().enumerate() {
        if escaped {
            escaped = false;
        } else if *byte == b'\\' {
            escaped = true;
        } else if *byte == b'\n' {
            all.extend(content.get(start..=at));
            start = at + 1;
        }
    }
    all
}

/// INSERTs of the rows, each ended by a record separator.
fn inserts(table: &str, rows: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for some in rows.chunks(ROWS_PER_INSERT) {
        out.extend(format!("INSERT INTO {table} VALUES").into_bytes());
        for (n, row) in some.iter().enumerate() {
            out.extend(if n == 0 { b"('".as_slice() } else { b",('" });
            let mut value = Vec::new();
            let mut fields = Vec::new();
            let mut bytes = row.iter();
            while let Some(byte) = bytes.next() {
                match byte {
                    b'\\' => value.extend([b'\\', bytes.next().copied().unwrap_or(b'\\')]),
                    b'\t' | b'\n' => fields.push(std::mem::take(&mut value)),
                    b'\'' => value.extend(b"''"),
                    other => value.push(*other),
                }
            }
            for (f, field) in fields.iter().enumerate() {
                if f > 0 {
                    out.extend(b",'");
                }
                if field == b"\\N" {
                    out.pop();
                    out.extend(b"NULL");
                } else {
                    out.extend(field);
                    out.push(b'\'');
                }
            }
            out.push(b')');
        }
        out.push(0x1e);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_literals() {
        let content = b"1\t\\N\ta'b\\\nc\n2\tx\\ty\t\n";
        let rows = lines(content);
        assert_eq!(rows.len(), 2);
        let text = String::from_utf8(inserts("d.t", &rows)).unwrap();
        assert_eq!(
            text,
            "INSERT INTO d.t VALUES('1',NULL,'a''b\\\nc'),('2','x\\ty','')\u{1e}"
        );
    }
}
