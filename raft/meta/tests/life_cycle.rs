//! Projects driven by the reconciler and an owner that does what it is told.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use oms_meta::{ClusterView, Liveness, MetaCommand, MetaState, NodeView, command, schedule};
use oms_proto::{
    meta::{
        ChangeProject, ComponentFacts, CreateDataSource, CreateProject, DataSourceRecord, Desired,
        NodeRecord, ProjectChange, ProjectRecord, QualifiedName, RegisterNode, Reply, ReportComponent,
        SelectedObject, command::Body,
    },
    v1::{
        ComponentState, DataSource, ErrorInfo, Project, ProjectSpec, ProjectState, StepKind, StepState, Steps,
    },
};
use proptest::prelude::*;
use prost::Message as _;

fn propose(state: &mut MetaState, body: Body) -> Result<u64, String> {
    let reply = Reply::decode(state.apply_bytes(&command(1, body)).as_slice()).unwrap();
    match reply.refusal {
        None => Ok(reply.object_version),
        Some(refusal) => Err(format!("{}: {}", refusal.code, refusal.message)),
    }
}

fn data_source(id: &str) -> Body {
    let public = DataSource {
        id: id.into(),
        name: id.into(),
        ..Default::default()
    };
    Body::CreateDataSource(CreateDataSource {
        record: Some(DataSourceRecord {
            public: Some(public),
            sealed_password: vec![1],
        }),
    })
}

fn project(id: &str, name: &str, steps: Option<Steps>, table: &str) -> Body {
    let spec = ProjectSpec {
        name: name.into(),
        steps,
        ..Default::default()
    };
    Body::CreateProject(CreateProject {
        record: Some(ProjectRecord {
            public: Some(Project {
                id: id.into(),
                spec: Some(spec),
                ..Default::default()
            }),
            source_id: "e_a".into(),
            destination_id: "e_b".into(),
            selection: vec![SelectedObject {
                destination: Some(QualifiedName {
                    database: "d".into(),
                    table: table.into(),
                }),
                ..Default::default()
            }],
            ..Default::default()
        }),
    })
}

fn change(change: ProjectChange) -> Body {
    Body::ChangeProject(ChangeProject {
        id: "p_1".into(),
        change: change as i32,
        ..Default::default()
    })
}

fn register(id: u64) -> Body {
    Body::RegisterNode(RegisterNode {
        node: Some(NodeRecord {
            id,
            address: format!("node{id}:1"),
            ..Default::default()
        }),
    })
}

/// What a leader that sees only itself proposes.
fn reconcile(state: &MetaState) -> Vec<MetaCommand> {
    let alone = NodeView {
        liveness: Liveness::Alive,
        ..Default::default()
    };
    let view = ClusterView {
        me: 1,
        nodes: BTreeMap::from([(1, alone)]),
    };
    schedule(state, &view, 1)
}

fn fresh(steps: Option<Steps>) -> MetaState {
    let mut state = MetaState::default();
    propose(&mut state, register(1)).unwrap();
    propose(&mut state, data_source("e_a")).unwrap();
    propose(&mut state, data_source("e_b")).unwrap();
    propose(&mut state, project("p_1", "one", steps, "t")).unwrap();
    state
}

fn report(epoch: u64, kind: &str, to: ComponentState) -> ReportComponent {
    ReportComponent {
        project: "p_1".into(),
        kind: kind.into(),
        epoch,
        state: to as i32,
        ..Default::default()
    }
}

/// One round of an owner: starts, finishes or stops whatever is wanted of it.
fn owner_round(state: &mut MetaState) {
    let components = state
        .project("p_1")
        .map(|p| p.components.clone())
        .unwrap_or_default();
    for c in components {
        let body = match (c.desired(), c.state()) {
            (Desired::Run, ComponentState::Assigned) => {
                let mut r = report(c.epoch, &c.kind, ComponentState::Running);
                r.facts = Some(ComponentFacts {
                    store_start: if c.kind == "store" {
                        "x".into()
                    } else {
                        String::new()
                    },
                    ..Default::default()
                });
                r
            }
            (Desired::Run, ComponentState::Running) if c.kind == "incr-sync" => {
                let mut r = report(c.epoch, &c.kind, ComponentState::Unspecified);
                r.facts = Some(ComponentFacts {
                    caught_up: true,
                    ..Default::default()
                });
                r
            }
            (Desired::Run, ComponentState::Running) if c.kind != "store" => {
                report(c.epoch, &c.kind, ComponentState::Completed)
            }
            (Desired::Stop, ComponentState::Assigned | ComponentState::Running) => {
                report(c.epoch, &c.kind, ComponentState::Stopped)
            }
            (Desired::Remove, _) if !c.removed => {
                let mut r = report(c.epoch, &c.kind, ComponentState::Stopped);
                r.removed = true;
                r
            }
            _ => continue,
        };
        propose(state, Body::ReportComponent(body)).unwrap();
    }
}

fn settle(state: &mut MetaState) {
    for _ in 0..200 {
        let before = state.clone();
        for body in reconcile(state) {
            propose(state, body).unwrap();
        }
        owner_round(state);
        // Reports of an unchanged fact still raise the version: compare what matters.
        let steps = |s: &MetaState| {
            let components = |p: &ProjectRecord| {
                p.components
                    .iter()
                    .map(|c| (c.state, c.desired, c.epoch, c.removed))
                    .collect::<Vec<_>>()
            };
            s.project("p_1")
                .map(|p| (p.public.clone().map(|q| (q.state, q.steps)), components(p)))
        };
        if steps(&before) == steps(state) && reconcile(state).is_empty() {
            return;
        }
    }
    panic!("the project does not settle: {:?}", state.project("p_1"));
}

fn public(state: &MetaState) -> Project {
    state.project("p_1").and_then(|p| p.public.clone()).unwrap()
}

#[test]
fn runs_all_steps_in_order_and_stays_synchronized() {
    let mut state = fresh(None);
    assert!(reconcile(&state).is_empty(), "nothing moves before the start");
    propose(&mut state, change(ProjectChange::Start)).unwrap();
    settle(&mut state);
    let p = public(&state);
    assert_eq!(p.state(), ProjectState::Running);
    let kinds: Vec<_> = p.steps.iter().map(|s| (s.kind(), s.state())).collect();
    assert_eq!(
        kinds,
        [
            (StepKind::TransferPrecheck, StepState::Finished),
            (StepKind::StructTransfer, StepState::Finished),
            (StepKind::TransferIncrLogPull, StepState::Finished),
            (StepKind::FullTransfer, StepState::Finished),
            (StepKind::IncrTransfer, StepState::Monitoring),
            (StepKind::FullVerifier, StepState::Finished),
        ]
    );
}

#[test]
fn without_increments_it_finishes_and_can_be_verified_again() {
    let mut state = fresh(Some(Steps {
        schema: true,
        full: true,
        incremental: false,
        verification: true,
    }));
    propose(&mut state, change(ProjectChange::Start)).unwrap();
    settle(&mut state);
    assert_eq!(public(&state).state(), ProjectState::Finished);
    propose(&mut state, change(ProjectChange::Verify)).unwrap();
    assert_eq!(public(&state).state(), ProjectState::Running);
    settle(&mut state);
    assert_eq!(public(&state).state(), ProjectState::Finished);
    propose(&mut state, change(ProjectChange::Release)).unwrap();
    settle(&mut state);
    assert_eq!(public(&state).state(), ProjectState::Released);
}

#[test]
fn pause_stops_all_but_the_store_and_resume_goes_on() {
    let mut state = fresh(None);
    propose(&mut state, change(ProjectChange::Start)).unwrap();
    settle(&mut state);
    propose(&mut state, change(ProjectChange::Pause)).unwrap();
    settle(&mut state);
    let running = |state: &MetaState| -> Vec<String> {
        let p = state.project("p_1").unwrap();
        p.components
            .iter()
            .filter(|c| c.state() == ComponentState::Running)
            .map(|c| c.kind.clone())
            .collect()
    };
    assert_eq!(running(&state), ["store"]);
    propose(&mut state, change(ProjectChange::Resume)).unwrap();
    settle(&mut state);
    assert_eq!(running(&state), ["store", "incr-sync"]);
}

#[test]
fn a_failure_names_the_step_and_resume_retries_it() {
    let mut state = fresh(None);
    propose(&mut state, change(ProjectChange::Start)).unwrap();
    settle(&mut state);
    let epoch = state
        .component("p_1", oms_types::ComponentKind::IncrSync)
        .unwrap()
        .epoch;
    let mut r = report(epoch, "incr-sync", ComponentState::Failed);
    r.error = Some(ErrorInfo {
        code: "OMS-APPLY-0001".into(),
        message: "x".into(),
        failed_at_ms: 1,
    });
    propose(&mut state, Body::ReportComponent(r)).unwrap();
    for body in reconcile(&state) {
        propose(&mut state, body).unwrap();
    }
    assert_eq!(public(&state).state(), ProjectState::Failed);
    assert_eq!(public(&state).error.unwrap().code, "OMS-APPLY-0001");
    propose(&mut state, change(ProjectChange::Resume)).unwrap();
    settle(&mut state);
    assert_eq!(public(&state).state(), ProjectState::Running);
    assert!(
        state
            .component("p_1", oms_types::ComponentKind::IncrSync)
            .unwrap()
            .epoch
            > epoch
    );
}

#[test]
fn a_former_owner_is_refused() {
    let mut state = fresh(None);
    propose(&mut state, change(ProjectChange::Start)).unwrap();
    settle(&mut state);
    let error = propose(
        &mut state,
        Body::ReportComponent(report(0, "store", ComponentState::Failed)),
    )
    .unwrap_err();
    assert!(error.starts_with("OMS-APPLY-0004"), "{error}");
}

#[test]
fn overlapping_projects_and_wrong_states_are_refused() {
    let mut state = fresh(None);
    let error = propose(&mut state, project("p_2", "two", None, "t")).unwrap_err();
    assert!(
        error.contains("OMS-API-0006") && error.contains("`d`.`t`") && error.contains("\"one\""),
        "{error}"
    );
    propose(&mut state, project("p_3", "three", None, "other")).unwrap();
    let error = propose(&mut state, change(ProjectChange::Resume)).unwrap_err();
    assert!(error.contains("INIT") && error.contains("SUSPEND"), "{error}");
}

#[test]
fn an_existing_destination_is_accepted_by_resuming() {
    let mut state = fresh(None);
    propose(&mut state, change(ProjectChange::Start)).unwrap();
    settle(&mut state);
    let epoch = state
        .component("p_1", oms_types::ComponentKind::Store)
        .unwrap()
        .epoch;
    let mut r = report(epoch, "store", ComponentState::Failed);
    r.error = Some(ErrorInfo {
        code: "OMS-IMPORT-0001".into(),
        ..Default::default()
    });
    propose(&mut state, Body::ReportComponent(r)).unwrap();
    for body in reconcile(&state) {
        propose(&mut state, body).unwrap();
    }
    propose(&mut state, change(ProjectChange::Resume)).unwrap();
    assert!(state.project("p_1").unwrap().existing_rows_accepted);
}

/// A report that was on its way when the next run was asked for does not end that run.
#[test]
fn a_late_report_of_a_verification_does_not_end_the_next() {
    let mut state = MetaState::default();
    let node = NodeRecord {
        id: 1,
        address: "n1:1".into(),
        feature_level: oms_meta::FEATURE_LEVEL,
        ..Default::default()
    };
    propose(&mut state, Body::RegisterNode(RegisterNode { node: Some(node) })).unwrap();
    for id in ["e_a", "e_b"] {
        propose(&mut state, data_source(id)).unwrap();
    }
    let steps = Steps {
        verification: true,
        ..Default::default()
    };
    propose(&mut state, project("p_1", "one", Some(steps), "t")).unwrap();
    let change = |change: ProjectChange| {
        Body::ChangeProject(ChangeProject {
            id: "p_1".into(),
            change: change as i32,
            ..Default::default()
        })
    };
    propose(&mut state, change(ProjectChange::Start)).unwrap();
    let view = ClusterView {
        me: 1,
        nodes: BTreeMap::from([(
            1,
            NodeView {
                liveness: Liveness::Alive,
                ..Default::default()
            },
        )]),
    };
    let completed = |state: &MetaState, kind: &str| {
        let record = state.project("p_1").unwrap();
        let c = record.components.iter().find(|c| c.kind == kind)?;
        Some(Body::ReportComponent(ReportComponent {
            project: "p_1".into(),
            kind: kind.into(),
            epoch: c.epoch,
            state: ComponentState::Completed as i32,
            ..Default::default()
        }))
    };
    let project_state = |state: &MetaState| state.project("p_1").unwrap().public.as_ref().unwrap().state();
    for _ in 0..20 {
        for body in schedule(&state, &view, 1) {
            propose(&mut state, body).unwrap();
        }
        for kind in ["precheck", "full-verification"] {
            if let Some(report) = completed(&state, kind) {
                propose(&mut state, report).unwrap();
            }
        }
    }
    assert_eq!(project_state(&state), ProjectState::Finished);
    let late = completed(&state, "full-verification").unwrap();
    propose(&mut state, change(ProjectChange::Verify)).unwrap();
    let refused = propose(&mut state, late).unwrap_err();
    assert!(refused.contains("OMS-APPLY-0004"), "{refused}");
    for body in schedule(&state, &view, 1) {
        propose(&mut state, body).unwrap();
    }
    assert_eq!(project_state(&state), ProjectState::Running);
    let report = completed(&state, "full-verification").unwrap();
    propose(&mut state, report).unwrap();
    for _ in 0..3 {
        for body in schedule(&state, &view, 1) {
            propose(&mut state, body).unwrap();
        }
    }
    assert_eq!(project_state(&state), ProjectState::Finished);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever users and owners do in whatever order: the state is the same on two replicas,
    /// survives a snapshot, and a started project that is left alone settles.
    #[test]
    fn any_history_is_deterministic_and_settles(moves in prop::collection::vec(0u8..12, 0..60)) {
        let mut a = fresh(None);
        let mut b = a.clone();
        for m in moves {
            let bodies = match m {
                0 => vec![change(ProjectChange::Start)],
                1 => vec![change(ProjectChange::Pause)],
                2 => vec![change(ProjectChange::Resume)],
                3 => vec![change(ProjectChange::Verify)],
                4 => vec![change(ProjectChange::SkipVerification)],
                5 => {
                    let failed = a.project("p_1").unwrap().components.iter()
                        .find(|c| c.state() == ComponentState::Running)
                        .map(|c| (c.epoch, c.kind.clone()));
                    failed.map(|(e, k)| Body::ReportComponent(report(e, &k, ComponentState::Failed))).into_iter().collect()
                }
                6..=8 => reconcile(&a),
                _ => {
                    owner_round(&mut a);
                    owner_round(&mut b);
                    vec![]
                }
            };
            for body in bodies {
                let bytes = command(7, body);
                prop_assert_eq!(a.apply_bytes(&bytes), b.apply_bytes(&bytes));
            }
            prop_assert_eq!(&MetaState::restore(&a.snapshot()).unwrap(), &b);
        }
        let _ = propose(&mut a, change(ProjectChange::Start));
        settle(&mut a);
        // A failure that was reported but not seen yet may still have stopped it once.
        let _ = propose(&mut a, change(ProjectChange::Resume));
        settle(&mut a);
        prop_assert_eq!(public(&a).state(), ProjectState::Running);
        prop_assert!(public(&a).steps.iter().all(|s| matches!(s.state(),
            StepState::Finished | StepState::Monitoring | StepState::Skipped)), "{:?}", public(&a).steps);
    }
}

#[test]
fn a_removal_that_fails_says_why_until_it_works_or_is_given_up() {
    let released = |forced: bool| {
        let mut state = fresh(None);
        propose(&mut state, change(ProjectChange::Start)).unwrap();
        settle(&mut state);
        propose(&mut state, change(ProjectChange::Pause)).unwrap();
        settle(&mut state);
        propose(&mut state, change(ProjectChange::Release)).unwrap();
        let epoch = state
            .component("p_1", oms_types::ComponentKind::IncrSync)
            .unwrap()
            .epoch;
        let mut failed = report(epoch, "incr-sync", ComponentState::Unspecified);
        failed.error = Some(ErrorInfo {
            code: "OMS-DST-0001".into(),
            message: "gone".into(),
            failed_at_ms: 1,
        });
        propose(&mut state, Body::ReportComponent(failed.clone())).unwrap();
        let component = state.component("p_1", oms_types::ComponentKind::IncrSync);
        assert_eq!(component.unwrap().error, failed.error);
        assert_eq!(public(&state).error, failed.error);
        assert_eq!(public(&state).state(), ProjectState::Releasing);
        // Releasing again is refused, unless it is by force.
        assert!(propose(&mut state, change(ProjectChange::Release)).is_err());
        let mut removed = report(epoch, "incr-sync", ComponentState::Unspecified);
        removed.removed = true;
        if forced {
            let Body::ChangeProject(mut by_force) = change(ProjectChange::Release) else {
                panic!("another command")
            };
            by_force.force = true;
            propose(&mut state, Body::ChangeProject(by_force)).unwrap();
            assert!(state.project("p_1").unwrap().release_forced);
            removed.left_behind = "rows".into();
        }
        propose(&mut state, Body::ReportComponent(removed)).unwrap();
        settle(&mut state);
        public(&state)
    };
    for forced in [false, true] {
        let project = released(forced);
        assert_eq!(project.state(), ProjectState::Released);
        assert_eq!(project.error, None);
        let expected: &[&str] = if forced { &["rows"] } else { &[] };
        assert_eq!(project.left_behind, expected);
    }
}
