//! How a watch shows what it sees: bars on a terminal, lines in a pipe, objects for programs.

use std::time::Duration;

use oms_proto::v1::{Project, ProjectSnapshot, StepState};

use super::progress::{bar, step_name, step_text, steps};
use crate::{
    error::CliError,
    output::{Bars, Output, timestamp},
};

pub(crate) struct View<'a> {
    out: &'a Output,
    interval: Duration,
    bars: Option<Bars>,
    last_states: Vec<(String, String)>,
    last_progress_ms: i64,
    lost: bool,
}

impl<'a> View<'a> {
    pub(crate) fn new(out: &'a Output, interval: Duration) -> Self {
        let bars = out.is_live().then(Bars::new);
        Self {
            out,
            interval,
            bars,
            last_states: Vec::new(),
            last_progress_ms: 0,
            lost: false,
        }
    }

    /// Shows a snapshot.
    pub(crate) fn show(&mut self, snapshot: &ProjectSnapshot) -> Result<(), CliError> {
        self.lost = false;
        if self.out.is_json() {
            return self.out.json_line(snapshot);
        }
        let Some(project) = &snapshot.project else {
            return Ok(());
        };
        if let Some(bars) = &mut self.bars {
            let drawn: Vec<_> = steps(snapshot)
                .map(|(step, progress)| bar(step, progress, snapshot.at_ms))
                .collect();
            let headline = format!("{}  {}", name(project), project.state().name());
            bars.show(&headline, &drawn, self.out.has_colour());
            return Ok(());
        }
        self.lines(project, snapshot)
    }

    fn lines(&mut self, project: &Project, snapshot: &ProjectSnapshot) -> Result<(), CliError> {
        let at = timestamp(snapshot.at_ms);
        let project_state = ("project".to_owned(), project.state().name().to_owned());
        let states: Vec<_> = std::iter::once(project_state)
            .chain(
                project
                    .steps
                    .iter()
                    .map(|s| (step_name(s.kind()).to_owned(), s.state().name().to_owned())),
            )
            .collect();
        let due = u128::try_from(snapshot.at_ms.saturating_sub(self.last_progress_ms)).unwrap_or_default()
            >= self.interval.as_millis();
        let known = |state: &(String, String)| self.last_states.contains(state);
        let mut lines = Vec::new();
        if let Some(state) = states.first().filter(|s| !known(s)) {
            lines.push(format!("{at}  {:13} {}", state.0, state.1));
        }
        for ((step, progress), state) in steps(snapshot).zip(states.iter().skip(1)) {
            let waiting = matches!(step.state(), StepState::Init | StepState::Unspecified);
            let moving = matches!(step.state(), StepState::Running | StepState::Monitoring);
            if (!known(state) && !waiting) || (due && moving) {
                lines.push(format!(
                    "{at}  {:13} {}",
                    state.0,
                    step_text(step, progress, snapshot.at_ms)
                ));
            }
        }
        if due {
            self.last_progress_ms = snapshot.at_ms;
        }
        self.last_states = states;
        for line in lines {
            self.out.line(&line)?;
        }
        Ok(())
    }

    /// Says once that the daemon is lost and that the watch goes on trying.
    pub(crate) fn lost(&mut self, error: &CliError) -> Result<(), CliError> {
        if self.lost {
            return Ok(());
        }
        self.lost = true;
        let words = format!("the daemon is lost ({error}); trying again");
        match &mut self.bars {
            Some(bars) => {
                bars.headline(&words);
                Ok(())
            }
            None => self.out.note(&words),
        }
    }

    /// Leaves what is shown as it is.
    pub(crate) fn finish(&self) {
        if let Some(bars) = &self.bars {
            bars.finish();
        }
    }
}

fn name(project: &Project) -> &str {
    project
        .spec
        .as_ref()
        .map_or(project.id.as_str(), |spec| spec.name.as_str())
}
