//! `omsnode-testbed`: starts real servers in the foreground and tells where they are.

use std::io::Write;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand, ValueEnum};
use oms_cluster_tests::{Client, Corpus, Role, Server, ServerKind, ServerOptions};

/// Starts the database servers that `deploy/servers` installed.
#[derive(Parser)]
#[command(name = "omsnode-testbed", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start servers, print where they are, run until Ctrl-C or until standard input given by --until-eof ends.
    Up {
        /// Servers as KIND-ROLE or KIND: mariadb, mysql56, mysql97, seekdb; source (default) or destination (default
        /// for seekdb).
        #[arg(required = true)]
        servers: Vec<String>,
        /// How to print.
        #[arg(long, value_enum, default_value_t = Format::Export)]
        format: Format,
        /// Also write what is printed to this file, complete in one step once all servers answer.
        #[arg(long)]
        file: Option<std::path::PathBuf>,
        /// A server variable for all sources, NAME=VALUE; may be repeated.
        #[arg(long = "set", value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// End when standard input ends, so that the servers end with the program that holds it.
        #[arg(long)]
        until_eof: bool,
    },
    /// Make a database with a column of every type and objects of every shape, and fill it.
    Fill(Fill),
}

#[derive(clap::Args)]
struct Fill {
    /// Whose dialect: mariadb, mysql56, mysql97 or seekdb.
    #[arg(long)]
    kind: String,
    /// Host.
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port.
    #[arg(long)]
    port: u16,
    /// User.
    #[arg(long, default_value = "root")]
    user: String,
    /// Environment variable that holds the password.
    #[arg(long, default_value = "TESTBED_PASSWORD")]
    password_env: String,
    /// Database to make.
    #[arg(long)]
    database: String,
    /// Change the rows of an earlier fill, instead of making them.
    #[arg(long)]
    mutate: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Lines for a shell: export MARIADB_SOURCE_PORT=...
    Export,
    /// One JSON object per line and server.
    Json,
}

struct Wanted {
    label: String,
    kind: ServerKind,
    role: Role,
}

fn parse(name: &str) -> anyhow::Result<Wanted> {
    let (kind, role) = name.split_once('-').unwrap_or((name, ""));
    let kind = ServerKind::from_name(kind)
        .with_context(|| format!("unknown server {kind:?}: mariadb, mysql56, mysql97 or seekdb"))?;
    let role = match role {
        "source" => Role::Source,
        "destination" => Role::Destination,
        "" if kind == ServerKind::SeekDb => Role::Destination,
        "" => Role::Source,
        other => bail!("unknown role {other:?} of {kind}: source or destination"),
    };
    let label = match role {
        Role::Source => format!("{kind}_SOURCE"),
        Role::Destination => format!("{kind}_DESTINATION"),
    };
    Ok(Wanted {
        label: label.to_uppercase(),
        kind,
        role,
    })
}

fn describe(wanted: &Wanted, server: &Server, format: Format) -> String {
    let (port, password) = (server.port().to_string(), server.password());
    let fields = [
        ("HOST", server.host()),
        ("PORT", &port),
        ("USER", server.user()),
        ("OMS_USER", server.oms_user()),
        ("PASSWORD", password),
        ("URL", &server.url()),
    ];
    match format {
        Format::Export => fields
            .iter()
            .map(|(name, value)| format!("export {}_{name}='{value}'\n", wanted.label))
            .collect(),
        Format::Json => {
            let mut object = serde_json::Map::new();
            object.insert("server".into(), wanted.label.clone().into());
            for (name, value) in fields {
                object.insert(name.to_lowercase(), value.into());
            }
            format!("{}\n", serde_json::Value::Object(object))
        }
    }
}

async fn fill(f: &Fill) -> anyhow::Result<()> {
    let kind = ServerKind::from_name(&f.kind)
        .with_context(|| format!("unknown server {:?}: mariadb, mysql56, mysql97 or seekdb", f.kind))?;
    let password = std::env::var(&f.password_env).unwrap_or_default();
    let mut client = Client::connect_to(&f.host, f.port, &f.user, &password).await?;
    let corpus = Corpus::new(kind, &f.database);
    if f.mutate {
        client.run_all(&corpus.mutate).await?;
    } else {
        client.run_all(&corpus.create).await?;
        client.run_all(&corpus.seed).await?;
    }
    client.close().await?;
    Ok(())
}

async fn end_asked(until_eof: bool) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let eof = async {
        if until_eof {
            tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink())
                .await
                .map(|_| ())
        } else {
            std::future::pending().await
        }
    };
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        result = eof => result?,
    }
    Ok(())
}

async fn up(
    names: &[String],
    format: Format,
    file: Option<std::path::PathBuf>,
    set: &[String],
    until_eof: bool,
) -> anyhow::Result<()> {
    let mut running = Vec::new();
    let mut text = String::new();
    for name in names {
        let wanted = parse(name)?;
        let options = match wanted.role {
            Role::Source => {
                let mut options = ServerOptions::source();
                for pair in set {
                    let (name, value) = pair
                        .split_once('=')
                        .with_context(|| format!("--set {pair}: NAME=VALUE is needed"))?;
                    options = options.set(name, value);
                }
                options
            }
            Role::Destination => ServerOptions::destination(),
        };
        let server = Server::start(wanted.kind, options).await?;
        text.push_str(&describe(&wanted, &server, format));
        running.push(server);
    }
    std::io::stdout().write_all(text.as_bytes())?;
    std::io::stdout().flush()?;
    if let Some(file) = &file {
        let partial = file.with_extension("partial");
        std::fs::write(&partial, &text).with_context(|| partial.display().to_string())?;
        std::fs::rename(&partial, file).with_context(|| file.display().to_string())?;
    }
    end_asked(until_eof).await?;
    drop(running);
    if let Some(file) = &file {
        std::fs::remove_file(file).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // A Ctrl-C while servers still start ends this process, and their watches end them.
    let result = match arguments.command {
        Command::Up {
            servers,
            format,
            file,
            set,
            until_eof,
        } => runtime.block_on(up(&servers, format, file, &set, until_eof)),
        Command::Fill(f) => runtime.block_on(fill(&f)),
    };
    runtime.shutdown_background();
    result
}
