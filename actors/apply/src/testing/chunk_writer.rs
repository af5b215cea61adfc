//! A connection that writes chunks.

use std::sync::Arc;

use async_trait::async_trait;
use oms_core::{
    ChunkReceipt, ChunkWriter, ClaimNumber, ClaimToken, ExistingRows, Failure, Row, TablePair, WriteOutcome,
};

use super::{
    applier::misuse,
    sink::{MemoryClaim, Shared},
    transaction::Transaction,
};

#[derive(Debug)]
pub(super) struct MemoryChunkWriter {
    shared: Arc<Shared>,
    token: ClaimToken,
    number: ClaimNumber,
    tables: Arc<Vec<TablePair>>,
    chunk: Option<(u32, ExistingRows)>,
    transaction: Option<Transaction>,
}

impl MemoryChunkWriter {
    pub(super) fn new(claim: &MemoryClaim) -> Self {
        Self {
            shared: claim.shared.clone(),
            token: claim.token.clone(),
            number: claim.number,
            tables: claim.options.tables.clone(),
            chunk: None,
            transaction: None,
        }
    }

    fn end(&mut self, commit: bool) {
        self.shared
            .end(&self.token.component, self.transaction.take(), commit);
    }
}

impl Drop for MemoryChunkWriter {
    fn drop(&mut self) {
        self.end(false);
    }
}

#[async_trait]
impl ChunkWriter for MemoryChunkWriter {
    async fn begin(&mut self, table: u32, existing: ExistingRows) -> Result<(), Failure> {
        if self.transaction.is_some() {
            return Err(misuse("begin within a chunk"));
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
        self.chunk = Some((table, existing));
        self.transaction = Some(Transaction::begin(&mut state));
        Ok(())
    }

    async fn write(&mut self, rows: &[Row]) -> Result<WriteOutcome, Failure> {
        self.shared.latency().await;
        if let Some(fault) = self.shared.state().step() {
            return Err(fault.failure());
        }
        let mut outcome = WriteOutcome::default();
        for row in rows {
            loop {
                let (Some(transaction), Some((table, existing))) = (&mut self.transaction, self.chunk) else {
                    return Err(misuse("write outside a chunk"));
                };
                let pair = self
                    .tables
                    .get(table as usize)
                    .ok_or_else(|| misuse("table number"))?;
                let done = transaction.insert(&mut self.shared.state(), pair, row, existing)?;
                match done {
                    Ok(true) => outcome.written += 1,
                    Ok(false) => outcome.kept += 1,
                    Err(_) => {
                        self.shared.wait_for_lock().await?;
                        continue;
                    }
                }
                break;
            }
        }
        Ok(outcome)
    }

    async fn commit(&mut self, receipt: &ChunkReceipt) -> Result<(), Failure> {
        if self.transaction.is_none() {
            return Err(misuse("commit outside a chunk"));
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
                let key = (receipt.table.clone(), receipt.number);
                if owner.receipts.contains_key(&key) {
                    return Err(misuse("two chunks of one number"));
                }
                owner.receipts.insert(key, receipt.clone());
            }
            fault
        };
        self.end(true);
        fault.map_or(Ok(()), |f| Err(f.failure()))
    }
}
