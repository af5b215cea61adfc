//! `omsnode config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oms_config::{ConfigError, NodeConfig, Source};

use crate::{error::CliError, exit::Exit, output::Output};

#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Check file, environment and flags without starting anything
    Check(ConfigArgs),
    /// Print the settings in force, as a file that `start` would read
    Dump(ConfigArgs),
}

/// Where settings come from. Flags win over the environment (OMSNODE_LISTEN, OMSNODE_TELEMETRY__LOG, …), which
/// wins over the file. A node needs none of them.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConfigArgs {
    /// Configuration file (TOML)
    #[arg(short, long, env = "OMSNODE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder that holds everything the node keeps
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address of the gRPC port
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Address under which others reach this node, if it is not the listen address
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// The node's region
    #[arg(long)]
    region: Option<String>,
    /// The node's zone in the region
    #[arg(long)]
    zone: Option<String>,
    /// Change logs stop when the disk has less than this many MiB left
    #[arg(long, value_name = "MIB")]
    disk_reserve_mb: Option<String>,
    /// How long the node may run components without hearing from the leader, in milliseconds; the same on all nodes
    #[arg(long, value_name = "MS")]
    lease_ms: Option<String>,
    /// What is logged, for example `info` or `warn,oms_mysql=debug`
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Form of the log: `text` or `json`
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// OTLP collector for traces
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
}

impl ConfigArgs {
    /// Puts file, environment and flags together.
    pub(crate) fn load(&self) -> Result<NodeConfig, ConfigError> {
        let flags = [
            ("data_dir", &self.data_dir),
            ("listen", &self.listen),
            ("advertise", &self.advertise),
            ("region", &self.region),
            ("zone", &self.zone),
            ("disk_reserve_mb", &self.disk_reserve_mb),
            ("lease_ms", &self.lease_ms),
            ("telemetry.log", &self.log),
            ("telemetry.format", &self.log_format),
            ("telemetry.otlp_endpoint", &self.otlp_endpoint),
        ];
        // A variable that is not text cannot be one of ours with a usable value; its name decides whether that matters.
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else { continue };
            if !name.starts_with("OMSNODE_") {
                continue;
            }
            let value = value.into_string().map_err(|_| ConfigError::Invalid {
                origin: name.clone(),
                message: "the value is not UTF-8 text".to_owned(),
            })?;
            environment.push((name, value));
        }
        oms_config::load(&Source {
            file: self.config.clone(),
            environment,
            flags: flags
                .into_iter()
                .filter_map(|(key, value)| Some((key.to_owned(), value.clone()?)))
                .collect(),
        })
    }
}

pub(crate) fn run(command: &ConfigCommand, out: &Output) -> Result<Exit, CliError> {
    match command {
        ConfigCommand::Check(arguments) => {
            let config = arguments.load()?;
            out.done(&config, "the configuration is valid")?;
        }
        ConfigCommand::Dump(arguments) => {
            let config = arguments.load()?;
            if out.is_json() {
                out.json(&config)?;
            } else {
                let text = toml::to_string_pretty(&config).map_err(|e| ConfigError::Invalid {
                    origin: "configuration".to_owned(),
                    message: e.to_string(),
                })?;
                out.raw(text.as_bytes())?;
            }
        }
    }
    Ok(Exit::Ok)
}
