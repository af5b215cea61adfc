//! Objects of projects that exist: what is allowed when, and that changes are applied exactly once whoever crashes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod made;

use std::collections::BTreeMap;

use made::{Cluster, project};
use oms_proto::{
    meta::{
        AddObjects, ChangeProject, ComponentFacts, ComponentRecord, CreateProject, DecideObjectChange,
        DeleteProject, Desired, ProjectChange, ProjectRecord, QualifiedName, RemoveObjects, ReportComponent,
        SelectedObject, SetProject, command::Body,
    },
    v1::{
        ComponentState, DatabaseSelection, DdlSynchronization, IncrementalOptions, JoinPhase,
        ObjectChangeDecision, ObjectChangeState as C, Project, ProjectSpec, ProjectState as P,
        TableSelection,
    },
};
use oms_types::ComponentKind;
use proptest::prelude::*;

fn name(table: &str) -> QualifiedName {
    QualifiedName {
        database: "d".into(),
        table: table.into(),
    }
}

fn selected(table: &str) -> SelectedObject {
    SelectedObject {
        source: Some(name(table)),
        destination: Some(name(table)),
        view: false,
        gone: false,
    }
}

fn tables(names: &[&str]) -> Vec<DatabaseSelection> {
    let tables = names.iter().map(|t| TableSelection {
        name: (*t).to_owned(),
        ..Default::default()
    });
    vec![DatabaseSelection {
        name: "d".into(),
        tables: tables.collect(),
        ..Default::default()
    }]
}

/// A cluster with the project `p` that moves `a`, not started.
fn with_project() -> Cluster {
    with_options(IncrementalOptions::default())
}

fn with_options(incremental: IncrementalOptions) -> Cluster {
    let mut c = Cluster::of("r", "z");
    c.data_source("s", "r");
    c.data_source("t", "r");
    let mut record = project("p", "s", "t");
    record.selection = vec![selected("a")];
    let spec = record.public.as_mut().unwrap().spec.as_mut().unwrap();
    spec.databases = tables(&["a"]);
    spec.incremental = Some(incremental);
    c.propose(Body::CreateProject(CreateProject { record: Some(record) }))
        .unwrap();
    c
}

fn running() -> Cluster {
    let mut c = with_project();
    c.change("p", ProjectChange::Start).unwrap();
    c.settle();
    c
}

fn sub(id: &str, names: &[&str]) -> ProjectRecord {
    let spec = ProjectSpec {
        databases: tables(names),
        steps: project("x", "s", "t").public.unwrap().spec.unwrap().steps,
        name: format!("p~{id}"),
        ..Default::default()
    };
    ProjectRecord {
        public: Some(Project {
            id: id.into(),
            spec: Some(spec),
            ..Default::default()
        }),
        selection: names.iter().map(|t| selected(t)).collect(),
        ..Default::default()
    }
}

fn add(c: &mut Cluster, id: &str, names: &[&str]) -> Result<u64, String> {
    c.propose(Body::AddObjects(AddObjects {
        project: "p".into(),
        sub_project: Some(sub(id, names)),
    }))
}

fn remove(c: &mut Cluster, names: &[&str]) -> Result<u64, String> {
    c.propose(Body::RemoveObjects(RemoveObjects {
        project: "p".into(),
        objects: names.iter().map(|t| name(t)).collect(),
    }))
}

fn decide(c: &mut Cluster, decision: ObjectChangeDecision) -> Result<u64, String> {
    c.propose(Body::DecideObjectChange(DecideObjectChange {
        project: "p".into(),
        decision: decision as i32,
    }))
}

fn last(c: &Cluster) -> (C, JoinPhase) {
    let record = c.state.project("p").unwrap();
    let change = record.public.as_ref().unwrap().changes.last().unwrap();
    (change.state(), change.phase())
}

fn moved(c: &Cluster, id: &str) -> Vec<String> {
    let record = c.state.project(id).unwrap();
    record
        .selection
        .iter()
        .map(|o| o.source.as_ref().unwrap().table.clone())
        .collect()
}

fn in_spec(c: &Cluster) -> Vec<String> {
    let spec = c
        .state
        .project("p")
        .unwrap()
        .public
        .clone()
        .unwrap()
        .spec
        .unwrap();
    spec.databases
        .into_iter()
        .flat_map(|d| d.tables)
        .map(|t| t.name)
        .collect()
}

/// The component of a project says where it has settled.
fn settles(c: &mut Cluster, id: &str, at: &str) {
    let epoch = c.component(&format!("{id}.incr-sync")).epoch;
    c.propose(Body::ReportComponent(ReportComponent {
        project: id.into(),
        kind: "incr-sync".into(),
        epoch,
        facts: Some(ComponentFacts {
            settled: at.into(),
            ..Default::default()
        }),
        ..Default::default()
    }))
    .unwrap();
}

#[test]
fn objects_join_by_hold_drain_and_join() {
    let mut c = running();
    add(&mut c, "n", &["b", "c"]).unwrap();
    assert_eq!(
        (c.project_state("p"), last(&c)),
        (P::RunningModifying, (C::Running, JoinPhase::Unspecified))
    );
    let before = c.component("p.incr-sync").epoch;
    c.settle();
    // It has caught up: the project's own incremental synchronization is to settle first.
    assert_eq!(
        (c.project_state("p"), last(&c)),
        (P::RunningMerging, (C::Integrating, JoinPhase::Hold))
    );
    assert_eq!(c.component("p.incr-sync").epoch, before + 1);
    assert!(c.state.project("p").unwrap().settle && !c.state.project("n").unwrap().settle);
    let of_sub = c.component("n.incr-sync").epoch;
    settles(&mut c, "p", "h");
    c.settle();
    assert_eq!(last(&c), (C::Integrating, JoinPhase::Drain));
    let record = c.state.project("n").unwrap();
    assert_eq!((record.settle, record.settle_behind.as_str()), (true, "h"));
    assert_eq!(c.component("n.incr-sync").epoch, of_sub + 1);
    assert_eq!(moved(&c, "p"), ["a"]);
    settles(&mut c, "n", "j");
    c.settle();
    assert_eq!(
        (c.project_state("p"), last(&c)),
        (P::Running, (C::Succeeded, JoinPhase::Unspecified))
    );
    assert_eq!(moved(&c, "p"), ["a", "b", "c"]);
    assert_eq!(in_spec(&c), ["a", "b", "c"]);
    let record = c.state.project("p").unwrap();
    assert!(!record.settle);
    assert!(record.joined.iter().all(|j| j.position == "j") && record.joined.len() == 2);
    assert_eq!(c.component("p.incr-sync").epoch, before + 2);
    // Released and forgotten.
    assert!(c.state.project("n").is_none());
    // Once more, with what was removed in between.
    remove(&mut c, &["b"]).unwrap();
    assert_eq!(
        (moved(&c, "p"), in_spec(&c)),
        (
            vec!["a".to_owned(), "c".to_owned()],
            vec!["a".to_owned(), "c".to_owned()]
        )
    );
    assert_eq!(c.state.project("p").unwrap().joined.len(), 1);
    add(&mut c, "m", &["b"]).unwrap();
    assert_eq!(c.project_state("p"), P::RunningModifying);
}

#[test]
fn a_project_without_changes_takes_objects_in_when_its_sub_project_is_finished() {
    let mut c = with_project();
    let mut record = project("q", "s", "t");
    record.selection = vec![selected("x")];
    let spec = record.public.as_mut().unwrap().spec.as_mut().unwrap();
    spec.steps.as_mut().unwrap().incremental = false;
    c.propose(Body::CreateProject(CreateProject { record: Some(record) }))
        .unwrap();
    c.change("q", ProjectChange::Start).unwrap();
    let mut sub = sub("n", &["y"]);
    sub.public
        .as_mut()
        .unwrap()
        .spec
        .as_mut()
        .unwrap()
        .steps
        .as_mut()
        .unwrap()
        .incremental = false;
    c.propose(Body::AddObjects(AddObjects {
        project: "q".into(),
        sub_project: Some(sub),
    }))
    .unwrap();
    c.settle();
    assert_eq!(
        (c.project_state("q"), moved(&c, "q")),
        (P::Finished, vec!["x".to_owned(), "y".to_owned()])
    );
    assert!(c.state.project("n").is_none());
}

#[test]
fn not_started_projects_change_at_once_and_paused_ones_when_they_go_on() {
    let mut c = with_project();
    add(&mut c, "n", &["b"]).unwrap();
    assert_eq!((c.project_state("p"), last(&c).0), (P::Init, C::Succeeded));
    assert_eq!(
        (moved(&c, "p"), in_spec(&c)),
        (
            vec!["a".to_owned(), "b".to_owned()],
            vec!["a".to_owned(), "b".to_owned()]
        )
    );
    assert!(c.state.project("n").is_none());
    c.change("p", ProjectChange::Start).unwrap();
    c.settle();
    c.change("p", ProjectChange::Pause).unwrap();
    c.settle();
    add(&mut c, "n", &["c"]).unwrap();
    c.settle();
    assert_eq!(
        (c.project_state("p"), last(&c).0, c.project_state("n")),
        (P::Suspend, C::Pending, P::Init)
    );
    decide(&mut c, ObjectChangeDecision::Cancel).unwrap();
    assert_eq!((last(&c).0, c.state.project("n").is_none()), (C::Canceled, true));
    add(&mut c, "n", &["c"]).unwrap();
    c.change("p", ProjectChange::Resume).unwrap();
    assert_eq!(
        (c.project_state("p"), last(&c).0, c.project_state("n")),
        (P::RunningModifying, C::Running, P::Running)
    );
    // Both rest and go on together.
    c.change("p", ProjectChange::Pause).unwrap();
    assert_eq!(
        (c.project_state("p"), c.project_state("n")),
        (P::Suspend, P::Suspend)
    );
    c.change("p", ProjectChange::Resume).unwrap();
    assert_eq!(
        (c.project_state("p"), c.project_state("n")),
        (P::RunningModifying, P::Running)
    );
    // And end together.
    c.change("p", ProjectChange::Pause).unwrap();
    c.change("p", ProjectChange::Release).unwrap();
    assert_eq!(last(&c).0, C::Aborted);
    c.settle();
    assert_eq!(
        (c.project_state("p"), c.state.project("n").is_none()),
        (P::Released, true)
    );
}

#[test]
fn projects_that_follow_statements_change_by_hand_only_before_they_start() {
    let mut c = with_options(IncrementalOptions {
        ddl: DdlSynchronization::Follow as i32,
        ..Default::default()
    });
    add(&mut c, "q", &["b"]).unwrap();
    assert_eq!(moved(&c, "p"), ["a", "b"]);
    c.change("p", ProjectChange::Start).unwrap();
    for refused in [add(&mut c, "r", &["c"]), remove(&mut c, &["a"])] {
        let refused = refused.unwrap_err();
        assert!(refused.contains("incremental.ddl: follow"), "{refused}");
    }
    assert_eq!(moved(&c, "p"), ["a", "b"]);
}

#[test]
fn bad_decisions_are_refused() {
    let mut c = running();
    let wrong = |answer: Result<u64, String>, part: &str| {
        let refusal = answer.unwrap_err();
        assert!(refusal.contains(part), "{part}: {refusal}");
    };
    wrong(add(&mut c, "n", &["a"]), "moves `d`.`a` already");
    wrong(add(&mut c, "n", &[]), "nothing is to be added");
    wrong(remove(&mut c, &["a"]), "release it instead");
    wrong(
        remove(&mut c, &["a", "z"]),
        "does not move `d`.`z`; nothing is removed",
    );
    wrong(decide(&mut c, ObjectChangeDecision::Abort), "no change");
    let mut onto = sub("n", &["b"]);
    onto.selection[0].destination = Some(name("A"));
    let onto = AddObjects {
        project: "p".into(),
        sub_project: Some(onto),
    };
    wrong(c.propose(Body::AddObjects(onto)), "OMS-API-0006");

    add(&mut c, "n", &["b"]).unwrap();
    wrong(add(&mut c, "m", &["b"]), "one change at a time");
    wrong(remove(&mut c, &["a"]), "one change at a time");
    wrong(decide(&mut c, ObjectChangeDecision::Cancel), "OMS-API-0004");
    wrong(decide(&mut c, ObjectChangeDecision::Retry), "OMS-API-0004");
    wrong(c.change("p", ProjectChange::Release), "RUNNING_MODIFYING");
    wrong(c.change("n", ProjectChange::Pause), "added to project p");
    wrong(c.change("n", ProjectChange::Release), "added to project p");
    let delete = |id: &str| Body::DeleteProject(DeleteProject { id: id.into() });
    wrong(c.propose(delete("n")), "added to project p");
    wrong(c.propose(delete("p")), "OMS-API-0004");
    let spec = c.state.project("p").unwrap().public.clone().unwrap();
    let set = SetProject {
        id: "p".into(),
        expected_version: spec.version,
        spec: spec.spec,
        restart: Vec::new(),
    };
    wrong(c.propose(Body::SetProject(set)), "options do not change then");

    // A sub-project that fails is shown with its cause, and the project goes on.
    c.settle_until(|c| c.state.component("n", ComponentKind::FullImport).is_some());
    c.fail("n.full-import", "OMS-IMPORT-0001");
    c.settle();
    assert_eq!(
        (c.project_state("p"), last(&c).0),
        (P::RunningModifying, C::Failed)
    );
    decide(&mut c, ObjectChangeDecision::Retry).unwrap();
    assert_eq!(last(&c).0, C::Running);
    c.settle();
    assert_eq!(last(&c), (C::Integrating, JoinPhase::Hold));
    wrong(decide(&mut c, ObjectChangeDecision::Abort), "integrating");
    wrong(c.change("p", ProjectChange::Release), "RUNNING_MERGING");
    c.fail("n.incr-sync", "OMS-APPLY-0002");
    c.settle();
    assert_eq!(
        (c.project_state("p"), last(&c)),
        (P::RunningMerging, (C::Failed, JoinPhase::Hold))
    );
    wrong(decide(&mut c, ObjectChangeDecision::Abort), "integrating");
    // The way out of what can never be retried.
    c.change("p", ProjectChange::Pause).unwrap();
    c.change("p", ProjectChange::Release).unwrap();
    c.settle();
    assert_eq!(
        (c.project_state("p"), c.state.project("n").is_none()),
        (P::Released, true)
    );
}

#[test]
fn an_aborted_addition_leaves_the_project_as_it_was() {
    let mut c = running();
    add(&mut c, "n", &["b"]).unwrap();
    let before = c.component("p.incr-sync").epoch;
    decide(&mut c, ObjectChangeDecision::Abort).unwrap();
    assert_eq!(
        (c.project_state("p"), last(&c).0, c.project_state("n")),
        (P::Running, C::Aborted, P::Releasing)
    );
    c.settle();
    assert_eq!(
        (moved(&c, "p"), c.component("p.incr-sync").epoch),
        (vec!["a".to_owned()], before)
    );
    assert!(c.state.project("n").is_none());
    add(&mut c, "n", &["b"]).unwrap();
}

#[test]
fn a_removal_restarts_what_works_on_objects_and_notes_where() {
    let mut c = running();
    c.change("p", ProjectChange::Pause).unwrap();
    c.settle();
    c.change("p", ProjectChange::Resume).unwrap();
    c.settle();
    add(&mut c, "n", &["b"]).unwrap();
    c.settle();
    settles(&mut c, "p", "h");
    c.settle();
    settles(&mut c, "n", "j");
    c.settle();
    let (store, sync) = (c.component("p.store").epoch, c.component("p.incr-sync").epoch);
    remove(&mut c, &["a"]).unwrap();
    assert_eq!(c.component("p.store").epoch, store);
    assert_eq!(c.component("p.incr-sync").epoch, sync + 1);
    let note = |epoch, at: &str| {
        Body::ReportComponent(ReportComponent {
            project: "p".into(),
            kind: "incr-sync".into(),
            epoch,
            facts: Some(ComponentFacts {
                applied: at.into(),
                ..Default::default()
            }),
            ..Default::default()
        })
    };
    // A late note of the former owner does not count.
    assert!(c.propose(note(sync, "late")).is_err());
    c.propose(note(sync + 1, "x")).unwrap();
    c.propose(note(sync + 1, "y")).unwrap();
    let change = c
        .state
        .project("p")
        .unwrap()
        .public
        .clone()
        .unwrap()
        .changes
        .pop()
        .unwrap();
    assert_eq!((change.position.as_str(), change.state()), ("x", C::Succeeded));
}

/// The rows of one of several merged tables could not be told from those of the others.
#[test]
fn merged_tables_are_removed_together() {
    let mut c = with_project();
    let mut record = project("q", "s", "t");
    record.selection = ["x", "y", "z"]
        .iter()
        .map(|table| SelectedObject {
            destination: Some(name(if *table == "z" { "z" } else { "one" })),
            ..selected(table)
        })
        .collect();
    let spec = record.public.as_mut().unwrap().spec.as_mut().unwrap();
    spec.databases = tables(&["x", "y", "z"]);
    spec.merge_tables = true;
    c.propose(Body::CreateProject(CreateProject { record: Some(record) }))
        .unwrap();
    let mut take = |names: &[&str]| {
        c.propose(Body::RemoveObjects(RemoveObjects {
            project: "q".into(),
            objects: names.iter().map(|t| name(t)).collect(),
        }))
    };
    let refused = take(&["x", "z"]).unwrap_err();
    assert!(
        refused.contains("are merged with tables that would stay"),
        "{refused}"
    );
    take(&["x", "y"]).unwrap();
    assert_eq!(moved(&c, "q"), ["z"]);
}

#[test]
fn a_failed_project_goes_on_without_the_object() {
    let mut c = running();
    add(&mut c, "n", &["b"]).unwrap();
    c.settle();
    settles(&mut c, "p", "h");
    c.settle();
    settles(&mut c, "n", "j");
    c.settle();
    c.fail("p.incr-sync", "OMS-APPLY-0003");
    c.settle();
    assert_eq!(c.project_state("p"), P::Failed);
    assert!(add(&mut c, "m", &["c"]).is_err());
    remove(&mut c, &["b"]).unwrap();
    assert_eq!(
        (c.project_state("p"), moved(&c, "p")),
        (P::Failed, vec!["a".to_owned()])
    );
    c.change("p", ProjectChange::Resume).unwrap();
    c.settle();
    assert_eq!(c.project_state("p"), P::Running);
}

/// A destination: who may write as which component, how far that component is, and how often each transaction's change
/// of each table is there.
#[derive(Default)]
struct Destination {
    claims: BTreeMap<String, (u64, u64)>,
    applied: BTreeMap<String, u64>,
    counts: BTreeMap<(String, u64), i32>,
}

/// A run of incremental synchronization, which may outlive its assignment.
#[derive(Clone)]
struct Owner {
    project: String,
    epoch: u64,
    claim: Option<u64>,
    /// Tables, and up to where their changes are skipped.
    tables: Vec<(String, u64)>,
    settle: bool,
    behind: u64,
    start: u64,
    goal: Option<u64>,
    settled: Option<u64>,
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

impl Owner {
    /// As the record says: what `Behaviors::build` does.
    fn of(record: &ProjectRecord, component: &ComponentRecord) -> Self {
        let fact = |kind: &str| {
            let c = record.components.iter().find(|c| c.kind == kind);
            c.and_then(|c| c.facts.clone()).unwrap_or_default()
        };
        let import = number(&fact("full-import").safe_until);
        let tables = record.selection.iter().map(|o| {
            let source = o.source.clone().unwrap();
            let joined = record.joined.iter().find(|j| j.table.as_ref() == Some(&source));
            (source.table, joined.map_or(import, |j| number(&j.position)))
        });
        Self {
            project: record.public.as_ref().unwrap().id.clone(),
            epoch: component.epoch,
            claim: None,
            tables: tables.collect(),
            settle: record.settle,
            behind: number(&record.settle_behind),
            start: number(&fact("store").store_start),
            goal: None,
            settled: None,
        }
    }

    /// One move; false when it is fenced.
    fn step(&mut self, d: &mut Destination, end: u64) -> bool {
        let Some(claim) = self.claim else {
            let (epoch, claims) = d.claims.get(&self.project).copied().unwrap_or_default();
            if epoch > self.epoch {
                return false;
            }
            d.claims.insert(self.project.clone(), (self.epoch, claims + 1));
            self.claim = Some(claims + 1);
            d.applied.entry(self.project.clone()).or_insert(self.start);
            return true;
        };
        let at = d.applied[&self.project];
        if self.settle && self.settled.is_none() && self.goal.is_none() {
            if at >= self.behind {
                self.settled = Some(at);
            } else {
                self.goal = Some(end);
            }
            return true;
        }
        if self.settled.is_some() {
            return true;
        }
        if self.goal.is_some_and(|goal| at >= goal) {
            // The next claim tells.
            (self.goal, self.claim) = (None, None);
            return true;
        }
        if at >= end {
            return true;
        }
        if d.claims[&self.project] != (self.epoch, claim) {
            return false;
        }
        let n = at + 1;
        for (table, skip) in &self.tables {
            if n > *skip {
                *d.counts.entry((table.clone(), n)).or_default() += 1;
            }
        }
        d.applied.insert(self.project.clone(), n);
        true
    }
}

/// The cluster, its owners, their destination and the source's log, whose every transaction changes every table.
struct World {
    c: Cluster,
    d: Destination,
    owners: Vec<Owner>,
    end: u64,
}

impl World {
    fn report(
        &mut self,
        project: &str,
        component: &ComponentRecord,
        state: ComponentState,
        facts: ComponentFacts,
    ) {
        let report = ReportComponent {
            project: project.into(),
            kind: component.kind.clone(),
            epoch: component.epoch,
            state: state as i32,
            facts: Some(facts),
            removed: component.desired() == Desired::Remove,
            ..Default::default()
        };
        let _ = self.c.propose(Body::ReportComponent(report));
    }

    /// Nodes do what is wanted of them, as far as it needs no time.
    fn agents(&mut self) {
        let all: Vec<(ProjectRecord, ComponentRecord)> = self
            .c
            .state
            .projects()
            .flat_map(|r| r.components.iter().map(|k| (r.clone(), k.clone())))
            .collect();
        for (record, k) in all {
            let id = record.public.as_ref().unwrap().id.clone();
            let none = ComponentFacts::default;
            let here = |o: &Owner| o.project == id && o.epoch == k.epoch;
            match (k.desired(), k.state()) {
                (Desired::Run, ComponentState::Assigned | ComponentState::Running)
                    if k.kind == "incr-sync" =>
                {
                    let works = self.owners.iter().any(here);
                    if !works {
                        self.owners.push(Owner::of(&record, &k));
                        self.report(&id, &k, ComponentState::Running, none());
                    }
                }
                (Desired::Run, ComponentState::Assigned) if k.kind == "store" => {
                    let known = k
                        .facts
                        .as_ref()
                        .map(|f| f.store_start.clone())
                        .filter(|s| !s.is_empty());
                    let facts = ComponentFacts {
                        store_start: known.unwrap_or_else(|| self.end.to_string()),
                        ..none()
                    };
                    self.report(&id, &k, ComponentState::Running, facts);
                }
                (Desired::Run, ComponentState::Assigned) if k.kind == "full-import" => {
                    // One snapshot of tables without a key: it holds each change so far once.
                    for o in &record.selection {
                        let table = o.source.clone().unwrap().table;
                        for n in 1..=self.end {
                            self.d.counts.insert((table.clone(), n), 1);
                        }
                    }
                    let facts = ComponentFacts {
                        safe_until: self.end.to_string(),
                        ..none()
                    };
                    self.report(&id, &k, ComponentState::Completed, facts);
                }
                (Desired::Run, ComponentState::Assigned) => {
                    self.report(&id, &k, ComponentState::Completed, none());
                }
                (Desired::Stop, ComponentState::Assigned | ComponentState::Running) => {
                    // Its owner may go on all the same: frozen, it hears of it later.
                    self.report(&id, &k, ComponentState::Stopped, none());
                }
                (Desired::Remove, _) if !k.removed => self.report(&id, &k, ComponentState::Stopped, none()),
                _ => {}
            }
        }
    }

    fn owner(&mut self, which: usize) {
        if self.owners.is_empty() {
            return;
        }
        let which = which % self.owners.len();
        let gone = self.c.state.project(&self.owners[which].project).is_none();
        if gone || !self.owners[which].step(&mut self.d, self.end) {
            self.owners.remove(which);
            return;
        }
        let o = self.owners[which].clone();
        let near = self
            .d
            .applied
            .get(&o.project)
            .is_some_and(|at| *at + 3 > self.end);
        let k = self
            .c
            .state
            .component(&o.project, ComponentKind::IncrSync)
            .cloned();
        let facts = ComponentFacts {
            settled: o.settled.map(|at| at.to_string()).unwrap_or_default(),
            caught_up: near,
            ..Default::default()
        };
        if let Some(k) = k.filter(|_| o.claim.is_some()) {
            // Under its own epoch, which may be a former one.
            let k = ComponentRecord { epoch: o.epoch, ..k };
            self.report(&o.project, &k, ComponentState::Running, facts);
        }
    }

    fn judge(&self) -> Result<(), TestCaseError> {
        for ((table, n), count) in &self.d.counts {
            prop_assert!(*count <= 1, "{table} has transaction {n} {count} times");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever stops, crashes, lingers or is paused while objects join: each change of each table is applied once.
    #[test]
    fn every_change_is_applied_once(moves in proptest::collection::vec((0u8..12, 0usize..8), 50..400)) {
        let mut w = World { c: with_project(), d: Destination::default(), owners: Vec::new(), end: 5 };
        w.c.change("p", ProjectChange::Start).unwrap();
        let mut added = false;
        for (what, which) in moves {
            match what {
                0 => w.end += 1,
                1 | 2 => { w.c.round(); }
                3 | 4 => w.agents(),
                5..=8 => w.owner(which),
                9 if which == 0 => {
                    // A process dies.
                    w.owners.truncate(w.owners.len() / 2);
                }
                9 if which == 1 => {
                    // All components go elsewhere; former owners go on.
                    let raise = Body::RaiseEpochs(oms_proto::meta::RaiseEpochs { by: 1 });
                    w.c.propose(raise).unwrap();
                }
                10 => {
                    let change = if which < 3 { ProjectChange::Pause } else { ProjectChange::Resume };
                    let _ = w.c.change("p", change);
                }
                11 if !added => added = add(&mut w.c, "n", &["b"]).is_ok(),
                _ => {}
            }
            w.judge()?;
        }
        if !added {
            let _ = w.c.change("p", ProjectChange::Resume);
            prop_assert!(add(&mut w.c, "n", &["b"]).is_ok());
        }
        let _ = w.c.change("p", ProjectChange::Resume);
        for i in 0..4_000 {
            w.c.round();
            w.agents();
            w.owner(i);
            w.judge()?;
        }
        prop_assert_eq!(last(&w.c).0, C::Succeeded);
        prop_assert_eq!(moved(&w.c, "p"), ["a", "b"]);
        for table in ["a", "b"] {
            for n in 1..=w.end {
                let count = w.d.counts.get(&(table.to_owned(), n)).copied().unwrap_or_default();
                prop_assert_eq!(count, 1, "{} {}", table, n);
            }
        }
    }
}

#[test]
fn the_model_notices_when_the_project_does_not_hold() {
    // The same join with an owner of the project that is not fenced: it passes the position with its old tables.
    let mut w = World {
        c: running_by_hand(),
        d: Destination::default(),
        owners: Vec::new(),
        end: 5,
    };
    for i in 0..400 {
        w.c.round();
        w.agents();
        w.owner(i);
    }
    add(&mut w.c, "n", &["b"]).unwrap();
    let mut deaf = w.owners.iter().find(|o| o.project == "p").cloned().unwrap();
    for i in 0..4_000 {
        if i % 7 == 0 && w.end < 200 {
            w.end += 1;
        }
        // The fence taken away.
        deaf.claim = w.d.claims.get("p").map(|(_, claim)| *claim);
        deaf.epoch = w.d.claims.get("p").map_or(0, |(epoch, _)| *epoch);
        deaf.step(&mut w.d, w.end);
        w.c.round();
        w.agents();
        w.owner(i);
    }
    let missing = (1..=w.end).any(|n| w.d.counts.get(&("b".to_owned(), n)) != Some(&1));
    assert!(missing, "nothing is missing");
}

fn running_by_hand() -> Cluster {
    let mut c = with_project();
    c.propose(Body::ChangeProject(ChangeProject {
        id: "p".into(),
        change: ProjectChange::Start as i32,
        ..Default::default()
    }))
    .unwrap();
    c
}
