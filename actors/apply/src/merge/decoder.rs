//! Changes of several tables as changes of the one that stands for them.

use oms_core::{CapturedRecord, DecodeProgress, Failure, LogDecoder, LogEvent};

/// Gives changes of tables behind the first so many the number of the table that stands for them.
pub(super) struct MergedDecoder {
    inner: Box<dyn LogDecoder>,
    /// How many tables are seen.
    seen: usize,
    /// Of the tables behind those: which of them stands for it.
    stands_for: Vec<u32>,
}

impl MergedDecoder {
    pub(super) fn new(inner: Box<dyn LogDecoder>, seen: usize, stands_for: Vec<u32>) -> Self {
        Self {
            inner,
            seen,
            stands_for,
        }
    }

    fn renumber(&self, events: &mut [LogEvent]) {
        for event in events {
            if let LogEvent::Row(change) = event
                && let Some(hidden) = (change.table as usize).checked_sub(self.seen)
                && let Some(number) = self.stands_for.get(hidden)
            {
                change.table = *number;
            }
        }
    }
}

impl LogDecoder for MergedDecoder {
    fn decode(&mut self, record: &CapturedRecord, out: &mut Vec<LogEvent>) -> Result<(), Failure> {
        let known = out.len();
        self.inner.decode(record, out)?;
        self.renumber(out.get_mut(known..).unwrap_or_default());
        Ok(())
    }

    fn decode_part(
        &mut self,
        record: &CapturedRecord,
        out: &mut Vec<LogEvent>,
        max_bytes: usize,
    ) -> Result<DecodeProgress, Failure> {
        let known = out.len();
        let progress = self.inner.decode_part(record, out, max_bytes)?;
        self.renumber(out.get_mut(known..).unwrap_or_default());
        Ok(progress)
    }
}
