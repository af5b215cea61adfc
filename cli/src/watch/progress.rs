//! Progress in words.

use oms_proto::v1::{Component, ComponentState, ProjectSnapshot, Step, StepKind, StepProgress, StepState};

use crate::output::{Bar, amount, bytes, count, duration_ms};

/// A step's name for people.
pub(crate) fn step_name(kind: StepKind) -> &'static str {
    match kind {
        StepKind::TransferPrecheck => "precheck",
        StepKind::StructTransfer => "schema",
        StepKind::TransferIncrLogPull => "store",
        StepKind::FullTransfer => "full import",
        StepKind::IndexTransfer => "indexes",
        StepKind::IncrTransfer => "incr-sync",
        StepKind::FullVerifier => "verification",
        StepKind::TransferAppSwitch => "switchover",
        StepKind::Unspecified => "unknown",
    }
}

/// What is known about a step's progress, in one line. Empty if nothing is.
pub(crate) fn progress_text(p: &StepProgress) -> String {
    text_of(p, filled(p), p.total_rows.max(p.rows))
}

/// What is known about a component's progress, in one line. One that has completed has done all there was, whatever had been
/// estimated.
pub(crate) fn component_text(c: &Component) -> String {
    match &c.progress {
        None => String::new(),
        Some(p) if c.state() == ComponentState::Completed => text_of(p, filled(p).map(|_| 1000), p.rows),
        Some(p) => progress_text(p),
    }
}

fn text_of(p: &StepProgress, filled: Option<u16>, total_rows: u64) -> String {
    let mut parts = Vec::new();
    if let Some(filled) = filled {
        parts.push(format!("{}%", filled / 10));
    }
    if p.total_rows > 0 {
        parts.push(format!("{}/{} rows", count(p.rows), count(total_rows)));
    } else if p.rows > 0 {
        parts.push(amount(p.rows, "row"));
    }
    if p.total_objects > 0 {
        parts.push(format!("{}/{} objects", count(p.objects), count(p.total_objects)));
    }
    if p.rows_per_second > 0 {
        parts.push(format!("{} rows/s", count(p.rows_per_second)));
    }
    if p.bytes_per_second > 0 {
        parts.push(format!("{}/s", bytes(p.bytes_per_second)));
    }
    if p.eta_seconds > 0 {
        parts.push(format!("ETA {}", duration_ms(p.eta_seconds.saturating_mul(1000))));
    }
    if let Some(lag) = p.lag_ms {
        parts.push(format!("lag {}", duration_ms(lag)));
    }
    parts.join("  ")
}

/// How much is done, in thousandths, where the end is known.
fn filled(p: &StepProgress) -> Option<u16> {
    let (done, total) = if p.total_rows > 0 {
        (p.rows, p.total_rows)
    } else {
        (p.objects, p.total_objects)
    };
    if total == 0 {
        return None;
    }
    // The total is an estimate: only a finished step is full.
    let share = u128::from(done) * 1000 / u128::from(total);
    Some(u16::try_from(share.min(999)).unwrap_or(999))
}

/// A step of a snapshot with what is known about its progress.
pub(crate) fn steps(snapshot: &ProjectSnapshot) -> impl Iterator<Item = (&Step, Option<&StepProgress>)> {
    let steps = snapshot.project.iter().flat_map(|p| &p.steps);
    steps.map(|step| (step, snapshot.progress.iter().find(|p| p.kind == step.kind)))
}

/// The bar of a step.
pub(crate) fn bar(step: &Step, progress: Option<&StepProgress>, now_ms: i64) -> Bar {
    let state = step.state();
    let moving = matches!(state, StepState::Running | StepState::Monitoring);
    let known = progress.and_then(filled);
    let filled = match state {
        StepState::Finished | StepState::Monitoring => Some(1000),
        StepState::Running => known,
        StepState::Failed => Some(known.unwrap_or_default()),
        StepState::Init | StepState::Skipped | StepState::Unspecified => Some(0),
    };
    Bar {
        name: step_name(step.kind()).to_owned(),
        filled,
        text: step_text(step, progress, now_ms),
        moving,
    }
}

/// A step's state with progress, result or error, in one line.
pub(crate) fn step_text(step: &Step, progress: Option<&StepProgress>, now_ms: i64) -> String {
    let state = step.state();
    let mut text = state.name().to_owned();
    let mut add = |words: &str| {
        if !words.is_empty() {
            text.push_str("  ");
            text.push_str(words);
        }
    };
    match state {
        StepState::Running | StepState::Monitoring => {
            if let Some(p) = progress {
                add(&progress_text(p));
                add(p.detail.lines().next().unwrap_or_default());
            }
        }
        StepState::Failed => {
            if let Some(e) = &step.error {
                add(&format!("{} {}", e.code, e.message));
            }
        }
        _ => add(&step.summary),
    }
    if step.started_at_ms > 0
        && state != StepState::Monitoring
        && !matches!(state, StepState::Init | StepState::Skipped)
    {
        let end = if step.finished_at_ms > 0 {
            step.finished_at_ms
        } else {
            now_ms
        };
        if let Ok(took) = u64::try_from(end.saturating_sub(step.started_at_ms)) {
            add(&format!("({})", duration_ms(took / 100 * 100)));
        }
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_names_what_is_known() {
        let p = StepProgress {
            rows: 450_000,
            total_rows: 1_000_000,
            rows_per_second: 52_000,
            bytes_per_second: 8_100_000,
            eta_seconds: 11,
            ..Default::default()
        };
        assert_eq!(
            progress_text(&p),
            "45%  450,000/1,000,000 rows  52,000 rows/s  8.1 MB/s  ETA 11s"
        );
        let p = StepProgress {
            rows: 7,
            lag_ms: Some(300),
            ..Default::default()
        };
        assert_eq!(progress_text(&p), "7 rows  lag 300ms");
        assert_eq!(progress_text(&StepProgress::default()), "");
    }

    #[test]
    fn a_component_that_has_completed_is_full() {
        let mut c = Component {
            state: ComponentState::Running as i32,
            progress: Some(StepProgress {
                rows: 1_000,
                total_rows: 1_000,
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(component_text(&c), "99%  1,000/1,000 rows");
        c.set_state(ComponentState::Completed);
        assert_eq!(component_text(&c), "100%  1,000/1,000 rows");
        for (rows, total_rows, text) in [
            (970, 1_000, "100%  970/970 rows"),
            (970, 0, "970 rows"),
            (0, 0, ""),
        ] {
            c.progress = Some(StepProgress {
                rows,
                total_rows,
                ..Default::default()
            });
            assert_eq!(component_text(&c), text);
        }
        c.progress = None;
        assert_eq!(component_text(&c), "");
    }

    #[test]
    fn an_estimate_never_fills_the_bar() {
        let step = |state: StepState| Step {
            kind: StepKind::FullTransfer as i32,
            state: state as i32,
            ..Default::default()
        };
        let over = StepProgress {
            rows: 20,
            total_rows: 10,
            ..Default::default()
        };
        assert_eq!(bar(&step(StepState::Running), Some(&over), 0).filled, Some(999));
        assert_eq!(bar(&step(StepState::Finished), Some(&over), 0).filled, Some(1000));
        assert_eq!(bar(&step(StepState::Running), None, 0).filled, None);
        let most = StepProgress {
            rows: u64::MAX,
            total_rows: u64::MAX,
            ..Default::default()
        };
        assert_eq!(bar(&step(StepState::Running), Some(&most), 0).filled, Some(999));
    }
}
