//! When to try again.

use std::time::Duration;

const LONGEST_AFTER_CRASH: Duration = Duration::from_millis(800);

/// When a component that met a transient error or crashed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Pause after the first error; doubles with each further one.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
    /// Give up when errors have followed each other for this long.
    pub window: Duration,
    /// A run that lasted this long is healthy even without progress, and starts all counts anew. Longer than
    /// an attempt to connect takes to fail.
    pub healthy_after: Duration,
    /// Give up after this many crashes (panics) in a row.
    pub crashes: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(3),
            window: Duration::from_secs(3_600),
            healthy_after: Duration::from_secs(20),
            crashes: 5,
        }
    }
}

impl RetryPolicy {
    /// The pause before the attempt that follows `errors` errors in a row (at least one).
    pub fn pause(&self, errors: u32) -> Duration {
        let doubled = self
            .first_pause
            .saturating_mul(1u32 << errors.saturating_sub(1).min(16));
        doubled.min(self.longest_pause)
    }

    /// The pause after a crash: never so long that the component would stand still for a second.
    pub fn pause_after_crash(&self, crashes: u32) -> Duration {
        self.pause(crashes).min(LONGEST_AFTER_CRASH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let p = RetryPolicy::default();
        assert_eq!(p.pause(1), Duration::from_millis(200));
        assert_eq!(p.pause(2), Duration::from_millis(400));
        assert_eq!(p.pause(60), p.longest_pause);
        assert_eq!(p.pause_after_crash(1), p.first_pause);
        assert!(p.pause_after_crash(60) < Duration::from_secs(1));
    }
}
