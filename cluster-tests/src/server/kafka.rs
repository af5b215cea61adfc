//! Apache Kafka without ZooKeeper: one broker, or several that elect leaders among themselves.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rand::Rng;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::process::{ServerProcess, log_end};
use super::{START_BOUND, STOP_BOUND, servers_folder};
use crate::error::{Result, TestbedError};
use crate::port::PortLease;

const NAME: &str = "kafka";
/// Where `deploy/servers kafka` puts the jars, below the folder of all servers.
const JARS: &str = "kafka-3.9.1/libs";
/// Small heaps and the quick compiler: a broker is ready in about three seconds.
const SMALL: &[&str] = &[
    "-Xmx256m",
    "-Xms64m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
];
/// As Kafka's own scripts start a broker: both compilers, a GiB of heap.
const LARGE: &[&str] = &["-Xmx1g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"];
/// The same for all clusters of the testbed: they never meet.
const CLUSTER_ID: &str = "MkU3OEVBNTcwNTJENDM2Qk";
/// Metadata and SASL of Kafka's protocol, by number and version (<https://kafka.apache.org/protocol>).
const METADATA: (i16, i16) = (3, 1);
const SASL_HANDSHAKE: (i16, i16) = (17, 1);
const SASL_AUTHENTICATE: (i16, i16) = (36, 0);

/// How clients reach a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// Neither encrypted nor asked who they are: may do everything.
    Plain,
    /// SASL with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    Sasl,
    /// TLS; who they are is not asked.
    Tls,
    /// SASL within TLS.
    SaslTls,
}

impl Listener {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Sasl, Self::Tls, Self::SaslTls];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Sasl => "SASL",
            Self::Tls => "TLS",
            Self::SaslTls => "BOTH",
        }
    }

    fn protocol(self) -> &'static str {
        match self {
            Self::Plain => "PLAINTEXT",
            Self::Sasl => "SASL_PLAINTEXT",
            Self::Tls => "SSL",
            Self::SaslTls => "SASL_SSL",
        }
    }
}

/// A cluster of brokers, each of which is a controller, too. Topics are not created by writing to them.
///
/// Accounts of the SASL listeners: `oms` may do everything, `guest` nothing that nobody granted; both with
/// [`KafkaCluster::password`]. Dropping the cluster ends it and removes its folders, as does the end of the owning process.
#[derive(Debug)]
pub struct KafkaCluster {
    brokers: Vec<Broker>,
    /// Where clients of the plain listener find this machine.
    host: Ipv4Addr,
    java: &'static [&'static str],
    password: String,
    // The certificate; removed last.
    folder: TempDir,
}

#[derive(Debug)]
struct Broker {
    process: Option<ServerProcess>,
    folder: TempDir,
    listeners: Vec<PortLease>,
    controller: PortLease,
}

impl KafkaCluster {
    /// Starts so many brokers (at least one) and returns when each of them knows all of them and who the controller is.
    pub async fn start(brokers: usize) -> Result<Self> {
        Self::start_at(brokers, Ipv4Addr::LOCALHOST).await
    }

    /// [`KafkaCluster::start`] for clients that reach this machine at another address; the plain listener only.
    pub async fn start_at(brokers: usize, host: Ipv4Addr) -> Result<Self> {
        Self::start_with(brokers, host, SMALL).await
    }

    /// One broker as it is set up where it has much to do.
    pub async fn start_large() -> Result<Self> {
        Self::start_with(1, Ipv4Addr::LOCALHOST, LARGE).await
    }

    async fn start_with(brokers: usize, host: Ipv4Addr, java: &'static [&'static str]) -> Result<Self> {
        let jars = jars()?;
        let root = std::env::var_os("OMSNODE_TESTBED_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let new_folder = || {
            tempfile::Builder::new()
                .prefix("omsnode-testbed-")
                .tempdir_in(&root)
                .map_err(TestbedError::file(&root))
        };
        let password: String = {
            let mut rng = rand::rng();
            (0..20)
                .map(|_| char::from(rng.sample(rand::distr::Alphanumeric)))
                .collect()
        };
        let mut cluster = Self {
            brokers: Vec::new(),
            host,
            java,
            password,
            folder: new_folder()?,
        };
        cluster.certify()?;
        for _ in 0..brokers.max(1) {
            cluster.brokers.push(Broker {
                process: None,
                folder: new_folder()?,
                listeners: Listener::ALL
                    .iter()
                    .map(|_| PortLease::take())
                    .collect::<Result<_>>()?,
                controller: PortLease::take()?,
            });
        }
        let mut formats = tokio::task::JoinSet::new();
        for number in 0..cluster.brokers.len() {
            let file = cluster.write_properties(number)?;
            let mut command = java_of(&jars, SMALL);
            command
                .args(["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c"])
                .arg(&file);
            for user in ["oms", "guest"] {
                for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                    let entry = format!("{mechanism}=[name={user},password={}]", cluster.password);
                    command.args(["-S", &entry]);
                }
            }
            formats.spawn_blocking(move || run("formatting a broker's folder", command));
        }
        while let Some(done) = formats.join_next().await {
            done.map_err(|e| TestbedError::program("formatting a broker's folder", e))??;
        }
        for number in 0..cluster.brokers.len() {
            cluster.spawn(number)?;
        }
        for number in 0..cluster.brokers.len() {
            cluster.wait_ready(number).await?;
        }
        Ok(cluster)
    }

    /// One key and one certificate for all brokers, for `localhost` and `127.0.0.1`.
    fn certify(&self) -> Result<()> {
        let folder = self.folder.path();
        let mut command = Command::new("openssl");
        command
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=localhost",
            ])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
            .arg(folder.join("key.pem"))
            .arg("-out")
            .arg(self.certificate());
        run("making a certificate", command)?;
        let mut both = Vec::new();
        for file in [folder.join("key.pem"), self.certificate()] {
            both.extend(std::fs::read(&file).map_err(TestbedError::file(&file))?);
        }
        let file = folder.join("server.pem");
        std::fs::write(&file, both).map_err(TestbedError::file(&file))
    }

    fn write_properties(&self, number: usize) -> Result<PathBuf> {
        let broker = self.broker(number)?;
        let count = self.brokers.len();
        let join = |parts: Vec<String>| parts.join(",");
        let voters = join(
            self.brokers
                .iter()
                .enumerate()
                .map(|(i, b)| format!("{}@127.0.0.1:{}", i + 1, b.controller.port()))
                .collect(),
        );
        let pairs = || Listener::ALL.iter().zip(&broker.listeners);
        let at = |plain: Ipv4Addr| -> Vec<String> {
            let host = |l: &Listener| {
                if *l == Listener::Plain {
                    plain
                } else {
                    Ipv4Addr::LOCALHOST
                }
            };
            pairs()
                .map(|(l, p)| format!("{}://{}:{}", l.name(), host(l), p.port()))
                .collect()
        };
        let mut addresses = at(if self.host.is_loopback() {
            self.host
        } else {
            Ipv4Addr::UNSPECIFIED
        });
        addresses.push(format!("CONTROLLER://127.0.0.1:{}", broker.controller.port()));
        let mut protocols: Vec<String> = pairs()
            .map(|(l, _)| format!("{}:{}", l.name(), l.protocol()))
            .collect();
        protocols.push("CONTROLLER:PLAINTEXT".into());
        // What Kafka keeps for itself lies on as many brokers as there are, up to three, and outlives one.
        let copies = count.min(3);
        let in_sync = copies.saturating_sub(1).max(1);
        let mut text = format!(
            "process.roles=broker,controller\nnode.id={}\ncontroller.quorum.voters={voters}\nlisteners={}\n\
             advertised.listeners={}\nlistener.security.protocol.map={}\ninter.broker.listener.name=PLAIN\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={}\nauto.create.topics.enable=false\noffsets.topic.num.partitions=1\n\
             transaction.state.log.num.partitions=1\noffsets.topic.replication.factor={copies}\n\
             transaction.state.log.replication.factor={copies}\ntransaction.state.log.min.isr={in_sync}\n\
             min.insync.replicas={in_sync}\ngroup.initial.rebalance.delay.ms=0\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:ANONYMOUS;User:oms\nsasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             ssl.keystore.type=PEM\nssl.keystore.location={}\n",
            number + 1,
            join(addresses),
            join(at(self.host)),
            join(protocols),
            broker.folder.path().join("data").display(),
            self.folder.path().join("server.pem").display(),
        );
        for listener in ["sasl", "both"] {
            let security = "org.apache.kafka.common.security";
            text.push_str(&format!(
                "listener.name.{listener}.plain.sasl.jaas.config={security}.plain.PlainLoginModule required \
                 user_oms=\"{0}\" user_guest=\"{0}\";\n",
                self.password
            ));
            for mechanism in ["scram-sha-256", "scram-sha-512"] {
                text.push_str(&format!(
                    "listener.name.{listener}.{mechanism}.sasl.jaas.config={security}.scram.ScramLoginModule required;\n"
                ));
            }
        }
        let file = broker.folder.path().join("server.properties");
        std::fs::write(&file, text).map_err(TestbedError::file(&file))?;
        Ok(file)
    }

    fn spawn(&mut self, number: usize) -> Result<()> {
        let jars = jars()?;
        let settings = self.java;
        let broker = self.broker_mut(number)?;
        let folder = broker.folder.path();
        let mut command = java_of(&jars, settings);
        command.arg("-Dorg.slf4j.simpleLogger.showDateTime=true");
        command.arg("kafka.Kafka").arg(folder.join("server.properties"));
        let process = ServerProcess::spawn(NAME, &command, folder, &folder.join("server.log"))?;
        broker.process = Some(process);
        Ok(())
    }

    async fn wait_ready(&mut self, number: usize) -> Result<()> {
        let end = Instant::now() + START_BOUND;
        let count = self.brokers.len();
        let down = self.brokers.iter().filter(|b| b.process.is_none()).count();
        loop {
            let broker = self.broker_mut(number)?;
            let log = broker.folder.path().join("server.log");
            let process = broker.process.as_mut().ok_or(TestbedError::NotRunning)?;
            if let Some(status) = process.exited()? {
                broker.process = None;
                let detail = format!("{status}; end of its log:\n{}", log_end(&log));
                return Err(TestbedError::program("kafka ended while starting", detail));
            }
            let port = self.port(number, Listener::Plain)?;
            let known = tokio::time::timeout(Duration::from_secs(5), known_brokers(port)).await;
            // Brokers that were ended on purpose are not waited for.
            if matches!(known, Ok(Ok(Some(known))) if known + down >= count) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(TestbedError::Timeout {
                    what: format!("an answer of kafka broker {number}"),
                    seconds: START_BOUND.as_secs(),
                    log: log_end(&log),
                });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn broker(&self, number: usize) -> Result<&Broker> {
        self.brokers.get(number).ok_or(TestbedError::NotRunning)
    }

    fn broker_mut(&mut self, number: usize) -> Result<&mut Broker> {
        self.brokers.get_mut(number).ok_or(TestbedError::NotRunning)
    }

    /// How many brokers it has, running or not.
    pub fn len(&self) -> usize {
        self.brokers.len()
    }

    /// Whether it has none, which never is.
    pub fn is_empty(&self) -> bool {
        self.brokers.is_empty()
    }

    /// A broker's port, counted from 0; the same for the whole life of this value.
    pub fn port(&self, number: usize, listener: Listener) -> Result<u16> {
        let at = Listener::ALL.iter().position(|l| *l == listener);
        let lease = at.and_then(|i| self.broker(number).ok()?.listeners.get(i));
        lease.map(PortLease::port).ok_or(TestbedError::NotRunning)
    }

    /// `HOST:PORT,…` of all brokers.
    pub fn bootstrap(&self, listener: Listener) -> String {
        let host = if listener == Listener::Plain {
            self.host
        } else {
            Ipv4Addr::LOCALHOST
        };
        (0..self.brokers.len())
            .filter_map(|i| self.port(i, listener).ok())
            .map(|port| format!("{host}:{port}"))
            .collect::<Vec<_>>()
            .join(",")
    }

    /// The password of the accounts `oms` and `guest`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The brokers' certificate, which signs itself: what a client trusts.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// Where a broker's data lie.
    pub fn data_folder(&self, number: usize) -> Result<PathBuf> {
        Ok(self.broker(number)?.folder.path().join("data"))
    }

    /// The process id of a broker, while it runs.
    pub fn pid(&self, number: usize) -> Option<u32> {
        Some(self.broker(number).ok()?.process.as_ref()?.pid())
    }

    /// What a broker wrote to its standard output and error.
    pub fn log_path(&self, number: usize) -> Result<PathBuf> {
        Ok(self.broker(number)?.folder.path().join("server.log"))
    }

    /// How many brokers a broker knows of; `None` while there is no controller.
    pub async fn known_brokers(&self, number: usize) -> Result<Option<usize>> {
        known_brokers(self.port(number, Listener::Plain)?)
            .await
            .map_err(|e| TestbedError::program("asking a kafka broker for its metadata", e))
    }

    /// Whether a broker lets an account in by SASL PLAIN.
    pub async fn lets_in(&self, number: usize, user: &str, password: &str) -> Result<bool> {
        sasl_plain(self.port(number, Listener::Sasl)?, user, password)
            .await
            .map_err(|e| TestbedError::program("logging in at a kafka broker", e))
    }

    /// Ends a broker with `SIGKILL`, as a crash would. Its data stay.
    pub fn kill(&mut self, number: usize) -> Result<()> {
        let process = self.broker_mut(number)?.process.take();
        process.ok_or(TestbedError::NotRunning)?.kill();
        Ok(())
    }

    /// Ends a broker in an orderly way: it hands its partitions over first.
    pub async fn stop(&mut self, number: usize) -> Result<()> {
        let process = self.broker_mut(number)?.process.take();
        process.ok_or(TestbedError::NotRunning)?.stop(STOP_BOUND).await
    }

    /// Stops a broker from running (`SIGSTOP`): connections stay open and nothing answers.
    pub fn freeze(&mut self, number: usize) -> Result<()> {
        let process = self.broker_mut(number)?.process.as_mut();
        process.ok_or(TestbedError::NotRunning)?.freeze()
    }

    /// Lets a frozen broker run on.
    pub fn thaw(&mut self, number: usize) -> Result<()> {
        let process = self.broker_mut(number)?.process.as_mut();
        process.ok_or(TestbedError::NotRunning)?.signal(Signal::CONT)
    }

    /// Starts a broker again with its data and ports; kills it first when it still runs. Returns when it knows the brokers
    /// that run.
    pub async fn restart(&mut self, number: usize) -> Result<()> {
        if self.broker(number)?.process.is_some() {
            self.kill(number)?;
        }
        self.spawn(number)?;
        self.wait_ready(number).await
    }
}

fn jars() -> Result<PathBuf> {
    let folder = servers_folder().join(JARS);
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(TestbedError::NotInstalled {
        kind: NAME,
        path: folder.display().to_string(),
        argument: NAME,
    })
}

fn java_of(jars: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new("java");
    command.args(settings).arg("-cp").arg(jars.join("*"));
    command
}

fn run(what: &str, mut command: Command) -> Result<()> {
    let output = command.output().map_err(|e| TestbedError::program(what, e))?;
    if output.status.success() {
        return Ok(());
    }
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Err(TestbedError::program(what, format!("{}: {said}", output.status)))
}

type Wire<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Sends a request and returns the body of its answer.
async fn ask(stream: &mut TcpStream, (key, version): (i16, i16), body: &[u8]) -> Wire<Vec<u8>> {
    const CLIENT: &[u8] = b"omsnode-testbed";
    let mut request = Vec::new();
    request.extend(key.to_be_bytes());
    request.extend(version.to_be_bytes());
    request.extend(1i32.to_be_bytes());
    request.extend((CLIENT.len() as i16).to_be_bytes());
    request.extend(CLIENT);
    request.extend(body);
    stream.write_all(&(request.len() as u32).to_be_bytes()).await?;
    stream.write_all(&request).await?;
    let size = stream.read_u32().await?;
    if size > 1 << 20 {
        return Err("an answer of more than 1 MiB".into());
    }
    let mut answer = vec![0; size as usize];
    stream.read_exact(&mut answer).await?;
    Ok(answer.split_off(answer.len().min(4)))
}

/// How many brokers a broker knows of; `None` while there is no controller.
async fn known_brokers(port: u16) -> Wire<Option<usize>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let answer = ask(&mut stream, METADATA, &0i32.to_be_bytes()).await?;
    let mut rest = answer.as_slice();
    let count = rest.read_i32().await?;
    for _ in 0..count {
        rest.read_i32().await?;
        let host = rest.read_i16().await?;
        rest = rest.get(usize::try_from(host)?..).ok_or("a short answer")?;
        rest.read_i32().await?;
        let rack = rest.read_i16().await?;
        rest = rest
            .get(usize::try_from(rack.max(0))?..)
            .ok_or("a short answer")?;
    }
    let controller = rest.read_i32().await?;
    Ok((controller >= 0).then_some(usize::try_from(count)?))
}

async fn sasl_plain(port: u16, user: &str, password: &str) -> Wire<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut mechanism = 5i16.to_be_bytes().to_vec();
    mechanism.extend(b"PLAIN");
    let answer = ask(&mut stream, SASL_HANDSHAKE, &mechanism).await?;
    if answer.first_chunk::<2>() != Some(&[0, 0]) {
        return Err("the broker does not know PLAIN".into());
    }
    let token = format!("\0{user}\0{password}");
    let mut body = (token.len() as i32).to_be_bytes().to_vec();
    body.extend(token.as_bytes());
    let answer = ask(&mut stream, SASL_AUTHENTICATE, &body).await?;
    Ok(answer.first_chunk::<2>() == Some(&[0, 0]))
}
