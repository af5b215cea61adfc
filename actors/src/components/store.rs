//! The Store: from the source's log to the change log on local disk.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use oms_changelog::{ChangeLog, ChangeLogError, LogWriter, NewRecord, RetentionPolicy};
use oms_core::{CapturedRecord, Failure, Position, RecordFlags, Source, codes};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, interval},
};

use super::{
    shelf::{Shelf, ShelvedLog},
    store_log,
};
use crate::{Behavior, Completion, Context, Facts};

/// Name under which incremental synchronization holds back retention.
pub(crate) const CONSUMER: &str = "incr-sync";
/// Bytes that may be between the network and the disk.
const IN_FLIGHT: usize = 32 << 20;
/// Records of one commit, at most.
const BATCH: usize = 4_096;
/// An idle source's position is noted this often.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How a Store works.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Folder of the change log.
    pub dir: PathBuf,
    /// First half of the identity of the project's change logs; the other half is made with each.
    pub log_family: [u8; 8],
    /// Free bytes that are left to others on the disk.
    pub reserve_bytes: u64,
    /// How long records are kept after they were applied.
    pub retention: Duration,
    /// Where capture began, if that was recorded already. Never changes.
    pub start: Option<Position>,
    /// What incremental synchronization has noted as applied, if anything: a log that is begun anew
    /// begins here.
    pub applied: Option<Position>,
}

/// Captures a source's log.
///
/// Order: as the source. Durability: a record is readable, and acknowledged to the source, only when
/// it is durable. Restart: continues behind the last whole transaction in the log; the part of a
/// transaction that was durable already is voided in the log. The start position is durable in the
/// log before it is reported, and reported before the component counts as running.
///
/// On a node without the log, or with one that lacks what is needed, a log is begun anew: at what is
/// applied, or at the start position (`store_log`).
///
/// The report precedes each connection to the source. It is refused to a former owner, and one that is
/// cut off from the metadata cannot make it: such a one does not read the source's log beside its
/// successor.
pub struct Store {
    source: Arc<dyn Source>,
    shelf: Arc<Shelf>,
    settings: StoreSettings,
    /// Found once: later runs must not report a later position as the start.
    start: OnceLock<Position>,
}

impl Store {
    /// A Store of a source; readers find its log on the shelf.
    pub fn new(source: Arc<dyn Source>, shelf: Arc<Shelf>, settings: StoreSettings) -> Self {
        Self {
            source,
            shelf,
            settings,
            start: OnceLock::new(),
        }
    }

    /// Removes the folder of a change log that no Store will use again, with everything in it. Idempotent.
    ///
    /// # Errors
    /// `OMS-STORE-0003` when the log is open, `OMS-STORE-0006` when the disk refuses.
    pub async fn discard(dir: &Path) -> Result<(), Failure> {
        store_log::discard_unused(dir).await
    }

    async fn capture(&self, context: &Context, shelved: &ShelvedLog) -> Result<(), Failure> {
        let log = &shelved.log;
        let mut writer = log.writer().await.map_err(failure_of)?;
        if writer.open_transaction().is_some() {
            writer
                .append(vec![NewRecord::abort(0)])
                .await
                .map_err(failure_of)?;
        }
        writer.commit().await.map_err(failure_of)?;
        let from = log.resume_position().map_err(failure_of)?;
        self.source.check_position(&from).await?;
        context.log.info(format!("capturing from {from}"));
        let mut capture = self.source.open_capture(&from).await?;

        let (sender, mut receiver) =
            mpsc::channel::<(CapturedRecord, tokio::sync::OwnedSemaphorePermit)>(BATCH);
        let (acknowledge, mut acknowledged) = mpsc::channel::<Position>(1);
        let budget = Arc::new(Semaphore::new(IN_FLIGHT >> 10));
        let reading = async move {
            loop {
                tokio::select! {
                    record = capture.next() => {
                        let record = record?;
                        if record.flags.has(RecordFlags::CONTEXT) {
                            continue;
                        }
                        let cost = ((record.payload.len() >> 10) + 1).min(IN_FLIGHT >> 10);
                        let permit = budget.clone().acquire_many_owned(u32::try_from(cost).unwrap_or(u32::MAX)).await
                            .map_err(|e| Failure::new(codes::store::IO, e.to_string()))?;
                        if sender.send((record, permit)).await.is_err() {
                            return Ok(());
                        }
                    }
                    Some(position) = acknowledged.recv() => capture.acknowledge(&position).await?,
                }
            }
        };
        let writing = self.write(context, shelved, &mut *writer, &mut receiver, acknowledge);
        // The writer goes first when both are ready: what was read is made durable before the end.
        tokio::select! {
            biased;
            written = writing => written,
            read = reading => read,
        }
    }

    async fn write(
        &self,
        context: &Context,
        shelved: &ShelvedLog,
        writer: &mut dyn LogWriter,
        receiver: &mut mpsc::Receiver<(CapturedRecord, tokio::sync::OwnedSemaphorePermit)>,
        acknowledge: mpsc::Sender<Position>,
    ) -> Result<(), Failure> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut last_heartbeat: Option<Instant> = None;
        let mut last_noted = String::new();
        let mut sweep = interval(Duration::from_secs(30));
        loop {
            batch.clear();
            let got = tokio::select! {
                () = context.cancel.cancelled() => return Ok(()),
                _ = sweep.tick() => { self.sweep(context, shelved).await?; continue; }
                got = receiver.recv_many(&mut batch, BATCH) => got,
            };
            if got == 0 {
                return Ok(());
            }
            let (mut records, mut permits) = (Vec::with_capacity(got), Vec::with_capacity(got));
            let mut newest: Option<Position> = None;
            let mut idle = false;
            let (mut bytes, mut events, mut transactions) = (0u64, 0u64, 0u64);
            let mut source_time_us = 0;
            for (record, permit) in batch.drain(..) {
                idle = record.flags.has(RecordFlags::HEARTBEAT);
                if idle {
                    let due = last_heartbeat.is_none_or(|t| t.elapsed() >= HEARTBEAT);
                    if !due {
                        continue;
                    }
                    last_heartbeat = Some(Instant::now());
                } else {
                    bytes += record.payload.len() as u64;
                    events += 1;
                    source_time_us = record.source_time_us;
                }
                transactions += u64::from(record.flags.has(RecordFlags::TXN_LAST));
                if let Some(position) = &record.position {
                    newest = Some(position.clone());
                }
                records.push(new_record(record, context.clock.now_ms())?);
                permits.push(permit);
            }
            if !records.is_empty() {
                writer.append(records).await.map_err(failure_of)?;
                writer.commit().await.map_err(failure_of)?;
            }
            drop(permits);
            let now_ms = context.clock.now_ms();
            if let Some(position) = newest {
                last_noted = position.to_string();
                // One waiting acknowledgement is enough: the next covers it.
                let _ = acknowledge.try_send(position);
            }
            context.progress.update(|p| {
                p.rows += events;
                p.bytes += bytes;
                p.objects += transactions;
                p.position.clone_from(&last_noted);
                p.lag_ms = Some(if idle { 0 } else { lag(now_ms, source_time_us) });
            });
        }
    }

    async fn sweep(&self, context: &Context, shelved: &ShelvedLog) -> Result<(), Failure> {
        let policy = RetentionPolicy {
            min_age_us: i64::try_from(self.settings.retention.as_micros()).unwrap_or(i64::MAX),
            max_bytes: u64::MAX,
        };
        let now_us = context.clock.now_ms().saturating_mul(1_000);
        let retained = shelved.log.retain(now_us, policy).await.map_err(failure_of)?;
        if retained.segments > 0 {
            context.log.info(format!(
                "removed {} applied segments, {} bytes",
                retained.segments, retained.bytes
            ));
        }
        Ok(())
    }
}

fn lag(now_ms: i64, source_time_us: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(source_time_us / 1_000)).unwrap_or_default()
}

fn new_record(record: CapturedRecord, now_ms: i64) -> Result<NewRecord, Failure> {
    let CapturedRecord {
        flags,
        source_time_us,
        position,
        payload,
    } = record;
    let (first, last) = (
        flags.has(RecordFlags::TXN_FIRST),
        flags.has(RecordFlags::TXN_LAST),
    );
    let position = || {
        position.ok_or_else(|| {
            Failure::new(
                codes::store::INTERNAL,
                "the capture gave a border without a position",
            )
        })
    };
    Ok(if flags.has(RecordFlags::TXN_ABORT) {
        NewRecord::abort(source_time_us)
    } else if flags.has(RecordFlags::HEARTBEAT) {
        let time = if source_time_us > 0 {
            source_time_us
        } else {
            now_ms.saturating_mul(1_000)
        };
        NewRecord::heartbeat(time, position()?)
    } else {
        match (first, last) {
            (true, true) => NewRecord::single(source_time_us, position()?, payload),
            (true, false) => NewRecord::first(source_time_us, payload),
            (false, true) => NewRecord::last(source_time_us, position()?, payload),
            (false, false) => NewRecord::middle(source_time_us, payload),
        }
    })
}

/// The public failure of a change-log error.
pub(crate) fn failure_of(error: ChangeLogError) -> Failure {
    Failure::new(error.code(), error.to_string())
}

#[async_trait]
impl Behavior for Store {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let settings = &self.settings;
        let start = settings.start.as_ref().or(self.start.get());
        let needed = settings.applied.as_ref().or(start);
        let (log, log_id) = store_log::open(settings, needed, &*self.source, &context.log).await?;
        let log: Arc<dyn ChangeLog> = Arc::new(log);
        let shelved = ShelvedLog::new(log.clone(), log_id);
        let start = match &settings.start {
            Some(start) => start.clone(),
            // Durable in the log since it was opened; an earlier run may have made it.
            None => {
                let resume = log.resume_position().map_err(failure_of)?;
                self.start.get_or_init(|| resume).clone()
            }
        };
        context.reporter.facts(Facts::StoreStart(start)).await?;
        let guard = self.shelf.put(context.id.project().clone(), shelved.clone());
        let result = self.capture(context, &shelved).await;
        drop(guard);
        log.close().await.map_err(failure_of)?;
        result?;
        if context.cancel.is_cancelled() {
            Ok(Completion::Stopped)
        } else {
            Err(Failure::new(
                codes::src::UNREACHABLE,
                "the source ended the log stream",
            ))
        }
    }

    async fn remove(&self, _: &Context) -> Result<(), Failure> {
        store_log::remove_all(&self.settings.dir).await
    }
}
