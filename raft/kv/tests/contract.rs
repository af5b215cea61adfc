//! Both engines against the one contract suite, and against a plain map.

#![allow(clippy::unwrap_used)]

mod shadow_disk;

use std::collections::BTreeMap;
use std::sync::Arc;

use oms_kv::testing::{EngineBench, Numbers, contract_suite};
use oms_kv::{
    Durability, KvEngine, KvError, KvResult, MemoryEngine, ScanLimit, SledEngine, SledOptions, TypedKv,
    WriteBatch,
};
use proptest::prelude::*;
use shadow_disk::ShadowDisk;

struct MemoryBench(MemoryEngine);

impl EngineBench for MemoryBench {
    fn open(&mut self) -> KvResult<Arc<dyn KvEngine>> {
        Ok(Arc::new(self.0.clone()))
    }
    fn open_after_power_loss(&mut self) -> KvResult<Arc<dyn KvEngine>> {
        Ok(Arc::new(self.0.after_power_loss(self.0.buffered_batches() / 2)?))
    }
}

struct SledBench {
    live: tempfile::TempDir,
    disk: Arc<ShadowDisk>,
    copies: Vec<tempfile::TempDir>,
}

impl SledBench {
    fn new() -> Self {
        let live = tempfile::tempdir().unwrap();
        Self {
            disk: Arc::new(ShadowDisk::of(live.path())),
            live,
            copies: Vec::new(),
        }
    }
}

impl EngineBench for SledBench {
    fn open(&mut self) -> KvResult<Arc<dyn KvEngine>> {
        let options = SledOptions {
            sync: self.disk.clone(),
            ..SledOptions::default()
        };
        Ok(Arc::new(SledEngine::open_with(self.live.path(), &options)?))
    }
    fn open_after_power_loss(&mut self) -> KvResult<Arc<dyn KvEngine>> {
        let copy = self.disk.copy_of_what_is_on_disk();
        let engine = SledEngine::open(copy.path())?;
        self.copies.push(copy);
        Ok(Arc::new(engine))
    }
}

#[test]
fn memory_engine_keeps_the_contract() {
    contract_suite(|| MemoryBench(MemoryEngine::new()));
}

#[test]
fn sled_engine_keeps_the_contract() {
    contract_suite(SledBench::new);
}

/// The suite can tell: an engine whose syncs reach no disk fails it.
#[test]
fn an_engine_that_does_not_sync_fails_the_contract() {
    struct NoSync;
    impl oms_kv::FileSync for NoSync {
        fn sync_file(&self, _: &std::fs::File, _: &std::path::Path) -> std::io::Result<()> {
            Ok(())
        }
        fn sync_dir(&self, _: &std::path::Path) -> std::io::Result<()> {
            Ok(())
        }
    }
    let live = tempfile::tempdir().unwrap();
    let disk = ShadowDisk::of(live.path());
    let engine = SledEngine::open_with(
        live.path(),
        &SledOptions {
            sync: Arc::new(NoSync),
            ..SledOptions::default()
        },
    )
    .unwrap();
    let mut batch = WriteBatch::new();
    batch.put::<Numbers>(&1, &b"x".to_vec());
    engine.write(&batch, Durability::Durable).unwrap();
    let after = SledEngine::open(disk.copy_of_what_is_on_disk().path()).unwrap();
    assert_eq!(after.read::<Numbers>(&1).unwrap(), None);
}

#[derive(Debug, Clone)]
enum Step {
    Put(u64, usize),
    Delete(u64),
    DeleteRange(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..40u64, prop_oneof![0..50usize, 4000..9000usize]).prop_map(|(key, size)| Step::Put(key, size)),
        2 => (0..40u64).prop_map(Step::Delete),
        1 => (0..40u64, 0..40u64).prop_map(|(from, to)| Step::DeleteRange(from, to)),
    ]
}

fn same_as_a_map(
    bench: &mut dyn EngineBench,
    batches: &[(Vec<Step>, bool, bool)],
) -> Result<(), TestCaseError> {
    let mut model: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut engine = Some(bench.open().unwrap());
    for (number, (steps, durable, reopen)) in batches.iter().enumerate() {
        let mut batch = WriteBatch::new();
        for step in steps {
            match *step {
                Step::Put(key, size) => {
                    let value = vec![number as u8; size];
                    batch.put::<Numbers>(&key, &value);
                    model.insert(key, value);
                }
                Step::Delete(key) => {
                    batch.delete::<Numbers>(&key);
                    model.remove(&key);
                }
                Step::DeleteRange(from, to) => {
                    batch.delete_range::<Numbers>(from..to);
                    model.retain(|key, _| !(from..to).contains(key));
                }
            }
        }
        let durability = if *durable {
            Durability::Durable
        } else {
            Durability::Buffered
        };
        engine.as_ref().unwrap().write(&batch, durability).unwrap();
        if *reopen {
            drop(engine.take());
            engine = Some(bench.open().unwrap());
        }
        let engine = engine.as_ref().unwrap();
        let stored: BTreeMap<_, _> = engine
            .read_range::<Numbers>(.., ScanLimit::NONE)
            .unwrap()
            .into_iter()
            .collect();
        prop_assert_eq!(&stored, &model);
        if *durable {
            let left = bench.open_after_power_loss().unwrap();
            let left: BTreeMap<_, _> = left
                .read_range::<Numbers>(.., ScanLimit::NONE)
                .unwrap()
                .into_iter()
                .collect();
            prop_assert_eq!(&left, &model);
        }
    }
    Ok(())
}

fn batches() -> impl Strategy<Value = Vec<(Vec<Step>, bool, bool)>> {
    prop::collection::vec(
        (
            prop::collection::vec(step(), 0..12),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.1),
        ),
        1..12,
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn memory_engine_is_a_map(batches in batches()) {
        same_as_a_map(&mut MemoryBench(MemoryEngine::new()), &batches)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn sled_engine_is_a_map(batches in batches()) {
        same_as_a_map(&mut SledBench::new(), &batches)?;
    }
}

#[test]
fn a_failed_sync_stops_the_engine_and_acknowledges_nothing() {
    let mut bench = SledBench::new();
    let engine = bench.open().unwrap();
    let mut batch = WriteBatch::new();
    batch.put::<Numbers>(&1, &b"x".to_vec());
    engine.write(&batch, Durability::Durable).unwrap();
    bench.disk.fail_from_now_on();
    let error = engine.write(&batch, Durability::Durable).unwrap_err();
    assert!(matches!(error, KvError::Io { .. }), "{error}");
    for durability in [Durability::Durable, Durability::Buffered] {
        assert!(matches!(
            engine.write(&batch, durability),
            Err(KvError::Stopped { .. })
        ));
    }
    assert!(matches!(engine.sync(), Err(KvError::Stopped { .. })));
    assert_eq!(
        engine.read::<Numbers>(&1).unwrap().as_deref(),
        Some(b"x".as_slice())
    );
}

#[test]
fn concurrent_durable_writers_share_syncs() {
    let mut bench = SledBench::new();
    let engine = bench.open().unwrap();
    bench
        .disk
        .make_each_sync_take(std::time::Duration::from_millis(5));
    let before = bench.disk.database_syncs();
    std::thread::scope(|scope| {
        for thread in 0..16u64 {
            let engine = &engine;
            scope.spawn(move || {
                for number in 0..10 {
                    let mut batch = WriteBatch::new();
                    batch.put::<Numbers>(&(thread * 10 + number), &b"x".to_vec());
                    engine.write(&batch, Durability::Durable).unwrap();
                }
            });
        }
    });
    let syncs = bench.disk.database_syncs() - before;
    assert!(syncs >= 10, "every writer waits for its own writes: {syncs}");
    assert!(syncs <= 80, "160 durable writes by 16 writers took {syncs} syncs");
}
