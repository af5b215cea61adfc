//! The envelopes, one file per family.

mod canal;
mod dataworks;
mod debezium;
mod default;
mod maxwell;
mod shareplex;

use oms_core::Row;

use crate::{
    Change, CodecError, Moment, Settings, TablePlan, Written, json, number, temporal,
    value::{Form, Manner, Style, sheet},
};

pub(crate) use canal::canal;
pub(crate) use dataworks::dataworks;
pub(crate) use debezium::debezium;
pub(crate) use default::default;
pub(crate) use maxwell::maxwell;
pub(crate) use shareplex::shareplex;

/// What an envelope needs.
pub(crate) struct Input<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) moment: &'a Moment<'a>,
    pub(crate) change: &'a Change<'a>,
}

/// A change of a row, whatever its kind.
pub(crate) struct Images<'a> {
    pub(crate) table: &'a TablePlan,
    pub(crate) before: Option<&'a Row>,
    pub(crate) after: Option<&'a Row>,
    pub(crate) full: bool,
}

impl<'a> Images<'a> {
    /// The images of a change; `None` for what is not of a row.
    pub(crate) fn of(change: &Change<'a>) -> Option<Self> {
        let (table, before, after, full) = match *change {
            Change::Full { table, row } => (table, None, Some(row), true),
            Change::Insert { table, after } => (table, None, Some(after), false),
            Change::Update { table, before, after } => (table, Some(before), Some(after), false),
            Change::Delete { table, before } => (table, Some(before), None, false),
            Change::Ddl(_) | Change::Heartbeat => return None,
        };
        Some(Self {
            table,
            before,
            after,
            full,
        })
    }

    /// The row after the change, of a delete the one before it.
    pub(crate) fn latest(&self) -> Option<&'a Row> {
        self.after.or(self.before)
    }

    /// How its values are written.
    pub(crate) fn manner(&self, style: Style, settings: &Settings) -> Manner {
        Manner {
            style,
            full: self.full,
            unchanged: settings.unchanged,
        }
    }

    /// Appends the values of the key, joined, escaped for the inside of a JSON string.
    pub(crate) fn key_joined(&self, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let Some(row) = self.latest() else { return Ok(()) };
        for (i, &column) in self.table.key.iter().enumerate() {
            if i > 0 {
                json::raw("\\u0001", out);
            }
            if let Some(plan) = self.table.columns.get(column) {
                sheet(
                    self.table,
                    plan,
                    row.get(column),
                    Form::Escaped { full: self.full },
                    out,
                )?;
            }
        }
        Ok(())
    }
}

/// Seconds as a JSON string.
pub(crate) fn seconds_text(seconds: i64, out: &mut Vec<u8>) {
    out.push(b'"');
    number::signed(seconds, out);
    out.push(b'"');
}

/// Seconds as a number of milliseconds.
pub(crate) fn as_ms(seconds: i64, out: &mut Vec<u8>) {
    number::signed(seconds.saturating_mul(1_000), out);
}

/// The sequence as text; the word `null` in quotes where there is none.
pub(crate) fn scn(moment: &Moment<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    match moment.sequence {
        Some(sequence) => number::unsigned(sequence.get(), out),
        None => json::raw("null", out),
    }
    out.push(b'"');
}

/// A time of SharePlex.
pub(crate) fn zoned(seconds: i64, settings: &Settings, out: &mut Vec<u8>) {
    out.push(b'"');
    temporal::zoned_seconds(seconds, settings.zone_seconds, out);
    out.push(b'"');
}

/// A row or `null`.
pub(crate) fn optional_row(
    table: &TablePlan,
    row: Option<&Row>,
    manner: Manner,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match row {
        Some(row) => crate::value::row(table, row, manner, out),
        None => {
            json::raw("null", out);
            Ok(())
        }
    }
}

/// The result of every envelope.
pub(crate) type Done = Result<Written, CodecError>;
