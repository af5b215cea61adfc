//! `omsnode start`: the daemon in the foreground.

use clap::Args;
use oms_config::NodeConfig;
use oms_node::{Daemon, JoinOptions, StopReason};
use oms_telemetry::Options;
use oms_types::codes;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config::ConfigArgs;
use crate::{error::CliError, exit::Exit, output::Output};

#[derive(Args, Debug)]
#[command(
    after_help = "The node works until SIGINT or SIGTERM. It then stops cleanly, or at once at a second signal.\nIts log goes to standard error; one line on standard output says when the API answers."
)]
pub(crate) struct StartArgs {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(crate) fn run(arguments: &StartArgs, out: &Output) -> Result<Exit, CliError> {
    daemon(&arguments.config.load()?, None, out)
}

/// Runs a node until it is asked to stop or ends by itself; with `join`, one of an existing cluster.
pub(super) fn daemon(config: &NodeConfig, join: Option<JoinOptions>, out: &Output) -> Result<Exit, CliError> {
    // An error means that a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::io("the runtime"))?;
    let result = runtime.block_on(Box::pin(serve(config, join, out)));
    // What a second signal interrupted must not hold up the end.
    runtime.shutdown_background();
    result
}

async fn serve(config: &NodeConfig, join: Option<JoinOptions>, out: &Output) -> Result<Exit, CliError> {
    let _telemetry = oms_telemetry::start(&Options {
        filter: config.telemetry.log.clone(),
        json: config.telemetry.format == "json",
        otlp_endpoint: config.telemetry.otlp_endpoint.clone(),
        node: config.advertised().to_owned(),
    })
    .map_err(|e| CliError::Daemon {
        code: codes::config::INVALID,
        message: e.to_string(),
    })?;
    let mut signals = Signals::listen()?;
    let start = async {
        match join {
            Some(options) => Box::pin(Daemon::join(config, options)).await,
            None => Box::pin(Daemon::start(config)).await,
        }
    };
    let started = tokio::select! {
        started = Box::pin(start) => started,
        () = signals.next() => return Ok(Exit::Interrupted),
    };
    let mut daemon = started.map_err(|e| CliError::Daemon {
        code: e.code(),
        message: message_of(&e),
    })?;
    let address = daemon.address().to_string();
    // A node whose output nobody reads works all the same.
    let _ = if out.is_json() {
        out.json_line(&serde_json::json!({ "ready": address }))
    } else {
        out.line(&format!("omsnode is ready on {address}"))
    };
    let reason = tokio::select! {
        reason = daemon.ended() => Some(reason),
        () = signals.next() => None,
    };
    tokio::select! {
        () = Box::pin(daemon.stop()) => {}
        () = signals.next() => return Ok(Exit::Interrupted),
    }
    match reason {
        None | Some(StopReason::Asked) => Ok(Exit::Ok),
        Some(StopReason::Failed { code, message }) => Err(CliError::Daemon { code, message }),
    }
}

/// The message without the code, which is shown beside it.
pub(super) fn message_of(error: &oms_node::DaemonError) -> String {
    let text = error.to_string();
    text.strip_prefix(error.code().as_str())
        .map(|rest| rest.trim().to_owned())
        .unwrap_or(text)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(CliError::io("signals"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
