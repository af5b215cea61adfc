//! Pauses between repetitions.

use std::time::Duration;

use oms_core::Failure;
use tokio::time::{Instant, sleep};

use super::RetryPolicy;

/// Repetitions of one thing that fails. Begins with its first failure.
pub(super) struct Backoff {
    policy: RetryPolicy,
    running: Option<(Instant, Duration)>,
}

impl Backoff {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        Self {
            policy: policy.clone(),
            running: None,
        }
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.running = None;
    }

    /// Waits before the next try; gives the failure back when it stands.
    pub(super) async fn pause(&mut self, failure: Failure) -> Result<(), Failure> {
        let (begun, delay) = self
            .running
            .unwrap_or_else(|| (Instant::now(), self.policy.first_delay));
        if !failure.is_transient() || begun.elapsed() >= self.policy.window {
            return Err(failure);
        }
        tracing::warn!(code = %failure.code(), delay_ms = delay.as_millis() as u64, "import waits and tries again: {failure}");
        sleep(delay).await;
        self.running = Some((begun, (delay * 2).min(self.policy.max_delay)));
        Ok(())
    }
}
