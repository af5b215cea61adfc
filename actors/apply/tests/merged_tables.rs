//! Several tables of a source as one: import, changes, keys that are in several of them.
#![allow(clippy::unwrap_used)]

mod model;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use model::*;
use oms_apply::{
    EventFeed, EventSource, ImportConfig, ImportEnd, ImportReport, ImportTuning, Importer, MergedSource,
    MergedTables, RetryPolicy, SyncConfig, SyncEnd, SyncPlan, Synchronizer, Workers, resume_or_initialize,
    testing::{MemorySink, MemorySource},
};
use oms_core::{
    Capture, ChunkRange, Failure, KeyOrder, LogDecoder, LogEvent, Position, RecordFlags, Row, RowChange,
    Sink as _, Source, TableMap, TableName, TablePair, TableSchema, Value, codes,
};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

const MEMBERS: [&str; 3] = ["one", "two", "three"];

fn named(name: &str) -> Arc<TableSchema> {
    let plain = shapes().remove(0);
    let mut table = TableSchema::clone(&plain);
    table.name = TableName::new("d", name);
    Arc::new(table)
}

/// Three tables of a source, one at the destination.
struct World {
    tables: Vec<Arc<TableSchema>>,
    source: MemorySource,
    merged: MergedSource,
    all: Arc<TableSchema>,
    sink: MemorySink,
}

impl World {
    fn new(seed: u64) -> Self {
        let tables: Vec<_> = MEMBERS.iter().map(|n| named(n)).collect();
        let all = named("all");
        let source = MemorySource::new(tables.iter().cloned());
        let names: Vec<_> = tables
            .iter()
            .map(|t| (t.name.clone(), all.name.clone()))
            .collect();
        let groups = MergedTables::of(names.iter().map(|(s, d)| (s, d)));
        Self {
            merged: MergedSource::new(Arc::new(source.clone()), groups),
            sink: MemorySink::new([all.clone()], seed, 200),
            tables,
            source,
            all,
        }
    }

    async fn pairs(&self) -> Arc<Vec<TablePair>> {
        let first = self
            .merged
            .load_tables(&[self.tables[0].name.clone()])
            .await
            .unwrap();
        let seen = first.into_iter().next().unwrap();
        Arc::new(vec![
            TablePair::by_name(Arc::new(seen), self.all.clone()).unwrap(),
        ])
    }

    async fn import(&self, epoch: u64) -> ImportReport {
        let config = ImportConfig {
            tuning: ImportTuning {
                workers: Workers::Fixed(3),
                ..ImportTuning::default()
            },
            chunk_rows: 3,
            batch_bytes: 60,
            retry: RetryPolicy {
                first_delay: Duration::from_micros(200),
                max_delay: Duration::from_millis(2),
                window: Duration::from_secs(20),
            },
            ..ImportConfig::default()
        };
        let (source, sink) = (Arc::new(self.merged.clone()), Arc::new(self.sink.clone()));
        let importer = Importer::new(
            source,
            sink,
            token("full-import", epoch),
            self.pairs().await,
            config,
        );
        match importer.run(&CancellationToken::new()).await.unwrap() {
            ImportEnd::Finished(report) => report,
            ImportEnd::Cancelled => unreachable!(),
        }
    }

    /// Applies the log from a position to its end.
    async fn apply(&self, start: &Position, safe_until: Option<Position>) -> Result<(), Failure> {
        let pairs = self.pairs().await;
        let plan = SyncPlan {
            tables: pairs.clone(),
            foreign_keys: Vec::new(),
            skip_until: Default::default(),
            safe_until,
            always_safe: Default::default(),
            stop_at: None,
        };
        let config = SyncConfig {
            lanes: 3,
            batch_rows: 4,
            feed_bytes: 200,
            ..SyncConfig::default()
        };
        let claim = self
            .sink
            .claim(token("incr-sync", 1), options(&pairs, 3))
            .await
            .unwrap();
        let checkpoint = resume_or_initialize(&*claim, start).await.unwrap();
        let log = DecodedLog {
            source: self.source.clone(),
            merged: self.merged.clone(),
            tables: Arc::new(TableMap::new(pairs.iter().map(|p| p.source.clone()).collect())),
        };
        let engine = Synchronizer::new(plan, config);
        let end = engine
            .run(&*claim, &log, checkpoint, &CancellationToken::new())
            .await?;
        assert!(matches!(end, SyncEnd::FeedEnded(_)));
        Ok(())
    }

    /// The rows of all tables of the source.
    fn union(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = source_contents(&self.tables, &self.source).concat();
        rows.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        rows
    }

    fn arrived(&self) -> Vec<Row> {
        self.sink.table(&self.all.name).unwrap().sorted_rows()
    }

    fn row(&self, key: i64, c: i64) -> Row {
        row(&self.tables[0], key, 0, c)
    }

    fn holder(&self, key: i64) -> Option<(u32, Row)> {
        let contents = source_contents(&self.tables, &self.source);
        (0u32..).zip(contents).find_map(|(number, rows)| {
            let row = rows.into_iter().find(|r| r.get(0) == Value::Int(key))?;
            Some((number, row))
        })
    }
}

/// The log through the source's decoder, up to its end.
struct DecodedLog {
    source: MemorySource,
    merged: MergedSource,
    tables: Arc<TableMap>,
}

#[async_trait]
impl EventSource for DecodedLog {
    async fn open(&self, from: &Position) -> Result<Box<dyn EventFeed>, Failure> {
        Ok(Box::new(DecodedFeed {
            capture: self.merged.open_capture(from).await?,
            decoder: self.merged.decoder(self.tables.clone(), from)?,
            source: self.source.clone(),
            ended: self.source.end() == *from,
        }))
    }
}

struct DecodedFeed {
    capture: Box<dyn Capture>,
    decoder: Box<dyn LogDecoder>,
    source: MemorySource,
    ended: bool,
}

#[async_trait]
impl EventFeed for DecodedFeed {
    async fn next(&mut self, _: usize) -> Result<Option<Vec<LogEvent>>, Failure> {
        let mut events = Vec::new();
        while events.is_empty() && !self.ended {
            let record = self.capture.next().await?;
            let last = record.flags.has(RecordFlags::TXN_LAST) || record.flags.has(RecordFlags::HEARTBEAT);
            self.ended = last && record.position == Some(self.source.end());
            self.decoder.decode(&record, &mut events)?;
        }
        Ok((!events.is_empty()).then_some(events))
    }
}

/// What a transaction does to a key, whichever table has it.
#[derive(Clone, Copy, Debug)]
struct Step {
    key: i64,
    table: u32,
    c: i64,
    what: u8,
}

fn step() -> impl Strategy<Value = Step> {
    (0i64..12, 0u32..3, 0i64..4, 0u8..5).prop_map(|(key, table, c, what)| Step { key, table, c, what })
}

/// Commits steps in one transaction: at most one step of each key, and each key stays in one table.
fn commit(world: &World, steps: &[Step]) {
    let mut changes: Vec<RowChange> = Vec::new();
    let mut touched = Vec::new();
    for s in steps {
        if touched.contains(&s.key) {
            continue;
        }
        touched.push(s.key);
        let after = Some(world.row(s.key, s.c));
        match (world.holder(s.key), s.what) {
            (None, _) => changes.push(RowChange {
                table: s.table,
                before: None,
                after,
            }),
            (Some((table, before)), 0) => changes.push(RowChange {
                table,
                before: Some(before),
                after: None,
            }),
            // It moves to another table, or is replaced in its own.
            (Some((table, before)), 1 | 2) => {
                changes.push(RowChange {
                    table,
                    before: Some(before),
                    after: None,
                });
                changes.push(RowChange {
                    table: s.table,
                    before: None,
                    after,
                });
            }
            (Some((table, before)), _) => changes.push(RowChange {
                table,
                before: Some(before),
                after,
            }),
        }
    }
    let wanted = changes.len();
    assert_eq!(world.source.commit(changes).len(), wanted);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to rows before and after the import, also that they move from table to table, the destination
    /// ends as the union.
    #[test]
    fn the_destination_is_the_union(
        before in prop::collection::vec(prop::collection::vec(step(), 1..6), 0..12),
        replayed in 0usize..12,
        after in prop::collection::vec(prop::collection::vec(step(), 1..6), 0..12),
        seed in any::<u64>(),
    ) {
        runtime().block_on(async {
            let world = World::new(seed);
            let mut start = world.source.end();
            for (number, steps) in before.iter().enumerate() {
                if number == replayed {
                    start = world.source.end();
                }
                commit(&world, steps);
            }
            let report = world.import(1).await;
            prop_assert!(report.is_complete(), "{:?}", report);
            prop_assert_eq!(world.arrived(), world.union());
            let safe_until = world.source.end();
            for steps in &after {
                commit(&world, steps);
            }
            world.apply(&start, Some(safe_until)).await.unwrap();
            prop_assert_eq!(world.arrived(), world.union());
            Ok(())
        })?;
    }
}

fn insert(table: u32, row: Row) -> RowChange {
    RowChange {
        table,
        before: None,
        after: Some(row),
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_stops_at_a_key_that_two_tables_have() {
    let world = World::new(1);
    let rows = (0..20).map(|key| insert((key % 3) as u32, world.row(key, 0)));
    world.source.commit(rows.collect());
    world
        .source
        .commit(vec![insert(1, world.row(9, 1)), insert(0, world.row(14, 0))]);
    let report = world.import(1).await;
    let failure = report.tables[0].failure.as_ref().unwrap();
    assert_eq!(failure.code(), codes::src::KEYS_COLLIDE, "{failure}");
    assert!(
        failure.detail().contains("`d`.`one`") && !failure.detail().contains('9'),
        "{failure}"
    );
    // Mended, it goes on.
    for (table, row) in [(1, world.row(9, 1)), (0, world.row(14, 0))] {
        world.source.commit(vec![RowChange {
            table,
            before: Some(row),
            after: None,
        }]);
    }
    let report = world.import(2).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(world.arrived(), world.union());
}

/// A key that comes a second time in another table stops synchronization, as a key would that is taken.
#[tokio::test(start_paused = true)]
async fn a_change_does_not_overwrite_a_row_of_another_table() {
    let world = World::new(2);
    let start = world.source.end();
    world.source.commit(vec![insert(0, world.row(7, 0))]);
    world.source.commit(vec![insert(2, world.row(7, 3))]);
    let failure = world.apply(&start, None).await.unwrap_err();
    assert_eq!(failure.code(), codes::apply::ROW_EXISTS, "{failure}");
    // What came before it may have been in the same transaction of the destination, and was rolled back with it.
    assert!(!world.arrived().contains(&world.row(7, 3)));
}

/// Reading by key gives the row of whichever table has it, and finds a key that two have.
#[tokio::test(start_paused = true)]
async fn rows_are_found_in_whichever_table_has_them() {
    let world = World::new(3);
    world
        .source
        .commit(vec![insert(0, world.row(1, 0)), insert(2, world.row(2, 0))]);
    let pairs = world.pairs().await;
    let table = pairs[0].source.clone();
    let mut reader = world.merged.open_snapshot().await.unwrap();
    assert_eq!(reader.count(&table).await.unwrap(), 2);
    let (least, greatest) = reader.key_span(&table).await.unwrap().unwrap();
    assert_eq!((least.get(0), greatest.get(0)), (Value::Int(1), Value::Int(2)));
    let keys: Vec<Row> = [2, 3]
        .map(|k| oms_core::RowBuilder::build([Value::Int(k)].into_iter()).unwrap())
        .to_vec();
    reader.read_keys(table.clone(), &keys).await.unwrap();
    let mut found = Vec::new();
    while let Some(batch) = reader.next_batch(100).await.unwrap() {
        found.extend(batch.rows);
    }
    assert_eq!(found, [world.row(2, 0)]);
    world.source.commit(vec![insert(1, world.row(2, 5))]);
    reader.read_keys(table.clone(), &keys).await.unwrap();
    let failure = loop {
        match reader.next_batch(100).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the key was not seen twice"),
            Err(failure) => break failure,
        }
    };
    assert!(
        failure
            .detail()
            .contains("at least 1 keys are in more than one of `d`.`two`, `d`.`three`"),
        "{failure}"
    );
    // Nobody may take rows that come table after table for rows in order.
    let ordered = reader
        .read_chunk(table, &ChunkRange::default(), KeyOrder::Ordered)
        .await;
    assert!(ordered.is_err());
}

#[tokio::test(start_paused = true)]
async fn tables_of_different_shape_are_refused_with_all_differences() {
    let mut tables: Vec<_> = MEMBERS.iter().map(|n| TableSchema::clone(&named(n))).collect();
    tables[1].columns.swap(1, 2);
    tables[2].keys.clear();
    let names: Vec<_> = tables.iter().map(|t| t.name.clone()).collect();
    let all = TableName::new("d", "all");
    let source = MemorySource::new(tables.into_iter().map(Arc::new));
    let groups = MergedTables::of(names.iter().map(|n| (n, &all)));
    let merged = MergedSource::new(Arc::new(source), groups);
    let failure = merged.load_tables(&names[..1]).await.unwrap_err();
    assert_eq!(failure.code(), codes::schema::DEFINITION_DIFFERS);
    for part in [
        "`two`: column `b` is at another place",
        "`three`: has other unique keys",
    ] {
        assert!(failure.detail().contains(part), "{part}: {failure}");
    }
}
