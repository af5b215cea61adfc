//! Changes of running projects with the built command against a scripted daemon: what is sent, what asks first.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod fake;

use fake::{Running, Script};
use oms_proto::v1::*;

fn full() -> Script {
    Script {
        projects: vec![Project {
            id: "id-shop".into(),
            spec: Some(ProjectSpec {
                name: "shop".into(),
                source: "a".into(),
                destination: "b".into(),
                databases: vec![DatabaseSelection {
                    name: "a".into(),
                    ..Default::default()
                }],
                ..Default::default()
            }),
            state: ProjectState::Running as i32,
            version: 1,
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn objects_are_added_and_removed_beside_the_list_of_objects() {
    let daemon = Running::start(full());
    let list = daemon.run(&["project", "objects", "shop"]);
    assert_eq!(list.code, 0, "{}", list.err);
    assert_eq!(daemon.run(&["project", "objects"]).code, 2);
    let tables = ["--table", "a.b", "--table", "a.`c.d`=e"];
    let added = daemon.run(&[&["project", "objects", "add", "shop"], tables.as_slice()].concat());
    assert_eq!(
        (added.code, added.out.contains("RUNNING_MODIFYING")),
        (0, true),
        "{} {}",
        added.out,
        added.err
    );
    assert_eq!(daemon.run(&["project", "objects", "add", "shop"]).code, 2);
    assert_eq!(
        daemon
            .run(&["project", "objects", "add", "shop", "--table", "ab"])
            .code,
        2
    );
    // Nobody is there to confirm.
    for lost in [
        ["remove", "shop", "--table", "a.b"].as_slice(),
        &["abort", "shop"],
    ] {
        let refused = daemon.run(&[&["project", "objects"], lost].concat());
        assert!(
            refused.code == 2 && refused.err.contains("--yes"),
            "{}",
            refused.err
        );
    }
    let removed = daemon.run(&["project", "objects", "remove", "shop", "--table", "a.b", "--yes"]);
    assert_eq!(removed.code, 0, "{}", removed.err);
    assert_eq!(daemon.run(&["project", "objects", "retry", "shop"]).code, 0);
    let calls = daemon.script().calls.clone();
    for call in ["add a|b| a|c.d|e shop", "remove a|b shop", "retry shop"] {
        assert!(calls.iter().any(|c| c == call), "{call}: {calls:?}");
    }
}

#[test]
fn options_are_set_and_batches_confirmed() {
    let daemon = Running::start(full());
    assert_eq!(daemon.run(&["project", "set", "shop", "full.workers"]).code, 2);
    let set = daemon.run(&["project", "set", "shop", "full.workers=3", "name=", "--dry-run"]);
    assert!(
        set.code == 0 && set.out.contains("full.workers"),
        "{} {}",
        set.out,
        set.err
    );
    assert_eq!(daemon.run(&["project", "batch", "pause"]).code, 2);
    assert_eq!(daemon.run(&["project", "batch", "pause", "shop"]).code, 0);
    let refused = daemon.run(&["project", "batch", "release", "shop"]);
    assert!(
        refused.code == 2 && refused.err.contains("--yes"),
        "{}",
        refused.err
    );
    assert_eq!(
        daemon.run(&["project", "batch", "release", "shop", "--yes"]).code,
        0
    );
    assert!(daemon.run(&["project", "labels"]).out.contains("l1"));
    assert_eq!(
        daemon
            .run(&["project", "template", "save", "t", "--project", "shop"])
            .code,
        0
    );
    assert_eq!(daemon.run(&["project", "template", "show", "none"]).code, 1);
    assert_eq!(daemon.run(&["project", "copy", "shop", "other"]).code, 0);
    let calls = daemon.script().calls.clone();
    for call in [
        "set full.workers=3 name= true",
        "batch pause true",
        "batch pause false",
        "put-template t shop",
    ] {
        assert!(calls.iter().any(|c| c == call), "{call}: {calls:?}");
    }
    assert_eq!(calls.iter().filter(|c| *c == "batch release false").count(), 1);
}
