//! Carries statements that define over to the destination, each once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use oms_apply::{AfterDdl, DefinitionHandler, EventSource, LoggedDdl};
use oms_core::{
    Announcement, Claim, DefinitionKind, Failure, LogEvent, Position, RecordReader, Sink, TableName,
    TablePair, TableSchema, Watermark, codes,
};
use oms_schema::{DdlSelection as _, DdlStatement, StatementContext};
use parking_lot::Mutex;

use super::{
    archive::{Archive, Snapshot},
    entry::{DdlDecision, DdlEntry, EntryState, EntryStep},
    followed::{Followed, Place, is_under_way, without_phase},
    judgement::{Judge, Judgement, Verdict, is_about, kind, shortened},
    ports::DefinitionPorts,
    selection::FollowedSelection,
};
use crate::{Clock, ComponentLog};

/// Statements behind the saved definitions after which they are saved anew.
const SAVE_AFTER: u64 = 64;

/// What a follower works with.
pub(crate) struct Parts {
    pub(crate) ports: Arc<dyn DefinitionPorts>,
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) records: Arc<dyn RecordReader>,
    pub(crate) selection: FollowedSelection,
    pub(crate) decisions: Vec<DdlDecision>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Arc<ComponentLog>,
}

/// A followed table as a run has it.
type Shape = (TableName, TableName, Arc<TableSchema>);

/// Follows the definitions of the source.
pub(crate) struct Follower {
    parts: Parts,
    judge: Judge,
    /// Under the present claim.
    claim: Mutex<Arc<dyn Claim>>,
    state: Mutex<Followed>,
    /// The tables of the present run.
    shapes: Mutex<Vec<Shape>>,
}

impl Follower {
    /// Finds out where the definitions stand, and finishes what an earlier owner left under way.
    ///
    /// Where nothing is recorded yet, definitions are read from the source now, and `log` is read from `from` up to the
    /// place at which they were read: a statement about a selected table in between stops.
    ///
    /// # Errors
    /// `OMS-APPLY-0011`, `-0012`, `-0013`, and those of both servers.
    pub(crate) async fn open(
        parts: Parts,
        claim: Arc<dyn Claim>,
        log: &dyn EventSource,
        from: &Position,
    ) -> Result<Self, Failure> {
        let destination = parts.ports.destination().await?;
        let mut options = parts.ports.options();
        options.renames.lower_case = destination.lower_case_names;
        let judge = Judge {
            facts: parts.ports.facts().await?,
            destination,
            options,
            selection: parts.selection.clone(),
            announces: parts.sink.announces(),
        };
        let archive = Archive::new(parts.records.clone(), claim.record_writer()?);
        let snapshot = match archive.load().await? {
            Some(snapshot) => snapshot,
            None => {
                let snapshot = first(&parts, &judge, log, from).await?;
                archive.save(&snapshot).await?;
                parts.log.info(format!(
                    "definitions of {} tables are followed from {from}",
                    snapshot.tracker.tables().count()
                ));
                snapshot
            }
        };
        let mut state = Followed::new(snapshot);
        for entry in archive.behind(state.snapshot.number).await? {
            state.advance(entry)?;
        }
        let follower = Self {
            parts,
            judge,
            claim: Mutex::new(claim),
            state: Mutex::new(state),
            shapes: Mutex::default(),
        };
        let open = follower.state.lock().last.clone();
        if let Some(entry) = open.filter(is_under_way) {
            follower.parts.log.info(format!(
                "going on with statement {} at step {} of {}",
                entry.number,
                entry.done + 1,
                entry.steps.len()
            ));
            follower.resolve(entry, None).await?;
        }
        Ok(follower)
    }

    /// Works under a later claim from now on.
    pub(crate) fn renew(&self, claim: Arc<dyn Claim>) {
        *self.claim.lock() = claim;
    }

    fn archive(&self) -> Result<Archive, Failure> {
        let writer = self.claim.lock().record_writer()?;
        Ok(Archive::new(self.parts.records.clone(), writer))
    }

    /// The tables that are followed now, at the source and at the destination.
    pub(crate) fn tables(&self) -> BTreeMap<TableName, TableName> {
        self.state.lock().tables(&self.parts.selection)
    }

    fn shapes_now(&self) -> Result<Vec<Shape>, Failure> {
        let state = self.state.lock();
        let collation = |charset: &str| self.judge.facts.traits.default_collation(charset);
        let mut all = Vec::new();
        for (from, to) in state.tables(&self.parts.selection) {
            if let Some(shape) = state.shape(&from, &collation)? {
                all.push((from, to, shape));
            }
        }
        Ok(all)
    }

    /// The tables of the next run, with what the destination has of them.
    ///
    /// # Errors
    /// `OMS-DST-0009` names destination tables that are missing; those of [`TablePair::by_name`].
    pub(crate) async fn pairs(&self) -> Result<Arc<Vec<TablePair>>, Failure> {
        let missing = self.state.lock().missing(&self.parts.selection);
        let shapes = self.shapes_now()?;
        let targets: Vec<TableName> = shapes.iter().map(|(_, to, _)| to.clone()).collect();
        let found = if self.judge.announces {
            // What is told is told as it is.
            shapes
                .iter()
                .map(|(_, to, shape)| Some(renamed(shape, to)))
                .collect()
        } else {
            self.parts.sink.load_tables(&targets).await?
        };
        let absent: Vec<_> = targets
            .iter()
            .zip(&found)
            .filter(|(_, found)| found.is_none())
            .map(|(name, _)| name.to_string())
            .collect();
        if !absent.is_empty() {
            return Err(Failure::new(codes::dst::TABLE_MISSING, absent.join(", ")));
        }
        let mut pairs = Vec::with_capacity(shapes.len());
        for ((from, _, shape), destination) in shapes.iter().zip(found.into_iter().flatten()) {
            let left_out = self.state.lock().left_out(from);
            pairs.push(TablePair::by_name_without(
                shape.clone(),
                Arc::new(destination),
                &left_out,
            )?);
        }
        if !missing.is_empty() {
            tracing::debug!(?missing, "selected tables that are gone or no longer followed");
        }
        *self.shapes.lock() = shapes;
        Ok(Arc::new(pairs))
    }

    /// Writes an entry and goes on to it.
    async fn keep(&self, entry: &DdlEntry) -> Result<(), Failure> {
        self.archive()?.write(entry).await?;
        let mut state = self.state.lock();
        state.advance(entry.clone())
    }

    async fn close(&self, mut entry: DdlEntry, state: EntryState) -> Result<(), Failure> {
        entry.state = state;
        entry.ended_at_ms = self.parts.clock.now_ms();
        if state != EntryState::Passed {
            self.parts.log.info(format!(
                "statement {} is {}: {}",
                entry.number,
                match state {
                    EntryState::Skipped => "skipped",
                    _ => "done",
                },
                shortened(&entry.statement)
            ));
        }
        self.keep(&entry).await?;
        let (due, snapshot) = {
            let state = self.state.lock();
            (
                state.snapshot.number.is_multiple_of(SAVE_AFTER),
                state.snapshot.clone(),
            )
        };
        if due {
            self.archive()?.save(&snapshot).await?;
        }
        Ok(())
    }

    /// Stops the project in front of the statement.
    async fn wait(&self, mut entry: DdlEntry, code: &str, reason: String) -> Failure {
        entry.state = EntryState::Waiting;
        entry.error_code = code.to_owned();
        entry.outcome.clone_from(&reason);
        let failure = Failure::new(
            codes::apply::DDL_UNDECIDED,
            format!(
                "statement {} of the source, ending at {}: {}: {code} {reason}",
                entry.number,
                entry.position,
                shortened(&entry.statement)
            ),
        );
        match self.keep(&entry).await {
            Ok(()) => failure,
            Err(other) => other,
        }
    }

    /// Goes on with an open entry: as the user decided, or with what is left of its steps.
    async fn resolve(&self, mut entry: DdlEntry, judged: Option<Judgement>) -> Result<(), Failure> {
        let decision = self
            .parts
            .decisions
            .iter()
            .filter(|d| d.number == entry.number && d.decided_at_ms > entry.decided_at_ms)
            .max_by_key(|d| d.decided_at_ms);
        if let Some(decision) = decision {
            let judgement = match judged {
                Some(judgement) => judgement,
                None => self.judge_entry(&entry),
            };
            entry.decided_at_ms = decision.decided_at_ms;
            entry.forgotten = judgement.forgotten;
            if decision.statements.is_empty() {
                entry.left_out = self.lacking(&entry, &judgement.concerned).await?;
                entry.outcome = left_out_words(&entry);
                return self.close(entry, EntryState::Skipped).await;
            }
            entry.steps = decision
                .statements
                .iter()
                .map(|s| EntryStep::of_user(s))
                .collect();
            (entry.done, entry.begun) = (0, false);
            entry.outcome = "as the user wrote it".to_owned();
        } else if let Some(judgement) = judged {
            match judgement.verdict {
                Verdict::Pass(why) => {
                    entry.forgotten = judgement.forgotten;
                    entry.outcome = why;
                    return self.close(entry, EntryState::Passed).await;
                }
                Verdict::Refuse { code, reason } => return Err(self.wait(entry, &code, reason).await),
                Verdict::Execute { steps, notes } => {
                    entry.steps = steps;
                    entry.notes = notes;
                    entry.outcome.clear();
                }
            }
        }
        entry.state = EntryState::Running;
        entry.error_code.clear();
        self.execute(entry).await
    }

    fn judge_entry(&self, entry: &DdlEntry) -> Judgement {
        let ddl = logged(entry);
        let state = self.state.lock().clone();
        self.judge.judge(&state, &ddl)
    }

    /// Tells of the steps that are left and closes the entry.
    async fn announce(&self, mut entry: DdlEntry) -> Result<(), Failure> {
        let claim = self.claim.lock().clone();
        let concerned = self.judge_entry(&entry).concerned;
        let tables = {
            let state = self.state.lock();
            let nothing = BTreeMap::new();
            let selection = state.selection(&self.parts.selection, &nothing);
            let named = concerned.into_iter();
            named
                .filter_map(|from| selection.destination(&from).map(|to| (from, to)))
                .collect()
        };
        let statement = DdlStatement::parse(without_phase(&entry.statement), &entry.context);
        let mut announcement = Announcement {
            number: (entry.number, 0),
            kind: statement.as_ref().map_or(DefinitionKind::Other, kind),
            statement: String::new(),
            tables,
            position: entry.position.clone(),
            source_time_us: entry.source_time_us,
        };
        while let Some(step) = entry.steps.get(entry.done) {
            announcement.number.1 = entry.done as u64;
            without_phase(&step.sql).clone_into(&mut announcement.statement);
            claim
                .announce(&announcement)
                .await
                .map_err(|failure| failure.context(format!("statement {}", entry.number)))?;
            entry.done += 1;
        }
        self.close(entry, EntryState::Done).await
    }

    /// Executes the steps that are left and closes the entry.
    async fn execute(&self, mut entry: DdlEntry) -> Result<(), Failure> {
        if self.judge.announces {
            // That a statement is under way is not noted: whether it was told is known to the destination.
            return self.announce(entry).await;
        }
        let settings = self.judge.destination.session_statements();
        let claim = self.claim.lock().clone();
        // Under the component's lock from here on: whether a step ran is asked when no former owner's can run any more.
        let mut definer = claim.definer(&settings).await?;
        while let Some(step) = entry.steps.get(entry.done).cloned() {
            if !step.facts.is_empty() && !step.repeatable {
                let tables: BTreeSet<TableName> = step.facts.iter().map(|f| f.table.clone()).collect();
                let tables: Vec<TableName> = tables.into_iter().collect();
                let found = self.parts.ports.look_up(&tables).await?;
                if step
                    .facts
                    .iter()
                    .all(|f| f.holds(&|name| found.get(name).cloned().flatten()))
                {
                    entry.done += 1;
                    entry.begun = false;
                    continue;
                }
            } else if entry.begun && !step.repeatable {
                definer.close().await;
                let reason = format!(
                    "whether this was executed is not known, because its owner ended meanwhile: {}",
                    shortened(&step.sql)
                );
                return Err(self
                    .wait(entry, codes::apply::DDL_UNDECIDED.as_str(), reason)
                    .await);
            }
            entry.begun = true;
            self.keep(&entry).await?;
            if let Err(failure) = definer.execute(&step.sql).await {
                if failure.is_transient() || failure.is_fenced() {
                    return Err(failure.context(format!("statement {}", entry.number)));
                }
                definer.close().await;
                // The destination refused it: it did not run.
                entry.begun = false;
                let reason = format!("{}: {}", shortened(&step.sql), failure.text());
                return Err(self.wait(entry, failure.code().as_str(), reason).await);
            }
            entry.done += 1;
            entry.begun = false;
        }
        definer.close().await;
        self.close(entry, EntryState::Done).await
    }

    /// What the destination lacks of the tables that a skipped statement was about.
    async fn lacking(
        &self,
        entry: &DdlEntry,
        concerned: &BTreeSet<TableName>,
    ) -> Result<Vec<(TableName, Vec<String>)>, Failure> {
        if self.judge.announces {
            return Ok(Vec::new());
        }
        let mut after = self.state.lock().clone();
        after.advance(DdlEntry {
            state: EntryState::Skipped,
            ..entry.clone()
        })?;
        let tables = after.tables(&self.parts.selection);
        let collation = |charset: &str| self.judge.facts.traits.default_collation(charset);
        let mut all = Vec::new();
        for (from, to) in tables.iter().filter(|(from, _)| concerned.contains(*from)) {
            let Some(shape) = after.shape(from, &collation)? else {
                continue;
            };
            let found = self.parts.sink.load_tables(std::slice::from_ref(to)).await?;
            match found.into_iter().next().flatten() {
                None => all.push((from.clone(), Vec::new())),
                Some(there) => {
                    let columns = shape.columns.iter().filter(|c| c.generated.is_none());
                    let lacking: Vec<String> = columns
                        .filter(|c| there.column_index(&c.name).is_none())
                        .map(|c| c.name.clone())
                        .collect();
                    if !lacking.is_empty() {
                        all.push((from.clone(), lacking));
                    }
                }
            }
        }
        Ok(all)
    }

    fn entry(&self, number: u64, ddl: &LoggedDdl, context: StatementContext) -> DdlEntry {
        DdlEntry {
            number,
            position: ddl.position.clone(),
            in_transaction: ddl.context.in_transaction,
            source_time_us: ddl.source_time_us,
            database: ddl.database.clone(),
            statement: ddl.statement.clone(),
            context,
            state: EntryState::Waiting,
            outcome: String::new(),
            error_code: String::new(),
            notes: Vec::new(),
            steps: Vec::new(),
            done: 0,
            begun: false,
            forgotten: Vec::new(),
            left_out: Vec::new(),
            decided_at_ms: 0,
            started_at_ms: self.parts.clock.now_ms(),
            ended_at_ms: 0,
        }
    }
}

/// A table as messages have it: with what the source computes.
fn renamed(shape: &TableSchema, to: &TableName) -> TableSchema {
    let mut schema = shape.clone();
    schema.name = to.clone();
    for column in &mut schema.columns {
        column.generated = None;
    }
    schema
}

/// The statement of an entry as the log gave it.
fn logged(entry: &DdlEntry) -> LoggedDdl {
    LoggedDdl {
        database: entry.database.clone(),
        statement: entry.statement.clone(),
        position: entry.position.clone(),
        source_time_us: entry.source_time_us,
        context: oms_core::DdlContext {
            sql_mode: u64::from(entry.context.real_as_float)
                | u64::from(entry.context.ansi_quotes) << 2
                | u64::from(entry.context.no_backslash_escapes) << 20,
            server_collation: None,
            explicit_timestamps: Some(entry.context.explicit_timestamps),
            exact: true,
            in_transaction: entry.in_transaction,
        },
    }
}

fn left_out_words(entry: &DdlEntry) -> String {
    let mut words = vec!["skipped by the user".to_owned()];
    for (table, columns) in &entry.left_out {
        words.push(if columns.is_empty() {
            format!("{table} is not at the destination and no longer followed")
        } else {
            format!(
                "columns of {table} that are not at the destination: {}",
                columns.join(", ")
            )
        });
    }
    for table in &entry.forgotten {
        words.push(format!(
            "what {table} is like now is not known; it is no longer followed"
        ));
    }
    words.join("; ")
}

/// Reads the definitions for the first time.
async fn first(
    parts: &Parts,
    judge: &Judge,
    log: &dyn EventSource,
    from: &Position,
) -> Result<Snapshot, Failure> {
    let databases: Vec<String> = parts.selection.databases.keys().cloned().collect();
    let mut read = parts.ports.read_source(&databases).await?;
    let mut born = BTreeSet::new();
    let mut feed = log.open(from).await?;
    'log: loop {
        let Some(events) = feed.next(1 << 20).await? else {
            break;
        };
        for event in events {
            let reached = match event {
                LogEvent::Ddl {
                    database,
                    statement,
                    position,
                    source_time_us,
                    context,
                } => {
                    let ddl = LoggedDdl {
                        database,
                        statement,
                        position,
                        source_time_us,
                        context,
                    };
                    if !is_at_most(&ddl.position, &read.read_at)? {
                        break 'log;
                    }
                    if judge.concerns(&read.tracker, &ddl) {
                        judge.before_reading(&read.tracker, &ddl, &mut born)?;
                    }
                    continue;
                }
                LogEvent::Commit { position, .. } | LogEvent::Heartbeat { position, .. } => position,
                LogEvent::Begin { .. } | LogEvent::Row(_) | LogEvent::Abort => continue,
            };
            if !is_at_most(&reached, &read.read_at)? || reached == read.read_at {
                break 'log;
            }
        }
    }
    for name in &born {
        read.tracker.forget(name);
    }
    if let Some((name, reason)) = read
        .unreadable
        .iter()
        .find(|(name, _)| parts.selection.named.contains_key(name) && !parts.selection.removed.contains(name))
    {
        return Err(Failure::new(
            codes::schema::STATEMENT_NOT_UNDERSTOOD,
            format!("{name}: {reason}"),
        ));
    }
    let unselected = |name: &TableName| !parts.selection.named.contains_key(name);
    let excluded = read
        .tracker
        .tables()
        .map(|(name, _)| name)
        .chain(read.unreadable.iter().map(|(name, _)| name.clone()))
        .filter(unselected)
        .collect();
    Ok(Snapshot {
        version: Snapshot::VERSION,
        number: 0,
        tracker: read.tracker,
        read_at: read.read_at,
        born,
        excluded,
        left_out_columns: Vec::new(),
        left_out_tables: BTreeSet::new(),
    })
}

fn is_at_most(reached: &Position, bound: &Position) -> Result<bool, Failure> {
    let order = reached.partial_cmp(bound).ok_or_else(|| {
        Failure::new(
            codes::apply::POSITION_NOT_COMPARABLE,
            format!("{reached} with the place at which definitions were read, {bound}"),
        )
    })?;
    Ok(order != std::cmp::Ordering::Greater)
}

#[async_trait]
impl DefinitionHandler for Follower {
    fn concerns(&self, ddl: &LoggedDdl) -> bool {
        self.judge.concerns(self.state.lock().tracker(), ddl)
    }

    async fn on_ddl(&self, ddl: &LoggedDdl, _behind: &Watermark) -> Result<AfterDdl, Failure> {
        let (place, early, before) = {
            let state = self.state.lock();
            let place = state.place(&ddl.position, ddl.context.in_transaction)?;
            let early = place == Place::New && state.is_early(&ddl.position)?;
            (place, early, state.clone())
        };
        let context = self.judge.context(ddl);
        let skipped = early
            && DdlStatement::parse(without_phase(&ddl.statement), &context)
                .is_ok_and(|statement| !is_about(&statement, &before.snapshot.born));
        let entry = match (place, before.last.clone()) {
            (Place::Closed, _) => return Ok(AfterDdl::Continue),
            _ if skipped => return Ok(AfterDdl::Continue),
            (Place::Open, Some(open)) => open,
            (Place::Open | Place::New, _) => self.entry(before.next_number(), ddl, context),
        };
        let truncates = matches!(
            DdlStatement::parse(without_phase(&ddl.statement), &entry.context),
            Ok(DdlStatement::TruncateTable { .. })
        );
        let judged = self.judge.judge(&before, ddl);
        let touches = !judged.concerned.is_empty();
        self.resolve(entry, Some(judged)).await?;
        let passed = self
            .state
            .lock()
            .last
            .as_ref()
            .is_some_and(|last| last.state == EntryState::Passed);
        let same = self.shapes_now()? == *self.shapes.lock();
        Ok(if same && (passed || truncates || !touches) {
            AfterDdl::Continue
        } else {
            AfterDdl::Redefined
        })
    }
}
