//! The contract of [`KvEngine`] as a suite that every engine must pass.
//!
//! An engine's test implements [`EngineBench`] and calls [`contract_suite`]; each case starts on an
//! empty bench and panics on the first deviation.

use std::sync::Arc;

use crate::batch::{Operation, WriteBatch};
use crate::engine::{Durability, KvEngine, MAX_KEY_BYTES, MAX_VALUE_BYTES, Order, ScanLimit, TypedKv};
use crate::error::{KvError, KvResult};
use crate::header::DataHeader;
use crate::space::{KeyRange, KeySpace, SpaceId};

/// One place where an engine keeps its data, under test.
pub trait EngineBench {
    /// Opens the engine on the data the last one left. The caller has dropped the last one.
    fn open(&mut self) -> KvResult<Arc<dyn KvEngine>>;
    /// Opens an engine on what a power cut at this moment would leave, which may be as little as the
    /// contract allows. An engine opened before goes on undisturbed.
    fn open_after_power_loss(&mut self) -> KvResult<Arc<dyn KvEngine>>;
}

/// A key space of numbers to bytes, for tests.
#[derive(Debug)]
pub struct Numbers;

impl KeySpace for Numbers {
    const ID: SpaceId = SpaceId::new(201);
    const NAME: &'static str = "test-numbers";
    type Key = u64;
    type Value = Vec<u8>;
    fn encode(value: &Vec<u8>) -> Vec<u8> {
        value.clone()
    }
    fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
        Ok(bytes.to_vec())
    }
}

/// A key space of names to texts, next to [`Numbers`], for tests.
#[derive(Debug)]
pub struct Names;

impl KeySpace for Names {
    const ID: SpaceId = SpaceId::new(202);
    const NAME: &'static str = "test-names";
    type Key = String;
    type Value = String;
    fn encode(value: &String) -> Vec<u8> {
        value.as_bytes().to_vec()
    }
    fn decode(bytes: &[u8]) -> Result<String, String> {
        String::from_utf8(bytes.to_vec()).map_err(|_| "not UTF-8".to_owned())
    }
}

type Case = (&'static str, fn(&mut dyn EngineBench) -> KvResult<()>);

const CASES: &[Case] = &[
    ("a new store is empty and has a header", new_store),
    ("put, replace and delete", put_replace_delete),
    ("spaces are separate", spaces_are_separate),
    ("scans are ordered and limited", scans),
    ("empty and inverted ranges hold nothing", empty_ranges),
    ("a batch applies in its own order", batch_order),
    ("range deletes see the same batch", range_delete),
    ("values of every size come back", value_sizes),
    ("oversized keys and values are refused whole", too_large),
    ("undecodable values are errors", undecodable),
    ("everything survives a clean stop", clean_stop),
    ("durable writes survive a power cut", power_loss),
    ("a power cut leaves a prefix", power_loss_prefix),
    ("sync makes buffered writes durable", sync_is_durable),
    ("concurrent durable writers are all durable", concurrent_writers),
    ("a scan never sees half a batch", consistent_scans),
];

/// Runs every case, each on a bench of its own.
///
/// # Panics
/// When the engine breaks its contract; the message names the case.
pub fn contract_suite<B: EngineBench>(mut new_bench: impl FnMut() -> B) {
    for (name, case) in CASES {
        let mut bench = new_bench();
        if let Err(error) = case(&mut bench) {
            panic!("case \"{name}\": {error}");
        }
    }
}

fn put(key: u64, value: &[u8]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put::<Numbers>(&key, &value.to_vec());
    batch
}

fn keys(engine: &dyn KvEngine) -> KvResult<Vec<u64>> {
    Ok(engine
        .read_range::<Numbers>(.., ScanLimit::NONE)?
        .into_iter()
        .map(|(key, _)| key)
        .collect())
}

fn new_store(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    assert_eq!(engine.header(), DataHeader::CURRENT);
    assert_eq!(engine.read::<Numbers>(&1)?, None);
    assert_eq!(keys(&*engine)?, []);
    assert_eq!(engine.first::<Numbers>()?, None);
    engine.write(&WriteBatch::new(), Durability::Durable)?;
    engine.sync()
}

fn put_replace_delete(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    engine.write(&put(1, b"one"), Durability::Buffered)?;
    assert_eq!(engine.read::<Numbers>(&1)?.as_deref(), Some(b"one".as_slice()));
    engine.write(&put(1, b"uno"), Durability::Durable)?;
    engine.write(&put(1, b"uno"), Durability::Durable)?;
    assert_eq!(engine.read::<Numbers>(&1)?.as_deref(), Some(b"uno".as_slice()));
    let mut batch = WriteBatch::new();
    batch.delete::<Numbers>(&1).delete::<Numbers>(&2);
    engine.write(&batch, Durability::Durable)?;
    assert_eq!(engine.read::<Numbers>(&1)?, None);
    Ok(())
}

fn spaces_are_separate(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    let mut batch = put(u64::MAX, b"number");
    batch.put::<Names>(&String::new(), &"empty name".to_owned());
    engine.write(&batch, Durability::Durable)?;
    assert_eq!(engine.read_range::<Numbers>(.., ScanLimit::NONE)?.len(), 1);
    assert_eq!(engine.last::<Numbers>()?.map(|(key, _)| key), Some(u64::MAX));
    assert_eq!(
        engine.first::<Names>()?,
        Some((String::new(), "empty name".to_owned()))
    );
    let mut clear = WriteBatch::new();
    clear.delete_range::<Numbers>(..);
    engine.write(&clear, Durability::Durable)?;
    assert_eq!(keys(&*engine)?, []);
    assert_eq!(
        engine.read::<Names>(&String::new())?.as_deref(),
        Some("empty name")
    );
    Ok(())
}

fn scans(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    let mut batch = WriteBatch::new();
    for key in [300u64, 2, 1, 255, 256, 1 << 40] {
        batch.put::<Numbers>(&key, &vec![b'x'; 10]);
    }
    engine.write(&batch, Durability::Durable)?;
    assert_eq!(keys(&*engine)?, [1, 2, 255, 256, 300, 1 << 40]);
    assert_eq!(engine.first::<Numbers>()?.map(|(key, _)| key), Some(1));
    assert_eq!(engine.last::<Numbers>()?.map(|(key, _)| key), Some(1 << 40));
    let some = |range: KeyRange, order, limit| -> KvResult<Vec<u64>> {
        let records = engine.scan(Numbers::ID, &range, order, limit)?;
        Ok(records
            .iter()
            .filter_map(|(key, _)| Some(u64::from_be_bytes(key.as_slice().try_into().ok()?)))
            .collect())
    };
    assert_eq!(
        some(KeyRange::of(2..300u64), Order::Ascending, ScanLimit::NONE)?,
        [2, 255, 256]
    );
    assert_eq!(
        some(KeyRange::of(2..=300u64), Order::Descending, ScanLimit::NONE)?,
        [300, 256, 255, 2]
    );
    assert_eq!(
        some(KeyRange::of(256u64..), Order::Ascending, ScanLimit::records(2))?,
        [256, 300]
    );
    // Each record is 18 bytes: the second reaches 20, the first alone passes 1.
    let bytes = |bytes| ScanLimit {
        records: usize::MAX,
        bytes,
    };
    assert_eq!(some(KeyRange::all(), Order::Ascending, bytes(1))?, [1]);
    assert_eq!(some(KeyRange::all(), Order::Ascending, bytes(20))?, [1, 2]);
    Ok(())
}

fn empty_ranges(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    engine.write(&put(5, b"five"), Durability::Buffered)?;
    #[allow(clippy::reversed_empty_ranges)]
    for range in [
        KeyRange::of(5..5u64),
        KeyRange::of(6..5u64),
        KeyRange::of(9..=5u64),
    ] {
        assert_eq!(
            engine.scan(Numbers::ID, &range, Order::Ascending, ScanLimit::NONE)?,
            []
        );
        let mut batch = WriteBatch::new();
        batch.push(Operation::DeleteRange {
            space: Numbers::ID,
            range,
        });
        engine.write(&batch, Durability::Buffered)?;
    }
    assert_eq!(keys(&*engine)?, [5]);
    Ok(())
}

fn batch_order(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    let mut batch = put(1, b"first");
    batch.delete::<Numbers>(&1).put::<Numbers>(&1, &b"last".to_vec());
    batch.put::<Numbers>(&2, &b"gone".to_vec()).delete::<Numbers>(&2);
    engine.write(&batch, Durability::Durable)?;
    assert_eq!(engine.read::<Numbers>(&1)?.as_deref(), Some(b"last".as_slice()));
    assert_eq!(keys(&*engine)?, [1]);
    Ok(())
}

fn range_delete(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    for key in 0..20 {
        engine.write(&put(key, b"old"), Durability::Buffered)?;
    }
    let mut batch = put(100, b"new");
    batch
        .delete_range::<Numbers>(5..)
        .put::<Numbers>(&7, &b"again".to_vec());
    engine.write(&batch, Durability::Durable)?;
    assert_eq!(keys(&*engine)?, [0, 1, 2, 3, 4, 7]);
    Ok(())
}

fn value_sizes(bench: &mut dyn EngineBench) -> KvResult<()> {
    let sizes = [0usize, 1, 4095, 4096, 4097, 8192, 100_000, 1 << 20];
    let value = |size: usize| -> Vec<u8> { (0..size).map(|at| (at * 31 % 251) as u8).collect() };
    {
        let engine = bench.open()?;
        for (key, size) in (0u64..).zip(sizes) {
            engine.write(&put(key, &value(size)), Durability::Durable)?;
            engine.write(&put(key + 100, &value(size)), Durability::Durable)?;
        }
        for (key, size) in (100u64..).zip(sizes) {
            engine.write(&put(key, &value(size / 2)), Durability::Durable)?;
        }
        let mut batch = WriteBatch::new();
        batch.delete::<Numbers>(&107);
        engine.write(&batch, Durability::Durable)?;
    }
    let engine = bench.open()?;
    for (key, size) in (0u64..).zip(sizes) {
        assert!(engine.read::<Numbers>(&key)? == Some(value(size)), "size {size}");
        let halved = (key < 7).then(|| value(size / 2));
        assert!(
            engine.read::<Numbers>(&(key + 100))? == halved,
            "size {size}, halved"
        );
    }
    Ok(())
}

fn too_large(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    let mut key = put(1, b"with the key");
    key.put::<Names>(&"k".repeat(MAX_KEY_BYTES + 1), &String::new());
    let mut value = put(1, b"with the value");
    value.put::<Numbers>(&2, &vec![0; MAX_VALUE_BYTES + 1]);
    for batch in [key, value] {
        assert!(matches!(
            engine.write(&batch, Durability::Durable),
            Err(KvError::TooLarge { .. })
        ));
    }
    assert_eq!(keys(&*engine)?, [], "nothing of a refused batch is stored");
    let mut fits = WriteBatch::new();
    fits.put::<Names>(&"k".repeat(MAX_KEY_BYTES), &String::new());
    engine.write(&fits, Durability::Durable)
}

fn undecodable(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    let mut batch = WriteBatch::new();
    batch.push(Operation::Put {
        space: Names::ID,
        key: b"n".to_vec(),
        value: vec![0xff],
    });
    batch.push(Operation::Put {
        space: Numbers::ID,
        key: b"short".to_vec(),
        value: vec![],
    });
    engine.write(&batch, Durability::Durable)?;
    assert!(matches!(
        engine.read::<Names>(&"n".to_owned()),
        Err(KvError::Undecodable { .. })
    ));
    assert!(matches!(
        engine.first::<Numbers>(),
        Err(KvError::Undecodable { .. })
    ));
    Ok(())
}

fn clean_stop(bench: &mut dyn EngineBench) -> KvResult<()> {
    for round in 0..5u64 {
        let engine = bench.open()?;
        assert_eq!(keys(&*engine)?, (0..round).collect::<Vec<_>>());
        engine.write(&put(round, b"x"), Durability::Buffered)?;
    }
    Ok(())
}

fn power_loss(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    for key in 0..60u64 {
        engine.write(&put(key, &vec![7; 50 * key as usize]), Durability::Durable)?;
        if key % 15 == 0 {
            assert_eq!(
                keys(&*bench.open_after_power_loss()?)?,
                (0..=key).collect::<Vec<_>>()
            );
        }
    }
    let mut purge = WriteBatch::new();
    purge.delete_range::<Numbers>(..30);
    engine.write(&purge, Durability::Durable)?;
    assert_eq!(
        keys(&*bench.open_after_power_loss()?)?,
        (30..60).collect::<Vec<_>>()
    );
    Ok(())
}

fn power_loss_prefix(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    for key in 0..40u64 {
        let durability = if key == 20 {
            Durability::Durable
        } else {
            Durability::Buffered
        };
        engine.write(&put(key, &[1; 2000]), durability)?;
    }
    let left = keys(&*bench.open_after_power_loss()?)?;
    assert!(
        left.len() >= 21,
        "a durable write covers the buffered ones before it; left: {left:?}"
    );
    assert_eq!(
        left,
        (0..left.len() as u64).collect::<Vec<_>>(),
        "there is no hole"
    );
    Ok(())
}

fn sync_is_durable(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    for key in 0..10 {
        engine.write(&put(key, b"x"), Durability::Buffered)?;
    }
    engine.sync()?;
    assert_eq!(
        keys(&*bench.open_after_power_loss()?)?,
        (0..10).collect::<Vec<_>>()
    );
    Ok(())
}

fn concurrent_writers(bench: &mut dyn EngineBench) -> KvResult<()> {
    const THREADS: u64 = 8;
    const EACH: u64 = 25;
    let engine = bench.open()?;
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let engine = &engine;
                scope.spawn(move || -> KvResult<()> {
                    for number in 0..EACH {
                        engine.write(&put(thread * EACH + number, b"x"), Durability::Durable)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for writer in writers {
            match writer.join() {
                Ok(outcome) => outcome?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        KvResult::Ok(())
    })?;
    assert_eq!(
        keys(&*bench.open_after_power_loss()?)?,
        (0..THREADS * EACH).collect::<Vec<_>>()
    );
    Ok(())
}

fn consistent_scans(bench: &mut dyn EngineBench) -> KvResult<()> {
    let engine = bench.open()?;
    let batch = |round: u8| {
        let mut batch = WriteBatch::new();
        for key in 0..30u64 {
            batch.put::<Numbers>(&key, &vec![round]);
        }
        batch
    };
    engine.write(&batch(0), Durability::Buffered)?;
    std::thread::scope(|scope| -> KvResult<()> {
        let writer =
            scope.spawn(|| (1..=100).try_for_each(|round| engine.write(&batch(round), Durability::Buffered)));
        while !writer.is_finished() {
            let records = engine.read_range::<Numbers>(.., ScanLimit::NONE)?;
            assert_eq!(records.len(), 30);
            assert!(
                records.iter().all(|(_, value)| *value == records[0].1),
                "half a batch was visible"
            );
        }
        match writer.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
