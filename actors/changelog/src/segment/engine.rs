use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::chain::Chain;
use crate::pins::Pins;
use crate::{ChangeLogError, LogSeq, Result};

use super::config::LogConfig;
use super::disk::Disk;
use super::header::SegmentHeader;
use super::mark::Mark;
use super::tail::Tail;

/// What writer, readers and retention of one open log share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: LogConfig,
    pub(crate) seed: u32,
    pub(crate) disk: Disk,
    pub(crate) mark: Mark,
    state: Mutex<State>,
    tail: Mutex<Tail>,
    pub(crate) published: watch::Sender<Published>,
    pub(crate) writer_taken: AtomicBool,
    /// Held while consumers are remembered or segments removed: one of these at a time.
    housekeeping: Mutex<()>,
    /// Held locked while the log is open.
    lock: Mutex<Option<File>>,
}

/// What readers wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) last: LogSeq,
    pub(crate) closed: bool,
}

/// What is durable. Locked for moments only, never during I/O.
#[derive(Debug)]
pub(crate) struct State {
    /// Oldest first, never empty.
    pub(crate) segments: VecDeque<SegmentInfo>,
    pub(crate) chain: Chain,
    pub(crate) pins: Pins,
}

/// One segment, as far as it is durable.
#[derive(Clone, Debug)]
pub(crate) struct SegmentInfo {
    pub(crate) header: Arc<SegmentHeader>,
    pub(crate) len: u64,
    /// Source time of its first record.
    pub(crate) first_time_us: Option<i64>,
}

impl SegmentInfo {
    pub(crate) fn first(&self) -> LogSeq {
        self.header.first()
    }
}

/// The durable part of a segment, for reading.
#[derive(Clone, Debug)]
pub(crate) struct Readable {
    pub(crate) path: PathBuf,
    pub(crate) first: LogSeq,
    pub(crate) header_len: u64,
    pub(crate) len: u64,
}

impl Engine {
    pub(crate) fn new(
        config: LogConfig,
        seed: u32,
        disk: Disk,
        mark: Mark,
        lock: File,
        state: State,
        tail: Tail,
    ) -> Self {
        let published = Published {
            last: state.chain.last,
            closed: false,
        };
        Self {
            config,
            seed,
            disk,
            mark,
            state: Mutex::new(state),
            tail: Mutex::new(tail),
            published: watch::Sender::new(published),
            writer_taken: AtomicBool::new(false),
            housekeeping: Mutex::new(()),
            lock: Mutex::new(Some(lock)),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a change of consumers or segments; refused when the log is closed. Blocking.
    pub(crate) fn keep_house(&self) -> Result<MutexGuard<'_, ()>> {
        let guard = self.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
        self.check_open()?;
        Ok(guard)
    }

    /// The appending end; held during writes and syncs, so only from blocking threads.
    pub(crate) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for everything under way, then gives the folder back. Blocking.
    pub(crate) fn close(&self) -> Result<()> {
        self.published.send_modify(|published| published.closed = true);
        self.tail().shut();
        let _idle = self.housekeeping.lock().unwrap_or_else(PoisonError::into_inner);
        let synced = self
            .mark
            .sync()
            .map_err(|error| ChangeLogError::io(self.disk.dir(), error));
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
        synced
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.published.borrow().closed {
            Err(ChangeLogError::Closed)
        } else {
            Ok(())
        }
    }

    /// The segment that holds a record, if it is durable.
    pub(crate) fn readable(&self, seq: LogSeq) -> Result<Option<Readable>> {
        let state = self.state();
        if seq > state.chain.last {
            return Ok(None);
        }
        let index = state.segments.partition_point(|segment| segment.first() <= seq);
        let segment = index.checked_sub(1).and_then(|index| state.segments.get(index));
        match segment {
            Some(segment) => Ok(Some(self.describe(segment))),
            None => Err(ChangeLogError::SeqPurged {
                wanted: seq,
                oldest: state.oldest(),
            }),
        }
    }

    pub(crate) fn describe(&self, segment: &SegmentInfo) -> Readable {
        Readable {
            path: self.disk.path(segment.first()),
            first: segment.first(),
            header_len: segment.header.len(),
            len: segment.len,
        }
    }
}

impl State {
    /// The oldest record there is, or the one that will be.
    pub(crate) fn oldest(&self) -> LogSeq {
        self.segments.front().map_or(LogSeq::FIRST, SegmentInfo::first)
    }

    /// Fails unless a reader may begin at `seq`.
    pub(crate) fn check_inside(&self, seq: LogSeq) -> Result<()> {
        let (oldest, next) = (self.oldest(), self.chain.last.next());
        if seq < oldest {
            return Err(ChangeLogError::SeqPurged { wanted: seq, oldest });
        }
        if seq > next {
            return Err(ChangeLogError::SeqAhead { wanted: seq, next });
        }
        Ok(())
    }
}

/// Runs blocking work on the thread pool made for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(interrupted(&error)))
}

pub(crate) fn interrupted(error: &tokio::task::JoinError) -> ChangeLogError {
    let reason = if error.is_panic() {
        "it panicked"
    } else {
        "the runtime is shutting down"
    };
    ChangeLogError::Interrupted {
        reason: reason.to_owned(),
    }
}
