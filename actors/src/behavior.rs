//! What a component does.

use async_trait::async_trait;
use oms_core::Failure;

use crate::Context;

/// How a run ended without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// All work is done; one line about the result.
    Done(String),
    /// It was asked to stop and has stopped.
    Stopped,
}

/// The work of one component.
///
/// `run` may be called again after it ended with an error: it must find out by itself, from what is
/// durable, where to continue. It watches [`Context::cancel`] and returns soon after it is
/// cancelled. Dropping the future must leave nothing half-written that a later run cannot mend.
#[async_trait]
pub trait Behavior: Send + Sync + 'static {
    /// Runs until done, cancelled or failed.
    async fn run(&self, context: &Context) -> Result<Completion, Failure>;

    /// Removes everything that the component keeps (files, rows of its own at a destination).
    /// Called when it is not running; idempotent.
    async fn remove(&self, context: &Context) -> Result<(), Failure>;

    /// In words for the user: what stays, and where, when removing is given up.
    fn keeps(&self, context: &Context) -> String {
        format!("what {} keeps", context.id)
    }
}
