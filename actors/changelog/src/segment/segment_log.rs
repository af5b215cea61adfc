use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use oms_core::Position;

use crate::{
    ChangeLog, ChangeLogError, LogReader, LogSeq, LogStats, LogWriter, ReadFrom, Result, Retained,
    RetentionPolicy,
};

use super::config::{LogConfig, LogId, LogOrigin};
use super::consumers;
use super::disk::Disk;
use super::engine::{Engine, blocking};
use super::lookup::{self, Match};
use super::open::{Recovery, identity, open};
use super::reader::SegmentReader;
use super::retain::retain;
use super::writer::SegmentWriter;

/// The change log in segment files; see the page `change-log.md` for the format.
///
/// Dropping it ends its readers as [`close`](ChangeLog::close) does; the folder stays locked until they, the
/// writer and the last write are gone. After `close` the folder is free at once.
#[derive(Debug)]
pub struct SegmentLog {
    engine: Arc<Engine>,
}

impl SegmentLog {
    /// Opens the log in `config.dir`, creating it when the folder is missing or holds no segment.
    ///
    /// Checks the headers of all segments and every record of the last one. A torn end that was never
    /// acknowledged is cut off; anything else that does not fit is `Corrupt`, and the files are left as they
    /// are. Fails with `InUse` while somebody else has the folder open.
    pub async fn open(config: LogConfig, origin: LogOrigin) -> Result<(Self, Recovery)> {
        let disk = Disk::new(config.dir.clone());
        Self::open_on(config, origin, disk).await
    }

    /// The identity of the log in a folder; `None` when the folder is missing or holds no segment. Reads
    /// one header and changes nothing.
    pub async fn identity(dir: impl Into<PathBuf>) -> Result<Option<LogId>> {
        let dir = dir.into();
        blocking(move || identity(&dir)).await
    }

    pub(crate) async fn open_on(
        config: LogConfig,
        origin: LogOrigin,
        disk: Disk,
    ) -> Result<(Self, Recovery)> {
        let (engine, recovery) = blocking(move || open(config, &origin, disk)).await?;
        Ok((
            Self {
                engine: Arc::new(engine),
            },
            recovery,
        ))
    }

    /// Changes the remembered consumers on disk and, if that worked, in memory.
    async fn remember(&self, change: Consumer) -> Result<bool> {
        let engine = self.engine.clone();
        blocking(move || {
            let _alone = engine.keep_house()?;
            let mut consumers = engine.state().pins.consumers.clone();
            let known = match &change {
                Consumer::Add(name, mark) => {
                    let mut state = engine.state();
                    state.check_inside(*mark)?;
                    // It is safe from here on, whatever happens while the list is being written.
                    state.pins.consumers.insert(name.clone(), *mark);
                    consumers.insert(name.clone(), *mark).is_some()
                }
                Consumer::Remove(name) => consumers.remove(name).is_some(),
            };
            let saved = consumers::save(&engine.disk, &consumers);
            match (change, &saved) {
                (Consumer::Add(name, _), Err(_)) if !known => engine.state().pins.consumers.remove(&name),
                (Consumer::Remove(name), Ok(())) => engine.state().pins.consumers.remove(&name),
                _ => None,
            };
            saved.map(|()| known)
        })
        .await
    }
}

enum Consumer {
    Add(String, LogSeq),
    Remove(String),
}

impl Drop for SegmentLog {
    fn drop(&mut self) {
        self.engine
            .published
            .send_modify(|published| published.closed = true);
    }
}

#[async_trait]
impl ChangeLog for SegmentLog {
    async fn writer(&self) -> Result<Box<dyn LogWriter>> {
        Ok(Box::new(SegmentWriter::open(self.engine.clone()).await?))
    }

    async fn open_reader(&self, from: ReadFrom) -> Result<Box<dyn LogReader>> {
        let engine = self.engine.clone();
        engine.check_open()?;
        let pinned = |from: Option<LogSeq>| {
            let mut state = engine.state();
            let seq = from.unwrap_or_else(|| state.oldest());
            state.check_inside(seq)?;
            Ok::<_, ChangeLogError>((seq, state.pins.pin(seq)))
        };
        let (from, pin) = match from {
            ReadFrom::Start => pinned(None)?,
            ReadFrom::Seq(seq) => pinned(Some(seq))?,
            from @ (ReadFrom::Position(_) | ReadFrom::Behind(_)) => {
                // Nothing is removed while the position is looked for.
                let (_, pin) = pinned(None)?;
                let shared = engine.clone();
                let find = move || match from {
                    ReadFrom::Behind(p) => lookup::find(&shared, &p, Match::Between),
                    ReadFrom::Position(p) => lookup::find(&shared, &p, Match::Exact),
                    ReadFrom::Seq(seq) => Ok(seq),
                    ReadFrom::Start => Ok(LogSeq::FIRST),
                };
                let seq = blocking(find).await?;
                pin.move_to(seq);
                (seq, pin)
            }
        };
        Ok(Box::new(SegmentReader::new(engine, from, pin)))
    }

    fn resume_position(&self) -> Result<Position> {
        let resume = self.engine.state().chain.resume.clone();
        resume.decode()
    }

    fn durable_seq(&self) -> LogSeq {
        self.engine.published.borrow().last
    }

    async fn set_low_watermark(&self, consumer: &str, needs_from: LogSeq) -> Result<()> {
        self.engine.check_open()?;
        {
            let mut state = self.engine.state();
            state.check_inside(needs_from)?;
            if let Some(mark) = state.pins.consumers.get_mut(consumer) {
                *mark = needs_from;
                return Ok(());
            }
        }
        self.remember(Consumer::Add(consumer.to_owned(), needs_from))
            .await
            .map(drop)
    }

    async fn remove_consumer(&self, consumer: &str) -> Result<bool> {
        self.engine.check_open()?;
        self.remember(Consumer::Remove(consumer.to_owned())).await
    }

    async fn retain(&self, now_us: i64, policy: RetentionPolicy) -> Result<Retained> {
        self.engine.check_open()?;
        let engine = self.engine.clone();
        blocking(move || {
            let _alone = engine.keep_house()?;
            let retained = retain(&engine, now_us, policy)?;
            let consumers = engine.state().pins.consumers.clone();
            if let Err(error) = consumers::save(&engine.disk, &consumers) {
                // The marks on disk stay lower than needed: harmless, and a full disk must not stop retention.
                tracing::warn!(%error, "cannot note the consumers' marks");
            }
            Ok(retained)
        })
        .await
    }

    fn stats(&self) -> LogStats {
        let state = self.engine.state();
        let held = state.chain.last >= state.oldest();
        LogStats {
            first_seq: state.oldest(),
            last_seq: state.chain.last,
            bytes: state.segments.iter().map(|segment| segment.len).sum(),
            segments: state.segments.len() as u64,
            first_source_time_us: state.segments.front().and_then(|segment| segment.first_time_us),
            last_source_time_us: held.then_some(state.chain.last_time_us),
        }
    }

    async fn close(&self) -> Result<()> {
        let engine = self.engine.clone();
        blocking(move || engine.close()).await
    }
}
