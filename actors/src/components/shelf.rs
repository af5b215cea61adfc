//! Where components find a project's change log.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use oms_changelog::{ChangeLog, ChangeLogError, LogId, LogReader, LogRecord, LogSeq, ReadFrom};
use oms_core::Failure;
use oms_types::ProjectId;
use tokio::sync::watch;

use super::{
    other_nodes::{Alone, LogConsumer, LogStart, LogStream, OtherNodes},
    store::{CONSUMER, failure_of},
};

/// A change log that a Store on this node has open.
#[derive(Clone)]
pub struct ShelvedLog {
    /// The log.
    pub log: Arc<dyn ChangeLog>,
    /// Its identity: another one each time a log is begun anew.
    pub log_id: LogId,
}

impl ShelvedLog {
    /// A log as a Store puts it up.
    pub fn new(log: Arc<dyn ChangeLog>, log_id: LogId) -> Self {
        Self { log, log_id }
    }

    /// A reader for incremental synchronization: at `from.next` if that is of this log, otherwise
    /// behind `from.position`.
    ///
    /// # Errors
    /// `OMS-STORE-0004` when the log does not reach back, `OMS-STORE-0007` when it has not come as far,
    /// `OMS-STORE-0005` when the position does not compare with those of the log.
    pub async fn open_reader(&self, from: &LogStart) -> Result<Box<dyn LogReader>, ChangeLogError> {
        let from = match from.next {
            Some((log_id, seq)) if log_id == self.log_id => ReadFrom::Seq(seq),
            _ => ReadFrom::Behind(from.position.clone()),
        };
        self.log.open_reader(from).await
    }

    /// Says that incremental synchronization will not ask for a record before this one.
    pub async fn needs_from(&self, seq: LogSeq) -> Result<(), Failure> {
        match self.log.set_low_watermark(CONSUMER, seq).await {
            Ok(()) | Err(ChangeLogError::Closed) => Ok(()),
            Err(error) => Err(failure_of(error)),
        }
    }
}

/// The change logs that are open on this node, by project, and the way to those on others.
pub struct Shelf {
    others: Arc<dyn OtherNodes>,
    logs: watch::Sender<BTreeMap<ProjectId, ShelvedLog>>,
}

impl Default for Shelf {
    /// The shelf of a node without others.
    fn default() -> Self {
        Self::new(Arc::new(Alone))
    }
}

impl Shelf {
    /// An empty shelf of a node among others.
    pub fn new(others: Arc<dyn OtherNodes>) -> Self {
        Self {
            others,
            logs: watch::Sender::default(),
        }
    }

    /// The way to other nodes.
    pub(crate) fn others(&self) -> &dyn OtherNodes {
        &*self.others
    }

    /// Puts a log up. It is taken down when the guard is dropped.
    pub fn put(self: &Arc<Self>, project: ProjectId, log: ShelvedLog) -> ShelfGuard {
        self.logs.send_modify(|logs| {
            logs.insert(project.clone(), log);
        });
        ShelfGuard {
            shelf: self.clone(),
            project,
        }
    }

    /// Waits until the project's log is up on this node. Cancel safe.
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

    /// The project's log, if it is up on this node.
    pub fn get(&self, project: &ProjectId) -> Option<ShelvedLog> {
        self.logs.borrow().get(project).cloned()
    }
}

/// Takes a log down when dropped.
pub struct ShelfGuard {
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

/// A log of this node as incremental synchronization reads it.
pub(crate) struct LocalStream {
    shelved: ShelvedLog,
    reader: Box<dyn LogReader>,
}

impl LocalStream {
    pub(crate) async fn open(shelved: ShelvedLog, from: &LogStart) -> Result<Box<dyn LogStream>, Failure> {
        let reader = shelved.open_reader(from).await.map_err(failure_of)?;
        Ok(Box::new(Self { shelved, reader }))
    }
}

#[async_trait]
impl LogStream for LocalStream {
    fn log_id(&self) -> LogId {
        self.shelved.log_id
    }

    async fn next_batch(&mut self, max_bytes: usize) -> Result<Vec<LogRecord>, Failure> {
        self.reader.next_batch(max_bytes).await.map_err(failure_of)
    }

    fn consumer(&self) -> Arc<dyn LogConsumer> {
        Arc::new(LocalConsumer(self.shelved.clone()))
    }
}

struct LocalConsumer(ShelvedLog);

#[async_trait]
impl LogConsumer for LocalConsumer {
    async fn needs_from(&self, seq: LogSeq) -> Result<(), Failure> {
        self.0.needs_from(seq).await
    }
}
