//! Every bench runs through at a small size, so that none of them stops working unnoticed. Figures are not judged.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeSet;

use oms_cluster_tests::bench::{BenchOptions, Report, benches};

async fn runs(name: &str, rows: u64) {
    runs_cases(name, rows, &[]).await;
}

async fn runs_cases(name: &str, rows: u64, cases: &[&str]) {
    let bench = benches().iter().find(|bench| bench.name == name).unwrap();
    let mut options = BenchOptions::new(rows, 1);
    options.cases = cases.iter().map(|case| (*case).to_owned()).collect();
    let results = bench.run(&options, &mut |line| println!("{line}")).await.unwrap();
    print!("{}", Report(&results));
    assert!(!results.is_empty());
    for result in &results {
        assert_eq!(result.bench, bench.name);
        assert!(result.ours.is_finite() && result.ours > 0.0, "{result:?}");
    }
    let cases: BTreeSet<_> = results.iter().map(|result| &result.case).collect();
    assert_eq!(cases.len(), results.len(), "two results with one name");
}

macro_rules! smoke {
    ($($test:ident $name:literal $rows:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            runs($name, $rows).await;
        })*

        #[test]
        fn all_are_tried() {
            let tried = BTreeSet::from([$($name,)* "kafka"]);
            let all: BTreeSet<_> = benches().iter().map(|bench| bench.name).collect();
            assert_eq!(tried, all);
        }
    };
}

// The test, the bench and its --rows.
smoke! {
    decode "decode" 4_000;
    capture "capture" 4_000;
    latency "latency" 1_500;
    full_import "full-import" 8_000;
    incr_sync "incr-sync" 4_000;
    verify "verify" 4_000;
    memory "memory" 50;
    idle "idle" 2;
    failover "failover" 0;
}

// Without Debezium, which the tests do not install.
#[tokio::test(flavor = "multi_thread")]
async fn kafka() {
    runs_cases("kafka", 4_000, &["ready"]).await;
}
