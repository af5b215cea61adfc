//! Real servers as children of the test process.

mod debezium;
mod kafka;
mod kind;
mod launch;
mod mariadb;
mod mysql56;
mod mysql97;
mod options;
pub(crate) mod process;
mod seekdb;
mod template;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rand::Rng;
use rustix::process::Signal;
use tempfile::TempDir;

pub use debezium::Debezium;
pub use kafka::{KafkaCluster, Listener};
pub use kind::{ServerKind, servers_folder};
pub use options::{Role, ServerOptions};

use crate::client::Client;
use crate::error::{Result, TestbedError};
use crate::port::PortLease;
use launch::{Accounts, Launch};
use process::{ServerProcess, log_end};

// Generous: a start takes a second or two on an idle machine, and recovery after a kill a few more.
const START_BOUND: Duration = Duration::from_secs(120);
const STOP_BOUND: Duration = Duration::from_secs(60);

/// A real server with a data folder, a port and passwords of its own.
///
/// Accounts: `root` may do everything; `oms` (see [`Server::oms_user`]) has the privileges the project asks for in the
/// server's role and no more. Both have the same random password. Dropping the server kills it and removes its folder;
/// the same happens when the owning process ends in any way.
#[derive(Debug)]
pub struct Server {
    // Ended before the folder and the port are given back: fields drop in this order.
    process: Option<ServerProcess>,
    kind: ServerKind,
    options: ServerOptions,
    program: PathBuf,
    folder: TempDir,
    port: PortLease,
    password: String,
    server_id: u32,
}

impl Server {
    /// Starts a server and returns when it has answered a query as `root`.
    pub async fn start(kind: ServerKind, options: ServerOptions) -> Result<Self> {
        let program = kind.program()?;
        let root = std::env::var_os("OMSNODE_TESTBED_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::Builder::new()
            .prefix("omsnode-testbed-")
            .tempdir_in(&root)
            .map_err(TestbedError::file(&root))?;
        let password: String = {
            let mut rng = rand::rng();
            (0..20)
                .map(|_| char::from(rng.sample(rand::distr::Alphanumeric)))
                .collect()
        };
        let port = PortLease::take()?;
        // Unique among the servers of this machine, as the binlog protocol wants it.
        let server_id = 100_000 + u32::from(port.port());
        let mut server = Self {
            process: None,
            kind,
            options,
            program,
            folder,
            port,
            password,
            server_id,
        };
        let (program, data) = (server.program.clone(), server.data_folder());
        tokio::task::spawn_blocking(move || template::copy(kind, &program, &data))
            .await
            .map_err(|e| TestbedError::program("copying a data folder", e))??;
        server.first_start().await?;
        Ok(server)
    }

    async fn first_start(&mut self) -> Result<()> {
        let password = self.password.clone();
        let accounts = Accounts {
            password: &password,
            role: self.options.role,
        };
        let statements = match self.kind {
            ServerKind::MariaDb => mariadb::accounts(&accounts),
            ServerKind::Mysql56 => mysql56::accounts(&accounts),
            ServerKind::Mysql97 => mysql97::accounts(&accounts),
            ServerKind::SeekDb => {
                self.spawn(None, true)?;
                let mut client = self.wait_ready("").await?;
                for statement in seekdb::accounts(&accounts) {
                    client.query_drop(&statement).await?;
                }
                client.close().await?;
                return self.wait_ready(&password).await?.close().await;
            }
        };
        let file = self.folder.path().join("init.sql");
        std::fs::write(&file, statements).map_err(TestbedError::file(&file))?;
        self.spawn(Some(&file), true)?;
        self.wait_ready(&password).await?.close().await?;
        std::fs::remove_file(&file).map_err(TestbedError::file(&file))
    }

    fn spawn(&mut self, init_file: Option<&Path>, first: bool) -> Result<()> {
        let launch = Launch {
            program: &self.program,
            folder: self.folder.path(),
            port: self.port.port(),
            server_id: self.server_id,
            options: &self.options,
            init_file,
        };
        let command: Command = match self.kind {
            ServerKind::MariaDb => mariadb::command(&launch),
            ServerKind::Mysql56 => mysql56::command(&launch),
            ServerKind::Mysql97 => mysql97::command(&launch),
            ServerKind::SeekDb => seekdb::command(&launch, first),
        };
        let log = self.log_path();
        self.process = Some(ServerProcess::spawn(
            self.kind.name(),
            &command,
            self.folder.path(),
            &log,
        )?);
        Ok(())
    }

    async fn wait_ready(&mut self, password: &str) -> Result<Client> {
        let end = Instant::now() + START_BOUND;
        loop {
            let process = self.process.as_mut().ok_or(TestbedError::NotRunning)?;
            if let Some(status) = process.exited()? {
                self.process = None;
                let detail = format!("{status}; end of its log:\n{}", log_end(&self.log_path()));
                return Err(TestbedError::program(
                    format!("{} ended while starting", self.kind),
                    detail,
                ));
            }
            let attempt = async {
                let mut client = Client::connect_to(self.host(), self.port(), self.user(), password).await?;
                client.query_drop("SELECT 1").await?;
                Ok::<_, TestbedError>(client)
            };
            let last = match tokio::time::timeout(Duration::from_secs(10), attempt).await {
                Ok(Ok(client)) => return Ok(client),
                // The accounts exist before the first connection is accepted, so waiting longer would not help.
                Ok(Err(error)) if error.server_code() == Some(1045) && self.kind != ServerKind::SeekDb => {
                    return Err(error);
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() > end {
                return Err(TestbedError::Timeout {
                    what: format!("an answer of {} ({last})", self.kind),
                    seconds: START_BOUND.as_secs(),
                    log: log_end(&self.log_path()),
                });
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// The server's kind.
    pub fn kind(&self) -> ServerKind {
        self.kind
    }

    /// Always `127.0.0.1`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port; the same for the whole life of this value.
    pub fn port(&self) -> u16 {
        self.port.port()
    }

    /// The account that may do everything.
    pub fn user(&self) -> &'static str {
        "root"
    }

    /// The account with just the privileges that the project asks for.
    pub fn oms_user(&self) -> &'static str {
        "oms"
    }

    /// The password of both accounts.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// `mysql://root:PASSWORD@127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!(
            "mysql://{}:{}@{}:{}",
            self.user(),
            self.password,
            self.host(),
            self.port()
        )
    }

    /// The binlog protocol's id of this server, where it has one.
    pub fn server_id(&self) -> u32 {
        self.server_id
    }

    /// The data folder, for tests that look at or damage files.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What the server wrote to its standard output and error.
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::pid)
    }

    /// A new connection as `root`, without a database.
    pub async fn client(&self) -> Result<Client> {
        Client::connect_to(self.host(), self.port(), self.user(), &self.password).await
    }

    /// Ends the server in an orderly way and waits for it. The data stays until the value is dropped.
    pub async fn stop(&mut self) -> Result<()> {
        self.process
            .take()
            .ok_or(TestbedError::NotRunning)?
            .stop(STOP_BOUND)
            .await
    }

    /// Ends the server with `SIGKILL`, as a crash would. The data stays.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().ok_or(TestbedError::NotRunning)?.kill();
        Ok(())
    }

    /// Stops the process from running (`SIGSTOP`): connections stay open and nothing answers. Returns when all threads stand.
    pub fn freeze(&mut self) -> Result<()> {
        self.process.as_mut().ok_or(TestbedError::NotRunning)?.freeze()
    }

    /// Lets a frozen server run on.
    pub fn thaw(&mut self) -> Result<()> {
        self.process
            .as_mut()
            .ok_or(TestbedError::NotRunning)?
            .signal(Signal::CONT)
    }

    /// Starts it again with the same data, port and passwords; stops it first when it still runs.
    pub async fn restart(&mut self) -> Result<()> {
        if self.process.is_some() {
            self.stop().await?;
        }
        self.spawn(None, false)?;
        let password = self.password.clone();
        self.wait_ready(&password).await?.close().await
    }

    /// [`Server::restart`] with other options from then on (seekdb keeps its stored parameters).
    pub async fn restart_with(&mut self, options: ServerOptions) -> Result<()> {
        self.options = options;
        self.restart().await
    }
}
