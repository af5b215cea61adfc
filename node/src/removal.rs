//! Removing what a released component keeps.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use oms_actors::{Behavior, Context};
use oms_core::{ComponentId, Failure};
use oms_meta::MetaCommand;
use oms_proto::{
    meta::{ComponentRecord, ReportComponent},
    v1::ErrorInfo,
};
use parking_lot::Mutex;

use crate::metadata::Metadata;

/// Between two attempts to remove what one component keeps.
const PAUSE: Duration = Duration::from_secs(2);

/// Removals under way on this node, beside its other work: a database that does not answer holds up nothing
/// else.
#[derive(Clone)]
pub(crate) struct Removals {
    metadata: Metadata,
    under_way: Arc<Mutex<BTreeSet<ComponentId>>>,
}

/// A component that is to be removed.
pub(crate) struct Removal {
    pub(crate) context: Context,
    pub(crate) component: ComponentRecord,
    /// What cannot be removed is given up.
    pub(crate) forced: bool,
    /// The component's work, or why it cannot be built.
    pub(crate) behavior: Result<Arc<dyn Behavior>, Failure>,
}

impl Removals {
    /// None is under way.
    pub(crate) fn new(metadata: Metadata) -> Self {
        Self {
            metadata,
            under_way: Arc::default(),
        }
    }

    /// Whether an attempt for the component is under way or was a moment ago.
    pub(crate) fn is_busy(&self, id: &ComponentId) -> bool {
        self.under_way.lock().contains(id)
    }

    /// Makes one attempt and records its outcome: removed, the failure, or what was given up.
    pub(crate) fn begin(&self, removal: Removal) {
        let id = removal.context.id.clone();
        if !self.under_way.lock().insert(id.clone()) {
            return;
        }
        let own = self.clone();
        tokio::spawn(async move {
            let removed = own.attempt(&removal).await;
            if let Err(failure) = &removed {
                tracing::warn!(component = %id, "the outcome of a removal is not recorded yet: {failure}");
            }
            if !matches!(removed, Ok(true)) {
                tokio::time::sleep(PAUSE).await;
            }
            own.under_way.lock().remove(&id);
        });
    }

    /// `true`: there is nothing more to do.
    async fn attempt(&self, removal: &Removal) -> Result<bool, Failure> {
        let id = &removal.context.id;
        let mut report = ReportComponent {
            project: id.project().to_string(),
            kind: id.kind().as_str().to_owned(),
            epoch: removal.component.epoch,
            ..Default::default()
        };
        let (failure, keeps) = match &removal.behavior {
            Ok(behavior) => match behavior.remove(&removal.context).await {
                Ok(()) => return removal.context.reporter.removed().await.map(|()| true),
                Err(failure) => (
                    Failure::new(failure.code(), failure.detail()),
                    behavior.keeps(&removal.context),
                ),
            },
            Err(failure) => (
                Failure::new(failure.code(), failure.detail()),
                format!("what {id} keeps"),
            ),
        };
        if removal.forced {
            tracing::warn!(component = %id, "given up: {keeps}: {failure}");
            report.removed = true;
            report.left_behind = format!("{keeps} ({failure})");
            return self.send(report).await.map(|()| true);
        }
        let message = format!(
            "removing {id}: {}; this is tried again until it works, or until the release is forced, which leaves {keeps}",
            failure.text()
        );
        let known = removal.component.error.as_ref();
        if known.is_none_or(|e| e.code != failure.code().as_str() || e.message != message) {
            removal.context.log.warn(&message);
            report.error = Some(ErrorInfo {
                code: failure.code().as_str().to_owned(),
                message,
                failed_at_ms: self.metadata.now_ms(),
            });
            self.send(report).await?;
        }
        Ok(false)
    }

    async fn send(&self, report: ReportComponent) -> Result<(), Failure> {
        self.metadata
            .propose(MetaCommand::ReportComponent(report))
            .await
            .map(drop)
    }
}
