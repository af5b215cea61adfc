//! Limits of rows and bytes per second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// A bucket that fills at a steady rate and holds one second's worth. Takes may overdraw it; the
/// taker then waits until the debt is paid. Pure: the caller passes the time.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    rate: f64,
    level: f64,
    at: Duration,
}

impl TokenBucket {
    /// A full bucket; `per_second` of at least 1.
    pub fn new(per_second: u64) -> Self {
        let rate = per_second.max(1) as f64;
        Self {
            rate,
            level: rate,
            at: Duration::ZERO,
        }
    }

    /// Takes an amount at a time (since any fixed moment); says how long to wait before using it.
    pub fn take(&mut self, amount: u64, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.level = (self.level + passed * self.rate).min(self.rate) - amount as f64;
        if self.level >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-self.level / self.rate)
        }
    }
}

/// Both limits, shared by all workers.
#[derive(Debug)]
pub(super) struct Throttle {
    begun: Instant,
    buckets: Mutex<(Option<TokenBucket>, Option<TokenBucket>)>,
}

impl Throttle {
    pub(super) fn new(rows: Option<u64>, bytes: Option<u64>) -> Self {
        Self {
            begun: Instant::now(),
            buckets: Mutex::new((rows.map(TokenBucket::new), bytes.map(TokenBucket::new))),
        }
    }

    /// Waits until these may be written.
    pub(super) async fn pass(&self, rows: u64, bytes: u64) {
        let now = self.begun.elapsed();
        let wait = {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let by_rows = buckets.0.as_mut().map(|b| b.take(rows, now));
            let by_bytes = buckets.1.as_mut().map(|b| b.take(bytes, now));
            by_rows.max(by_bytes).unwrap_or_default()
        };
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_after_the_first_second() {
        let mut bucket = TokenBucket::new(100);
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            now += bucket.take(30, now);
        }
        // 3000 at 100 per second, less the full bucket at the beginning.
        assert!((now.as_secs_f64() - 29.0).abs() < 0.01, "{now:?}");
        // An idle bucket holds no more than one second.
        now += Duration::from_secs(60);
        assert_eq!(bucket.take(100, now), Duration::ZERO);
        assert_eq!(bucket.take(100, now), Duration::from_secs(1));
    }
}
