//! What becomes of a change.

use oms_core::{Failure, RowBuilder, RowChange};

use super::{Shape, left_out::LeftOutCounts};

impl Shape {
    /// The change as it is seen through the choice; `None`: it is not seen. An update across the border of the filter
    /// becomes an insert or a delete.
    pub(super) fn change(
        &self,
        change: RowChange,
        builder: &mut RowBuilder,
        counts: &mut LeftOutCounts,
    ) -> Result<Option<RowChange>, Failure> {
        let program = self.log();
        let RowChange { table, before, after } = change;
        let is_update = before.is_some() && after.is_some();
        // The images that are seen.
        let mut images = [before, after];
        for image in &mut images {
            if let Some(row) = image
                && !program.takes(row)?
            {
                *image = None;
            }
        }
        let kinds = self.changes();
        let wanted = match (&images, is_update) {
            ([None, None], _) => {
                counts.filtered += 1;
                return Ok(None);
            }
            ([Some(_), Some(_)], _) => kinds.update,
            ([None, Some(_)], was_update) => {
                counts.entered += u64::from(was_update && kinds.insert);
                kinds.insert
            }
            ([Some(_), None], was_update) => {
                counts.left += u64::from(was_update && kinds.delete);
                kinds.delete
            }
        };
        if !wanted {
            counts.unwanted += 1;
            return Ok(None);
        }
        let [before, after] = images;
        let mut convert = |row: Option<_>| row.map(|row| program.convert(row, builder)).transpose();
        Ok(Some(RowChange {
            table,
            before: convert(before)?,
            after: convert(after)?,
        }))
    }
}
