//! From events to transactions.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use oms_core::{AppliedSet, ApplyMode, Failure, LogEvent, Origin, Position, RowChange, RowOp};

use tokio_util::task::AbortOnDropHandle;

use super::{
    AfterDdl, DefinitionHandler, EventFeed, EventSource, LoggedDdl, SyncConfig, SyncEnd,
    lane::Transaction,
    running::{Halt, Running},
    stream::Streaming,
    window::{Stop, Window},
};
use crate::ApplyError;

/// Bytes that a change occupies besides its rows' buffers.
const CHANGE_OVERHEAD: usize = size_of::<RowOp>();

fn change_bytes(before: Option<&oms_core::Row>, after: Option<&oms_core::Row>) -> usize {
    before.map_or(0, oms_core::Row::size) + after.map_or(0, oms_core::Row::size) + CHANGE_OVERHEAD
}

type Fetched = Result<(Box<dyn EventFeed>, Option<Vec<LogEvent>>), Failure>;
type Fetching<'a> = Pin<Box<dyn Future<Output = Fetched> + Send + 'a>>;

/// Reads on while what was read is given to the lanes: decoding has a thread of its own where there are several.
fn fetch(mut feed: Box<dyn EventFeed>, bytes: usize) -> Fetching<'static> {
    let reading = AbortOnDropHandle::new(tokio::spawn(async move {
        let events = feed.next(bytes).await?;
        Ok((feed, events))
    }));
    Box::pin(async move {
        match reading.await {
            Ok(fetched) => fetched,
            Err(error) => Err(ApplyError::Protocol(format!("reading the log broke off: {error}")).into()),
        }
    })
}

/// The transaction that is being read.
struct Open {
    number: u64,
    /// The source's name of it, where origins are told.
    id: Option<String>,
    /// What its rows say of it once they are streamed.
    origin: Option<Arc<Origin>>,
    rows: usize,
    bytes: usize,
    stage: Stage,
}

enum Stage {
    /// Its rows are collected.
    Collect(Vec<RowOp>),
    /// It is at the destination already.
    Skip,
    /// Only its end is looked for: it is large, and how it is treated depends on its end.
    Measure,
    /// Its rows go to the destination as they come.
    Stream(Streaming),
}

/// Reads events and makes transactions of them.
pub(super) struct Intake<'a> {
    source: &'a dyn EventSource,
    config: &'a SyncConfig,
    window: Window,
    /// Transactions behind the first watermark that are at the destination already.
    above: AppliedSet,
    tables: usize,
    fetching: Option<Fetching<'a>>,
    events: VecDeque<LogEvent>,
    open: Option<Open>,
    /// Aborted transactions since the last position.
    aborts: u32,
    /// Where a large transaction ends that was read once for this, and which one: its number, and
    /// the aborted ones directly before it.
    measured: Option<(u64, u32, Position)>,
    /// The feed, while a statement that defines is dealt with: what follows it is not read ahead.
    held: Option<Box<dyn EventFeed>>,
    pub(super) definitions: Option<&'a dyn DefinitionHandler>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(
        source: &'a dyn EventSource,
        config: &'a SyncConfig,
        window: Window,
        above: AppliedSet,
        tables: usize,
    ) -> Self {
        Self {
            source,
            config,
            window,
            above,
            tables,
            fetching: None,
            events: VecDeque::new(),
            open: None,
            aborts: 0,
            measured: None,
            held: None,
            definitions: None,
        }
    }

    /// Reads until the run ends.
    pub(super) async fn run(&mut self, running: &mut Running<'_>) -> Result<SyncEnd, Halt> {
        if self.window.stop(&running.tracker.watermark().position)? != Stop::Before {
            return self.reached(running).await;
        }
        loop {
            let Some(event) = self.next_event(running).await? else {
                if self.open.is_some() {
                    return Err(ApplyError::Protocol("the feed ended within a transaction".into()).into());
                }
                running.settle().await?;
                return Ok(SyncEnd::FeedEnded(running.tracker.watermark().clone()));
            };
            let end = match event {
                LogEvent::Begin { id } => self.on_begin(running, id)?,
                LogEvent::Row(change) => self.on_row(running, change).await?,
                LogEvent::Abort => self.on_abort(running).await?,
                LogEvent::Commit {
                    position,
                    source_time_us,
                } => self.on_commit(running, position, source_time_us).await?,
                LogEvent::Heartbeat {
                    position,
                    source_time_us,
                } => self.on_heartbeat(running, position, source_time_us)?,
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
                    match self.on_ddl(running, ddl).await? {
                        Behind::Stop => true,
                        Behind::Go => false,
                        Behind::Redefined => {
                            return Ok(SyncEnd::Redefined(running.tracker.watermark().clone()));
                        }
                    }
                }
            };
            if end {
                return self.reached(running).await;
            }
        }
    }

    async fn reached(&mut self, running: &mut Running<'_>) -> Result<SyncEnd, Halt> {
        running.settle().await?;
        Ok(SyncEnd::Reached(running.tracker.watermark().clone()))
    }

    async fn next_event(&mut self, running: &mut Running<'_>) -> Result<Option<LogEvent>, Halt> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            while running.is_over_budget() {
                running.step().await?;
            }
            let mut fetching = match (self.fetching.take(), self.held.take()) {
                (Some(fetching), _) => fetching,
                (None, Some(feed)) => fetch(feed, self.config.feed_bytes),
                (None, None) => {
                    // Only at the start and after a drain, so everything begun is applied.
                    let from = running.tracker.watermark().position.clone();
                    let (source, bytes) = (self.source, self.config.feed_bytes);
                    Box::pin(async move { fetch(source.open(&from).await?, bytes).await })
                }
            };
            match running.step_or(&mut fetching).await? {
                None => self.fetching = Some(fetching),
                Some(fetched) => {
                    let (feed, Some(events)) = fetched? else {
                        return Ok(None);
                    };
                    running.gauge.add(rows_bytes(&events));
                    self.events = events.into();
                    if matches!(self.events.back(), Some(LogEvent::Ddl { .. })) {
                        self.held = Some(feed);
                    } else {
                        self.fetching = Some(fetch(feed, self.config.feed_bytes));
                    }
                }
            }
        }
    }

    fn outside(&self, what: &str) -> Result<(), ApplyError> {
        match self.open {
            None => Ok(()),
            Some(_) => Err(ApplyError::Protocol(format!("{what} within a transaction"))),
        }
    }

    fn on_begin(&mut self, running: &Running<'_>, id: Option<String>) -> Result<bool, Halt> {
        self.outside("a transaction begins")?;
        let number = running.tracker.next_number();
        let stage = if self.above.contains(number) {
            Stage::Skip
        } else {
            Stage::Collect(Vec::new())
        };
        self.open = Some(Open {
            number,
            id: id.filter(|_| self.config.origins),
            origin: None,
            rows: 0,
            bytes: 0,
            stage,
        });
        Ok(false)
    }

    async fn on_row(&mut self, running: &mut Running<'_>, change: RowChange) -> Result<bool, Halt> {
        let bytes = change_bytes(change.before.as_ref(), change.after.as_ref());
        if change.table as usize >= self.tables {
            return Err(ApplyError::Protocol(format!("a change of table number {}", change.table)).into());
        }
        let Some(open) = &mut self.open else {
            return Err(ApplyError::Protocol("a row outside a transaction".into()).into());
        };
        let op = RowOp {
            table: change.table,
            mode: ApplyMode::Strict,
            before: change.before,
            after: change.after,
            origin: open.origin.clone(),
        };
        match &mut open.stage {
            Stage::Skip | Stage::Measure => running.gauge.remove(bytes),
            Stage::Collect(ops) => {
                ops.push(op);
                open.rows += 1;
                open.bytes += bytes;
                if open.bytes > self.config.large_bytes || open.rows > self.config.large_rows {
                    self.escalate(running).await?;
                }
            }
            Stage::Stream(streaming) => match self.window.mode(&streaming.treatment, op.table) {
                Some(mode) => streaming.push(running, RowOp { mode, ..op }, bytes).await?,
                None => running.gauge.remove(bytes),
            },
        }
        Ok(false)
    }

    /// The open transaction has become too large to collect.
    async fn escalate(&mut self, running: &mut Running<'_>) -> Result<(), Halt> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let Stage::Collect(ops) = std::mem::replace(&mut open.stage, Stage::Measure) else {
            return Ok(());
        };
        let known = match &self.measured {
            Some((number, aborts, end)) if (*number, *aborts) == (open.number, self.aborts) => {
                Some(self.window.treatment(end)?)
            }
            // Later ones are applied already. If this one will be aborted it was never compared
            // with them and may not fit; so it must not be written before its end is known.
            _ if self.above.ranges().last().is_some_and(|r| r.1 > open.number) => None,
            _ => self
                .window
                .treatment_before_end(running.tracker.last_position())?,
        };
        let Some(treatment) = known else {
            running.gauge.remove(open.bytes);
            return Ok(());
        };
        let number = open.number;
        open.origin = self.config.origins.then(|| {
            Arc::new(Origin {
                number,
                id: open.id.take(),
                source_time_us: None,
                behind: running.tracker.last_position().clone(),
            })
        });
        let origin = open.origin.clone();
        let mut streaming = Streaming::begin(running, number, treatment, self.config.feed_bytes).await?;
        for op in ops {
            let bytes = change_bytes(op.before.as_ref(), op.after.as_ref());
            let origin = origin.clone();
            match self.window.mode(&streaming.treatment, op.table) {
                Some(mode) => {
                    let op = RowOp { mode, origin, ..op };
                    streaming.push(running, op, bytes).await?;
                }
                None => running.gauge.remove(bytes),
            }
        }
        if let Some(open) = &mut self.open {
            open.stage = Stage::Stream(streaming);
        }
        Ok(())
    }

    async fn on_abort(&mut self, running: &mut Running<'_>) -> Result<bool, Halt> {
        let Some(open) = self.open.take() else {
            return Err(ApplyError::Protocol("an abort outside a transaction".into()).into());
        };
        self.aborts += 1;
        match open.stage {
            Stage::Skip | Stage::Measure => {}
            Stage::Collect(_) => running.gauge.remove(open.bytes),
            Stage::Stream(streaming) => streaming.abort(running).await?,
        }
        Ok(false)
    }

    async fn on_commit(
        &mut self,
        running: &mut Running<'_>,
        position: Position,
        time_us: i64,
    ) -> Result<bool, Halt> {
        let Some(open) = self.open.take() else {
            return Err(ApplyError::Protocol("a commit outside a transaction".into()).into());
        };
        let stop = self.window.stop(&position)?;
        if stop == Stop::Behind {
            if let Stage::Stream(streaming) = open.stage {
                streaming.abort(running).await?;
            }
            return Ok(true);
        }
        running.make_room().await?;
        let aborts = std::mem::take(&mut self.aborts);
        match open.stage {
            Stage::Measure => {
                self.measured = Some((open.number, aborts, position));
                self.reopen(running).await?;
                return Ok(false);
            }
            Stage::Skip => {
                let number = running.tracker.begin(position, time_us);
                running.pass(number);
            }
            Stage::Stream(streaming) => {
                let number = running.tracker.begin(position, time_us);
                streaming.commit(running, number).await?;
            }
            Stage::Collect(mut ops) => {
                let treatment = self.window.treatment(&position)?;
                let mut bytes = open.bytes;
                let origin = (self.config.origins && !ops.is_empty()).then(|| {
                    Arc::new(Origin {
                        number: open.number,
                        id: open.id,
                        source_time_us: Some(time_us),
                        behind: running.tracker.last_position().clone(),
                    })
                });
                ops.retain_mut(|op| match self.window.mode(&treatment, op.table) {
                    Some(mode) => {
                        op.mode = mode;
                        op.origin.clone_from(&origin);
                        true
                    }
                    None => {
                        let dropped = change_bytes(op.before.as_ref(), op.after.as_ref());
                        running.gauge.remove(dropped);
                        bytes -= dropped;
                        false
                    }
                });
                let end = position.clone();
                let number = running.tracker.begin(position, time_us);
                if ops.is_empty() {
                    running.pass(number);
                } else {
                    let transaction = Transaction {
                        number,
                        previous: 0,
                        ops,
                        bytes,
                        end,
                    };
                    running.dispatch(transaction).await?;
                }
            }
        }
        Ok(stop == Stop::At)
    }

    /// Reads the last transaction again from its beginning.
    async fn reopen(&mut self, running: &mut Running<'_>) -> Result<(), Halt> {
        running.drain().await?;
        let unread: Vec<LogEvent> = std::mem::take(&mut self.events).into();
        running.gauge.remove(rows_bytes(&unread));
        self.fetching = None;
        self.held = None;
        Ok(())
    }

    fn on_heartbeat(
        &mut self,
        running: &mut Running<'_>,
        position: Position,
        time_us: i64,
    ) -> Result<bool, Halt> {
        self.outside("a heartbeat")?;
        match self.window.stop(&position)? {
            Stop::Behind => Ok(true),
            stop => {
                self.aborts = 0;
                running.heartbeat(position, time_us);
                Ok(stop == Stop::At)
            }
        }
    }

    async fn on_ddl(&mut self, running: &mut Running<'_>, ddl: LoggedDdl) -> Result<Behind, Halt> {
        self.outside("a statement")?;
        let stop = self.window.stop(&ddl.position)?;
        if stop == Stop::Behind {
            return Ok(Behind::Stop);
        }
        let mut after = AfterDdl::Continue;
        match self.definitions {
            None => {
                running.settle().await?;
                return Err(ApplyError::DdlNotFollowed {
                    kind: statement_kind(&ddl.statement),
                    database: ddl.database,
                    statement: shortened(&ddl.statement),
                    position: Box::new(ddl.position),
                }
                .into());
            }
            Some(definitions) if definitions.concerns(&ddl) => {
                running.settle().await?;
                let behind = running.tracker.watermark().clone();
                let mut carried = definitions.on_ddl(&ddl, &behind);
                // Lanes rest meanwhile; a lane whose connection breaks ends the run, which carries on with the statement.
                after = loop {
                    if let Some(after) = running.step_or(&mut carried).await? {
                        break after?;
                    }
                };
            }
            Some(_) => {}
        }
        self.aborts = 0;
        running.heartbeat(ddl.position, ddl.source_time_us);
        if after == AfterDdl::Redefined {
            running.settle().await?;
            return Ok(Behind::Redefined);
        }
        Ok(match stop {
            Stop::At => Behind::Stop,
            Stop::Before | Stop::Behind => Behind::Go,
        })
    }
}

/// How reading goes on behind a statement that defines.
enum Behind {
    Go,
    Stop,
    Redefined,
}

fn rows_bytes(events: &[LogEvent]) -> usize {
    events
        .iter()
        .map(|event| match event {
            LogEvent::Row(change) => change_bytes(change.before.as_ref(), change.after.as_ref()),
            _ => 0,
        })
        .sum()
}

/// The first two words of a statement, comments left out.
fn statement_kind(statement: &str) -> String {
    let mut rest = statement.trim_start();
    while let Some(comment) = rest.strip_prefix("/*") {
        rest = comment.split_once("*/").map_or("", |(_, r)| r).trim_start();
    }
    let words: Vec<_> = rest
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .take(2)
        .map(str::to_ascii_uppercase)
        .collect();
    words.join(" ")
}

const SHOWN_CHARACTERS: usize = 200;

fn shortened(statement: &str) -> String {
    let mut characters = statement.chars();
    let mut text: String = characters.by_ref().take(SHOWN_CHARACTERS).collect();
    if characters.next().is_some() {
        text.push('…');
    }
    text
}
