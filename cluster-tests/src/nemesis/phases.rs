//! Faults in the middle of a project's first steps: schema migration, full import and full verification.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, ensure};
use oms_proto::v1::{
    ComponentState, FullOptions, Project, ProjectState, StepKind, StepState, VerificationResult,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{Instant, sleep};

use super::fault::{Fault, FaultKind};
use super::{draw, possible};
use crate::Client;
use crate::cluster::{Deployment, DeploymentOptions};

/// How long a step may take to begin, and a project to finish its steps after everything was healed.
const PATIENCE: Duration = Duration::from_secs(90);
/// Small tables: schema migration has something to do for a while.
const SMALL_TABLES: usize = 40;
/// Rows of the large tables, of which one has no key.
const ROWS: u64 = 6_000;
/// Rows per second of the import, so that it can be hit.
const RATE: u64 = 5_000;

/// A component that has an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Tables are made.
    SchemaMigration,
    /// Rows are copied.
    FullImport,
    /// Rows are compared.
    FullVerification,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SchemaMigration, Self::FullImport, Self::FullVerification];

    fn component(self) -> &'static str {
        match self {
            Self::SchemaMigration => "schema-migration",
            Self::FullImport => "full-import",
            Self::FullVerification => "full-verification",
        }
    }
}

/// What [`run`] does.
#[derive(Debug, Clone)]
pub struct PhasesOptions {
    /// Another project begins until this time is over.
    pub duration: Duration,
    /// The same seed gives the same faults; what they meet is up to the machine.
    pub seed: u64,
    /// Which faults.
    pub kinds: Vec<FaultKind>,
}

/// One fault and what came of the project that it met.
#[derive(Debug, Clone)]
pub struct PhaseOutcome {
    /// What was hit.
    pub phase: Phase,
    /// Kind and place.
    pub fault: String,
    /// Whether the step was not over when the fault came.
    pub hit: bool,
    /// From the fault until the project had passed all its steps and followed its source.
    pub took: Duration,
    /// How often one of its components went to another node.
    pub moves: u64,
}

impl fmt::Display for PhaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.hit {
            true => "in the middle of",
            false => "behind",
        };
        write!(
            f,
            "{} {when} {}: all steps passed after {:.2} s, {} moves",
            self.fault,
            self.phase.component(),
            self.took.as_secs_f64(),
            self.moves
        )
    }
}

/// The whole run.
#[derive(Debug, Clone)]
pub struct PhasesReport {
    /// Repeats it.
    pub seed: u64,
    /// In order.
    pub outcomes: Vec<PhaseOutcome>,
    /// Faults that were wanted and are not possible here, and why.
    pub left_out: Vec<(FaultKind, String)>,
}

impl fmt::Display for PhasesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hits = self.outcomes.iter().filter(|o| o.hit).count();
        write!(
            f,
            "seed {}: {} projects, {hits} of them hit in the middle of a step; all rows are at the destination once",
            self.seed,
            self.outcomes.len()
        )?;
        for (kind, why) in &self.left_out {
            write!(f, "\nleft out: {kind:?}, because {why}")?;
        }
        Ok(())
    }
}

/// Starts a deployment, and one project after the other until the time is over. Each loses something in the middle of one of
/// its first steps: its owner's node or the leader's. An error if a project does not pass its steps, or if its sides differ.
pub async fn run(
    deployment: DeploymentOptions,
    options: &PhasesOptions,
    mut progress: impl FnMut(&PhaseOutcome),
) -> anyhow::Result<PhasesReport> {
    let mut deployment = Deployment::start(deployment).await?;
    let (kinds, left_out) = possible(&deployment, &options.kinds);
    let pairs: Vec<(Phase, FaultKind)> = Phase::ALL
        .into_iter()
        .flat_map(|phase| kinds.iter().map(move |kind| (phase, *kind)))
        .collect();
    ensure!(!pairs.is_empty(), "no fault is possible here: {left_out:?}");
    let mut rng = StdRng::seed_from_u64(options.seed);
    let (mut outcomes, mut deck) = (Vec::new(), Vec::new());
    let end = Instant::now() + options.duration;
    while Instant::now() < end {
        let (phase, kind) = draw(&mut deck, &pairs, &mut rng);
        let number = outcomes.len();
        let outcome = Box::pin(project(&mut deployment, number, phase, kind, &mut rng)).await;
        let outcome = outcome.with_context(|| {
            let before: Vec<String> = outcomes.iter().map(PhaseOutcome::to_string).collect();
            let before = before.join("\n");
            format!("seed {}, after\n{before}\n{kind:?} and {phase:?}", options.seed)
        })?;
        progress(&outcome);
        outcomes.push(outcome);
    }
    Ok(PhasesReport {
        seed: options.seed,
        outcomes,
        left_out,
    })
}

/// One project from its creation to its release.
async fn project(
    d: &mut Deployment,
    number: usize,
    phase: Phase,
    kind: FaultKind,
    rng: &mut StdRng,
) -> anyhow::Result<PhaseOutcome> {
    let database = format!("phase{number}");
    d.project.name.clone_from(&database);
    let tables = prepare(&mut d.source.client().await?, &database).await?;
    let mut spec = d.spec(&[&database]);
    spec.full = Some(FullOptions {
        max_rows_per_second: RATE,
        chunk_rows: 500,
        ..FullOptions::default()
    });
    let asked = d.cluster.other_than(&[])?;
    let leader = d
        .cluster
        .wait("a leader", async || d.cluster.leader(asked).await)
        .await?;
    d.launch(asked, spec).await?;
    let (owner, hit) = begins(d, asked, &database, phase).await?;
    let victim = match rng.random_bool(0.7) {
        true => owner,
        false => leader,
    };
    let mut fault = Fault::new(kind, victim, d, rng);
    let start = Instant::now();
    let begun = fault.begin(d).await;
    begun.with_context(|| format!("{fault} begins"))?;
    sleep(Duration::from_millis(rng.random_range(500..6_000))).await;
    let ended = fault.end(d).await;
    ended.with_context(|| format!("{fault} ends"))?;
    let settled = fault.settled(d).await;
    settled.with_context(|| format!("after {fault}"))?;

    let asked = d.cluster.other_than(&[])?;
    let passed = passes(d, asked).await;
    let result = passed.with_context(|| format!("after {fault}\n{}", d.cluster.logs()))?;
    let took = start.elapsed();
    ensure!(result.consistent, "after {fault}: {result:?}");
    let caught_up = d.project.wait_caught_up(d.cluster.node(asked)).await;
    caught_up.with_context(|| d.cluster.logs())?;
    let names: Vec<&str> = tables.iter().map(String::as_str).collect();
    d.assert_equal(&database, &names).await?;
    let components = d.cluster.components(asked).await?;
    let own = || components.iter().filter(|c| c.project_name == database);
    let outcome = PhaseOutcome {
        phase,
        fault: fault.to_string(),
        hit,
        took,
        moves: own().map(|c| c.failovers).sum(),
    };
    let node = d.cluster.node(asked);
    d.project.pause(node).await??;
    d.project
        .wait(node, "a pause", |p| p.state() == ProjectState::Suspend)
        .await?;
    d.project.release(node).await??;
    d.project.wait_released(node).await?;
    Ok(outcome)
}

/// Makes a database with many small tables, a large one and one without a key. The tables' names.
async fn prepare(source: &mut Client, database: &str) -> anyhow::Result<Vec<String>> {
    source.query_drop(&format!("CREATE DATABASE {database}")).await?;
    source.query_drop(&format!("USE {database}")).await?;
    let mut tables = vec!["large".to_owned(), "nokey".to_owned()];
    source
        .query_drop("CREATE TABLE large (id INT PRIMARY KEY, v VARCHAR(40), KEY by_v (v))")
        .await?;
    source
        .query_drop("CREATE TABLE nokey (id INT, v VARCHAR(40))")
        .await?;
    for n in 0..SMALL_TABLES {
        let sql = format!("CREATE TABLE small_{n} (id INT PRIMARY KEY, v VARCHAR(40), KEY by_v (v))");
        source.query_drop(&sql).await?;
        tables.push(format!("small_{n}"));
    }
    for table in ["large", "nokey"] {
        for first in (0..ROWS).step_by(1_000) {
            let rows: Vec<String> = (first..first + 1_000)
                .map(|n| format!("({n},'value {n}')"))
                .collect();
            let sql = format!("INSERT INTO {table} VALUES {}", rows.join(","));
            source.query_drop(&sql).await?;
        }
    }
    Ok(tables)
}

/// Waits until the project follows its source and was verified.
async fn passes(d: &Deployment, asked: u8) -> anyhow::Result<VerificationResult> {
    let node = d.cluster.node(asked);
    let done = |p: &Project, kind: StepKind, state: StepState| {
        p.steps.iter().any(|s| s.kind() == kind && s.state() == state)
    };
    let passed = d.project.wait(node, "a project that follows", |p| {
        done(p, StepKind::IncrTransfer, StepState::Monitoring)
            && done(p, StepKind::FullVerifier, StepState::Finished)
    });
    passed.await?.verification.context("a verification has a result")
}

/// Waits until a phase has done something and has more to do, asking without pause. The node that does it, and whether
/// it does so still.
async fn begins(d: &Deployment, asked: u8, database: &str, phase: Phase) -> anyhow::Result<(u8, bool)> {
    let deadline = Instant::now() + PATIENCE;
    let mut there = d.destination.client().await?;
    let enough = match phase {
        Phase::SchemaMigration => Some((
            format!("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{database}'"),
            3,
        )),
        Phase::FullImport => Some((format!("SELECT COUNT(*) FROM {database}.large"), ROWS / 4)),
        Phase::FullVerification => None,
    };
    loop {
        let component = d.cluster.components(asked).await.unwrap_or_default();
        let mut component = component
            .iter()
            .filter(|c| c.project_name == database && c.kind == phase.component() && c.epoch > 0);
        if let Some(component) = component.next() {
            let begun = match &enough {
                // The table may not be there yet.
                Some((sql, enough)) => there.query_count(sql).await.unwrap_or_default() >= *enough,
                None => component.state() == ComponentState::Running,
            };
            let over = component.state() == ComponentState::Completed;
            if begun || over {
                return Ok((d.cluster.number_of(component.node, asked).await?, !over));
            }
        }
        ensure!(
            Instant::now() < deadline,
            "no {}: {}\n{}",
            phase.component(),
            d.describe().await,
            d.cluster.logs()
        );
    }
}
