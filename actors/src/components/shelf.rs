//! Where components of one node find each other's change logs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use oms_changelog::ChangeLog;
use oms_core::Position;
use oms_types::ProjectId;
use parking_lot::Mutex;
use tokio::sync::watch;

/// A change log that a Store on this node has open.
#[derive(Clone)]
pub struct ShelvedLog {
    /// The log.
    pub log: Arc<dyn ChangeLog>,
    /// When the source last said that there is nothing newer, in milliseconds since the epoch.
    caught_up_ms: Arc<AtomicI64>,
}

impl ShelvedLog {
    pub(crate) fn new(log: Arc<dyn ChangeLog>) -> Self {
        Self {
            log,
            caught_up_ms: Arc::new(AtomicI64::new(0)),
        }
    }

    pub(crate) fn note_caught_up(&self, now_ms: i64) {
        self.caught_up_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When the source last said that there was nothing newer than what the log holds; 0: never.
    pub fn caught_up_ms(&self) -> i64 {
        self.caught_up_ms.load(Ordering::Relaxed)
    }
}

/// The change logs that are open on this node, and how far they were applied, by project.
#[derive(Default)]
pub struct Shelf {
    logs: watch::Sender<BTreeMap<ProjectId, ShelvedLog>>,
    applied: Mutex<BTreeMap<ProjectId, watch::Sender<Option<Position>>>>,
}

impl Shelf {
    /// Puts a log up. It is taken down when the guard is dropped.
    pub(crate) fn put(self: &Arc<Self>, project: ProjectId, log: ShelvedLog) -> ShelfGuard {
        self.logs.send_modify(|logs| {
            logs.insert(project.clone(), log);
        });
        ShelfGuard {
            shelf: self.clone(),
            project,
        }
    }

    /// Notes that everything up to here is at the destination of the project.
    pub(crate) fn note_applied(&self, project: &ProjectId, position: Position) {
        let mut applied = self.applied.lock();
        applied
            .entry(project.clone())
            .or_default()
            .send_replace(Some(position));
    }

    /// What incremental synchronization of the project has applied on this node.
    pub fn applied(&self, project: &ProjectId) -> watch::Receiver<Option<Position>> {
        self.applied
            .lock()
            .entry(project.clone())
            .or_default()
            .subscribe()
    }

    /// Waits until the project's log is up. Cancel safe.
    pub async fn wait_for(&self, project: &ProjectId) -> ShelvedLog {
        let mut logs = self.logs.subscribe();
        loop {
            if let Some(log) = logs.borrow_and_update().get(project) {
                return log.clone();
            }
            // The sender lives as long as `self`.
            let _ = logs.changed().await;
        }
    }

    /// The project's log, if it is up.
    pub fn get(&self, project: &ProjectId) -> Option<ShelvedLog> {
        self.logs.borrow().get(project).cloned()
    }
}

/// Takes a log down when dropped.
pub(crate) struct ShelfGuard {
    shelf: Arc<Shelf>,
    project: ProjectId,
}

impl Drop for ShelfGuard {
    fn drop(&mut self) {
        self.shelf.logs.send_modify(|logs| {
            logs.remove(&self.project);
        });
    }
}
