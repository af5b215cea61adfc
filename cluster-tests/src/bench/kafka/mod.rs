//! Draining a backlog into topics.

mod bed;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use self::bed::{Bed, DATABASE};
use super::{BenchOptions, BenchResult, Better, Contest, Figures, Meter, ProcessUse, Spread};

const OURS: &str = "omsnode";
const PEER: &str = "Debezium";
const LIMIT: &str = "ready messages";
const RATE: &str = "oltp_write_only";
const MEMORY: &str = "oltp_write_only, memory";
/// What the issue of speed asks for.
const GOAL_PEER: f64 = 5.0;
const GOAL_LIMIT: f64 = 0.8;
const GOAL_MEMORY: f64 = 0.2;
/// How often brokers and processes are looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long one turn may take.
const PATIENCE: Duration = Duration::from_secs(280);

/// sysbench's `oltp_write_only` makes `rows` row changes while nothing is sent, on four tables of 50,000 rows; then they are
/// brought to four topics of three partitions at one broker with `acks=all`, and what was brought is counted. Every turn begins with the same data
/// folder of the broker, which has been warmed up with other messages. Measured is the time from the first message that the broker
/// has to the last; for omsnode, until the project says that it has caught up, which is later.
///
/// The peer is Debezium in a stand-alone Kafka Connect, reading the same binlog, with its own settings but for messages without schemas, and
/// without tombstones, which omsnode does not write. The limit are the messages of omsnode, ready in memory, from librdkafka's producer with its own settings. `--case ready`
/// leaves Debezium out.
pub async fn kafka(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let beside = options.wants(RATE) || options.wants(MEMORY);
    ensure!(
        beside || options.cases.iter().any(|case| LIMIT.contains(case.as_str())),
        "cases are {RATE:?}, {MEMORY:?} and {LIMIT:?}"
    );
    let mut bed = Bed::start(options.rows, beside, progress).await?;
    let contestants: &[&'static str] = if beside {
        &[OURS, PEER, LIMIT]
    } else {
        &[OURS, LIMIT]
    };
    let (mut figures, mut memory) = (Figures::new(), Figures::new());
    let mut used: Vec<ProcessUse> = Vec::new();
    for turn in Contest::new(contestants, options.rounds).turns() {
        bed.restore().await?;
        let seconds = match turn.name {
            OURS => ours(&mut bed, &mut used).await?,
            PEER => peer(&mut bed, &mut used).await?,
            _ => limit(&mut bed).await?,
        };
        if let Some(last) = used.iter().rev().find(|u| u.name == turn.name) {
            memory.record(turn, last.rss_mb);
        }
        let rate = bed.changes as f64 / seconds;
        figures.record(turn, rate);
        progress(format!(
            "round {}: {} {rate:.0} messages/s, {seconds:.2} s",
            turn.round, turn.name
        ));
    }
    let spread = |figures: &Figures| figures.spread(OURS).context("no turn");
    let result = |case, unit, better, spread: Spread| {
        BenchResult::new("kafka", case, unit, better, spread, options.rounds)
            .with_processes(used.clone(), &[OURS])
    };
    let rate = result(RATE, "messages/s", Better::Higher, spread(&figures)?);
    let rate = rate.within(&figures, OURS, LIMIT, Some(GOAL_LIMIT));
    if !beside {
        return Ok(vec![rate]);
    }
    let memory_result = result(MEMORY, "MiB", Better::Lower, spread(&memory)?);
    Ok(vec![
        rate.against(&figures, OURS, PEER, Some(GOAL_PEER)),
        memory_result.against(&memory, OURS, PEER, Some(GOAL_MEMORY)),
    ])
}

async fn ours(bed: &mut Bed, used: &mut Vec<ProcessUse>) -> anyhow::Result<f64> {
    let node = bed.node.pid().context("the node runs")?;
    let meter = Meter::start(&[(OURS, node), ("broker with omsnode", bed.broker()?)])?;
    let topics = bed.ours();
    let before = bed.offsets(&topics).await?;
    bed.project.resume(&bed.node).await?.context("resuming")?;
    let deadline = Instant::now() + PATIENCE;
    while bed.offsets(&topics).await? == before {
        ensure!(Instant::now() < deadline, "nothing is sent");
        tokio::time::sleep(LOOK).await;
    }
    let begun = Instant::now();
    bed.project.wait_caught_up(&bed.node).await?;
    let seconds = begun.elapsed().as_secs_f64();
    used.extend(meter.stop()?);
    bed.pause().await?;
    let seen = bed.committed(&topics).await? - bed.early;
    ensure!(seen == bed.changes, "{seen} messages for {} changes", bed.changes);
    Ok(seconds)
}

async fn peer(bed: &mut Bed, used: &mut Vec<ProcessUse>) -> anyhow::Result<f64> {
    let topics = bed.theirs();
    let changes = bed.changes;
    let before = bed.offsets(&topics).await?;
    let broker = bed.broker()?;
    let debezium = bed.debezium.as_mut().context("Debezium takes part")?;
    debezium.start()?;
    let meter = Meter::start(&[(PEER, debezium.pid()?), ("broker with Debezium", broker)])?;
    let deadline = Instant::now() + PATIENCE;
    let mut begun = None;
    let seconds = loop {
        bed.debezium.as_mut().context("Debezium takes part")?.pid()?;
        let now = bed.offsets(&topics).await? - before;
        if now > 0 {
            let first = *begun.get_or_insert_with(Instant::now);
            if now >= changes {
                break first.elapsed().as_secs_f64();
            }
        }
        ensure!(
            Instant::now() < deadline,
            "Debezium takes too long: ask for fewer rows"
        );
        tokio::time::sleep(LOOK).await;
    };
    used.extend(meter.stop()?);
    bed.debezium
        .as_mut()
        .context("Debezium takes part")?
        .stop()
        .await?;
    let seen = bed.offsets(&topics).await? - before;
    ensure!(
        seen == changes,
        "Debezium wrote {seen} messages for {changes} changes"
    );
    Ok(seconds)
}

async fn limit(bed: &mut Bed) -> anyhow::Result<f64> {
    let topics = bed.bare();
    let (kafka, ready) = (bed.client(), bed.ready.clone());
    let begun = Instant::now();
    tokio::task::spawn_blocking(move || kafka.write(&ready)).await??;
    let seconds = begun.elapsed().as_secs_f64();
    let seen = bed.offsets(&topics).await?;
    ensure!(
        seen == bed.changes,
        "{seen} messages for {} in {DATABASE}",
        bed.changes
    );
    Ok(seconds)
}
