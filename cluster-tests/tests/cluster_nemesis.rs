//! All faults mixed, for as long as `NEMESIS_SECONDS` says.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Duration;

use oms_cluster_tests::DeploymentOptions;
use oms_cluster_tests::nemesis::{self, NemesisOptions};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled() {
    let seconds = std::env::var("NEMESIS_SECONDS").map_or(60, |text| text.parse().unwrap());
    let seed = std::env::var("NEMESIS_SEED").map_or_else(|_| rand::random(), |text| text.parse().unwrap());
    println!("seed {seed}");
    let duration = Duration::from_secs(seconds);
    let options = NemesisOptions {
        duration,
        seed,
        ..NemesisOptions::default()
    };
    let run = nemesis::run(DeploymentOptions::default(), &options, |outcome| {
        println!("{outcome}")
    });
    let report = Box::pin(run).await.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report}");
    assert!(!report.outcomes.is_empty() && report.transfers > 0);
}
