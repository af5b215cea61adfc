//! Switchovers: what is allowed when, and that nothing of the source's log is lost whoever crashes or changes their mind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod made;

use std::collections::BTreeMap;

use made::Cluster;
use oms_meta::{SwitchoverOrder, SwitchoverWork, switchover_order};
use oms_proto::{
    meta::{
        AddObjects, AssignComponent, ChangeProject, ComponentFacts, DecideSwitchover, Desired, ProjectChange,
        ProjectRecord, RemoveObjects, ReportComponent, ReportSwitchover, StartSwitchover, command::Body,
        report_switchover::Outcome as Said,
    },
    v1::{
        ComponentState, DecideSwitchoverRequest, ErrorInfo, Project, ProjectState as P, SourceWrites,
        StepKind, StepState, SwitchStepKind as K, SwitchStepState as S, Switchover, SwitchoverDecision as D,
        SwitchoverItem, SwitchoverState, VerificationResult,
    },
};
use oms_types::ComponentKind;
use proptest::prelude::*;

fn running() -> Cluster {
    let mut c = Cluster::of("r", "z");
    c.data_source("s", "r");
    c.data_source("t", "r");
    c.verified_project("p", "s", "t");
    c.settle();
    c
}

fn begin(c: &mut Cluster, set_read_only: bool) -> Result<u64, String> {
    c.propose(Body::StartSwitchover(StartSwitchover {
        project: "p".into(),
        set_read_only,
        max_lag_seconds: 0,
    }))
}

fn decide(c: &mut Cluster, decision: D, step: K, text: &str) -> Result<u64, String> {
    c.propose(Body::DecideSwitchover(DecideSwitchover {
        request: Some(DecideSwitchoverRequest {
            project: "p".into(),
            decision: decision as i32,
            step: step as i32,
            reason: text.into(),
            item: text.into(),
        }),
    }))
}

fn record(c: &Cluster) -> ProjectRecord {
    c.state.project("p").unwrap().clone()
}

fn public(c: &Cluster) -> Project {
    record(c).public.unwrap()
}

fn last(c: &Cluster) -> Switchover {
    public(c).switchovers.last().unwrap().clone()
}

/// The first sub-step that is not over.
fn at(c: &Cluster) -> (K, S) {
    let switchover = last(c);
    let step = switchover
        .steps
        .iter()
        .find(|s| !matches!(s.state(), S::Done | S::Skipped));
    step.map_or((K::Unspecified, S::Done), |s| (s.kind(), s.state()))
}

fn error(code: &str) -> ErrorInfo {
    ErrorInfo {
        code: code.into(),
        message: "m".into(),
        failed_at_ms: 1,
    }
}

fn report(order: &SwitchoverOrder, epoch: u64, said: Said) -> Body {
    Body::ReportSwitchover(ReportSwitchover {
        project: "p".into(),
        epoch,
        number: order.number,
        step: order.step as i32,
        attempt: order.attempt,
        outcome: Some(said),
        items: Vec::new(),
        destination_end: format!("{} ends", order.step.name()),
    })
}

/// The switchover's component says this about what it is to do.
fn says(c: &mut Cluster, said: Said) -> Result<u64, String> {
    let order = switchover_order(&record(c)).expect("nothing is to be done");
    let epoch = c.component("p.switchover").epoch;
    c.propose(report(&order, epoch, said))
}

fn facts(c: &mut Cluster, kind: &str, state: ComponentState, facts: ComponentFacts) {
    let epoch = c.component(&format!("p.{kind}")).epoch;
    c.propose(Body::ReportComponent(ReportComponent {
        project: "p".into(),
        kind: kind.into(),
        epoch,
        state: state as i32,
        facts: Some(facts),
        ..Default::default()
    }))
    .unwrap();
}

fn settles(c: &mut Cluster, position: &str) {
    let settled = ComponentFacts {
        settled: position.into(),
        ..Default::default()
    };
    facts(c, "incr-sync", ComponentState::Unspecified, settled);
}

/// Scheduler and owners take turns until the verification of the switchover runs; then it ends so.
fn verifies(c: &mut Cluster, consistent: bool) {
    c.settle_until(|c| {
        let v = c.component("p.full-verification");
        v.step() == StepKind::TransferAppSwitch && v.state() == ComponentState::Running
    });
    let verification = VerificationResult {
        consistent,
        ..Default::default()
    };
    let result = ComponentFacts {
        verification: Some(verification),
        summary: "compared".into(),
        ..Default::default()
    };
    facts(c, "full-verification", ComponentState::Completed, result);
    c.settle();
}

/// To the point where everything is drained, without being quiet yet.
fn drained(c: &mut Cluster) {
    begin(c, false).unwrap();
    c.settle();
    says(c, Said::Done("lag 1 s".into())).unwrap();
    c.settle();
    assert_eq!(at(c), (K::WritesStopped, S::NeedsUser));
    decide(c, D::Confirm, K::WritesStopped, "").unwrap();
    says(c, Said::StoppedAt("5".into())).unwrap();
    c.settle();
    assert_eq!(at(c), (K::Drained, S::Running));
    assert!(switchover_order(&record(c)).is_none(), "nothing is settled yet");
    settles(c, "6");
    c.settle();
}

#[test]
fn a_switchover_goes_through_its_sub_steps_in_order() {
    let mut c = running();
    let before = c.component("p.incr-sync").epoch;
    begin(&mut c, false).unwrap();
    c.settle();
    assert_eq!(at(&c), (K::Precheck, S::Running));
    let order = switchover_order(&record(&c)).unwrap();
    assert_eq!(order.work, SwitchoverWork::Precheck);
    let epoch = c.component("p.switchover").epoch;
    let mut done = report(&order, epoch, Said::Done("lag 1 s".into()));
    if let Body::ReportSwitchover(r) = &mut done {
        r.items.push(SwitchoverItem {
            name: "trigger/a.t".into(),
            ..Default::default()
        });
    }
    c.propose(done).unwrap();
    c.settle();
    assert_eq!(at(&c), (K::WritesStopped, S::NeedsUser));
    assert!(decide(&mut c, D::Confirm, K::Drained, "").is_err());
    decide(&mut c, D::Confirm, K::WritesStopped, "").unwrap();
    says(&mut c, Said::StoppedAt("5".into())).unwrap();
    c.settle();
    assert_eq!(
        (at(&c), last(&c).stop_position.as_str()),
        ((K::Drained, S::Running), "5")
    );
    let r = record(&c);
    assert_eq!((r.settle, r.settle_behind.as_str()), (true, "5"));
    assert_eq!(c.component("p.incr-sync").epoch, before + 1);
    settles(&mut c, "6");
    let order = switchover_order(&record(&c)).unwrap();
    let stop_position = "5".to_owned();
    assert_eq!(order.work, SwitchoverWork::LookAtLog { stop_position });
    says(&mut c, Said::QuietUntil("7".into())).unwrap();
    let run = record(&c).verify_run;
    verifies(&mut c, true);
    assert_eq!(record(&c).verify_run, run + 1);
    assert_eq!(last(&c).drained_position, "6");
    // Once more at the source, then forward ends.
    assert_eq!(at(&c), (K::ForwardStopped, S::Running));
    assert!(!last(&c).forward_stopped);
    says(&mut c, Said::QuietUntil("8".into())).unwrap();
    c.settle();
    assert!(last(&c).forward_stopped);
    assert_eq!(at(&c), (K::Objects, S::NeedsUser));
    let (store, sync) = (c.component("p.store"), c.component("p.incr-sync"));
    assert!(store.removed && sync.desired() == Desired::Stop && sync.state() == ComponentState::Stopped);
    // Nobody begins them anew.
    for kind in ["store", "incr-sync"] {
        let refused = c.propose(Body::AssignComponent(AssignComponent {
            project: "p".into(),
            kind: kind.into(),
            node: 1,
            expected_epoch: c.component(&format!("p.{kind}")).epoch,
            raise_epoch: true,
            desired: Desired::Run as i32,
            by_user: true,
            ..Default::default()
        }));
        assert!(refused.is_err(), "{kind}");
    }
    assert!(decide(&mut c, D::Cancel, K::Unspecified, "").is_err());
    assert!(decide(&mut c, D::Complete, K::Unspecified, "trigger/x").is_err());
    decide(&mut c, D::Complete, K::Unspecified, "trigger/a.t").unwrap();
    c.settle();
    says(&mut c, Said::QuietUntil("9".into())).unwrap();
    c.now += 1_000;
    c.settle();
    let project = public(&c);
    assert_eq!(
        (project.state(), last(&c).state()),
        (P::Finished, SwitchoverState::Done)
    );
    let step = project.steps.last().unwrap();
    assert_eq!(
        (step.kind(), step.state()),
        (StepKind::TransferAppSwitch, StepState::Finished)
    );
    assert_eq!(last(&c).write_stop_ms, 1_000);
    // Of the last look alone.
    assert_eq!(last(&c).reverse_from, "objects ends");
    assert_eq!(oms_meta::switched_over(&project), project.switchovers.last());
    assert!(begin(&mut c, false).unwrap_err().contains("has switched over"));
    assert!(
        c.change("p", ProjectChange::Verify)
            .unwrap_err()
            .contains("switched over")
    );
    c.change("p", ProjectChange::Release).unwrap();
    c.settle();
    assert_eq!(c.project_state("p"), P::Released);
}

#[test]
fn writes_after_the_stop_take_it_back_and_synchronization_goes_on() {
    let mut c = running();
    drained(&mut c);
    let epoch = c.component("p.incr-sync").epoch;
    says(&mut c, Said::Written(error("OMS-SWITCH-0002"))).unwrap();
    c.settle();
    assert_eq!(at(&c), (K::WritesStopped, S::Failed));
    assert!(last(&c).stop_position.is_empty() && !record(&c).settle);
    assert_eq!(c.component("p.incr-sync").epoch, epoch + 1);
    decide(&mut c, D::Confirm, K::WritesStopped, "").unwrap();
    says(&mut c, Said::StoppedAt("9".into())).unwrap();
    c.settle();
    // What was settled before says nothing now.
    assert!(switchover_order(&record(&c)).is_none());
    settles(&mut c, "9");
    says(&mut c, Said::QuietUntil("9".into())).unwrap();
    verifies(&mut c, true);
    // And again at the last moment.
    says(&mut c, Said::Written(error("OMS-SWITCH-0002"))).unwrap();
    c.settle();
    assert_eq!(at(&c), (K::WritesStopped, S::Failed));
    assert!(!last(&c).forward_stopped && !record(&c).settle);
}

#[test]
fn a_verification_that_differs_stops_it_and_is_tried_again_or_skipped_by_name() {
    let mut c = running();
    drained(&mut c);
    says(&mut c, Said::QuietUntil("6".into())).unwrap();
    verifies(&mut c, false);
    assert_eq!(at(&c), (K::Verified, S::Failed));
    assert_eq!(last(&c).steps[3].error.as_ref().unwrap().code, "OMS-SWITCH-0003");
    decide(&mut c, D::Retry, K::Unspecified, "").unwrap();
    verifies(&mut c, false);
    assert_eq!(at(&c), (K::Verified, S::Failed));
    // A name and a reason are needed, and it must be the present one.
    assert!(decide(&mut c, D::Skip, K::Verified, " ").is_err());
    assert!(decide(&mut c, D::Skip, K::Drained, "x").is_err());
    decide(&mut c, D::Skip, K::Verified, "known rows").unwrap();
    c.settle();
    assert_eq!(at(&c), (K::ForwardStopped, S::Running));
    let skip = last(&c).skips[0].clone();
    assert_eq!((skip.step(), skip.reason.as_str()), (K::Verified, "known rows"));
    assert!(skip.error.starts_with("OMS-SWITCH-0003"));
    // The stop itself is not skipped, only the look at the log.
    decide(&mut c, D::Skip, K::ForwardStopped, "purged").unwrap();
    c.settle();
    assert!(last(&c).forward_stopped && last(&c).skips.len() == 2);
    assert_eq!(last(&c).steps[4].state(), S::Done);
}

#[test]
fn a_cancellation_undoes_what_was_done() {
    let mut c = running();
    drained(&mut c);
    decide(&mut c, D::Cancel, K::Unspecified, "").unwrap();
    c.settle();
    assert_eq!(last(&c).state(), SwitchoverState::Canceled);
    assert!(!record(&c).settle);
    assert!(
        !public(&c)
            .steps
            .iter()
            .any(|s| s.kind() == StepKind::TransferAppSwitch)
    );
    assert_eq!(c.component("p.switchover").state(), ComponentState::Stopped);
    // With the source set read-only there is something to undo there.
    begin(&mut c, true).unwrap();
    c.settle();
    says(&mut c, Said::Done("lag".into())).unwrap();
    c.settle();
    assert_eq!(at(&c), (K::WritesStopped, S::Running));
    let before = SourceWrites::default();
    says(&mut c, Said::Before(before)).unwrap();
    // Whoever comes later finds it read-only already, and does not note that.
    let read_only = SourceWrites {
        read_only: true,
        ..before
    };
    says(&mut c, Said::Before(read_only)).unwrap();
    decide(&mut c, D::Cancel, K::Unspecified, "").unwrap();
    assert_eq!(last(&c).state(), SwitchoverState::Cancelling);
    assert!(begin(&mut c, true).unwrap_err().contains("under way"));
    c.settle();
    let order = switchover_order(&record(&c)).unwrap();
    assert_eq!(order.work, SwitchoverWork::Undo { before });
    says(&mut c, Said::Undone("read_only is off".into())).unwrap();
    c.settle();
    assert_eq!(last(&c).state(), SwitchoverState::Canceled);
    assert_eq!(c.project_state("p"), P::Running);
    begin(&mut c, true).unwrap();
    assert_eq!(last(&c).number, 3);
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut c = running();
    let old = c.component("p.incr-sync").epoch;
    c.change("p", ProjectChange::Pause).unwrap();
    assert!(begin(&mut c, false).unwrap_err().contains("SUSPEND"));
    c.settle();
    c.change("p", ProjectChange::Resume).unwrap();
    c.settle();
    assert!(
        decide(&mut c, D::Retry, K::Unspecified, "")
            .unwrap_err()
            .contains("no switchover")
    );
    begin(&mut c, false).unwrap();
    c.settle();
    assert!(
        begin(&mut c, false)
            .unwrap_err()
            .contains("switchover 1 is under way")
    );
    let order = switchover_order(&record(&c)).unwrap();
    let epoch = c.component("p.switchover").epoch;
    // A former owner, another attempt, another sub-step, another number.
    let said = || Said::Done("x".into());
    let refusals = [
        (report(&order, epoch - 1, said()), "OMS-APPLY-"),
        (
            report(
                &SwitchoverOrder {
                    attempt: 7,
                    ..order.clone()
                },
                epoch,
                said(),
            ),
            "OMS-API-",
        ),
        (
            report(
                &SwitchoverOrder {
                    step: K::Drained,
                    ..order.clone()
                },
                epoch,
                said(),
            ),
            "OMS-API-",
        ),
        (
            report(
                &SwitchoverOrder {
                    number: 2,
                    ..order.clone()
                },
                epoch,
                said(),
            ),
            "OMS-API-",
        ),
        (report(&order, epoch, Said::StoppedAt("5".into())), "OMS-API-"),
        (report(&order, epoch, Said::Undone("x".into())), "OMS-API-"),
        (
            Body::AddObjects(AddObjects {
                project: "p".into(),
                sub_project: Some(record(&c)),
            }),
            "switches over",
        ),
        (
            Body::RemoveObjects(RemoveObjects {
                project: "p".into(),
                objects: Vec::new(),
            }),
            "switches over",
        ),
        (
            Body::ChangeProject(ChangeProject {
                id: "p".into(),
                change: ProjectChange::Verify as i32,
                ..Default::default()
            }),
            "verified by that",
        ),
    ];
    for (body, part) in refusals {
        let refused = c.propose(body).unwrap_err();
        assert!(refused.contains(part), "{part}: {refused}");
    }
    // A paused project rests with its switchover, is not released, and goes on where it was.
    c.change("p", ProjectChange::Pause).unwrap();
    c.settle();
    assert!(switchover_order(&record(&c)).is_none());
    assert!(
        c.change("p", ProjectChange::Release)
            .unwrap_err()
            .contains("switches over")
    );
    c.change("p", ProjectChange::Resume).unwrap();
    c.settle();
    assert_eq!(at(&c), (K::Precheck, S::Running));
    assert!(c.component("p.switchover").epoch > epoch && c.component("p.incr-sync").epoch > old);
    // Released by force, nobody goes on with it.
    c.change("p", ProjectChange::Pause).unwrap();
    c.propose(Body::ChangeProject(ChangeProject {
        id: "p".into(),
        change: ProjectChange::Release as i32,
        force: true,
        ..Default::default()
    }))
    .unwrap();
    c.settle();
    assert_eq!(
        (c.project_state("p"), last(&c).state()),
        (P::Released, SwitchoverState::Canceled)
    );
}

/// Owners of incremental synchronization and of the switchover, the source's log and what is at the destination.
struct World {
    c: Cluster,
    /// Changes in the source's log.
    log: usize,
    /// The source refuses writes.
    read_only: bool,
    /// Changes at the destination, and the highest epoch that has claimed it.
    applied: usize,
    claimed: u64,
    /// Owners by epoch, with the order to settle that they were started with.
    owners: BTreeMap<u64, Option<usize>>,
    /// Reports of the switchover's component that are on their way.
    sent: Vec<Body>,
    /// The end of the log when forward was told to stop for good.
    stopped: Option<usize>,
    /// The log's end at the last look that counted.
    looked: usize,
}

#[derive(Clone, Debug)]
enum Act {
    Write,
    Round,
    Owners,
    Apply(u8),
    Work,
    Deliver(bool),
    Kill,
    User(u8),
    Pause,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => Just(Act::Write),
        8 => Just(Act::Round),
        8 => Just(Act::Owners),
        8 => any::<u8>().prop_map(Act::Apply),
        8 => Just(Act::Work),
        8 => any::<bool>().prop_map(Act::Deliver),
        2 => Just(Act::Kill),
        6 => any::<u8>().prop_map(Act::User),
        1 => Just(Act::Pause),
    ]
}

impl World {
    fn new() -> Self {
        let mut c = running();
        c.join("r", "z");
        Self {
            c,
            log: 3,
            read_only: false,
            applied: 0,
            claimed: 0,
            owners: BTreeMap::new(),
            sent: Vec::new(),
            stopped: None,
            looked: 0,
        }
    }

    fn switchover(&self) -> Option<Switchover> {
        public(&self.c).switchovers.last().cloned()
    }

    /// One owner of incremental synchronization does something; former ones, too.
    fn apply(&mut self, which: usize) {
        let r = record(&self.c);
        let sync = self.c.component("p.incr-sync");
        if sync.desired() == Desired::Run && self.c.view.is_alive(sync.node) {
            let behind = r.settle.then(|| r.settle_behind.parse().unwrap_or(0));
            self.owners.entry(sync.epoch).or_insert(behind);
        }
        let Some((epoch, settle)) = self.owners.iter().nth(which % self.owners.len().max(1)) else {
            return;
        };
        let (epoch, settle) = (*epoch, *settle);
        if epoch < self.claimed {
            return;
        }
        self.claimed = epoch;
        match settle {
            Some(behind) if self.applied >= behind => {
                let settled = ComponentFacts {
                    settled: self.applied.to_string(),
                    ..Default::default()
                };
                // A former owner's is refused.
                let _ = self.c.propose(Body::ReportComponent(ReportComponent {
                    project: "p".into(),
                    kind: "incr-sync".into(),
                    epoch,
                    facts: Some(settled),
                    ..Default::default()
                }));
            }
            Some(_) => self.applied = self.log,
            None => self.applied = self.log.min(self.applied + 1),
        }
    }

    /// The switchover's component does what it is to do; what it says is on its way.
    fn work(&mut self) {
        let Some(order) = switchover_order(&record(&self.c)) else {
            return;
        };
        let Some(own) = self.c.state.component("p", ComponentKind::Switchover) else {
            return;
        };
        let said = match &order.work {
            SwitchoverWork::Precheck if self.log > self.applied + 3 => Said::Failed(error("OMS-SWITCH-0001")),
            SwitchoverWork::Precheck => Said::Done("close".into()),
            SwitchoverWork::StopWrites {
                set_read_only: true,
                before: None,
            } => Said::Before(SourceWrites::default()),
            SwitchoverWork::StopWrites { set_read_only, .. } => {
                self.read_only |= set_read_only;
                Said::StoppedAt(self.log.to_string())
            }
            SwitchoverWork::LookAtLog { stop_position } => match stop_position.parse::<usize>().unwrap() {
                stop if stop < self.log => Said::Written(error("OMS-SWITCH-0002")),
                _ => Said::QuietUntil(self.log.to_string()),
            },
            SwitchoverWork::Undo { before } => {
                self.read_only = before.read_only;
                Said::Undone("writes are allowed".into())
            }
        };
        self.sent.push(report(&order, own.epoch, said));
    }

    /// A report arrives; perhaps once more later.
    fn deliver(&mut self, again: bool) {
        let Some(body) = self.sent.first().cloned() else {
            return;
        };
        let _ = self.c.propose(body);
        if !again || self.sent.len() > 4 {
            self.sent.remove(0);
        }
    }

    fn user(&mut self, what: u8) {
        let Some(switchover) = self.switchover() else {
            let _ = begin(&mut self.c, what.is_multiple_of(2));
            return;
        };
        let (kind, _) = at(&self.c);
        let _ = match what % 16 {
            0 => begin(&mut self.c, what.is_multiple_of(32)),
            1..=5 => decide(&mut self.c, D::Confirm, K::WritesStopped, ""),
            6..=10 => decide(&mut self.c, D::Retry, K::Unspecified, ""),
            11 => decide(&mut self.c, D::Skip, kind, "because"),
            12 if what > 128 => decide(&mut self.c, D::Cancel, K::Unspecified, ""),
            _ if switchover.state() == SwitchoverState::Canceled => begin(&mut self.c, false),
            _ => Ok(0),
        };
    }

    fn step(&mut self, act: &Act) {
        match act {
            Act::Write if !self.read_only => self.log += 1,
            Act::Write => {}
            Act::Round => {
                self.c.round();
            }
            Act::Owners => {
                // The verification is clean if both sides are equal then.
                let v = self
                    .c
                    .state
                    .component("p", ComponentKind::FullVerification)
                    .cloned();
                let runs = v.is_some_and(|v| {
                    v.step() == StepKind::TransferAppSwitch
                        && v.state() == ComponentState::Running
                        && v.desired() == Desired::Run
                });
                if runs {
                    let verification = VerificationResult {
                        consistent: self.applied == self.log,
                        ..Default::default()
                    };
                    let result = ComponentFacts {
                        verification: Some(verification),
                        ..Default::default()
                    };
                    facts(
                        &mut self.c,
                        "full-verification",
                        ComponentState::Completed,
                        result,
                    );
                } else {
                    self.c.owners();
                }
            }
            Act::Apply(which) => self.apply(usize::from(*which)),
            Act::Work => self.work(),
            Act::Deliver(again) => self.deliver(*again),
            Act::Kill => {
                let node = self.c.component("p.incr-sync").node;
                self.c.lose(node);
                self.c.round();
                self.c.alive(node);
            }
            Act::User(what) => self.user(*what),
            Act::Pause => {
                let change = match self.c.project_state("p") {
                    P::Running => ProjectChange::Pause,
                    _ => ProjectChange::Resume,
                };
                let _ = self.c.change("p", change);
            }
        }
        self.check();
    }

    fn skipped(&self, kinds: &[K]) -> bool {
        self.switchover()
            .is_some_and(|s| s.skips.iter().any(|k| kinds.contains(&k.step())))
    }

    fn check(&mut self) {
        let Some(switchover) = self.switchover() else {
            return;
        };
        let step = |kind: K| switchover.steps.iter().find(|s| s.kind() == kind).unwrap();
        if switchover.forward_stopped && self.stopped.is_none() {
            let quiet = step(K::ForwardStopped).quiet_until.parse::<usize>();
            self.looked = quiet.unwrap_or(0);
            self.stopped = Some(self.applied);
            if !self.skipped(&[K::WritesStopped, K::Drained, K::ForwardStopped]) {
                // Everything that the log held at the last look has arrived.
                assert!(self.looked > 0 && self.applied >= self.looked, "{switchover:#?}");
                assert_eq!(step(K::Drained).state(), S::Done);
                assert_eq!(switchover.drained_position, self.applied.to_string());
            }
            if !self.skipped(&[K::Verified]) {
                assert_eq!(step(K::Verified).state(), S::Done);
            }
        }
        if let Some(stopped) = self.stopped {
            let r = record(&self.c);
            for c in &r.components {
                if ["store", "incr-sync"].contains(&c.kind.as_str()) {
                    assert_ne!(c.desired(), Desired::Run, "{} runs again", c.kind);
                }
            }
            // Former owners are there still, and apply nothing.
            if !self.skipped(&[K::Drained]) {
                assert_eq!(self.applied, stopped);
            }
            assert_ne!(switchover.state(), SwitchoverState::Canceled);
        }
        if switchover.state() == SwitchoverState::Canceled {
            assert!(
                !record(&self.c).settle,
                "it applies nothing although nothing is under way"
            );
            assert!(
                !self.read_only || self.skipped(&[K::WritesStopped]),
                "the source is left read-only"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whoever writes, crashes, lingers, skips and cancels: forward never stops for good before everything that the source's
    /// log held has arrived, unless that was skipped by name; and what has stopped never begins again.
    #[test]
    fn nothing_is_lost(acts in proptest::collection::vec(act(), 1..600)) {
        let mut world = World::new();
        for act in &acts {
            world.step(act);
        }
    }
}

/// The model reaches the end: else the property would hold for nothing.
#[test]
fn without_disturbance_the_model_switches_over() {
    let mut world = World::new();
    begin(&mut world.c, true).unwrap();
    for _ in 0..200 {
        for act in [
            Act::Round,
            Act::Owners,
            Act::Apply(255),
            Act::Work,
            Act::Deliver(false),
        ] {
            world.step(&act);
        }
    }
    assert_eq!(world.switchover().unwrap().state(), SwitchoverState::Done);
    assert_eq!(
        (world.stopped, world.c.project_state("p")),
        (Some(3), P::Finished)
    );
}
