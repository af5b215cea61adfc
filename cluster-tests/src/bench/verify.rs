//! Comparing all rows of two databases.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::TryStreamExt as _;
use mysql_async::prelude::Queryable;
use oms_proto::v1::{DifferenceKind, ProjectSpec, StepKind, StepState, Steps, VerifyOptions};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{BenchOptions, BenchResult, BenchServer, Better, Contest, Figures, Meter, Tool};
use crate::client::Client;
use crate::node::Scenario;
use crate::server::{Role, Server, ServerKind};

const OURS: &str = "omsnode";
const SCAN: &str = "two-sided scan";
const CHECKSUM: &str = "pt-table-checksum";
const LIMIT: &str = "the slower server digesting its rows alone";
/// What must be reached of the limit.
const GOAL: f64 = 0.8;
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(5);
const DATABASE: &str = "verified";
/// Rows are planted with keys between those of the others.
const STEP: u64 = 2;

/// One table of six types, equal on both sides, is compared by a node through its API.
///
/// Beside it: `pt-table-checksum`, for which the destination is made a replica of the source, because it compares nothing
/// else; and a client that reads both sides in key order and compares rows. The limit is one statement at one server that
/// reads all rows and makes the SHA-256 of each, the slower side's, with the machine to itself.
///
/// A hundred differences of all kinds are planted then: all of them must be found, and nothing else. That is done once more
/// while the source is written to and synchronised.
pub async fn verify(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let mut results = Vec::new();
    for kind in [ServerKind::MariaDb, ServerKind::SeekDb] {
        let name = match kind {
            ServerKind::SeekDb => "MariaDB to OceanBase",
            _ => "MariaDB to MariaDB",
        };
        let cases = ["equal", "100 differences", "under writes"].map(|case| format!("{name}, {case}"));
        let [equal, planted, written] = &cases;
        if !cases.iter().any(|case| options.wants(case)) {
            continue;
        }
        let bed = Bed::start(kind, options.rows.max(1_000), progress).await?;
        let replica = kind == ServerKind::MariaDb && options.wants(equal);
        if replica {
            bed.replicate().await?;
        }
        bed.launch(Steps {
            verification: true,
            ..Steps::default()
        })
        .await?;
        if options.wants(equal) {
            let peers: &[&'static str] = if replica { &[CHECKSUM, SCAN] } else { &[SCAN] };
            let nothing = Planted::default();
            results.push(bed.contest(equal, &nothing, peers, options, progress).await?);
        }
        if replica {
            bed.stop_replica().await?;
        }
        let ids = bed.plant().await?;
        if options.wants(planted) {
            results.push(bed.contest(planted, &ids, &[SCAN], options, progress).await?);
        }
        if options.wants(written) {
            bed.release().await?;
            results.push(bed.under_writes(written, &ids, options, progress).await?);
        }
    }
    Ok(results)
}

struct Bed {
    scenario: Scenario,
    rows: u64,
}

/// Which rows were planted, by what must be said of them.
#[derive(Default)]
struct Planted {
    source_only: BTreeSet<u64>,
    destination_only: BTreeSet<u64>,
    mismatched: BTreeSet<u64>,
}

impl Planted {
    fn len(&self) -> usize {
        self.source_only.len() + self.destination_only.len() + self.mismatched.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Bed {
    async fn start(kind: ServerKind, rows: u64, progress: &mut dyn FnMut(String)) -> anyhow::Result<Self> {
        let source = BenchServer::options(Role::Source, rows);
        let destination = BenchServer::options_of(kind, Role::Destination, rows);
        let scenario = Scenario::start_with(ServerKind::MariaDb, source, kind, destination).await?;
        for (side, server) in [
            ("source", &scenario.source),
            ("destination", &scenario.destination),
        ] {
            let mut client = server.client().await?;
            progress(format!("{side}: {}", BenchServer::describe(&mut client).await?));
            fill(&mut client, rows).await?;
        }
        progress(format!("{rows} rows on each side"));
        Ok(Self { scenario, rows })
    }

    fn spec(&self, steps: Steps, recheck_rounds: u32) -> ProjectSpec {
        ProjectSpec {
            steps: Some(steps),
            verify: Some(VerifyOptions {
                recheck_rounds,
                ..VerifyOptions::default()
            }),
            ..self.scenario.spec(&[DATABASE])
        }
    }

    /// Creates the project and waits for its first verification, which warms caches.
    async fn launch(&self, steps: Steps) -> anyhow::Result<()> {
        // Nothing is on its way without a synchronization, so that one look proves.
        let rounds = if steps.incremental { 0 } else { 1 };
        self.scenario.launch(self.spec(steps, rounds)).await?;
        let states = [StepState::Finished];
        let project = &self.scenario.project;
        project
            .wait_step(&self.scenario.node, StepKind::FullVerifier, &states)
            .await?;
        Ok(())
    }

    async fn release(&self) -> anyhow::Result<()> {
        let (project, node) = (&self.scenario.project, &self.scenario.node);
        project.release(node).await??;
        project.wait_released(node).await?;
        project.delete(node).await??;
        Ok(())
    }

    /// One verification; what it found must be what was planted. Seconds.
    async fn ours(&self, planted: &Planted) -> anyhow::Result<f64> {
        let (project, node) = (&self.scenario.project, &self.scenario.node);
        let begun = Instant::now();
        let result = project.verify(node).await?;
        let seconds = begun.elapsed().as_secs_f64();
        let found = project.differences(node, false).await?;
        let of = |kind: DifferenceKind| -> anyhow::Result<BTreeSet<u64>> {
            let matching = found.iter().filter(|d| d.kind() == kind);
            matching
                .map(|d| Ok(d.key.first().context("a key")?.value.parse()?))
                .collect()
        };
        ensure!(result.failed_tables == 0, "{result:?}");
        ensure!(
            of(DifferenceKind::SourceOnly)? == planted.source_only,
            "{found:?}"
        );
        ensure!(
            of(DifferenceKind::DestinationOnly)? == planted.destination_only,
            "{found:?}"
        );
        ensure!(of(DifferenceKind::Mismatched)? == planted.mismatched, "{found:?}");
        ensure!(result.consistent == found.is_empty(), "{result:?}");
        Ok(seconds)
    }

    /// Contestants besides ours and the limit are `peers`, of which the first is reported.
    async fn contest(
        &self,
        case: &str,
        planted: &Planted,
        peers: &[&'static str],
        options: &BenchOptions,
        progress: &mut dyn FnMut(String),
    ) -> anyhow::Result<BenchResult> {
        let names: Vec<&'static str> = [OURS].iter().chain(peers).chain(&[LIMIT]).copied().collect();
        let (mut figures, mut used) = (Figures::new(), Vec::new());
        for turn in Contest::new(&names, options.rounds).turns() {
            let seconds = match turn.name {
                OURS => {
                    let meter = Meter::start(&self.processes()?)?;
                    let seconds = self.ours(planted).await?;
                    used.extend(meter.stop()?);
                    seconds
                }
                CHECKSUM => {
                    let run = self.checksum_tool().run().await?;
                    used.push(run.used);
                    run.seconds
                }
                SCAN => self.scan(planted.len()).await?,
                _ => {
                    let source = digest(&self.scenario.source).await?;
                    source.max(digest(&self.scenario.destination).await?)
                }
            };
            let rate = self.rows as f64 / seconds;
            progress(format!("round {}: {} {rate:.0} rows/s", turn.round, turn.name));
            figures.record(turn, rate);
        }
        for peer in peers {
            let (median, ratio) = (figures.spread(peer).map(|s| s.median), figures.ratio(OURS, peer));
            progress(format!(
                "{case}: {peer} {:.0} rows/s, ours is {:.2} of it",
                median.unwrap_or_default(),
                ratio.unwrap_or_default()
            ));
        }
        let ours = figures.spread(OURS).context("no turn")?;
        let result = BenchResult::new("verify", case, "rows/s", Better::Higher, ours, options.rounds);
        let goal = planted.is_empty().then_some(GOAL);
        Ok(result
            .against(&figures, OURS, peers.first().copied().unwrap_or(SCAN), None)
            .within(&figures, OURS, LIMIT, goal)
            .with_processes(used, &[OURS]))
    }

    /// The source is written to and synchronised while it is compared. The figure holds what the synchronization and
    /// the writes cost, and the re-checks behind the synchronization.
    async fn under_writes(
        &self,
        case: &str,
        planted: &Planted,
        options: &BenchOptions,
        progress: &mut dyn FnMut(String),
    ) -> anyhow::Result<BenchResult> {
        self.launch(Steps {
            incremental: true,
            verification: true,
            ..Steps::default()
        })
        .await?;
        let stop = CancellationToken::new();
        let mut client = self.scenario.source.client().await?;
        let (last, ends) = (self.rows * STEP, stop.clone());
        let protected: BTreeSet<u64> = planted.source_only.union(&planted.mismatched).copied().collect();
        let writer = tokio::spawn(async move { write(&mut client, last, &protected, &ends).await });
        let (mut figures, mut used) = (Figures::new(), Vec::new());
        for turn in Contest::new(&[OURS], options.rounds).turns() {
            let meter = Meter::start(&self.processes()?)?;
            let seconds = self.ours(planted).await?;
            used.extend(meter.stop()?);
            let rate = self.rows as f64 / seconds;
            progress(format!("round {}: {} {rate:.0} rows/s", turn.round, turn.name));
            figures.record(turn, rate);
        }
        stop.cancel();
        let statements = writer.await??;
        progress(format!("{statements} statements wrote to the source meanwhile"));
        self.scenario.project.wait_caught_up(&self.scenario.node).await?;
        let ours = figures.spread(OURS).context("no turn")?;
        Ok(
            BenchResult::new("verify", case, "rows/s", Better::Higher, ours, options.rounds)
                .with_processes(used, &[OURS]),
        )
    }

    fn processes(&self) -> anyhow::Result<[(&'static str, u32); 3]> {
        let s = &self.scenario;
        Ok([
            (OURS, s.node.pid().context("the node runs")?),
            (
                "source, compared by omsnode",
                s.source.pid().context("the source runs")?,
            ),
            (
                "destination, compared by omsnode",
                s.destination.pid().context("the destination runs")?,
            ),
        ])
    }

    /// Makes the destination a replica of the source from now on.
    async fn replicate(&self) -> anyhow::Result<()> {
        let source = &self.scenario.source;
        let mut there = source.client().await?;
        let status = there.query_strings("SHOW MASTER STATUS").await?;
        let [file, offset, ..] = status.first().map(Vec::as_slice).context("no log")? else {
            anyhow::bail!("the source shows no log");
        };
        let mut client = self.scenario.destination.client().await?;
        // The password goes to a server of the bench's own.
        let change = format!(
            "CHANGE MASTER TO MASTER_HOST='{}', MASTER_PORT={}, MASTER_USER='{}', MASTER_PASSWORD='{}', \
             MASTER_LOG_FILE='{file}', MASTER_LOG_POS={offset}, MASTER_USE_GTID=no",
            source.host(),
            source.port(),
            source.oms_user(),
            source.password()
        );
        client.run_all(&[change.as_str(), "START SLAVE"]).await?;
        // Where the tool finds replicas: other ways need the same port on all servers.
        let destination = &self.scenario.destination;
        let place = format!(
            "INSERT INTO percona.dsns VALUES (1, NULL, 'h={},P={}')",
            destination.host(),
            destination.port()
        );
        let statements = [
            "CREATE DATABASE percona",
            "CREATE TABLE percona.dsns (id INT PRIMARY KEY, parent_id INT, dsn VARCHAR(255))",
            &place,
        ];
        there.run_all(&statements).await?;
        // Both have root, each with a password of its own; the tool uses one.
        client
            .query_drop(&format!(
                "CREATE USER checksum@'%' IDENTIFIED BY '{0}'",
                source.password()
            ))
            .await?;
        client
            .query_drop("GRANT ALL PRIVILEGES ON *.* TO checksum@'%'")
            .await?;
        there
            .run_all(&[
                format!(
                    "CREATE USER IF NOT EXISTS checksum@'%' IDENTIFIED BY '{}'",
                    source.password()
                ),
                "GRANT ALL PRIVILEGES ON *.* TO checksum@'%'".to_owned(),
            ])
            .await?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = client.query_strings("SHOW TABLES FROM percona").await;
            if status.is_ok_and(|tables| !tables.is_empty()) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the replica does not follow");
            sleep(LOOK).await;
        }
    }

    async fn stop_replica(&self) -> anyhow::Result<()> {
        let mut client = self.scenario.destination.client().await?;
        client.run_all(&["STOP SLAVE", "RESET SLAVE ALL"]).await?;
        Ok(())
    }

    fn checksum_tool(&self) -> Tool {
        let source = &self.scenario.source;
        Tool::new(CHECKSUM)
            .arg(format!(
                "h={},P={},u=checksum,p={},D=percona",
                source.host(),
                source.port(),
                source.password()
            ))
            .args([
                "--replicate=percona.checksums",
                "--recursion-method=dsn=D=percona,t=dsns",
            ])
            .args([
                "--no-check-binlog-format",
                "--no-check-replication-filters",
                "--quiet",
            ])
            .arg(format!("--databases={DATABASE}"))
    }

    /// Reads both sides in key order and counts the rows that differ. Seconds.
    async fn scan(&self, wanted: usize) -> anyhow::Result<f64> {
        let mut left = self.scenario.source.client().await?;
        let mut right = self.scenario.destination.client().await?;
        let begun = Instant::now();
        let sql = format!("SELECT * FROM {DATABASE}.items ORDER BY id");
        let mut a = left.conn().query_iter(sql.as_str()).await?;
        let mut b = right.conn().query_iter(sql.as_str()).await?;
        let mut a = a.stream::<mysql_async::Row>().await?.context("rows")?;
        let mut b = b.stream::<mysql_async::Row>().await?.context("rows")?;
        let id = |row: &mysql_async::Row| row.get::<u64, _>(0).unwrap_or_default();
        let (mut x, mut y) = tokio::try_join!(a.try_next(), b.try_next())?;
        let mut differences = 0;
        loop {
            match (&x, &y) {
                (None, None) => break,
                (Some(p), Some(q)) if id(p) == id(q) => {
                    let differs = (0..p.len()).any(|column| p.as_ref(column) != q.as_ref(column));
                    differences += usize::from(differs);
                    (x, y) = tokio::try_join!(a.try_next(), b.try_next())?;
                }
                (Some(p), q) if q.as_ref().is_none_or(|q| id(p) < id(q)) => {
                    differences += 1;
                    x = a.try_next().await?;
                }
                _ => {
                    differences += 1;
                    y = b.try_next().await?;
                }
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        ensure!(differences == wanted, "the scan found {differences} differences");
        Ok(seconds)
    }

    /// Plants a hundred differences at the destination.
    async fn plant(&self) -> anyhow::Result<Planted> {
        let mut client = self.scenario.destination.client().await?;
        let mut planted = Planted::default();
        let changes = [
            "k = k + 1",
            "c = CONCAT(LEFT(c, 50), UPPER(SUBSTRING(c, 51)))",
            "pad = CONCAT(pad, ' ')",
            "amount = amount + 0.01",
            "ratio = ratio * 1.0000000000000004",
            "changed = changed + INTERVAL 1000 MICROSECOND",
            "note = NULL",
            "note = ''",
            "k = NULL",
            "c = ''",
        ];
        for n in 0..100u64 {
            let id = (n * self.rows / 100).clamp(1, self.rows) * STEP;
            let statement = match n % 5 {
                0 => {
                    planted.source_only.insert(id);
                    format!("DELETE FROM {DATABASE}.items WHERE id = {id}")
                }
                1 => {
                    planted.destination_only.insert(id + 1);
                    format!("INSERT INTO {DATABASE}.items (id) VALUES ({})", id + 1)
                }
                _ => {
                    planted.mismatched.insert(id);
                    let change = changes[(n as usize / 5 * 3 + n as usize % 5) % changes.len()];
                    format!("UPDATE {DATABASE}.items SET {change} WHERE id = {id}")
                }
            };
            client.query_drop(&statement).await?;
            ensure!(client.affected_rows() == 1, "{statement}");
        }
        Ok(planted)
    }
}

/// Makes the table; the same rows wherever it is done.
async fn fill(client: &mut Client, rows: u64) -> anyhow::Result<()> {
    let create = format!(
        "CREATE TABLE {DATABASE}.items (id BIGINT NOT NULL PRIMARY KEY, k INT, c CHAR(120) NOT NULL DEFAULT '', pad VARCHAR(61), \
         amount DECIMAL(12,2), ratio DOUBLE, changed DATETIME(3), note VARBINARY(20))"
    );
    let statements = [
        format!("CREATE DATABASE {DATABASE} DEFAULT CHARACTER SET utf8mb4"),
        format!("CREATE TABLE {DATABASE}.digits (d INT NOT NULL PRIMARY KEY)"),
        format!("INSERT INTO {DATABASE}.digits VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)"),
        create,
    ];
    client.run_all(&statements).await?;
    const AT_ONCE: u64 = 100_000;
    for first in (0..rows).step_by(AT_ONCE as usize) {
        let d = format!("{DATABASE}.digits");
        client
            .query_drop(&format!(
                "INSERT INTO {DATABASE}.items SELECT n * {STEP}, n * 7919 % 1000003, CONCAT_WS('-', MD5(n), MD5(n + 1), \
                 MD5(n + 2)), CONCAT(MD5(n * 3), LEFT(MD5(n * 5), 28)), n % 1000000 / 7, n / 7e0, \
                 TIMESTAMPADD(SECOND, n % 100000000, '2020-01-01'), LEFT(MD5(n * 11), 16) FROM (SELECT a.d + 10 * b.d + \
                 100 * c.d + 1000 * e.d + 10000 * f.d + {first} + 1 AS n FROM {d} a, {d} b, {d} c, {d} e, {d} f) numbers \
                 WHERE n <= {rows}"
            ))
            .await?;
    }
    client
        .query_drop(&format!("ANALYZE TABLE {DATABASE}.items"))
        .await?;
    Ok(())
}

/// The server's own scan of all rows with a SHA-256 of each. Seconds.
async fn digest(server: &Server) -> anyhow::Result<f64> {
    let mut client = server.client().await?;
    if server.kind() == ServerKind::SeekDb {
        client
            .query_drop("SET SESSION ob_query_timeout = 3600000000")
            .await?;
    }
    let begun = Instant::now();
    let sql = format!(
        "SELECT COUNT(*), MAX(SHA2(CONCAT_WS(',', CONCAT(ISNULL(k), ISNULL(pad), ISNULL(amount), ISNULL(ratio), \
         ISNULL(changed), ISNULL(note)), id, k, LENGTH(c), CAST(c AS BINARY), LENGTH(pad), CAST(pad AS BINARY), amount, \
         HEX(POINT(ratio, 0)), changed, LENGTH(note), CAST(note AS BINARY)), 256)) FROM {DATABASE}.items"
    );
    client.query_one(&sql).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Changes, removes and brings back rows all over the table until it is stopped; not those of which something is
/// known. About 500 statements per second.
async fn write(
    client: &mut Client,
    last: u64,
    protected: &BTreeSet<u64>,
    stop: &CancellationToken,
) -> anyhow::Result<u64> {
    let (mut statements, mut n) = (0, 0u64);
    while !stop.is_cancelled() {
        n = n
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let id = ((n >> 33) % (last / STEP) + 1) * STEP;
        if protected.contains(&id) {
            continue;
        }
        let all = match n >> 20 & 3 {
            0 => vec![
                format!("DELETE FROM {DATABASE}.items WHERE id = {id}"),
                format!("INSERT INTO {DATABASE}.items (id, k, pad) VALUES ({id}, 1, 'again')"),
            ],
            _ => vec![format!(
                "UPDATE {DATABASE}.items SET k = k + 1, ratio = ratio + 1 WHERE id = {id}"
            )],
        };
        client.run_all(&all).await?;
        statements += all.len() as u64;
        sleep(Duration::from_millis(2)).await;
    }
    Ok(statements)
}
