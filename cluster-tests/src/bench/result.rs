//! One line of a bench's output.

use serde::Serialize;

use super::{Figures, ProcessUse, Spread};

/// The same fields for every bench; what does not apply is null. The figures are medians over the rounds; a ratio is the
/// median of the ratios within each round ([`Figures::ratio`]).
#[derive(Debug, Clone, Serialize)]
pub struct BenchResult {
    /// The bench.
    pub bench: String,
    /// What was measured.
    pub case: String,
    /// Of the figures.
    pub unit: String,
    /// Ours.
    pub ours: f64,
    /// The peer's in the same run.
    pub peer: Option<f64>,
    /// Who the peer is.
    pub peer_name: Option<String>,
    /// What the machine can do, or what must not be exceeded.
    pub limit: Option<f64>,
    /// Ours by the peer's.
    pub ratio_peer: Option<f64>,
    /// Ours by the limit.
    pub ratio_limit: Option<f64>,
    /// Peak resident memory of what is ours.
    pub rss_mb: Option<f64>,
    /// Processor time of what is ours.
    pub cpu_s: Option<f64>,
    /// How often it was measured.
    pub rounds: usize,
    /// Which figures are the good ones.
    pub better: Better,
    /// Least of ours.
    pub ours_min: Option<f64>,
    /// Greatest of ours.
    pub ours_max: Option<f64>,
    /// Least of the peer's.
    pub peer_min: Option<f64>,
    /// Greatest of the peer's.
    pub peer_max: Option<f64>,
    /// Least of the limit's.
    pub limit_min: Option<f64>,
    /// Greatest of the limit's.
    pub limit_max: Option<f64>,
    /// What `limit` is.
    pub limit_name: Option<String>,
    /// What `ratio_peer` shall be at least (at most, when lower is better).
    pub goal_peer: Option<f64>,
    /// What `ratio_limit` shall be at least (at most, when lower is better).
    pub goal_limit: Option<f64>,
    /// What each process used, the peers' too: the greatest over the rounds.
    pub processes: Vec<ProcessUse>,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Rates.
    Higher,
    /// Times and memory.
    Lower,
}

impl BenchResult {
    /// A result with nothing but our own figures.
    pub fn new(bench: &str, case: &str, unit: &str, better: Better, ours: Spread, rounds: usize) -> Self {
        Self {
            bench: bench.to_owned(),
            case: case.to_owned(),
            unit: unit.to_owned(),
            ours: ours.median,
            peer: None,
            peer_name: None,
            limit: None,
            ratio_peer: None,
            ratio_limit: None,
            rss_mb: None,
            cpu_s: None,
            rounds,
            better,
            ours_min: Some(ours.min),
            ours_max: Some(ours.max),
            peer_min: None,
            peer_max: None,
            limit_min: None,
            limit_max: None,
            limit_name: None,
            goal_peer: None,
            goal_limit: None,
            processes: Vec::new(),
        }
    }

    /// Adds the contestant `peer` of the same contest in which `ours` took part, and the goal for the ratio.
    pub fn against(mut self, figures: &Figures, ours: &str, peer: &str, goal: Option<f64>) -> Self {
        let spread = figures.spread(peer);
        self.peer_name = Some(peer.to_owned());
        self.peer = spread.map(|s| s.median);
        self.peer_min = spread.map(|s| s.min);
        self.peer_max = spread.map(|s| s.max);
        self.ratio_peer = figures.ratio(ours, peer);
        self.goal_peer = goal;
        self
    }

    /// Adds the contestant `limit` of the same contest as what is possible, and the goal for the ratio.
    pub fn within(mut self, figures: &Figures, ours: &str, limit: &str, goal: Option<f64>) -> Self {
        let spread = figures.spread(limit);
        self.limit_name = Some(limit.to_owned());
        self.limit = spread.map(|s| s.median);
        self.limit_min = spread.map(|s| s.min);
        self.limit_max = spread.map(|s| s.max);
        self.ratio_limit = figures.ratio(ours, limit);
        self.goal_limit = goal;
        self
    }

    /// Adds a limit that is a number: what must be reached, or must not be exceeded when lower is better.
    pub fn bounded(mut self, limit: f64) -> Self {
        self.limit_name = Some("goal".to_owned());
        self.limit = Some(limit);
        self.ratio_limit = Some(self.ours / limit);
        self.goal_limit = Some(1.0);
        self
    }

    /// Adds what processes used; those named in `ours` make up `rss_mb` (the greatest) and `cpu_s` (the sum).
    pub fn with_processes(mut self, runs: impl IntoIterator<Item = ProcessUse>, ours: &[&str]) -> Self {
        self.processes = ProcessUse::most(runs);
        for used in &self.processes {
            if ours.contains(&used.name.as_str()) {
                self.rss_mb = Some(self.rss_mb.unwrap_or_default().max(used.rss_mb));
                self.cpu_s = Some(self.cpu_s.unwrap_or_default() + used.cpu_s);
            }
        }
        self
    }

    /// Whether all goals are met; `None` without a goal.
    pub fn meets_goals(&self) -> Option<bool> {
        let met = |ratio: Option<f64>, goal: Option<f64>| {
            goal.map(|goal| {
                ratio.is_some_and(|ratio| match self.better {
                    Better::Higher => ratio >= goal,
                    Better::Lower => ratio <= goal,
                })
            })
        };
        match (
            met(self.ratio_peer, self.goal_peer),
            met(self.ratio_limit, self.goal_limit),
        ) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(true) && b.unwrap_or(true)),
        }
    }
}
