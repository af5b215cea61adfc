//! How rows of one table are read: its definition checked against its table map.

use oms_core::{ColumnType, Row, RowBuilder, RowError, TableName, TableSchema, Value, codes};

use super::{
    bytes_reader::Reader,
    column_plan::ColumnPlan,
    error::EventError,
    json::{self, Document},
    rows_event::{ColumnBits, has_bit},
    table_map::{StorageType, TableMapEvent, storage},
    value_reader::{json_bytes, read_value, skip_value},
};

/// How to read rows of a table.
#[derive(Debug)]
pub(crate) struct TablePlan {
    /// The table's number in the project.
    pub(crate) index: u32,
    pub(crate) name: TableName,
    /// One per column of the event. The columns of the definition are those from `first` on.
    columns: Vec<ColumnPlan>,
    first: usize,
    defined: usize,
    column_count: u16,
    json_columns: usize,
    /// Columns that servers may leave out of a full image: hidden and generated ones.
    optional: Vec<bool>,
}

/// Working memory that is used again for every row.
#[derive(Debug, Default)]
pub(crate) struct RowScratch {
    builder: RowBuilder,
    text: String,
    /// Where the JSON values of the row before lie: column, start and end in the rows of the event.
    json_before: Vec<(usize, usize, usize)>,
}

impl TablePlan {
    /// Plans a table.
    ///
    /// An event has the columns of the table in their order, generated and invisible ones
    /// included. Two kinds of columns may come on top that servers hide: the invisible primary key
    /// MySQL generates, at the front, and MariaDB's hash of a long unique key, at the end.
    ///
    /// # Errors
    /// `OMS-SCHEMA-0005` when the definition is not that of the event.
    pub(crate) fn new(index: u32, table: &TableSchema, map: &TableMapEvent<'_>) -> Result<Self, EventError> {
        let stored = map.storage_types()?;
        let defined = table.columns.len();
        let extra = stored.len().checked_sub(defined);
        let hidden = |s: &StorageType| s.number == storage::LONGLONG;
        let first = match extra {
            Some(0) => 0,
            Some(n) if n <= long_unique_keys(table) && stored.iter().rev().take(n).all(hidden) => 0,
            Some(1) if stored.first().is_some_and(hidden) && !table.keys.iter().any(|k| k.primary) => 1,
            _ => {
                return Err(EventError::definition(format!(
                    "{} was read with {defined} columns, but the log has {}",
                    table.name,
                    stored.len()
                )));
            }
        };
        let mut columns = Vec::with_capacity(stored.len());
        for (i, stored) in stored.iter().enumerate() {
            let column = i.checked_sub(first).and_then(|i| table.columns.get(i));
            columns.push(match column {
                Some(column) => ColumnPlan::new(column, *stored).map_err(|e| e.context(&table.name))?,
                None => ColumnPlan::Unsigned { bytes: 8 },
            });
        }
        let optional = (0..stored.len()).map(|i| {
            let column = i.checked_sub(first).and_then(|i| table.columns.get(i));
            column.is_none_or(|c| c.generated.is_some())
        });
        let column_count = u16::try_from(defined)
            .map_err(|_| EventError::definition(format!("{} has too many columns", table.name)))?;
        Ok(Self {
            index,
            name: table.name.clone(),
            optional: optional.collect(),
            json_columns: columns.iter().filter(|c| **c == ColumnPlan::Json).count(),
            columns,
            first,
            defined,
            column_count,
        })
    }

    /// The first column, from 1, that a row with these columns lacks and a full image has.
    pub(crate) fn missing(&self, present: ColumnBits<'_>) -> Option<usize> {
        let lacks = |(i, optional): (usize, &bool)| !optional && !present.has(i);
        self.optional
            .iter()
            .enumerate()
            .find(|c| lacks(*c))
            .map(|(i, _)| i + 1 - self.first.min(i))
    }

    /// Number of columns an event of this table has.
    pub(crate) fn event_columns(&self) -> usize {
        self.columns.len()
    }

    /// Reads one row and moves behind it. With `base`, remembers where its JSON values lie, as
    /// offsets from there.
    pub(crate) fn read_row(
        &self,
        r: &mut Reader<'_>,
        present: ColumnBits<'_>,
        scratch: &mut RowScratch,
        base: Option<&[u8]>,
    ) -> Result<Row, EventError> {
        let RowScratch {
            builder,
            text,
            json_before,
        } = scratch;
        json_before.clear();
        let nulls = r.take(present.count().div_ceil(8))?;
        builder.begin(self.column_count);
        let mut carried = 0;
        for (i, plan) in self.columns.iter().enumerate() {
            let in_row = i >= self.first && i - self.first < self.defined;
            if !present.has(i) {
                if in_row {
                    builder.push(Value::Absent);
                }
                continue;
            }
            let is_null = has_bit(nulls, carried);
            carried += 1;
            match (is_null, in_row) {
                (true, true) => builder.push(Value::Null),
                (true, false) => {}
                (false, true) => {
                    if let (ColumnPlan::Json, Some(base)) = (plan, base) {
                        let mut ahead = *r;
                        let value = json_bytes(&mut ahead)?;
                        let end = base.len() - ahead.len();
                        json_before.push((i, end - value.len(), end));
                    }
                    read_value(plan, r, builder, text).map_err(|e| self.at_column(i, e))?;
                }
                (false, false) => skip_value(plan, r)?,
            }
        }
        finish(builder)
    }

    /// Reads the row behind a partial update: JSON values may be changes to those of the row before,
    /// which [`TablePlan::read_row`] read from `rows` just now.
    pub(crate) fn read_partial_row(
        &self,
        r: &mut Reader<'_>,
        present: ColumnBits<'_>,
        scratch: &mut RowScratch,
        rows: &[u8],
    ) -> Result<Row, EventError> {
        const PARTIAL_JSON: u64 = 1;
        let options = r.lenenc()?;
        if options & !PARTIAL_JSON != 0 {
            return Err(EventError::unknown(format!(
                "value options {options:#x} of a partial update"
            )));
        }
        if options & PARTIAL_JSON == 0 {
            return self.read_row(r, present, scratch, None);
        }
        let partial = r.take(self.json_columns.div_ceil(8))?;
        let nulls = r.take(present.count().div_ceil(8))?;
        let RowScratch {
            builder,
            text,
            json_before,
        } = scratch;
        builder.begin(self.column_count);
        let (mut carried, mut json_seen) = (0, 0);
        for (i, plan) in self.columns.iter().enumerate() {
            let in_row = i >= self.first && i - self.first < self.defined;
            let is_partial = *plan == ColumnPlan::Json && {
                json_seen += 1;
                has_bit(partial, json_seen - 1)
            };
            if !present.has(i) {
                if in_row {
                    builder.push(Value::Absent);
                }
                continue;
            }
            let is_null = has_bit(nulls, carried);
            carried += 1;
            match (is_null, in_row) {
                (true, true) => builder.push(Value::Null),
                (true, false) => {}
                (false, true) if is_partial => {
                    let changes = json_bytes(r)?;
                    let before = json_before.iter().find(|(column, ..)| *column == i);
                    let before = before
                        .and_then(|&(_, start, end)| rows.get(start..end))
                        .ok_or_else(|| {
                            EventError::of(
                                codes::src::ROW_IMAGE,
                                format!(
                                    "{}: the log holds changes of JSON column {} without the value they \
                                 apply to (binlog_row_value_options=PARTIAL_JSON with a row image that is \
                                 not FULL)",
                                    self.name,
                                    i + 1 - self.first
                                ),
                            )
                        })?;
                    let mut document = Document::from_binary(before).map_err(|e| self.at_column(i, e))?;
                    json::apply(&mut document, changes).map_err(|e| self.at_column(i, e))?;
                    text.clear();
                    document.write(text)?;
                    builder.push(Value::Json(text));
                }
                (false, true) => read_value(plan, r, builder, text).map_err(|e| self.at_column(i, e))?,
                (false, false) => skip_value(plan, r)?,
            }
        }
        finish(builder)
    }

    #[cold]
    fn at_column(&self, index: usize, error: EventError) -> EventError {
        error.context(format_args!("{} column {}", self.name, index + 1 - self.first))
    }
}

fn finish(builder: &mut RowBuilder) -> Result<Row, EventError> {
    builder.finish().map_err(|e| match e {
        RowError::TooLarge => EventError::unknown("a row exceeds 4 GiB"),
        other => EventError::corrupt(other.to_string()),
    })
}

/// Unique keys that MariaDB may keep as a hash: over a TEXT or BLOB as a whole, or simply too long.
fn long_unique_keys(table: &TableSchema) -> usize {
    let long = |ty: &ColumnType| match ty {
        ColumnType::Text { .. } | ColumnType::Blob { .. } => true,
        ColumnType::VarChar { length, .. } | ColumnType::VarBinary { length } => *length >= 191,
        _ => false,
    };
    let has_long = |key: &&oms_core::Key| {
        !key.primary
            && key.parts.iter().any(|p| {
                p.column
                    .and_then(|c| table.columns.get(c))
                    .is_some_and(|c| long(&c.ty))
            })
    };
    table.keys.iter().filter(has_long).count()
}
