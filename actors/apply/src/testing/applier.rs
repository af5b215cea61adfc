//! A lane's connection.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{Applier, ClaimNumber, ClaimToken, Failure, LaneId, LaneState, RowOp, TablePair, codes};

use super::{
    sink::{MemoryClaim, Shared},
    transaction::Transaction,
};

#[derive(Debug)]
pub(super) struct MemoryApplier {
    shared: Arc<Shared>,
    token: ClaimToken,
    number: ClaimNumber,
    tables: Arc<Vec<TablePair>>,
    lane: LaneId,
    transaction: Option<Transaction>,
}

pub(super) fn misuse(what: &str) -> Failure {
    Failure::new(codes::apply::INTERNAL, what)
}

impl MemoryApplier {
    pub(super) fn new(claim: &MemoryClaim, lane: LaneId) -> Self {
        Self {
            shared: claim.shared.clone(),
            token: claim.token.clone(),
            number: claim.number,
            tables: claim.options.tables.clone(),
            lane,
            transaction: None,
        }
    }

    fn end(&mut self, commit: bool) {
        self.shared
            .end(&self.token.component, self.transaction.take(), commit);
    }
}

impl Drop for MemoryApplier {
    /// The connection closes: the server rolls back.
    fn drop(&mut self) {
        self.end(false);
    }
}

#[async_trait]
impl Applier for MemoryApplier {
    async fn begin(&mut self) -> Result<(), Failure> {
        if self.transaction.is_some() {
            return Err(misuse("begin within a transaction"));
        }
        self.shared.latency().await;
        let mut state = self.shared.state();
        if let Some(fault) = state.step() {
            return Err(fault.failure());
        }
        state.check(&self.token.component, self.token.epoch, self.number)?;
        if let Some(owner) = state.components.get_mut(&self.token.component) {
            owner.open += 1;
        }
        self.transaction = Some(Transaction::begin(&mut state));
        Ok(())
    }

    async fn write(&mut self, ops: &[RowOp]) -> Result<(), Failure> {
        self.shared.latency().await;
        let fault = self.shared.state().step();
        // A statement that fails has executed some of its rows.
        let count = if fault.is_some() { ops.len() / 2 } else { ops.len() };
        for op in ops.iter().take(count) {
            loop {
                let Some(transaction) = &mut self.transaction else {
                    return Err(misuse("write outside a transaction"));
                };
                let pair = self
                    .tables
                    .get(op.table as usize)
                    .ok_or_else(|| misuse("table number"))?;
                let done = transaction.execute(&mut self.shared.state(), pair, op)?;
                if done.is_ok() {
                    break;
                }
                self.shared.wait_for_lock().await?;
            }
        }
        fault.map_or(Ok(()), |f| Err(f.failure()))
    }

    async fn commit(&mut self, lane: &LaneState) -> Result<(), Failure> {
        if self.transaction.is_none() {
            return Err(misuse("commit outside a transaction"));
        }
        self.shared.latency().await;
        let fault = {
            let mut state = self.shared.state();
            let fault = state.step();
            if let Some(fault) = fault.filter(|f| !f.after_effect) {
                return Err(fault.failure());
            }
            state.check(&self.token.component, self.token.epoch, self.number)?;
            if let Some(owner) = state.components.get_mut(&self.token.component) {
                owner.lanes.insert(self.lane.0, lane.clone());
            }
            state.history.push(lane.clone());
            fault
        };
        self.end(true);
        fault.map_or(Ok(()), |f| Err(f.failure()))
    }

    async fn rollback(&mut self) -> Result<(), Failure> {
        self.shared.latency().await;
        self.end(false);
        Ok(())
    }
}
