//! A cluster is lost and its projects go on: from the folder of one survivor, and from a backup.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use oms_cluster_tests::{Auditor, BankOptions, Deployment, DeploymentOptions};
use oms_proto::v1::{ListDataSourcesRequest, NodeState};

const PATIENCE: Duration = Duration::from_secs(60);

/// Two of three nodes stand still, the owners of everything among them. The third one begins a new cluster and goes on.
/// Then the two wake: they are a majority of the old cluster and believe in it, and can write nothing.
#[tokio::test(flavor = "multi_thread")]
async fn one_survivor_goes_on_and_the_majority_that_returns_is_fenced() {
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let auditor = Auditor::start(&d.destination, bank.database()).await.unwrap();
    let (owner, before) = d.cluster.owner(1, "incr-sync").await.unwrap();
    let (store, _) = d.cluster.owner(1, "store").await.unwrap();
    let survivor = d.cluster.other_than(&[owner, store]).unwrap();
    let lost: Vec<u8> = d
        .cluster
        .numbers()
        .into_iter()
        .filter(|n| *n != survivor)
        .collect();
    for number in &lost {
        d.cluster.node_mut(*number).freeze().unwrap();
    }
    d.cluster.node_mut(survivor).kill().unwrap();
    let told = d
        .cluster
        .node(survivor)
        .offline(&["admin", "force-recover", "--yes", "--output", "json"])
        .unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["projects"], 1, "{told}");
    assert_ne!(told["cluster_id"], told["former_cluster_id"], "{told}");
    assert_eq!(told["has_key"], true, "{told}");

    d.cluster.start(survivor, None).await.unwrap();
    d.flows(&bank, PATIENCE).await.unwrap();
    let (_, after) = d.cluster.owner(survivor, "incr-sync").await.unwrap();
    assert!(after.epoch > before.epoch + 1_000, "{after:?}");
    let removed = d.cluster.nodes(survivor).await.unwrap();
    assert!(
        removed
            .iter()
            .all(|n| n.id == after.node || n.state() == NodeState::Removed),
        "{removed:?}"
    );

    for number in &lost {
        d.cluster.node_mut(*number).thaw().unwrap();
    }
    // Both clusters believe that the project is theirs; the destination knows better.
    let mark = bank.begun();
    while bank.begun() < mark + 500 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for number in lost {
        d.cluster.lose(number).unwrap();
    }
    d.flows(&bank, PATIENCE).await.unwrap();
    let audit = auditor.stop().await.unwrap();
    assert!(audit.findings.is_empty() && audit.looks > 0, "{audit:?}");
    d.settle_bank(bank, survivor).await.unwrap();
}

/// Every node and every disk is lost. A new folder with the backup and the key goes on where the destination stands.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_brings_the_projects_back() {
    let mut d = Deployment::start(DeploymentOptions::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let bank = d.follow_bank(&BankOptions::default()).await.unwrap();
    let (file, key) = (path("backup"), path("key"));
    d.cluster.node(2).client(&["admin", "backup", &file]).unwrap();
    // An existing file is not replaced.
    assert!(d.cluster.node(2).client(&["admin", "backup", &file]).is_err());
    std::fs::copy(d.cluster.node(3).data().join("secret.key"), &key).unwrap();
    for number in [2, 3] {
        d.cluster.lose(number).unwrap();
    }
    let number = 1;
    d.cluster.node_mut(number).kill().unwrap();
    std::fs::remove_dir_all(d.cluster.node(number).data()).unwrap();

    let half = path("half");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let refused = d
        .cluster
        .node(number)
        .offline(&["admin", "restore", &half])
        .unwrap_err();
    assert!(refused.to_string().contains("OMS-CLUSTER-0050"), "{refused:#}");
    let node = d.cluster.node(number);
    node.offline(&["admin", "restore", &file, "--key", &key]).unwrap();
    let refused = node.offline(&["admin", "restore", &file]).unwrap_err();
    assert!(refused.to_string().contains("OMS-CLUSTER-0031"), "{refused:#}");

    d.cluster.start(number, None).await.unwrap();
    let mut sources = d.cluster.node(number).data_sources().await.unwrap();
    let list = sources.list_data_sources(ListDataSourcesRequest::default()).await;
    assert_eq!(list.unwrap().into_inner().data_sources.len(), 2);
    d.flows(&bank, PATIENCE).await.unwrap();
    d.settle_bank(bank, number).await.unwrap();
}
