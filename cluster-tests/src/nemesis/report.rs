//! What a nemesis did and what came of it.

use std::fmt;
use std::time::Duration;

use oms_types::codes;

use super::fault::FaultKind;
use crate::auditor::Audit;
use crate::cluster::Deployment;

/// One fault and its consequences.
#[derive(Debug, Clone)]
pub struct FaultOutcome {
    /// Kind and place.
    pub fault: String,
    /// Whether the node led the cluster.
    pub victim_led: bool,
    /// Kinds of components that the node had.
    pub victim_ran: Vec<String>,
    /// How long the fault stayed.
    pub hold: Duration,
    /// Kinds of components that have a new epoch since.
    pub moved: Vec<String>,
    /// From the fault until a row that was written after it arrived; with a database gone, including that time.
    pub standstill: Duration,
    /// From the end of the fault until a row that was written after that arrived.
    pub recovery: Duration,
}

impl fmt::Display for FaultOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[String]| match names.is_empty() {
            true => "nothing".to_owned(),
            false => names.join("+"),
        };
        write!(
            f,
            "{} ({}{}) for {:.1} s: first new row after {:.2} s, after its end {:.2} s, moved {}",
            self.fault,
            if self.victim_led { "leader, " } else { "" },
            list(&self.victim_ran),
            self.hold.as_secs_f64(),
            self.standstill.as_secs_f64(),
            self.recovery.as_secs_f64(),
            list(&self.moved),
        )
    }
}

/// The whole run.
#[derive(Debug, Clone)]
pub struct NemesisReport {
    /// Repeats it.
    pub seed: u64,
    /// In order.
    pub outcomes: Vec<FaultOutcome>,
    /// Transfers, each of which is at the destination once.
    pub transfers: u64,
    /// Consistent reads of the destination meanwhile.
    pub audit: Audit,
    /// How often a former owner was refused, as the nodes' logs have it.
    pub refused: usize,
    /// Faults that were wanted and are not possible here, and why.
    pub left_out: Vec<(FaultKind, String)>,
}

impl fmt::Display for NemesisReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failovers: Vec<f64> = self
            .outcomes
            .iter()
            .filter(|o| o.moved.iter().any(|kind| kind == "incr-sync"))
            .map(|o| o.standstill.as_secs_f64())
            .collect();
        failovers.sort_by(f64::total_cmp);
        let median = failovers.get(failovers.len() / 2).copied().unwrap_or_default();
        let worst = failovers.last().copied().unwrap_or_default();
        writeln!(
            f,
            "seed {}: {} faults, {} failovers of incr-sync (first new row: median {median:.2} s, worst {worst:.2} s)",
            self.seed,
            self.outcomes.len(),
            failovers.len()
        )?;
        write!(
            f,
            "{} transfers are at the destination once each; {} consistent reads found nothing wrong, the longest \
             standstill was {:.2} s; former owners were refused {} times",
            self.transfers,
            self.audit.looks,
            self.audit.longest_standstill.as_secs_f64(),
            self.refused
        )?;
        for (kind, why) in &self.left_out {
            write!(f, "\nleft out: {kind:?}, because {why}")?;
        }
        Ok(())
    }
}

/// Lines in nodes' logs that say that a component ended because another owner has its place.
pub(super) fn refused_writes(deployment: &Deployment) -> usize {
    let cluster = &deployment.cluster;
    let code = codes::apply::FENCED.as_str();
    let logs = cluster.numbers().into_iter().map(|n| cluster.node(n).log());
    logs.map(|log| log.lines().filter(|line| line.contains(code)).count())
        .sum()
}
