//! Which projects may bring changes of others back.

#![allow(clippy::unwrap_used)]

use oms_meta::{MetaState, command};
use oms_proto::{
    meta::{
        AddObjects, ChangeProject, CreateDataSource, CreateProject, DataSourceRecord, DeleteProject,
        NodeRecord, ProjectChange, ProjectRecord, QualifiedName, RegisterNode, Reply, SelectedObject,
        command::Body,
    },
    v1::{DataSource, Project, ProjectSpec, ProjectState, Steps},
};
use prost::Message as _;

const FORWARD: &str = "p_0191d0c0a0b07e3c8f00000000000001";

fn propose(state: &mut MetaState, body: Body) -> Result<u64, String> {
    let reply = Reply::decode(state.apply_bytes(&command(1, body)).as_slice()).unwrap();
    match reply.refusal {
        None => Ok(reply.object_version),
        Some(refusal) => Err(format!("{}: {}", refusal.code, refusal.message)),
    }
}

fn register(feature_level: u32) -> Body {
    Body::RegisterNode(RegisterNode {
        node: Some(NodeRecord {
            id: 1,
            feature_level,
            folder_id: "f".into(),
            address: "a".into(),
            ..Default::default()
        }),
    })
}

fn name(table: &str) -> Option<QualifiedName> {
    Some(QualifiedName {
        database: "d".into(),
        table: table.into(),
    })
}

fn object(from: &str, to: &str) -> SelectedObject {
    SelectedObject {
        source: name(from),
        destination: name(to),
        ..Default::default()
    }
}

fn record(id: &str, ends: (&str, &str), objects: Vec<SelectedObject>) -> ProjectRecord {
    ProjectRecord {
        public: Some(Project {
            id: id.into(),
            spec: Some(ProjectSpec {
                name: id.into(),
                steps: Some(Steps {
                    incremental: true,
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }),
        source_id: ends.0.into(),
        destination_id: ends.1.into(),
        selection: objects,
        ..Default::default()
    }
}

fn create(record: ProjectRecord) -> Body {
    Body::CreateProject(CreateProject { record: Some(record) })
}

/// A reverse project of the forward one, with another id behind it.
fn reverse(own: &str) -> ProjectRecord {
    let mut reverse = record(&format!("{FORWARD}{own}"), ("e_b", "e_a"), vec![object("u", "t")]);
    reverse.public.as_mut().unwrap().reverse_of = FORWARD.into();
    reverse
}

fn change(id: &str, change: ProjectChange) -> Body {
    Body::ChangeProject(ChangeProject {
        id: id.into(),
        change: change as i32,
        ..Default::default()
    })
}

fn state(level: u32) -> MetaState {
    let mut state = MetaState::default();
    propose(&mut state, register(level)).unwrap();
    for id in ["e_a", "e_b"] {
        let public = DataSource {
            id: id.into(),
            name: id.into(),
            ..Default::default()
        };
        let record = DataSourceRecord {
            public: Some(public),
            sealed_password: vec![1],
        };
        let body = Body::CreateDataSource(CreateDataSource { record: Some(record) });
        propose(&mut state, body).unwrap();
    }
    propose(
        &mut state,
        create(record(
            FORWARD,
            ("e_a", "e_b"),
            vec![object("t", "u"), object("x", "y")],
        )),
    )
    .unwrap();
    state
}

fn started() -> MetaState {
    let mut state = state(5);
    propose(&mut state, change(FORWARD, ProjectChange::Start)).unwrap();
    state
}

#[test]
fn a_started_project_has_one_way_back() {
    let mut state = started();
    propose(&mut state, create(reverse("r1"))).unwrap();
    let found: Vec<_> = state.reverse_projects(FORWARD).collect();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].public.as_ref().unwrap().state(), ProjectState::Init);
    let error = propose(&mut state, create(reverse("r2"))).unwrap_err();
    assert!(
        error.contains("OMS-API-") && error.contains("has a reverse project already"),
        "{error}"
    );
    // A new one may come when the first is gone.
    let id = format!("{FORWARD}r1");
    propose(&mut state, Body::DeleteProject(DeleteProject { id })).unwrap();
    propose(&mut state, create(reverse("r2"))).unwrap();
    propose(&mut state, change(&format!("{FORWARD}r2"), ProjectChange::Start)).unwrap();
    // The way back of the way back is a project like others, once what it would write beside is gone.
    let mut again = record(&format!("{FORWARD}r3"), ("e_a", "e_b"), vec![object("t", "u")]);
    again.public.as_mut().unwrap().reverse_of = format!("{FORWARD}r2");
    let error = propose(&mut state, create(again)).unwrap_err();
    assert!(error.contains("writes `d`.`u`"), "{error}");
}

#[test]
fn what_is_no_way_back_is_refused() {
    let refused = |edit: &dyn Fn(&mut ProjectRecord)| {
        let mut wanted = reverse("r1");
        edit(&mut wanted);
        propose(&mut started(), create(wanted)).unwrap_err()
    };
    fn public(r: &mut ProjectRecord) -> &mut Project {
        r.public.as_mut().unwrap()
    }
    for (words, edit) in [
        (
            "not the id of a reverse project",
            (&|r: &mut ProjectRecord| public(r).id = "p_2".into()) as &dyn Fn(&mut ProjectRecord),
        ),
        ("not the id of a reverse project", &|r| {
            public(r).id = "p_0191d0c0a0b07e3c8f00000000000002r1".into();
        }),
        ("does not exist", &|r| public(r).reverse_of = "p_3".into()),
        ("exchanged", &|r| {
            (r.source_id, r.destination_id) = ("e_a".into(), "e_b".into());
        }),
        ("turned round", &|r| r.selection = vec![object("y", "t")]),
        ("turned round", &|r| r.selection[0].view = true),
        ("`incremental` alone", &|r| {
            public(r).spec.as_mut().unwrap().steps = None;
        }),
    ] {
        let error = refused(edit);
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn it_waits_for_its_project_and_keeps_its_objects_as_they_are() {
    let mut state = state(5);
    let error = propose(&mut state, create(reverse("r1"))).unwrap_err();
    assert!(error.contains("is INIT"), "{error}");
    propose(&mut state, change(FORWARD, ProjectChange::Start)).unwrap();
    propose(&mut state, create(reverse("r1"))).unwrap();
    let add = |project: &str, id: &str| {
        Body::AddObjects(AddObjects {
            project: project.into(),
            sub_project: Some(record(id, ("e_a", "e_b"), vec![object("new", "new")])),
        })
    };
    let error = propose(&mut state, add(FORWARD, "p_9")).unwrap_err();
    assert!(error.contains("release that first"), "{error}");
    let error = propose(&mut state, add(&format!("{FORWARD}r1"), "p_9")).unwrap_err();
    assert!(error.contains("brings changes of project"), "{error}");
}

#[test]
fn every_node_must_know_of_it() {
    let mut state = state(4);
    propose(&mut state, change(FORWARD, ProjectChange::Start)).unwrap();
    let error = propose(&mut state, create(reverse("r1"))).unwrap_err();
    assert!(error.contains("feature level 5"), "{error}");
    let mut started_elsewhere = record("p_4", ("e_b", "e_a"), vec![object("u", "t")]);
    started_elsewhere.log_start = "{}".into();
    let error = propose(&mut state, create(started_elsewhere)).unwrap_err();
    assert!(error.contains("feature level 5"), "{error}");
}
