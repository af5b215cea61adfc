//! Changes into messages.

use oms_core::Row;

use crate::{
    Change, CodecError, Format, Moment, Settings, TablePlan,
    format::{Images, Input, canal, dataworks, debezium, default, maxwell, shareplex},
};

/// Whether there is a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// The message was appended.
    Message,
    /// The format has no message for this change: DDL in the Debezium family, two statements in DataWorks.
    Nothing,
}

/// Writes messages of one format.
#[derive(Clone, Debug)]
pub struct Encoder {
    settings: Settings,
}

impl Encoder {
    /// An encoder with these settings.
    ///
    /// # Errors
    /// What [`Settings::check`] finds.
    pub fn new(settings: Settings) -> Result<Self, CodecError> {
        settings.check()?;
        Ok(Self { settings })
    }

    /// Its settings; plans of its tables are made with the same.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Appends a change's message to `out`. The same input gives the same bytes.
    ///
    /// # Errors
    /// A value that its column's type does not have. `out` is then as it was.
    pub fn encode(
        &self,
        change: &Change<'_>,
        moment: &Moment<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Written, CodecError> {
        let before = out.len();
        let input = Input {
            settings: &self.settings,
            moment,
            change,
        };
        let done = match self.settings.format {
            Format::Default | Format::DefaultWithSchema => default(&input, out),
            Format::Canal => canal(&input, out),
            Format::DataworksV2 => dataworks(&input, out),
            Format::Shareplex => shareplex(&input, out),
            Format::Debezium | Format::DebeziumFlatten | Format::DebeziumSmt => debezium(&input, out),
            Format::Maxwell => maxwell(&input, out),
        };
        if done.is_err() {
            out.truncate(before);
        }
        done
    }

    /// Whether the format can tell a statement at all.
    pub fn has_ddl(&self) -> bool {
        !self.settings.format.is_debezium()
    }

    /// The columns of a change that the log does not carry, for the header [`Encoder::UNCHANGED_HEADER`]: `null` in
    /// the message then does not mean NULL.
    pub fn unchanged<'a>(&self, change: &Change<'a>) -> Vec<&'a str> {
        let Some(images) = Images::of(change) else {
            return Vec::new();
        };
        images
            .latest()
            .map_or_else(Vec::new, |row| absent_columns(images.table, row))
    }

    /// Name of the header that lists the columns of [`Encoder::unchanged`], separated by commas.
    pub const UNCHANGED_HEADER: &'static str = "oms-unchanged-columns";
}

fn absent_columns<'a>(table: &'a TablePlan, row: &Row) -> Vec<&'a str> {
    table
        .sent()
        .filter(|c| row.get(c.index).is_absent())
        .map(|c| c.column.name.as_str())
        .collect()
}
