//! What one can ask of every bench.

use clap::Args;

/// The options that all benches share; a bench does not look at what does not apply to it.
#[derive(Debug, Clone, Args)]
pub struct BenchOptions {
    /// How much data: rows, row events or transactions
    #[arg(long)]
    pub rows: u64,
    /// How often each contestant takes its turn
    #[arg(long, value_parser = rounds)]
    pub rounds: usize,
    /// Only cases whose name contains one of these
    #[arg(long = "case", value_name = "TEXT")]
    pub cases: Vec<String>,
}

fn rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n @ 1..=1000) => Ok(n),
        _ => Err("a number between 1 and 1000 is wanted".to_owned()),
    }
}

impl BenchOptions {
    /// Options with all cases.
    pub fn new(rows: u64, rounds: usize) -> Self {
        let cases = Vec::new();
        Self { rows, rounds, cases }
    }

    /// Whether a case is asked for.
    pub fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| case.contains(wanted.as_str()))
    }
}
