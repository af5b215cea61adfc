//! The followed definitions and the history of statements, in records at the destination.

use std::{collections::BTreeSet, sync::Arc};

use oms_core::{Failure, Position, Record, RecordReader, RecordWriter, TableName, codes};
use oms_schema::SchemaTracker;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::entry::DdlEntry;

/// The list of statements. Number: that of the statement times [`PARTS`], plus the part.
const HISTORY: &str = "ddl";
/// The list with the definitions.
const DEFINITIONS: &str = "definitions";
/// Bytes of a part.
const PART_BYTES: usize = 40 << 10;
/// Parts that one statement may have: some 10 MiB.
const PARTS: u64 = 256;
/// Records that are read at once.
const BATCH: u32 = 64;
/// Statements that are kept.
const KEPT: u64 = 10_000;
/// Version of the texts.
const VERSION: u32 = 1;

/// The definitions behind a statement of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) version: u32,
    /// The last statement that is in it.
    pub(super) number: u64,
    pub(super) tracker: SchemaTracker,
    /// Statements up to here are in what was read first, but for those about tables in `born`.
    pub(super) read_at: Position,
    /// Tables that came between the beginning of the log and `read_at`.
    pub(super) born: BTreeSet<TableName>,
    /// Tables that were there when definitions were read first and are not selected.
    pub(super) excluded: BTreeSet<TableName>,
    /// Columns that the destination lacks because statements were skipped.
    pub(super) left_out_columns: Vec<(TableName, String)>,
    /// Tables that are no longer followed for the same reason.
    pub(super) left_out_tables: BTreeSet<TableName>,
}

impl Snapshot {
    pub(super) const VERSION: u32 = VERSION;
}

fn damaged(what: impl std::fmt::Display) -> Failure {
    Failure::new(codes::apply::DDL_STATE_DAMAGED, what.to_string())
}

/// Cuts a text into parts, each with the number of all of them in front.
fn parts(list: &str, first: u64, value: &impl Serialize) -> Result<Vec<Record>, Failure> {
    let text = serde_json::to_vec(value).map_err(|e| damaged(format!("{list} {first}: {e}")))?;
    let count = u32::try_from(text.len().div_ceil(PART_BYTES).max(1))
        .map_err(|_| damaged(format!("{list} {first} is too long")))?;
    let record = |(number, part): (u64, &[u8])| {
        let mut content = count.to_le_bytes().to_vec();
        content.extend_from_slice(part);
        Record {
            list: list.to_owned(),
            number,
            content: content.into(),
        }
    };
    Ok((first..).zip(text.chunks(PART_BYTES)).map(record).collect())
}

/// Reads a text that begins with the given record, and those behind it.
async fn joined<T: DeserializeOwned>(
    reader: &dyn RecordReader,
    list: &str,
    first: u64,
) -> Result<Option<T>, Failure> {
    let mut text = Vec::new();
    let mut next = first;
    let mut end = None;
    while end.is_none_or(|end| next < end) {
        let before = next;
        for record in reader.read(list, next, BATCH).await? {
            if record.number != next || end.is_some_and(|end| next >= end) {
                break;
            }
            let Some((count, part)) = record.content.split_first_chunk::<4>() else {
                return Err(damaged(format!("{list} {next} is empty")));
            };
            end.get_or_insert(first + u64::from(u32::from_le_bytes(*count)));
            text.extend_from_slice(part);
            next += 1;
        }
        if end.is_none() {
            return Ok(None);
        }
        if next == before {
            return Err(damaged(format!(
                "{list}: {next} is missing, of a text that begins at {first}"
            )));
        }
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|e| damaged(format!("{list} {first}: {e}")))
}

/// Reads the history of a project, from any node.
#[derive(Clone, Debug)]
pub struct History {
    reader: Arc<dyn RecordReader>,
}

impl History {
    /// Of the component's records.
    pub fn new(reader: Arc<dyn RecordReader>) -> Self {
        Self { reader }
    }

    /// The statements with numbers from `from` on, at most `limit`, and not more than are kept.
    pub async fn entries(&self, from: u64, limit: usize) -> Result<Vec<DdlEntry>, Failure> {
        let mut all = Vec::new();
        let mut next = from.max(1);
        while all.len() < limit {
            // Old ones may be gone.
            let found = self.reader.read(HISTORY, next.saturating_mul(PARTS), 1).await?;
            let Some(number) = found.first().map(|record| record.number / PARTS) else {
                break;
            };
            match joined(&*self.reader, HISTORY, number * PARTS).await? {
                Some(entry) => all.push(entry),
                None => return Err(damaged(format!("{HISTORY}: part 0 of {number} is missing"))),
            }
            next = number + 1;
        }
        Ok(all)
    }
}

/// Reads and writes them under a claim.
pub(super) struct Archive {
    reader: Arc<dyn RecordReader>,
    writer: Arc<dyn RecordWriter>,
}

impl Archive {
    /// Of the component's records.
    pub(super) fn new(reader: Arc<dyn RecordReader>, writer: Arc<dyn RecordWriter>) -> Self {
        Self { reader, writer }
    }

    /// What was saved last.
    pub(super) async fn load(&self) -> Result<Option<Snapshot>, Failure> {
        let Some(version) = joined::<serde_json::Value>(&*self.reader, DEFINITIONS, 0).await? else {
            return Ok(None);
        };
        if version.get("version").and_then(serde_json::Value::as_u64) != Some(u64::from(VERSION)) {
            return Err(damaged("the definitions were written by another version"));
        }
        serde_json::from_value(version)
            .map(Some)
            .map_err(|e| damaged(format!("{DEFINITIONS}: {e}")))
    }

    /// Saves the definitions in one transaction.
    pub(super) async fn save(&self, snapshot: &Snapshot) -> Result<(), Failure> {
        self.writer.put(&parts(DEFINITIONS, 0, snapshot)?).await?;
        let below = snapshot.number.saturating_sub(KEPT).saturating_mul(PARTS);
        self.writer.remove_below(HISTORY, below).await
    }

    /// The statements behind a number.
    pub(super) async fn behind(&self, number: u64) -> Result<Vec<DdlEntry>, Failure> {
        let history = History::new(self.reader.clone());
        history.entries(number + 1, usize::MAX).await
    }

    /// Writes a statement, in place of what was written of it before.
    pub(super) async fn write(&self, entry: &DdlEntry) -> Result<(), Failure> {
        let records = parts(HISTORY, entry.number.saturating_mul(PARTS), entry)?;
        if records.len() as u64 > PARTS {
            return Err(Failure::new(
                codes::apply::DDL_UNDECIDED,
                format!(
                    "a statement of {} bytes is too long to be recorded",
                    entry.statement.len()
                ),
            ));
        }
        self.writer.put(&records).await
    }
}
