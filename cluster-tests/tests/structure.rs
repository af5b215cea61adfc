//! The structure that the design pages promise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Crates in layers: a crate may depend on crates of lower layers only.
const LAYERS: &[&[&str]] = &[
    &["oms-types"],
    &["oms-core", "oms-proto", "oms-kv", "oms-config", "oms-telemetry"],
    &["oms-changelog", "oms-schema", "oms-meta", "oms-codec"],
    &["oms-apply", "oms-verify", "oms-publish"],
    &["oms-mysql", "oms-kafka", "oms-raft"],
    &["oms-oceanbase", "oms-actors"],
    &["oms-node"],
    &["oms-cli"],
];

/// Libraries that only one crate may name.
const OWNERS: &[(&str, &str)] = &[
    ("openraft", "oms-raft"),
    ("sled", "oms-kv"),
    ("ractor", "oms-actors"),
    ("rdkafka", "oms-kafka"),
];

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

/// Direct dependencies of every crate of ours, without those for tests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    list(&metadata()["packages"])
        .iter()
        .map(|package| {
            let uses = list(&package["dependencies"])
                .iter()
                .filter(|d| d["kind"].as_str() != Some("dev"))
                .map(|d| text(&d["name"]))
                .collect();
            (text(&package["name"]), uses)
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let layer = |name: &str| LAYERS.iter().position(|l| l.contains(&name));
    for (name, uses) in dependencies() {
        if name == "oms-cluster-tests" {
            continue;
        }
        let own = layer(&name).unwrap_or_else(|| panic!("{name} has no layer: add it to LAYERS"));
        for used in uses.iter().filter(|u| u.starts_with("oms-")) {
            let theirs = layer(used).unwrap_or_else(|| panic!("{used} has no layer"));
            assert!(theirs < own, "{name} depends on {used}, which is not below it");
        }
    }
}

#[test]
fn replicas_and_workers_meet_only_in_the_node() {
    let all = dependencies();
    assert!(
        !all["oms-actors"]
            .iter()
            .any(|d| ["oms-raft", "oms-mysql", "oms-oceanbase", "oms-kafka"].contains(&d.as_str()))
    );
    assert!(!all["oms-raft"].contains("oms-actors"));
}

#[test]
fn some_libraries_have_one_owner() {
    for (name, uses) in dependencies() {
        for (library, owner) in OWNERS {
            assert!(
                name == *owner || !uses.contains(*library),
                "{name} names {library}; only {owner} may"
            );
        }
    }
}

#[test]
fn only_agreed_folders_are_at_the_top() {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace");
    let allowed = [
        "proto",
        "node",
        "raft",
        "actors",
        "cli",
        "cluster-tests",
        "deploy",
        "target",
    ];
    for entry in std::fs::read_dir(top)
        .expect("the workspace can be listed")
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let folder = entry.file_type().is_ok_and(|t| t.is_dir());
        assert!(
            !folder || name.starts_with('.') || allowed.contains(&name.as_str()),
            "{name} is at the top level"
        );
    }
}
