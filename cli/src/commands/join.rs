//! `omsnode join`: the daemon in the foreground, as a new node of a cluster.

use std::{io::Read as _, net::IpAddr, path::PathBuf};

use clap::Args;
use oms_config::ConfigError;
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

/// Why others could not reach a node under this address, when they are themselves where `seeds` says.
fn unreachable(advertised: &str, seeds: &[String]) -> Option<String> {
    let advice = "set --advertise HOST:PORT to the address under which the other nodes reach this machine";
    let host = host(advertised)?;
    if host.is_unspecified() {
        return Some(format!(
            "the others cannot reach this node at {advertised}: {advice}"
        ));
    }
    let alone = host.is_loopback() && seeds.iter().any(|seed| host_is_elsewhere(seed));
    alone.then(|| format!("{advertised} means this machine on every machine: {advice}"))
}

fn host_is_elsewhere(seed: &str) -> bool {
    match host(seed) {
        Some(ip) => !ip.is_loopback(),
        None => !seed.starts_with("localhost:"),
    }
}

/// The host of `HOST:PORT` if it is an IP address.
fn host(address: &str) -> Option<IpAddr> {
    let (host, _) = address.rsplit_once(':')?;
    host.trim_matches(['[', ']']).parse().ok()
}

pub(crate) fn run(arguments: &JoinArgs, out: &Output) -> Result<Exit, CliError> {
    let config = arguments.config.load()?;
    if let Some(message) = unreachable(config.advertised(), &arguments.nodes) {
        let origin = "advertise".to_owned();
        return Err(ConfigError::Invalid { origin, message }.into());
    }
    let options = JoinOptions {
        seeds: arguments.nodes.clone(),
        token: arguments.token.read(out)?,
        witness: arguments.witness,
    };
    daemon(&config, Some(options), out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_must_be_reachable_for_the_others() {
        let seeds = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        for (advertised, nodes, ok) in [
            ("10.0.0.2:7070", &["10.0.0.1:7070"][..], true),
            ("node2:7070", &["node1:7070"], true),
            ("0.0.0.0:7070", &["10.0.0.1:7070"], false),
            ("[::]:7070", &["127.0.0.1:7070"], false),
            ("127.0.0.1:7071", &["127.0.0.1:7070", "localhost:7072"], true),
            ("[::1]:7071", &["[::1]:7070"], true),
            ("127.0.0.1:7070", &["10.0.0.1:7070"], false),
            ("127.0.0.1:7070", &["node1:7070"], false),
        ] {
            assert_eq!(
                unreachable(advertised, &seeds(nodes)).is_none(),
                ok,
                "{advertised}"
            );
        }
    }
}
