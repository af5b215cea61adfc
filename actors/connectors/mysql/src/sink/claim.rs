//! Taking over, and what the owner may do then.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use oms_core::{
    Applier, ApplyCheckpoint, ChunkReceipt, ChunkWriter, Claim, ClaimNumber, ClaimToken, Definer, Failure,
    LaneId, LaneState, RecordWriter, SinkOptions, TableName, codes,
};

use super::{
    applier::MysqlApplier,
    chunk_writer::MysqlChunkWriter,
    definer::MysqlDefiner,
    fence::{self, COMPONENT_ROW, FIRST_WRITER, Fence, Holder},
    locker::Locker,
    plan::Plans,
    receipt,
    record::MysqlRecordWriter,
    session::{Session, Shared, SqlError, impossible},
};
use crate::connection::ServerInfo;

/// Seconds that a claim waits for a transaction of an earlier one before it ends that session: the least that servers
/// know. Transactions that are about to end do so within it; waiting for the others helps nobody.
const PATIENCE: u32 = 1;

/// Lock waits of a claim before it gives up for now.
const ATTEMPTS: usize = 10;

/// Rows that one transaction of `clear_table` deletes at most.
const CLEAR_ROWS: u64 = 5_000;

/// The right to write to a server, taken by [`take`].
#[derive(Debug)]
pub(crate) struct MysqlClaim {
    shared: Arc<Shared>,
    server: Arc<ServerInfo>,
    holder: Arc<Holder>,
    options: SinkOptions,
    plans: Arc<Plans>,
    writers: Arc<WriterRows>,
}

/// Takes over writing for a component.
pub(crate) async fn take(
    mut session: Session,
    shared: &Arc<Shared>,
    token: ClaimToken,
    options: SinkOptions,
) -> Result<MysqlClaim, Failure> {
    let plans = Plans::new(&options.tables, &session.server, shared.dialect.as_ref())?;
    session.run(shared.dialect.lock_wait(PATIENCE).as_bytes()).await?;
    let component = fence::component_literal(&token.component);
    let locker = Locker::announce(&mut session, &component, token.epoch).await?;
    let mut attempt = 1;
    let claim = loop {
        match raise(&mut session, &component, &token, options.lanes).await {
            Ok(claim) => break claim,
            Err(Refusal::Blocked(error)) if is_lock_wait(&error) && attempt < ATTEMPTS => {
                attempt += 1;
                session.run(b"ROLLBACK").await?;
                // Who holds the own row may be about to claim under a higher epoch; it is left alone then.
                in_order(locker.committed_epoch(&mut session).await?, &token)?;
                locker.end_others(&mut session, token.epoch).await?;
            }
            Err(Refusal::Blocked(error)) => {
                return Err(error.failure.context(format!("{}: claiming", token.component)));
            }
            Err(Refusal::Failed(failure)) => return Err(failure),
        }
    };
    locker.withdraw_all(&mut session).await?;
    let holder = Holder {
        component: token.component,
        epoch: token.epoch,
        claim: ClaimNumber(claim),
    };
    tracing::debug!(component = %holder.component, epoch = %holder.epoch, claim, "claimed the destination");
    Ok(MysqlClaim {
        shared: shared.clone(),
        server: session.server.clone(),
        holder: Arc::new(holder),
        options,
        plans: Arc::new(plans),
        writers: Arc::default(),
    })
}

enum Refusal {
    /// A statement failed: perhaps somebody holds a row's lock.
    Blocked(SqlError),
    Failed(Failure),
}

impl From<SqlError> for Refusal {
    fn from(error: SqlError) -> Self {
        Self::Blocked(error)
    }
}

/// Refuses to claim where a higher epoch has claimed.
fn in_order(epoch: u64, token: &ClaimToken) -> Result<(), Failure> {
    if epoch <= token.epoch.0 {
        return Ok(());
    }
    Err(Failure::new(
        codes::apply::FENCED,
        format!(
            "{}: epoch {} claims, but epoch {epoch} has claimed already",
            token.component, token.epoch
        ),
    ))
}

fn is_lock_wait(error: &SqlError) -> bool {
    matches!(error.number, Some(1205 | 4012 | 6004))
}

/// Raises epoch and claim on all rows. Waits for transactions that hold one.
async fn raise(
    session: &mut Session,
    component: &str,
    token: &ClaimToken,
    lanes: u32,
) -> Result<u64, Refusal> {
    let table = session.meta().fence().to_owned();
    let columns = "component, lane, epoch, claim, turn, connection, state";
    let own = format!(
        "INSERT INTO {table} ({columns}) VALUES ({component}, {COMPONENT_ROW}, 0, 0, 0, 0, NULL) \
         ON DUPLICATE KEY UPDATE lane = lane"
    );
    session.run(own.as_bytes()).await?;
    session.run(b"BEGIN").await?;
    let now: Vec<(u64, u64)> = session
        .rows(format!(
            "SELECT epoch, claim FROM {table} WHERE component={component} AND lane={COMPONENT_ROW} FOR UPDATE"
        ))
        .await?;
    let (epoch, claim) = *now
        .first()
        .ok_or_else(|| Refusal::Failed(impossible("the fence row is gone")))?;
    if let Err(fenced) = in_order(epoch, token) {
        session.run(b"ROLLBACK").await?;
        return Err(Refusal::Failed(fenced));
    }
    let next = claim + 1;
    if lanes > 0 {
        let rows: Vec<String> = (0..lanes)
            .map(|l| format!("({component},{l},0,0,0,0,NULL)"))
            .collect();
        let insert = format!(
            "INSERT INTO {table} ({columns}) VALUES {} ON DUPLICATE KEY UPDATE lane = lane",
            rows.join(",")
        );
        session.run(insert.as_bytes()).await?;
    }
    let update = format!(
        "UPDATE {table} SET epoch={}, claim={next} WHERE component={component}",
        token.epoch
    );
    session.run(update.as_bytes()).await?;
    // A connection that breaks here leaves the claim taken or not; the caller claims again either way.
    session.run(b"COMMIT").await?;
    Ok(next)
}

impl MysqlClaim {
    async fn session(&self) -> Result<Session, Failure> {
        Session::open_known(&self.shared, &self.server).await
    }

    /// A fence row of its own for a concurrent writer.
    async fn writer_row(&self, session: &mut Session) -> Result<(Fence, WriterRow), Failure> {
        let row = WriterRows::take(&self.writers);
        let fence = Fence::open(session, &self.holder, row.lane()).await?;
        Ok((fence, row))
    }

    /// The states of all rows, after checking that the claim is the latest.
    async fn states(&self, session: &mut Session, lock: &str) -> Result<Vec<LaneState>, Failure> {
        let stored: Vec<(i64, u64, u64, Option<Vec<u8>>)> = session
            .rows(format!(
                "SELECT lane, epoch, claim, state FROM {} WHERE component={} AND lane<{FIRST_WRITER}{lock}",
                session.meta().fence(),
                self.holder.component_literal()
            ))
            .await?;
        let mine = |row: &&(i64, u64, u64, Option<Vec<u8>>)| {
            row.0 == COMPONENT_ROW && row.1 == self.holder.epoch.0 && row.2 == self.holder.claim.0
        };
        if !stored.iter().any(|row| mine(&row)) {
            return Err(self.holder.fenced());
        }
        stored
            .iter()
            .filter_map(|row| row.3.as_deref())
            .map(fence::decode_state)
            .collect()
    }
}

#[async_trait]
impl Claim for MysqlClaim {
    fn number(&self) -> ClaimNumber {
        self.holder.claim
    }

    async fn checkpoint(&self) -> Result<Option<ApplyCheckpoint>, Failure> {
        let mut session = self.session().await?;
        Ok(ApplyCheckpoint::from_lanes(self.states(&mut session, "").await?))
    }

    async fn initialize(&self, state: &LaneState) -> Result<(), Failure> {
        let mut session = self.session().await?;
        let component = self.holder.component_literal();
        let locker = Locker::announce(&mut session, &component, self.holder.epoch).await?;
        session.run(b"BEGIN").await?;
        if !self.states(&mut session, " FOR UPDATE").await?.is_empty() {
            session.run(b"ROLLBACK").await?;
            locker.withdraw(&mut session).await?;
            return Err(impossible(format!(
                "{} has a checkpoint already",
                self.holder.component
            )));
        }
        let mut sql = format!("UPDATE {} SET state=", session.meta().fence()).into_bytes();
        super::literal::text(&mut sql, &fence::encode_state(state)?);
        let row = format!(
            " WHERE component={} AND lane={COMPONENT_ROW}",
            self.holder.component_literal()
        );
        sql.extend_from_slice(row.as_bytes());
        session.run(&sql).await?;
        session.run(b"COMMIT").await.map_err(|error| {
            Failure::new(
                codes::apply::COMMIT_UNKNOWN,
                format!(
                    "{}: the first checkpoint: {}",
                    self.holder.component,
                    error.failure.detail()
                ),
            )
        })?;
        locker.withdraw(&mut session).await
    }

    async fn applier(&self, lane: LaneId) -> Result<Box<dyn Applier>, Failure> {
        if lane.0 >= self.options.lanes {
            return Err(impossible(format!(
                "lane {} of {} was asked for",
                lane.0, self.options.lanes
            )));
        }
        let mut session = self.session().await?;
        let fence = Fence::open(&mut session, &self.holder, i64::from(lane.0)).await?;
        Ok(Box::new(MysqlApplier::new(session, fence, self.plans.clone())))
    }

    async fn chunk_writer(&self) -> Result<Box<dyn ChunkWriter>, Failure> {
        let mut session = self.session().await?;
        let (fence, row) = self.writer_row(&mut session).await?;
        Ok(Box::new(MysqlChunkWriter::new(
            session,
            fence,
            row,
            self.holder.clone(),
            self.plans.clone(),
        )))
    }

    async fn definer(&self, settings: &[&str]) -> Result<Box<dyn Definer>, Failure> {
        let session = self.session().await?;
        let row = WriterRows::take(&self.writers);
        let definer = MysqlDefiner::open(session, &self.holder, row, settings).await?;
        Ok(Box::new(definer))
    }

    fn record_writer(&self) -> Result<Arc<dyn RecordWriter>, Failure> {
        Ok(Arc::new(MysqlRecordWriter::new(
            self.shared.clone(),
            self.server.clone(),
            self.holder.clone(),
            WriterRows::take(&self.writers),
        )))
    }

    async fn receipts(&self, table: &TableName) -> Result<Vec<ChunkReceipt>, Failure> {
        let mut session = self.session().await?;
        receipt::read(&mut session, &self.holder, table).await
    }

    async fn clear_table(&self, table: u32) -> Result<(), Failure> {
        let pair = self.options.tables.get(table as usize);
        let pair = pair.ok_or_else(|| impossible(format!("table number {table} was not announced")))?;
        let plan = self.plans.get(table)?;
        let mut session = self.session().await?;
        let (mut fence, _row) = self.writer_row(&mut session).await?;
        let mut delete = b"DELETE FROM ".to_vec();
        delete.extend_from_slice(&plan.target);
        delete.extend_from_slice(format!(" LIMIT {CLEAR_ROWS}").as_bytes());
        loop {
            fence.begin(&mut session).await?;
            let outcome = session
                .run(&delete)
                .await
                .map_err(|e| e.failure.context(&plan.name))?;
            fence.commit(&mut session, None, None).await?;
            if outcome.affected < CLEAR_ROWS {
                break;
            }
        }
        // Receipts last: they are what tells the next owner that the remaining rows are its own, when this
        // one ends in between.
        fence.begin(&mut session).await?;
        let mut sql = format!("DELETE FROM {} WHERE ", session.meta().receipt()).into_bytes();
        sql.extend_from_slice(&receipt::of_table(&self.holder, &pair.source.name));
        session.run(&sql).await?;
        fence.commit(&mut session, None, None).await?;
        Ok(())
    }
}

/// Which rows of the fence table chunk writers of this claim use now.
#[derive(Debug, Default)]
struct WriterRows(Mutex<BTreeSet<u32>>);

impl WriterRows {
    fn take(rows: &Arc<Self>) -> WriterRow {
        let mut used = rows.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..=u32::MAX).find(|n| !used.contains(n)).unwrap_or(u32::MAX);
        used.insert(number);
        WriterRow {
            rows: rows.clone(),
            number,
        }
    }
}

/// The use of a row; given back when dropped.
#[derive(Debug)]
pub(crate) struct WriterRow {
    rows: Arc<WriterRows>,
    number: u32,
}

impl WriterRow {
    /// Its lane.
    pub(crate) fn lane(&self) -> i64 {
        FIRST_WRITER + i64::from(self.number)
    }
}

impl Drop for WriterRow {
    fn drop(&mut self) {
        self.rows
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.number);
    }
}
