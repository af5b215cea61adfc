//! Faults of every kind, one after the other, at random moments and places, while money moves.

mod fault;
pub mod phases;
mod report;

use std::time::Duration;

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep};

pub use fault::{Fault, FaultKind};
pub use report::{FaultOutcome, NemesisReport};

use crate::auditor::Auditor;
use crate::bank::{Bank, BankOptions};
use crate::cluster::{Deployment, DeploymentOptions};

/// How long work may stand still after everything was healed.
const RECOVERY: Duration = Duration::from_secs(60);

/// What a nemesis does.
#[derive(Debug, Clone)]
pub struct NemesisOptions {
    /// For how long faults come.
    pub duration: Duration,
    /// The same seed gives the same faults; what they meet is up to the machine.
    pub seed: u64,
    /// Which faults.
    pub kinds: Vec<FaultKind>,
    /// Transfers per second.
    pub rate: u32,
}

impl Default for NemesisOptions {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(60),
            seed: 1,
            kinds: FaultKind::ALL.to_vec(),
            rate: 50,
        }
    }
}

/// A deployment in which every fault is possible, as far as the machine allows.
pub fn deployment() -> DeploymentOptions {
    DeploymentOptions {
        wan: true,
        disk_megabytes: Some(256),
        ..DeploymentOptions::default()
    }
}

/// Starts a deployment, moves a bank, and breaks things until the time is over. Then everything is healed and both
/// sides are compared. An error if anything was lost, doubled or did not go on; `progress` hears of each fault.
pub async fn run(
    deployment: DeploymentOptions,
    options: &NemesisOptions,
    mut progress: impl FnMut(&FaultOutcome),
) -> anyhow::Result<NemesisReport> {
    let mut deployment = Deployment::start(deployment).await?;
    let (kinds, left_out) = possible(&deployment, &options.kinds);
    ensure!(!kinds.is_empty(), "no fault is possible here: {left_out:?}");
    let bank_options = BankOptions {
        rate: options.rate,
        seed: options.seed,
        ..BankOptions::default()
    };
    let bank = deployment.follow_bank(&bank_options).await?;
    deployment.flows(&bank, RECOVERY).await?;
    let auditor = Auditor::start(&deployment.destination, bank.database()).await?;
    let mut rng = StdRng::seed_from_u64(options.seed);
    let (mut outcomes, mut deck) = (Vec::new(), Vec::new());
    let end = Instant::now() + options.duration;
    while Instant::now() < end {
        let kind = draw(&mut deck, &kinds, &mut rng);
        let outcome = strike(&mut deployment, &bank, kind, &mut rng).await;
        let outcome = outcome.with_context(|| {
            let before: Vec<String> = outcomes.iter().map(FaultOutcome::to_string).collect();
            format!(
                "seed {}, after {} faults:\n{}\n{kind:?}",
                options.seed,
                before.len(),
                before.join("\n")
            )
        })?;
        progress(&outcome);
        outcomes.push(outcome);
        sleep(Duration::from_millis(rng.random_range(0..1_500))).await;
    }
    let audit = auditor.stop().await?;
    let asked = deployment.cluster.other_than(&[])?;
    let refused = report::refused_writes(&deployment);
    let transfers = deployment.settle_bank(bank, asked).await?;
    ensure!(
        audit.findings.is_empty(),
        "seed {}: {:?}",
        options.seed,
        audit.findings
    );
    Ok(NemesisReport {
        seed: options.seed,
        outcomes,
        transfers,
        audit,
        refused,
        left_out,
    })
}

/// The kinds that are possible in a deployment, and why others are not.
fn possible(deployment: &Deployment, kinds: &[FaultKind]) -> (Vec<FaultKind>, Vec<(FaultKind, String)>) {
    let (mut possible, mut left_out) = (Vec::new(), Vec::new());
    for kind in kinds {
        match kind.obstacle(deployment) {
            None => possible.push(*kind),
            Some(why) => left_out.push((*kind, why)),
        }
    }
    (possible, left_out)
}

/// One of all, in random order: none comes again before all others have come.
fn draw<T: Copy>(deck: &mut Vec<T>, all: &[T], rng: &mut StdRng) -> T {
    if deck.is_empty() {
        deck.extend_from_slice(all);
    }
    deck.swap_remove(rng.random_range(0..deck.len()))
}

/// One fault: it comes, stays for a while, goes, and the work goes on.
async fn strike(
    deployment: &mut Deployment,
    bank: &Bank,
    kind: FaultKind,
    rng: &mut StdRng,
) -> anyhow::Result<FaultOutcome> {
    let asked = deployment.cluster.other_than(&[])?;
    let before = components(deployment).await?;
    let leader = deployment
        .cluster
        .wait("a leader", async || deployment.cluster.leader(asked).await)
        .await?;
    let victim = victim(deployment, &before, leader, rng)?;
    let mut fault = Fault::new(kind, victim, deployment, rng);
    let start = Instant::now();
    let begun = fault.begin(deployment).await;
    begun.with_context(|| format!("{fault} begins"))?;
    // The other nodes are a majority, so the work should go on before the fault ends. Not when a database is gone.
    let hold = Duration::from_millis(rng.random_range(500..9_000));
    let during = match kind.leaves_databases() {
        true => within(deployment, bank, hold).await?,
        false => None,
    };
    sleep((start + hold).saturating_duration_since(Instant::now())).await;
    let ended = fault.end(deployment).await;
    ended.with_context(|| format!("{fault} ends"))?;
    let healed = Instant::now();
    deployment
        .flows(bank, RECOVERY)
        .await
        .with_context(|| format!("after {fault}"))?;
    let standstill = during.unwrap_or_else(|| start.elapsed());
    let recovery = healed.elapsed();
    let settled = fault.settled(deployment).await;
    settled.with_context(|| format!("after {fault}"))?;
    let after = components(deployment).await?;
    let moved = after
        .iter()
        .filter(|c| before.iter().any(|b| b.id == c.id && b.epoch != c.epoch))
        .map(|c| c.kind.clone())
        .collect();
    Ok(FaultOutcome {
        fault: fault.to_string(),
        victim_led: leader == victim,
        victim_ran: before
            .iter()
            .filter(|c| c.number == victim)
            .map(|c| c.kind.clone())
            .collect(),
        hold,
        moved,
        standstill,
        recovery,
    })
}

/// How long until something new arrived, if it did within `patience`.
async fn within(
    deployment: &Deployment,
    bank: &Bank,
    patience: Duration,
) -> anyhow::Result<Option<Duration>> {
    let (start, mark) = (Instant::now(), bank.begun());
    let mut client = deployment.destination.client().await?;
    while start.elapsed() < patience {
        if Bank::highest(&mut client, bank.database()).await? > mark {
            return Ok(Some(start.elapsed()));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(None)
}

#[derive(Debug)]
struct Placed {
    id: String,
    kind: String,
    number: u8,
    epoch: u64,
}

async fn components(deployment: &Deployment) -> anyhow::Result<Vec<Placed>> {
    let cluster = &deployment.cluster;
    let asked = cluster.other_than(&[])?;
    cluster
        .wait("a list of components", async || {
            let mut placed = Vec::new();
            for c in cluster.components(asked).await? {
                let number = cluster.number_of(c.node, asked).await?;
                placed.push(Placed {
                    id: c.id,
                    kind: c.kind,
                    number,
                    epoch: c.epoch,
                });
            }
            Ok(placed)
        })
        .await
}

/// Mostly a node that does something.
fn victim(
    deployment: &Deployment,
    components: &[Placed],
    leader: u8,
    rng: &mut StdRng,
) -> anyhow::Result<u8> {
    let owner = |kind: &str| components.iter().find(|c| c.kind == kind).map(|c| c.number);
    let running = deployment.cluster.running();
    let any = running[rng.random_range(0..running.len())];
    Ok(match rng.random_range(0..10) {
        0..4 => owner("incr-sync").unwrap_or(any),
        4..6 => owner("store").unwrap_or(any),
        6..8 => leader,
        _ => any,
    })
}
