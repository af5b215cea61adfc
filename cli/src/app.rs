//! From arguments to an exit code.

use std::{ffi::OsString, process::ExitCode};

use clap::{Args, CommandFactory as _, Parser, Subcommand, error::ErrorKind};

use crate::{
    client::Context,
    commands::{admin, cluster, component, config, datasource, explain, node, project, token},
    error::CliError,
    exit::Exit,
    output::{Format, Output},
};

/// Moves live databases to OceanBase: the daemon and its command line.
#[derive(Parser, Debug)]
#[command(
    name = "omsnode",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or not confirmed, 3 both sides differ, 4 --timeout is over, 130 interrupted.\nStart with: omsnode start"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
struct Global {
    /// The daemon that commands talk to
    #[arg(long, global = true, env = "OMSNODE_SERVER", value_name = "HOST:PORT", default_value = "127.0.0.1:7070", value_parser = address, help_heading = "Global options")]
    server: String,
    /// Form of the output
    #[arg(
        short,
        long,
        global = true,
        env = "OMSNODE_OUTPUT",
        value_enum,
        default_value = "table",
        help_heading = "Global options"
    )]
    output: Format,
    /// No colours, even on a terminal (as does NO_COLOR)
    #[arg(long, global = true, help_heading = "Global options")]
    no_color: bool,
    /// Answer every confirmation with yes
    #[arg(short, long, global = true, help_heading = "Global options")]
    yes: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run a node in the foreground
    #[cfg(feature = "daemon")]
    Start(crate::commands::start::StartArgs),
    /// Run a node in the foreground that joins a cluster
    #[cfg(feature = "daemon")]
    Join(crate::commands::join::JoinArgs),
    /// Drain a node and take it out of the cluster for good
    Leave(node::LeaveArgs),
    /// Check or show a node's configuration
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Databases that projects read from and write to
    #[command(visible_alias = "ds")]
    Datasource {
        #[command(subcommand)]
        command: datasource::DatasourceCommand,
    },
    /// Migration projects
    Project {
        #[command(subcommand)]
        command: project::ProjectCommand,
    },
    /// Components, which do the work of projects
    Component {
        #[command(subcommand)]
        command: component::ComponentCommand,
    },
    /// The cluster as a whole
    Cluster {
        #[command(subcommand)]
        command: cluster::ClusterCommand,
    },
    /// Nodes of the cluster
    Node {
        #[command(subcommand)]
        command: node::NodeCommand,
    },
    /// Secrets that let new nodes in
    Token {
        #[command(subcommand)]
        command: token::TokenCommand,
    },
    /// Backup, restore and recovery of the cluster's own data
    Admin {
        #[command(subcommand)]
        command: admin::AdminCommand,
    },
    /// Say what an error code means and what to do
    Explain(explain::ExplainArgs),
    /// Write a completion script for a shell to standard output
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Show the version
    Version,
}

/// Reads `HOST:PORT`, also with `http://` before it.
pub(crate) fn address(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    match bare.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(bare.to_owned()),
        _ => Err("not HOST:PORT".to_owned()),
    }
}

/// The command line's definition, for completions and tests.
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// Runs the command that the arguments name and answers how it ended. The first argument is the
/// program's name. Everything is printed by then.
pub fn run<I, T>(arguments: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // A closed output leaves nothing to be said.
            let _ = error.print();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
                _ => Exit::Usage,
            }
            .into();
        }
    };
    let out = Output::new(cli.global.output, cli.global.no_color);
    let context = Context {
        server: cli.global.server,
        out: out.clone(),
        yes: cli.global.yes,
    };
    let exit = execute(cli.command, &context).unwrap_or_else(|error| {
        let exit = error.exit();
        if !matches!(error, CliError::Output(_)) || exit != Exit::Ok {
            out.error(&error);
        }
        exit
    });
    exit.into()
}

fn execute(command: Command, context: &Context) -> Result<Exit, CliError> {
    match command {
        #[cfg(feature = "daemon")]
        Command::Start(arguments) => crate::commands::start::run(&arguments, &context.out),
        #[cfg(feature = "daemon")]
        Command::Join(arguments) => crate::commands::join::run(&arguments, &context.out),
        Command::Leave(arguments) => client(Box::pin(node::leave(arguments, context))),
        Command::Config { command } => config::run(&command, &context.out),
        Command::Datasource { command } => client(Box::pin(datasource::run(command, context))),
        Command::Project { command } => client(Box::pin(project::run(command, context))),
        Command::Component { command } => client(Box::pin(component::run(command, context))),
        Command::Cluster { command } => client(Box::pin(cluster::run(command, context))),
        Command::Node { command } => client(Box::pin(node::run(command, context))),
        Command::Token { command } => client(Box::pin(token::run(command, context))),
        Command::Admin { command } => client(Box::pin(admin::run(command, context))),
        Command::Explain(arguments) => explain::run(&arguments, &context.out),
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command_line(), "omsnode", &mut script);
            context.out.raw(&script)?;
            Ok(Exit::Ok)
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            context.out.done(
                &serde_json::json!({ "version": version }),
                &format!("omsnode {version}"),
            )?;
            Ok(Exit::Ok)
        }
    }
}

/// Runs a client's work until it ends or Ctrl-C comes.
fn client(
    work: std::pin::Pin<Box<dyn Future<Output = Result<Exit, CliError>> + '_>>,
) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::io("the runtime"))?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = work => result,
            signal = tokio::signal::ctrl_c() => {
                signal.map_err(CliError::io("signals"))?;
                Err(CliError::Interrupted)
            }
        }
    });
    // A question may still be waiting for its answer on another thread.
    runtime.shutdown_background();
    result
}
