//! Why a node must end although nobody asked it to.

use std::sync::Arc;

use oms_core::{ErrorCode, Failure};
use tokio::sync::watch;

/// The first reason why this node cannot be part of its cluster any more. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Ending(Arc<watch::Sender<Option<(ErrorCode, String)>>>);

impl Default for Ending {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

impl Ending {
    /// Asks for the end; later reasons change nothing.
    pub(crate) fn ask(&self, failure: &Failure) {
        self.0.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some((failure.code(), failure.detail().to_owned()));
            }
            first
        });
    }

    /// Waits for the reason. Cancel safe.
    pub(crate) async fn reason(&self) -> (ErrorCode, String) {
        let mut watch = self.0.subscribe();
        loop {
            if let Some(reason) = watch.borrow_and_update().clone() {
                return reason;
            }
            if watch.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
