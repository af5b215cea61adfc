//! Applying the transactions of one lane.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{Applier, Failure, LaneState, Row, RowOp};

use super::{
    batch::{self, Change, Step},
    fence::{Fence, Opening},
    packet::{Expect, Origin, Packet},
    plan::{Plans, TablePlan},
    session::{Session, impossible},
    statement::{self, InsertKind},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Open,
    /// An error voided the transaction.
    Void,
}

/// The writer of one lane.
#[derive(Debug)]
pub(crate) struct MysqlApplier {
    session: Session,
    fence: Fence,
    plans: Arc<Plans>,
    stage: Stage,
    /// The session has the time bound of streamed transactions.
    streamed: bool,
}

impl MysqlApplier {
    pub(crate) fn new(session: Session, fence: Fence, plans: Arc<Plans>) -> Self {
        Self {
            session,
            fence,
            plans,
            stage: Stage::Idle,
            streamed: false,
        }
    }

    async fn begin_with(&mut self, streamed: bool) -> Result<(), Failure> {
        self.leave(Stage::Idle)?;
        self.bound(streamed).await?;
        self.fence.begin(&mut self.session).await?;
        self.stage = Stage::Open;
        Ok(())
    }

    /// Sets the time bound of the next transaction.
    async fn bound(&mut self, streamed: bool) -> Result<(), Failure> {
        if self.streamed != streamed
            && let Some(bound) = self.session.dialect().transaction_bound(streamed)
        {
            self.session.run(bound.as_bytes()).await?;
        }
        self.streamed = streamed;
        Ok(())
    }

    /// Enters the void until the caller has succeeded, so that a dropped future leaves it void too.
    fn leave(&mut self, wanted: Stage) -> Result<(), Failure> {
        if std::mem::replace(&mut self.stage, Stage::Void) == wanted {
            Ok(())
        } else {
            Err(impossible(
                "the applier's calls came in the wrong order, or after an error",
            ))
        }
    }

    async fn execute(&mut self, ops: &[RowOp], opening: Option<Opening>) -> Result<(), Failure> {
        let mut packet = Packet::new(&self.session, opening);
        for table in batch::plan(ops, &self.plans)? {
            let plan = self.plans.get(table.table)?;
            for step in table.steps {
                execute_step(&mut self.session, &mut packet, plan, step).await?;
            }
        }
        packet.send(&mut self.session).await
    }
}

fn origin(plan: &TablePlan, what: &'static str, first: usize, last: usize) -> Origin {
    Origin {
        what,
        table: plan.name.to_string(),
        first,
        last,
    }
}

async fn execute_step(
    session: &mut Session,
    packet: &mut Packet,
    plan: &TablePlan,
    step: Step,
) -> Result<(), Failure> {
    match step {
        Step::Insert(rows) => insert(session, packet, plan, InsertKind::Insert, &rows).await,
        Step::Replace(rows) => insert(session, packet, plan, InsertKind::Replace, &rows).await,
        Step::Delete { rows, strict } => {
            let (most, constructors) = (
                session.dialect().keys_per_delete(),
                session.dialect().row_constructors(),
            );
            for part in rows.chunks(most) {
                let made = statement::delete_keys(plan, part.iter().map(|r| &r.1), constructors)?;
                let there = part.iter().filter(|r| r.2).count() as u64;
                let expect = if strict { Expect::Rows(there) } else { Expect::Any };
                let (first, last) = span(part.iter().map(|r| r.0));
                packet
                    .add(session, made, expect, origin(plan, "delete", first, last))
                    .await?;
            }
            Ok(())
        }
        Step::Updates(changes) => updates(session, packet, plan, &changes).await,
        Step::Update {
            at,
            before,
            after,
            strict,
        } => {
            let made = statement::update(plan, &before, &after)?;
            let expect = if strict { Expect::Rows(1) } else { Expect::Any };
            packet
                .add(session, made, expect, origin(plan, "update", at, at))
                .await
        }
        Step::DeleteIdentical { at, before } => {
            let made = statement::delete_identical(plan, &before)?;
            packet
                .add(session, made, Expect::Rows(1), origin(plan, "delete", at, at))
                .await
        }
    }
}

/// Most sets of columns by which updates are put together; rows with further sets are changed one by one.
const MOST_SETS: usize = 64;

/// Updates that commute: those that change the same columns go together.
async fn updates(
    session: &mut Session,
    packet: &mut Packet,
    plan: &TablePlan,
    changes: &[Change],
) -> Result<(), Failure> {
    let mut sets: Vec<(Vec<usize>, Vec<&Change>)> = Vec::new();
    let mut alone: Vec<&Change> = Vec::new();
    let mut columns = Vec::new();
    for change in changes {
        statement::changed_columns(plan, change, &mut columns);
        if !statement::fits_together(plan, &columns, change) {
            alone.push(change);
            continue;
        }
        match sets.iter().position(|(known, _)| *known == columns) {
            Some(at) => sets[at].1.push(change),
            None if sets.len() < MOST_SETS => sets.push((columns.clone(), vec![change])),
            None => alone.push(change),
        }
    }
    let (most, constructors) = (
        session.dialect().rows_per_update().max(1),
        session.dialect().row_constructors(),
    );
    for (columns, members) in &sets {
        for part in members.chunks(most) {
            let together = match part {
                [_] => None,
                _ => statement::update_together(plan, columns, part.iter().copied(), constructors)?,
            };
            let Some(made) = together else {
                alone.extend_from_slice(part);
                continue;
            };
            let (first, last) = span(part.iter().map(|c| c.at));
            let expect = Expect::Rows(part.len() as u64);
            packet
                .add(session, made, expect, origin(plan, "update", first, last))
                .await?;
        }
    }
    for change in alone {
        let made = statement::update(plan, &change.before, &change.after)?;
        let told = origin(plan, "update", change.at, change.at);
        packet.add(session, made, Expect::Rows(1), told).await?;
    }
    Ok(())
}

async fn insert(
    session: &mut Session,
    packet: &mut Packet,
    plan: &TablePlan,
    kind: InsertKind,
    rows: &[(usize, Row)],
) -> Result<(), Failure> {
    let (most_rows, most_bytes) = (
        session.dialect().rows_per_insert(),
        session.dialect().bytes_per_insert(),
    );
    let mut rest = rows;
    while !rest.is_empty() {
        let (made, taken) =
            statement::insert_rows(plan, kind, rest.iter().map(|r| &r.1), most_rows, most_bytes)?;
        let (part, later) = rest.split_at(taken.clamp(1, rest.len()));
        let expect = if kind == InsertKind::Insert {
            Expect::Rows(part.len() as u64)
        } else {
            Expect::Any
        };
        let (first, last) = span(part.iter().map(|r| r.0));
        packet
            .add(session, made, expect, origin(plan, "insert", first, last))
            .await?;
        rest = later;
    }
    Ok(())
}

fn span(indexes: impl Iterator<Item = usize> + Clone) -> (usize, usize) {
    (
        indexes.clone().min().unwrap_or_default(),
        indexes.max().unwrap_or_default(),
    )
}

#[async_trait]
impl Applier for MysqlApplier {
    async fn begin(&mut self) -> Result<(), Failure> {
        self.begin_with(false).await
    }

    async fn begin_streamed(&mut self) -> Result<(), Failure> {
        self.begin_with(true).await
    }

    async fn begin_writing(&mut self, ops: &[RowOp]) -> Result<(), Failure> {
        self.leave(Stage::Idle)?;
        self.bound(false).await?;
        let opening = self.fence.opening(&self.session);
        self.execute(ops, Some(opening)).await?;
        self.stage = Stage::Open;
        Ok(())
    }

    async fn write(&mut self, ops: &[RowOp]) -> Result<(), Failure> {
        self.leave(Stage::Open)?;
        self.execute(ops, None).await?;
        self.stage = Stage::Open;
        Ok(())
    }

    async fn commit(&mut self, state: &LaneState) -> Result<(), Failure> {
        self.leave(Stage::Open)?;
        self.fence.commit(&mut self.session, Some(state), None).await?;
        self.stage = Stage::Idle;
        Ok(())
    }

    async fn rollback(&mut self) -> Result<(), Failure> {
        self.leave(Stage::Open)?;
        self.session.run(b"ROLLBACK").await?;
        self.stage = Stage::Idle;
        Ok(())
    }
}
