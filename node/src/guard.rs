//! Stops this node's components when its lease is lost.

use std::{sync::Arc, time::Duration};

use oms_actors::ComponentHost;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::lease::Lease;

/// While there is no lease, it is looked this often whether something runs all the same.
const LOOK: Duration = Duration::from_millis(200);

/// Whether components may be started: the lease is held, and nothing is left of what ran before it was lost.
#[derive(Clone)]
pub(crate) struct Permission {
    lease: Arc<Lease>,
    open: watch::Receiver<bool>,
}

impl Permission {
    /// Whether components may be started now.
    pub(crate) fn is_given(&self) -> bool {
        *self.open.borrow() && self.lease.held(Instant::now())
    }

    /// Returns when the answer may have changed.
    pub(crate) async fn changed(&mut self) {
        if self.open.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Watches the lease. When it is lost, everything is stopped at once, and whatever hangs is ended where it
/// stands.
pub(crate) struct Guard {
    lease: Arc<Lease>,
    host: Arc<ComponentHost>,
    /// How long components may take to stop by themselves when the lease is lost.
    grace: Duration,
    open: watch::Sender<bool>,
}

impl Guard {
    /// The leader waits a fifth of the lease longer than the lease lasts. Half of that is given to components.
    pub(crate) fn new(lease: Arc<Lease>, host: Arc<ComponentHost>, length: Duration) -> (Self, Permission) {
        let (open, receiver) = watch::channel(false);
        let permission = Permission {
            lease: lease.clone(),
            open: receiver,
        };
        let guard = Self {
            lease,
            host,
            grace: length / 10,
            open,
        };
        (guard, permission)
    }

    /// Guards until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let guard = async {
            let mut holds = self.lease.watch();
            loop {
                if holds.wait_for(|holds| *holds).await.is_err() {
                    return;
                }
                self.open.send_replace(true);
                if holds.wait_for(|holds| !*holds).await.is_err() {
                    return;
                }
                self.open.send_replace(false);
                tracing::warn!("the lease has run out; stopping all components");
                self.host.halt(self.grace).await;
                // What was being started at that very moment.
                while !*holds.borrow_and_update() {
                    self.host.halt(self.grace).await;
                    let _ = tokio::time::timeout(LOOK, holds.changed()).await;
                }
            }
        };
        tokio::select! {
            () = cancel.cancelled() => {}
            () = guard => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use oms_actors::{Behavior, Completion, Context, Facts, Reporter, RetryPolicy, RunState, SystemClock};
    use oms_core::{ComponentId, Epoch, Failure};

    use super::*;

    struct Silent;

    #[async_trait]
    impl Reporter for Silent {
        async fn state(&self, _: &RunState, _: &str) -> Result<(), Failure> {
            Ok(())
        }
        async fn facts(&self, _: Facts) -> Result<(), Failure> {
            Ok(())
        }
        async fn removed(&self) -> Result<(), Failure> {
            Ok(())
        }
    }

    /// Waits for a server that does not answer, whatever it is told.
    #[derive(Default)]
    struct Hanging {
        running: Arc<AtomicU32>,
    }

    struct Counted(Arc<AtomicU32>);

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[async_trait]
    impl Behavior for Hanging {
        async fn run(&self, _: &Context) -> Result<Completion, Failure> {
            self.running.fetch_add(1, Ordering::SeqCst);
            let _counted = Counted(self.running.clone());
            std::future::pending().await
        }
        async fn remove(&self, _: &Context) -> Result<(), Failure> {
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_runs_much_longer_than_the_lease() {
        const LEASE: Duration = Duration::from_millis(2_500);
        let host = ComponentHost::start(Arc::new(SystemClock), RetryPolicy::default());
        let host = Arc::new(host.await.unwrap());
        let lease = Arc::new(Lease::default());
        let (guard, mut permission) = Guard::new(lease.clone(), host.clone(), LEASE);
        assert!(!permission.is_given());
        let cancel = CancellationToken::new();
        let guard = tokio::spawn(guard.run(cancel.clone()));
        let keeper = tokio::spawn({
            let lease = lease.clone();
            async move { lease.keep().await }
        });

        let begun = Instant::now();
        lease.renew(begun, LEASE, begun);
        permission.changed().await;
        assert!(permission.is_given());
        let id: ComponentId = "p_1.store".parse().unwrap();
        let running = Arc::new(AtomicU32::new(0));
        let hanging = || {
            Arc::new(Hanging {
                running: running.clone(),
            })
        };
        host.run(id.clone(), Epoch(3), hanging(), Arc::new(Silent))
            .await
            .unwrap();
        while running.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }

        permission.changed().await;
        assert!(!permission.is_given());
        while running.load(Ordering::SeqCst) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(
            begun.elapsed() <= LEASE * 11 / 10 + Duration::from_millis(20),
            "{:?}",
            begun.elapsed()
        );
        while !host.list().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        // Even what somebody starts without asking does not run on.
        host.run(id.clone(), Epoch(3), hanging(), Arc::new(Silent))
            .await
            .unwrap();
        while !host.list().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        lease.renew(Instant::now(), LEASE, Instant::now());
        permission.changed().await;
        assert!(permission.is_given());
        host.run(id, Epoch(3), hanging(), Arc::new(Silent)).await.unwrap();
        cancel.cancel();
        guard.await.unwrap();
        keeper.abort();
    }
}
