//! MariaDB's own replication of the same backlog.

use std::time::Instant;

use anyhow::{Context, bail, ensure};

use super::{BenchServer, Kept};
use crate::server::{Role, Server, ServerKind};

/// Threads and modes of parallel replication that are tried.
pub(super) const MODES: [(u32, &str); 5] = [
    (0, "optimistic"),
    (4, "optimistic"),
    (8, "optimistic"),
    (4, "conservative"),
    (8, "conservative"),
];

/// A replica that applies only when asked to.
#[derive(Debug)]
pub(super) struct Replica {
    server: Server,
    end: Option<(String, u64)>,
}

impl Replica {
    pub(super) async fn start(rows: u64, progress: &mut dyn FnMut(String)) -> anyhow::Result<Self> {
        // Its relay log stays when it is restarted.
        let options = BenchServer::options(Role::Destination, rows)
            .set("relay_log", "relay")
            .set("relay_log_recovery", "0")
            .flag("skip_slave_start");
        let server = BenchServer::start_with(ServerKind::MariaDb, options, progress).await?;
        Ok(Self { server, end: None })
    }

    pub(super) fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Sets it up behind what the source has now.
    pub(super) async fn follow(&mut self, source: &Server) -> anyhow::Result<()> {
        let mut there = source.client().await?;
        let status = there.query_strings("SHOW MASTER STATUS").await?;
        let Some([file, offset, ..]) = status.first().map(Vec::as_slice) else {
            bail!("the source shows no log");
        };
        let change = format!(
            "CHANGE MASTER TO MASTER_HOST='{}', MASTER_PORT={}, MASTER_USER='{}', MASTER_PASSWORD='{}', \
             MASTER_LOG_FILE='{file}', MASTER_LOG_POS={offset}, MASTER_USE_GTID=no",
            source.host(),
            source.port(),
            source.oms_user(),
            source.password()
        );
        let mut client = self.server.client().await?;
        client.run_all(&[change.as_str(), "START SLAVE"]).await?;
        Ok(client.close().await?)
    }

    /// Receives everything that the source has, applies nothing of it, and keeps a copy of the data with the relay log.
    pub(super) async fn receive(&mut self) -> anyhow::Result<Kept> {
        let mut client = self.server.client().await?;
        client
            .run_all(&["STOP SLAVE SQL_THREAD", "START SLAVE IO_THREAD"])
            .await?;
        let mut known = None;
        // The source is at rest: what does not grow for a while is all.
        let mut still = 0;
        while still < 20 {
            let status = Status::of(&mut client).await?;
            let now = (
                status.text("Master_Log_File")?,
                status.number("Read_Master_Log_Pos")?,
            );
            still = if known.as_ref() == Some(&now) {
                still + 1
            } else {
                0
            };
            known = Some(now);
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        self.end = known;
        client.query_drop("STOP SLAVE").await?;
        client.close().await?;
        Kept::of(&mut self.server).await
    }

    /// Applies everything that was received, or that the source has while it still receives; the time it takes.
    pub(super) async fn catch_up(&mut self, threads: u32, mode: &str) -> anyhow::Result<f64> {
        let mut client = self.server.client().await?;
        let Some((file, position)) = self.end.clone() else {
            loop {
                let status = Status::of(&mut client).await?;
                let error = status.text("Last_Error")?;
                ensure!(error.is_empty(), "the replica says {error}");
                let read = status.number("Read_Master_Log_Pos")?;
                if status.text("Seconds_Behind_Master")? == "0"
                    && read == status.number("Exec_Master_Log_Pos")?
                {
                    let stop = "STOP SLAVE SQL_THREAD";
                    client.query_drop(stop).await?;
                    return Ok(0.0);
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        client
            .run_all(&[
                "STOP SLAVE",
                &format!("SET GLOBAL slave_parallel_threads={threads}"),
                &format!("SET GLOBAL slave_parallel_mode='{mode}'"),
            ])
            .await?;
        let begun = Instant::now();
        client.query_drop("START SLAVE SQL_THREAD").await?;
        let waited = client
            .query_one(&format!("SELECT MASTER_POS_WAIT('{file}', {position}, 280)"))
            .await?;
        let seconds = begun.elapsed().as_secs_f64();
        let waited = waited.context("the replica was stopped while it applied")?;
        ensure!(waited != "-1", "the replica takes too long: ask for fewer rows");
        client.query_drop("STOP SLAVE").await?;
        client.close().await?;
        Ok(seconds)
    }
}

/// `SHOW SLAVE STATUS` by name.
struct Status(Vec<(String, String)>);

impl Status {
    async fn of(client: &mut crate::client::Client) -> anyhow::Result<Self> {
        use mysql_async::prelude::Queryable;
        let row: Option<mysql_async::Row> = client.conn().query_first("SHOW SLAVE STATUS").await?;
        let row = row.context("no replica is set up")?;
        let names: Vec<String> = row
            .columns_ref()
            .iter()
            .map(|c| c.name_str().into_owned())
            .collect();
        let values = row.unwrap().into_iter().map(|value| match value {
            mysql_async::Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        });
        Ok(Self(names.into_iter().zip(values).collect()))
    }

    fn text(&self, name: &str) -> anyhow::Result<String> {
        let found = self.0.iter().find(|(known, _)| known == name);
        Ok(found.with_context(|| format!("no {name}"))?.1.clone())
    }

    fn number(&self, name: &str) -> anyhow::Result<u64> {
        Ok(self.text(name)?.parse()?)
    }
}
