//! How long nothing arrives when the node of a synchronization dies.

use std::time::Duration;

use anyhow::Context;

use super::{BenchOptions, BenchResult, Better, Spread};
use crate::bank::BankOptions;
use crate::cluster::{Deployment, DeploymentOptions};

/// The goals: median and worst, in seconds.
const MEDIAN_GOAL: f64 = 5.0;
const WORST_GOAL: f64 = 10.0;

/// In each round the node that runs incr-sync is killed with `kill -9` while the source is written to; measured is the
/// time from the kill until a row that was written after it is at the destination, which only the new owner can have
/// done. Three nodes, default settings. `progress` hears of each round.
pub async fn failover(
    options: &BenchOptions,
    progress: &mut dyn FnMut(String),
) -> anyhow::Result<Vec<BenchResult>> {
    let rounds = options.rounds;
    let mut deployment = Deployment::start(DeploymentOptions::default()).await?;
    let bank = deployment.follow_bank(&BankOptions::default()).await?;
    deployment.flows(&bank, Duration::from_secs(60)).await?;
    let (mut all, mut peak) = (Vec::new(), 0);
    for round in 1..=rounds {
        let asked = deployment.cluster.other_than(&[])?;
        let (victim, before) = deployment.cluster.owner(asked, "incr-sync").await?;
        let led = deployment.cluster.leader(asked).await? == victim;
        let (store, _) = deployment.cluster.owner(asked, "store").await?;
        let node = deployment.cluster.node_mut(victim);
        peak = peak.max(node.peak_memory()?);
        node.kill()?;
        let took = deployment
            .flows(&bank, Duration::from_secs(60))
            .await
            .with_context(|| format!("round {round}"))?;
        deployment.cluster.start(victim, None).await?;
        deployment.cluster.settled().await?;
        let (owner, after) = deployment.cluster.owner(victim, "incr-sync").await?;
        progress(format!(
            "round {round}: {:.3} s; node {victim} was killed{}{}, incr-sync went to node {owner}, epoch {} to {}",
            took.as_secs_f64(),
            if led { ", which led" } else { "" },
            if store == victim {
                ", which had the store"
            } else {
                ""
            },
            before.epoch,
            after.epoch
        ));
        all.push(took.as_secs_f64());
    }
    let asked = deployment.cluster.other_than(&[])?;
    deployment.settle_bank(bank, asked).await?;
    let Some(spread) = Spread::of(all) else {
        return Ok(Vec::new());
    };
    let result = |case: &str, figure: f64, goal: f64| {
        let ours = Spread {
            median: figure,
            ..spread
        };
        let mut result = BenchResult::new("failover", case, "s", Better::Lower, ours, rounds).bounded(goal);
        result.rss_mb = Some(peak as f64 / f64::from(1 << 20));
        result
    };
    Ok(vec![
        result("kill -9 of incr-sync's node, median", spread.median, MEDIAN_GOAL),
        result("kill -9 of incr-sync's node, worst", spread.max, WORST_GOAL),
    ])
}
