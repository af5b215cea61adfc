use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chain::Chain;
use crate::pins::Pins;
use crate::{ChangeLogError, EncodedPosition, LogSeq, Result};

use super::config::{LogConfig, LogId, LogOrigin};
use super::consumers;
use super::disk::Disk;
use super::engine::{Engine, SegmentInfo, State};
use super::frame::{FrameHead, HEAD, seed};
use super::header::{SegmentHeader, name_to_seq};
use super::mark::Mark;
use super::scan::{Scanner, Stop, find_proof};
use super::tail::Tail;

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The log was created.
    pub created: bool,
    /// Bytes of a torn, never acknowledged end that were cut off.
    pub torn_bytes: u64,
    /// The transaction the log ends inside of; the next writer voids it.
    pub open_transaction: Option<LogSeq>,
}

/// Opens a log folder for good: locked, checked, its end whole and durable. Blocking.
pub(crate) fn open(config: LogConfig, origin: &LogOrigin, disk: Disk) -> Result<(Engine, Recovery)> {
    let dir = config.dir.clone();
    create_dir(&dir)?;
    let lock = lock(&dir)?;
    let seed = seed(origin.log_id);
    let mut recovery = Recovery::default();
    let mut names = list(&dir)?;
    if names.is_empty() {
        create_first(&disk, origin)?;
        recovery.created = true;
        names.push(LogSeq::FIRST);
    }
    let mut segments = VecDeque::with_capacity(names.len());
    for first in names {
        let info = describe(&disk, first, origin.log_id, segments.back())?;
        segments.push_back(info);
    }
    finish_retention(&disk, &mut segments)?;
    let (mark, acknowledged) =
        Mark::open(&dir, origin.log_id).map_err(|error| ChangeLogError::io(&dir, error))?;
    let Some(last) = segments.back_mut() else {
        return Err(ChangeLogError::Closed);
    };
    let (file, chain) = recover_last(&disk, seed, last, acknowledged, &mut recovery)?;
    recovery.open_transaction = chain.open_txn;

    let mut pins = Pins::default();
    pins.consumers = consumers::load(&disk)?;
    let oldest = segments.front().map_or(LogSeq::FIRST, SegmentInfo::first);
    for mark in pins.consumers.values_mut() {
        *mark = (*mark).clamp(oldest, chain.last.next());
    }
    let last = last_info(&segments)?;
    let tail = Tail::new(file, last, chain.clone());
    let state = State {
        segments,
        chain,
        pins,
    };
    Ok((Engine::new(config, seed, disk, mark, lock, state, tail), recovery))
}

/// Completes a retention that a crash interrupted between two segments of one transaction: the log must
/// begin at a transaction border, and what lies before the first one can no longer be read from its start.
fn finish_retention(disk: &Disk, segments: &mut VecDeque<SegmentInfo>) -> Result<()> {
    let Some(border) = segments
        .iter()
        .position(|segment| segment.header.start.open_txn.is_none())
    else {
        let first = segments.front().map_or(LogSeq::FIRST, SegmentInfo::first);
        return Err(ChangeLogError::Corrupt {
            file: disk.path(first),
            offset: 0,
            seq: first,
            reason: "the segment with the beginning of its transaction is missing",
        });
    };
    for segment in segments.drain(..border) {
        let path = disk.path(segment.first());
        tracing::warn!(file = %path.display(), "remove the rest of a transaction whose beginning was removed");
        disk.remove(segment.first())
            .map_err(|error| ChangeLogError::io(path, error))?;
    }
    Ok(())
}

fn last_info(segments: &VecDeque<SegmentInfo>) -> Result<SegmentInfo> {
    segments.back().cloned().ok_or(ChangeLogError::Closed)
}

fn create_dir(dir: &Path) -> Result<()> {
    let io = |error| ChangeLogError::io(dir, error);
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(io)?;
    // The new names must survive a crash as the data in them will.
    for parent in dir
        .ancestors()
        .skip(1)
        .take_while(|parent| !parent.as_os_str().is_empty())
    {
        File::open(parent)
            .and_then(|parent| parent.sync_all())
            .map_err(io)?;
    }
    Ok(())
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| ChangeLogError::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ChangeLogError::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(ChangeLogError::io(path, error)),
    }
}

/// The identity of the log in a folder, from the header of its first segment.
pub(crate) fn identity(dir: &Path) -> Result<Option<LogId>> {
    let io = |error| ChangeLogError::io(dir, error);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut first: Option<(LogSeq, PathBuf)> = None;
    for entry in entries {
        let path = entry.map_err(io)?.path();
        if let Some(seq) = name_to_seq(&path)
            && first.as_ref().is_none_or(|(lowest, _)| seq < *lowest)
        {
            first = Some((seq, path));
        }
    }
    let Some((_, path)) = first else {
        return Ok(None);
    };
    let mut file = File::open(&path).map_err(|error| ChangeLogError::io(&path, error))?;
    Ok(Some(SegmentHeader::read(&path, &mut file)?.log_id))
}

/// The first numbers of all segments, in order. Left-overs of unfinished creations are removed.
fn list(dir: &Path) -> Result<Vec<LogSeq>> {
    let io = |error| ChangeLogError::io(dir, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("tmp") => fs::remove_file(&path).map_err(io)?,
            Some("seg") => match name_to_seq(&path) {
                Some(first) => names.push(first),
                None => {
                    let reason = "the name is not that of a segment";
                    return Err(ChangeLogError::Corrupt {
                        file: path,
                        offset: 0,
                        seq: LogSeq::NONE,
                        reason,
                    });
                }
            },
            _ => {}
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn create_first(disk: &Disk, origin: &LogOrigin) -> Result<()> {
    let header = SegmentHeader {
        log_id: origin.log_id,
        start: Chain::start(EncodedPosition::encode(&origin.start_position)?),
        prev_first: LogSeq::NONE,
        prev_len: 0,
    };
    match disk.create(LogSeq::FIRST, &header.encode()) {
        Ok(_) => Ok(()),
        Err(error) if super::disk::is_full(&error) => Err(ChangeLogError::DiskFull {
            dir: disk.dir().to_owned(),
            free: disk.free().unwrap_or(0),
            needed: header.len(),
            rolled_back_to: None,
        }),
        Err(error) => Err(ChangeLogError::io(disk.path(LogSeq::FIRST), error)),
    }
}

/// Reads a segment's header and checks that it continues the one before.
fn describe(disk: &Disk, first: LogSeq, log_id: LogId, before: Option<&SegmentInfo>) -> Result<SegmentInfo> {
    let path = disk.path(first);
    let io = |error| ChangeLogError::io(&path, error);
    let mut file = File::open(&path).map_err(io)?;
    let header = SegmentHeader::read(&path, &mut file)?;
    let damaged = |file: PathBuf, reason| ChangeLogError::Corrupt {
        file,
        offset: 0,
        seq: first,
        reason,
    };
    if header.log_id != log_id {
        return Err(ChangeLogError::WrongLog { file: path.clone() });
    }
    if header.first() != first {
        return Err(damaged(path.clone(), "the segment has the name of another"));
    }
    if let Some(before) = before {
        if header.prev_first != before.first() {
            return Err(damaged(path.clone(), "the segment before this one is missing"));
        }
        if header.prev_len != before.len {
            return Err(damaged(
                disk.path(before.first()),
                "the segment's length has changed",
            ));
        }
    }
    let len = file.metadata().map_err(io)?.len();
    let mut head = Vec::with_capacity(HEAD);
    Read::take(&file, HEAD as u64)
        .read_to_end(&mut head)
        .map_err(io)?;
    let first_time_us = FrameHead::decode(&head).ok().map(|head| head.source_time_us);
    Ok(SegmentInfo {
        header: Arc::new(header),
        len,
        first_time_us,
    })
}

/// Walks the last segment, cuts off a torn end and makes the rest durable.
fn recover_last(
    disk: &Disk,
    seed: u32,
    last: &mut SegmentInfo,
    acknowledged: Option<LogSeq>,
    recovery: &mut Recovery,
) -> Result<(File, Chain)> {
    let path = disk.path(last.first());
    let io = |error| ChangeLogError::io(&path, error);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(io)?;
    let mut chain = last.header.start.clone();
    let mut scanner = Scanner::new(&file, seed, last.header.len(), last.len).map_err(io)?;
    let bad = loop {
        let before = scanner.offset();
        let expected = chain.last.next();
        let wrong = |reason| ChangeLogError::Corrupt {
            file: path.clone(),
            offset: before,
            seq: expected,
            reason,
        };
        match scanner.next() {
            Ok(None) => break None,
            Ok(Some(frame)) => {
                let head = frame.head;
                // These frames passed their check, so no crash explains them.
                if head.seq != expected {
                    return Err(wrong("another record is in its place"));
                }
                let payload_len = (head.body_len - head.position_len) as usize;
                chain
                    .admit(
                        head.flags,
                        head.source_time_us,
                        frame.position.as_ref(),
                        payload_len,
                    )
                    .map_err(wrong)?;
            }
            Err(Stop::Bad(reason)) => break Some(reason),
            Err(Stop::Io(error)) => return Err(io(error)),
        }
    };
    let end = scanner.offset();
    if let Some(reason) = bad {
        let missing = chain.last.next();
        let acknowledged = acknowledged.is_some_and(|acknowledged| acknowledged >= missing);
        if acknowledged
            || find_proof(&file, seed, end.saturating_add(1), last.len, missing)
                .map_err(io)?
                .is_some()
        {
            return Err(ChangeLogError::Corrupt {
                file: path.clone(),
                offset: end,
                seq: missing,
                reason,
            });
        }
    }
    if let Some(acknowledged) = acknowledged.filter(|acknowledged| *acknowledged > chain.last) {
        let dir = disk.dir().to_owned();
        return Err(ChangeLogError::AcknowledgedMissing {
            dir,
            acknowledged,
            found: chain.last,
        });
    }
    if bad.is_some() {
        recovery.torn_bytes = last.len - end;
        tracing::info!(file = %path.display(), bytes = recovery.torn_bytes, "cut off a torn end of the change log");
        disk.truncate(last.first(), &file, end).map_err(io)?;
        last.len = end;
    } else {
        // After a killed process the end may be in the page cache only; readers must not see it before it is durable.
        disk.sync(last.first(), &file).map_err(io)?;
    }
    if chain.last < last.first() {
        last.first_time_us = None;
    }
    Ok((file, chain))
}
