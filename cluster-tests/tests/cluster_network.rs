//! The network that cluster tests stand on does what they think it does.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Stdio};
use std::time::Duration;

use oms_cluster_tests::{End, NodeCluster, Place};

/// Whether a process on one node's host gets an answer from another address within a second.
fn reaches(namespace: &str, address: &str) -> bool {
    let (host, port) = address.rsplit_once(':').unwrap();
    Command::new("ip")
        .args(["netns", "exec", namespace, "timeout", "1", "bash", "-c"])
        .arg(format!("exec 3<>/dev/tcp/{host}/{port}"))
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_cut_in_one_direction_or_both_and_healed() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = NodeCluster::create(folder.path(), false, &[]).await.unwrap();
    let mut homes = Vec::new();
    for zone in ["a", "b"] {
        let number = cluster.settle(Place::new("default", zone)).await.unwrap();
        // Two clusters of one: it is the network that is looked at.
        cluster.start(number, None).await.unwrap();
        homes.push((number, cluster.node(number).home().clone()));
    }
    let [(one, home_one), (two, home_two)] = <[_; 2]>::try_from(homes).unwrap();
    let (Some(from_one), Some(from_two)) = (&home_one.namespace, &home_two.namespace) else {
        // On the loopback device proxies cut; they have tests of their own.
        assert!(!cluster.lan().is_isolated());
        return;
    };
    let database = std::net::TcpListener::bind((cluster.lan().host(), 0)).unwrap();
    let port = database.local_addr().unwrap().port();
    let database = cluster.lan().attach(End::Source, port).await.unwrap().to_string();

    assert!(reaches(from_one, &home_two.advertise) && reaches(from_two, &home_one.advertise));
    assert!(reaches(from_one, &database) && reaches(from_two, &database));

    // A connection needs packets in both directions, so either cut ends both ways of asking.
    cluster.lan().cut(End::Node(one), End::Node(two)).unwrap();
    assert!(!reaches(from_one, &home_two.advertise) && !reaches(from_two, &home_one.advertise));
    assert!(reaches(from_one, &database));
    cluster.lan().heal().unwrap();
    assert!(reaches(from_one, &home_two.advertise));

    cluster.lan().cut_from_databases(one).unwrap();
    assert!(!reaches(from_one, &database) && reaches(from_two, &database));
    assert!(reaches(from_one, &home_two.advertise));
    cluster.lan().heal().unwrap();

    cluster.lan().cut_from_peers(two).unwrap();
    assert!(!reaches(from_one, &home_two.advertise) && reaches(from_two, &database));
    // Whoever tests a node that is cut off can still ask it.
    let asked = cluster.components(two);
    assert!(
        tokio::time::timeout(Duration::from_secs(2), asked)
            .await
            .unwrap()
            .is_ok()
    );
    cluster.lan().heal().unwrap();
    assert!(reaches(from_one, &home_two.advertise) && reaches(from_one, &database));

    drop(cluster);
    let left = Command::new("ip").args(["netns", "list"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&left.stdout).contains(from_one.as_str()));
}
