//! All faults mixed, for as long as `NEMESIS_SECONDS` says.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use oms_cluster_tests::nemesis::phases::{self, PhasesOptions};
use oms_cluster_tests::nemesis::{self, FaultKind, NemesisOptions};

/// For how long, and with which seed.
fn asked(seconds: u64) -> (Duration, u64) {
    let seconds = std::env::var("NEMESIS_SECONDS").map_or(seconds, |text| text.parse().unwrap());
    let seed = std::env::var("NEMESIS_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("seed {seed}");
    (Duration::from_secs(seconds), seed)
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled() {
    let (duration, seed) = asked(60);
    let options = NemesisOptions {
        duration,
        seed,
        ..NemesisOptions::default()
    };
    let run = nemesis::run(nemesis::deployment(), &options, |outcome| println!("{outcome}"));
    let report = Box::pin(run).await.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report}");
    assert!(!report.outcomes.is_empty() && report.transfers > 0);
}

/// Schema migration, full import and full verification meet the same faults.
#[tokio::test(flavor = "multi_thread")]
async fn first_steps_are_passed() {
    let (duration, seed) = asked(25);
    let options = PhasesOptions {
        duration,
        seed,
        kinds: FaultKind::ALL.to_vec(),
    };
    let run = phases::run(nemesis::deployment(), &options, |outcome| println!("{outcome}"));
    let report = Box::pin(run).await.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report}");
    assert!(!report.outcomes.is_empty());
}
