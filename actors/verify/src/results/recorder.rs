//! Writing results.

use std::sync::Arc;

use oms_core::{Record, RecordWriter, TableName};

use super::{
    difference::Difference,
    journal::{Journal, JournalState},
    packing::{encode, pack},
    run::{DONE, Manifest, RUNS, Results, RunResults, VERSION, list, table_list},
    table_result::{RunSummary, TableResult},
};
use crate::{Scope, VerifyError};

/// Records that are written in one transaction: some hundred KiB.
const TOGETHER: usize = 8;

/// Writes the results of a run, under the claim of its component.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    run: RunResults,
    writer: Arc<dyn RecordWriter>,
}

/// Puts records, some at a time.
pub(super) async fn put(writer: &dyn RecordWriter, records: &[Record]) -> Result<(), VerifyError> {
    for part in records.chunks(TOGETHER) {
        writer.put(part).await.map_err(VerifyError::Records)?;
    }
    Ok(())
}

async fn remove_all(writer: &dyn RecordWriter, list: &str) -> Result<(), VerifyError> {
    let removed = writer.remove_below(list, u64::MAX).await;
    removed.map_err(VerifyError::Records)
}

/// Whether both name the same tables, in whatever order.
fn same(a: &[(TableName, TableName)], b: &[(TableName, TableName)]) -> bool {
    let sorted = |names: &[(TableName, TableName)]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    a.len() == b.len() && (a == b || sorted(a) == sorted(b))
}

impl Recorder {
    /// Begins a run, or takes up the one with this number that was begun before: its tables then have the order in which it
    /// was begun ([`RunResults::places`]), whichever they are given in now.
    ///
    /// # Errors
    /// When the number was begun with another scope or other tables.
    pub(crate) async fn begin(
        results: &Results,
        writer: Arc<dyn RecordWriter>,
        number: u32,
        scope: Scope,
        tables: Vec<(TableName, TableName)>,
    ) -> Result<Self, VerifyError> {
        if let Some(run) = results.find(number).await? {
            if run.scope != scope || !same(&run.tables, &tables) {
                let words = format!("verification run {number} was begun with another scope or other tables");
                return Err(VerifyError::Unknown(words));
            }
            return Ok(Self { run, writer });
        }
        let names = list(number, "tables");
        // Of a beginning that was interrupted.
        remove_all(writer.as_ref(), &names).await?;
        let packed = pack(&tables)?;
        let record = |(n, content)| Record {
            list: names.clone(),
            number: n,
            content,
        };
        let records: Vec<Record> = (0..).zip(packed).map(record).collect();
        put(writer.as_ref(), &records).await?;
        let manifest = Manifest {
            version: VERSION,
            scope,
            tables: tables.len(),
        };
        let record = Record {
            list: RUNS.to_owned(),
            number: u64::from(number),
            content: encode(&manifest)?,
        };
        put(writer.as_ref(), &[record]).await?;
        let run = RunResults {
            records: results.records.clone(),
            number,
            scope,
            tables: Arc::new(tables),
        };
        Ok(Self { run, writer })
    }

    /// What was written so far.
    pub(crate) fn results(&self) -> &RunResults {
        &self.run
    }

    /// Opens a table's journal.
    pub(crate) async fn journal(
        &self,
        table: usize,
        fingerprint: &str,
    ) -> Result<(Journal, JournalState), VerifyError> {
        let lists = [
            table_list(self.run.number, "journal", table),
            table_list(self.run.number, "candidates", table),
        ];
        Journal::open(self.run.records.as_ref(), self.writer.clone(), lists, fingerprint).await
    }

    /// Ends a table: differences first, then the result that says they are complete.
    pub(crate) async fn end_table(
        &self,
        table: usize,
        result: &TableResult,
        differences: &[Difference],
    ) -> Result<(), VerifyError> {
        let (run, writer) = (self.run.number, self.writer.as_ref());
        let found = table_list(run, "differences", table);
        // Of an end that was interrupted.
        remove_all(writer, &found).await?;
        let record = |(n, content)| Record {
            list: found.clone(),
            number: n,
            content,
        };
        let records: Vec<Record> = (0..).zip(pack(differences)?).map(record).collect();
        put(writer, &records).await?;
        let result = Record {
            list: list(run, "result"),
            number: table as u64,
            content: encode(result)?,
        };
        put(writer, &[result]).await?;
        for what in ["journal", "candidates"] {
            remove_all(writer, &table_list(run, what, table)).await?;
        }
        Ok(())
    }

    /// Ends the run. What no later run can ask for is removed: journals, and behind a run over all rows the
    /// runs before it.
    pub(crate) async fn end(&self, summary: &RunSummary) -> Result<(), VerifyError> {
        let (run, writer) = (self.run.number, self.writer.as_ref());
        let done = Record {
            list: DONE.to_owned(),
            number: u64::from(run),
            content: encode(summary)?,
        };
        put(writer, &[done]).await?;
        let mut groups = vec![list(run, "journal"), list(run, "candidates")];
        let results = Results {
            records: self.run.records.clone(),
        };
        if self.run.scope == Scope::All {
            let earlier = results.runs().await?.into_iter().filter(|n| *n < run);
            groups.extend(earlier.map(|n| n.to_string()));
        }
        for group in groups {
            writer.remove_group(&group).await.map_err(VerifyError::Records)?;
        }
        if self.run.scope == Scope::All {
            for runs in [DONE, RUNS] {
                let removed = writer.remove_below(runs, u64::from(run)).await;
                removed.map_err(VerifyError::Records)?;
            }
        }
        Ok(())
    }
}
