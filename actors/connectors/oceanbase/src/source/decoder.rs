//! From batches to events.

use std::sync::Arc;

use oms_core::{CapturedRecord, Failure, LogDecoder, LogEvent, RecordFlags, RowChange, TableMap, codes};

use super::batch::{BatchReader, Change, NotABatch, columns_digest};

/// Decodes the records of rounds: a round is a transaction.
#[derive(Debug)]
pub(super) struct RoundDecoder {
    tables: Arc<TableMap>,
    digests: Vec<u64>,
}

impl RoundDecoder {
    pub(super) fn new(tables: Arc<TableMap>) -> Self {
        let digests = tables.iter().map(|t| columns_digest(t)).collect();
        Self { tables, digests }
    }
}

impl LogDecoder for RoundDecoder {
    fn decode(&mut self, record: &CapturedRecord, out: &mut Vec<LogEvent>) -> Result<(), Failure> {
        let flags = record.flags;
        let position = || {
            let words = "the end of a round without a position";
            record
                .position
                .clone()
                .ok_or_else(|| Failure::new(codes::src::CORRUPT_EVENT, words))
        };
        if flags.has(RecordFlags::CONTEXT) {
            return Ok(());
        }
        if flags.has(RecordFlags::HEARTBEAT) {
            out.push(LogEvent::Heartbeat {
                position: position()?,
                source_time_us: record.source_time_us,
            });
            return Ok(());
        }
        if flags.has(RecordFlags::TXN_ABORT) {
            out.push(LogEvent::Abort);
            return Ok(());
        }
        if flags.has(RecordFlags::TXN_FIRST) {
            out.push(LogEvent::Begin { id: None });
        }
        self.rows(record, out)?;
        if flags.has(RecordFlags::TXN_LAST) {
            out.push(LogEvent::Commit {
                position: position()?,
                source_time_us: record.source_time_us,
            });
        }
        Ok(())
    }
}

impl RoundDecoder {
    fn rows(&self, record: &CapturedRecord, out: &mut Vec<LogEvent>) -> Result<(), Failure> {
        let mut batch = BatchReader::new(record.payload.clone()).map_err(unreadable)?;
        let Some((name, digest)) = batch.table.take() else {
            return Ok(());
        };
        // A table that is followed at the source and does not, or not any more, belong to the project.
        let Some(table) = self.tables.find(&name) else {
            return Ok(());
        };
        if self.digests.get(table as usize) != Some(&digest) {
            let words = format!("{name}: its columns are not those with which its changes were captured");
            return Err(Failure::new(codes::schema::DEFINITION_DIFFERS, words));
        }
        while let Some(change) = batch.next().map_err(unreadable)? {
            let (before, after) = match change {
                Change::Insert(after) => (None, Some(after)),
                Change::Update { before, after } => (Some(before), Some(after)),
                Change::Delete(before) => (Some(before), None),
            };
            out.push(LogEvent::Row(RowChange { table, before, after }));
        }
        Ok(())
    }
}

fn unreadable(why: NotABatch) -> Failure {
    match why {
        NotABatch::Version(version) => Failure::new(
            codes::src::UNKNOWN_EVENT,
            format!("a batch of changes of version {version}"),
        ),
        NotABatch::Malformed => Failure::new(codes::src::CORRUPT_EVENT, "a batch of changes"),
    }
}

#[cfg(test)]
mod tests {
    use oms_core::{Position, Row, ScnPosition, TableName, TableSchema, testing::TableShape};

    use super::super::batch::{BatchWriter, end};
    use super::*;

    fn record(flags: RecordFlags, payload: bytes::Bytes) -> CapturedRecord {
        CapturedRecord {
            flags,
            source_time_us: 5,
            position: flags.has(RecordFlags::TXN_LAST).then(|| {
                Position::Scn(ScnPosition {
                    server: "s".into(),
                    scn: 5_000,
                    shape: "x".into(),
                })
            }),
            payload,
        }
    }

    fn table() -> Arc<TableSchema> {
        TableShape::Keyless.schema(TableName::new("d", "t"))
    }

    fn inserted(table: &TableSchema) -> (Row, bytes::Bytes) {
        let row = TableShape::row(1, None, Some("x"));
        let mut writer = BatchWriter::new(table);
        writer.push(&Change::Insert(row.clone()));
        (row, writer.finish())
    }

    #[test]
    fn a_round_is_a_transaction() {
        let (row, bytes) = inserted(&table());
        let mut decoder = RoundDecoder::new(Arc::new(TableMap::new(vec![table()])));
        let mut out = Vec::new();
        decoder
            .decode(&record(RecordFlags::TXN_FIRST, bytes.clone()), &mut out)
            .unwrap();
        decoder
            .decode(&record(RecordFlags::TXN_LAST, end()), &mut out)
            .unwrap();
        let [
            LogEvent::Begin { .. },
            LogEvent::Row(change),
            LogEvent::Commit { .. },
        ] = out.as_slice()
        else {
            panic!("{out:?}");
        };
        assert_eq!(
            (change.table, change.before.as_ref(), change.after.as_ref()),
            (0, None, Some(&row))
        );
        // Tables beside those that are asked for give no rows.
        let mut none = RoundDecoder::new(Arc::new(TableMap::new(vec![])));
        let mut out = Vec::new();
        none.decode(&record(RecordFlags::TXN_FIRST, bytes), &mut out)
            .unwrap();
        assert_eq!(out.len(), 1);
    }

    #[test]
    fn other_columns_and_other_versions_stop() {
        let mut changed = TableSchema::clone(&table());
        changed.columns[0].name = "renamed".into();
        let (_, bytes) = inserted(&changed);
        let mut decoder = RoundDecoder::new(Arc::new(TableMap::new(vec![table()])));
        let mut refused = |payload| {
            let record = record(RecordFlags::TXN_FIRST, payload);
            decoder.decode(&record, &mut Vec::new()).unwrap_err().code()
        };
        assert_eq!(refused(bytes), codes::schema::DEFINITION_DIFFERS);
        assert_eq!(
            refused(bytes::Bytes::from_static(&[2])),
            codes::src::UNKNOWN_EVENT
        );
        assert_eq!(
            refused(bytes::Bytes::from_static(&[1, 1])),
            codes::src::CORRUPT_EVENT
        );
    }
}
