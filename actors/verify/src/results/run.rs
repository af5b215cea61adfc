//! Reading results.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use oms_core::{ComponentId, RecordReader, Sink, TableName};
use serde::{Deserialize, Serialize};

use super::{
    difference::Difference,
    packing,
    table_result::{RunSummary, TableResult},
};
use crate::{Scope, VerifyError};

pub(super) const VERSION: u32 = 1;
pub(super) const RUNS: &str = "runs";
pub(super) const DONE: &str = "runs/done";

/// The list of a run.
pub(super) fn list(run: u32, what: &str) -> String {
    format!("{run}/{what}")
}

/// The list of a run's table.
pub(super) fn table_list(run: u32, what: &str, table: usize) -> String {
    format!("{run}/{what}/{table}")
}

/// What the list of runs says of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) version: u32,
    pub(super) scope: Scope,
    pub(super) tables: usize,
}

/// The results of a project's verifications, as the destination keeps them: every node reads the same.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Results {
    pub(super) records: Arc<dyn RecordReader>,
}

impl Results {
    /// The results in the records of a verification component.
    pub fn new(records: Arc<dyn RecordReader>) -> Self {
        Self { records }
    }

    /// The results that a destination keeps for a verification component.
    ///
    /// # Errors
    /// When the destination keeps no records.
    pub fn at(sink: &dyn Sink, component: &ComponentId) -> Result<Self, VerifyError> {
        let records = sink.records(component).ok_or_else(|| {
            VerifyError::Unknown("this destination cannot keep the results of a verification".into())
        })?;
        Ok(Self { records })
    }

    /// Numbers of the runs that are kept, ascending. When a run over all rows is complete, those before it
    /// are no longer kept.
    pub async fn runs(&self) -> Result<Vec<u32>, VerifyError> {
        let all: Vec<(u64, Manifest)> = packing::all(self.records.as_ref(), RUNS, 0).await?;
        Ok(all
            .into_iter()
            .filter_map(|(number, _)| u32::try_from(number).ok())
            .collect())
    }

    /// A run that has begun.
    pub async fn run(&self, number: u32) -> Result<RunResults, VerifyError> {
        match self.find(number).await? {
            Some(run) => Ok(run),
            None => Err(VerifyError::Unknown(format!(
                "there is no verification run {number}"
            ))),
        }
    }

    pub(super) async fn find(&self, number: u32) -> Result<Option<RunResults>, VerifyError> {
        let records = self.records.as_ref();
        let manifest: Option<Manifest> = packing::one(records, RUNS, u64::from(number)).await?;
        let Some(manifest) = manifest else { return Ok(None) };
        let damaged = |detail: String| VerifyError::Damaged {
            list: RUNS.to_owned(),
            number: u64::from(number),
            detail,
        };
        if manifest.version != VERSION {
            return Err(damaged(format!("version {} is not known here", manifest.version)));
        }
        let packed: Vec<(u64, Vec<(TableName, TableName)>)> =
            packing::all(records, &list(number, "tables"), 0).await?;
        let tables: Vec<_> = packed.into_iter().flat_map(|(_, names)| names).collect();
        if tables.len() != manifest.tables {
            let words = format!("{} of {} tables are named", tables.len(), manifest.tables);
            return Err(damaged(words));
        }
        Ok(Some(RunResults {
            records: self.records.clone(),
            number,
            scope: manifest.scope,
            tables: Arc::new(tables),
        }))
    }
}

/// The results of a run. Readable while it runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RunResults {
    pub(super) records: Arc<dyn RecordReader>,
    pub(super) number: u32,
    pub(super) scope: Scope,
    /// Source and destination, in the order in which the run was begun.
    pub(super) tables: Arc<Vec<(TableName, TableName)>>,
}

impl RunResults {
    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// What it looks at.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The results of its tables, in the order in which the run was begun; [`crate::TableVerdict::Unfinished`]
    /// for those that have not ended.
    pub async fn tables(&self) -> Result<Vec<TableResult>, VerifyError> {
        let unfinished = |(source, destination): &(TableName, TableName)| {
            TableResult::unfinished(source.clone(), destination.clone())
        };
        let mut results: Vec<TableResult> = self.tables.iter().map(unfinished).collect();
        let ended = packing::all(self.records.as_ref(), &list(self.number, "result"), 0).await?;
        for (number, result) in ended {
            let place = usize::try_from(number).ok().and_then(|n| results.get_mut(n));
            if let Some(place) = place {
                *place = result;
            }
        }
        Ok(results)
    }

    /// The run's result, when it is complete.
    pub async fn summary(&self) -> Result<Option<RunSummary>, VerifyError> {
        packing::one(self.records.as_ref(), DONE, u64::from(self.number)).await
    }

    /// The differences of a table, when it has ended; none before.
    ///
    /// # Errors
    /// `OMS-VERIFY-0004` for a table that is not in this run.
    pub async fn differences(&self, source: &TableName) -> Result<DifferenceReader, VerifyError> {
        let index = self.tables.iter().position(|(s, _)| s == source);
        let index =
            index.ok_or_else(|| VerifyError::Unknown(format!("{source} is not in this verification run")))?;
        let ended = self.table_result(index).await?.is_some();
        Ok(DifferenceReader {
            records: self.records.clone(),
            list: table_list(self.number, "differences", index),
            next: ended.then_some(0),
            read: VecDeque::new(),
        })
    }

    /// Whether the table is in this run.
    pub fn holds(&self, source: &TableName) -> bool {
        self.tables.iter().any(|(s, _)| s == source)
    }

    /// Where each table stands among those of this run, by its source.
    pub(crate) fn places(&self) -> HashMap<&TableName, usize> {
        let tables = self.tables.iter().enumerate();
        tables.map(|(place, (source, _))| (source, place)).collect()
    }

    pub(crate) async fn table_result(&self, table: usize) -> Result<Option<TableResult>, VerifyError> {
        packing::one(self.records.as_ref(), &list(self.number, "result"), table as u64).await
    }
}

/// Reads the differences of a table one after the other; memory for some hundred of them.
#[derive(Debug)]
pub struct DifferenceReader {
    records: Arc<dyn RecordReader>,
    list: String,
    /// `None`: all are read.
    next: Option<u64>,
    read: VecDeque<Difference>,
}

impl DifferenceReader {
    /// At most `limit` of the next differences; none: there are no more.
    pub async fn take(&mut self, limit: usize) -> Result<Vec<Difference>, VerifyError> {
        while self.read.len() < limit
            && let Some(from) = self.next
        {
            let page = self.records.read(&self.list, from, 1).await;
            let page = page.map_err(VerifyError::Records)?;
            self.next = page.last().map(|last| last.number.saturating_add(1));
            for record in &page {
                self.read.extend(packing::decode::<Vec<Difference>>(record)?);
            }
        }
        let count = limit.min(self.read.len());
        Ok(self.read.drain(..count).collect())
    }
}
