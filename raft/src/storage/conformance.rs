//! openraft's own storage suite, on both engines.

use std::sync::Arc;

use oms_kv::{KvEngine, MemoryEngine, SledEngine};
use openraft::testing::{StoreBuilder, Suite};

use super::{LogStore, Machine, SnapshotStore};
use crate::state_machine::{RestoreError, StateMachine};
use crate::types::{StorageError, StorageIOError, TypeConfig};

/// Remembers how many commands it saw.
struct Counter(u64);

impl StateMachine for Counter {
    type View = u64;
    fn apply(&mut self, _index: u64, _command: &[u8]) -> Vec<u8> {
        self.0 += 1;
        Vec::new()
    }
    fn snapshot(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let bytes = snapshot
            .try_into()
            .map_err(|_| RestoreError("not a number".to_owned()))?;
        self.0 = u64::from_be_bytes(bytes);
        Ok(())
    }
    fn view(&self) -> u64 {
        self.0
    }
}

fn stores(engine: Arc<dyn KvEngine>) -> (LogStore, Machine<Counter>) {
    let machine = Machine::open(Counter(0), SnapshotStore::new(Arc::clone(&engine))).unwrap();
    (LogStore::new(engine), machine)
}

struct OnMemory;

impl StoreBuilder<TypeConfig, LogStore, Machine<Counter>> for OnMemory {
    async fn build(&self) -> Result<((), LogStore, Machine<Counter>), StorageError> {
        let (log, machine) = stores(Arc::new(MemoryEngine::new()));
        Ok(((), log, machine))
    }
}

struct OnSled;

impl StoreBuilder<TypeConfig, LogStore, Machine<Counter>, tempfile::TempDir> for OnSled {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, Machine<Counter>), StorageError> {
        let folder = tempfile::tempdir().unwrap();
        let engine = SledEngine::open(folder.path()).map_err(|error| StorageIOError::read(&error))?;
        let (log, machine) = stores(Arc::new(engine));
        Ok((folder, log, machine))
    }
}

#[test]
fn storage_on_the_memory_engine_conforms() {
    Suite::test_all(OnMemory).unwrap();
}

#[test]
fn storage_on_the_sled_engine_conforms() {
    Suite::test_all(OnSled).unwrap();
}
