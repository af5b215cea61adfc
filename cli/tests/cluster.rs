//! Commands on clusters against a scripted daemon.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod fake;

use fake::{Running, Script};
use oms_proto::v1::*;
use serde_json::Value;

fn node(id: u64, role: NodeRole, components: u64) -> Node {
    Node {
        id,
        address: format!("10.0.0.{id}:7070"),
        region: "north".into(),
        zone: format!("z{id}"),
        leader: role == NodeRole::Leader,
        state: NodeState::Active as i32,
        role: role as i32,
        health: NodeHealth::Online as i32,
        components,
        generation: 4,
        load: Some(NodeLoad {
            cpu_percent: 12,
            memory_percent: 34,
            disk_free_bytes: 5_600_000_000,
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn cluster() -> Script {
    Script {
        nodes: vec![
            node(1, NodeRole::Leader, 2),
            node(2, NodeRole::Voter, 3),
            node(3, NodeRole::Learner, 0),
        ],
        components: vec![Component {
            id: "np_1.incr-sync".into(),
            project_name: "shop".into(),
            kind: "incr-sync".into(),
            state: ComponentState::Running as i32,
            node: 2,
            epoch: 3,
            assigned_at_ms: 1_700_000_000_000,
            placed_because: "node 1 was lost".into(),
            failovers: 1,
            guarantee: "exactly-once".into(),
            ..Default::default()
        }],
        drains_by: 2,
        ..Script::default()
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn nodes_are_listed_with_what_they_are() {
    let mut script = cluster();
    script.nodes[1].set_health(NodeHealth::Down);
    script.nodes[1].silent_ms = Some(72_000);
    script.nodes[2].witness = true;
    script.nodes[2].quota = 8;
    script.nodes.push(Node {
        state: NodeState::Removed as i32,
        ..node(4, NodeRole::Outside, 0)
    });
    let daemon = Running::start(script);
    let list = daemon.run(&["node", "list"]);
    let lines: Vec<&str> = list.out.lines().collect();
    assert_eq!(lines.len(), 4, "{list:?}");
    for (line, shown) in [
        (
            1,
            &[
                "10.0.0.1:7070",
                "north",
                "z1",
                "leader",
                "active",
                "online",
                "12%",
                "5.6 GB",
            ][..],
        ),
        (2, &["voter", "down"]),
        (3, &["learner (witness)", "0/8"]),
    ] {
        for word in shown {
            assert!(lines[line].contains(word), "{word} is missing: {}", lines[line]);
        }
    }
    assert!(
        daemon
            .run(&["node", "list", "--all"])
            .out
            .contains("10.0.0.4:7070")
    );
    let shown = daemon.run(&["node", "show", "2"]);
    for word in ["Silent for", "1m 12s", "Starts", "4", "12%"] {
        assert!(shown.out.contains(word), "{word} is missing: {}", shown.out);
    }
    let json = daemon.run(&["node", "show", "2", "-o", "json"]);
    let value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(value["health"], "down");
    let missing = daemon.run(&["node", "show", "9"]);
    assert!(
        missing.code == 1 && missing.err.starts_with("error[OMS-API-0002]"),
        "{missing:?}"
    );
    assert_eq!(daemon.run(&["node", "show", "n1"]).code, 2);
}

#[test]
fn a_list_without_a_leader_says_that_it_may_be_old() {
    let mut script = cluster();
    for node in &mut script.nodes {
        node.set_health(NodeHealth::Unknown);
        node.leader = false;
    }
    let daemon = Running::start(script);
    let list = daemon.run(&["node", "list"]);
    assert!(
        list.code == 0 && list.err.contains("no leader answers"),
        "{list:?}"
    );
    let shown = daemon.run(&["cluster", "show"]);
    assert!(shown.out.contains("none: a majority"), "{shown:?}");
}

#[test]
fn the_cluster_is_shown() {
    let daemon = Running::start(cluster());
    let shown = daemon.run(&["cluster", "show"]);
    for word in [
        "c1",
        "node 1",
        "1, 2",
        "3",
        "1 voter at the same time",
        "level 3",
        "any region",
    ] {
        assert!(shown.out.contains(word), "{word} is missing: {}", shown.out);
    }
    let json = daemon.run(&["cluster", "show", "-o", "json"]);
    let value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(value["voters"], serde_json::json!([1, 2]));
}

#[test]
fn regions_are_preferred() {
    let daemon = Running::start(cluster());
    let ran = daemon.run(&["cluster", "prefer-regions", "north,south"]);
    assert!(ran.code == 0 && ran.out.contains("north, else south"), "{ran:?}");
    let shown = daemon.run(&["cluster", "show"]);
    assert!(shown.out.contains("north, else south"), "{shown:?}");
    let ran = daemon.run(&["cluster", "prefer-regions", "--none"]);
    assert!(ran.code == 0 && ran.out.contains("any region"), "{ran:?}");
    assert!(daemon.script().preferred_regions.is_empty());
    for wrong in [
        &["cluster", "prefer-regions"][..],
        &["cluster", "prefer-regions", "a", "--none"],
    ] {
        assert_eq!(daemon.run(wrong).code, 2, "{wrong:?}");
    }
}

#[test]
fn nodes_are_changed() {
    let daemon = Running::start(cluster());
    for (arguments, said, call) in [
        ("node cordon 2 --reason disks", "keeps 3 components", "cordon 2"),
        ("node uncordon 2", "takes components again", "uncordon 2"),
        ("node quota 2 5", "may run 5 components", "quota 2"),
        ("node quota 2 0", "any number", "quota 2"),
        ("node drain 2", "giving away 3 components", "drain 2"),
    ] {
        let ran = daemon.run(&words(arguments));
        assert!(ran.code == 0 && ran.out.contains(said), "{ran:?}");
        assert_eq!(daemon.script().calls.last().unwrap(), call);
    }
    assert_eq!(daemon.script().nodes[1].state(), NodeState::Draining);
}

#[test]
fn draining_can_be_waited_for() {
    let daemon = Running::start(cluster());
    let ran = daemon.run(&["node", "drain", "2", "--wait"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (0, "node 2 is drained\n"),
        "{ran:?}"
    );
    assert!(ran.err.contains("giving away 1 component\n"), "{ran:?}");
    daemon.script().drains_by = 0;
    daemon.script().nodes[0].components = 1;
    let ran = daemon.run(&["node", "drain", "1", "--wait", "--timeout", "100ms"]);
    assert!(
        ran.code == 4 && ran.err.contains("still has 1 component"),
        "{ran:?}"
    );
    assert_eq!(daemon.run(&["node", "drain", "1", "--timeout", "1s"]).code, 2);
}

#[test]
fn removing_needs_a_confirmation() {
    let daemon = Running::start(cluster());
    let refused = daemon.run(&["node", "remove", "3"]);
    assert!(refused.code == 2 && refused.err.contains("--yes"), "{refused:?}");
    assert!(daemon.script().calls.is_empty());
    let done = daemon.run(&["node", "remove", "3", "--yes"]);
    assert_eq!((done.code, done.out.as_str()), (0, "node 3 is removed\n"));
    assert_eq!(daemon.run(&["node", "remove", "2", "--force", "--yes"]).code, 0);
    let calls = daemon.script().calls.clone();
    assert_eq!(calls, ["remove 3", "remove-by-force 2"]);
}

#[test]
fn a_node_leaves_drained() {
    let mut script = cluster();
    let daemon = Running::start(Script::default());
    // The others are asked whether it is gone: here they are all the same fake.
    for node in &mut script.nodes {
        node.address.clone_from(&daemon.address);
    }
    *daemon.script() = script;
    let refused = daemon.run(&["leave"]);
    assert!(
        refused.code == 2 && refused.err.contains("node 1 will give"),
        "{refused:?}"
    );
    let ran = daemon.run(&["leave", "--wait", "--yes"]);
    assert!(
        ran.code == 0 && ran.out.starts_with("node 1 has left the cluster"),
        "{ran:?}"
    );
    let calls = daemon.script().calls.clone();
    assert_eq!(calls, ["drain 1", "look 1", "remove 1", "look 1"]);
    let ran = daemon.run(&["leave", "--node", "2", "--yes", "-o", "json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&ran.out).unwrap()["left"],
        2,
        "{ran:?}"
    );
    let last = daemon.run(&["leave", "--node", "3", "--yes"]);
    assert!(last.code == 2 && last.err.contains("stop it instead"), "{last:?}");
    assert_eq!(daemon.run(&["leave", "--node", "7", "--yes"]).code, 2);
}

#[test]
fn a_token_is_data_and_how_to_use_it_a_note() {
    let daemon = Running::start(cluster());
    let made = daemon.run(&[
        "token",
        "create",
        "--valid",
        "30m",
        "--uses",
        "2",
        "--remarks",
        "rack 7",
    ]);
    assert_eq!((made.code, made.out.as_str()), (0, "omsnode-join.t1.s3cret\n"));
    assert!(
        made.err.contains(&format!("omsnode join {}", daemon.address)) && !made.err.contains("s3cret"),
        "{made:?}"
    );
    assert_eq!(daemon.script().calls.last().unwrap(), "create-token 1800 2");
    let list = daemon.run(&["token", "list"]);
    assert!(
        list.out.contains("rack 7") && list.out.contains("in "),
        "{list:?}"
    );
    assert_eq!(daemon.run(&["token", "revoke", "t1"]).code, 0);
    let again = daemon.run(&["token", "revoke", "t1"]);
    assert!(
        again.code == 1 && again.err.starts_with("error[OMS-CLUSTER-0013]"),
        "{again:?}"
    );
    let none = daemon.run(&["token", "list"]);
    assert!(
        none.out.is_empty() && none.err.contains("token create"),
        "{none:?}"
    );
    for wrong in [
        "token create --valid 0s",
        "token create --uses 0",
        "token create --valid x",
    ] {
        assert_eq!(daemon.run(&words(wrong)).code, 2, "{wrong}");
    }
}

#[test]
fn components_are_moved_and_frozen() {
    let daemon = Running::start(cluster());
    let id = "np_1.incr-sync";
    let moved = daemon.run(&["component", "move", id, "3"]);
    assert_eq!(
        (moved.code, moved.out.as_str()),
        (0, "np_1.incr-sync goes to node 3 under epoch 4\n"),
        "{moved:?}"
    );
    assert_eq!(daemon.run(&["component", "freeze", id]).code, 2);
    let frozen = daemon.run(&["component", "freeze", id, "--reason", "look at its log"]);
    assert!(
        frozen.code == 0 && frozen.out.contains("stays on node 3"),
        "{frozen:?}"
    );
    let shown = daemon.run(&["component", "show", id]);
    for word in [
        "look at its log",
        "node 1 was lost",
        "Failovers",
        "exactly once",
        "Assigned",
    ] {
        assert!(shown.out.contains(word), "{word} is missing: {}", shown.out);
    }
    assert_eq!(daemon.run(&["component", "unfreeze", id]).code, 0);
    assert!(
        !daemon
            .run(&["component", "show", id])
            .out
            .contains("look at its log")
    );
    assert_eq!(daemon.run(&["component", "move", "np_1.store", "3"]).code, 1);
}

#[cfg(feature = "daemon")]
#[test]
fn joining_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let join = |rest: &[&str]| {
        let mut arguments = vec![
            "join",
            "--data-dir",
            data.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ];
        arguments.extend(rest);
        fake::Ran::from(fake::omsnode(&arguments).output().unwrap())
    };
    for wrong in [
        &[][..],
        &["nowhere"],
        &["127.0.0.1:1", "--token", "a", "--token-file", "b"],
    ] {
        let ran = join(wrong);
        assert_eq!(ran.code, 2, "{ran:?}");
    }
    let ran = join(&["127.0.0.1:1", "--token-file", "/nonexistent"]);
    assert!(ran.code == 1 && ran.err.contains("/nonexistent"), "{ran:?}");
    let ran = join(&["127.0.0.1:1"]);
    assert!(
        ran.code == 1 && ran.err.contains("omsnode token create"),
        "{ran:?}"
    );
    let ran = join(&["127.0.0.1:1", "--token", "s3cret"]);
    assert!(ran.code == 1 && ran.err.contains("error[OMS-"), "{ran:?}");
    assert!(!ran.err.contains("s3cret"), "{ran:?}");
}
