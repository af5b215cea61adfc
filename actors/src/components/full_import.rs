//! Full import: copies the rows that exist.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use oms_apply::{
    ExistingPolicy, ImportConfig, ImportEnd, ImportReport, ImportTuning, Importer, LeftOut, TableState,
    Workers,
};
use oms_core::{ClaimToken, Failure, Sink, Source};

use super::{
    incr_sync::left_out_words,
    pairs::{Mapping, load_pairs},
};
use crate::{Behavior, Completion, Context, Facts, Live};

/// How often progress is published.
const TICK: Duration = Duration::from_millis(250);
/// Failed tables that are named in the component's error.
const NAMED: usize = 5;

/// What full import copies, and how.
#[derive(Clone, Debug)]
pub struct FullImportSettings {
    /// The tables.
    pub tables: Vec<Mapping>,
    /// Keep rows that are at the destination already, instead of stopping.
    pub ignore_existing: bool,
    /// The user went on although destination tables hold rows.
    pub existing_accepted: bool,
    /// Workers and limits, which may change at any time.
    pub tuning: Live<ImportTuning>,
    /// Most rows of a chunk.
    pub chunk_rows: u64,
    /// Conflicting rows above which a table fails.
    pub max_conflicts: u64,
    /// Note the end of the source's log afterwards, for incremental synchronization.
    pub log_position: bool,
}

/// Copies rows chunk by chunk without locks. Each chunk and its receipt commit together, so that a
/// later run goes on where this one ended. A table that fails does not stop the others.
pub struct FullImport {
    source: Arc<dyn Source>,
    sink: Arc<dyn Sink>,
    settings: FullImportSettings,
    left_out: Option<Arc<LeftOut>>,
}

impl FullImport {
    /// Copies from the source to the sink.
    pub fn new(source: Arc<dyn Source>, sink: Arc<dyn Sink>, settings: FullImportSettings) -> Self {
        Self {
            source,
            sink,
            settings,
            left_out: None,
        }
    }

    /// Tells in its progress what the source leaves out.
    pub fn leaving_out(self, left_out: Option<Arc<LeftOut>>) -> Self {
        Self { left_out, ..self }
    }

    fn config(&self) -> ImportConfig {
        let s = &self.settings;
        ImportConfig {
            tuning: s.tuning.now(),
            chunk_rows: s.chunk_rows,
            existing: if s.ignore_existing {
                ExistingPolicy::Ignore
            } else {
                ExistingPolicy::Stop
            },
            check_empty: !s.existing_accepted,
            max_conflicts: s.max_conflicts,
            ..ImportConfig::default()
        }
    }
}

/// Publishes progress, and passes on changes of the tuning, until dropped.
async fn follow(
    context: &Context,
    importer: &Importer,
    tuning: &Live<ImportTuning>,
    left_out: Option<&LeftOut>,
) {
    let progress = importer.progress();
    let mut tick = tokio::time::interval(TICK);
    let mut known = tuning.now();
    loop {
        tick.tick().await;
        let now = tuning.now();
        if now != known {
            known = now;
            importer.tune(now);
            context.log.info(format!("goes on with {}", words(&now)));
        }
        publish(context, &progress.read(), left_out);
    }
}

/// Workers and limits for people.
fn words(tuning: &ImportTuning) -> String {
    let mut words = match tuning.workers {
        Workers::Fixed(1) => "1 worker".to_owned(),
        Workers::Fixed(n) => format!("{n} workers"),
        Workers::Auto(most) => format!("up to {most} workers, as many as make it faster"),
    };
    for (limit, unit) in [
        (tuning.rows_per_second, "rows/s"),
        (tuning.bytes_per_second, "bytes/s"),
    ] {
        if let Some(limit) = limit {
            words.push_str(&format!(", at most {limit} {unit}"));
        }
    }
    words
}

fn publish(context: &Context, tables: &[oms_apply::TableProgress], left_out: Option<&LeftOut>) {
    let running: Vec<_> = tables
        .iter()
        .filter(|t| t.state == TableState::Running)
        .map(|t| t.table.to_string())
        .collect();
    context.progress.update(|p| {
        p.rows = tables.iter().map(|t| t.rows).sum();
        p.bytes = tables.iter().map(|t| t.bytes).sum();
        // An estimate may be too low: what is done counts at least.
        let total = |t: &oms_apply::TableProgress| {
            if t.state == TableState::Finished {
                t.rows
            } else {
                t.estimated_rows.max(t.rows)
            }
        };
        p.total_rows = tables.iter().map(total).sum();
        p.objects = tables.iter().filter(|t| t.state == TableState::Finished).count() as u64;
        p.total_objects = tables.len() as u64;
        p.detail = running.join(", ") + &left_out_words(left_out);
    });
}

fn verdict(report: &ImportReport) -> Result<String, Failure> {
    let mut failed = report
        .tables
        .iter()
        .filter_map(|t| t.failure.as_ref().map(|f| (&t.table, f)));
    if let Some((table, first)) = failed.next() {
        let mut words = format!("{table}: {}", first.detail());
        let rest: Vec<_> = failed.collect();
        for (table, failure) in rest.iter().take(NAMED - 1) {
            words.push_str(&format!("; {table}: {failure}"));
        }
        if rest.len() >= NAMED {
            words.push_str(&format!("; and {} more tables", rest.len() + 1 - NAMED));
        }
        return Err(Failure::new(first.code(), words));
    }
    let rows: u64 = report.tables.iter().map(|t| t.rows).sum();
    let conflicts: u64 = report.tables.iter().map(|t| t.conflicts).sum();
    let kept = if conflicts > 0 {
        format!(", {conflicts} rows kept as they were at the destination")
    } else {
        String::new()
    };
    Ok(format!("{rows} rows in {} tables{kept}", report.tables.len()))
}

#[async_trait]
impl Behavior for FullImport {
    async fn run(&self, context: &Context) -> Result<Completion, Failure> {
        let pairs = load_pairs(&*self.source, &*self.sink, &self.settings.tables).await?;
        let token = ClaimToken {
            component: context.id.clone(),
            epoch: context.epoch,
        };
        let importer = Importer::new(
            self.source.clone(),
            self.sink.clone(),
            token,
            pairs,
            self.config(),
        );
        let end = tokio::select! {
            end = importer.run(&context.cancel) => end?,
            () = follow(context, &importer, &self.settings.tuning, self.left_out.as_deref()) => return Ok(Completion::Stopped),
        };
        publish(context, &importer.progress().read(), self.left_out.as_deref());
        let report = match end {
            ImportEnd::Cancelled => return Ok(Completion::Stopped),
            ImportEnd::Finished(report) => report,
        };
        for table in report.tables.iter().filter(|t| t.conflicts > 0) {
            context.log.warn(format!(
                "{}: {} rows kept as they were at the destination",
                table.table, table.conflicts
            ));
        }
        let summary = verdict(&report)? + &left_out_words(self.left_out.as_deref());
        if self.settings.log_position {
            // Nothing of the import can commit any more: what was read is older than this.
            let safe_until = self.source.current_position().await?;
            let snapshots = report
                .tables
                .iter()
                .filter_map(|t| Some((t.table.clone(), t.snapshot.clone()?)))
                .collect();
            context
                .reporter
                .facts(Facts::Imported {
                    safe_until,
                    snapshots,
                })
                .await?;
        }
        Ok(Completion::Done(summary))
    }

    async fn remove(&self, context: &Context) -> Result<(), Failure> {
        self.sink.forget(&context.id).await
    }

    fn keeps(&self, context: &Context) -> String {
        self.sink.keeps(&context.id)
    }
}
