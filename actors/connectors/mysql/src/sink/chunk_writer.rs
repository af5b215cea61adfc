//! Writing import chunks.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{ChunkReceipt, ChunkWriter, ExistingRows, Failure, Row, WriteOutcome, codes};

use super::{
    claim::WriterRow,
    fence::{Fence, Holder},
    load,
    plan::{Plans, TablePlan},
    receipt,
    session::{Session, impossible},
    statement::{self, InsertKind, Statement},
};

/// The server does not take files from clients.
const NOT_ALLOWED: [u16; 4] = [1148, 3948, 4166, 1235];
/// Batches for which texts are not tried again.
const REFUSED_FOR: u32 = 32;

/// A writer of chunks on its own connection.
#[derive(Debug)]
pub(crate) struct MysqlChunkWriter {
    session: Session,
    fence: Fence,
    holder: Arc<Holder>,
    plans: Arc<Plans>,
    current: Option<(u32, ExistingRows)>,
    void: bool,
    /// Batches that go as statements, because a text was not taken.
    by_statement: u32,
    /// Kept until the connection is gone.
    _row: WriterRow,
}

impl MysqlChunkWriter {
    pub(crate) fn new(
        session: Session,
        fence: Fence,
        row: WriterRow,
        holder: Arc<Holder>,
        plans: Arc<Plans>,
    ) -> Self {
        Self {
            session,
            fence,
            holder,
            plans,
            current: None,
            void: false,
            by_statement: 0,
            _row: row,
        }
    }

    /// Void until the caller has succeeded, so that a dropped future leaves it void too.
    fn enter(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.void, true) {
            return Err(impossible("the chunk writer was used after an error"));
        }
        Ok(())
    }

    /// Writes rows as a text, if the server takes it as it is. `false`: nothing was written.
    async fn load(&mut self, table: u32, rows: &[Row]) -> Result<bool, Failure> {
        if !self.session.loads || rows.is_empty() {
            return Ok(false);
        }
        let plans = self.plans.clone();
        let plan = plans.get(table)?;
        let Some(statement) = &plan.load else {
            return Ok(false);
        };
        if self.by_statement > 0 {
            self.by_statement -= 1;
            return Ok(false);
        }
        let Some(text) = load::text(plan, rows)? else {
            return Ok(false);
        };
        let mut sql = load::SAVEPOINT.to_vec();
        sql.extend_from_slice(statement);
        match self.session.run_with_text(&sql, 2, text).await {
            Ok(outcomes) if outcomes.last().is_some_and(|o| load::clean(o, rows.len())) => return Ok(true),
            // Rows are there already, or a value would have been altered: statements tell which.
            Ok(_) => {}
            Err(error) if matches!(error.number, Some(number) if NOT_ALLOWED.contains(&number)) => {
                tracing::debug!(errno = error.number, "the server does not take texts of rows");
                self.session.loads = false;
            }
            Err(error) => return Err(error.failure.context(format!("{}: load", plan.name))),
        }
        self.session.run(load::UNDO).await?;
        self.by_statement = REFUSED_FOR;
        Ok(false)
    }

    /// Writes rows by plain INSERTs. Only where rows are found to be there already, and the server
    /// has refused the statement as a whole for it, the policy is asked.
    async fn insert(
        &mut self,
        table: u32,
        existing: ExistingRows,
        rows: &[Row],
    ) -> Result<WriteOutcome, Failure> {
        let plans = self.plans.clone();
        let plan = plans.get(table)?;
        let mut total = WriteOutcome::default();
        let mut rest = rows;
        while !rest.is_empty() {
            let (made, taken) = self.make(plan, InsertKind::Insert, rest)?;
            let (part, later) = rest.split_at(taken.clamp(1, rest.len()));
            match self.run(plan, &made).await {
                Ok(_) => total.written += part.len() as u64,
                Err(failure) if failure.code() == codes::apply::ROW_EXISTS => {
                    let outcome = match existing {
                        ExistingRows::Replace if plan.key.is_some() => self.replace(plan, part).await?,
                        // Rows of one consistent snapshot never collide with each other.
                        ExistingRows::Replace => return Err(failure),
                        ExistingRows::Ignore => self.keep(plan, part).await?,
                    };
                    total.written += outcome.written;
                    total.kept += outcome.kept;
                }
                Err(failure) => return Err(failure),
            }
            rest = later;
        }
        Ok(total)
    }

    fn make(&self, plan: &TablePlan, kind: InsertKind, rows: &[Row]) -> Result<(Statement, usize), Failure> {
        let dialect = self.session.dialect();
        for row in rows.iter().take(dialect.rows_per_insert()) {
            plan.check_shape(row)?;
        }
        statement::insert_rows(
            plan,
            kind,
            rows.iter(),
            dialect.rows_per_insert(),
            dialect.bytes_per_insert(),
        )
    }

    /// Executes a statement and gives the server's message about it.
    async fn run(&mut self, plan: &TablePlan, made: &Statement) -> Result<String, Failure> {
        let outcome = self.session.run_alone(made).await;
        outcome
            .map(|o| o.info)
            .map_err(|e| e.failure.context(format!("{}: insert", plan.name)))
    }

    async fn replace(&mut self, plan: &TablePlan, rows: &[Row]) -> Result<WriteOutcome, Failure> {
        let mut rest = rows;
        while !rest.is_empty() {
            let (made, taken) = self.make(plan, InsertKind::Replace, rest)?;
            self.run(plan, &made).await?;
            rest = rest.get(taken.max(1)..).unwrap_or_default();
        }
        Ok(WriteOutcome {
            written: rows.len() as u64,
            kept: 0,
        })
    }

    /// Writes what is not there. INSERT IGNORE is no way to do it: it would also hide values that do
    /// not fit.
    async fn keep(&mut self, plan: &TablePlan, rows: &[Row]) -> Result<WriteOutcome, Failure> {
        let mut total = WriteOutcome::default();
        let mut parts: Vec<&[Row]> = vec![rows];
        while let Some(part) = parts.pop() {
            if part.len() == 1 {
                let (made, _) = self.make(plan, InsertKind::Insert, part)?;
                match self.run(plan, &made).await {
                    Ok(_) => total.written += 1,
                    Err(failure) if failure.code() == codes::apply::ROW_EXISTS => total.kept += 1,
                    Err(failure) => return Err(failure),
                }
                continue;
            }
            if self.session.dialect().counts_duplicates() {
                let (made, taken) = self.make(plan, InsertKind::Keep, part)?;
                if taken == part.len() && !made.relaxed {
                    let info = self.run(plan, &made).await?;
                    let kept = duplicates(&info)
                        .filter(|kept| *kept <= part.len() as u64)
                        .ok_or_else(|| {
                            impossible(format!("{}: the server did not count duplicates", plan.name))
                        })?;
                    total.kept += kept;
                    total.written += part.len() as u64 - kept;
                    continue;
                }
            } else {
                let (made, taken) = self.make(plan, InsertKind::Insert, part)?;
                if taken == part.len() {
                    match self.run(plan, &made).await {
                        Ok(_) => {
                            total.written += part.len() as u64;
                            continue;
                        }
                        Err(failure) if failure.code() == codes::apply::ROW_EXISTS => {}
                        Err(failure) => return Err(failure),
                    }
                }
            }
            let (left, right) = part.split_at(part.len() / 2);
            parts.push(right);
            parts.push(left);
        }
        Ok(total)
    }
}

/// Reads `Records: 5  Duplicates: 2  Warnings: 0`.
fn duplicates(info: &str) -> Option<u64> {
    let (_, rest) = info.split_once("Duplicates:")?;
    rest.split_whitespace().next()?.parse().ok()
}

#[async_trait]
impl ChunkWriter for MysqlChunkWriter {
    async fn begin(&mut self, table: u32, existing: ExistingRows) -> Result<(), Failure> {
        self.enter()?;
        if self.current.is_some() {
            return Err(impossible("a chunk was begun within another"));
        }
        self.plans.get(table)?;
        self.fence.begin(&mut self.session).await?;
        self.current = Some((table, existing));
        self.void = false;
        Ok(())
    }

    async fn write(&mut self, rows: &[Row]) -> Result<WriteOutcome, Failure> {
        self.enter()?;
        let (table, existing) = self
            .current
            .ok_or_else(|| impossible("rows were written outside a chunk"))?;
        let outcome = if self.load(table, rows).await? {
            WriteOutcome {
                written: rows.len() as u64,
                kept: 0,
            }
        } else {
            self.insert(table, existing, rows).await?
        };
        self.void = false;
        Ok(outcome)
    }

    async fn commit(&mut self, receipt: &ChunkReceipt) -> Result<(), Failure> {
        self.enter()?;
        if self.current.take().is_none() {
            return Err(impossible("a commit outside a chunk"));
        }
        let sql = receipt::write(&self.session, &self.holder, receipt);
        self.fence.commit(&mut self.session, None, Some(&sql)).await?;
        self.void = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_servers_count_is_read() {
        assert_eq!(
            super::duplicates("Records: 5  Duplicates: 2  Warnings: 0"),
            Some(2)
        );
        assert_eq!(
            super::duplicates("&Records: 5  Duplicates: 0  Warnings: 0"),
            Some(0)
        );
        assert_eq!(super::duplicates(""), None);
    }
}
