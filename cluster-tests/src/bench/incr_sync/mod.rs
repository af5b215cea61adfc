//! Draining a backlog.

mod bare;
mod replica;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use oms_proto::v1::{ComponentState, ListComponentsRequest, ProjectSpec, ProjectState, Steps};
use tokio::time::sleep;

use self::bare::Bare;
use self::replica::{MODES, Replica};
use super::{
    BenchOptions, BenchResult, BenchServer, Better, Contest, Figures, Meter, ProcessUse, Tool,
    ensure_same_content,
};
use crate::node::Scenario;
use crate::server::{Role, Server, ServerKind};
use crate::sysbench::Sysbench;

const OURS: &str = "omsnode";
const PEER: &str = "MariaDB replication";
const LIMIT: &str = "ready statements";
const DATABASE: &str = "drained";
const TABLES: u32 = 4;
const TABLE_ROWS: u32 = 50_000;
/// Row changes in one transaction of `oltp_write_only`.
const CHANGES: u64 = 4;

/// Destination and distribution of a case.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    destination: ServerKind,
    distribution: &'static str,
    goal: f64,
}

const CASES: [Case; 4] = [
    Case {
        name: "oltp_write_only to MariaDB",
        destination: ServerKind::MariaDb,
        distribution: "uniform",
        goal: 1.5,
    },
    Case {
        name: "hot rows to MariaDB",
        destination: ServerKind::MariaDb,
        distribution: "pareto",
        goal: 1.0,
    },
    Case {
        name: "oltp_write_only to OceanBase",
        destination: ServerKind::SeekDb,
        distribution: "uniform",
        goal: 1.5,
    },
    Case {
        name: "hot rows to OceanBase",
        destination: ServerKind::SeekDb,
        distribution: "pareto",
        goal: 1.0,
    },
];

/// sysbench's `oltp_write_only` makes `rows` row changes while nothing is applied, on four tables of 50,000 rows, evenly or
/// (hot rows) with its Pareto distribution; the change log, and the replica's relay log, have them. Measured is how long it
/// takes until all of them are applied, from the project's `resume` until it says so, or from START SLAVE until the replica
/// stands at the end. Every turn begins with the same data folder, and ends with a comparison of all rows.
///
/// The peer is MariaDB's own replication on a server with the settings of the MariaDB destination, in the best of several modes,
/// which are tried once before the rounds. The limit are the same changes as ready statements, the last image of each row of
/// a thousand transactions, over two connections, without a check of anything.
pub async fn incr_sync(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let mut results = Vec::new();
    for case in CASES.iter().filter(|case| options.wants(case.name)) {
        progress(format!("{}:", case.name));
        results.push(Box::pin(measure(case, options, progress)).await?);
    }
    Ok(results)
}

/// A destination whose data folder can be set back.
#[derive(Debug)]
pub(super) struct Kept {
    folder: tempfile::TempDir,
}

impl Kept {
    /// Stops the server and keeps a copy of its data.
    async fn of(server: &mut Server) -> anyhow::Result<Self> {
        server.stop().await?;
        let kept = Self {
            folder: tempfile::tempdir_in(server.data_folder().parent().context("a folder")?)?,
        };
        copy(&server.data_folder(), &kept.copy()).await?;
        Ok(kept)
    }

    fn copy(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server with the data of the copy, and reads the tables into its cache.
    async fn restore(&self, server: &mut Server) -> anyhow::Result<()> {
        if server.pid().is_some() {
            server.stop().await?;
        }
        std::fs::remove_dir_all(server.data_folder())?;
        copy(&self.copy(), &server.data_folder()).await?;
        server.restart().await?;
        let mut client = server.client().await?;
        for table in tables() {
            let sql = format!("SELECT SUM(LENGTH(c)), SUM(k) FROM {DATABASE}.{table}");
            client.query_drop(&sql).await?;
        }
        Ok(client.close().await?)
    }
}

async fn copy(from: &std::path::Path, to: &std::path::Path) -> anyhow::Result<()> {
    let tool = Tool::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to);
    tool.run().await.map(drop)
}

fn tables() -> Vec<String> {
    (1..=TABLES).map(|n| format!("sbtest{n}")).collect()
}

async fn load(source: &Server, distribution: &str, rows: u64) -> anyhow::Result<()> {
    let threads = 4;
    let arguments = [
        "oltp_write_only".to_owned(),
        "--db-driver=mysql".to_owned(),
        format!("--mysql-host={}", source.host()),
        format!("--mysql-port={}", source.port()),
        format!("--mysql-user={}", source.user()),
        format!("--mysql-password={}", source.password()),
        format!("--mysql-db={DATABASE}"),
        format!("--tables={TABLES}"),
        format!("--table-size={TABLE_ROWS}"),
        format!("--rand-type={distribution}"),
        format!("--threads={threads}"),
        format!("--events={}", (rows / CHANGES).max(1)),
        "--time=0".to_owned(),
        // A transaction that lost against another one is made again.
        "--mysql-ignore-errors=1213,1020,1205,1062".to_owned(),
        "run".to_owned(),
    ];
    Tool::new("sysbench").args(arguments).run().await.map(drop)
}

/// Stops the project's components and waits until they have ended.
async fn pause(scenario: &Scenario) -> anyhow::Result<()> {
    let answer = scenario.project.pause(&scenario.node).await?;
    answer.context("pausing")?;
    let waited = scenario
        .project
        .wait(&scenario.node, "a pause", |p| p.state() == ProjectState::Suspend);
    waited.await?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut client = scenario.node.components().await?;
        let all = client.list_components(ListComponentsRequest::default()).await?;
        let running = all
            .into_inner()
            .components
            .iter()
            .any(|c| c.kind == "incr-sync" && c.state() == ComponentState::Running);
        if !running {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "incr-sync does not end");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn measure(
    case: &Case,
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<BenchResult> {
    let source_options = BenchServer::options(Role::Source, options.rows);
    let destination_options = BenchServer::options_of(case.destination, Role::Destination, options.rows);
    let mut scenario = Scenario::start_with(
        ServerKind::MariaDb,
        source_options,
        case.destination,
        destination_options,
    )
    .await?;
    for (role, server) in [
        ("source", &scenario.source),
        ("destination", &scenario.destination),
    ] {
        let mut client = server.client().await?;
        progress(format!("{role}: {}", BenchServer::describe(&mut client).await?));
        client.close().await?;
    }
    let mut replica = Replica::start(options.rows, progress).await?;
    replica.follow(&scenario.source).await?;
    Sysbench::prepare(&scenario.source, DATABASE, TABLES, TABLE_ROWS).await?;
    replica.catch_up(0, "optimistic").await?;
    let spec = ProjectSpec {
        steps: Some(Steps {
            schema: true,
            full: true,
            incremental: true,
            verification: false,
        }),
        ..scenario.spec(&[DATABASE])
    };
    scenario.launch(spec).await?;
    scenario.project.wait_caught_up(&scenario.node).await?;
    pause(&scenario).await?;
    let kept = Kept::of(&mut scenario.destination).await?;

    let mut client = scenario.source.client().await?;
    client.query_drop("FLUSH BINARY LOGS").await?;
    let logs = client.query_strings("SHOW MASTER STATUS").await?;
    let first = logs
        .first()
        .and_then(|row| row.first())
        .context("no log")?
        .clone();
    client.close().await?;
    let begun = Instant::now();
    load(&scenario.source, case.distribution, options.rows).await?;
    progress(format!("backlog made in {:.1} s", begun.elapsed().as_secs_f64()));
    let replica_kept = replica.receive().await?;
    let bare = Bare::read(&scenario.source.data_folder(), &first).await?;
    let changes = bare.changes as f64;
    progress(format!("{} row changes, {} ready rows", bare.changes, bare.rows));

    // Once for nothing: the change log comes to hold all of it.
    kept.restore(&mut scenario.destination).await?;
    scenario
        .project
        .resume(&scenario.node)
        .await?
        .context("resuming")?;
    scenario.project.wait_caught_up(&scenario.node).await?;
    pause(&scenario).await?;

    let mut best = (f64::MAX, 0, "optimistic");
    for (threads, mode) in MODES {
        replica_kept.restore(replica.server()).await?;
        let seconds = replica.catch_up(threads, mode).await?;
        progress(format!(
            "replication with {threads} threads, {mode}: {:.0} changes/s",
            changes / seconds
        ));
        if seconds < best.0 {
            best = (seconds, threads, mode);
        }
    }
    let (mut figures, mut used): (Figures, Vec<ProcessUse>) = (Figures::new(), Vec::new());
    for turn in Contest::new(&[OURS, PEER, LIMIT], options.rounds).turns() {
        let seconds = match turn.name {
            PEER => {
                replica_kept.restore(replica.server()).await?;
                let pid = replica.server().pid().context("the replica runs")?;
                let meter = Meter::start(&[("replica", pid)])?;
                let seconds = replica.catch_up(best.1, best.2).await?;
                used.extend(meter.stop()?);
                let here = replica.server();
                same(&scenario.source, here).await?;
                seconds
            }
            name => {
                kept.restore(&mut scenario.destination).await?;
                let pid = scenario.destination.pid().context("the destination runs")?;
                let node = scenario.node.pid().context("the node runs")?;
                if name == LIMIT {
                    bare.run(&scenario.destination).await?
                } else {
                    let meter = Meter::start(&[(OURS, node), ("destination of omsnode", pid)])?;
                    let begun = Instant::now();
                    scenario
                        .project
                        .resume(&scenario.node)
                        .await?
                        .context("resuming")?;
                    scenario.project.wait_caught_up(&scenario.node).await?;
                    let seconds = begun.elapsed().as_secs_f64();
                    used.extend(meter.stop()?);
                    pause(&scenario).await?;
                    same(&scenario.source, &scenario.destination).await?;
                    seconds
                }
            }
        };
        figures.record(turn, changes / seconds);
        progress(format!(
            "round {}: {} {:.0} changes/s, {seconds:.2} s",
            turn.round,
            turn.name,
            changes / seconds
        ));
    }
    let spread = figures.spread(OURS).context("no turn")?;
    let mut result = BenchResult::new(
        "incr-sync",
        case.name,
        "changes/s",
        Better::Higher,
        spread,
        options.rounds,
    )
    .against(&figures, OURS, PEER, Some(case.goal))
    .within(&figures, OURS, LIMIT, None)
    .with_processes(used, &[OURS]);
    result.peer_name = Some(format!("{PEER}, {} threads, {}", best.1, best.2));
    Ok(result)
}

async fn same(source: &Server, destination: &Server) -> anyhow::Result<()> {
    let mut there = source.client().await?;
    let mut here = destination.client().await?;
    let names = tables();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ensure_same_content((&mut there, &mut here), DATABASE, &names).await?;
    there.close().await?;
    Ok(here.close().await?)
}
