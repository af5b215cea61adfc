//! The node's permission to run components, on its own monotonic clock.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{sync::watch, time::Instant};

/// How long this node may run components without hearing from the leader again.
///
/// A renewal counts from the moment the question was *sent*, not from the moment it was answered: the leader
/// counts from when it heard, which is later, so it never takes a node for lost that still holds its lease
/// (see `node/docs/membership.md`). Only monotonic time is used; setting the clock has no effect.
#[derive(Debug)]
pub(crate) struct Lease {
    until: Mutex<Option<Instant>>,
    holds: watch::Sender<bool>,
    renewed: watch::Sender<u64>,
}

impl Default for Lease {
    fn default() -> Self {
        Self {
            until: Mutex::new(None),
            holds: watch::Sender::new(false),
            renewed: watch::Sender::new(0),
        }
    }
}

impl Lease {
    /// The leader acknowledged a heartbeat that was sent at `sent`. An answer that came too late changes nothing,
    /// and no answer shortens what an earlier one gave.
    pub(crate) fn renew(&self, sent: Instant, length: Duration, now: Instant) {
        let mut until = self.until.lock();
        let end = sent + length;
        if end <= now || until.is_some_and(|known| known >= end) {
            return;
        }
        let lapsed = until.is_some_and(|known| known <= now);
        if lapsed
            && self
                .holds
                .send_if_modified(|holds| std::mem::replace(holds, false))
        {
            // Nobody has noted the loss yet, as after a freeze. It must not pass unseen: the next answer counts.
            return;
        }
        *until = Some(end);
        // Under the lock, as everywhere: a loss that is noted at this moment must not come after the gain.
        self.holds
            .send_if_modified(|holds| !std::mem::replace(holds, true));
        drop(until);
        self.renewed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Whether components may run. A process that slept asks this before it acts.
    pub(crate) fn held(&self, now: Instant) -> bool {
        self.until.lock().is_some_and(|until| now < until)
    }

    /// Ends the lease at once: the node was refused.
    pub(crate) fn give_up(&self) {
        let mut until = self.until.lock();
        *until = None;
        self.holds
            .send_if_modified(|holds| std::mem::replace(holds, false));
        drop(until);
        self.renewed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Notes the loss if the lease has run out. True if so.
    fn expire(&self, now: Instant) -> bool {
        let until = self.until.lock();
        let over = until.is_none_or(|until| until <= now);
        if over {
            self.holds
                .send_if_modified(|holds| std::mem::replace(holds, false));
        }
        over
    }

    /// Changes when the lease is gained or lost; the loss is noted by [`Lease::keep`].
    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.holds.subscribe()
    }

    /// Notes the loss of the lease at the moment it runs out. Never ends.
    pub(crate) async fn keep(&self) {
        let mut renewed = self.renewed.subscribe();
        loop {
            renewed.borrow_and_update();
            let until = *self.until.lock();
            match until {
                Some(until) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        _ = renewed.changed() => continue,
                    }
                    if self.expire(Instant::now()) {
                        // Until it is gained again there is nothing to wait for.
                        let _ = renewed.changed().await;
                    }
                }
                None => {
                    let _ = renewed.changed().await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(2_500);

    #[test]
    fn counts_from_the_question_not_from_the_answer() {
        let (lease, sent) = (Lease::default(), Instant::now());
        let answered = sent + Duration::from_millis(900);
        assert!(!lease.held(answered));
        lease.renew(sent, LEASE, answered);
        assert!(lease.held(sent + LEASE - Duration::from_millis(1)));
        assert!(!lease.held(sent + LEASE));
    }

    #[test]
    fn late_and_overtaken_answers_change_nothing() {
        let (lease, sent) = (Lease::default(), Instant::now());
        lease.renew(sent, LEASE, sent + LEASE);
        assert!(!lease.held(sent), "an answer that came after its own end");
        lease.renew(sent + LEASE, LEASE, sent + LEASE);
        lease.renew(sent, LEASE, sent + Duration::from_millis(1));
        assert!(lease.held(sent + LEASE * 2 - Duration::from_millis(1)));
        lease.give_up();
        assert!(!lease.held(sent));
    }

    #[test]
    fn a_loss_in_a_freeze_is_seen_before_the_lease_is_gained_again() {
        let (lease, sent) = (Lease::default(), Instant::now());
        lease.renew(sent, LEASE, sent);
        let mut holds = lease.watch();
        assert!(*holds.borrow_and_update());
        let woken = sent + LEASE * 4;
        lease.renew(woken, LEASE, woken);
        assert!(!lease.held(woken) && !*holds.borrow_and_update());
        lease.renew(woken, LEASE, woken);
        assert!(lease.held(woken) && *holds.borrow_and_update());
    }

    #[tokio::test(start_paused = true)]
    async fn the_loss_is_told_when_it_happens() {
        let lease = std::sync::Arc::new(Lease::default());
        let keeper = tokio::spawn({
            let lease = lease.clone();
            async move { lease.keep().await }
        });
        let mut holds = lease.watch();
        let begun = Instant::now();
        lease.renew(begun, LEASE, begun);
        assert!(*holds.borrow_and_update());
        tokio::time::sleep(Duration::from_millis(2_000)).await;
        lease.renew(Instant::now(), LEASE, Instant::now());
        holds.changed().await.unwrap();
        assert!(!*holds.borrow_and_update());
        assert_eq!(begun.elapsed().as_millis() / 100, 45);
        lease.renew(Instant::now(), LEASE, Instant::now());
        holds.changed().await.unwrap();
        assert!(*holds.borrow_and_update());
        holds.changed().await.unwrap();
        assert!(!*holds.borrow_and_update());
        keeper.abort();
    }
}
