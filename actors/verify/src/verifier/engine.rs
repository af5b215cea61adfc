//! Workers over tables.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use oms_core::{TableName, TablePair};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    Verification, failed,
    table_run::{Step, TableRun},
};
use crate::{
    DifferenceKey, RunResults, RunSummary, Scope, TableResult, TableVerdict, VerifyError, VerifyProgress,
    results::Recorder,
    scan::{Pace, Readers},
};

/// Tables with chunks left, and how many workers are at each.
struct Queue {
    tables: Mutex<Vec<Slot>>,
    /// Tables whose chunks are all compared.
    scanned: mpsc::Sender<Arc<TableRun>>,
}

struct Slot {
    run: Arc<TableRun>,
    workers: usize,
    exhausted: bool,
}

impl Queue {
    /// The table with the fewest workers.
    fn take(&self) -> Option<(usize, Arc<TableRun>)> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, slot) = tables
            .iter_mut()
            .enumerate()
            .filter(|(_, s)| !s.exhausted)
            .min_by_key(|(_, s)| s.workers)?;
        slot.workers += 1;
        Some((number, slot.run.clone()))
    }

    /// Gives a table back. The last worker to leave an exhausted one passes it on.
    async fn give_back(&self, number: usize, exhausted: bool) {
        let passed = {
            let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
            tables.get_mut(number).and_then(|slot| {
                slot.workers -= 1;
                slot.exhausted |= exhausted;
                if slot.workers == 0 && slot.exhausted {
                    // A chunk that ended after the last one was planned may have made the table
                    // start over.
                    slot.exhausted = slot.run.is_exhausted();
                }
                (slot.exhausted && slot.workers == 0).then(|| slot.run.clone())
            })
        };
        if let Some(run) = passed {
            // There is room for every table; an error means that the run is over.
            let _ = self.scanned.send(run).await;
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
        let refuse = async |error: VerifyError| -> Result<(), VerifyError> {
            let failure = error.into();
            let result = failed(TableResult::unfinished(source, destination), &failure);
            recorder.end_table(number, &result, &[]).await?;
            cell.end(result);
            Ok(())
        };
        match table {
            Chosen::Refused(_, _, failure) => {
                let copy = oms_core::Failure::new(failure.code(), failure.detail().to_owned());
                refuse(VerifyError::Database(copy)).await?;
            }
            Chosen::Pair(pair, recorded) => {
                let opened = TableRun::open(
                    number,
                    plan.clone(),
                    recorder.clone(),
                    pair,
                    cell.clone(),
                    pace.clone(),
                    recorded,
                );
                match opened {
                    Ok(run) => {
                        let exhausted = !run.resume().await?;
                        let run = Arc::new(run);
                        if exhausted {
                            // The channel has room for every table.
                            let _ = sender.try_send(run.clone());
                        }
                        slots.push(Slot {
                            run,
                            workers: 0,
                            exhausted,
                        });
                    }
                    Err(error) if error.ends_run() => return Err(error),
                    Err(error) => refuse(error).await?,
                }
            }
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
        outcome = work(plan, &queue, receiver, open, &mut workers) => outcome,
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
    queue: &Arc<Queue>,
    mut scanned: mpsc::Receiver<Arc<TableRun>>,
    open: usize,
    workers: &mut JoinSet<Result<bool, VerifyError>>,
) -> Result<(), VerifyError> {
    let count = plan.options.workers.max(1);
    for _ in 0..count {
        let (plan, queue) = (plan.clone(), queue.clone());
        workers.spawn(async move { compare_chunks(&plan, &queue).await.map(|()| false) });
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
            Some(run) = scanned.recv() => {
                let (plan, room) = (plan.clone(), room.clone());
                workers.spawn(async move {
                    let _permit = room.acquire().await.map_err(|_| VerifyError::Cancelled)?;
                    end_table(&plan, run).await.map(|()| true)
                });
            }
        }
    }
    Ok(())
}

async fn compare_chunks(plan: &Verification, queue: &Queue) -> Result<(), VerifyError> {
    let mut readers = None;
    while let Some((number, run)) = queue.take() {
        let exhausted = match step(plan, &run, &mut readers).await {
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
        queue.give_back(number, exhausted).await;
    }
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
