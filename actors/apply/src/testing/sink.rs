//! The destination.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use oms_core::{
    Applier, ApplyCheckpoint, ChunkReceipt, ChunkWriter, Claim, ClaimNumber, ClaimToken, ComponentId, Epoch,
    ErrorCode, Failure, LaneId, LaneState, RecordReader, RecordWriter, Sink, SinkOptions, SnapshotReader,
    TableName, TableSchema, codes, testing::MemoryRecords,
};
use tokio::sync::Notify;

use super::{
    MemoryTable,
    applier::MemoryApplier,
    chunk_writer::MemoryChunkWriter,
    reader::{MemoryReader, View},
    table::Touched,
    transaction::Transaction,
};

/// A failure that a sink or source produces by itself.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// At which step, counted from 0 over all connections: every begin, write and commit is one.
    pub at_step: u64,
    /// Whether a commit that fails has happened all the same.
    pub after_effect: bool,
    /// What it fails with.
    pub code: ErrorCode,
}

/// A database in memory. Clones are the same database.
#[derive(Clone, Debug)]
pub struct MemorySink {
    pub(super) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Raised whenever a transaction ends.
    pub(super) ended: Notify,
    records: MemoryRecords,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) tables: HashMap<TableName, MemoryTable>,
    pub(super) components: BTreeMap<ComponentId, Owner>,
    pub(super) locks: HashMap<(TableName, Touched), u64>,
    transactions: u64,
    random: u64,
    max_latency_us: u64,
    faults: Vec<Fault>,
    steps: u64,
    pub(super) waits: u64,
    pub(super) history: Vec<LaneState>,
}

#[derive(Debug, Default)]
pub(super) struct Owner {
    pub(super) epoch: Epoch,
    pub(super) claim: ClaimNumber,
    pub(super) lanes: BTreeMap<u32, LaneState>,
    pub(super) receipts: BTreeMap<(TableName, u64), ChunkReceipt>,
    pub(super) open: usize,
}

impl State {
    pub(super) fn next_transaction(&mut self) -> u64 {
        self.transactions += 1;
        self.transactions
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % below.max(1)
    }

    /// Counts a step; says whether it fails, and whether after its effect.
    pub(super) fn step(&mut self) -> Option<Fault> {
        let step = self.steps;
        self.steps += 1;
        self.faults.iter().find(|f| f.at_step == step).copied()
    }

    pub(super) fn check(
        &self,
        component: &ComponentId,
        epoch: Epoch,
        claim: ClaimNumber,
    ) -> Result<(), Failure> {
        match self.components.get(component) {
            Some(owner) if owner.epoch == epoch && owner.claim == claim => Ok(()),
            _ => Err(Failure::new(codes::apply::FENCED, component.to_string())),
        }
    }
}

impl Fault {
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.code, "injected")
    }
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a random time, so that connections interleave.
    pub(super) async fn latency(&self) {
        let micros = {
            let mut state = self.state();
            let max = state.max_latency_us;
            state.random(max)
        };
        if micros > 0 {
            tokio::time::sleep(Duration::from_micros(micros)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until some transaction ends; after a while it is a lock wait time-out.
    pub(super) async fn wait_for_lock(&self) -> Result<(), Failure> {
        self.state().waits += 1;
        tokio::time::timeout(Duration::from_secs(5), self.ended.notified())
            .await
            .map_err(|_| Failure::new(codes::dst::TRANSIENT, "lock wait time-out"))
    }

    pub(super) fn end(&self, component: &ComponentId, transaction: Option<Transaction>, commit: bool) {
        if let Some(transaction) = transaction {
            let mut state = self.state();
            if commit {
                transaction.commit(&mut state);
            } else {
                transaction.roll_back(&mut state);
            }
            if let Some(owner) = state.components.get_mut(component) {
                owner.open = owner.open.saturating_sub(1);
            }
            drop(state);
            self.ended.notify_waiters();
        }
    }
}

impl MemorySink {
    /// An empty database with these tables. `seed` and `max_latency_us` decide how connections
    /// interleave.
    pub fn new(tables: impl IntoIterator<Item = Arc<TableSchema>>, seed: u64, max_latency_us: u64) -> Self {
        let tables = tables
            .into_iter()
            .map(|t| (t.name.clone(), MemoryTable::new(t)))
            .collect();
        let state = State {
            tables,
            components: BTreeMap::new(),
            locks: HashMap::new(),
            transactions: 0,
            random: seed,
            max_latency_us,
            faults: Vec::new(),
            steps: 0,
            waits: 0,
            history: Vec::new(),
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                ended: Notify::new(),
                records: MemoryRecords::default(),
            }),
        }
    }

    /// Makes steps fail; replaces earlier faults.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.shared.state().faults = faults;
    }

    /// Steps executed so far.
    pub fn steps(&self) -> u64 {
        self.shared.state().steps
    }

    /// How often a transaction had to wait for a lock of another one.
    pub fn lock_waits(&self) -> u64 {
        self.shared.state().waits
    }

    /// Every lane state that was committed, in order.
    pub fn history(&self) -> Vec<LaneState> {
        self.shared.state().history.clone()
    }

    /// A copy of a table.
    pub fn table(&self, name: &TableName) -> Option<MemoryTable> {
        self.shared.state().tables.get(name).cloned()
    }

    /// Adds a row behind everybody's back. `false`: it has a rival or there is no such table.
    pub fn insert_foreign_row(&self, name: &TableName, row: oms_core::Row) -> bool {
        match self.shared.state().tables.get_mut(name) {
            Some(table) if table.rivals(&row).is_empty() => {
                table.add(row);
                true
            }
            _ => false,
        }
    }

    /// What is known of a component, without claiming.
    pub fn checkpoint(&self, component: &ComponentId) -> Option<ApplyCheckpoint> {
        let state = self.shared.state();
        ApplyCheckpoint::from_lanes(state.components.get(component)?.lanes.values().cloned())
    }
}

#[async_trait]
impl Sink for MemorySink {
    async fn load_tables(&self, names: &[TableName]) -> Result<Vec<Option<TableSchema>>, Failure> {
        let state = self.shared.state();
        Ok(names
            .iter()
            .map(|n| state.tables.get(n).map(|t| (**t.schema()).clone()))
            .collect())
    }

    async fn has_rows(&self, name: &TableName) -> Result<bool, Failure> {
        let state = self.shared.state();
        let table = state.tables.get(name);
        table
            .map(|t| !t.is_empty())
            .ok_or_else(|| Failure::new(codes::dst::TABLE_MISSING, name.to_string()))
    }

    async fn execute_ddl(&self, _database: Option<&str>, statement: &str) -> Result<(), Failure> {
        let words = statement.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        Err(Failure::new(
            codes::dst::STATEMENT_FAILED,
            format!("an in-memory database has no statements ({words})"),
        ))
    }

    async fn claim(&self, token: ClaimToken, options: SinkOptions) -> Result<Arc<dyn Claim>, Failure> {
        let number = {
            let mut state = self.shared.state();
            let owner = state.components.entry(token.component.clone()).or_default();
            if owner.epoch > token.epoch {
                return Err(Failure::new(codes::apply::FENCED, token.component.to_string()));
            }
            owner.epoch = token.epoch;
            owner.claim = ClaimNumber(owner.claim.0 + 1);
            owner.claim
        };
        loop {
            let ended = self.shared.ended.notified();
            let open = self
                .shared
                .state()
                .components
                .get(&token.component)
                .map(|o| o.open);
            if open.unwrap_or(0) == 0 {
                break;
            }
            ended.await;
        }
        Ok(Arc::new(MemoryClaim {
            records: self.shared.records.claim(&token.component),
            shared: self.shared.clone(),
            token,
            number,
            options,
        }))
    }

    async fn applied(&self, component: &ComponentId) -> Result<Option<ApplyCheckpoint>, Failure> {
        Ok(self.checkpoint(component))
    }

    fn records(&self, component: &ComponentId) -> Option<Arc<dyn RecordReader>> {
        Some(self.shared.records.reader(component))
    }

    async fn forget(&self, component: &ComponentId) -> Result<(), Failure> {
        self.shared.state().components.remove(component);
        self.shared.records.forget(component);
        Ok(())
    }

    async fn open_snapshot(&self) -> Result<Box<dyn SnapshotReader>, Failure> {
        let shared = self.shared.clone();
        Ok(Box::new(MemoryReader::new(Box::new(move || View {
            tables: shared.state().tables.clone(),
            position: None,
        }))))
    }
}

#[derive(Debug)]
pub(super) struct MemoryClaim {
    pub(super) shared: Arc<Shared>,
    records: Arc<dyn RecordWriter>,
    pub(super) token: ClaimToken,
    pub(super) number: ClaimNumber,
    pub(super) options: SinkOptions,
}

impl MemoryClaim {
    fn check(&self) -> Result<(), Failure> {
        self.shared
            .state()
            .check(&self.token.component, self.token.epoch, self.number)
    }
}

#[async_trait]
impl Claim for MemoryClaim {
    fn number(&self) -> ClaimNumber {
        self.number
    }

    async fn checkpoint(&self) -> Result<Option<ApplyCheckpoint>, Failure> {
        self.check()?;
        let state = self.shared.state();
        let lanes = state
            .components
            .get(&self.token.component)
            .map(|o| o.lanes.values().cloned().collect::<Vec<_>>());
        Ok(ApplyCheckpoint::from_lanes(lanes.unwrap_or_default()))
    }

    async fn initialize(&self, first: &LaneState) -> Result<(), Failure> {
        self.check()?;
        let mut state = self.shared.state();
        match state.components.get_mut(&self.token.component) {
            Some(owner) if owner.lanes.is_empty() => {
                owner.lanes.insert(0, first.clone());
                Ok(())
            }
            _ => Err(Failure::new(
                codes::apply::INTERNAL,
                "there is a checkpoint already",
            )),
        }
    }

    async fn applier(&self, lane: LaneId) -> Result<Box<dyn Applier>, Failure> {
        self.check()?;
        Ok(Box::new(MemoryApplier::new(self, lane)))
    }

    async fn chunk_writer(&self) -> Result<Box<dyn ChunkWriter>, Failure> {
        self.check()?;
        Ok(Box::new(MemoryChunkWriter::new(self)))
    }

    fn record_writer(&self) -> Result<Arc<dyn RecordWriter>, Failure> {
        Ok(self.records.clone())
    }

    async fn receipts(&self, table: &TableName) -> Result<Vec<ChunkReceipt>, Failure> {
        self.check()?;
        let state = self.shared.state();
        let owner = state.components.get(&self.token.component);
        Ok(owner
            .map(|o| {
                o.receipts
                    .values()
                    .filter(|r| r.table == *table)
                    .cloned()
                    .collect()
            })
            .unwrap_or_default())
    }

    async fn clear_table(&self, table: u32) -> Result<(), Failure> {
        self.check()?;
        let pair = self
            .options
            .tables
            .get(table as usize)
            .ok_or_else(|| Failure::new(codes::apply::INTERNAL, format!("table number {table}")))?;
        let mut state = self.shared.state();
        if let Some(rows) = state.tables.get_mut(&pair.destination.name) {
            *rows = MemoryTable::new(pair.destination.clone());
        }
        if let Some(owner) = state.components.get_mut(&self.token.component) {
            owner.receipts.retain(|(name, _), _| *name != pair.source.name);
        }
        Ok(())
    }
}
