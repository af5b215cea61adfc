//! `omsnode-nemesis`: breaks a cluster for as long as it is told to; `deploy/nemesis` builds and starts it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::Duration;

use clap::Parser;
use oms_cluster_tests::nemesis::{self, NemesisOptions};
use oms_cluster_tests::{DeploymentOptions, ServerKind};

/// Kills, freezes and cuts off nodes and databases while money moves, and proves that none is lost.
#[derive(Parser)]
#[command(name = "omsnode-nemesis", version)]
struct Arguments {
    /// How long
    #[arg(long, default_value_t = 0.0)]
    hours: f64,
    /// How long, added to --hours
    #[arg(long, default_value_t = 0)]
    seconds: u64,
    /// Repeats the faults of an earlier run; by default another one each time
    #[arg(long)]
    seed: Option<u64>,
    /// The destination: mariadb, mysql56, mysql97 or seekdb
    #[arg(long, default_value = "mariadb")]
    destination: String,
    /// Nodes and databases reach each other without proxies, so that links are never slow
    #[arg(long)]
    direct: bool,
    /// Transfers per second
    #[arg(long, default_value_t = 50)]
    rate: u32,
}

fn main() -> anyhow::Result<()> {
    let a = Arguments::parse();
    let destination = ServerKind::from_name(&a.destination);
    let destination = destination.ok_or_else(|| anyhow::anyhow!("unknown server {:?}", a.destination))?;
    let hours = Duration::try_from_secs_f64(a.hours * 3600.0)?;
    let duration = match hours + Duration::from_secs(a.seconds) {
        Duration::ZERO => Duration::from_secs(60),
        asked => asked,
    };
    let seed = a.seed.unwrap_or_else(rand::random);
    eprintln!("seed {seed}");
    let options = NemesisOptions {
        duration,
        seed,
        rate: a.rate,
        ..NemesisOptions::default()
    };
    let deployment = DeploymentOptions {
        destination,
        wan: !a.direct,
        ..nemesis::deployment()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let run = nemesis::run(deployment, &options, |outcome| eprintln!("{outcome}"));
    println!("{}", runtime.block_on(Box::pin(run))?);
    Ok(())
}
