//! The settings and their defaults.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Configuration of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Folder that holds everything the node keeps: metadata, change logs, results.
    pub data_dir: PathBuf,
    /// Address of the gRPC port.
    pub listen: String,
    /// Address under which others reach this node; empty: the listen address.
    pub advertise: String,
    /// The node's region.
    pub region: String,
    /// The node's zone in the region.
    pub zone: String,
    /// Change logs stop when the disk has less than this many MiB left.
    pub disk_reserve_mb: u64,
    /// How long a node may run components without hearing from the leader, in milliseconds. The same on all
    /// nodes; every other time of the cluster is derived from it. Round trips of more than 200 ms need more.
    pub lease_ms: u64,
    /// Logs and traces.
    pub telemetry: TelemetryConfig,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("omsnode-data"),
            listen: "127.0.0.1:7070".to_owned(),
            advertise: String::new(),
            region: "default".to_owned(),
            zone: "default".to_owned(),
            disk_reserve_mb: 512,
            lease_ms: 2_500,
            telemetry: TelemetryConfig::default(),
        }
    }
}

/// Logs and traces of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged, for example `info` or `warn,oms_mysql=debug`.
    pub log: String,
    /// `text` or `json`.
    pub format: String,
    /// Endpoint of an OTLP collector for traces (gRPC); empty: none.
    pub otlp_endpoint: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log: "info,openraft=warn".to_owned(),
            format: "text".to_owned(),
            otlp_endpoint: String::new(),
        }
    }
}

impl NodeConfig {
    /// Checks what types alone cannot say. Returns every problem.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, text, may_be_empty) in [
            ("listen", &self.listen, false),
            ("advertise", &self.advertise, true),
        ] {
            let port = text.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            let unset = may_be_empty && text.is_empty();
            if !unset && !matches!(port, Some(Ok(_))) {
                problems.push(format!("{key} = {text:?} is not HOST:PORT"));
            }
        }
        for (key, text) in [("region", &self.region), ("zone", &self.zone)] {
            if text.is_empty() || text.contains(char::is_whitespace) {
                problems.push(format!("{key} = {text:?} must be a word"));
            }
        }
        if !(500..=60_000).contains(&self.lease_ms) {
            problems.push(format!(
                "lease_ms = {} is not between 500 and 60000",
                self.lease_ms
            ));
        }
        if !matches!(self.telemetry.format.as_str(), "text" | "json") {
            problems.push(format!(
                "telemetry.format = {:?} is neither \"text\" nor \"json\"",
                self.telemetry.format
            ));
        }
        if self.data_dir.as_os_str().is_empty() {
            problems.push("data_dir is empty".to_owned());
        }
        problems
    }

    /// The address under which others reach this node.
    pub fn advertised(&self) -> &str {
        if self.advertise.is_empty() {
            &self.listen
        } else {
            &self.advertise
        }
    }
}
