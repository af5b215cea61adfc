//! Reading a project's change log wherever its Store is.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use oms_changelog::{EncodedPosition, LogId, LogRecord, LogSeq, RecordFlags};
use oms_core::{Failure, Position, codes};
use oms_types::ProjectId;
use tokio::time::sleep;

use super::{
    other_nodes::{LogConsumer, LogStart, LogStream, StoreSite},
    shelf::{LocalStream, Shelf},
    store::failure_of,
};
use crate::ComponentLog;

/// Pause after the first error; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The log that is read now, for those who tell it what is still needed.
#[derive(Default)]
pub(crate) struct LogLink {
    now: Mutex<Option<Linked>>,
}

#[derive(Clone)]
struct Linked {
    log_id: LogId,
    site: StoreSite,
    consumer: Arc<dyn LogConsumer>,
}

impl LogLink {
    fn set(&self, linked: Option<Linked>) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = linked;
    }

    fn get(&self) -> Option<Linked> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the log that no record before this one is needed. Does nothing when that log is not the one
    /// that is read: numbers of one log mean nothing in another.
    pub(crate) async fn needs_from(&self, log_id: LogId, seq: LogSeq) -> Result<(), Failure> {
        match self.get() {
            Some(now) if now.log_id == log_id => now.consumer.needs_from(seq).await,
            _ => Ok(()),
        }
    }

    /// Where the log is read, for people.
    pub(crate) fn place(&self) -> String {
        match self.get() {
            Some(now) => format!("reading the log of {}", owner(now.site)),
            None => "waiting for the log".to_owned(),
        }
    }
}

/// Whose log it is, for people.
fn owner(site: StoreSite) -> String {
    match site {
        StoreSite::On { node, .. } => format!("node {node}"),
        StoreSite::Here => "this node".to_owned(),
        StoreSite::Nowhere => "no node".to_owned(),
    }
}

/// A project's change log, from a position on, over restarts and moves of its Store.
///
/// Records come in the order of the source without a gap. In one log reading goes on at the next
/// record, also within a transaction. When a log was begun anew, numbers say nothing: a transaction of
/// which a part was handed out is voided by a `TXN_ABORT` record, as a Store that reconnects voids it,
/// and comes again as a whole.
pub(crate) struct FollowedLog {
    shelf: Arc<Shelf>,
    project: ProjectId,
    link: Arc<LogLink>,
    log: Arc<ComponentLog>,
    /// The last border that was handed out.
    border: Border,
    next: Option<(LogId, LogSeq)>,
    last_time_us: i64,
    /// A part of a transaction was handed out.
    within: bool,
    /// That part is void, and the reader does not know yet.
    void: bool,
    stream: Option<(StoreSite, Box<dyn LogStream>)>,
    errors: u32,
}

enum Border {
    Known(Position),
    Encoded(EncodedPosition),
}

impl FollowedLog {
    /// Opens the log behind a position; waits for the Store, and for the log to come there.
    ///
    /// # Errors
    /// `OMS-APPLY-0006` when the log does not reach back to the position; others that do not pass by
    /// themselves.
    pub(crate) async fn open(
        shelf: Arc<Shelf>,
        project: ProjectId,
        from: &Position,
        link: Arc<LogLink>,
        log: Arc<ComponentLog>,
    ) -> Result<Self, Failure> {
        let mut followed = Self {
            shelf,
            project,
            link,
            log,
            border: Border::Known(from.clone()),
            next: None,
            last_time_us: 0,
            within: false,
            void: false,
            stream: None,
            errors: 0,
        };
        followed.connect().await?;
        Ok(followed)
    }

    /// The identity of the log from which the last batch came.
    pub(crate) fn log_id(&self) -> Option<LogId> {
        self.next.map(|(log_id, _)| log_id)
    }

    /// The next records: at least one. Not cancel safe: reading then begins anew.
    ///
    /// # Errors
    /// As [`FollowedLog::open`]. Everything that passes by itself is waited for.
    pub(crate) async fn next_batch(&mut self, max_bytes: usize) -> Result<Vec<LogRecord>, Failure> {
        loop {
            if std::mem::take(&mut self.void) {
                self.within = false;
                return Ok(vec![self.abort_record()]);
            }
            let Some((site, stream)) = &mut self.stream else {
                self.connect().await?;
                continue;
            };
            let left = self.shelf.others().store_left(&self.project, *site);
            // Records that are there go first: what was read needs not be sent again.
            let read = tokio::select! {
                biased;
                read = stream.next_batch(max_bytes) => read,
                () = left => {
                    self.disconnect();
                    continue;
                }
            };
            match read {
                Ok(records) => {
                    let log_id = stream.log_id();
                    self.note(log_id, &records);
                    return Ok(records);
                }
                Err(failure) => {
                    let site = *site;
                    self.disconnect();
                    self.pause(site, failure).await?;
                }
            }
        }
    }

    /// Keeps where to go on.
    fn note(&mut self, log_id: LogId, records: &[LogRecord]) {
        for record in records {
            if let Some(position) = &record.position {
                self.border = Border::Encoded(position.clone());
            }
            let ends = record.position.is_some() || record.flags.contains(RecordFlags::TXN_ABORT);
            self.within = !ends;
            self.next = Some((log_id, record.seq.next()));
            self.last_time_us = record.source_time_us;
        }
        self.errors = 0;
    }

    fn abort_record(&self) -> LogRecord {
        LogRecord {
            // Nobody keeps the number of a record without a position.
            seq: LogSeq::NONE,
            flags: RecordFlags::TXN_ABORT,
            source_time_us: self.last_time_us,
            position: None,
            payload: Bytes::new(),
        }
    }

    fn disconnect(&mut self) {
        self.stream = None;
        self.link.set(None);
    }

    fn start(&self) -> Result<LogStart, Failure> {
        Ok(LogStart {
            position: match &self.border {
                Border::Known(position) => position.clone(),
                Border::Encoded(position) => position.decode().map_err(failure_of)?,
            },
            next: self.next,
        })
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        let from = self.start()?;
        loop {
            let others = self.shelf.others();
            let site = others.store_site(&self.project);
            let opening = async {
                match site {
                    StoreSite::Here => {
                        LocalStream::open(self.shelf.wait_for(&self.project).await, &from).await
                    }
                    StoreSite::On { .. } => others.open_log(&self.project, site, &from).await,
                    StoreSite::Nowhere => std::future::pending().await,
                }
            };
            let opened = tokio::select! {
                opened = opening => opened,
                () = others.store_left(&self.project, site) => continue,
            };
            match opened {
                Ok(stream) => {
                    self.begin(site, stream);
                    return Ok(());
                }
                Err(failure) => self.pause(site, failure).await?,
            }
        }
    }

    fn begin(&mut self, site: StoreSite, stream: Box<dyn LogStream>) {
        let log_id = stream.log_id();
        self.link.set(Some(Linked {
            log_id,
            site,
            consumer: stream.consumer(),
        }));
        let another = self.next.is_some_and(|(known, _)| known != log_id);
        if another {
            self.next = None;
            self.void |= self.within;
        }
        if another || self.errors > 0 {
            let begun_anew = if another { ", which was begun anew" } else { "" };
            self.log.info(format!("{}{begun_anew}", self.link.place()));
        }
        self.stream = Some((site, stream));
    }

    /// Waits a while before the next attempt; gives back what no attempt can mend.
    async fn pause(&mut self, site: StoreSite, failure: Failure) -> Result<(), Failure> {
        if failure.code() == codes::store::POSITION_PURGED {
            let border = self.start()?.position;
            return Err(Failure::new(
                codes::apply::POSITION_BEHIND_STORE,
                format!("{border}: {}", failure.detail()),
            ));
        }
        if !failure.is_transient() {
            return Err(failure);
        }
        if self.errors == 0 && failure.code() != codes::store::POSITION_AHEAD {
            self.log.warn(format!(
                "the change log of {} cannot be read: {failure}; trying again",
                owner(site)
            ));
        }
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.errors.min(8));
        self.errors = self.errors.saturating_add(1);
        tokio::select! {
            () = sleep(doubled.min(LONGEST_PAUSE)) => {}
            () = self.shelf.others().store_left(&self.project, site) => {}
        }
        Ok(())
    }
}
