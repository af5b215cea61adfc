//! One table of a run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use oms_core::{ChunkEnds, Failure, TablePair};

use super::{Verification, failed};
use crate::{
    Difference, DifferenceKey, DifferenceKind, Side, TableResult, TableStage, TableVerdict, VerifyError,
    compare::TableRule,
    progress::TableCell,
    results::{DoneChunk, Journal, JournalState, Recorder},
    scan::{
        ChunkOutcome, ChunkScan, Cursor, Digesting, NextChunk, Pace, Plan, Readers, Recheck, Rounds, Scanned,
        Way, compare_multisets,
    },
};

/// How the table is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Both sides by ranges of the key.
    Merge,
    /// Ranges that the servers' digests do not tell equal: rows of each side by key at the other.
    Digests,
    /// Rows of one side by key at the other.
    LookUp,
    /// As multisets.
    Multiset,
    /// Only what an earlier run recorded.
    Recorded,
}

/// A table of a run. Many workers at once.
pub(super) struct TableRun {
    number: usize,
    plan: Arc<Verification>,
    recorder: Recorder,
    rule: TableRule,
    pub(super) cell: Arc<TableCell>,
    pace: Arc<Pace>,
    recorded: Option<Vec<DifferenceKey>>,
    digesting: Digesting,
    /// Held while a chunk is planned, and while candidates are re-checked in the middle of a scan.
    cursor: tokio::sync::Mutex<Cursor>,
    /// Where chunks of the source and of the destination end. Locked behind `cursor`.
    ends: [tokio::sync::Mutex<ChunkEnds>; 2],
    /// Locked before `inner`. Held while an entry is made, so that what is in memory and what is noted
    /// change in the same order. `None`: the table has none, or has ended.
    journal: tokio::sync::Mutex<Option<Journal>>,
    inner: Mutex<Inner>,
}

struct Inner {
    mode: Mode,
    /// Raised when the table starts over; chunks of before do not count.
    attempt: u32,
    candidates: BTreeMap<Vec<u8>, DifferenceKey>,
    found: BTreeMap<Vec<u8>, Difference>,
    rows: u64,
    error: Option<Failure>,
}

/// What a step of a worker was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A chunk was compared.
    Worked,
    /// No chunk is left.
    Exhausted,
}

impl TableRun {
    /// Opens the table's journal and continues where it ends.
    pub(super) fn open(
        number: usize,
        plan: Arc<Verification>,
        recorder: Recorder,
        pair: TablePair,
        cell: Arc<TableCell>,
        pace: Arc<Pace>,
        recorded: Option<Vec<DifferenceKey>>,
    ) -> Result<Self, VerifyError> {
        let both_ways = !plan.options.ignore_destination_only;
        let rule = TableRule::new(pair, plan.charsets.clone(), both_ways)?;
        let unordered = plan.unordered.contains(&rule.pair.source.name);
        let mode = match (&recorded, &rule.key) {
            (_, None) => Mode::Multiset,
            (Some(_), Some(_)) => Mode::Recorded,
            (None, Some(_)) if unordered => Mode::LookUp,
            (None, Some(key)) if key.is_ordered() => Mode::Merge,
            (None, Some(key)) if key.has_common_ranges() && rule.digests.is_some() => Mode::Digests,
            (None, Some(_)) => Mode::LookUp,
        };
        let ends = [Side::Source, Side::Destination].map(|side| {
            let view = match &rule.key {
                Some(key) => key.scan_view(side),
                None => &rule.pair.source,
            };
            tokio::sync::Mutex::new(ChunkEnds::new(view))
        });
        let run = Self {
            number,
            plan,
            recorder,
            rule,
            cell,
            pace,
            recorded,
            digesting: Digesting::default(),
            cursor: tokio::sync::Mutex::new(Cursor::exhausted()),
            ends,
            journal: tokio::sync::Mutex::new(None),
            inner: Mutex::new(Inner {
                mode,
                attempt: 0,
                candidates: BTreeMap::new(),
                found: BTreeMap::new(),
                rows: 0,
                error: None,
            }),
        };
        Ok(run)
    }

    /// Reads what an interrupted run left and decides where to go on. `true`: there are chunks.
    pub(super) async fn resume(&self) -> Result<bool, VerifyError> {
        let mut cursor = self.cursor.lock().await;
        *cursor = self.restart().await?;
        Ok(!cursor.is_exhausted())
    }

    async fn restart(&self) -> Result<Cursor, VerifyError> {
        let mut journal = self.journal.lock().await;
        let mode = {
            let mut inner = self.lock();
            inner.candidates.clear();
            inner.found.clear();
            inner.rows = 0;
            inner.mode
        };
        if mode == Mode::Multiset {
            return Ok(Cursor::exhausted());
        }
        let fingerprint = format!("{} {mode:?}", self.rule.fingerprint());
        let (opened, state) = self.recorder.journal(self.number, &fingerprint).await?;
        *journal = Some(opened);
        let mut inner = self.lock();
        let JournalState {
            chunks,
            candidates,
            differences,
        } = state;
        if inner.mode == Mode::Recorded {
            let recorded = self.recorded.clone().unwrap_or_default();
            inner.rows = recorded.len() as u64;
            self.add_candidates(&mut inner, recorded);
            return Ok(Cursor::exhausted());
        }
        inner.rows = chunks.iter().map(|c| c.rows).sum();
        self.cell.add_rows(inner.rows);
        self.add_candidates(&mut inner, candidates);
        for difference in differences {
            inner.found.insert(self.identity(&difference.key), difference);
        }
        Ok(Cursor::new(self.scanned_sides(inner.mode), &chunks))
    }

    fn scanned_sides(&self, mode: Mode) -> &'static [Side] {
        match mode {
            Mode::LookUp if !self.plan.options.ignore_destination_only => &[Side::Source, Side::Destination],
            _ => &[Side::Source],
        }
    }

    fn ends_of(&self, side: Side) -> &tokio::sync::Mutex<ChunkEnds> {
        let [source, destination] = &self.ends;
        match side {
            Side::Source => source,
            Side::Destination => destination,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn identity(&self, key: &DifferenceKey) -> Vec<u8> {
        match (key, &self.rule.key) {
            (DifferenceKey::Key { side, key }, Some(rule)) => {
                rule.identity(*side, key, self.rule.charsets.as_ref())
            }
            (DifferenceKey::Key { key, .. }, None) => key.as_bytes().to_vec(),
            (DifferenceKey::Digest(digest), _) => digest.to_vec(),
        }
    }

    fn add_candidates(&self, inner: &mut Inner, keys: Vec<DifferenceKey>) {
        for key in keys {
            inner.candidates.entry(self.identity(&key)).or_insert(key);
        }
        self.cell
            .set_candidates((inner.candidates.len() + inner.found.len()) as u64);
    }

    fn rounds(&self) -> Rounds<'_> {
        Rounds {
            options: &self.plan.options,
            barrier: self.plan.barrier.as_deref(),
            pause: self.plan.pause.as_ref(),
        }
    }

    /// Gives the table up with an error.
    pub(super) fn fail(&self, error: VerifyError) {
        let mut inner = self.lock();
        if inner.error.is_none() {
            inner.error = Some(error.into());
        }
    }

    /// Plans and compares the next chunk.
    pub(super) async fn step(&self, readers: &mut Readers) -> Result<Step, VerifyError> {
        let Some(key) = &self.rule.key else {
            return Ok(Step::Exhausted);
        };
        let (chunk, mode, attempt) = {
            let mut cursor = self.cursor.lock().await;
            let (mode, attempt) = {
                let inner = self.lock();
                if inner.error.is_some() {
                    return Ok(Step::Exhausted);
                }
                (inner.mode, inner.attempt)
            };
            self.cell.set_stage(TableStage::Comparing);
            let chunk = match cursor.plan() {
                Plan::Exhausted => return Ok(Step::Exhausted),
                Plan::Known(chunk) => chunk,
                Plan::Behind { side, number, after } => {
                    let view = key.scan_view(side);
                    let rows = self.plan.options.chunk_rows.max(1);
                    let mut ends = self.ends_of(side).lock().await;
                    let through = ends.next(readers.get(side), view, after.as_ref(), rows).await?;
                    cursor.planned(through.clone());
                    NextChunk {
                        side,
                        number,
                        range: oms_core::ChunkRange { after, through },
                    }
                }
            };
            (chunk, mode, attempt)
        };
        let way = match mode {
            Mode::Merge => Way::Merge,
            Mode::Digests => Way::LookUpBoth,
            Mode::LookUp | Mode::Multiset | Mode::Recorded => Way::LookUp,
        };
        let scan = ChunkScan {
            rule: &self.rule,
            key,
            options: &self.plan.options,
            pace: &self.pace,
            digesting: &self.digesting,
        };
        let outcome = match scan.run(readers, &chunk, way).await? {
            Scanned::Done(outcome) => outcome,
            Scanned::Disordered => {
                self.start_over(attempt).await?;
                return Ok(Step::Worked);
            }
        };
        if self.record(&chunk, attempt, outcome).await? {
            self.drain(readers, true).await?;
        }
        Ok(Step::Worked)
    }

    /// The servers do not order alike after all: from now on keys are looked up.
    async fn start_over(&self, attempt: u32) -> Result<(), VerifyError> {
        let mut cursor = self.cursor.lock().await;
        {
            let mut inner = self.lock();
            if inner.attempt != attempt {
                return Ok(());
            }
            inner.attempt += 1;
            inner.mode = Mode::LookUp;
        }
        tracing::info!(table = %self.rule.pair.source.name, "keys are ordered differently: looking keys up");
        *cursor = self.restart().await?;
        Ok(())
    }

    /// Notes a chunk. `true`: too many candidates have gathered.
    async fn record(
        &self,
        chunk: &NextChunk,
        attempt: u32,
        outcome: ChunkOutcome,
    ) -> Result<bool, VerifyError> {
        self.ends_of(chunk.side)
            .lock()
            .await
            .saw(&chunk.range, outcome.held);
        let mut done = DoneChunk::new(chunk.side, chunk.number, &chunk.range);
        (done.rows, done.bytes) = (outcome.rows, outcome.bytes);
        let mut journal = self.journal.lock().await;
        if self.lock().attempt != attempt {
            return Ok(false);
        }
        if let Some(journal) = journal.as_mut() {
            journal.chunk(&done, &outcome.candidates).await?;
        }
        let mut inner = self.lock();
        inner.rows += outcome.rows;
        self.cell.add_rows(outcome.rows);
        self.pace.count_chunk();
        self.add_candidates(&mut inner, outcome.candidates);
        Ok(inner.candidates.len() > self.plan.options.max_candidates)
    }

    /// Re-checks the candidates that have gathered. In the middle of a scan no chunk is planned
    /// meanwhile, so that candidates cannot grow without bound.
    async fn drain(&self, readers: &mut Readers, in_scan: bool) -> Result<(), VerifyError> {
        let Some(key) = &self.rule.key else { return Ok(()) };
        let _planning = self.cursor.lock().await;
        let (candidates, mark, room) = {
            let journal = self.journal.lock().await;
            let mut inner = self.lock();
            if in_scan && inner.candidates.len() <= self.plan.options.max_candidates {
                return Ok(());
            }
            let mark = journal.as_ref().map(Journal::mark);
            let candidates: Vec<DifferenceKey> =
                std::mem::take(&mut inner.candidates).into_values().collect();
            let room = self
                .plan
                .options
                .max_differences
                .saturating_sub(inner.found.len() as u64);
            (candidates, mark, room)
        };
        if candidates.is_empty() {
            return Ok(());
        }
        self.cell.set_stage(TableStage::Rechecking);
        let recheck = Recheck {
            rule: &self.rule,
            key,
            pace: &self.pace,
            rounds: self.rounds(),
        };
        let real = recheck.run(readers, candidates, room).await?;
        if let (Some(journal), Some(mark)) = (self.journal.lock().await.as_mut(), mark) {
            journal.drained(mark, &real).await?;
        }
        let mut inner = self.lock();
        for difference in real {
            inner.found.insert(self.identity(&difference.key), difference);
        }
        self.cell
            .set_candidates((inner.candidates.len() + inner.found.len()) as u64);
        self.check_limit(&inner)
    }

    fn check_limit(&self, inner: &Inner) -> Result<(), VerifyError> {
        let (found, limit) = (inner.found.len() as u64, self.plan.options.max_differences);
        if found < limit {
            return Ok(());
        }
        Err(VerifyError::TooMany {
            table: self.rule.pair.source.name.clone(),
            found,
            limit,
        })
    }

    /// Whether [`TableRun::complete`] has anything to read.
    pub(super) fn is_incomplete(&self) -> bool {
        let inner = self.lock();
        inner.error.is_none() && (inner.mode == Mode::Multiset || !inner.candidates.is_empty())
    }

    /// The last re-check, or the whole comparison of a multiset.
    pub(super) async fn complete(&self, readers: &mut Readers) -> Result<(), VerifyError> {
        let mode = {
            let inner = self.lock();
            if inner.error.is_some() {
                return Ok(());
            }
            inner.mode
        };
        if mode != Mode::Multiset {
            return self.drain(readers, false).await;
        }
        self.cell.set_stage(TableStage::Comparing);
        let digests = self.recorded.as_ref().map(|keys| {
            let digest = |key: &DifferenceKey| match key {
                DifferenceKey::Digest(digest) => Some(*digest),
                DifferenceKey::Key { .. } => None,
            };
            keys.iter().filter_map(digest).collect()
        });
        let limit = self.plan.options.max_differences;
        let seen = |rows| self.cell.add_rows(rows);
        let outcome = compare_multisets(
            &self.rule,
            &self.pace,
            self.rounds(),
            readers,
            digests,
            limit,
            &seen,
        )
        .await?;
        let mut inner = self.lock();
        inner.rows = outcome.rows;
        for difference in outcome.differences {
            inner.found.insert(self.identity(&difference.key), difference);
        }
        self.check_limit(&inner)
    }

    /// Whether all chunks are planned. Only asked when no worker is at the table.
    pub(super) fn is_exhausted(&self) -> bool {
        let failed = self.lock().error.is_some();
        failed || self.cursor.try_lock().is_ok_and(|cursor| cursor.is_exhausted())
    }

    /// Writes the table's result.
    pub(super) async fn end(&self) -> Result<TableResult, VerifyError> {
        *self.journal.lock().await = None;
        let (result, differences) = self.outcome();
        self.recorder
            .end_table(self.number, &result, &differences)
            .await?;
        self.cell.end(result.clone());
        Ok(result)
    }

    fn outcome(&self) -> (TableResult, Vec<Difference>) {
        let inner = self.lock();
        let pair = &self.rule.pair;
        let mut result = TableResult::unfinished(pair.source.name.clone(), pair.destination.name.clone());
        result.rows = inner.rows;
        for difference in inner.found.values() {
            let (s, d) = (difference.source_count, difference.destination_count);
            match difference.kind {
                DifferenceKind::SourceOnly => result.source_only += s - d.min(s),
                DifferenceKind::DestinationOnly => result.destination_only += d - s.min(d),
                DifferenceKind::Mismatched => result.mismatched += 1,
            }
            result.unsettled += u64::from(!difference.settled);
        }
        result.verdict = if inner.found.is_empty() {
            TableVerdict::Consistent
        } else {
            TableVerdict::Different
        };
        if let Some(failure) = &inner.error {
            result = failed(result, failure);
        }
        (result, inner.found.values().cloned().collect())
    }
}
