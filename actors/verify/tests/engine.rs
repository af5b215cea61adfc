//! All planted differences are found, none is invented.

mod planted;

use std::collections::BTreeSet;

use oms_core::{TablePair, codes};
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
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup { barrier, ..Setup::new() };
        let (summary, outcome) = runtime().block_on(verify(&folder, &world, pairs, &setup));
        for (planted, outcome) in planted.iter().zip(&outcome) {
            assert_found(planted, outcome);
        }
        prop_assert_eq!(summary.tables, 6);
        prop_assert_eq!(summary.consistent, outcome.iter().all(|(_, d)| d.is_empty()));
    }
}
