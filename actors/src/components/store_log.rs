//! Where a Store's log begins: with the one that is on this disk, or anew.

use std::{
    io,
    path::{Path, PathBuf},
};

use oms_changelog::{
    ChangeLog as _, ChangeLogError, LogConfig, LogId, LogOrigin, LogSeq, ReadFrom, Recovery, SegmentLog,
};
use oms_core::{Failure, Position, Source, codes};

use super::store::{CONSUMER, StoreSettings, failure_of};
use crate::ComponentLog;

/// Opens the log in the Store's folder if it holds what is needed, otherwise begins one there.
///
/// Needed is every transaction behind the position; without one, as before the Store has a start,
/// nothing. A log that an earlier life of the Store left here and that does not hold this is discarded,
/// but only when the source can still give it.
pub(crate) async fn open(
    settings: &StoreSettings,
    needed: Option<&Position>,
    source: &dyn Source,
    log: &ComponentLog,
) -> Result<(SegmentLog, LogId), Failure> {
    let doomed = doomed(&settings.dir);
    remove(&doomed).await?;
    let found = SegmentLog::identity(&settings.dir).await.map_err(failure_of)?;
    // A log that is not this project's is refused when it is opened.
    if let Some(found) = found.filter(|id| id.0.starts_with(&settings.log_family)) {
        // An existing log keeps its start; it is not asked for one.
        let unused = match needed {
            Some(position) => position.clone(),
            None => source.current_position().await?,
        };
        let (segments, recovery) = open_as(settings, found, unused).await?;
        tell(log, &recovery);
        let Some(why) = misses(&segments, needed).await? else {
            return Ok((segments, found));
        };
        let position = needed.cloned().unwrap_or(why.ends);
        match source.check_position(&position).await {
            Ok(()) => {}
            Err(failure) if is_gone(&failure) => {
                log.warn(format!(
                    "the change log on this node {}; it is kept, because the source cannot give what is missing: {failure}",
                    why.words
                ));
                return Ok((segments, found));
            }
            Err(failure) => return Err(failure),
        }
        log.warn(format!(
            "the change log on this node {}; it is discarded",
            why.words
        ));
        segments.close().await.map_err(failure_of)?;
        drop(segments);
        discard(&settings.dir, &doomed).await?;
    }
    let start = match needed {
        Some(position) => {
            log.info(format!(
                "there is no change log on this node; beginning one at {position}"
            ));
            position.clone()
        }
        None => source.start_position().await?,
    };
    let log_id = new_id(settings.log_family);
    let (segments, recovery) = open_as(settings, log_id, start).await?;
    tell(log, &recovery);
    // Nothing may be removed before incremental synchronization has said what it needs.
    segments
        .set_low_watermark(CONSUMER, LogSeq::FIRST)
        .await
        .map_err(failure_of)?;
    Ok((segments, log_id))
}

/// An identity that no other log has, also not one of the same epoch whose disk was lost.
fn new_id(family: [u8; 8]) -> LogId {
    let mut id = [0; 16];
    let (ours, random) = id.split_at_mut(8);
    ours.copy_from_slice(&family);
    random.copy_from_slice(&rand::random::<[u8; 8]>());
    LogId(id)
}

async fn open_as(
    settings: &StoreSettings,
    log_id: LogId,
    start_position: Position,
) -> Result<(SegmentLog, Recovery), Failure> {
    let config = LogConfig {
        reserve_bytes: settings.reserve_bytes,
        ..LogConfig::new(&settings.dir)
    };
    let origin = LogOrigin {
        log_id,
        start_position,
    };
    SegmentLog::open(config, origin).await.map_err(failure_of)
}

fn tell(log: &ComponentLog, recovery: &Recovery) {
    if recovery.torn_bytes > 0 {
        log.warn(format!("cut off a torn end of {} bytes", recovery.torn_bytes));
    }
}

/// Why a log does not do.
struct Missing {
    words: &'static str,
    ends: Position,
}

/// Whether the log lacks something behind the position, or has not come to it. The log's own look-up
/// decides, so that a reader that asks for the position later gets the same answer.
async fn misses(log: &SegmentLog, needed: Option<&Position>) -> Result<Option<Missing>, Failure> {
    let Some(needed) = needed else {
        return Ok(None);
    };
    let words = match log.open_reader(ReadFrom::Behind(needed.clone())).await {
        Ok(_) => return Ok(None),
        Err(ChangeLogError::PositionPurged { .. }) => "does not reach back to what is needed",
        Err(ChangeLogError::PositionAhead { .. }) => "ends before what is needed",
        Err(ChangeLogError::PositionUnknown { .. }) => "is of another history of the source",
        Err(error) => return Err(failure_of(error)),
    };
    let ends = log.resume_position().map_err(failure_of)?;
    Ok(Some(Missing { words, ends }))
}

/// The source says for certain that it cannot be read from there.
fn is_gone(failure: &Failure) -> bool {
    failure.code() == codes::src::LOG_PURGED || failure.code() == codes::src::SERVER_CHANGED
}

/// The name under which a discarded log waits for its removal.
fn doomed(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".discarded");
    dir.with_file_name(name)
}

/// Takes a folder away as a whole first: what a crash leaves of it is never taken for a log.
async fn discard(dir: &Path, doomed: &Path) -> Result<(), Failure> {
    let (from, to) = (dir.to_owned(), doomed.to_owned());
    let moved = tokio::task::spawn_blocking(move || {
        std::fs::rename(&from, &to)?;
        match to.parent() {
            Some(parent) => std::fs::File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    });
    moved
        .await
        .map_err(|e| Failure::new(codes::store::INTERNAL, e.to_string()))?
        .map_err(|e| broken(dir, &e))?;
    remove(doomed).await
}

/// Removes a log that is not open. A Store that comes meanwhile finds it in use, and then gone.
pub(crate) async fn discard_unused(dir: &Path) -> Result<(), Failure> {
    let doomed = doomed(dir);
    remove(&doomed).await?;
    let path = dir.join("lock");
    let lock = match std::fs::OpenOptions::new().write(true).open(&path) {
        Ok(lock) => lock,
        // Nothing of a log is there.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return remove(dir).await,
        Err(e) => return Err(broken(&path, &e)),
    };
    lock.try_lock().map_err(|_| {
        let words = format!("the change log {} is in use", dir.display());
        Failure::new(codes::store::IN_USE, words)
    })?;
    discard(dir, &doomed).await
}

/// Removes the Store's folder and what was left of an earlier one. Idempotent.
pub(crate) async fn remove_all(dir: &Path) -> Result<(), Failure> {
    remove(&doomed(dir)).await?;
    remove(dir).await
}

async fn remove(dir: &Path) -> Result<(), Failure> {
    match tokio::fs::remove_dir_all(dir).await {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(broken(dir, &e)),
    }
}

fn broken(dir: &Path, error: &io::Error) -> Failure {
    Failure::new(
        codes::store::IO,
        format!("cannot remove {}: {error}", dir.display()),
    )
}
