use std::collections::VecDeque;

use crate::{ChangeLogError, Result, Retained, RetentionPolicy};

use super::engine::{Engine, State};

/// Removes old segments. Blocking; the caller keeps house alone.
pub(crate) fn retain(engine: &Engine, now_us: i64, policy: RetentionPolicy) -> Result<Retained> {
    let mut retained = Retained::default();
    // A segment leaves the list before its file goes, so that no new reader begins in it.
    let mut leaving = {
        let mut state = engine.state();
        let count = removable(&state, now_us, policy);
        state.segments.drain(..count).collect::<VecDeque<_>>()
    };
    while let Some(segment) = leaving.front() {
        let first = segment.first();
        if let Err(error) = engine.disk.remove(first) {
            // What could not go stays in the log, to be tried again.
            let mut state = engine.state();
            leaving
                .into_iter()
                .rev()
                .for_each(|segment| state.segments.push_front(segment));
            return Err(ChangeLogError::io(engine.disk.path(first), error));
        }
        retained.segments += 1;
        retained.bytes += segment.len;
        leaving.pop_front();
    }
    Ok(retained)
}

/// How many segments may and should go.
fn removable(state: &State, now_us: i64, policy: RetentionPolicy) -> usize {
    let mut bytes: u64 = state.segments.iter().map(|segment| segment.len).sum();
    let lowest = state.pins.lowest();
    let mut count = 0;
    let following = state.segments.iter().skip(1);
    for (index, (segment, next)) in state.segments.iter().zip(following).enumerate() {
        let start = &next.header.start;
        if lowest.is_some_and(|lowest| lowest < next.first()) {
            break;
        }
        let old = now_us.saturating_sub(start.last_time_us) > policy.min_age_us;
        if !old && bytes <= policy.max_bytes {
            break;
        }
        bytes -= segment.len;
        // The log must go on beginning at a transaction border.
        if start.open_txn.is_none() {
            count = index + 1;
        }
    }
    count
}
