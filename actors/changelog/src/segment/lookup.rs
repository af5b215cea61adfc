use std::cmp::Ordering;
use std::fs::File;

use oms_core::Position;

use crate::{ChangeLogError, EncodedPosition, LogSeq, Result};

use super::engine::{Engine, Readable};
use super::scan::{Scanner, Stop};

/// Which positions lead to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// Only those that a record carries.
    Exact,
    /// Also those between two that records carry.
    Between,
}

/// Finds the record to read after a position. Blocking; the caller holds a pin on the log's start.
pub(crate) fn find(engine: &Engine, wanted: &Position, matching: Match) -> Result<LogSeq> {
    let (segments, newest, newest_seq) = {
        let state = engine.state();
        let segments: Vec<_> = state
            .segments
            .iter()
            .map(|segment| {
                let start = &segment.header.start;
                (engine.describe(segment), start.resume.clone(), start.resume_seq)
            })
            .collect();
        (segments, state.chain.resume.clone(), state.chain.resume_seq)
    };
    let Some((first, oldest, _)) = segments.first() else {
        return Err(ChangeLogError::Closed);
    };
    let (first, oldest, newest) = (first.first, oldest.decode()?, newest.decode()?);
    // The log begins at a transaction border: what follows its start position is its first record.
    match wanted.partial_cmp(&oldest) {
        Some(Ordering::Equal) => return Ok(first),
        Some(Ordering::Less) => {
            return Err(ChangeLogError::PositionPurged {
                oldest: Box::new(oldest),
            });
        }
        _ => {}
    }
    match wanted.partial_cmp(&newest) {
        Some(Ordering::Equal) => return Ok(newest_seq.next()),
        Some(Ordering::Greater) => {
            return Err(ChangeLogError::PositionAhead {
                newest: Box::new(newest),
            });
        }
        _ => {}
    }
    for (index, (segment, start, start_seq)) in segments.iter().enumerate() {
        let at_start = wanted.partial_cmp(&start.decode()?);
        match at_start {
            Some(Ordering::Equal) => return Ok(start_seq.next()),
            // A position before this segment's start is not in it. Where positions do not compare, only
            // looking tells.
            Some(Ordering::Less) => continue,
            _ => {}
        }
        if let Some((_, end, end_seq)) = segments.get(index + 1) {
            match wanted.partial_cmp(&end.decode()?) {
                Some(Ordering::Equal) => return Ok(end_seq.next()),
                Some(Ordering::Greater) => continue,
                _ => {}
            }
        }
        // Where positions do not compare, nothing says that the border at the start lies before.
        let behind = (at_start == Some(Ordering::Greater)).then(|| start_seq.next().max(first));
        if let Some(seq) = find_in(engine, segment, behind, wanted, matching)? {
            return Ok(seq);
        }
    }
    Err(ChangeLogError::PositionUnknown {
        oldest: Box::new(oldest),
        newest: Box::new(newest),
    })
}

/// `behind` is the record that follows the last border before the segment, when that lies before the position.
fn find_in(
    engine: &Engine,
    segment: &Readable,
    mut behind: Option<LogSeq>,
    wanted: &Position,
    matching: Match,
) -> Result<Option<LogSeq>> {
    let io = |error| ChangeLogError::io(&segment.path, error);
    let file = File::open(&segment.path).map_err(io)?;
    let mut scanner = Scanner::new(&file, engine.seed, segment.header_len, segment.len).map_err(io)?;
    let mut expected = segment.first;
    loop {
        let damaged = |offset, reason| ChangeLogError::Corrupt {
            file: segment.path.clone(),
            offset,
            seq: expected,
            reason,
        };
        let before = scanner.offset();
        let frame = match scanner.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(None),
            Err(Stop::Bad(reason)) => return Err(damaged(before, reason)),
            Err(Stop::Io(error)) => return Err(io(error)),
        };
        if frame.head.seq != expected {
            return Err(damaged(before, "another record is in its place"));
        }
        expected = expected.next();
        let Some(found) = frame.position.as_ref().map(EncodedPosition::decode).transpose()? else {
            continue;
        };
        match wanted.partial_cmp(&found) {
            Some(Ordering::Equal) => return Ok(Some(expected)),
            Some(Ordering::Less) => return Ok(behind.filter(|_| matching == Match::Between)),
            Some(Ordering::Greater) => behind = Some(expected),
            None => {}
        }
    }
}
