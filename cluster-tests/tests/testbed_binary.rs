//! `omsnode-testbed` tells where its servers are, and they never outlive it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oms_cluster_tests::Client;
use rustix::process::{Pid, Signal, kill_process};

struct Up {
    child: Child,
    servers: Vec<serde_json::Value>,
}

fn up(folder: &Path, servers: &[&str], extra: &[&str]) -> Up {
    let mut child = Command::new(env!("CARGO_BIN_EXE_omsnode-testbed"))
        .args(["up", "--format", "json"])
        .args(extra)
        .args(servers)
        .env("OMSNODE_TESTBED_DIR", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .take(servers.len());
    let servers: Vec<_> = lines
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    Up { child, servers }
}

async fn connect(server: &serde_json::Value) -> oms_cluster_tests::Result<Client> {
    let port = server["port"].as_str().unwrap().parse().unwrap();
    Client::connect_to(
        "127.0.0.1",
        port,
        server["user"].as_str().unwrap(),
        server["password"].as_str().unwrap(),
    )
    .await
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn left_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

async fn ends_with_its_servers(signal: Signal) {
    let folder = tempfile::tempdir().unwrap();
    let mut up = up(folder.path(), &["mariadb-source", "seekdb"], &[]);
    assert_eq!(up.servers[0]["server"], "MARIADB_SOURCE");
    assert_eq!(up.servers[1]["server"], "SEEKDB_DESTINATION");
    for server in &up.servers {
        connect(server)
            .await
            .unwrap()
            .query_drop("SELECT 1")
            .await
            .unwrap();
    }
    assert_eq!(left_in(folder.path()).len(), 2);
    kill_process(Pid::from_child(&up.child), signal).unwrap();
    up.child.wait().unwrap();
    until("the end of the folders", || left_in(folder.path()).is_empty()).await;
    for server in &up.servers {
        assert!(connect(server).await.is_err(), "{} lives on", server["server"]);
    }
}

#[tokio::test]
async fn interrupted_it_ends_its_servers() {
    ends_with_its_servers(Signal::INT).await;
}

#[tokio::test]
async fn killed_it_takes_its_servers_along() {
    ends_with_its_servers(Signal::KILL).await;
}

#[tokio::test]
async fn it_ends_with_its_standard_input_and_withdraws_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("where.json");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let extra = [
        "--until-eof",
        "--set",
        "binlog_row_image=MINIMAL",
        "--file",
        file.to_str().unwrap(),
    ];
    let mut up = up(&data, &["mariadb"], &extra);
    until("the file", || file.exists()).await;
    let written: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, up.servers[0]);
    let mut client = connect(&written).await.unwrap();
    let image = client
        .query_one("SELECT @@GLOBAL.binlog_row_image")
        .await
        .unwrap();
    assert_eq!(image.as_deref(), Some("MINIMAL"));
    drop(client);
    drop(up.child.stdin.take());
    assert!(up.child.wait().unwrap().success());
    assert!(!file.exists() && left_in(&data).is_empty());
}

#[test]
fn a_missing_server_names_the_script_that_installs_it() {
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_omsnode-testbed"))
        .args(["up", "seekdb"])
        .env("OMSNODE_SERVERS", empty.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("deploy/servers seekdb"), "{text}");
}
