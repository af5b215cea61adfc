//! A source with a backlog, a broker that can be set back, and who drains.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use oms_core::{MessageSink as _, TopicPlan};
use oms_kafka::{BareKafka, KafkaSettings, KafkaSink, ReadyMessage};
use oms_proto::v1::{
    ComponentState, Connection, CreateDataSourceRequest, CreateProjectRequest, DataSourceKind, KafkaOptions,
    ListComponentsRequest, MessageFormat, ProjectRequest, ProjectSpec, ProjectState, StepKind, StepState,
    Steps,
};
use tempfile::TempDir;

use super::super::{BenchServer, Tool};
use crate::node::{OmsNode, ProjectClient};
use crate::server::{Debezium, KafkaCluster, Listener, Role, Server, ServerKind};
use crate::sysbench::{Sysbench, SysbenchLoad};

pub(super) const DATABASE: &str = "drained";
const TABLES: u32 = 4;
/// Of a table; fewer where the backlog is small.
const TABLE_ROWS: u32 = 50_000;
/// Row changes in one transaction of `oltp_write_only`.
const CHANGES: u64 = 4;
const PARTITIONS: u32 = 3;
/// What a broker is warmed up with.
const WARM: &str = "warm";
const WARM_UP: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) struct Bed {
    source: Server,
    kafka: KafkaCluster,
    pub(super) node: OmsNode,
    pub(super) project: ProjectClient,
    pub(super) debezium: Option<Debezium>,
    /// Row changes in the log.
    pub(super) changes: u64,
    /// Messages of omsnode in front of the backlog.
    pub(super) early: u64,
    /// The messages of omsnode, for topics of their own.
    pub(super) ready: Arc<Vec<ReadyMessage>>,
    warm: Arc<Vec<ReadyMessage>>,
    kept: TempDir,
    _folder: TempDir,
}

fn tables(prefix: &str) -> Vec<String> {
    (1..=TABLES).map(|n| format!("{prefix}sbtest{n}")).collect()
}

fn table_rows(rows: u64) -> u32 {
    u32::try_from(rows).unwrap_or(TABLE_ROWS).clamp(1_000, TABLE_ROWS)
}

async fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let tool = Tool::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to);
    tool.run().await.map(drop)
}

impl Bed {
    pub(super) async fn start(
        rows: u64,
        with_debezium: bool,
        progress: &mut dyn FnMut(String),
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let options = BenchServer::options(Role::Source, rows);
        let source = BenchServer::start_with(ServerKind::MariaDb, options, progress).await?;
        let kafka = KafkaCluster::start_large().await?;
        progress("broker: Kafka 3.9.1, one, heap of 1 GiB, G1".to_owned());
        let node = OmsNode::start(&folder.path().join("node")).await?;
        let kept = tempfile::tempdir_in(kafka.data_folder(0)?.parent().context("a folder")?)?;
        let project = ProjectClient {
            name: "test".to_owned(),
        };
        let mut bed = Self {
            source,
            kafka,
            node,
            project,
            debezium: None,
            changes: 0,
            early: 0,
            ready: Arc::default(),
            warm: Arc::default(),
            kept,
            _folder: folder,
        };
        Sysbench::prepare(&bed.source, DATABASE, TABLES, table_rows(rows)).await?;
        for topic in [bed.bare(), bed.theirs(), vec![WARM.to_owned()]].concat() {
            bed.create(&topic).await?;
        }
        bed.launch().await?;
        if with_debezium {
            bed.begin_debezium(progress).await?;
        }
        bed.pause().await?;
        bed.early = bed.committed(&bed.ours()).await?;
        bed.keep().await?;
        bed.load(rows, progress).await?;
        // Once for nothing: the change log comes to hold all of it, and the messages are read.
        bed.project.resume(&bed.node).await?.context("resuming")?;
        bed.project.wait_caught_up(&bed.node).await?;
        bed.pause().await?;
        bed.read_ready(progress).await?;
        Ok(bed)
    }

    fn bootstrap(&self) -> String {
        self.kafka.bootstrap(Listener::Plain)
    }

    pub(super) fn client(&self) -> BareKafka {
        BareKafka::new(KafkaSettings::new(self.bootstrap()))
    }

    pub(super) fn broker(&self) -> anyhow::Result<u32> {
        self.kafka.pid(0).context("the broker runs")
    }

    pub(super) fn ours(&self) -> Vec<String> {
        tables("ours.")
    }

    pub(super) fn theirs(&self) -> Vec<String> {
        tables(&format!("{}.{DATABASE}.", Debezium::PREFIX))
    }

    pub(super) fn bare(&self) -> Vec<String> {
        tables("bare.")
    }

    async fn create(&self, topic: &str) -> anyhow::Result<()> {
        let sink = KafkaSink::new(KafkaSettings::new(self.bootstrap()));
        let plan = TopicPlan {
            name: topic.to_owned(),
            partitions: PARTITIONS,
            replication: None,
            config: Default::default(),
        };
        sink.create_topic(&plan).await?;
        Ok(())
    }

    async fn register(&self, name: &str, connection: Connection, password: &str) -> anyhow::Result<()> {
        let request = CreateDataSourceRequest {
            name: name.to_owned(),
            connection: Some(connection),
            password: password.to_owned(),
            ..Default::default()
        };
        let mut sources = self.node.data_sources().await?;
        sources.create_data_source(request).await?;
        Ok(())
    }

    /// Starts the project, which follows the log from now on.
    async fn launch(&self) -> anyhow::Result<()> {
        let connection = Connection {
            kind: DataSourceKind::Mariadb as i32,
            host: self.source.host().to_owned(),
            port: u32::from(self.source.port()),
            user: self.source.oms_user().to_owned(),
            ..Default::default()
        };
        self.register("src", connection, self.source.password()).await?;
        let connection = Connection {
            kind: DataSourceKind::Kafka as i32,
            host: self.bootstrap(),
            port: 9092,
            ..Default::default()
        };
        self.register("dst", connection, "").await?;
        let spec = ProjectSpec {
            steps: Some(Steps {
                schema: true,
                full: false,
                incremental: true,
                verification: false,
            }),
            kafka: Some(KafkaOptions {
                format: MessageFormat::Debezium as i32,
                topic: "ours.${table}".to_owned(),
                partitions: PARTITIONS,
                ..Default::default()
            }),
            ..self.project.spec(&[DATABASE])
        };
        let mut projects = self.node.projects().await?;
        projects
            .create_project(CreateProjectRequest { spec: Some(spec) })
            .await?;
        projects
            .start_project(ProjectRequest {
                project: self.project.name.clone(),
            })
            .await?;
        let following = [StepState::Monitoring];
        self.project
            .wait_step(&self.node, StepKind::IncrTransfer, &following)
            .await
            .map(drop)
    }

    /// Stops the project's components and waits until they have ended.
    pub(super) async fn pause(&self) -> anyhow::Result<()> {
        let answer = self.project.pause(&self.node).await?;
        answer.context("pausing")?;
        let suspended = |p: &oms_proto::v1::Project| p.state() == ProjectState::Suspend;
        self.project.wait(&self.node, "a pause", suspended).await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut client = self.node.components().await?;
            let all = client.list_components(ListComponentsRequest::default()).await?;
            let mut all = all.into_inner().components.into_iter();
            if !all.any(|c| c.kind == "incr-sync" && c.state() == ComponentState::Running) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "incr-sync does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets Debezium begin: it knows the definitions, and where it stands is in its files.
    async fn begin_debezium(&mut self, progress: &mut dyn FnMut(String)) -> anyhow::Result<()> {
        let begun = Instant::now();
        let settings = [
            ("include.schema.changes", "false"),
            ("tombstones.on.delete", "false"),
        ];
        let mut debezium = Debezium::new(&self.source, &self.bootstrap(), DATABASE, &settings)?;
        debezium.start()?;
        // It stores nothing before its first message, and that must come behind its start.
        let topics = self.theirs();
        let mut client = self.source.client().await?;
        let deadline = Instant::now() + PATIENCE;
        while self.offsets(&topics).await? == 0 {
            debezium.pid()?;
            ensure!(Instant::now() < deadline, "Debezium sends nothing");
            let sql = format!("UPDATE {DATABASE}.sbtest1 SET k = k + 1 WHERE id = 1");
            client.query_drop(&sql).await?;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        // Until it has sent all of them.
        let mut sent = (0, Instant::now());
        while sent.1.elapsed() < Duration::from_secs(3) {
            let now = self.offsets(&topics).await?;
            if now != sent.0 {
                sent = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        client.close().await?;
        debezium.stop().await?;
        progress(format!(
            "Debezium has begun, {:.1} s",
            begun.elapsed().as_secs_f64()
        ));
        self.debezium = Some(debezium);
        self.project.wait_caught_up(&self.node).await
    }

    fn copies(&self) -> [PathBuf; 2] {
        ["broker", "debezium"].map(|name| self.kept.path().join(name))
    }

    async fn keep(&mut self) -> anyhow::Result<()> {
        self.kafka.stop(0).await?;
        let [broker, debezium] = self.copies();
        copy(&self.kafka.data_folder(0)?, &broker).await?;
        if let Some(connector) = &self.debezium {
            copy(&connector.state_folder(), &debezium).await?;
        }
        Ok(self.kafka.restart(0).await?)
    }

    /// Sets the broker and Debezium back to where the backlog begins, and warms the broker up.
    pub(super) async fn restore(&mut self) -> anyhow::Result<()> {
        if self.kafka.pid(0).is_some() {
            // Nothing of it is kept.
            self.kafka.kill(0)?;
        }
        let [broker, debezium] = self.copies();
        let folder = self.kafka.data_folder(0)?;
        std::fs::remove_dir_all(&folder)?;
        copy(&broker, &folder).await?;
        if let Some(connector) = &self.debezium {
            std::fs::remove_dir_all(connector.state_folder())?;
            copy(&debezium, &connector.state_folder()).await?;
        }
        self.kafka.restart(0).await?;
        let begun = Instant::now();
        loop {
            let (kafka, warm) = (self.client(), self.warm.clone());
            tokio::task::spawn_blocking(move || kafka.write(&warm)).await??;
            if begun.elapsed() > WARM_UP || warm_is_small(&self.warm) {
                return Ok(());
            }
        }
    }

    async fn load(&mut self, rows: u64, progress: &mut dyn FnMut(String)) -> anyhow::Result<()> {
        let mut client = self.source.client().await?;
        client.query_drop("FLUSH BINARY LOGS").await?;
        let logs = client.query_strings("SHOW MASTER STATUS").await?;
        let first = logs.first().and_then(|row| row.first()).context("no log")?;
        client.close().await?;
        let begun = Instant::now();
        let tables = (TABLES, table_rows(rows));
        let transactions = (rows / CHANGES).max(1);
        Sysbench::burst(
            &self.source,
            SysbenchLoad::WriteOnly,
            DATABASE,
            tables,
            4,
            transactions,
        )
        .await?;
        let folder = self.source.data_folder();
        let mut files: Vec<_> = std::fs::read_dir(&folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("binlog.0") && name >= first)
            .map(|name| folder.join(name).display().to_string())
            .collect();
        files.sort();
        let script = format!(
            "mysqlbinlog --no-defaults --base64-output=DECODE-ROWS -v {} | grep -c -E '^### (INSERT|UPDATE|DELETE) '",
            files.join(" ")
        );
        let counted = Tool::pipeline("counting", &script).run_for_output().await?;
        self.changes = counted.output.trim().parse()?;
        ensure!(self.changes > 0, "the log holds no change");
        progress(format!(
            "backlog of {} row changes made in {:.1} s",
            self.changes,
            begun.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    async fn read_ready(&mut self, progress: &mut dyn FnMut(String)) -> anyhow::Result<()> {
        let (kafka, topics) = (self.client(), self.ours());
        let mut ready = tokio::task::spawn_blocking(move || {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            let mut all = Vec::new();
            kafka.read(&names, |message| all.push(message))?;
            Ok::<_, oms_core::Failure>(all)
        })
        .await??;
        ensure!(
            ready.len() as u64 == self.early + self.changes,
            "{} messages for {} changes",
            ready.len(),
            self.changes
        );
        // As many as the backlog has.
        ready.truncate(usize::try_from(self.changes)?);
        let bytes: usize = ready.iter().map(|m| m.key.len() + m.value.len()).sum();
        progress(format!(
            "{} messages of {} bytes",
            ready.len(),
            bytes / ready.len().max(1)
        ));
        let mut warm = ready.clone();
        warm.truncate(50_000);
        for message in &mut warm {
            message.topic = WARM.to_owned();
        }
        for message in &mut ready {
            message.topic = message.topic.replacen("ours.", "bare.", 1);
        }
        // As the log has them: not one topic after the other.
        let mut mixed = Vec::with_capacity(ready.len());
        let per_topic = ready.len().div_ceil(TABLES as usize).max(1);
        for at in 0..per_topic {
            mixed.extend(ready.iter().skip(at).step_by(per_topic).cloned());
        }
        (self.warm, self.ready) = (Arc::new(warm), Arc::new(mixed));
        Ok(())
    }

    pub(super) async fn offsets(&self, topics: &[String]) -> anyhow::Result<u64> {
        let (kafka, topics) = (self.client(), topics.to_vec());
        Ok(tokio::task::spawn_blocking(move || {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            kafka.offsets(&names)
        })
        .await??)
    }

    /// How many messages a reader of committed ones sees.
    pub(super) async fn committed(&self, topics: &[String]) -> anyhow::Result<u64> {
        let (kafka, topics) = (self.client(), topics.to_vec());
        Ok(tokio::task::spawn_blocking(move || {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            let mut seen = 0u64;
            kafka.read(&names, |_| seen += 1)?;
            Ok::<_, oms_core::Failure>(seen)
        })
        .await??)
    }
}

fn warm_is_small(warm: &[ReadyMessage]) -> bool {
    warm.len() < 50_000
}
