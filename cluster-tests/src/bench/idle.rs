//! What a node costs that has nothing to do, and how long it takes to be there.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::{BenchOptions, BenchResult, Better, Spread, meter};
use crate::cluster::{NodeCluster, Place};
use crate::node::OmsNode;

/// Goals: milliseconds to the first answer, MiB of resident memory, percent of a core.
const ANSWER_GOAL: f64 = 200.0;
const MEMORY_GOAL: f64 = 60.0;
const CORE_GOAL: f64 = 1.0;
/// How long a node has been up before it counts as idle: elections and joins are over.
const SETTLING: Duration = Duration::from_secs(5);
const NEW: &str = "start with an empty folder to the first answer";
const AGAIN: &str = "start with its folder to the first answer";
const ALONE: &str = "a node alone";
const OF_THREE: &str = "the busiest node of three";

/// A node alone is started with a new folder and again with the same one; measured is the time from the start of the
/// process to the first answer of the API, asked for every 20 ms. Then it idles for `rows` seconds, and so do three nodes of
/// a cluster: resident memory at the end, and processor time.
pub async fn idle(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let idling = Duration::from_secs(options.rows.max(1));
    let (mut new, mut again, mut alone, mut of_three) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        let folder = tempfile::tempdir()?;
        let begun = Instant::now();
        let mut node = OmsNode::start(folder.path()).await?;
        new.push(begun.elapsed().as_secs_f64() * 1e3);
        node.stop()?;
        let begun = Instant::now();
        node.restart().await?;
        again.push(begun.elapsed().as_secs_f64() * 1e3);
        alone.push(idles(&[&node], idling).await?);
        drop(node);

        let folder = tempfile::tempdir()?;
        let mut cluster = NodeCluster::create(folder.path(), false, &[]).await?;
        let place = Place::new("default", "default");
        cluster.grow(&[place, place, place]).await?;
        cluster.settled().await?;
        let nodes: Vec<&OmsNode> = cluster.numbers().into_iter().map(|n| cluster.node(n)).collect();
        of_three.push(idles(&nodes, idling).await?);
        let told = |used: &[Used]| {
            used.last()
                .map_or(String::new(), |u| format!("{:.0} MiB, {:.2} %", u.mb, u.core))
        };
        progress(format!(
            "round {round}: new {:.0} ms, again {:.0} ms; alone {}; of three {}",
            new.last().copied().unwrap_or_default(),
            again.last().copied().unwrap_or_default(),
            told(&alone),
            told(&of_three)
        ));
    }
    let result = |case: String, unit: &str, all: Vec<f64>, goal: f64| -> anyhow::Result<BenchResult> {
        let spread = Spread::of(all).context("no round")?;
        Ok(BenchResult::new("idle", &case, unit, Better::Lower, spread, options.rounds).bounded(goal))
    };
    let mut results = vec![
        result(NEW.to_owned(), "ms", new, ANSWER_GOAL)?,
        result(AGAIN.to_owned(), "ms", again, ANSWER_GOAL)?,
    ];
    for (case, used) in [(ALONE, alone), (OF_THREE, of_three)] {
        let memory = used.iter().map(|u| u.mb).collect();
        results.push(result(format!("{case}, memory"), "MiB", memory, MEMORY_GOAL)?);
        let core = used.iter().map(|u| u.core).collect();
        results.push(result(
            format!("{case}, processor"),
            "% of a core",
            core,
            CORE_GOAL,
        )?);
    }
    Ok(results)
}

struct Used {
    mb: f64,
    core: f64,
}

/// The most that one of the nodes uses.
async fn idles(nodes: &[&OmsNode], time: Duration) -> anyhow::Result<Used> {
    tokio::time::sleep(SETTLING.min(time)).await;
    let mut before = Vec::new();
    for node in nodes {
        let pid = node.pid().context("the node runs")?;
        before.push((pid, meter::cpu_seconds(pid)?));
    }
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    let mut most = Used { mb: 0.0, core: 0.0 };
    for (pid, cpu) in before {
        let core = (meter::cpu_seconds(pid)? - cpu) / begun.elapsed().as_secs_f64() * 100.0;
        most.core = most.core.max(core);
        most.mb = most.mb.max(meter::resident_mb(pid)?);
    }
    Ok(most)
}
