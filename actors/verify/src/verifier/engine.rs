//! Workers over tables.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use oms_core::{TableName, TablePair};
use tokio::{
    sync::{OnceCell, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Verification, failed,
    table_run::{Step, TableRun},
};
use crate::{
    DifferenceKey, RunResults, RunSummary, Scope, TableResult, TableVerdict, VerifyError, VerifyProgress,
    progress::TableCell,
    results::Recorder,
    scan::{Pace, Readers},
};

/// Tables with chunks left, and how many workers are at each. A table is opened when the first worker comes to it and
/// dropped when it has ended, so that a run over many tables keeps little of each.
struct Queue {
    tables: Mutex<Vec<Slot>>,
    /// Tables whose chunks are all compared, or that could not be opened.
    scanned: mpsc::Sender<Ready>,
}

/// A table to end.
enum Ready {
    /// All of its chunks are compared.
    Scanned(Arc<TableRun>),
    /// It cannot be compared.
    Refused(Arc<Opening>, VerifyError),
}

struct Slot {
    opening: Arc<Opening>,
    /// Opened once; workers that come meanwhile wait.
    run: Arc<OnceCell<Arc<TableRun>>>,
    workers: usize,
    exhausted: bool,
    /// It was passed on as one that cannot be compared.
    refused: bool,
}

/// What a table is opened with.
struct Opening {
    number: usize,
    pair: TablePair,
    cell: Arc<TableCell>,
    recorded: Option<Vec<DifferenceKey>>,
}

/// A table that a worker has taken.
struct Taken {
    at: usize,
    opening: Arc<Opening>,
    run: Arc<OnceCell<Arc<TableRun>>>,
}

impl Queue {
    /// The table with the fewest workers.
    fn take(&self) -> Option<Taken> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, slot) = tables
            .iter_mut()
            .enumerate()
            .filter(|(_, s)| !s.exhausted)
            .min_by_key(|(_, s)| s.workers)?;
        slot.workers += 1;
        Some(Taken {
            at,
            opening: slot.opening.clone(),
            run: slot.run.clone(),
        })
    }

    /// Gives a table back. The last worker to leave an exhausted one passes it on.
    async fn give_back(&self, at: usize, exhausted: bool) {
        let passed = {
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.get_mut(at).and_then(|slot| {
                slot.workers -= 1;
                slot.exhausted |= exhausted;
                if slot.workers > 0 || !slot.exhausted || slot.refused {
                    return None;
                }
                let run = slot.run.get()?.clone();
                // A chunk that ended after the last one was planned may have made the table start over.
                slot.exhausted = run.is_exhausted();
                slot.exhausted.then(|| {
                    slot.run = Arc::default();
                    run
                })
            })
        };
        if let Some(run) = passed {
            // There is room for every table; an error means that the run is over.
            let _ = self.scanned.send(Ready::Scanned(run)).await;
        }
    }

    /// Gives up a table that could not be opened. Other workers that waited for it try again; only the first one
    /// passes it on.
    async fn give_up(&self, taken: &Taken, error: VerifyError) {
        let first = {
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.get_mut(taken.at).is_some_and(|slot| {
                slot.workers -= 1;
                slot.exhausted = true;
                !std::mem::replace(&mut slot.refused, true)
            })
        };
        if first {
            let _ = self
                .scanned
                .send(Ready::Refused(taken.opening.clone(), error))
                .await;
        }
    }
}

pub(super) async fn run(
    plan: &Arc<Verification>,
    progress: &Arc<VerifyProgress>,
    cancel: &CancellationToken,
) -> Result<RunSummary, VerifyError> {
    let (recorder, chosen) = begin(plan).await?;
    let ended: Vec<TableResult> = recorder.results().tables().await?;
    let pace = Arc::new(Pace::new(plan.options.pacing, progress.clone()));
    let (sender, receiver) = mpsc::channel(chosen.len().max(1));
    let mut slots = Vec::new();
    for (number, table) in chosen.into_iter().enumerate() {
        let (source, destination) = table.names();
        let estimate = match &table {
            Chosen::Pair(pair, recorded) => recorded
                .as_ref()
                .map_or(pair.source.estimated_rows, |r| r.len() as u64),
            Chosen::Refused(..) => 0,
        };
        let cell = progress.add_table(source.clone(), destination.clone(), estimate);
        let known = ended.get(number);
        if let Some(result) = known.filter(|t| t.verdict != TableVerdict::Unfinished) {
            cell.end(result.clone());
            continue;
        }
        match table {
            Chosen::Refused(_, _, failure) => {
                let copy = oms_core::Failure::new(failure.code(), failure.detail().to_owned());
                let names = (source, destination);
                refuse(&recorder, number, &cell, names, VerifyError::Database(copy)).await?;
            }
            Chosen::Pair(pair, recorded) => slots.push(Slot {
                opening: Arc::new(Opening {
                    number,
                    pair,
                    cell,
                    recorded,
                }),
                run: Arc::default(),
                workers: 0,
                exhausted: false,
                refused: false,
            }),
        }
    }
    let open = slots.len();
    let queue = Arc::new(Queue {
        tables: Mutex::new(slots),
        scanned: sender,
    });
    let mut workers = JoinSet::new();
    let outcome = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(VerifyError::Cancelled),
        outcome = work(plan, &recorder, &pace, &queue, receiver, open, &mut workers) => outcome,
    };
    workers.shutdown().await;
    outcome?;
    let summary = RunSummary::of(plan.run, plan.scope, &recorder.results().tables().await?);
    recorder.end(&summary).await?;
    Ok(summary)
}

/// Starts the workers and ends tables as they are scanned, until all have ended.
async fn work(
    plan: &Arc<Verification>,
    recorder: &Recorder,
    pace: &Arc<Pace>,
    queue: &Arc<Queue>,
    mut scanned: mpsc::Receiver<Ready>,
    open: usize,
    workers: &mut JoinSet<Result<bool, VerifyError>>,
) -> Result<(), VerifyError> {
    let count = plan.options.workers.max(1);
    for _ in 0..count {
        let worker = Worker {
            plan: plan.clone(),
            recorder: recorder.clone(),
            pace: pace.clone(),
            queue: queue.clone(),
        };
        workers.spawn(async move { worker.compare_chunks().await.map(|()| false) });
    }
    let room = Arc::new(Semaphore::new(count));
    let mut ended = 0;
    while ended < open {
        tokio::select! {
            Some(joined) = workers.join_next() => match joined {
                Ok(outcome) => ended += usize::from(outcome?),
                Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
                Err(_) => return Err(VerifyError::Cancelled),
            },
            Some(ready) = scanned.recv() => {
                let (plan, recorder, room) = (plan.clone(), recorder.clone(), room.clone());
                workers.spawn(async move {
                    let _permit = room.acquire().await.map_err(|_| VerifyError::Cancelled)?;
                    match ready {
                        Ready::Scanned(run) => end_table(&plan, run).await?,
                        Ready::Refused(opening, error) => {
                            let names = (opening.pair.source.name.clone(), opening.pair.destination.name.clone());
                            refuse(&recorder, opening.number, &opening.cell, names, error).await?;
                        }
                    }
                    Ok(true)
                });
            }
        }
    }
    Ok(())
}

struct Worker {
    plan: Arc<Verification>,
    recorder: Recorder,
    pace: Arc<Pace>,
    queue: Arc<Queue>,
}

impl Worker {
    async fn compare_chunks(&self) -> Result<(), VerifyError> {
        let mut readers = None;
        while let Some(taken) = self.queue.take() {
            let run = match taken.run.get_or_try_init(|| self.open(&taken.opening)).await {
                Ok(run) => run.clone(),
                Err(error) if error.ends_run() => return Err(error),
                Err(error) => {
                    self.queue.give_up(&taken, error).await;
                    continue;
                }
            };
            let exhausted = match step(&self.plan, &run, &mut readers).await {
                Ok(Step::Worked) => false,
                Ok(Step::Exhausted) => true,
                Err(error) if error.ends_run() => return Err(error),
                Err(error) => {
                    // What was being read when it failed is in an unknown state.
                    readers = None;
                    run.fail(error);
                    true
                }
            };
            self.queue.give_back(taken.at, exhausted).await;
        }
        Ok(())
    }

    /// Goes on where an earlier run of the table ended.
    async fn open(&self, opening: &Opening) -> Result<Arc<TableRun>, VerifyError> {
        let run = TableRun::open(
            opening.number,
            self.plan.clone(),
            self.recorder.clone(),
            opening.pair.clone(),
            opening.cell.clone(),
            self.pace.clone(),
            opening.recorded.clone(),
        )?;
        run.resume().await?;
        Ok(Arc::new(run))
    }
}

/// Notes that a table cannot be compared.
async fn refuse(
    recorder: &Recorder,
    number: usize,
    cell: &TableCell,
    (source, destination): (TableName, TableName),
    error: VerifyError,
) -> Result<(), VerifyError> {
    let failure = error.into();
    let result = failed(TableResult::unfinished(source, destination), &failure);
    recorder.end_table(number, &result, &[]).await?;
    cell.end(result);
    Ok(())
}

async fn step(
    plan: &Verification,
    run: &TableRun,
    readers: &mut Option<Readers>,
) -> Result<Step, VerifyError> {
    let open = match readers {
        Some(open) => open,
        None => readers.insert(Readers::open(plan.sides.as_ref()).await?),
    };
    run.step(open).await
}

async fn end_table(plan: &Verification, run: Arc<TableRun>) -> Result<(), VerifyError> {
    let completed = async {
        if !run.is_incomplete() {
            return Ok(());
        }
        let mut readers = Readers::open(plan.sides.as_ref()).await?;
        run.complete(&mut readers).await
    };
    match completed.await {
        Ok(()) => {}
        Err(error) if error.ends_run() => return Err(error),
        Err(error) => run.fail(error),
    }
    run.end().await.map(drop)
}

/// A table of this run.
enum Chosen {
    /// With what an earlier run recorded, if only that is to be read.
    Pair(TablePair, Option<Vec<DifferenceKey>>),
    Refused(TableName, TableName, Arc<oms_core::Failure>),
}

impl Chosen {
    fn names(&self) -> (TableName, TableName) {
        match self {
            Self::Pair(pair, _) => (pair.source.name.clone(), pair.destination.name.clone()),
            Self::Refused(source, destination, _) => (source.clone(), destination.clone()),
        }
    }
}

/// Begins or takes up the run, and chooses the tables of its scope.
async fn begin(plan: &Verification) -> Result<(Recorder, Vec<Chosen>), VerifyError> {
    let all = plan.tables.iter().map(|pair| Chosen::Pair(pair.clone(), None));
    let refused = plan
        .unpaired
        .iter()
        .map(|(s, d, f)| Chosen::Refused(s.clone(), d.clone(), f.clone()));
    let all = all.chain(refused);
    let (of, only_recorded) = match plan.scope {
        Scope::All => (None, false),
        Scope::TablesWithDifferences { of } => (Some(of), false),
        Scope::Differences { of } => (Some(of), true),
    };
    let mut chosen = Vec::new();
    match of {
        None => chosen.extend(all),
        Some(of) => {
            let earlier = plan.results.run(of).await?;
            let verdicts = verdicts(plan, &earlier).await?;
            for table in all {
                let (source, _) = table.names();
                match (verdicts.get(&source), table) {
                    (Some(TableVerdict::Consistent), _) => {}
                    (Some(TableVerdict::Different), Chosen::Pair(pair, _)) if only_recorded => {
                        let found = earlier.differences(&source).await?.take(usize::MAX).await?;
                        let keys = found.into_iter().map(|d| d.key).collect();
                        chosen.push(Chosen::Pair(pair, Some(keys)));
                    }
                    (_, table) => chosen.push(table),
                }
            }
        }
    }
    let names = chosen.iter().map(Chosen::names).collect();
    let recorder = Recorder::begin(&plan.results, plan.recorder.clone(), plan.run, plan.scope, names).await?;
    // What could be paired when the run was begun may not be now, or the other way round: a statement may have changed the
    // table at one side only. It has its place all the same.
    let places = recorder.results().places();
    chosen.sort_by_key(|table| places.get(&table.names().0).copied());
    drop(places);
    Ok((recorder, chosen))
}

/// How tables ended last: in this run, or, where it did not look at them, in the runs it followed.
async fn verdicts(
    plan: &Verification,
    last: &RunResults,
) -> Result<HashMap<TableName, TableVerdict>, VerifyError> {
    let mut verdicts = HashMap::new();
    let mut run = last.clone();
    loop {
        for table in run.tables().await? {
            verdicts.entry(table.source).or_insert(table.verdict);
        }
        match run.scope() {
            Scope::TablesWithDifferences { of } | Scope::Differences { of } if of < run.number() => {
                run = plan.results.run(of).await?;
            }
            _ => return Ok(verdicts),
        }
    }
}
