//! Full import, and its hand-over to incremental synchronization.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod model;

use std::{sync::Arc, time::Duration};

use model::*;
use oms_apply::{
    ExistingPolicy, ImportConfig, ImportEnd, ImportReport, ImportTuning, Importer, RetryPolicy, SyncConfig,
    SyncEnd, SyncPlan, Synchronizer, TableState, Workers, resume_or_initialize,
    testing::{Fault, MemorySink, MemorySource},
};
use oms_core::{Position, RowChange, Sink, TableSchema, codes};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

fn small() -> ImportConfig {
    ImportConfig {
        tuning: ImportTuning {
            workers: Workers::Fixed(3),
            ..ImportTuning::default()
        },
        chunk_rows: 2,
        batch_bytes: 60,
        retry: RetryPolicy {
            first_delay: Duration::from_micros(200),
            max_delay: Duration::from_millis(2),
            window: Duration::from_secs(20),
        },
        ..ImportConfig::default()
    }
}

struct World {
    tables: Vec<Arc<TableSchema>>,
    source: MemorySource,
    sink: MemorySink,
}

impl World {
    fn new(seed: u64) -> Self {
        let tables = shapes();
        Self {
            source: MemorySource::new(tables.iter().cloned()),
            sink: MemorySink::new(tables.iter().cloned(), seed, 300),
            tables,
        }
    }

    fn importer(&self, epoch: u64, config: ImportConfig) -> Importer {
        let (source, sink) = (Arc::new(self.source.clone()), Arc::new(self.sink.clone()));
        Importer::new(
            source,
            sink,
            token("full-import", epoch),
            pairs(&self.tables),
            config,
        )
    }

    async fn import(&self, config: ImportConfig) -> ImportReport {
        match self
            .importer(1, config)
            .run(&CancellationToken::new())
            .await
            .unwrap()
        {
            ImportEnd::Finished(report) => report,
            ImportEnd::Cancelled => unreachable!(),
        }
    }

    fn fill(&self, rows: i64) {
        let changes = |table: u32| {
            let schema = &self.tables[table as usize];
            let after = (0..rows).map(|a| row(schema, a, (a % 200) as u8, 0));
            after.map(move |after| RowChange {
                table,
                before: None,
                after: Some(after),
            })
        };
        self.source
            .commit((0..self.tables.len() as u32).flat_map(changes).collect());
    }

    fn is_equal(&self) -> bool {
        sink_contents(&self.tables, &self.sink) == source_contents(&self.tables, &self.source)
    }
}

#[derive(Clone, Debug)]
struct Disturbance {
    at_step: u64,
    after_effect: bool,
    of_source: bool,
}

fn disturbance() -> impl Strategy<Value = Disturbance> {
    (0u64..120, any::<bool>(), any::<bool>()).prop_map(|(at_step, after_effect, of_source)| Disturbance {
        at_step,
        after_effect,
        of_source,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Rows are copied while they change, with faults, pauses and takeovers; then the log is replayed
    /// from before the import with crashes. In the end both sides are equal.
    #[test]
    fn a_fuzzy_copy_and_a_replay_converge(
        before in prop::collection::vec(entry(), 0..15),
        during in prop::collection::vec((entry(), 0u64..400), 0..20),
        afterwards in prop::collection::vec(entry(), 0..10),
        disturbances in prop::collection::vec(disturbance(), 0..4),
        cancels in prop::collection::vec((0u64..4_000, any::<bool>()), 0..3),
        lanes in 1u32..4,
        large_rows in prop_oneof![Just(1_000usize), 0usize..3],
        sync_faults in prop::collection::vec((0u64..40, any::<bool>()), 0..3),
        seed in any::<u64>(),
    ) {
        let world = World::new(seed);
        for entry in &before {
            append(&world.source, &world.tables, entry);
        }
        let start = world.source.end();
        runtime().block_on(async {
            let writing = async {
                for (entry, pause) in &during {
                    tokio::time::sleep(Duration::from_micros(*pause)).await;
                    append(&world.source, &world.tables, entry);
                }
            };
            let importing = async {
                let faults = |of_source: bool| disturbances.iter().filter(|d| d.of_source == of_source).map(|d| Fault {
                    at_step: d.at_step,
                    after_effect: d.after_effect && !of_source,
                    code: match (of_source, d.after_effect) {
                        (true, _) => codes::src::TRANSIENT,
                        (false, true) => codes::apply::COMMIT_UNKNOWN,
                        (false, false) => codes::dst::TRANSIENT,
                    },
                }).collect::<Vec<_>>();
                world.sink.set_faults(faults(false));
                world.source.set_faults(faults(true));
                let mut epoch = 1;
                for (after_us, takeover) in &cancels {
                    let importer = world.importer(epoch, small());
                    let cancel = CancellationToken::new();
                    let running = importer.run(&cancel);
                    let stop = async {
                        tokio::time::sleep(Duration::from_micros(*after_us)).await;
                        if *takeover {
                            epoch += 1;
                            let options = options(&pairs(&world.tables), 1);
                            world.sink.claim(token("full-import", epoch), options).await.unwrap();
                        } else {
                            cancel.cancel();
                        }
                    };
                    let (ended, ()) = tokio::join!(running, stop);
                    if let Err(failure) = ended {
                        assert!(failure.is_fenced(), "{failure}");
                    }
                }
                match world.importer(epoch, small()).run(&CancellationToken::new()).await.unwrap() {
                    ImportEnd::Finished(report) => report,
                    ImportEnd::Cancelled => unreachable!(),
                }
            };
            let (report, ()) = tokio::join!(importing, writing);
            for table in &report.tables {
                prop_assert!(table.failure.is_none(), "{:?}", table.failure);
            }
            let safe_until = world.source.end();
            for entry in &afterwards {
                append(&world.source, &world.tables, entry);
            }
            world.source.close();
            world.sink.set_faults(vec![]);
            replay(&world, &report, start, safe_until, lanes, large_rows, &sync_faults).await?;
            prop_assert!(world.is_equal(), "source and destination differ");
            Ok(())
        })?;
    }
}

async fn replay(
    world: &World,
    report: &ImportReport,
    start: Position,
    safe_until: Position,
    lanes: u32,
    large_rows: usize,
    faults: &[(u64, bool)],
) -> Result<(), TestCaseError> {
    let tables = pairs(&world.tables);
    let plan = SyncPlan {
        tables: tables.clone(),
        foreign_keys: Vec::new(),
        skip_until: report.snapshots(),
        safe_until: Some(safe_until),
        always_safe: Default::default(),
        stop_at: None,
    };
    let config = SyncConfig {
        lanes,
        batch_rows: 4,
        large_rows,
        feed_bytes: 200,
        ..SyncConfig::default()
    };
    let engine = Synchronizer::new(plan, config);
    for fault in faults.iter().map(Some).chain([None]) {
        let claim = world
            .sink
            .claim(token("incr-sync", 1), options(&tables, lanes))
            .await
            .unwrap();
        let checkpoint = resume_or_initialize(&*claim, &start).await.unwrap();
        let faults = fault.map(|(step, after_effect)| Fault {
            at_step: world.sink.steps() + step,
            after_effect: *after_effect,
            code: codes::apply::COMMIT_UNKNOWN,
        });
        world.sink.set_faults(faults.into_iter().collect());
        let ended = engine
            .run(&*claim, &world.source, checkpoint, &CancellationToken::new())
            .await;
        match ended {
            Ok(end) => prop_assert!(matches!(end, SyncEnd::FeedEnded(_))),
            Err(failure) => prop_assert!(fault.is_some() && failure.is_transient(), "{}", failure),
        }
    }
    Ok(())
}

#[test]
fn chunks_with_a_receipt_are_not_read_again() {
    let world = World::new(1);
    world.fill(60);
    runtime().block_on(async {
        let cancel = CancellationToken::new();
        let importer = world.importer(1, small());
        let stop = async {
            let counters = importer.counters();
            while counters.read().transactions < 20 {
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(importer.run(&cancel), stop);
        assert!(matches!(ended.unwrap(), ImportEnd::Cancelled));
        let second = world.importer(1, small());
        let ImportEnd::Finished(report) = second.run(&CancellationToken::new()).await.unwrap() else {
            unreachable!()
        };
        assert!(report.is_complete());
        assert!(world.is_equal());
        let rows: u64 = report.tables.iter().map(|t| t.rows).sum();
        let written = importer.counters().read().rows + second.counters().read().rows;
        assert!(second.counters().read().rows < rows);
        // Only the table without a key may have been begun again.
        assert!(written <= rows + 60 * 2, "{written} of {rows}");
        let progress = second.progress().read();
        assert!(progress.iter().all(|t| t.state == TableState::Finished));
        assert_eq!(progress.iter().map(|t| t.rows).sum::<u64>(), rows);
        // A third run finds nothing to do.
        let third = world.importer(1, small());
        third.run(&CancellationToken::new()).await.unwrap();
        assert_eq!(third.counters().read().transactions, 0);
    });
}

#[test]
fn a_table_that_fails_does_not_stop_the_others() {
    let world = World::new(2);
    world.fill(5);
    for schema in [&world.tables[0], &world.tables[7]] {
        assert!(
            world
                .sink
                .insert_foreign_row(&schema.name, row(schema, 100, 4, 0))
        );
    }
    runtime().block_on(async {
        let report = world.import(small()).await;
        for (number, table) in report.tables.iter().enumerate() {
            let code = table.failure.as_ref().map(|f| f.code());
            let expected = [0, 7]
                .contains(&number)
                .then_some(codes::import::DESTINATION_NOT_EMPTY);
            assert_eq!(code, expected, "{}", table.table);
        }
        // The user resumes in spite of it: keys are replaced, the table without a key is emptied.
        let config = ImportConfig {
            check_empty: false,
            ..small()
        };
        let report = world.import(config).await;
        assert!(report.is_complete());
        assert_eq!(world.sink.table(&world.tables[0].name).unwrap().len(), 6);
        assert_eq!(world.sink.table(&world.tables[7].name).unwrap().len(), 5);
    });
}

#[test]
fn existing_rows_are_kept_and_counted() {
    let world = World::new(3);
    world.fill(6);
    let schema = &world.tables[0];
    let theirs = row(schema, 2, 0, 77);
    assert!(world.sink.insert_foreign_row(&schema.name, theirs.clone()));
    let config = ImportConfig {
        existing: ExistingPolicy::Ignore,
        ..small()
    };
    runtime().block_on(async {
        let report = world.import(config.clone()).await;
        assert!(report.is_complete());
        assert_eq!(report.tables[0].conflicts, 1);
        assert_eq!(report.tables[0].conflicted.len(), 1);
        assert!(
            world
                .sink
                .table(&schema.name)
                .unwrap()
                .sorted_rows()
                .contains(&theirs)
        );
    });
    let world = World::new(3);
    world.fill(6);
    assert!(world.sink.insert_foreign_row(&schema.name, theirs));
    let config = ImportConfig {
        max_conflicts: 0,
        ..config
    };
    runtime().block_on(async {
        let report = world.import(config).await;
        let code = report.tables[0].failure.as_ref().map(|f| f.code());
        assert_eq!(code, Some(codes::import::TOO_MANY_CONFLICTS));
    });
}

#[test]
fn transient_failures_stand_after_the_window() {
    let world = World::new(4);
    world.fill(5);
    let faults = (0..100_000).map(|at_step| Fault {
        at_step,
        after_effect: false,
        code: codes::dst::TRANSIENT,
    });
    world.sink.set_faults(faults.take(20_000).collect());
    runtime().block_on(async {
        let begun = tokio::time::Instant::now();
        let config = ImportConfig {
            retry: RetryPolicy {
                first_delay: Duration::from_millis(100),
                max_delay: Duration::from_secs(5),
                window: Duration::from_secs(60),
            },
            ..small()
        };
        let report = world.import(config).await;
        assert!(
            report
                .tables
                .iter()
                .all(|t| t.failure.as_ref().is_some_and(|f| f.is_transient()))
        );
        assert!(begun.elapsed() >= Duration::from_secs(60));
    });
}

#[test]
fn the_throttle_limits_rows_per_second() {
    let world = World::new(5);
    world.fill(200);
    let rows: usize = source_contents(&world.tables, &world.source)
        .iter()
        .map(Vec::len)
        .sum();
    runtime().block_on(async {
        let begun = tokio::time::Instant::now();
        let config = ImportConfig {
            tuning: ImportTuning {
                workers: Workers::Fixed(3),
                rows_per_second: Some(50),
                bytes_per_second: None,
            },
            ..small()
        };
        assert!(world.import(config).await.is_complete());
        let least = (rows as f64 - 50.0) / 50.0;
        let took = begun.elapsed().as_secs_f64();
        assert!(
            (least..least * 1.2 + 1.0).contains(&took),
            "{took} s for {rows} rows"
        );
    });
    assert!(world.is_equal());
}

#[test]
fn limits_and_workers_change_while_it_runs() {
    runtime().block_on(async {
        let world = World::new(12);
        world.fill(150);
        let limited = ImportTuning {
            workers: Workers::Fixed(1),
            rows_per_second: Some(1),
            bytes_per_second: None,
        };
        let config = ImportConfig {
            tuning: limited,
            ..small()
        };
        let importer = world.importer(1, config);
        let begun = tokio::time::Instant::now();
        let cancel = CancellationToken::new();
        let rows = || importer.progress().read().iter().map(|t| t.rows).sum::<u64>();
        let (end, seen) = tokio::join!(importer.run(&cancel), async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let slow = rows();
            importer.tune(ImportTuning {
                workers: Workers::Auto(5),
                rows_per_second: None,
                bytes_per_second: None,
            });
            slow
        });
        let ImportEnd::Finished(report) = end.unwrap() else {
            panic!("nobody cancelled it");
        };
        assert!(report.is_complete());
        assert!(
            (10..=25).contains(&seen),
            "{seen} rows in 20 seconds at 1 per second"
        );
        // Whoever waited under the old limit went on at once.
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        assert!(world.is_equal());
    });
}
