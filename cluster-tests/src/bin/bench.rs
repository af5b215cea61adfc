//! `omsnode-bench`: runs benches; `deploy/bench` builds and starts it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use clap::{Parser, Subcommand};
use oms_cluster_tests::bench;

/// Measures ratios and times on this machine.
#[derive(Parser)]
#[command(name = "omsnode-bench", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Kill incr-sync's node and wait for the first row that its new owner applied
    Failover {
        /// How many times
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
        rounds: u16,
        /// One JSON line per result
        #[arg(long)]
        json: bool,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let Command::Failover { rounds, json } = arguments.command;
    let measured = bench::failover(usize::from(rounds), |line| eprintln!("{line}"));
    let results = runtime.block_on(Box::pin(measured))?;
    for result in results {
        if json {
            println!("{}", serde_json::to_string(&result)?);
        } else {
            let limit = result.limit.unwrap_or_default();
            println!(
                "{}: {:.2} {} (goal {limit})",
                result.case, result.ours, result.unit
            );
        }
    }
    Ok(())
}
