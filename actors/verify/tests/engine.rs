//! All planted differences are found, none is invented.

#![allow(clippy::unwrap_used)]

mod planted;

use std::collections::BTreeSet;

use oms_core::{TablePair, codes, testing::MemoryRecords};
use oms_verify::{DifferenceKind, Ended, Scope, Side, TableVerdict, Verifier, testing::World};
use planted::*;
use proptest::prelude::*;
use rand::Rng as _;
use tokio_util::sync::CancellationToken;

fn world_of(planted: &[Planted]) -> (World, Vec<TablePair>) {
    let tables = planted
        .iter()
        .map(|p| (p.source.clone(), p.destination.clone()))
        .collect();
    (
        World::new(tables),
        planted.iter().map(|p| p.pair.clone()).collect(),
    )
}

fn assert_found(planted: &Planted, outcome: &(oms_verify::TableResult, Vec<oms_verify::Difference>)) {
    let (result, differences) = outcome;
    assert_eq!(result.error, None, "{:?}", planted.kind);
    if planted.kind == Kind::Keyless {
        // A changed row is one row too many on each side.
        let both = planted.mismatched.len() as u64;
        assert_eq!(result.source_only, planted.source_only.len() as u64 + both);
        assert_eq!(
            result.destination_only,
            planted.destination_only.len() as u64 + both
        );
        assert_eq!(result.mismatched, 0);
    } else {
        let [source_only, destination_only, mismatched] = found(planted, differences);
        assert_eq!(source_only, planted.source_only, "{:?} source only", planted.kind);
        assert_eq!(
            destination_only, planted.destination_only,
            "{:?} destination only",
            planted.kind
        );
        assert_eq!(mismatched, planted.mismatched, "{:?} mismatched", planted.kind);
        let rows = planted.keys.len() + source_only.len() + destination_only.len() + mismatched.len();
        assert_eq!(result.rows, rows as u64, "{:?} rows", planted.kind);
    }
    let expected = if differences.is_empty() {
        TableVerdict::Consistent
    } else {
        TableVerdict::Different
    };
    assert_eq!(result.verdict, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn planted_differences_are_found_and_no_others(seed in any::<u64>(), rows in 0usize..150, share in 0.0f64..0.4, barrier in any::<bool>()) {
        let mut rng = rng(seed);
        let share = if rng.random_bool(0.2) { 0.0 } else { share };
        let planted: Vec<Planted> = KINDS.iter().enumerate().map(|(i, k)| plant(*k, i, &mut rng, rows, share)).collect();
        let (world, pairs) = world_of(&planted);
        world.set_digests(rng.random_bool(0.6));
        let records = MemoryRecords::default();
        let mut setup = Setup { barrier, ..Setup::new() };
        // Often so few that every chunk is followed by a re-check.
        setup.options.max_candidates = if barrier { 2_000 } else { 300 };
        let (summary, outcome) = runtime().block_on(verify(&records, &world, pairs, &setup));
        for (planted, outcome) in planted.iter().zip(&outcome) {
            assert_found(planted, outcome);
        }
        prop_assert_eq!(summary.tables, 6);
        prop_assert_eq!(summary.consistent, outcome.iter().all(|(_, d)| d.is_empty()));
    }
}

/// Writes that hit only rows where nothing was planted.
fn writer(planted: &Planted, seed: u64) -> oms_verify::testing::Writer {
    let mut rng = rng(seed);
    let (kind, table) = (planted.kind, planted.pair.source.name.clone());
    let mut keys: Vec<i64> = planted.keys.clone();
    keys.extend(6_000..6_040);
    Box::new(move |source| {
        if !rng.random_bool(0.2) {
            return None;
        }
        let n = keys[rng.random_range(0..keys.len())];
        let wanted = row(kind, n, 0, false);
        let parts = table_key(&source[&table]);
        let before = source[&table]
            .rows()
            .find(|r| parts.iter().all(|c| r.get(*c) == wanted.get(*c)))
            .cloned();
        let after = (before.is_none() || rng.random_bool(0.6))
            .then(|| row(kind, n, rng.random_range(2_000..3_000), false));
        Some((table.clone(), before, after))
    })
}

fn table_key(table: &oms_verify::testing::MemoryTable) -> Vec<usize> {
    table.schema().row_key_columns().unwrap_or_else(|| vec![0])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn writes_in_flight_are_no_differences(seed in any::<u64>(), rows in 60usize..150, share in 0.0f64..0.2, lag in 0u64..25, barrier in any::<bool>()) {
        let mut rng = rng(seed);
        for kind in [Kind::Integer, Kind::Composite, Kind::FoldedText, Kind::Keyless] {
            let planted = plant(kind, 0, &mut rng, rows, share);
            let (world, pairs) = world_of(std::slice::from_ref(&planted));
            world.write_with(writer(&planted, seed), lag);
            world.set_digests(rng.random_bool(0.6));
            let records = MemoryRecords::default();
            let mut setup = Setup { barrier, ..Setup::new() };
            setup.options.recheck_rounds = 20;
            if kind != Kind::Keyless && rng.random_bool(0.5) {
                setup.options.max_candidates = 5;
            }
            let (_, outcome) = runtime().block_on(verify(&records, &world, pairs, &setup));
            let (result, differences) = &outcome[0];
            if kind == Kind::Keyless {
                let both = planted.mismatched.len() as u64;
                prop_assert_eq!(result.source_only, planted.source_only.len() as u64 + both);
                prop_assert_eq!(result.destination_only, planted.destination_only.len() as u64 + both);
            } else {
                let [source_only, destination_only, mismatched] = found(&planted, differences);
                prop_assert_eq!(&source_only, &planted.source_only);
                prop_assert_eq!(&destination_only, &planted.destination_only);
                prop_assert_eq!(&mismatched, &planted.mismatched);
            }
            prop_assert_eq!(result.unsettled, 0);
        }
    }

    #[test]
    fn a_run_continues_elsewhere_after_any_number_of_crashes(seed in any::<u64>(), rows in 40usize..150, first in 1u64..200, writes in 2u64..60) {
        let mut rng = rng(seed);
        let mut planted: Vec<Planted> = KINDS.iter().enumerate().map(|(i, k)| plant(*k, i, &mut rng, rows, 0.1)).collect();
        let (world, mut pairs) = world_of(&planted);
        // All that the owners have in common.
        let records = MemoryRecords::default();
        let mut setup = Setup { barrier: rng.random_bool(0.5), ..Setup::new() };
        if rng.random_bool(0.5) {
            // A re-check after nearly every chunk; without keys it would be a reason to stop.
            setup.options.max_candidates = 1;
            planted.pop();
            pairs.pop();
        }
        let mut crashes = 0;
        for attempt in 0.. {
            // Grows, because a re-check is repeated from its beginning.
            world.fail_after(Some(first * (attempt + 2) / 2));
            records.fail_after(Some(writes * (attempt + 2) / 2));
            let verifier = Verifier::new(verification(&records, &world, pairs.clone(), &setup));
            match runtime().block_on(verifier.run(&CancellationToken::new())) {
                Ok(Ended::Completed(_)) => break,
                Ok(Ended::Cancelled) => prop_assert!(false),
                Err(failure) => prop_assert!(failure.is_transient()),
            }
            crashes += 1;
        }
        prop_assume!(crashes > 0);
        for (planted, outcome) in planted.iter().zip(&runtime().block_on(outcome(&records, 1))) {
            assert_found(planted, outcome);
        }
        // Names, results, differences; no journal and no candidates are left.
        let differences = planted.iter().filter(|p| {
            !(p.source_only.is_empty() && p.destination_only.is_empty() && p.mismatched.is_empty())
        });
        prop_assert_eq!(records.len(), 3 + planted.len() + differences.count());
    }
}

#[test]
fn a_run_that_goes_on_elsewhere_repeats_nothing_that_was_finished() {
    let planted = plant(Kind::Integer, 0, &mut rng(7), 900, 0.02);
    let (world, pairs) = world_of(std::slice::from_ref(&planted));
    // What is digested and read as well counts twice.
    world.set_digests(false);
    let mut setup = Setup::new();
    setup.options.workers = 2;
    let whole = MemoryRecords::default();
    let expected = runtime().block_on(verify(&whole, &world, pairs.clone(), &setup));
    let complete = world.accesses();
    for tenths in 1..10 {
        let records = MemoryRecords::default();
        world.fail_after(Some(complete * tenths / 10));
        let first = Verifier::new(verification(&records, &world, pairs.clone(), &setup));
        let progress = first.progress();
        assert!(runtime().block_on(first.run(&CancellationToken::new())).is_err());
        world.fail_after(None);
        let finished = progress.tables()[0].rows;
        let second = Verifier::new(verification(&records, &world, pairs.clone(), &setup));
        let progress = second.progress();
        let ended = runtime().block_on(second.run(&CancellationToken::new()));
        assert_eq!(ended.unwrap(), Ended::Completed(expected.0.clone()));
        let outcome = runtime().block_on(outcome(&records, 1));
        assert_eq!(outcome, expected.1, "as without an interruption");
        assert_found(&planted, &outcome[0]);
        // Rows that the first owner finished are not read again, but for the candidates among them.
        let read = progress.counters.read().rows;
        let rest = 2 * (expected.0.rows - finished);
        let again = (setup.options.recheck_rounds as u64) * 3 * expected.1[0].1.len() as u64;
        assert!(
            read <= rest + again,
            "{read} rows read for {rest} and {again}, at {tenths}/10"
        );
        assert!(finished > 0 || tenths < 3);
        // The former owner can add nothing to what its successor wrote.
        let calls = records.len();
        let late = runtime().block_on(first.run(&CancellationToken::new()));
        assert_eq!(late.unwrap_err().code(), codes::apply::FENCED);
        assert_eq!(records.len(), calls);
    }
}

#[test]
fn a_complete_run_over_all_rows_replaces_those_before_it() {
    let planted = plant(Kind::Integer, 0, &mut rng(5), 200, 0.1);
    let (world, pairs) = world_of(std::slice::from_ref(&planted));
    let records = MemoryRecords::default();
    let run = |run, scope| {
        let setup = Setup {
            run,
            scope,
            ..Setup::new()
        };
        runtime().block_on(verify(&records, &world, pairs.clone(), &setup))
    };
    let kept = || runtime().block_on(results(&records).runs()).unwrap();
    run(1, Scope::All);
    let size = records.len();
    run(2, Scope::Differences { of: 1 });
    run(3, Scope::TablesWithDifferences { of: 2 });
    assert_eq!(kept(), [1, 2, 3]);
    assert_eq!(records.len(), 3 * size);
    let (_, outcome) = run(4, Scope::All);
    assert_found(&planted, &outcome[0]);
    assert_eq!(kept(), [4]);
    assert_eq!(records.len(), size);
}

#[test]
fn the_cap_ends_its_table_only() {
    let mut rng = rng(3);
    let mut bad = plant(Kind::Integer, 0, &mut rng, 400, 0.0);
    for n in bad.keys.clone() {
        bad.destination.put(row(Kind::Integer, n, 5_001, true));
    }
    let good = plant(Kind::Composite, 1, &mut rng, 50, 0.0);
    let keyless = plant(Kind::Keyless, 2, &mut rng, 400, 0.9);
    let (world, pairs) = world_of(&[bad, good, keyless]);
    let records = MemoryRecords::default();
    let mut setup = Setup::new();
    setup.options.max_differences = 30;
    let (summary, outcome) = runtime().block_on(verify(&records, &world, pairs, &setup));
    for table in [0, 2] {
        let (result, differences) = &outcome[table];
        assert_eq!(result.verdict, TableVerdict::Failed);
        assert_eq!(result.error_code.as_deref(), Some("OMS-VERIFY-0002"));
        assert!(
            table == 2 || (differences.len() >= 30 && differences.len() < 300),
            "{}",
            differences.len()
        );
    }
    assert_eq!(outcome[1].0.verdict, TableVerdict::Consistent);
    assert!(!summary.consistent && summary.failed_tables == 2);
}

#[test]
fn an_order_that_is_not_as_declared_is_noticed() {
    // Declared binary, but both servers fold case: `Key` and `kez` come in another order.
    let mut planted = plant(Kind::FoldedText, 0, &mut rng(11), 200, 0.1);
    let declare = |schema: &oms_core::TableSchema| {
        let mut schema = schema.clone();
        if let oms_core::ColumnType::VarChar { collation, .. } = &mut schema.columns[0].ty {
            *collation = "utf8mb4_bin".into();
        }
        std::sync::Arc::new(schema)
    };
    planted.pair.source = declare(&planted.pair.source);
    planted.pair.destination = declare(&planted.pair.destination);
    let (world, pairs) = world_of(std::slice::from_ref(&planted));
    let records = MemoryRecords::default();
    let (_, outcome) = runtime().block_on(verify(&records, &world, pairs, &Setup::new()));
    assert_found(&planted, &outcome[0]);
}

#[test]
fn later_runs_look_only_where_they_are_told() {
    let mut rng = rng(5);
    let planted: Vec<Planted> = [Kind::Integer, Kind::FoldedText, Kind::Keyless, Kind::Composite]
        .iter()
        .enumerate()
        .map(|(i, k)| plant(*k, i, &mut rng, 300, if i == 3 { 0.0 } else { 0.1 }))
        .collect();
    let (world, pairs) = world_of(&planted);
    let records = MemoryRecords::default();
    let (summary, _) = runtime().block_on(verify(&records, &world, pairs.clone(), &Setup::new()));
    assert!(!summary.consistent);
    // Everything is repaired but what is missing; and a new difference appears elsewhere.
    for p in &planted {
        let name = &p.pair.destination.name;
        world.change(Side::Destination, name, |table| {
            let extra: Vec<_> = p.destination_only.iter().chain(&p.mismatched).collect();
            let wrong: Vec<_> = table
                .rows()
                .filter(|r| extra.iter().any(|n| r.get(0) == row(p.kind, **n, 0, true).get(0)))
                .cloned()
                .collect();
            wrong.iter().for_each(|r| assert!(table.remove(r)));
            let right = p.source.rows().filter(|r| {
                p.mismatched
                    .iter()
                    .any(|n| r.get(0) == row(p.kind, *n, 0, true).get(0))
            });
            right.for_each(|r| table.put(r.clone()));
        });
    }
    let elsewhere = planted[0].keys[0];
    let name = &planted[0].pair.destination.name;
    world.change(Side::Destination, name, |table| {
        table.put(row(Kind::Integer, elsewhere, -1, true))
    });

    let before = world.accesses();
    let scope = Scope::Differences { of: 1 };
    let (summary, outcome) = runtime().block_on(verify(
        &records,
        &world,
        pairs.clone(),
        &Setup {
            scope,
            run: 2,
            ..Setup::new()
        },
    ));
    assert_eq!(summary.tables, 3, "consistent tables are not looked at");
    for (planted, (result, _)) in planted.iter().zip(&outcome) {
        assert_eq!(
            result.source_only,
            planted.source_only.len() as u64,
            "{:?}",
            planted.kind
        );
        assert_eq!(
            result.destination_only + result.mismatched,
            0,
            "{:?}",
            planted.kind
        );
    }
    let narrow = world.accesses() - before;
    let scope = Scope::TablesWithDifferences { of: 2 };
    let (summary, outcome) = runtime().block_on(verify(
        &records,
        &world,
        pairs,
        &Setup {
            scope,
            run: 3,
            ..Setup::new()
        },
    ));
    assert_eq!(summary.tables, 3);
    assert_eq!(outcome[0].0.mismatched, 1, "all rows are read again");
    assert!(narrow > 0);
    let kept = || runtime().block_on(results(&records).runs()).unwrap();
    assert_eq!(kept(), [1, 2, 3]);
    records.forget(&component());
    assert_eq!(kept(), Vec::<u32>::new());
}

#[test]
fn rows_that_only_the_destination_has_can_be_ignored() {
    let mut rng = rng(9);
    let planted: Vec<Planted> = KINDS
        .iter()
        .enumerate()
        .map(|(i, k)| plant(*k, i, &mut rng, 150, 0.3))
        .collect();
    let (world, pairs) = world_of(&planted);
    let records = MemoryRecords::default();
    let mut setup = Setup::new();
    setup.options.ignore_destination_only = true;
    let (_, outcome) = runtime().block_on(verify(&records, &world, pairs, &setup));
    for (planted, (result, _)) in planted.iter().zip(&outcome) {
        assert_eq!(result.destination_only, 0);
        let keyless = planted.kind == Kind::Keyless;
        let both = planted.mismatched.len() as u64;
        assert_eq!(
            result.source_only,
            planted.source_only.len() as u64 + if keyless { both } else { 0 }
        );
        assert_eq!(result.mismatched, if keyless { 0 } else { both });
    }
}

#[test]
fn keys_that_differ_in_case_are_one_row() {
    let mut planted = plant(Kind::FoldedText, 0, &mut rng(1), 30, 0.0);
    let n = planted.keys.iter().copied().find(|n| n % 2 == 0).unwrap();
    let old = row(Kind::FoldedText, n, 0, true);
    assert!(planted.destination.remove(&old));
    let lower = format!("key{n}");
    let values = [oms_core::Value::Text(lower.as_bytes()), old.get(1), old.get(2)];
    planted
        .destination
        .put(oms_core::RowBuilder::build(values.into_iter()).unwrap());
    let (world, pairs) = world_of(std::slice::from_ref(&planted));
    let records = MemoryRecords::default();
    let (_, outcome) = runtime().block_on(verify(&records, &world, pairs, &Setup::new()));
    let kinds: Vec<_> = outcome[0].1.iter().map(|d| d.kind).collect();
    assert_eq!(kinds, [DifferenceKind::Mismatched]);
}

#[test]
fn a_table_without_a_meaning_fails_alone_and_cancelling_can_be_continued() {
    let int = || oms_core::ColumnType::Integer {
        bytes: 4,
        unsigned: false,
    };
    let source = schema(
        "s",
        "odd",
        vec![("k", int()), ("j", oms_core::ColumnType::Json)],
        &[0],
    );
    let destination = schema(
        "d",
        "odd",
        vec![("k", int()), ("j", oms_core::ColumnType::Blob { tier: 2 })],
        &[0],
    );
    let odd = TablePair::by_name(source, destination).unwrap();
    let planted = plant(Kind::Integer, 1, &mut rng(2), 200, 0.1);
    let (world, mut pairs) = world_of(std::slice::from_ref(&planted));
    pairs.insert(0, odd);
    let records = MemoryRecords::default();
    let setup = Setup::new();
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let verifier = Verifier::new(verification(&records, &world, pairs.clone(), &setup));
    assert_eq!(
        runtime().block_on(verifier.run(&cancelled)).unwrap(),
        Ended::Cancelled
    );
    let (summary, outcome) = runtime().block_on(verify(&records, &world, pairs.clone(), &setup));
    let result = &outcome[0].0;
    assert_eq!(
        result.error_code,
        Some(codes::verify::TABLE_NOT_COMPARABLE.to_string())
    );
    assert!(result.error.as_ref().unwrap().contains("`j`"));
    assert_found(&planted, &outcome[1]);
    assert_eq!(summary.failed_tables, 1);
    let others: BTreeSet<_> = outcome.iter().map(|(t, _)| t.source.table.clone()).collect();
    assert_eq!(others.len(), 2);
    // The same number with other tables is refused.
    pairs.pop();
    let verifier = Verifier::new(verification(&records, &world, pairs, &setup));
    assert!(
        runtime()
            .block_on(verifier.run(&CancellationToken::new()))
            .is_err()
    );
}

/// A statement may have changed a table at one side when a run is taken up, and a table that could be paired when it was begun
/// cannot be now, or the other way round. Each keeps its place and its results.
#[test]
fn a_run_goes_on_whichever_of_its_tables_can_be_paired() {
    let planted = [0, 1, 2].map(|n| plant(Kind::Integer, n, &mut rng(n as u64), 100, 0.1));
    let (world, pairs) = world_of(&planted);
    let setup = Setup::new();
    let gone = || {
        std::sync::Arc::new(oms_core::Failure::new(
            codes::schema::DEFINITION_DIFFERS,
            "column `c`",
        ))
    };
    let without = |records: &MemoryRecords, missing: Option<usize>| {
        let mut pairs = pairs.clone();
        let left = missing.map(|n| pairs.remove(n));
        let mut plan = verification(records, &world, pairs, &setup);
        plan.unpaired
            .extend(left.map(|p| (p.source.name.clone(), p.destination.name.clone(), gone())));
        plan
    };
    for (before, after) in [(None, Some(0)), (Some(0), None), (Some(0), Some(1))] {
        let records = MemoryRecords::default();
        let cancelled = CancellationToken::new();
        cancelled.cancel();
        let begun = Verifier::new(without(&records, before));
        assert_eq!(
            runtime().block_on(begun.run(&cancelled)).unwrap(),
            Ended::Cancelled
        );
        let plan = without(&records, after);
        let (results, run) = (plan.results.clone(), plan.run);
        let ended = runtime().block_on(Verifier::new(plan).run(&CancellationToken::new()));
        let Ended::Completed(summary) = ended.unwrap() else {
            panic!("{before:?}, {after:?}: not completed")
        };
        assert_eq!(summary.tables, 3);
        let (tables, found) = runtime().block_on(async {
            let run = results.run(run).await.unwrap();
            let mut found = Vec::new();
            for pair in &pairs {
                let mut reader = run.differences(&pair.source.name).await.unwrap();
                found.push(reader.take(usize::MAX).await.unwrap());
            }
            (run.tables().await.unwrap(), found)
        });
        for (n, pair) in pairs.iter().enumerate() {
            let result = tables.iter().find(|t| t.source == pair.source.name).unwrap();
            assert_eq!(result.destination, pair.destination.name);
            // What was noted as failed before stays so: it was so in this run.
            let failed = before == Some(n) || after == Some(n);
            assert_eq!(
                result.error_code.is_some(),
                failed,
                "{before:?}, {after:?}: {result:?}"
            );
            if !failed {
                assert_found(&planted[n], &(result.clone(), found[n].clone()));
            }
        }
    }
}

#[test]
fn differences_are_shown_with_values_and_corrections() {
    let mut planted = plant(Kind::Latin1Text, 0, &mut rng(4), 20, 0.0);
    let keys = planted.keys.clone();
    let set =
        |table: &mut oms_verify::testing::MemoryTable, n, v, d| table.put(row(Kind::Latin1Text, n, v, d));
    set(&mut planted.source, keys[0], 11, false);
    set(&mut planted.destination, keys[0], 12, true);
    set(&mut planted.source, 9_001, 13, false);
    set(&mut planted.destination, 9_002, 14, true);
    let mut keyless = plant(Kind::Keyless, 1, &mut rng(4), 20, 0.0);
    for _ in 0..3 {
        set_keyless(&mut keyless.source, 9_003);
        set_keyless(&mut keyless.destination, 9_004);
    }
    set_keyless(&mut keyless.destination, 9_003);
    let (world, pairs) = world_of(&[planted, keyless]);
    let records = MemoryRecords::default();
    let (_, outcome) = runtime().block_on(verify(&records, &world, pairs.clone(), &Setup::new()));
    let inspector =
        oms_verify::Inspector::new(std::sync::Arc::new(world.clone()), std::sync::Arc::new(Latin1));
    let inspect = |table: usize| {
        let mut shown = runtime()
            .block_on(inspector.inspect(&pairs[table], &outcome[table].1, true))
            .unwrap();
        shown.sort_by_key(|d| d.now);
        shown
    };
    let keyed = inspect(0);
    let corrections: Vec<_> = keyed.iter().map(|d| d.correction.clone().unwrap()).collect();
    let n = keys[0];
    assert_eq!(
        corrections,
        [
            "INSERT INTO `d`.`t0` (`k`, `v`, `w`) VALUES ('é9001', 13, 'w13');".to_owned(),
            "DELETE FROM `d`.`t0` WHERE `k` = 'é9002';".to_owned(),
            format!("UPDATE `d`.`t0` SET `v` = 11, `w` = 'w11' WHERE `k` = 'é{n}';"),
        ]
    );
    assert_eq!(keyed[2].columns.len(), 2);
    assert_eq!(keyed[2].columns[0].source.as_deref(), Some("11"));
    assert_eq!(keyed[2].columns[0].destination.as_deref(), Some("12"));
    assert_eq!(keyed[0].key[0].value, "'é9001'");
    let rows = inspect(1);
    let insert = "INSERT INTO `d`.`t1` (`k`, `v`, `w`) VALUES (9003, 1, 'w1');";
    assert_eq!(
        rows[0].correction.as_deref(),
        Some([insert, insert].join("\n").as_str())
    );
    assert_eq!((rows[0].source_count, rows[0].destination_count), (3, 1));
    assert_eq!(
        rows[1].correction.as_deref(),
        Some("DELETE FROM `d`.`t1` WHERE `k` = 9004 AND `v` = 1 AND HEX(`w`) = '7731' LIMIT 3;")
    );
    // What was repaired meanwhile needs nothing.
    world.change(Side::Destination, &pairs[0].destination.name, |table| {
        table.put(row(Kind::Latin1Text, 9_001, 13, true));
    });
    assert_eq!(inspect(0)[0].now, None);
    assert_eq!(inspect(0)[0].correction, None);
}

fn set_keyless(table: &mut oms_verify::testing::MemoryTable, n: i64) {
    table.put(row(Kind::Keyless, n, 1, true));
}

/// The power of the test above it: what is in flight looks like a difference to a single look.
#[test]
fn a_single_look_would_take_writes_in_flight_for_differences() {
    let mut invented = 0;
    for seed in 0..10 {
        let planted = plant(Kind::Integer, 0, &mut rng(seed), 150, 0.0);
        let (world, pairs) = world_of(std::slice::from_ref(&planted));
        world.write_with(writer(&planted, seed), 24);
        let records = MemoryRecords::default();
        let mut setup = Setup::new();
        setup.options.recheck_rounds = 1;
        let (_, outcome) = runtime().block_on(verify(&records, &world, pairs, &setup));
        invented += outcome[0].1.len();
    }
    assert!(invented > 0);
}

#[test]
fn reading_keeps_below_the_rate() {
    let planted = plant(Kind::Integer, 0, &mut rng(6), 300, 0.0);
    let rows = planted.keys.len() as u64;
    let (world, pairs) = world_of(std::slice::from_ref(&planted));
    let records = MemoryRecords::default();
    let mut setup = Setup::new();
    setup.options.pacing.rows_per_second = Some(100);
    runtime().block_on(async {
        let began = tokio::time::Instant::now();
        verify(&records, &world, pairs, &setup).await;
        let least = std::time::Duration::from_millis(rows * 2 * 10);
        assert!(
            began.elapsed() >= least && began.elapsed() < least * 2,
            "{:?}",
            began.elapsed()
        );
    });
}

#[test]
fn progress_and_results_can_be_read_while_it_runs() {
    let planted = plant(Kind::Integer, 0, &mut rng(8), 200, 0.1);
    let (world, pairs) = world_of(std::slice::from_ref(&planted));
    let records = MemoryRecords::default();
    let verifier = Verifier::new(verification(&records, &world, pairs, &Setup::new()));
    let progress = verifier.progress();
    assert!(progress.tables().is_empty());
    world.fail_after(Some(40));
    assert!(
        runtime()
            .block_on(verifier.run(&CancellationToken::new()))
            .is_err()
    );
    let table = &progress.tables()[0];
    assert_eq!(table.stage, oms_verify::TableStage::Comparing);
    assert!(table.rows > 0 && table.result.is_none());
    assert!(progress.counters.read().rows >= table.rows);
    runtime().block_on(async {
        let run = results(&records).run(1).await.unwrap();
        assert_eq!(run.tables().await.unwrap()[0].verdict, TableVerdict::Unfinished);
        assert_eq!(run.summary().await.unwrap(), None);
        let mut none = run.differences(&planted.pair.source.name).await.unwrap();
        assert!(none.take(10).await.unwrap().is_empty());
        assert!(results(&records).run(2).await.is_err());
    });
}

/// Rows that change faster than the destination follows can be neither proven equal nor different.
#[test]
fn rows_that_never_rest_are_never_called_proven() {
    let planted = plant(Kind::Integer, 0, &mut rng(12), 100, 0.0);
    let (world, pairs) = world_of(std::slice::from_ref(&planted));
    let (table, hot) = (planted.pair.source.name.clone(), planted.keys[..3].to_vec());
    let mut turn = 0usize;
    let writer = Box::new(
        move |source: &std::collections::BTreeMap<_, oms_verify::testing::MemoryTable>| {
            turn += 1;
            let n = hot[turn % hot.len()];
            let key = row(Kind::Integer, n, 0, false);
            let before = source[&table].rows().find(|r| r.get(0) == key.get(0)).cloned();
            Some((
                table.clone(),
                before,
                Some(row(Kind::Integer, n, 10_000 + turn as i64, false)),
            ))
        },
    );
    world.write_with(writer, 40);
    let records = MemoryRecords::default();
    let setup = Setup {
        barrier: true,
        ..Setup::new()
    };
    let (_, outcome) = runtime().block_on(verify(&records, &world, pairs.clone(), &setup));
    let (result, differences) = &outcome[0];
    assert!(!differences.is_empty() && differences.iter().all(|d| !d.settled));
    assert_eq!(result.unsettled, result.mismatched);
    // When the rows rest, the recorded keys prove equal.
    world.write_with(Box::new(|_| None), 40);
    let again = Setup {
        barrier: true,
        scope: Scope::Differences { of: 1 },
        run: 2,
        ..Setup::new()
    };
    let (summary, _) = runtime().block_on(verify(&records, &world, pairs, &again));
    assert!(summary.consistent);
}
