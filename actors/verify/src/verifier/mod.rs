//! Running a verification.

mod engine;
mod table_run;

use std::{collections::BTreeSet, sync::Arc};

use oms_core::{Failure, RecordWriter, TableName, TablePair};
use tokio_util::sync::CancellationToken;

use crate::{
    Barrier, Charsets, Pause, Results, RunSummary, Scope, Sides, TableResult, TableVerdict, TokioPause,
    Utf8Charsets, VerifyError, VerifyOptions, VerifyProgress,
};

/// What to verify, and how.
#[derive(Clone)]
pub struct Verification {
    /// Where results are read, also those of earlier runs.
    pub results: Results,
    /// Writes results, under the claim of the component that [`Self::results`] belongs to.
    pub recorder: Arc<dyn RecordWriter>,
    /// Number of the run, from 1. Starting a number again that has begun continues it.
    pub run: u32,
    /// What to look at.
    pub scope: Scope,
    /// All tables of the project.
    pub tables: Vec<TablePair>,
    /// Tables of the project that could not even be paired, with the reason; they are reported as
    /// failed.
    pub unpaired: Vec<(TableName, TableName, Arc<Failure>)>,
    /// Settings.
    pub options: VerifyOptions,
    /// The databases.
    pub sides: Arc<dyn Sides>,
    /// Decodes texts where both sides use different character sets.
    pub charsets: Arc<dyn Charsets>,
    /// Tables that the source does not give in the order of their keys, nor digests: keys are looked up.
    pub unordered: BTreeSet<TableName>,
    /// What incremental synchronization can promise; `None` when it does not run or cannot tell.
    pub barrier: Option<Arc<dyn Barrier>>,
    /// Waits between rounds.
    pub pause: Arc<dyn Pause>,
}

impl Verification {
    /// All rows of the tables, with default settings, UTF-8 only and no barrier.
    pub fn new(
        results: Results,
        recorder: Arc<dyn RecordWriter>,
        run: u32,
        tables: Vec<TablePair>,
        sides: Arc<dyn Sides>,
    ) -> Self {
        Self {
            results,
            recorder,
            run,
            scope: Scope::All,
            tables,
            unpaired: Vec::new(),
            options: VerifyOptions::default(),
            sides,
            charsets: Arc::new(Utf8Charsets),
            unordered: BTreeSet::new(),
            barrier: None,
            pause: Arc::new(TokioPause),
        }
    }
}

/// How a run ended without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All tables have ended; differences are a result, not an error.
    Completed(RunSummary),
    /// It was cancelled; starting the same run again continues it.
    Cancelled,
}

/// A run of a verification.
pub struct Verifier {
    plan: Arc<Verification>,
    progress: Arc<VerifyProgress>,
}

impl Verifier {
    /// Prepares a run; nothing is read or written yet.
    pub fn new(plan: Verification) -> Self {
        Self {
            plan: Arc::new(plan),
            progress: Arc::new(VerifyProgress::default()),
        }
    }

    /// What can be seen while it runs. Tables appear when the run begins.
    pub fn progress(&self) -> Arc<VerifyProgress> {
        self.progress.clone()
    }

    /// Runs until all tables have ended or the token is cancelled. Call it once.
    ///
    /// A table that cannot be compared ends with its error and does not stop the others. Dropping
    /// the future is like a crash: what was recorded stays, and the run continues when it is
    /// started again.
    ///
    /// # Errors
    /// Transient failures of the databases, which end the run so that the caller decides when to
    /// start it again (the finished chunks stay); records that cannot be read or written; `OMS-APPLY-0004` when a newer
    /// owner of the component has claimed the destination.
    pub async fn run(&self, cancel: &CancellationToken) -> Result<Ended, Failure> {
        match engine::run(&self.plan, &self.progress, cancel).await {
            Ok(summary) => Ok(Ended::Completed(summary)),
            Err(VerifyError::Cancelled) => Ok(Ended::Cancelled),
            Err(error) => Err(error.into()),
        }
    }
}

fn failed(mut result: TableResult, failure: &Failure) -> TableResult {
    result.verdict = TableVerdict::Failed;
    result.error_code = Some(failure.code().to_string());
    result.error = Some(failure.to_string());
    result
}
