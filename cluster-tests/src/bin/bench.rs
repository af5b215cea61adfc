//! `omsnode-bench`: runs benches; `deploy/bench` builds and starts it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use anyhow::Context;
use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use oms_cluster_tests::bench::{BenchOptions, Machine, Report, benches};

fn command() -> Command {
    let mut command = Command::new("omsnode-bench")
        .about("Measures ratios and times on this machine")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true);
    for bench in benches() {
        let json = Arg::new("json").long("json").action(ArgAction::SetTrue);
        let one = BenchOptions::augment_args(Command::new(bench.name).about(bench.about))
            .mut_arg("rows", |arg| arg.required(false).default_value(bench.rows))
            .mut_arg("rounds", |arg| arg.required(false).default_value(bench.rounds))
            .arg(json.help("One JSON line per result"));
        command = command.subcommand(one);
    }
    command
}

fn main() -> anyhow::Result<()> {
    let matches = command().get_matches();
    let (name, matches) = matches.subcommand().context("a bench is wanted")?;
    let bench = benches()
        .iter()
        .find(|bench| bench.name == name)
        .context("there is no such bench")?;
    let options = BenchOptions::from_arg_matches(matches)?;
    eprintln!("{}", Machine::look()?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut progress = |line: String| eprintln!("{line}");
    let results = runtime.block_on(bench.run(&options, &mut progress))?;
    if !matches.get_flag("json") {
        print!("{}", Report(&results));
        return Ok(());
    }
    for result in results {
        println!("{}", serde_json::to_string(&result)?);
    }
    Ok(())
}
