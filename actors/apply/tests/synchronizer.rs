//! The destination against a serial model, under random interleavings, crashes and restarts.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod model;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use model::*;
use oms_apply::{
    ClimbConfig, CommitOrder, SyncConfig, SyncEnd, SyncPlan, Synchronizer, resume_or_initialize,
    testing::{Fault, MemorySink, MemorySource},
};
use oms_core::{ApplyCheckpoint, Position, RowChange, Sink, TablePair, TableSchema, codes};
use proptest::prelude::*;
use tokio_util::sync::CancellationToken;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

fn plan(tables: &Arc<Vec<TablePair>>) -> SyncPlan {
    SyncPlan {
        tables: tables.clone(),
        foreign_keys: Vec::new(),
        skip_until: BTreeMap::new(),
        safe_until: None,
        always_safe: Default::default(),
        stop_at: None,
    }
}

/// How a run is disturbed.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Fail { step: u64, after_effect: bool },
    Cancel { after_us: u64 },
    Drop { after_us: u64 },
    Takeover { after_us: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Run {
    lanes: u32,
    batch_rows: usize,
    window: usize,
    large_rows: usize,
    /// The number of lanes changes while it runs.
    climbs: bool,
    order: CommitOrder,
    trouble: Trouble,
}

fn run() -> impl Strategy<Value = Run> {
    let trouble = prop_oneof![
        (0u64..60, any::<bool>()).prop_map(|(step, after_effect)| Trouble::Fail { step, after_effect }),
        (0u64..6_000).prop_map(|after_us| Trouble::Cancel { after_us }),
        (0u64..6_000).prop_map(|after_us| Trouble::Drop { after_us }),
        (0u64..6_000).prop_map(|after_us| Trouble::Takeover { after_us }),
    ];
    (
        1u32..5,
        1usize..12,
        1usize..20,
        prop_oneof![2 => Just(1_000usize), 1 => 0usize..4],
        any::<bool>(),
        prop_oneof![Just(CommitOrder::Relaxed), Just(CommitOrder::Strict)],
        trouble,
    )
        .prop_map(
            |(lanes, batch_rows, window, large_rows, climbs, order, trouble)| Run {
                lanes,
                batch_rows,
                window,
                large_rows,
                climbs,
                order,
                trouble,
            },
        )
}

fn config(run: &Run) -> SyncConfig {
    // Looks often and believes everything, so it goes up and down.
    let restless = ClimbConfig {
        start: 1,
        settle: 0,
        window: 1,
        rest: 1,
        ..ClimbConfig::default()
    };
    SyncConfig {
        lanes: run.lanes,
        climb: run.climbs.then_some(restless),
        climb_interval: Duration::from_micros(700),
        commit_order: run.order,
        turn_patience: Duration::from_micros(900),
        batch_rows: run.batch_rows,
        window: run.window,
        large_rows: run.large_rows,
        feed_bytes: 200,
        memory_bytes: 2_000,
        mark_interval: Duration::from_millis(2),
        ..SyncConfig::default()
    }
}

struct World {
    tables: Vec<Arc<TableSchema>>,
    pairs: Arc<Vec<TablePair>>,
    source: MemorySource,
    sink: MemorySink,
    /// The commits of the log; number n is at n - 1.
    commits: Vec<Vec<RowChange>>,
}

impl World {
    fn new(tables: Vec<Arc<TableSchema>>, history: &[Entry], seed: u64) -> Self {
        let source = MemorySource::new(tables.iter().cloned());
        let commits = history
            .iter()
            .filter_map(|entry| append(&source, &tables, entry))
            .collect();
        source.close();
        Self {
            pairs: pairs(&tables),
            sink: MemorySink::new(tables.iter().cloned(), seed, 300),
            source,
            commits,
            tables,
        }
    }

    /// Data and position agree, whatever happened.
    fn check_prefix(&self) -> Result<u64, TestCaseError> {
        let Some(checkpoint) = self.sink.checkpoint(&token("incr-sync", 1).component) else {
            return Ok(0);
        };
        let applied = self
            .commits
            .iter()
            .zip(1u64..)
            .filter(|(_, n)| checkpoint.contains(*n));
        let expected = serial(&self.tables, applied.map(|(changes, _)| changes));
        prop_assert!(
            sink_contents(&self.tables, &self.sink) == expected,
            "data and checkpoint differ"
        );
        Ok(checkpoint.watermark.applied)
    }

    /// One run from a claim to its end; `None` when it was disturbed.
    async fn run(&self, epoch: &mut u64, run: &Run, plan: SyncPlan, disturb: bool) -> Option<SyncEnd> {
        let options = options(&self.pairs, run.lanes);
        let claim = self
            .sink
            .claim(token("incr-sync", *epoch), options.clone())
            .await
            .unwrap();
        let checkpoint = resume_or_initialize(&*claim, &self.source.start()).await.unwrap();
        let engine = Synchronizer::new(plan, config(run));
        let cancel = CancellationToken::new();
        self.sink.set_faults(vec![]);
        let mut running = Box::pin(engine.run(&*claim, &self.source, checkpoint, &cancel));
        if !disturb {
            return Some(running.await.unwrap());
        }
        let after = |us| tokio::time::sleep(Duration::from_micros(us));
        let ended = match run.trouble {
            Trouble::Fail { step, after_effect } => {
                let code = if after_effect {
                    codes::apply::COMMIT_UNKNOWN
                } else {
                    codes::dst::TRANSIENT
                };
                let at_step = self.sink.steps() + step;
                self.sink.set_faults(vec![Fault {
                    at_step,
                    after_effect,
                    code,
                }]);
                running.await
            }
            Trouble::Cancel { after_us } => tokio::select! {
                ended = &mut running => ended,
                () = after(after_us) => {
                    cancel.cancel();
                    running.await
                }
            },
            Trouble::Drop { after_us } => tokio::select! {
                ended = &mut running => ended,
                () = after(after_us) => {
                    drop(running);
                    // What is at the destination is final once a new claim stands.
                    self.sink.claim(token("incr-sync", *epoch), options).await.unwrap();
                    return None;
                }
            },
            Trouble::Takeover { after_us } => tokio::select! {
                ended = &mut running => ended,
                () = after(after_us) => {
                    *epoch += 1;
                    let next = token("incr-sync", *epoch);
                    let (ended, claimed) = tokio::join!(running, self.sink.claim(next, options));
                    claimed.unwrap();
                    if let Err(failure) = &ended {
                        assert!(failure.is_fenced(), "{failure}");
                    }
                    ended
                }
            },
        };
        match ended {
            Ok(SyncEnd::Cancelled) => None,
            Ok(end) => Some(end),
            Err(failure) => {
                assert!(failure.is_transient() || failure.is_fenced(), "{failure}");
                None
            }
        }
    }
}

fn history(max: usize) -> impl Strategy<Value = Vec<Entry>> {
    prop::collection::vec(entry(), 0..max)
}

fn cases(number: u32) -> ProptestConfig {
    ProptestConfig {
        cases: number,
        max_shrink_iters: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(6_000))]

    /// At every stop the destination is the serial application of what its checkpoint names, in the
    /// end of everything. Watermarks never go back. Strict checks hold, and no lane ever waits for
    /// a row of another one.
    #[test]
    fn crashes_and_restarts_apply_everything_once(
        history in history(30),
        runs in prop::collection::vec(run(), 1..5),
        seed in any::<u64>(),
    ) {
        let world = World::new(shapes(), &history, seed);
        runtime().block_on(async {
            let mut epoch = 1;
            let mut reached = 0;
            for run in &runs {
                let end = world.run(&mut epoch, run, plan(&world.pairs), true).await;
                let now = world.check_prefix()?;
                prop_assert!(now >= reached, "the watermark went back");
                reached = now;
                if end.is_some() {
                    prop_assert_eq!(now as usize, world.commits.len());
                }
            }
            let end = world.run(&mut epoch, &runs[0], plan(&world.pairs), false).await;
            prop_assert!(matches!(end, Some(SyncEnd::FeedEnded(_))));
            prop_assert_eq!(world.check_prefix()? as usize, world.commits.len());
            prop_assert!(sink_contents(&world.tables, &world.sink) == source_contents(&world.tables, &world.source));
            prop_assert_eq!(world.sink.lock_waits(), 0);
            Ok(())
        })?;
    }

    /// In strict order whoever looks at the destination, at any moment, sees a transaction only with all before it.
    #[test]
    fn strict_order_shows_prefixes_only(
        history in history(40),
        runs in prop::collection::vec(run(), 1..4),
        seed in any::<u64>(),
    ) {
        let world = World::new(shapes(), &history, seed);
        let strict = |run: &Run| Run { order: CommitOrder::Strict, ..*run };
        runtime().block_on(async {
            let mut epoch = 1;
            for run in &runs {
                world.run(&mut epoch, &strict(run), plan(&world.pairs), true).await;
            }
            world.run(&mut epoch, &strict(&runs[0]), plan(&world.pairs), false).await;
            prop_assert_eq!(world.check_prefix()? as usize, world.commits.len());
            let states = world.sink.history();
            for seen in 1..=states.len() {
                let Some(shown) = ApplyCheckpoint::from_lanes(states[..seen].iter().cloned()) else {
                    continue;
                };
                let with_rows = (1u64..).zip(&world.commits).filter(|(_, changes)| !changes.is_empty());
                let shows: Vec<bool> = with_rows.map(|(n, _)| shown.contains(n)).collect();
                prop_assert!(shows.is_sorted_by(|a, b| a >= b), "{shows:?}");
            }
            Ok(())
        })?;
    }

    /// Stop positions are exact, wherever they lie.
    #[test]
    fn stops_exactly_at_a_position(
        history in history(25),
        run in run(),
        at in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let tables = shapes();
        let source = MemorySource::new(tables.iter().cloned());
        let mut stops = vec![(source.end(), 0)];
        let mut commits = Vec::new();
        for entry in &history {
            commits.extend(append(&source, &tables, entry));
            if !matches!(entry, Entry::Abort(_)) {
                stops.push((source.end(), commits.len()));
            }
        }
        source.close();
        let (stop_at, expected) = stops[at.index(stops.len())].clone();
        let sink = MemorySink::new(tables.iter().cloned(), seed, 300);
        let world = World { pairs: pairs(&tables), sink, source, commits, tables };
        runtime().block_on(async {
            let plan = SyncPlan { stop_at: Some(stop_at), ..plan(&world.pairs) };
            let end = world.run(&mut 1, &run, plan, false).await;
            prop_assert!(matches!(end, Some(SyncEnd::Reached(_))));
            prop_assert_eq!(world.check_prefix()? as usize, expected);
            Ok(())
        })?;
    }
}

async fn end_of(world: &World, plan: SyncPlan, config: SyncConfig) -> Result<SyncEnd, oms_core::Failure> {
    let claim = world
        .sink
        .claim(token("incr-sync", 1), options(&world.pairs, config.lanes))
        .await
        .unwrap();
    let checkpoint = resume_or_initialize(&*claim, &world.source.start())
        .await
        .unwrap();
    let engine = Synchronizer::new(plan, config);
    engine
        .run(&*claim, &world.source, checkpoint, &CancellationToken::new())
        .await
}

fn insert(tables: &[Arc<TableSchema>], table: u32, a: i64) -> RowChange {
    RowChange {
        table,
        before: None,
        after: Some(row(&tables[table as usize], a, 0, 0)),
    }
}

#[test]
fn ddl_stops_with_everything_before_it_applied() {
    let tables = shapes();
    let world = World::new(tables.clone(), &[], 1);
    world.source.commit(vec![insert(&tables, 0, 1)]);
    let statement = format!(
        "/* x */ ALTER TABLE plain ADD d TEXT COMMENT '{}'",
        "y".repeat(500)
    );
    world.source.ddl("d", &statement);
    world.source.commit(vec![insert(&tables, 0, 2)]);
    runtime().block_on(async {
        for _ in 0..2 {
            let failure = end_of(&world, plan(&world.pairs), SyncConfig::default())
                .await
                .unwrap_err();
            assert_eq!(failure.code(), codes::apply::DDL_NOT_FOLLOWED);
            assert!(failure.detail().contains("ALTER TABLE"), "{failure}");
            assert!(failure.detail().len() < 400);
            let mark = world
                .sink
                .checkpoint(&token("incr-sync", 1).component)
                .unwrap()
                .watermark;
            assert_eq!(mark.applied, 1);
        }
        assert_eq!(world.sink.table(&tables[0].name).unwrap().len(), 1);
    });
}

#[test]
fn an_idle_source_moves_the_durable_watermark() {
    let tables = shapes();
    let world = World::new(tables.clone(), &[], 1);
    let source = MemorySource::new(tables.iter().cloned());
    runtime().block_on(async {
        let claim = world
            .sink
            .claim(token("incr-sync", 1), options(&world.pairs, 2))
            .await
            .unwrap();
        let checkpoint = resume_or_initialize(&*claim, &source.start()).await.unwrap();
        let engine = Synchronizer::new(plan(&world.pairs), SyncConfig::default());
        let cancel = CancellationToken::new();
        let drive = async {
            source.commit(vec![]);
            source.heartbeat();
            let wanted = source.end();
            let mut progress = engine.progress();
            progress
                .wait_for(|p| p.watermark.as_ref().is_some_and(|w| w.position == wanted))
                .await
                .unwrap();
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let mark = world
                    .sink
                    .checkpoint(&token("incr-sync", 1).component)
                    .unwrap()
                    .watermark;
                if mark.applied == 1 && mark.position == wanted {
                    break;
                }
            }
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(engine.run(&*claim, &source, checkpoint, &cancel), drive);
        assert_eq!(ended.unwrap(), SyncEnd::Cancelled);
    });
}

#[test]
fn positions_that_do_not_compare_stop() {
    let tables = shapes();
    let world = World::new(tables.clone(), &[], 1);
    world.source.commit(vec![insert(&tables, 0, 1)]);
    let Position::Binlog(mut other) = world.source.end() else {
        unreachable!()
    };
    other.server = "other".into();
    let plan = SyncPlan {
        safe_until: Some(Position::Binlog(other)),
        ..plan(&world.pairs)
    };
    let failure = runtime()
        .block_on(end_of(&world, plan, SyncConfig::default()))
        .unwrap_err();
    assert_eq!(failure.code(), codes::apply::POSITION_NOT_COMPARABLE);
}

#[test]
fn independent_transactions_spread_over_lanes() {
    let tables = shapes();
    let world = World::new(tables.clone(), &[], 1);
    for a in 0..400 {
        world.source.commit(vec![insert(&tables, 0, a)]);
    }
    world.source.close();
    let config = SyncConfig {
        lanes: 4,
        batch_rows: 10,
        ..SyncConfig::default()
    };
    let end = runtime()
        .block_on(end_of(&world, plan(&world.pairs), config))
        .unwrap();
    assert!(matches!(end, SyncEnd::FeedEnded(_)));
    let history = world.sink.history();
    assert!(history.iter().any(|state| !state.above.is_empty()));
    // 400 rows in batches of 10 over four lanes, and some marks.
    assert!((40..100).contains(&history.len()), "{}", history.len());
}
