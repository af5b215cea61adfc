//! The omsnode command.

use std::process::ExitCode;

fn main() -> ExitCode {
    oms_cli::run(std::env::args_os())
}
