//! How fast the rows of a database come to another server.

mod replay;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use oms_proto::v1::{
    CreateProjectRequest, ProjectRequest, ProjectSpec, ProjectState, ReleaseProjectRequest, StepKind, Steps,
};

use self::replay::{Replay, Texts};
use super::{
    BenchOptions, BenchResult, BenchServer, Better, Contest, Figures, Meter, ProcessUse, Tool,
    ensure_same_content,
};
use crate::node::{OmsNode, ProjectClient, data_source_kind};
use crate::{Client, Role, Server, ServerKind};

const DATABASE: &str = "bulk";
const TABLES: [&str; 8] = ["t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"];
/// Connections of what sends ready texts, and threads of the peers.
const CONNECTIONS: usize = 4;

const OURS: &str = "omsnode";
const MYDUMPER: &str = "mydumper and myloader";
const DUMP: &str = "mariadb-dump | mariadb";
const PEER_GOAL: f64 = 1.5;
const LIMIT_GOAL: f64 = 0.85;

/// Eight tables of about 200 bytes a row are moved from MariaDB into an empty MariaDB and an empty seekdb. Ours is
/// the step of full import by itself, as the project tells it; the peers' times hold the making of empty tables too. The
/// limit sends texts that lie ready, over four connections: LOAD DATA LOCAL INFILE, and for seekdb INSERTs of 1,000
/// rows. Every turn's outcome is compared with the source.
pub async fn full_import(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let cases = [
        ("MariaDB to MariaDB", ServerKind::MariaDb),
        ("MariaDB to OceanBase", ServerKind::SeekDb),
    ];
    let mut results = Vec::new();
    let folder = tempfile::tempdir()?;
    let source = BenchServer::start(ServerKind::MariaDb, Role::Source, options.rows, progress).await?;
    fill(&source, options.rows).await?;
    for (name, kind) in cases {
        if !options.wants(name) {
            continue;
        }
        let destination = BenchServer::start(kind, Role::Destination, options.rows, progress).await?;
        let texts = match kind {
            ServerKind::SeekDb => Texts::Inserts,
            _ => Texts::Files,
        };
        let replay = Replay::make(
            &source,
            texts,
            DATABASE,
            &TABLES,
            &folder.path().join(texts.name()),
        )
        .await?;
        let case = Case {
            node: OmsNode::start(&folder.path().join(texts.name()).join("node")).await?,
            source: &source,
            destination,
            replay,
            rows: options.rows,
            folder: folder.path().join("dump"),
        };
        results.push(case.contest(name, options.rounds, progress).await?);
    }
    Ok(results)
}

struct Case<'a> {
    node: OmsNode,
    source: &'a Server,
    destination: Server,
    replay: Replay,
    rows: u64,
    folder: PathBuf,
}

impl Case<'_> {
    async fn contest(
        &self,
        case: &str,
        rounds: usize,
        progress: &mut dyn FnMut(String),
    ) -> anyhow::Result<BenchResult> {
        self.register("src", self.source).await?;
        self.register("dst", &self.destination).await?;
        let limit = self.replay.texts().name();
        let mut names = vec![OURS, DUMP, limit];
        if self.destination.kind() == ServerKind::MariaDb {
            names.insert(1, MYDUMPER);
        }
        let (mut figures, mut used) = (Figures::new(), Vec::new());
        for turn in Contest::new(&names, rounds).turns() {
            let mut client = self.destination.client().await?;
            client
                .query_drop(&format!("DROP DATABASE IF EXISTS {DATABASE}"))
                .await?;
            let meter = Meter::start(&[
                ("source", self.source.pid().context("the source has ended")?),
                (
                    "destination",
                    self.destination.pid().context("the destination has ended")?,
                ),
                (OURS, self.node.pid().context("the node has ended")?),
            ])?;
            let (seconds, tools) = match turn.name {
                OURS => (self.ours(&format!("bulk{}", turn.round)).await?, Vec::new()),
                MYDUMPER => self.mydumper().await?,
                DUMP => self.dump().await?,
                _ => {
                    self.empty_tables(&mut client).await?;
                    (self.replay.run(&self.destination, CONNECTIONS).await?, Vec::new())
                }
            };
            let rate = self.rows as f64 / seconds;
            let mut words = Vec::new();
            for mut process in meter.stop()?.into_iter().chain(tools) {
                if process.name == OURS && turn.name != OURS {
                    continue;
                }
                words.push(format!(
                    "{} {:.1} s {:.0} MiB",
                    process.name, process.cpu_s, process.rss_mb
                ));
                if process.name != OURS {
                    process.name = format!("{} under {}", process.name, turn.name);
                }
                used.push(process);
            }
            progress(format!(
                "{case}, round {}: {}: {seconds:.2} s, {rate:.0} rows/s ({})",
                turn.round,
                turn.name,
                words.join(", ")
            ));
            figures.record(turn, rate);
            let mut source = self.source.client().await?;
            let same = ensure_same_content((&mut source, &mut client), DATABASE, &TABLES).await;
            let rows = same.with_context(|| turn.name)?;
            ensure!(rows == self.rows, "{rows} rows where {} are", self.rows);
        }
        let ours = figures.spread(OURS).context("no rounds")?;
        let best = [MYDUMPER, DUMP]
            .into_iter()
            .filter_map(|name| Some((name, figures.spread(name)?.median)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .context("no peer")?;
        let result = BenchResult::new("full-import", case, "rows/s", Better::Higher, ours, rounds);
        Ok(result
            .against(&figures, OURS, best.0, Some(PEER_GOAL))
            .within(&figures, OURS, limit, Some(LIMIT_GOAL))
            .with_processes(used, &[OURS]))
    }

    async fn register(&self, name: &str, server: &Server) -> anyhow::Result<()> {
        let request = oms_proto::v1::CreateDataSourceRequest {
            name: name.to_owned(),
            connection: Some(oms_proto::v1::Connection {
                kind: data_source_kind(server.kind()) as i32,
                host: server.host().to_owned(),
                port: u32::from(server.port()),
                user: server.oms_user().to_owned(),
                ..Default::default()
            }),
            password: server.password().to_owned(),
            ..Default::default()
        };
        self.node
            .data_sources()
            .await?
            .create_data_source(request)
            .await?;
        Ok(())
    }

    /// A project of its own, released afterwards; the seconds of its full import.
    async fn ours(&self, name: &str) -> anyhow::Result<f64> {
        let project = ProjectClient {
            name: name.to_owned(),
        };
        let spec = ProjectSpec {
            steps: Some(Steps {
                schema: true,
                full: true,
                ..Default::default()
            }),
            ..project.spec(&[DATABASE])
        };
        let mut projects = self.node.projects().await?;
        projects
            .create_project(CreateProjectRequest { spec: Some(spec) })
            .await?;
        let request = ProjectRequest {
            project: name.to_owned(),
        };
        projects.start_project(request.clone()).await?;
        let done = project
            .wait(&self.node, "the end", |p| p.state() == ProjectState::Finished)
            .await?;
        let step = done.steps.iter().find(|s| s.kind() == StepKind::FullTransfer);
        let step = step.context("a project with full import has that step")?;
        let release = ReleaseProjectRequest {
            project: name.to_owned(),
            ..Default::default()
        };
        projects.release_project(release).await?;
        project
            .wait(&self.node, "the release", |p| p.state() == ProjectState::Released)
            .await?;
        projects.delete_project(request).await?;
        Ok((step.finished_at_ms - step.started_at_ms) as f64 / 1e3)
    }

    async fn mydumper(&self) -> anyhow::Result<(f64, Vec<ProcessUse>)> {
        if self.folder.exists() {
            std::fs::remove_dir_all(&self.folder)?;
        }
        let threads = CONNECTIONS.to_string();
        let tool = |program: &str, server: &Server| {
            Tool::new(program)
                .args(["--host", server.host(), "--port", &server.port().to_string()])
                .args(["--user", server.user(), "--threads", &threads])
                .env("MYSQL_PWD", server.password())
        };
        let dump = tool("mydumper", self.source)
            .args(["--database", DATABASE, "--trx-consistency-only", "--outputdir"])
            .arg(&self.folder)
            .run()
            .await?;
        let load = tool("myloader", &self.destination)
            .arg("--directory")
            .arg(&self.folder)
            .run()
            .await?;
        std::fs::remove_dir_all(&self.folder)?;
        Ok((dump.seconds + load.seconds, vec![dump.used, load.used]))
    }

    async fn dump(&self) -> anyhow::Result<(f64, Vec<ProcessUse>)> {
        let at = |server: &Server| format!("-h {} -P {} -u {}", server.host(), server.port(), server.user());
        // seekdb has neither LOCK TABLES nor DISABLE KEYS, and MariaDB's own comments stop it.
        let plain = match self.destination.kind() {
            ServerKind::SeekDb => "--skip-add-locks --skip-disable-keys --skip-comments --skip-set-charset",
            _ => "",
        };
        let script = format!(
            "MYSQL_PWD='{}' mariadb-dump {} --single-transaction {plain} --databases {DATABASE} \
             | MYSQL_PWD='{}' mariadb {}",
            self.source.password(),
            at(self.source),
            self.destination.password(),
            at(&self.destination)
        );
        let run = Tool::pipeline(DUMP, &script).run().await?;
        Ok((run.seconds, vec![run.used]))
    }

    async fn empty_tables(&self, client: &mut Client) -> anyhow::Result<()> {
        client.query_drop(&format!("CREATE DATABASE {DATABASE}")).await?;
        for table in TABLES {
            client.query_drop(&create(table)).await?;
        }
        Ok(())
    }
}

fn create(table: &str) -> String {
    format!(
        "CREATE TABLE {DATABASE}.{table} (id BIGINT NOT NULL PRIMARY KEY, k INT NOT NULL, price DECIMAL(10,2), \
         c CHAR(64) NOT NULL, note VARCHAR(200), made DATETIME NOT NULL, flags TINYINT UNSIGNED) DEFAULT CHARSET=utf8mb4"
    )
}

/// Makes the tables, with about 200 bytes a row.
async fn fill(source: &Server, rows: u64) -> anyhow::Result<()> {
    let mut client = source.client().await?;
    client.query_drop("SET sql_log_bin = 0").await?;
    client.query_drop(&format!("CREATE DATABASE {DATABASE}")).await?;
    // Without a present database the tables of numbers are not found.
    client.query_drop(&format!("USE {DATABASE}")).await?;
    let tables = TABLES.len() as u64;
    for (n, table) in (0..).zip(TABLES) {
        client.query_drop(&create(table)).await?;
        let count = rows / tables + u64::from(n < rows % tables);
        if count == 0 {
            continue;
        }
        client
            .query_drop(&format!(
                "INSERT INTO {DATABASE}.{table} SELECT seq, seq * 2654435761 % 1000000, \
                 IF(seq % 20 = 0, NULL, seq % 100000 / 100), CONCAT(MD5(seq), MD5(seq + 1)) COLLATE utf8mb4_general_ci, \
                 IF(seq % 30 = 0, NULL, CONCAT(SHA2(seq + {n}, 256), IF(seq % 7 = 0, ' grün\\t\\'', ' plain'), MD5(seq))), \
                 '2024-01-01' + INTERVAL seq SECOND, seq % 256 FROM seq_1_to_{count}"
            ))
            .await?;
        client
            .query_drop(&format!("ANALYZE TABLE {DATABASE}.{table}"))
            .await?;
    }
    Ok(())
}

/// A folder that is not there yet.
fn fresh(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn ready_texts_make_the_same_tables() {
        let rows = 5_003;
        let source = Server::start(ServerKind::MariaDb, BenchServer::options(Role::Source, rows))
            .await
            .unwrap();
        fill(&source, rows).await.unwrap();
        let folder = TempDir::new().unwrap();
        for texts in [Texts::Files, Texts::Inserts] {
            let at = folder.path().join(texts.name());
            let replay = Replay::make(&source, texts, DATABASE, &TABLES, &at)
                .await
                .unwrap();
            let destination =
                Server::start(ServerKind::MariaDb, BenchServer::options(Role::Destination, rows))
                    .await
                    .unwrap();
            let mut there = destination.client().await.unwrap();
            there
                .query_drop(&format!("CREATE DATABASE {DATABASE}"))
                .await
                .unwrap();
            for table in TABLES {
                there.query_drop(&create(table)).await.unwrap();
            }
            replay.run(&destination, 3).await.unwrap();
            let mut here = source.client().await.unwrap();
            let same = ensure_same_content((&mut here, &mut there), DATABASE, &TABLES).await;
            assert_eq!(same.unwrap(), rows);
        }
    }
}
