//! Stops this node's components when its lease is lost.

use std::{sync::Arc, time::Duration};

use oms_actors::ComponentHost;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::lease::Lease;

/// How long components may take to stop by themselves when the lease is lost.
const GRACE: Duration = Duration::from_secs(1);
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
    open: watch::Sender<bool>,
}

impl Guard {
    pub(crate) fn new(lease: Arc<Lease>, host: Arc<ComponentHost>) -> (Self, Permission) {
        let (open, receiver) = watch::channel(false);
        let permission = Permission {
            lease: lease.clone(),
            open: receiver,
        };
        (Self { lease, host, open }, permission)
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
                self.host.halt(GRACE).await;
                // What was being started at that very moment.
                while !*holds.borrow_and_update() {
                    self.host.halt(GRACE).await;
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
