//! Whether a source has been quiet since a position.

use std::{collections::BTreeSet, sync::Arc};

use oms_core::{DecodeProgress, Failure, LogEvent, Position, Source, TableMap, TableName};

/// Writes that are named.
const NAMED: usize = 10;
/// Bytes of a record's rows that are looked at together.
const PART: usize = 1 << 20;

/// What the log holds behind a position.
#[derive(Debug)]
pub(super) enum Seen {
    /// No change of the tables up to here, which was the end of the log when the look began.
    Quiet(Position),
    /// Changes, in words that name tables and positions.
    Written(String),
}

/// The changes of a log, as far as they are named.
#[derive(Default)]
struct Writes {
    named: Vec<String>,
    /// Tables that the transaction under way has changed.
    open: BTreeSet<u32>,
}

impl Writes {
    fn take(&mut self, event: LogEvent, tables: &TableMap) {
        match event {
            LogEvent::Begin { .. } | LogEvent::Abort => self.open.clear(),
            LogEvent::Row(change) => {
                self.open.insert(change.table);
            }
            LogEvent::Commit { position, .. } => {
                for index in std::mem::take(&mut self.open) {
                    let table = tables.get(index).map(|t| t.name.to_string());
                    let table = table.unwrap_or_else(|| format!("table {index}"));
                    self.named.push(format!("{table} at {position}"));
                }
            }
            LogEvent::Ddl {
                database, position, ..
            } => self.named.push(format!(
                "a statement that defines a table, in database `{database}` at {position}"
            )),
            LogEvent::Heartbeat { .. } => {}
        }
    }
}

/// Reads the log from `stop` to its end of now.
///
/// # Errors
/// Those of reading a source's log: also that it cannot be read from there any more.
pub(super) async fn look(source: &dyn Source, names: &[TableName], stop: &Position) -> Result<Seen, Failure> {
    let end = source.current_position().await?;
    if *stop >= end {
        return Ok(Seen::Quiet(end));
    }
    let schemas = source.load_tables(names).await?;
    let tables = Arc::new(TableMap::new(schemas.into_iter().map(Arc::new).collect()));
    let mut decoder = source.decoder(tables.clone(), stop)?;
    let mut capture = source.open_capture(stop).await?;
    let mut writes = Writes::default();
    let mut events = Vec::new();
    loop {
        let record = capture.next().await?;
        loop {
            let progress = decoder.decode_part(&record, &mut events, PART)?;
            for event in events.drain(..) {
                writes.take(event, &tables);
            }
            if progress == DecodeProgress::Done {
                break;
            }
        }
        let reached = record.position.is_some_and(|p| p >= end);
        if reached || writes.named.len() >= NAMED {
            break;
        }
    }
    if writes.named.is_empty() {
        return Ok(Seen::Quiet(end));
    }
    let more = if writes.named.len() >= NAMED {
        ", and perhaps more"
    } else {
        ""
    };
    writes.named.truncate(NAMED);
    Ok(Seen::Written(format!(
        "after the stop position {stop} the source was written: {}{more}",
        writes.named.join("; ")
    )))
}
