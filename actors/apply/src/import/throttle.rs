//! Limits of rows and bytes per second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

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
    buckets: Mutex<Buckets>,
    /// Ends waits under former limits.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Buckets {
    limits: (Option<u64>, Option<u64>),
    rows: Option<TokenBucket>,
    bytes: Option<TokenBucket>,
}

impl Throttle {
    /// Without limits.
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            buckets: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Sets other limits. Whoever waits under former ones goes on at once.
    pub(super) fn set(&self, rows: Option<u64>, bytes: Option<u64>) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.limits == (rows, bytes) {
            return;
        }
        *buckets = Buckets {
            limits: (rows, bytes),
            rows: rows.map(TokenBucket::new),
            bytes: bytes.map(TokenBucket::new),
        };
        self.changed.notify_waiters();
    }

    /// Waits until these may be written.
    pub(super) async fn pass(&self, rows: u64, bytes: u64) {
        let changed = self.changed.notified();
        let now = self.begun.elapsed();
        let wait = {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let by_rows = buckets.rows.as_mut().map(|b| b.take(rows, now));
            let by_bytes = buckets.bytes.as_mut().map(|b| b.take(bytes, now));
            by_rows.max(by_bytes).unwrap_or_default()
        };
        if !wait.is_zero() {
            tokio::select! {
                () = sleep(wait) => {}
                () = changed => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_new_limit_holds_at_once() {
        let throttle = Throttle::new();
        throttle.pass(1_000_000, 1 << 40).await;
        throttle.set(Some(1), None);
        throttle.pass(1, 0).await;
        let begun = Instant::now();
        tokio::join!(throttle.pass(3_600, 0), async {
            sleep(Duration::from_secs(5)).await;
            throttle.set(Some(10), None);
        });
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        throttle.pass(30, 0).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(7));
        // The same again changes nothing.
        throttle.set(Some(10), None);
        throttle.pass(10, 0).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(8));
    }

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
