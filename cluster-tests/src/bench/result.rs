//! One line of a bench's output.

use serde::Serialize;

/// The same fields for every bench; what does not apply is null.
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
    /// Peak resident memory of a node.
    pub rss_mb: Option<f64>,
    /// Processor time.
    pub cpu_s: Option<f64>,
    /// How often it was measured.
    pub rounds: usize,
}
