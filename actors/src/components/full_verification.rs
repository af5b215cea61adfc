//! Full verification: proves both sides equal, or names what differs.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_core::{ClaimToken, Failure, Sink, SinkOptions, Source, TableName, TablePair};
use oms_types::{ComponentId, ComponentKind};
use oms_verify::{
    Barrier, Charsets, Ended, Results, RunSummary, Scope, SourceAndSink, TableResult, TableStage,
    Verification, Verifier, VerifyOptions, VerifyProgress,
};

use super::pairs::{Mapping, load_pairs_each};
use crate::{Behavior, Completion, Context, Facts};

/// How often progress is published.
const TICK: Duration = Duration::from_millis(250);
/// How often the destination is asked what was applied.
const ASK_FIRST: Duration = Duration::from_millis(100);
const ASK_AT_MOST: Duration = Duration::from_secs(1);

/// What full verification compares, and how.
#[derive(Clone)]
pub struct FullVerificationSettings {
    /// The tables.
    pub tables: Vec<Mapping>,
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
    /// Tables that the source does not give in the order of their keys: several tables are seen as one.
    pub unordered: BTreeSet<TableName>,
}

/// Compares all columns of all rows while both sides are written to. Differences are a result, not
/// a failure. What it finds lies at the destination, so that a run that is interrupted goes on where it ended,
/// on whichever node, and every node can show the results.
pub struct FullVerification {
    source: Arc<dyn Source>,
    sink: Arc<dyn Sink>,
    settings: FullVerificationSettings,
}

impl FullVerification {
    /// Compares the source with the sink.
    pub fn new(source: Arc<dyn Source>, sink: Arc<dyn Sink>, settings: FullVerificationSettings) -> Self {
        Self {
            source,
            sink,
            settings,
        }
    }

    async fn plan(&self, context: &Context) -> Result<Verification, Failure> {
        let s = &self.settings;
        let results = Results::at(&*self.sink, &context.id)?;
        let token = ClaimToken {
            component: context.id.clone(),
            epoch: context.epoch,
        };
        let options = SinkOptions {
            tables: Arc::default(),
            lanes: 0,
        };
        // Nothing of an earlier owner comes behind what is read from here on.
        let claim = self.sink.claim(token, options).await?;
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
        let mut plan = Verification::new(results, claim.record_writer()?, s.run, tables, sides);
        plan.scope = s.scope;
        plan.unpaired = unpaired;
        plan.options = s.options.clone();
        plan.charsets = s.charsets.clone();
        plan.unordered = s.unordered.clone();
        if s.synchronized {
            plan.barrier = Some(Arc::new(AppliedBarrier {
                source: self.source.clone(),
                sink: self.sink.clone(),
                incr_sync: ComponentId::new(context.id.project().clone(), ComponentKind::IncrSync),
            }));
        }
        Ok(plan)
    }
}

/// Waits until incremental synchronization has applied the source's log of now. The destination tells, so it
/// does not matter on which node that runs.
struct AppliedBarrier {
    source: Arc<dyn Source>,
    sink: Arc<dyn Sink>,
    incr_sync: ComponentId,
}

#[async_trait]
impl Barrier for AppliedBarrier {
    async fn settled(&self) -> Result<(), Failure> {
        let target = self.source.current_position().await?;
        let mut wait = ASK_FIRST;
        loop {
            let applied = self.sink.applied(&self.incr_sync).await?;
            if applied.is_some_and(|a| a.watermark.position >= target) {
                return Ok(());
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(ASK_AT_MOST);
        }
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
                let run = results.run(self.settings.run).await.map_err(Failure::from)?;
                let tables = run.tables().await?;
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
        self.sink.forget(&context.id).await
    }

    fn keeps(&self, context: &Context) -> String {
        self.sink.keeps(&context.id)
    }
}
