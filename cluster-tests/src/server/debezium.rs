//! Debezium's MariaDB connector in a stand-alone Kafka Connect.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{ServerProcess, log_end};
use super::{STOP_BOUND, Server, servers_folder};
use crate::error::{Result, TestbedError};
use crate::port::PortLease;

const NAME: &str = "debezium";
/// Where `deploy/servers debezium` puts the jars, below the folder of all servers.
const JARS: &str = "debezium-3.5.0.Final/libs";
/// As Kafka's own script starts a stand-alone Connect.
const JAVA: [&str; 4] = ["-Xms256M", "-Xmx2G", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];

/// A connector that writes the changes of one database to topics `<prefix>.<database>.<table>`, which must exist. It keeps
/// offsets and definitions in files of its folder. Begins stopped. Dropping it ends it.
#[derive(Debug)]
pub struct Debezium {
    process: Option<ServerProcess>,
    folder: TempDir,
    worker: PathBuf,
    connector: PathBuf,
    // Its REST interface, which nobody uses.
    _port: PortLease,
}

impl Debezium {
    /// What its topics begin with.
    pub const PREFIX: &'static str = "dbz";

    /// Sets one up. It reads no rows; it begins where the log ends when it is started for the first time. `more` are
    /// settings of the connector over those that it has by itself.
    pub fn new(source: &Server, bootstrap: &str, database: &str, more: &[(&str, &str)]) -> Result<Self> {
        jars()?;
        let root = std::env::var_os("OMSNODE_TESTBED_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = tempfile::Builder::new()
            .prefix("omsnode-testbed-")
            .tempdir_in(&root)
            .map_err(TestbedError::file(&root))?;
        let port = PortLease::take()?;
        let state = folder.path().join("state");
        std::fs::create_dir(&state).map_err(TestbedError::file(&state))?;
        let json = "org.apache.kafka.connect.json.JsonConverter";
        let worker = format!(
            "bootstrap.servers={bootstrap}\nlisteners=http://127.0.0.1:{}\noffset.storage.file.filename={}\n\
             offset.flush.interval.ms=1000\nplugin.discovery=hybrid_warn\nkey.converter={json}\nvalue.converter={json}\n\
             key.converter.schemas.enable=false\nvalue.converter.schemas.enable=false\n",
            port.port(),
            state.join("offsets").display(),
        );
        let mut connector = format!(
            "name=debezium\nconnector.class=io.debezium.connector.mariadb.MariaDbConnector\ntasks.max=1\n\
             database.hostname={}\ndatabase.port={}\ndatabase.user={}\ndatabase.password={}\ndatabase.server.id={}\n\
             database.ssl.mode=disable\ntopic.prefix={}\ndatabase.include.list={database}\n\
             snapshot.mode=no_data\nschema.history.internal=io.debezium.storage.file.history.FileSchemaHistory\n\
             schema.history.internal.file.filename={}\n",
            source.host(),
            source.port(),
            source.user(),
            source.password(),
            700_000 + u32::from(port.port()),
            Self::PREFIX,
            state.join("history").display(),
        );
        for (name, value) in more {
            connector.push_str(&format!("{name}={value}\n"));
        }
        let write = |name: &str, text: String| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).map_err(TestbedError::file(&file))?;
            Ok::<_, TestbedError>(file)
        };
        Ok(Self {
            process: None,
            worker: write("worker.properties", worker)?,
            connector: write("connector.properties", connector)?,
            folder,
            _port: port,
        })
    }

    /// Starts it. It works some seconds later.
    pub fn start(&mut self) -> Result<()> {
        let jars = jars()?;
        let folder = self.folder.path();
        let mut command = Command::new("java");
        command.args(JAVA).arg("-cp").arg(jars.join("*"));
        command.arg("org.apache.kafka.connect.cli.ConnectStandalone");
        command.arg(&self.worker).arg(&self.connector);
        self.process = Some(ServerProcess::spawn(NAME, &command, folder, &self.log())?);
        Ok(())
    }

    /// The process id, while it runs.
    ///
    /// # Errors
    /// When it has ended, with the end of its log.
    pub fn pid(&mut self) -> Result<u32> {
        let log = self.log();
        let process = self.process.as_mut().ok_or(TestbedError::NotRunning)?;
        match process.exited()? {
            None => Ok(process.pid()),
            Some(status) => Err(TestbedError::program(
                "debezium ended",
                format!("{status}; end of its log:\n{}", log_end(&log)),
            )),
        }
    }

    /// Ends it in an orderly way: where it stands is in its files then.
    pub async fn stop(&mut self) -> Result<()> {
        let process = self.process.take();
        process.ok_or(TestbedError::NotRunning)?.stop(STOP_BOUND).await
    }

    /// Where its offsets and definitions lie.
    pub fn state_folder(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// What it wrote to its standard output and error.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

fn jars() -> Result<PathBuf> {
    let folder: &Path = &servers_folder().join(JARS);
    if folder.is_dir() {
        return Ok(folder.to_owned());
    }
    Err(TestbedError::NotInstalled {
        kind: NAME,
        path: folder.display().to_string(),
        argument: NAME,
    })
}
