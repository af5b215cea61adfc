//! sysbench as a child process.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Result, TestbedError};
use crate::server::process::{ServerProcess, log_end};
use crate::server::{Server, ServerKind};

/// Which of sysbench's own loads runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SysbenchLoad {
    /// `oltp_write_only`.
    WriteOnly,
    /// `oltp_read_write`.
    ReadWrite,
}

impl SysbenchLoad {
    fn script(self) -> &'static str {
        match self {
            Self::WriteOnly => "oltp_write_only",
            Self::ReadWrite => "oltp_read_write",
        }
    }
}

/// A sysbench load in the background. Dropping it kills it.
#[derive(Debug)]
pub struct Sysbench {
    process: ServerProcess,
    // Holds the log.
    folder: tempfile::TempDir,
}

fn command(server: &Server, script: &str, database: &str, tables: u32, rows: u32) -> Result<Command> {
    let program = std::env::var_os("PATH")
        .and_then(|path| {
            std::env::split_paths(&path)
                .map(|folder| folder.join("sysbench"))
                .find(|p| p.is_file())
        })
        .ok_or_else(|| TestbedError::NotInstalled {
            kind: "sysbench",
            path: "sysbench".into(),
            argument: "sysbench",
        })?;
    if server.kind() == ServerKind::Mysql97 {
        let detail =
            "the packaged sysbench cannot sign in to MySQL 9.7 (no mysql_native_password there): use Load";
        return Err(TestbedError::program("sysbench", detail));
    }
    let mut command = Command::new(program);
    command.arg(script).arg("--db-driver=mysql");
    command.arg(format!("--mysql-host={}", server.host()));
    command.arg(format!("--mysql-port={}", server.port()));
    command.arg(format!("--mysql-user={}", server.user()));
    command.arg(format!("--mysql-password={}", server.password()));
    command.arg(format!("--mysql-db={database}"));
    command
        .arg(format!("--tables={tables}"))
        .arg(format!("--table-size={rows}"));
    Ok(command)
}

impl Sysbench {
    /// Makes the database and `tables` tables `sbtest1…` with `rows` rows each, and waits for that.
    pub async fn prepare(server: &Server, database: &str, tables: u32, rows: u32) -> Result<()> {
        let mut client = server.client().await?;
        client
            .query_drop(&format!("CREATE DATABASE IF NOT EXISTS `{database}`"))
            .await?;
        client.close().await?;
        let mut command = command(server, "oltp_write_only", database, tables, rows)?;
        command
            .arg(format!("--threads={}", tables.clamp(1, 4)))
            .arg("prepare");
        finish("sysbench prepare", command).await
    }

    /// Runs exactly so many transactions on prepared tables, as fast as the server takes them, and waits for that. Those
    /// that meet lock conflicts run again.
    pub async fn burst(
        server: &Server,
        load: SysbenchLoad,
        database: &str,
        (tables, rows): (u32, u32),
        threads: u32,
        transactions: u64,
    ) -> Result<()> {
        let mut command = command(server, load.script(), database, tables, rows)?;
        command
            .args(["--time=0", "--mysql-ignore-errors=1213,1020,1205,1062"])
            .arg(format!("--events={transactions}"))
            .arg(format!("--threads={threads}"))
            .arg("run");
        finish("sysbench run", command).await
    }

    /// Starts a load of `rate` transactions per second on prepared tables; it runs until it is stopped.
    pub fn run(
        server: &Server,
        load: SysbenchLoad,
        database: &str,
        (tables, rows): (u32, u32),
        threads: u32,
        rate: u32,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(TestbedError::file(std::env::temp_dir()))?;
        let mut command = command(server, load.script(), database, tables, rows)?;
        command.args(["--time=0", "--events=0"]);
        // Lock conflicts are part of the load, not the end of it.
        command.arg("--mysql-ignore-errors=1213,1020,1205,1062");
        command
            .arg(format!("--threads={threads}"))
            .arg(format!("--rate={rate}"))
            .arg("run");
        let process = ServerProcess::spawn("sysbench", &command, folder.path(), &log(folder.path()))?;
        Ok(Self { process, folder })
    }

    /// Whether it still writes; an error with its output when it ended by itself.
    pub fn check(&mut self) -> Result<()> {
        match self.process.exited()? {
            None => Ok(()),
            Some(status) => {
                let text = format!("{status}\n{}", log_end(&log(self.folder.path())));
                Err(TestbedError::program("sysbench ended by itself", text))
            }
        }
    }

    /// Holds the load; returns when it stands.
    pub fn pause(&mut self) -> Result<()> {
        self.process.freeze()
    }

    /// Lets a held load go on.
    pub fn resume(&mut self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Ends the load and waits until it has ended; open transactions are rolled back by the server. An error when it had
    /// ended by itself before.
    pub async fn stop(mut self) -> Result<()> {
        self.check()?;
        self.process.stop(Duration::from_secs(20)).await
    }
}

async fn finish(what: &str, mut command: Command) -> Result<()> {
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .map_err(|e| TestbedError::program(what, e))?
        .map_err(|e| TestbedError::program(what, e))?;
    if output.status.success() {
        return Ok(());
    }
    let text = format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Err(TestbedError::program(what, text))
}

fn log(folder: &Path) -> std::path::PathBuf {
    folder.join("sysbench.log")
}
