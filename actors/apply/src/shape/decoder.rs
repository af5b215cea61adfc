//! Changes of the log, seen through what is chosen.

use std::sync::Arc;

use oms_core::{CapturedRecord, DecodeProgress, Failure, LogDecoder, LogEvent, RowBuilder};

use super::{LeftOut, LeftOutCounts, Shape};

/// Filters and converts what a decoder gives. Begin and commit of a transaction are always seen, so that transactions
/// keep their numbers.
pub(super) struct ShapedDecoder {
    inner: Box<dyn LogDecoder>,
    /// By number of the table.
    shapes: Vec<Option<Arc<Shape>>>,
    builder: RowBuilder,
    left_out: Arc<LeftOut>,
}

impl ShapedDecoder {
    pub(super) fn new(
        inner: Box<dyn LogDecoder>,
        shapes: Vec<Option<Arc<Shape>>>,
        left_out: Arc<LeftOut>,
    ) -> Self {
        Self {
            inner,
            shapes,
            builder: RowBuilder::new(),
            left_out,
        }
    }

    /// Goes over the events behind the first `known`.
    fn see(&mut self, out: &mut Vec<LogEvent>, known: usize) -> Result<(), Failure> {
        let is_shaped = |event: &LogEvent| match event {
            LogEvent::Row(change) => matches!(self.shapes.get(change.table as usize), Some(Some(_))),
            _ => false,
        };
        if !out.iter().skip(known).any(is_shaped) {
            return Ok(());
        }
        let mut counts = LeftOutCounts::default();
        let decoded = out.split_off(known);
        for event in decoded {
            let LogEvent::Row(change) = event else {
                out.push(event);
                continue;
            };
            match self.shapes.get(change.table as usize) {
                Some(Some(shape)) => {
                    let seen = shape.change(change, &mut self.builder, &mut counts)?;
                    out.extend(seen.map(LogEvent::Row));
                }
                _ => out.push(LogEvent::Row(change)),
            }
        }
        self.left_out.add(counts);
        Ok(())
    }
}

impl LogDecoder for ShapedDecoder {
    fn decode(&mut self, record: &CapturedRecord, out: &mut Vec<LogEvent>) -> Result<(), Failure> {
        let known = out.len();
        self.inner.decode(record, out)?;
        self.see(out, known)
    }

    fn decode_part(
        &mut self,
        record: &CapturedRecord,
        out: &mut Vec<LogEvent>,
        max_bytes: usize,
    ) -> Result<DecodeProgress, Failure> {
        let known = out.len();
        let progress = self.inner.decode_part(record, out, max_bytes)?;
        self.see(out, known)?;
        Ok(progress)
    }
}
