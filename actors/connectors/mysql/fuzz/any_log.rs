//! Decoding any bytes as a binary log: what the fuzz target runs without end and the tests for a
//! moment.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use oms_core::{LogEvent, Row, TableMap};
use oms_mysql::binlog::decode_bytes;

/// Definitions that the kept logs beside the tests fit.
const DEFINITIONS: [&[u8]; 3] = [
    include_bytes!("../tests/fixtures/mariadb.json"),
    include_bytes!("../tests/fixtures/mysql56.json"),
    include_bytes!("../tests/fixtures/mysql97.json"),
];

/// Magic number of a file, and where the size stands in an event's header.
const FIRST_EVENT: usize = 4;
const SIZE_AT: usize = 9;
const HEADER: usize = 19;
const CHECKSUM: usize = 4;

/// The tables that logs are decoded for.
pub(crate) struct AnyLog {
    tables: Vec<Arc<TableMap>>,
}

impl AnyLog {
    pub(crate) fn new() -> Self {
        let tables = DEFINITIONS.map(|text| {
            let tables: Vec<_> =
                serde_json::from_slice::<Vec<_>>(text).expect("the kept definitions are JSON");
            Arc::new(TableMap::new(tables.into_iter().map(Arc::new).collect()))
        });
        Self {
            tables: tables.into(),
        }
    }

    /// Decodes the bytes as they are, and with checksums that fit, so that damage is not noticed by
    /// those alone. Gives the number of events.
    ///
    /// # Panics
    /// Where the decoder panics or a row is not well formed.
    pub(crate) fn decode(&self, data: &[u8]) -> usize {
        let mut fitting = BytesMut::from(data);
        fit_checksums(&mut fitting);
        let mut events = 0;
        for file in [Bytes::copy_from_slice(data), fitting.freeze()] {
            for tables in &self.tables {
                // A refusal is as good as an event.
                let _ = decode_bytes(tables, file.clone(), |event| {
                    events += 1;
                    if let LogEvent::Row(change) = event {
                        let width = tables.get(change.table).map(|t| t.columns.len());
                        for row in change.before.iter().chain(&change.after) {
                            Row::from_bytes(row.as_bytes().clone()).expect("a well-formed row");
                            assert_eq!(Some(row.len()), width);
                        }
                    }
                });
            }
        }
        events
    }
}

/// Writes the checksum that each event should have over its last bytes.
fn fit_checksums(file: &mut [u8]) {
    let mut rest = file.get_mut(FIRST_EVENT..).unwrap_or_default();
    while let Some(size) = rest.get(SIZE_AT..).and_then(|r| r.first_chunk::<4>()) {
        let size = u32::from_le_bytes(*size) as usize;
        if size < HEADER + CHECKSUM || size > rest.len() {
            return;
        }
        let (event, later) = rest.split_at_mut(size);
        let (content, checksum) = event.split_at_mut(size - CHECKSUM);
        checksum.copy_from_slice(&crc32fast::hash(content).to_le_bytes());
        rest = later;
    }
}
