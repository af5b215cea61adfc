//! How much memory a node needs for what is large or many.

use std::time::{Duration, Instant};

use anyhow::Context;
use oms_proto::v1::{CreateProjectRequest, StepKind, StepState};
use tokio::time::sleep;

use super::{BenchOptions, BenchResult, BenchServer, Better, Meter, ProcessUse, Spread};
use crate::node::{ProjectClient, Scenario};
use crate::server::{Role, ServerKind, ServerOptions};

const OURS: &str = "omsnode";
/// Resident memory that must not be exceeded, in MiB.
const GOAL: f64 = 300.0;
const BLOBS: &str = "full import of values of 64 MB";
const TRANSACTION: &str = "a transaction of 3 GB, captured and applied";
const TABLES: &str = "10,000 tables, all steps";
const PROJECTS: &str = "100 projects on a node, idle";
/// Tables of the case of tables when nothing else is asked for; the other cases go with it.
const WHOLE: f64 = 10_000.0;

/// The peak of a node's resident memory (`VmHWM`) from its start on, in four cases. Contents are compared at the end.
///
/// `rows` is the number of tables; values, the transaction and the projects become fewer in proportion.
pub async fn memory(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let share = options.rows as f64 / WHOLE;
    let of = |whole: f64| ((whole * share).round() as u64).max(1);
    let mut results = Vec::new();
    for case in [BLOBS, TRANSACTION, TABLES, PROJECTS] {
        if !options.wants(case) {
            continue;
        }
        let (mut peaks, mut used) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let run = match case {
                BLOBS => blobs(of(32.0), progress).await?,
                TRANSACTION => transaction(of(15.0), progress).await?,
                TABLES => tables(options.rows.max(1), progress).await?,
                _ => projects(of(100.0), progress).await?,
            };
            peaks.push(run.rss_mb);
            used.push(run);
        }
        let spread = Spread::of(peaks).context("no round")?;
        results.push(
            BenchResult::new("memory", case, "MiB", Better::Lower, spread, options.rounds)
                .bounded(GOAL)
                .with_processes(used, &[OURS]),
        );
    }
    Ok(results)
}

async fn start(connections: &str) -> anyhow::Result<Scenario> {
    let sized = |options: ServerOptions| {
        options
            .set("max_allowed_packet", "1G")
            .set("max_connections", connections)
            .set("innodb_buffer_pool_size", "512M")
            .set("table_open_cache", "2000")
    };
    // The log must hold a large value several times over.
    let source = sized(BenchServer::options(Role::Source, u64::MAX));
    let destination = sized(BenchServer::options(Role::Destination, u64::MAX).durable(false));
    Scenario::start_with(ServerKind::MariaDb, source, ServerKind::MariaDb, destination).await
}

/// Counts the node's processor time from now on; its peak of memory is that of its whole life.
struct Watch {
    meter: Meter,
}

impl Watch {
    fn begin(scenario: &Scenario) -> anyhow::Result<Self> {
        let pid = scenario.node.pid().context("the node runs")?;
        Ok(Self {
            meter: Meter::start(&[(OURS, pid)])?,
        })
    }

    fn end(self) -> anyhow::Result<ProcessUse> {
        self.meter.stop()?.pop().context("the node was watched")
    }
}

async fn monitoring(scenario: &Scenario, project: &ProjectClient) -> anyhow::Result<()> {
    let states = [StepState::Monitoring];
    project
        .wait_step(&scenario.node, StepKind::IncrTransfer, &states)
        .await?;
    Ok(())
}

async fn blobs(count: u64, progress: &mut dyn FnMut(String)) -> anyhow::Result<ProcessUse> {
    let scenario = start("200").await?;
    let mut client = scenario.source.client().await?;
    client
        .run_all(&[
            "CREATE DATABASE large",
            "CREATE TABLE large.files (id INT NOT NULL PRIMARY KEY, name VARCHAR(50), content LONGBLOB)",
        ])
        .await?;
    for n in 1..=count {
        // All bytes, of which the escaped ones are as many as in compressed files.
        let insert = format!(
            "INSERT INTO large.files VALUES ({n}, 'file {n}', REPEAT(UNHEX(CONCAT(SHA2({n}, 512), SHA2({n} + 0.5, 512))), 524288))"
        );
        client.query_drop(&insert).await?;
    }
    progress(format!("{count} values of 64 MB"));
    let watch = Watch::begin(&scenario)?;
    let begun = Instant::now();
    scenario.launch(scenario.spec(&["large"])).await?;
    monitoring(&scenario, &scenario.project).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let used = watch.end()?;
    progress(format!(
        "imported in {seconds:.1} s, {:.0} MB/s; at most {:.0} MiB",
        count as f64 * 67.1 / seconds,
        used.rss_mb
    ));
    scenario.assert_equal("large", &["files"]).await?;
    Ok(used)
}

async fn transaction(parts: u64, progress: &mut dyn FnMut(String)) -> anyhow::Result<ProcessUse> {
    let scenario = start("200").await?;
    let mut client = scenario.source.client().await?;
    let mut statements = vec![
        "CREATE DATABASE large".to_owned(),
        "USE large".to_owned(),
        "CREATE TABLE changed (id INT NOT NULL PRIMARY KEY, n INT NOT NULL, c CHAR(200) NOT NULL)".to_owned(),
        "INSERT INTO changed SELECT seq, 0, REPEAT(MD5(seq), 6) FROM seq_1_to_480000".to_owned(),
    ];
    client.run_all(&statements).await?;
    scenario.launch(scenario.spec(&["large"])).await?;
    monitoring(&scenario, &scenario.project).await?;
    scenario.project.wait_caught_up(&scenario.node).await?;
    // Both images of every row: some 200 MB of log each.
    statements = vec!["BEGIN".to_owned()];
    for part in 1..=parts {
        statements.push(format!(
            "UPDATE changed SET n = {part}, c = REPEAT(MD5(id + {part}), 6)"
        ));
    }
    client.run_all(&statements).await?;
    let size = client
        .query_strings("SHOW STATUS LIKE 'Binlog_bytes_written'")
        .await?;
    let before: f64 = number(&size)?;
    let watch = Watch::begin(&scenario)?;
    client.query_drop("COMMIT").await?;
    let begun = Instant::now();
    let size = client
        .query_strings("SHOW STATUS LIKE 'Binlog_bytes_written'")
        .await?;
    let mb = (number(&size)? - before) / 1e6;
    scenario.project.wait_caught_up(&scenario.node).await?;
    let used = watch.end()?;
    progress(format!(
        "a transaction of {mb:.0} MB was applied {:.1} s after it was committed; at most {:.0} MiB",
        begun.elapsed().as_secs_f64(),
        used.rss_mb
    ));
    scenario.assert_equal("large", &["changed"]).await?;
    Ok(used)
}

fn number(status: &[Vec<String>]) -> anyhow::Result<f64> {
    let value = status
        .first()
        .and_then(|row| row.get(1))
        .context("no such status")?;
    Ok(value.parse()?)
}

async fn tables(count: u64, progress: &mut dyn FnMut(String)) -> anyhow::Result<ProcessUse> {
    let scenario = start("200").await?;
    let mut client = scenario.source.client().await?;
    client.run_all(&["CREATE DATABASE many", "USE many"]).await?;
    for n in 1..=count {
        let statements = [
            format!(
                "CREATE TABLE t{n} (id INT NOT NULL PRIMARY KEY, a VARCHAR(50) NOT NULL, b DECIMAL(10,2), c DATETIME, \
                 KEY by_a (a))"
            ),
            format!("INSERT INTO t{n} VALUES (1, 'one', 1.5, '2020-01-01'), (2, 'two', NULL, NULL)"),
        ];
        client.run_all(&statements).await?;
    }
    progress(format!("{count} tables"));
    let watch = Watch::begin(&scenario)?;
    let begun = Instant::now();
    scenario.launch(scenario.spec(&["many"])).await?;
    let node = &scenario.node;
    let done = [StepState::Finished, StepState::Monitoring];
    for step in [
        StepKind::StructTransfer,
        StepKind::FullTransfer,
        StepKind::IncrTransfer,
    ] {
        scenario.project.wait_step(node, step, &done).await?;
        progress(format!(
            "{} done after {:.1} s, at most {} MiB",
            step.name(),
            begun.elapsed().as_secs_f64(),
            node.peak_memory()? >> 20
        ));
    }
    let project = scenario
        .project
        .wait_step(node, StepKind::FullVerifier, &done)
        .await?;
    let result = project.verification.unwrap_or_default();
    anyhow::ensure!(result.consistent && result.tables == count, "{result:?}");
    client
        .query_drop(&format!("UPDATE t{count} SET a = 'changed'"))
        .await?;
    scenario.project.wait_caught_up(node).await?;
    let used = watch.end()?;
    progress(format!(
        "verified after {:.1} s; at most {:.0} MiB",
        begun.elapsed().as_secs_f64(),
        used.rss_mb
    ));
    scenario
        .assert_equal("many", &["t1", &format!("t{count}")])
        .await?;
    Ok(used)
}

async fn projects(count: u64, progress: &mut dyn FnMut(String)) -> anyhow::Result<ProcessUse> {
    let scenario = start("4000").await?;
    let mut client = scenario.source.client().await?;
    let watch = Watch::begin(&scenario)?;
    let begun = Instant::now();
    let mut all = Vec::new();
    for n in 1..=count {
        let database = format!("db{n}");
        client
            .run_all(&[
                format!("CREATE DATABASE {database}"),
                format!("CREATE TABLE {database}.t (id INT NOT NULL PRIMARY KEY, a VARCHAR(50) NOT NULL)"),
                format!("INSERT INTO {database}.t VALUES (1, 'one'), (2, 'two')"),
            ])
            .await?;
        let project = ProjectClient {
            name: format!("p{n}"),
        };
        let spec = project.spec(&[&database]);
        let mut projects = scenario.node.projects().await?;
        projects
            .create_project(CreateProjectRequest { spec: Some(spec) })
            .await?;
        project.start(&scenario.node).await??;
        all.push(project);
    }
    for project in &all {
        let states = [StepState::Finished];
        project
            .wait_step(&scenario.node, StepKind::FullVerifier, &states)
            .await?;
    }
    progress(format!(
        "{count} projects verified after {:.1} s",
        begun.elapsed().as_secs_f64()
    ));
    for n in 1..=count {
        client
            .query_drop(&format!("UPDATE db{n}.t SET a = 'changed'"))
            .await?;
    }
    for project in &all {
        project.wait_caught_up(&scenario.node).await?;
    }
    let used = watch.end()?;
    let pid = scenario.node.pid().context("the node runs")?;
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))?.count();
    let idle = Watch::begin(&scenario)?;
    let rest = Duration::from_secs(10);
    sleep(rest).await;
    let resting = idle.end()?;
    progress(format!(
        "{threads} threads; at rest {:.1} % of a core and {:.0} MiB; at most {:.0} MiB",
        resting.cpu_s / rest.as_secs_f64() * 100.0,
        resting.rss_mb,
        used.rss_mb
    ));
    for n in [1, count] {
        scenario.assert_equal(&format!("db{n}"), &["t"]).await?;
    }
    Ok(used)
}
