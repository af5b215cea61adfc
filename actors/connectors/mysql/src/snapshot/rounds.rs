//! How often a server is looked at while it is not at rest.

use std::time::{Duration, Instant};

/// How long a moment is looked for at which a snapshot's position can be told.
const PATIENCE: Duration = Duration::from_secs(180);
/// Looks of a round, of which the last one may be settled by reading the log.
const LOOKS: u32 = 250;
/// Longest pause between two looks of a round.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// Rounds of cheap looks at a server, until one of them shows it at rest or the time is over.
///
/// Between two looks there is a random pause, so that they fall on any moment of a regular load. The
/// first round is a single look: on a server where other tables are busy, the log shows that it is
/// good enough.
#[derive(Debug)]
pub(super) struct Rounds {
    started: Instant,
    rounds: u32,
    state: u64,
}

impl Rounds {
    /// Begins now. Different connections pause differently.
    pub(super) fn begin(connection: u32) -> Self {
        Self {
            started: Instant::now(),
            rounds: 0,
            state: u64::from(connection),
        }
    }

    /// How many looks the next round has; `None` when the time is over.
    pub(super) fn next(&mut self) -> Option<u32> {
        if self.started.elapsed() > PATIENCE {
            return None;
        }
        self.rounds = self.rounds.saturating_add(1);
        Some(if self.rounds == 1 { 1 } else { LOOKS })
    }

    /// What to say when [`Rounds::next`] gave `None`.
    pub(super) fn failure_text(&self) -> String {
        format!(
            "within {} s, every snapshot met a transaction on these tables that was being committed; pause their \
             writers for some seconds, or add a key",
            self.started.elapsed().as_secs()
        )
    }

    /// Waits between two looks: up to 4 ms, at random.
    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.next_pause(LONGEST_PAUSE)).await;
    }

    fn next_pause(&mut self, longest: Duration) -> Duration {
        longest * u32::from(random_byte(&mut self.state)) / 255
    }
}

/// Knuth's MMIX generator: spread over connections and moments is all that is asked of it.
pub(super) fn random_byte(state: &mut u64) -> u8 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*state >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_is_one_look_and_pauses_are_spread() {
        let mut rounds = Rounds::begin(7);
        assert_eq!(
            [rounds.next(), rounds.next(), rounds.next()],
            [Some(1), Some(LOOKS), Some(LOOKS)]
        );
        let pauses: Vec<_> = (0..200).map(|_| rounds.next_pause(LONGEST_PAUSE)).collect();
        assert!(pauses.iter().all(|p| *p <= LONGEST_PAUSE));
        let quarter = |n: u32| pauses.iter().filter(|p| **p >= LONGEST_PAUSE * n / 4).count();
        assert!(quarter(3) > 20 && quarter(1) < 180, "{pauses:?}");
    }
}
