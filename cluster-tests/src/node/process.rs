//! One `omsnode` process.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use oms_proto::v1::{
    component_service_client::ComponentServiceClient, data_source_service_client::DataSourceServiceClient,
    node_service_client::NodeServiceClient, project_service_client::ProjectServiceClient,
    token_service_client::TokenServiceClient,
};
use rustix::process::Signal;
use tonic::transport::Channel;

use crate::PortLease;
use crate::cluster::Home;
use crate::server::process::ServerProcess;

const START: Duration = Duration::from_secs(30);
/// Names the binary: for this process all nodes', among the variables of one node its own.
const BINARY: &str = "OMSNODE_BIN";

/// An `omsnode` process with a data folder of its own. Dropping it kills the process, and so does the end of this
/// process; the folder goes with its owner.
#[derive(Debug)]
pub struct OmsNode {
    child: Option<ServerProcess>,
    data: PathBuf,
    home: Home,
    region: String,
    zone: String,
    starts: u32,
    environment: Vec<(String, String)>,
}

/// How a node comes into a cluster.
#[derive(Debug, Clone)]
pub struct Admission {
    /// A member's address.
    pub member: String,
    /// The secret that `token create` gave.
    pub token: String,
    /// A voter without components.
    pub witness: bool,
}

impl OmsNode {
    /// Starts a node on a data folder and waits until its API answers.
    pub async fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_with(data, &[]).await
    }

    /// Starts a node with additional environment variables.
    pub async fn start_with(data: &Path, environment: &[(&str, &str)]) -> anyhow::Result<Self> {
        let environment = environment
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        let lease = PortLease::take()?;
        let address = format!("127.0.0.1:{}", lease.port());
        let home = Home {
            namespace: None,
            listen: address.clone(),
            advertise: address,
            _port: Some(Arc::new(lease)),
        };
        let mut node = Self::at(home, data, ("default", "default"));
        node.environment = environment;
        node.spawn(None)?;
        node.wait_ready().await?;
        Ok(node)
    }

    /// A node that has not been started yet.
    pub(crate) fn at(home: Home, data: &Path, (region, zone): (&str, &str)) -> Self {
        Self {
            child: None,
            data: data.to_owned(),
            home,
            region: region.to_owned(),
            zone: zone.to_owned(),
            starts: 0,
            environment: Vec::new(),
        }
    }

    /// Environment variables from its next start on.
    pub(crate) fn set_environment(&mut self, environment: &[(String, String)]) {
        self.environment = environment.to_vec();
    }

    /// The binary under test.
    pub fn binary() -> anyhow::Result<PathBuf> {
        binary()
    }

    /// Another version of the binary, from the next start on.
    pub fn set_binary(&mut self, program: &Path) {
        self.environment.retain(|(name, _)| name != BINARY);
        let program = program.to_string_lossy().into_owned();
        self.environment.push((BINARY.to_owned(), program));
    }

    /// Where the API answers.
    pub fn address(&self) -> String {
        self.home.listen.clone()
    }

    /// Where other nodes reach it.
    pub fn advertised(&self) -> &str {
        &self.home.advertise
    }

    /// Others are told to reach it at this address, from its next start on.
    pub fn advertise(&mut self, address: &str) {
        self.home.advertise = address.to_owned();
    }

    /// Where it lives.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Its region and zone.
    pub fn place(&self) -> (&str, &str) {
        (&self.region, &self.zone)
    }

    /// The folder with everything the node keeps.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What the node wrote to standard error, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    fn command(&self, admission: Option<&Admission>) -> anyhow::Result<Command> {
        let own = self.environment.iter().find(|(name, _)| name == BINARY);
        let program = own.map_or_else(binary, |(_, path)| Ok(PathBuf::from(path)))?;
        let mut command = match &self.home.namespace {
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(&program);
                command
            }
            None => Command::new(&program),
        };
        match admission {
            Some(a) => {
                command.args(["join", &a.member, "--token", &a.token]);
                if a.witness {
                    command.arg("--witness");
                }
            }
            None => {
                command.arg("start");
            }
        }
        command.arg("--data-dir").arg(&self.data);
        command.args(["--listen", &self.home.listen, "--advertise", &self.home.advertise]);
        command.args(["--region", &self.region, "--zone", &self.zone]);
        // The daemon takes every variable with this prefix for a setting.
        command.env_remove("OMSNODE_TESTBED_DIR");
        command.env_remove("OMSNODE_OLD_BIN");
        command.env("OMSNODE_DISK_RESERVE_MB", "64");
        command.envs(self.environment.iter().map(|(a, b)| (a.as_str(), b.as_str())));
        Ok(command)
    }

    /// Starts the process; with an admission it joins a cluster first.
    pub(crate) fn spawn(&mut self, admission: Option<&Admission>) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "omsnode is running");
        let command = self.command(admission)?;
        self.starts += 1;
        let nothing = Path::new("");
        self.child = Some(ServerProcess::spawn(
            "omsnode",
            &command,
            nothing,
            &self.log_path(),
        )?);
        Ok(())
    }

    /// A connection is accepted before the node knows whether it can serve it: only an answer counts.
    async fn answers(&self) -> bool {
        let ask = async {
            let request = oms_proto::v1::ListComponentsRequest::default();
            let mut client = self.components().await?;
            client.list_components(request).await?;
            anyhow::Ok(())
        };
        matches!(
            tokio::time::timeout(Duration::from_secs(5), ask).await,
            Ok(Ok(()))
        )
    }

    pub(crate) async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + START;
        loop {
            if self.answers().await {
                return Ok(());
            }
            if let Some(status) = self
                .child
                .as_mut()
                .map(ServerProcess::exited)
                .transpose()?
                .flatten()
            {
                self.child = None;
                bail!("omsnode ended with {status}:\n{}", tail(&self.log()));
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "omsnode does not answer:\n{}",
                tail(&self.log())
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn process(&mut self) -> anyhow::Result<&mut ServerProcess> {
        self.child.as_mut().context("omsnode is not running")
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.take().context("omsnode is not running")?.kill();
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.process()?.signal(Signal::TERM)?;
        while self.process()?.exited()?.is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child = None;
        Ok(())
    }

    /// SIGSTOP: connections stay open and nothing answers. Returns when every thread stands.
    pub fn freeze(&mut self) -> anyhow::Result<()> {
        Ok(self.process()?.freeze()?)
    }

    /// Lets a frozen node run on.
    pub fn thaw(&mut self) -> anyhow::Result<()> {
        Ok(self.process()?.signal(Signal::CONT)?)
    }

    /// The process while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(ServerProcess::pid)
    }

    /// The most memory that the process ever had in RAM, in bytes: `VmHWM` of proc_pid_status(5).
    pub fn peak_memory(&self) -> anyhow::Result<u64> {
        let pid = self.pid().context("omsnode is not running")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kib: u64 = line
            .and_then(|l| l.trim().strip_suffix(" kB"))
            .context("no VmHWM in the process status")?
            .parse()?;
        Ok(kib << 10)
    }

    /// Begins to count [`OmsNode::peak_memory`] anew (proc_pid_clear_refs(5)).
    pub fn reset_peak_memory(&self) -> anyhow::Result<()> {
        let pid = self.pid().context("omsnode is not running")?;
        Ok(std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
    }

    /// Whether the process has not ended yet.
    pub fn is_running(&mut self) -> anyhow::Result<bool> {
        let child = self.child.as_mut().context("omsnode was not started")?;
        Ok(child.exited()?.is_none())
    }

    /// Waits until the process has ended by itself.
    pub async fn wait_exit(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        let deadline = tokio::time::Instant::now() + patience;
        let child = self.child.as_mut().context("omsnode is not running")?;
        loop {
            if let Some(status) = child.exited()? {
                self.child = None;
                return Ok(status);
            }
            ensure!(
                tokio::time::Instant::now() < deadline,
                "omsnode does not end:\n{}",
                tail(&self.log())
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Starts another process with a data folder and an address that shall refuse to start, and waits for
    /// its end: exit code and standard error.
    pub fn refused(data: &Path, listen: &str) -> anyhow::Result<(Option<i32>, String)> {
        let mut command = Command::new(binary()?);
        command.arg("start").arg("--data-dir").arg(data);
        let output = command
            .arg("--listen")
            .arg(listen)
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), text))
    }

    /// Runs a command of the binary that works on the data folder of this node, which must not run; its output.
    pub fn offline(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(binary()?);
        command.args(arguments).arg("--data-dir").arg(&self.data);
        finish(command)
    }

    /// Runs a command of the binary that talks to this node; its output.
    pub fn client(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(binary()?);
        command.args(["--server", self.advertised()]).args(arguments);
        finish(command)
    }

    /// Starts again on the same folder and port, and waits until the API answers.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.restart_unready()?;
        self.wait_ready().await
    }

    /// [`OmsNode::restart`] without waiting for anything.
    pub fn restart_unready(&mut self) -> anyhow::Result<()> {
        self.spawn(None)
    }

    async fn channel(&self) -> anyhow::Result<Channel> {
        Ok(
            tonic::transport::Endpoint::new(format!("http://{}", self.address()))?
                .connect()
                .await?,
        )
    }

    /// The client for data sources.
    pub async fn data_sources(&self) -> anyhow::Result<DataSourceServiceClient<Channel>> {
        Ok(DataSourceServiceClient::new(self.channel().await?))
    }

    /// The client for projects.
    pub async fn projects(&self) -> anyhow::Result<ProjectServiceClient<Channel>> {
        Ok(ProjectServiceClient::new(self.channel().await?))
    }

    /// The client for nodes.
    pub async fn nodes(&self) -> anyhow::Result<NodeServiceClient<Channel>> {
        Ok(NodeServiceClient::new(self.channel().await?))
    }

    /// The client for tokens.
    pub async fn tokens(&self) -> anyhow::Result<TokenServiceClient<Channel>> {
        Ok(TokenServiceClient::new(self.channel().await?))
    }

    /// The client for components.
    pub async fn components(&self) -> anyhow::Result<ComponentServiceClient<Channel>> {
        Ok(ComponentServiceClient::new(self.channel().await?))
    }
}

/// A failed test shows what its nodes said last: the folder goes with the test.
#[allow(clippy::print_stderr, reason = "what a test says when it fails")]
impl Drop for OmsNode {
    fn drop(&mut self) {
        if std::thread::panicking() && self.starts > 0 {
            let address = self.address();
            eprintln!("-- the end of the log of {address}:\n{}", tail(&self.log()));
        }
    }
}

fn finish(mut command: Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        text(&output.stderr)
    );
    Ok(text(&output.stdout))
}

/// The end of a log, for messages.
pub(crate) fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines
        .get(lines.len().saturating_sub(40)..)
        .unwrap_or_default()
        .join("\n")
}

/// The binary under test: `OMSNODE_BIN`, or the one that cargo built beside this test.
fn binary() -> anyhow::Result<PathBuf> {
    if let Ok(path) = std::env::var(BINARY) {
        return Ok(PathBuf::from(path));
    }
    let own = std::env::current_exe()?;
    let candidates = own.ancestors().skip(1).take(2).map(|dir| dir.join("omsnode"));
    candidates
        .into_iter()
        .find(|p| p.is_file())
        .context("the omsnode binary is not built: run `cargo build -p oms-cli` first, or set OMSNODE_BIN")
}
