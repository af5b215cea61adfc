//! Full verification: proves both sides equal, or names what differs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_core::{Failure, Position, Sink, Source, TablePair, codes};
use oms_types::ProjectId;
use oms_verify::{
    Barrier, Charsets, Ended, Results, RunSummary, Scope, SourceAndSink, TableResult, TableStage,
    Verification, Verifier, VerifyOptions, VerifyProgress,
};

use super::{
    pairs::{Mapping, load_pairs_each},
    shelf::Shelf,
};
use crate::{Behavior, Completion, Context, Facts};

/// How often progress is published.
const TICK: Duration = Duration::from_millis(250);

/// What full verification compares, and how.
#[derive(Clone)]
pub struct FullVerificationSettings {
    /// The tables.
    pub tables: Vec<Mapping>,
    /// Folder of all projects' results.
    pub results: PathBuf,
    /// Number of the run.
    pub run: u32,
    /// What to look at.
    pub scope: Scope,
    /// Settings of the engine.
    pub options: VerifyOptions,
    /// Decodes texts where both sides use different character sets.
    pub charsets: Arc<dyn Charsets>,
    /// Incremental synchronization runs: differences are proven behind what it has applied.
    pub synchronized: bool,
}

/// Compares all columns of all rows while both sides are written to. Differences are a result, not
/// a failure. A run that is interrupted goes on where it ended.
pub struct FullVerification {
    source: Arc<dyn Source>,
    sink: Arc<dyn Sink>,
    shelf: Arc<Shelf>,
    settings: FullVerificationSettings,
}

impl FullVerification {
    /// Compares the source with the sink.
    pub fn new(
        source: Arc<dyn Source>,
        sink: Arc<dyn Sink>,
        shelf: Arc<Shelf>,
        settings: FullVerificationSettings,
    ) -> Self {
        Self {
            source,
            sink,
            shelf,
            settings,
        }
    }

    async fn plan(&self, context: &Context) -> Result<Verification, Failure> {
        let s = &self.settings;
        let results = Results::new(&s.results, context.id.project().as_str())?;
        let mut tables: Vec<TablePair> = Vec::new();
        let mut unpaired = Vec::new();
        for (mapping, pair) in load_pairs_each(&*self.source, &*self.sink, &s.tables).await? {
            match pair {
                Ok(pair) => tables.push(pair),
                Err(failure) => unpaired.push((mapping.source, mapping.destination, Arc::new(failure))),
            }
        }
        let sides = Arc::new(SourceAndSink {
            source: self.source.clone(),
            sink: self.sink.clone(),
        });
        let mut plan = Verification::new(results, s.run, tables, sides);
        plan.scope = s.scope;
        plan.unpaired = unpaired;
        plan.options = s.options.clone();
        plan.charsets = s.charsets.clone();
        if s.synchronized {
            plan.barrier = Some(Arc::new(AppliedBarrier {
                source: self.source.clone(),
                shelf: self.shelf.clone(),
                project: context.id.project().clone(),
            }));
        }
        Ok(plan)
    }
}

/// Waits until incremental synchronization on this node has applied the source's log of now.
struct AppliedBarrier {
    source: Arc<dyn Source>,
    shelf: Arc<Shelf>,
    project: ProjectId,
}

#[async_trait]
impl Barrier for AppliedBarrier {
    async fn settled(&self) -> Result<(), Failure> {
        let target = self.source.current_position().await?;
        let mut applied = self.shelf.applied(&self.project);
        let reached = |p: &Option<Position>| p.as_ref().is_some_and(|p| *p >= target);
        applied
            .wait_for(reached)
            .await
            .map(drop)
            .map_err(|_| Failure::new(codes::store::IO, "incremental synchronization has ended"))
    }
}

async fn follow(context: &Context, progress: Arc<VerifyProgress>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        publish(context, &progress);
    }
}

fn publish(context: &Context, progress: &VerifyProgress) {
    let tables = progress.tables();
    let read = progress.counters.read();
    let active: Vec<_> = tables
        .iter()
        .filter(|t| matches!(t.stage, TableStage::Comparing | TableStage::Rechecking))
        .map(|t| t.source.to_string())
        .collect();
    context.progress.update(|p| {
        p.rows = tables.iter().map(|t| t.rows).sum();
        p.bytes = read.bytes;
        let total = |t: &oms_verify::TableProgress| {
            if t.stage == TableStage::Ended {
                t.rows
            } else {
                t.estimated_rows.max(t.rows)
            }
        };
        p.total_rows = tables.iter().map(total).sum();
        p.objects = tables.iter().filter(|t| t.stage == TableStage::Ended).count() as u64;
        p.total_objects = tables.len() as u64;
        p.detail = active.join(", ");
    });
}

fn words(summary: &RunSummary, tables: &[TableResult]) -> String {
    let differences = summary.source_only + summary.destination_only + summary.mismatched;
    let mut words = format!("{} rows in {} tables: ", summary.rows, summary.tables);
    if summary.consistent {
        words.push_str("no differences");
        return words;
    }
    words.push_str(&format!("{differences} differences"));
    if summary.failed_tables > 0 {
        words.push_str(&format!(", {} tables not compared", summary.failed_tables));
        if let Some(first) = tables.iter().find(|t| t.error.is_some()) {
            words.push_str(&format!(
                " ({}: {})",
                first.source,
                first.error.as_deref().unwrap_or_default()
            ));
        }
    }
    words
}

#[async_trait]
impl Behavior for FullVerification {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let plan = self.plan(context).await?;
        let results = plan.results.clone();
        context.log.info(format!(
            "run {} of {} tables",
            plan.run,
            plan.tables.len() + plan.unpaired.len()
        ));
        let verifier = Verifier::new(plan);
        let ended = tokio::select! {
            ended = verifier.run(&context.cancel) => ended?,
            () = follow(context, verifier.progress()) => return Ok(Completion::Stopped),
        };
        publish(context, &verifier.progress());
        match ended {
            Ended::Cancelled => Ok(Completion::Stopped),
            Ended::Completed(summary) => {
                let tables = results.run(self.settings.run)?.tables()?;
                let line = words(&summary, &tables);
                context
                    .reporter
                    .facts(Facts::Verified { summary, tables })
                    .await?;
                Ok(Completion::Done(line))
            }
        }
    }

    async fn remove(&self, context: &Context) -> Result<(), Failure> {
        Ok(Results::new(&self.settings.results, context.id.project().as_str())?.remove()?)
    }
}
