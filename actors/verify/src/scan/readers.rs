//! The two connections of a worker.

use oms_core::{Row, SnapshotReader};

use super::Pace;
use crate::{Side, Sides, VerifyError, compare::TableRule};

/// A reader of each side.
pub(crate) struct Readers {
    pub(crate) source: Box<dyn SnapshotReader>,
    pub(crate) destination: Box<dyn SnapshotReader>,
}

impl Readers {
    pub(crate) async fn open(sides: &dyn Sides) -> Result<Self, VerifyError> {
        let (source, destination) =
            futures::try_join!(sides.open(Side::Source), sides.open(Side::Destination))?;
        Ok(Self { source, destination })
    }

    pub(crate) fn get(&mut self, side: Side) -> &mut dyn SnapshotReader {
        match side {
            Side::Source => self.source.as_mut(),
            Side::Destination => self.destination.as_mut(),
        }
    }
}

/// Reads the rows of what was started, one after the other, checking their shape.
pub(crate) struct RowStream<'r> {
    reader: &'r mut dyn SnapshotReader,
    rule: &'r TableRule,
    side: Side,
    pace: &'r Pace,
    batch_bytes: usize,
    rows: std::vec::IntoIter<Row>,
    ended: bool,
    pub(crate) bytes: u64,
}

impl<'r> RowStream<'r> {
    pub(crate) fn new(
        reader: &'r mut dyn SnapshotReader,
        rule: &'r TableRule,
        side: Side,
        pace: &'r Pace,
        batch_bytes: usize,
    ) -> Self {
        Self {
            reader,
            rule,
            side,
            pace,
            batch_bytes,
            rows: Vec::new().into_iter(),
            ended: false,
            bytes: 0,
        }
    }

    /// Makes sure that the next row, if there is one, is in memory.
    pub(crate) async fn fill(&mut self) -> Result<(), VerifyError> {
        while !self.ended && self.rows.as_slice().is_empty() {
            match self.reader.next_batch(self.batch_bytes).await? {
                Some(batch) => {
                    self.pace.took(batch.rows.len() as u64, batch.bytes).await;
                    self.bytes += batch.bytes;
                    self.rows = batch.rows.into_iter();
                }
                None => self.ended = true,
            }
        }
        if let Some(row) = self.rows.as_slice().first() {
            self.rule.check_shape(self.side, row)?;
        }
        Ok(())
    }

    /// The next row, if [`RowStream::fill`] found one.
    pub(crate) fn peek(&self) -> Option<&Row> {
        self.rows.as_slice().first()
    }

    /// Goes on to the row after.
    pub(crate) fn advance(&mut self) {
        self.rows.next();
    }

    /// The next row.
    pub(crate) async fn next(&mut self) -> Result<Option<Row>, VerifyError> {
        self.fill().await?;
        Ok(self.rows.next())
    }
}
