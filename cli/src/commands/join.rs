//! `omsnode join`: the daemon in the foreground, as a new node of a cluster.

use std::{io::Read as _, path::PathBuf};

use clap::Args;
use oms_node::JoinOptions;

use super::{config::ConfigArgs, start::daemon};
use crate::{app::address, error::CliError, exit::Exit, output::Output};

/// Larger files hold no token.
const MAX_BYTES: u64 = 4 << 10;

#[derive(Args, Debug)]
#[command(
    after_help = "The data folder must be empty, or that of a node that has joined this cluster before: then the node just starts,\nand needs no token. It works until SIGINT or SIGTERM, as with `omsnode start`.\nMake a token with `omsnode token create` on a node of the cluster."
)]
pub(crate) struct JoinArgs {
    /// Nodes of the cluster. One that answers is enough
    #[arg(required = true, value_name = "HOST:PORT", value_delimiter = ',', value_parser = address)]
    nodes: Vec<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// Only vote: run no components
    #[arg(long)]
    witness: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// Ways to give the token. Without any: OMSNODE_TOKEN.
#[derive(Args, Debug)]
#[group(id = "token-options", multiple = false)]
struct TokenArgs {
    /// File that holds the token; `-` is standard input
    #[arg(long, value_name = "FILE", help_heading = "Token")]
    token_file: Option<PathBuf>,
    /// The token itself. Other users of this machine can see it in the list of processes: prefer --token-file
    /// or OMSNODE_TOKEN
    #[arg(long, help_heading = "Token")]
    token: Option<String>,
}

impl TokenArgs {
    /// The token, if there is one. A node that has joined already needs none.
    fn read(&self, out: &Output) -> Result<String, CliError> {
        if let Some(token) = &self.token {
            out.note("warning: a token on the command line can be seen by other users of this machine")?;
            return Ok(token.trim().to_owned());
        }
        let Some(file) = &self.token_file else {
            return match std::env::var("OMSNODE_TOKEN") {
                Ok(token) => Ok(token.trim().to_owned()),
                Err(std::env::VarError::NotPresent) => Ok(String::new()),
                Err(std::env::VarError::NotUnicode(_)) => {
                    Err(CliError::Usage("OMSNODE_TOKEN is not UTF-8 text".to_owned()))
                }
            };
        };
        let mut text = String::new();
        if file.as_os_str() == "-" {
            let name = "standard input";
            let read = std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text);
            read.map_err(CliError::io(name))?;
        } else {
            let name = format!("--token-file {}", file.display());
            let open = std::fs::File::open(file).map_err(CliError::io(&name))?;
            open.take(MAX_BYTES)
                .read_to_string(&mut text)
                .map_err(CliError::io(&name))?;
        }
        Ok(text.trim().to_owned())
    }
}

pub(crate) fn run(arguments: &JoinArgs, out: &Output) -> Result<Exit, CliError> {
    let config = arguments.config.load()?;
    let options = JoinOptions {
        seeds: arguments.nodes.clone(),
        token: arguments.token.read(out)?,
        witness: arguments.witness,
    };
    daemon(&config, Some(options), out)
}
