//! The metadata of a cluster in which much comes and goes stays as large as what is there.
#![allow(clippy::unwrap_used)]

mod made;

use made::{Cluster, admit, record, token};
use oms_proto::{
    meta::{
        DeleteDataSource, DeleteProject, ProjectChange, RemoveNode, RevokeToken, SetPrecheckItems,
        SetVerifiedTables, UpsertObjects, command::Body,
    },
    v1::{ObjectKind, PrecheckItem, ProjectState, SchemaObject, VerifiedTable},
};

/// A project's whole life, with everything that its components write down about it.
fn project(c: &mut Cluster, n: u32) {
    let (id, source, destination) = (format!("p{n}"), format!("s{n}"), format!("d{n}"));
    c.data_source(&source, "");
    c.data_source(&destination, "");
    c.project(&id, &source, &destination);
    c.settle();
    let epoch = c.component(&format!("{id}.full-import")).epoch;
    let table = |at: u32| format!("table_{at}");
    let objects = (0..20).map(|at| SchemaObject {
        kind: ObjectKind::Table as i32,
        database: "d".into(),
        table: table(at),
        source_definition: "create table t (a int)".repeat(10),
        ..Default::default()
    });
    let tables = (0..20).map(|at| VerifiedTable {
        database: "d".into(),
        table: table(at),
        ..Default::default()
    });
    let items = (0..20).map(|at| PrecheckItem {
        key: format!("KEY_{at}"),
        message: "m".repeat(100),
        ..Default::default()
    });
    // Whether one of them is taken depends on which component has the epoch; all are at most replaced.
    let notes = [
        Body::UpsertObjects(UpsertObjects {
            project: id.clone(),
            epoch,
            objects: objects.collect(),
            replace: true,
        }),
        Body::SetVerifiedTables(SetVerifiedTables {
            project: id.clone(),
            epoch,
            tables: tables.collect(),
            replace: true,
        }),
        Body::SetPrecheckItems(SetPrecheckItems {
            project: id.clone(),
            epoch,
            items: items.collect(),
        }),
    ];
    for _ in 0..3 {
        for note in &notes {
            let _ = c.propose(note.clone());
        }
    }
    c.change(&id, ProjectChange::Pause).unwrap();
    c.settle();
    c.change(&id, ProjectChange::Release).unwrap();
    c.settle();
    assert_eq!(c.project_state(&id), ProjectState::Released);
    c.propose(Body::DeleteProject(DeleteProject { id })).unwrap();
    for id in [source, destination] {
        c.propose(Body::DeleteDataSource(DeleteDataSource { id }))
            .unwrap();
    }
}

#[test]
fn what_is_gone_takes_no_room() {
    const HOURS: u32 = 24 * 60;
    let mut c = Cluster::of("r", "z");
    c.join("r", "z2");
    c.join("r", "z3");
    let (mut day, mut largest) = (0, Vec::new());
    for hour in 0..HOURS {
        c.now += 3_600_000;
        let id = format!("t{hour}");
        c.propose(token(&id, c.now + 60_000, 1)).unwrap();
        match hour % 3 {
            // Used by a node that is replaced later, ...
            0 => {
                let node = c
                    .propose(admit(&id, record(&format!("n{hour}"), "r", "z")))
                    .unwrap();
                c.propose(Body::RemoveNode(RemoveNode { id: node })).unwrap();
            }
            // revoked, ...
            1 => drop(c.propose(Body::RevokeToken(RevokeToken { id })).unwrap()),
            // or forgotten.
            _ => {}
        }
        if hour % 4 == 0 {
            project(&mut c, hour);
        }
        day = c.state.snapshot().len().max(day);
        if hour % 24 == 23 {
            largest.push(day);
            day = 0;
        }
    }
    println!("bytes at most, day by day: {largest:?}");
    // Of removed nodes a number is remembered, which is reached after 32 days.
    let (early, late) = (largest[34], *largest.last().unwrap());
    assert!(late <= early + early / 20, "{largest:?}");
    assert!(late < 64 << 10, "{largest:?}");
    assert_eq!(c.state.projects().count(), 0);
    assert_eq!(c.state.nodes().count(), 3 + 256);
    assert!(c.state.tokens().count() <= 100);
}
