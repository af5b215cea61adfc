//! Results for people.

use std::fmt;

use super::{BenchResult, Better};

/// A table of results: medians with least and greatest, ratios with their goals, then what the processes used.
#[derive(Debug)]
pub struct Report<'a>(pub &'a [BenchResult]);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for result in self.0 {
            let verdict = match result.meets_goals() {
                Some(true) => ", goal met",
                Some(false) => ", GOAL MISSED",
                None => "",
            };
            let BenchResult {
                bench,
                case,
                unit,
                rounds,
                ..
            } = result;
            writeln!(f, "{bench}: {case} ({unit}, {rounds} rounds){verdict}")?;
            line(
                f,
                "omsnode",
                Some(result.ours),
                result.ours_min,
                result.ours_max,
                None,
            )?;
            let sign = match result.better {
                Better::Higher => ">=",
                Better::Lower => "<=",
            };
            let ratio = |ratio: Option<f64>, goal: Option<f64>| {
                let goal = goal.map_or(String::new(), |goal| format!(" (goal {sign} {goal})"));
                ratio.map(|ratio| format!("ours is {} x{goal}", figure(ratio)))
            };
            if result.peer.is_some() {
                let name = result.peer_name.as_deref().unwrap_or("peer");
                let said = ratio(result.ratio_peer, result.goal_peer);
                line(f, name, result.peer, result.peer_min, result.peer_max, said)?;
            }
            if result.limit.is_some() {
                let name = result.limit_name.as_deref().unwrap_or("limit");
                let name = format!("{name} (limit)");
                let said = ratio(result.ratio_limit, result.goal_limit);
                line(f, &name, result.limit, result.limit_min, result.limit_max, said)?;
            }
            for used in &result.processes {
                let (name, cpu, rss) = (&used.name, used.cpu_s, used.rss_mb);
                writeln!(f, "  {name:<44} {cpu:>9.2} s of processor, {rss:.0} MiB at most")?;
            }
            if let (true, Some(rss)) = (result.processes.is_empty(), result.rss_mb) {
                writeln!(f, "  {:<44} {rss:.0} MiB at most", "omsnode")?;
            }
        }
        Ok(())
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    median: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    said: Option<String>,
) -> fmt::Result {
    let median = median.map(figure).unwrap_or_default();
    let spread = match (min, max) {
        (Some(min), Some(max)) => format!("{}..{}", figure(min), figure(max)),
        _ => String::new(),
    };
    let text = format!(
        "  {name:<44} {median:>9}  {spread:<19} {}",
        said.unwrap_or_default()
    );
    writeln!(f, "{}", text.trim_end())
}

/// Three significant digits at least.
fn figure(value: f64) -> String {
    match value.abs() {
        v if v >= 1000.0 => format!("{value:.0}"),
        v if v >= 100.0 => format!("{value:.1}"),
        v if v >= 10.0 => format!("{value:.2}"),
        v if v >= 0.1 || v == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.5}"),
    }
}
