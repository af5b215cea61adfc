//! What a running component is given.

use std::sync::Arc;

use oms_core::{ComponentId, Epoch};
use tokio_util::sync::CancellationToken;

use crate::{Clock, ComponentLog, ProgressCell, Reporter};

/// What a running component is given. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Who it is.
    pub id: ComponentId,
    /// The epoch under which it was assigned here.
    pub epoch: Epoch,
    /// Cancelled when it shall stop.
    pub cancel: CancellationToken,
    /// Where durable facts go.
    pub reporter: Arc<dyn Reporter>,
    /// Its log, which users read.
    pub log: Arc<ComponentLog>,
    /// Its progress, which users watch.
    pub progress: Arc<ProgressCell>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}
