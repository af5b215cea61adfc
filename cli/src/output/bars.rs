//! Live progress bars.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::printable;

/// What one bar shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Name in front of the bar.
    pub(crate) name: String,
    /// How much of it is filled, in thousandths; without it a moving mark shows that work goes on.
    pub(crate) filled: Option<u16>,
    /// Text behind the bar.
    pub(crate) text: String,
    /// Whether the bar still moves.
    pub(crate) moving: bool,
}

/// A headline and one bar per step on a terminal.
pub(crate) struct Bars {
    group: MultiProgress,
    headline: ProgressBar,
    bars: Vec<ProgressBar>,
}

/// How often the moving mark moves.
const TICK: Duration = Duration::from_millis(120);

fn style(template: &str) -> ProgressStyle {
    // The templates are constants, and the fallback shows the same texts.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Bars {
    /// Draws nothing yet.
    pub(crate) fn new() -> Self {
        let group = MultiProgress::with_draw_target(ProgressDrawTarget::stdout_with_hz(10));
        let headline = group.add(ProgressBar::new(0).with_style(style("{wide_msg}")));
        Self {
            group,
            headline,
            bars: Vec::new(),
        }
    }

    /// Shows the present state.
    pub(crate) fn show(&mut self, headline: &str, bars: &[Bar], colour: bool) {
        self.headline.set_message(printable(headline));
        while self.bars.len() < bars.len() {
            self.bars.push(self.group.add(ProgressBar::new(1000)));
        }
        for (drawn, bar) in self.bars.iter().zip(bars) {
            let paint = if colour { "{bar:24.green}" } else { "{bar:24}" };
            let template = match bar.filled {
                Some(_) => format!("  {{prefix:13}} [{paint}] {{wide_msg}}"),
                None => "  {prefix:13} [{spinner:24}] {wide_msg}".to_owned(),
            };
            let travelling = [
                "<=>                     ",
                "      <=>               ",
                "            <=>         ",
                "                  <=>   ",
            ];
            drawn.set_style(style(&template).progress_chars("=> ").tick_strings(&travelling));
            drawn.set_prefix(bar.name.clone());
            drawn.set_message(printable(&bar.text));
            drawn.set_position(u64::from(bar.filled.unwrap_or_default()));
            if bar.moving && bar.filled.is_none() {
                drawn.enable_steady_tick(TICK);
            } else {
                drawn.disable_steady_tick();
                drawn.tick();
            }
        }
    }

    /// Replaces the headline.
    pub(crate) fn headline(&mut self, text: &str) {
        self.headline.set_message(printable(text));
    }

    /// Leaves the bars as they are.
    pub(crate) fn finish(&self) {
        for bar in self.bars.iter().chain([&self.headline]) {
            bar.disable_steady_tick();
            bar.abandon();
        }
    }
}
