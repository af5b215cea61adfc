//! `deploy/examples/cluster`: its script is run as a user would, its commands are those of the binary, and its files are
//! what systemd and Compose take.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use oms_cluster_tests::{
    Bank, BankOptions, OmsNode, PortLease, Server, ServerKind, ServerOptions, compare_tables,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(120);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/cluster")
}

fn read(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

/// Three ports in a row, as the script takes them.
fn three_ports() -> Vec<PortLease> {
    // All are kept until the end, so that none is found twice.
    let mut all: Vec<PortLease> = Vec::new();
    for _ in 0..300 {
        all.push(PortLease::take().unwrap());
        let from = all.len().saturating_sub(3);
        let row = &all[from..];
        if row.len() == 3 && row.windows(2).all(|two| two[0].port() + 1 == two[1].port()) {
            return all.split_off(from);
        }
    }
    panic!("no three free ports in a row");
}

fn until<T>(what: &str, logs: &dyn Fn() -> String, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not happen\n{}", logs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the command line prints, asked at a port.
fn oms(port: u16, words: &[&str]) -> Output {
    let mut command = Command::new(OmsNode::binary().unwrap());
    let server = format!("127.0.0.1:{port}");
    command.args(["--server", &server]).args(words);
    command.stdin(Stdio::null()).output().unwrap()
}

fn said(port: u16, words: &[&str]) -> String {
    let output = oms(port, words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{words:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// A running process with its output in a file; ended when dropped.
struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    fn spawn(mut command: Command, output: PathBuf) -> Self {
        let file = fs::File::create(&output).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { child, output }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.output).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self, what: &str) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "{what} did not end: {}", self.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // In good order, so that the script takes its nodes along.
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
            let end = Instant::now() + PATIENCE;
            while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(50));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn three_nodes(dir: &Path, port: u16, once: bool) -> Process {
    // A test that runs in the background of a shell ignores Ctrl-C, and a script cannot undo that.
    let mut command = Command::new("env");
    command
        .arg("--default-signal=INT")
        .arg(folder().join("three-nodes"));
    command.env("OMSNODE_BIN", OmsNode::binary().unwrap());
    // The daemon takes every variable with this prefix for a setting.
    command.env_remove("OMSNODE_TESTBED_DIR");
    command.arg("--dir").arg(dir).args(["--port", &port.to_string()]);
    if once {
        command.arg("--once");
    }
    Process::spawn(command, dir.with_extension("out"))
}

fn logs_in(dir: &Path) -> String {
    let log = |number| {
        let text = fs::read_to_string(dir.join(format!("node{number}.log"))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!(
            "-- node {number}\n{}\n",
            lines[lines.len().saturating_sub(30)..].join("\n")
        )
    };
    (1..=3).map(log).collect()
}

fn register(port: u16, name: &str, server: &Server) {
    let mut command = Command::new(OmsNode::binary().unwrap());
    command.env("OMSNODE_PASSWORD", server.password());
    command.args(["--server", &format!("127.0.0.1:{port}")]);
    command.args([
        "datasource",
        "create",
        name,
        "--kind",
        "mariadb",
        "--host",
        server.host(),
    ]);
    command.args(["--port", &server.port().to_string(), "--user", server.oms_user()]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Waits until a transfer that began after this call is at the destination.
async fn flows(bank: &Bank, destination: &Server, logs: &dyn Fn() -> String) {
    let (mark, end) = (bank.begun(), Instant::now() + PATIENCE);
    let mut client = destination.client().await.unwrap();
    while Bank::highest(&mut client, bank.database()).await.unwrap() <= mark {
        assert!(Instant::now() < end, "no new row arrives\n{}", logs());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Three nodes by one command, a project, a node that is killed as the script says how: it goes on; all is stopped, and a
/// second run continues with what is there.
#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_on_one_machine() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("nodes");
    let ports = three_ports();
    let port = |number: usize| ports[number - 1].port();
    let logs = || logs_in(&dir);
    let (source, destination) = tokio::join!(
        Server::start(ServerKind::MariaDb, ServerOptions::source().gtid(true)),
        Server::start(ServerKind::MariaDb, ServerOptions::destination()),
    );
    let (source, destination) = (source.unwrap(), destination.unwrap());
    let options = BankOptions::default();
    Bank::prepare(&source, &options).await.unwrap();
    let bank = Bank::start(&source, &options).await.unwrap();

    let mut script = three_nodes(&dir, port(1), false);
    let advice = until("the end of the start", &logs, || {
        assert!(
            script.child.try_wait().unwrap().is_none(),
            "{}\n{}",
            script.text(),
            logs()
        );
        let text = script.text();
        let line = text
            .lines()
            .find(|l| l.trim().starts_with("kill -9 "))
            .map(str::to_owned);
        // The last line that it says.
        line.filter(|_| text.contains("Ctrl-C stops everything"))
    });
    register(port(2), "mariadb_a", &source);
    register(port(3), "mariadb_b", &destination);
    let spec = temporary.path().join("project.yaml");
    let words = format!(
        "name: example\nsource: mariadb_a\ndestination: mariadb_b\ndatabases:\n  - name: {}\n",
        options.database
    );
    fs::write(&spec, words).unwrap();
    said(port(1), &["project", "create", "-f", spec.to_str().unwrap()]);
    said(port(3), &["project", "start", "example"]);
    said(port(2), &["project", "watch", "example", "--until", "verified"]);
    flows(&bank, &destination, &logs).await;

    // What the script says to do, and where to look then.
    let killed = Command::new("sh").args(["-c", &advice]).status().unwrap();
    assert!(killed.success(), "{advice}");
    until("a node that is down", &logs, || {
        let nodes: Value =
            serde_json::from_str(&said(port(2), &["node", "list", "--output", "json"])).unwrap();
        nodes.to_string().contains("\"down\"").then_some(())
    });
    flows(&bank, &destination, &logs).await;
    let list = said(port(2), &["project", "list"]);
    assert!(list.contains("example"), "{list}");

    // Ctrl-C stops the other two.
    script.signal(Signal::INT);
    let status = script.wait("the script");
    assert_eq!(status.code(), Some(130), "{}", script.text());
    for number in 1..=3 {
        TcpListener::bind(("127.0.0.1", port(number)))
            .unwrap_or_else(|e| panic!("node {number} still listens: {e}"));
    }

    // All three are there again, with the project, which catches up.
    let committed = bank.stop().await.unwrap();
    let mut script = three_nodes(&dir, port(1), false);
    until("a second start", &logs, || {
        assert!(
            script.child.try_wait().unwrap().is_none(),
            "{}\n{}",
            script.text(),
            logs()
        );
        script.text().contains("Ctrl-C stops everything").then_some(())
    });
    said(port(1), &["project", "wait", "example", "--caught-up"]);
    let mut there = destination.client().await.unwrap();
    Bank::judge(&mut there, &options.database, Some(committed))
        .await
        .unwrap();
    let mut here = source.client().await.unwrap();
    for table in Bank::TABLES {
        let database = options.database.as_str();
        let same = compare_tables((&mut here, database, table), (&mut there, database, table));
        assert!(same.await.unwrap().is_equal(), "{table}");
    }
    script.signal(Signal::TERM);
    assert_eq!(script.wait("the script").code(), Some(143), "{}", script.text());

    let mut script = three_nodes(&dir, port(1), true);
    let status = script.wait("the script");
    assert!(status.success(), "{}\n{}", script.text(), logs());
}

/// Asks the binary whether it knows a command with these options; nothing is carried out.
fn is_known(words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(OmsNode::binary().unwrap());
    let output = command
        .args(words)
        .arg("--help")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The words behind `omsnode` of all commands in a text, as far as the binary's own reach.
fn commands_in(text: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices("omsnode ") {
            // `/usr/local/bin/omsnode join` and "`omsnode join", but neither `cargo build … omsnode` nor a file's name.
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| !"/` (\"".contains(c)) {
                continue;
            }
            let end = line[at..]
                .find(['`', ')', '"', '#', ';', '…'])
                .map_or(line.len(), |n| at + n);
            let words: Vec<&str> = line[at..end].split_whitespace().skip(1).collect();
            if words.first().is_some_and(|w| COMMANDS.contains(w)) {
                found.push(words);
            }
        }
    }
    found
}

const COMMANDS: [&str; 9] = [
    "start",
    "join",
    "leave",
    "node",
    "token",
    "cluster",
    "component",
    "project",
    "admin",
];

#[test]
fn every_command_that_the_examples_name_exists() {
    is_known(&["node", "list", "--no-such-option"]).unwrap_err();
    is_known(&["node", "no-such-command"]).unwrap_err();
    let (mut known, mut kinds) = (0, BTreeSet::new());
    for name in [
        "README.md",
        "omsnode.service",
        "omsnode-join.conf",
        "compose.yaml",
        "three-nodes",
    ] {
        let text = read(name);
        for words in commands_in(&text) {
            // Values that stand for others, such as N.
            let given: Vec<&str> = words.iter().map(|w| if *w == "N" { "1" } else { *w }).collect();
            is_known(&given).unwrap_or_else(|e| panic!("{name}: {e}"));
            kinds.insert(words[..words.len().min(2)].join(" "));
            known += 1;
        }
    }
    assert!(known >= 12, "only {known}: {kinds:?}");
}

/// The lines `ExecStart=/usr/local/bin/omsnode …` without the program.
fn started_by(unit: &str) -> Vec<Vec<String>> {
    let start = |line: &str| {
        let words = line.strip_prefix("ExecStart=/usr/local/bin/omsnode ")?;
        Some(words.split_whitespace().map(str::to_owned).collect())
    };
    unit.lines().filter_map(start).collect()
}

/// The units are what systemd takes, and start the binary as it is.
#[test]
fn the_units_of_systemd_are_in_order() {
    let (unit, drop_in) = (read("omsnode.service"), read("omsnode-join.conf"));
    for (text, command) in [(&unit, "start"), (&drop_in, "join")] {
        let started = started_by(text);
        assert_eq!(started.len(), 1, "{text}");
        let words: Vec<&str> = started[0].iter().map(String::as_str).collect();
        assert_eq!(words[0], command);
        is_known(&words).unwrap();
        // Both run on the same folder, which the unit makes and owns, and with the same file.
        let after = |option: &str| words.iter().skip_while(|w| **w != option).nth(1).copied();
        assert_eq!(after("--data-dir"), Some("/var/lib/omsnode"), "{words:?}");
        assert_eq!(after("--config"), Some("/etc/omsnode/omsnode.toml"), "{words:?}");
    }
    assert!(unit.lines().any(|l| l == "StateDirectory=omsnode"));
    // Without the first line systemd would have two commands, and refuse the unit.
    assert!(drop_in.contains("\nExecStart=\nExecStart=/usr/local/bin/omsnode join "));
    // The token comes by the variable that the command reads.
    assert!(drop_in.contains("EnvironmentFile=-/etc/omsnode/token.env"));
    assert!(drop_in.contains("OMSNODE_TOKEN="));

    let there = Command::new("systemd-analyze").arg("--version").output();
    if !there.is_ok_and(|o| o.status.success()) {
        #[allow(clippy::print_stderr, reason = "what was not tested is said")]
        {
            eprintln!("systemd-analyze is not there: the units were only read");
        }
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("omsnode.service");
    let drop_ins = temporary.path().join("omsnode.service.d");
    fs::create_dir(&drop_ins).unwrap();
    let binary = OmsNode::binary().unwrap();
    let here = |text: &str| text.replace("/usr/local/bin/omsnode", binary.to_str().unwrap());
    let verify = |unit: &str, drop_in: &str| {
        fs::write(&path, here(unit)).unwrap();
        fs::write(drop_ins.join("join.conf"), here(drop_in)).unwrap();
        let output = Command::new("systemd-analyze")
            .arg("verify")
            .arg(&path)
            .output()
            .unwrap();
        // Of other units of the machine nothing is to be judged.
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let mine = text.lines().filter(|l| l.contains("omsnode"));
        mine.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(verify(&unit, &drop_in), [""; 0]);
    // It would have said so.
    assert_ne!(
        verify(&unit.replace("LimitNOFILE", "LimitNOFILES"), &drop_in),
        [""; 0]
    );
    assert_ne!(verify(&unit, &drop_in.replace("\nExecStart=\n", "\n")), [""; 0]);
}

/// The services of `compose.yaml`: command and environment.
fn services() -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let mut file: serde_yaml_ng::Value = serde_yaml_ng::from_str(&read("compose.yaml")).unwrap();
    file.apply_merge().unwrap();
    let volumes = file["volumes"].as_mapping().unwrap().clone();
    let services = file["services"].as_mapping().unwrap();
    let service = |(name, service): (&serde_yaml_ng::Value, &serde_yaml_ng::Value)| {
        let name = name.as_str().unwrap().to_owned();
        // What each must have, by itself or by what it merges.
        assert_eq!(service["image"].as_str(), Some("omsnode"), "{name}");
        let build = service["build"]["dockerfile_inline"].as_str().unwrap();
        assert!(build.contains("ENTRYPOINT [\"omsnode\"]"), "{build}");
        let context = folder().join(service["build"]["context"].as_str().unwrap());
        assert!(context.join("Cargo.lock").is_file(), "{}", context.display());
        let mount = service["volumes"][0].as_str().unwrap();
        let (volume, at) = mount.split_once(':').unwrap();
        assert!(volumes.contains_key(volume), "{name}: {volume} is not declared");
        let command = service["command"].as_str().unwrap();
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let data = command.iter().skip_while(|w| *w != "--data-dir").nth(1).unwrap();
        assert_eq!(data, at, "{name}");
        let environment = service["environment"].as_sequence().into_iter().flatten();
        let environment = environment.map(|v| v.as_str().unwrap().to_owned()).collect();
        (name, (command, environment))
    };
    services.iter().map(service).collect()
}

/// One service of Compose as a process of this machine.
fn compose_up(service: &str, ports: &BTreeMap<String, u16>, token: &str, folder: &Path) -> Process {
    let (words, environment) = services().remove(service).unwrap();
    let mut command = Command::new(OmsNode::binary().unwrap());
    command.env_remove("OMSNODE_TESTBED_DIR");
    for line in environment {
        let (name, value) = line.split_once('=').unwrap();
        assert_eq!(value, "${OMSNODE_TOKEN:-}", "{name}");
        command.env(name, token);
    }
    let at = |name: &str| format!("127.0.0.1:{}", ports[name]);
    for word in words {
        // `node1:7070,node3:7070`, the address to listen on, and the volume.
        let mut word = word.replace("0.0.0.0:7070", &at(service));
        for name in ports.keys() {
            word = word.replace(&format!("{name}:7070"), &at(name));
        }
        if word == "/data" {
            word = folder.join(service).to_str().unwrap().to_owned();
        }
        assert!(
            !word.contains("7070"),
            "{service}: {word} names an address of nobody"
        );
        command.arg(word);
    }
    Process::spawn(command, folder.join(format!("{service}.out")))
}

/// The commands of the Compose file in its order, with containers replaced by processes: three voters, and a node that
/// starts again without a token.
#[test]
fn the_services_of_compose_become_a_cluster() {
    let temporary = tempfile::tempdir().unwrap();
    let leases = three_ports();
    let names: Vec<String> = services().into_keys().collect();
    assert_eq!(names, ["node1", "node2", "node3"]);
    let ports: BTreeMap<String, u16> = names
        .into_iter()
        .zip(leases.iter().map(PortLease::port))
        .collect();
    let up = |service: &str, token: &str| compose_up(service, &ports, token, temporary.path());
    let mut running = vec![up("node1", "")];
    let first = ports["node1"];
    let logs = || {
        let log = |name: &String| {
            fs::read_to_string(temporary.path().join(format!("{name}.out"))).unwrap_or_default()
        };
        ports.keys().map(log).collect::<String>()
    };
    until("an answer of node1", &logs, || {
        oms(first, &["node", "list"]).status.success().then_some(())
    });
    let token = said(first, &["token", "create", "--uses", "2"]).trim().to_owned();
    running.push(up("node2", &token));
    running.push(up("node3", &token));
    let online = |from: u16| {
        let output = oms(from, &["node", "list", "--output", "json"]);
        let list: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let nodes = list["nodes"].as_array().cloned().unwrap_or_default();
        let count = |key: &str, wanted: &[&str]| {
            let is = |n: &&Value| n[key].as_str().is_some_and(|v| wanted.contains(&v));
            nodes.iter().filter(is).count()
        };
        (count("role", &["leader", "voter"]), count("health", &["online"]))
    };
    until("three voters", &logs, || (online(first) == (3, 3)).then_some(()));
    for service in ["node2", "node3"] {
        let index = if service == "node2" { 1 } else { 2 };
        running[index].signal(Signal::TERM);
        running[index].wait(service);
        until("a node that is away", &logs, || {
            (online(first).1 < 3).then_some(())
        });
        running[index] = up(service, "");
        until("a node that is back", &logs, || {
            (online(ports[service]) == (3, 3)).then_some(())
        });
    }
}
