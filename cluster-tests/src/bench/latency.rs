//! From commit at the source to visible at the destination.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::{
    BenchOptions, BenchResult, BenchServer, Better, Contest, Figures, Meter, Spread, ensure_same_content,
};
use crate::client::Client;
use crate::node::Scenario;
use crate::server::{Role, Server, ServerKind};

const OURS: &str = "omsnode";
const SERIAL: &str = "MariaDB replication";
const PARALLEL: &str = "MariaDB replication, 4 threads";
/// Transactions a second, over all writers.
const RATE: u64 = 1_000;
const WRITERS: u64 = 4;
/// Transactions of a turn that are not counted: connections and caches become warm.
const WARM: u64 = RATE;
const ACCOUNTS: u64 = 10_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks at the destination; bounds how well a time is known.
const LOOK: Duration = Duration::from_millis(1);
const GOALS: [(&str, usize, f64); 2] = [("p50", 50, 20.0), ("p99", 99, 150.0)];

/// Four connections commit 1,000 transactions a second to a source, each of an update and an insert. The time of a
/// transaction runs from the moment in which its COMMIT returned until a look at the destination first shows its row; looks
/// are a millisecond apart. The destination commits durably.
///
/// The peer is MariaDB's own replication, with one applier and with four (optimistic); the better one counts. Each has a
/// database of its own at one source and is stopped while it is not its turn.
pub async fn latency(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let (source, destination) = (
        BenchServer::options(Role::Source, options.rows),
        BenchServer::options(Role::Destination, options.rows),
    );
    let wild = "replicate_wild_do_table";
    let native_options = destination.clone().set(wild, "native.%");
    let mut scenario =
        Scenario::start_with(ServerKind::MariaDb, source, ServerKind::MariaDb, destination).await?;
    let native = BenchServer::start_with(ServerKind::MariaDb, native_options, progress).await?;
    prepare(&scenario.source, "ours").await?;
    prepare(&scenario.source, "native").await?;
    prepare(&native, "native").await?;
    replicate(&scenario.source, &native).await?;
    scenario.launch(scenario.spec(&["ours"])).await?;
    scenario.project.wait_caught_up(&scenario.node).await?;
    let transactions = options.rows.max(1);
    let mut percentiles: Vec<Figures> = GOALS.iter().map(|_| Figures::new()).collect();
    let mut used = Vec::new();
    let mut next = 0;
    for turn in Contest::new(&[OURS, SERIAL, PARALLEL], options.rounds).turns() {
        let source_pid = scenario.source.pid().context("the source runs")?;
        let (database, at, meter) = if turn.name == OURS {
            if scenario.node.pid().is_none() {
                scenario.node.restart().await?;
            }
            scenario.project.wait_caught_up(&scenario.node).await?;
            let node = scenario.node.pid().context("the node runs")?;
            let pid = scenario.destination.pid().context("the destination runs")?;
            let meter = Meter::start(&[
                (OURS, node),
                ("destination of omsnode", pid),
                ("source with omsnode", source_pid),
            ])?;
            ("ours", &scenario.destination, meter)
        } else {
            if scenario.node.pid().is_some() {
                scenario.node.stop()?;
            }
            let threads = if turn.name == PARALLEL { 4 } else { 0 };
            start_slave(&native, threads).await?;
            let pid = native.pid().context("the replica runs")?;
            let meter = Meter::start(&[(turn.name, pid), ("source with replication", source_pid)])?;
            ("native", &native, meter)
        };
        let (times, rate) = measure(&scenario.source, at, database, next, transactions).await?;
        used.extend(meter.stop()?);
        next += transactions;
        if turn.name != OURS {
            native.client().await?.query_drop("STOP SLAVE").await?;
        }
        let mut shown = Vec::new();
        for ((name, percent, _), figures) in GOALS.iter().zip(&mut percentiles) {
            let figure = percentile(&times, *percent).context("nothing was measured")?;
            figures.record(turn, figure);
            shown.push(format!("{name} {figure:.2} ms"));
        }
        let (round, name, shown) = (turn.round, turn.name, shown.join(", "));
        progress(format!(
            "round {round}: {name} {shown} at {rate:.0} transactions/s"
        ));
    }
    if scenario.node.pid().is_none() {
        scenario.node.restart().await?;
    }
    scenario.project.wait_caught_up(&scenario.node).await?;
    let tables = ["accounts", "marks"];
    let mut there = scenario.source.client().await?;
    let mut here = scenario.destination.client().await?;
    ensure_same_content((&mut there, &mut here), "ours", &tables).await?;
    let mut replica = native.client().await?;
    ensure_same_content((&mut there, &mut replica), "native", &tables).await?;
    results(options, &percentiles, &used)
}

fn results(
    options: &BenchOptions,
    percentiles: &[Figures],
    used: &[super::ProcessUse],
) -> anyhow::Result<Vec<BenchResult>> {
    let mut results = Vec::new();
    for ((name, _, goal), figures) in GOALS.iter().zip(percentiles) {
        let spread = figures.spread(OURS).context("no turn")?;
        let median = |name: &str| figures.spread(name).map(|s: Spread| s.median);
        let best = match (median(SERIAL), median(PARALLEL)) {
            (Some(serial), Some(parallel)) if parallel < serial => PARALLEL,
            _ => SERIAL,
        };
        let case = format!("{name} at {RATE} transactions/s");
        results.push(
            BenchResult::new("latency", &case, "ms", Better::Lower, spread, options.rounds)
                .against(figures, OURS, best, Some(1.5))
                .bounded(*goal)
                .with_processes(used.iter().cloned(), &[OURS]),
        );
    }
    Ok(results)
}

async fn prepare(server: &Server, database: &str) -> anyhow::Result<()> {
    let mut client = server.client().await?;
    client
        .run_all(&[
            &format!("CREATE DATABASE {database}"),
            &format!("CREATE TABLE {database}.accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL)"),
            &format!("INSERT INTO {database}.accounts SELECT seq, 0 FROM {database}.seq_1_to_{ACCOUNTS}"),
            &format!("CREATE TABLE {database}.marks (id BIGINT PRIMARY KEY, pad CHAR(60) NOT NULL)"),
        ])
        .await?;
    Ok(client.close().await?)
}

/// Sets the replica up behind what the source has now.
async fn replicate(source: &Server, replica: &Server) -> anyhow::Result<()> {
    let mut there = source.client().await?;
    let status = there.query_strings("SHOW MASTER STATUS").await?;
    let Some([file, offset, ..]) = status.first().map(Vec::as_slice) else {
        bail!("the source shows no log");
    };
    // The password goes to a server of the bench's own.
    let change = format!(
        "CHANGE MASTER TO MASTER_HOST='{}', MASTER_PORT={}, MASTER_USER='{}', MASTER_PASSWORD='{}', \
         MASTER_LOG_FILE='{file}', MASTER_LOG_POS={offset}, MASTER_USE_GTID=no",
        source.host(),
        source.port(),
        source.oms_user(),
        source.password()
    );
    Ok(replica.client().await?.query_drop(&change).await?)
}

/// Starts replication and waits until it has applied what the source has now.
async fn start_slave(replica: &Server, threads: u32) -> anyhow::Result<()> {
    let mut client = replica.client().await?;
    client
        .run_all(&[
            &format!("SET GLOBAL slave_parallel_threads={threads}"),
            "SET GLOBAL slave_parallel_mode='optimistic'",
            "START SLAVE",
        ])
        .await?;
    let waiting = async {
        loop {
            let status = client.query_strings("SHOW SLAVE STATUS").await?;
            let row = status.first().context("no replica is set up")?;
            let field = |n: usize| row.get(n).context("the replica's status is short");
            // Last_Error; Read_Master_Log_Pos and Exec_Master_Log_Pos; Seconds_Behind_Master.
            ensure!(field(19)?.is_empty(), "the replica says {}", field(19)?);
            if field(6)? == field(21)? && field(32)? == "0" {
                return anyhow::Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .context("the replica does not catch up")?
}

/// One turn; milliseconds of the transactions that count, and how many were committed in a second.
async fn measure(
    source: &Server,
    destination: &Server,
    database: &str,
    first: u64,
    transactions: u64,
) -> anyhow::Result<(Vec<f64>, f64)> {
    let numbers = Arc::new(AtomicU64::new(first));
    let warm = WARM.min(transactions / 3);
    let end = first + transactions;
    let over = Arc::new(AtomicBool::new(false));
    let looking = tokio::spawn(look(
        destination.client().await?,
        database.to_owned(),
        first..end,
        over.clone(),
    ));
    let begun = Instant::now();
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let client = source.client().await?;
        writers.push(tokio::spawn(write(
            client,
            database.to_owned(),
            numbers.clone(),
            end,
        )));
    }
    let mut committed = HashMap::new();
    for writer in writers {
        committed.extend(writer.await??);
    }
    let rate = transactions as f64 / begun.elapsed().as_secs_f64();
    let seen = timeout(PATIENCE, looking).await;
    over.store(true, Ordering::Relaxed);
    let seen = seen.context("not everything arrived")???;
    let times = seen.into_iter().filter(|(id, _)| *id >= first + warm);
    let times = times.map(|(id, at)| {
        let committed = committed.get(&id).context("a row that nobody wrote")?;
        Ok(at.saturating_duration_since(*committed).as_secs_f64() * 1e3)
    });
    Ok((times.collect::<anyhow::Result<_>>()?, rate))
}

/// Commits its share until the numbers are used up; when each commit returned.
async fn write(
    mut client: Client,
    database: String,
    numbers: Arc<AtomicU64>,
    end: u64,
) -> anyhow::Result<Vec<(u64, Instant)>> {
    let mut tick = interval(Duration::from_micros(1_000_000 * WRITERS / RATE));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut committed = Vec::new();
    loop {
        tick.tick().await;
        let id = numbers.fetch_add(1, Ordering::Relaxed);
        if id >= end {
            return Ok(committed);
        }
        let account = id * 7_919 % ACCOUNTS + 1;
        client
            .run_all(&[
                "BEGIN",
                &format!("UPDATE {database}.accounts SET balance = balance + 1 WHERE id = {account}"),
                &format!("INSERT INTO {database}.marks VALUES ({id}, REPEAT('x', 60))"),
                "COMMIT",
            ])
            .await?;
        committed.push((id, Instant::now()));
    }
}

/// When each number was first seen, in whatever order they come.
async fn look(
    mut client: Client,
    database: String,
    wanted: std::ops::Range<u64>,
    over: Arc<AtomicBool>,
) -> anyhow::Result<Vec<(u64, Instant)>> {
    let mut seen = Vec::new();
    // Everything below is known; of the rest, these.
    let (mut low, mut above) = (wanted.start, BTreeSet::new());
    while low < wanted.end {
        ensure!(!over.load(Ordering::Relaxed), "not everything arrived");
        let rows = client
            .query_strings(&format!("SELECT id FROM {database}.marks WHERE id >= {low}"))
            .await?;
        let now = Instant::now();
        for row in rows {
            let id: u64 = row.first().context("a number")?.parse()?;
            if above.insert(id) {
                seen.push((id, now));
            }
        }
        while above.remove(&low) {
            low += 1;
        }
        sleep(LOOK).await;
    }
    Ok(seen)
}

/// The nearest rank.
fn percentile(times: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<_> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&times, 50), Some(100.0));
        assert_eq!(percentile(&times, 99), Some(198.0));
        assert_eq!(percentile(&[3.0], 99), Some(3.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
