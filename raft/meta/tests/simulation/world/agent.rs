//! What a node does with what it knows: it runs what the metadata give it, as long as it has a lease.

use std::collections::BTreeSet;

use oms_meta::MetaState;
use oms_proto::{
    meta::{Desired, ReportComponent, command::Body},
    v1::{ComponentState, NodeState},
};
use oms_types::ComponentKind;

use super::{
    World,
    wire::{Caller, Message},
};
use crate::{
    breach::Breach,
    database::Violation,
    worker::{Surroundings, Worker},
};

impl World {
    pub(super) fn act(&mut self, n: usize) -> Result<(), Violation> {
        if self.was_removed(n) {
            return self.end_process(n);
        }
        let node = &self.nodes[n];
        if node.leading.is_none()
            && node.mono_us >= node.next_beat
            && let Some(leader) = node.leader
        {
            let (sent, troubles) = (node.mono_us, node.troubles());
            let leased = sent <= node.lease_until;
            self.nodes[n].next_beat = sent + crate::node::LEASE_US / 5;
            if self.linked(n, leader) {
                let delay = self.delay_between(n, leader);
                self.send(
                    delay,
                    Message::Heartbeat {
                        from: n,
                        to: leader,
                        sent,
                        leased,
                        troubles,
                    },
                );
            }
        }
        // A process does not know between which of its instructions it was stopped.
        if self.random.percent(50) {
            self.work(n)?;
            self.obey(n)
        } else {
            self.obey(n)?;
            self.work(n)
        }
    }

    /// Whether a node knows that it was removed, and that its vote is not asked for any more.
    fn was_removed(&self, n: usize) -> bool {
        let node = &self.nodes[n];
        let removed = self
            .known(n)
            .node(node.id)
            .is_some_and(|r| r.state() == NodeState::Removed);
        let votes = self.breach != Some(Breach::EarlyEnd) && self.may_vote(n, node.id);
        removed && !votes && node.leading.is_none()
    }

    /// A process ends for good, and the others can go on without it.
    fn end_process(&mut self, n: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        node.crash();
        node.gone = true;
        let id = node.id;
        let lives = |id: u64| self.place_of(id).is_some_and(|m| !self.nodes[m].gone);
        if self.log.entry(self.committed).config.agrees(lives) {
            Ok(())
        } else {
            Err(format!(
                "removed node {id} ended, and no majority of the voters is left"
            ))
        }
    }

    /// Brings what runs in line with the lease and with the metadata as this node knows them.
    fn obey(&mut self, n: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        if node.mono_us > node.lease_until {
            node.workers.clear();
            return Ok(());
        }
        let state = self.log.entry(node.commit).state.clone();
        let mut wanted = BTreeSet::new();
        let mut reports = Vec::new();
        for (project, _) in self.databases.iter().enumerate() {
            let id = Self::project_id(project);
            let Some(record) = state.project(&id) else {
                continue;
            };
            for c in record.components.iter().filter(|c| c.node == node.id) {
                let kind: ComponentKind = c.kind.parse().unwrap();
                let live = matches!(c.state(), ComponentState::Assigned | ComponentState::Running);
                let done = ReportComponent {
                    project: id.clone(),
                    kind: c.kind.clone(),
                    epoch: c.epoch,
                    state: ComponentState::Stopped as i32,
                    ..Default::default()
                };
                match c.desired() {
                    Desired::Run => {
                        wanted.insert((project, kind, c.epoch));
                        if live
                            && node
                                .workers
                                .get(&(project, kind))
                                .is_none_or(|w| w.epoch < c.epoch)
                        {
                            self.rules.starts(project, kind, c.epoch, n)?;
                            node.workers.insert(
                                (project, kind),
                                Worker::new(project, &id, kind, c.epoch, self.messages),
                            );
                        }
                    }
                    Desired::Stop if live => reports.push(done),
                    Desired::Remove if !c.removed => reports.push(ReportComponent {
                        removed: true,
                        ..done
                    }),
                    Desired::Stop | Desired::Remove | Desired::Unspecified => {}
                }
            }
        }
        // A claim of its own that came late may have fenced it: as long as the metadata say that it is the owner, it
        // tries again. A newer owner's claim would refuse it.
        let now = node.mono_us;
        node.workers
            .retain(|_, w| w.fenced.is_none_or(|at| now - at < 1_000_000));
        node.workers
            .retain(|(project, kind), w| wanted.contains(&(*project, *kind, w.epoch)));
        if self.tick.is_multiple_of(3) {
            for report in reports {
                self.propose(n, Body::ReportComponent(report));
            }
        }
        Ok(())
    }

    fn work(&mut self, n: usize) -> Result<(), Violation> {
        if self.nodes[n].workers.is_empty() {
            return Ok(());
        }
        let state = self.known(n).clone();
        let mut workers = std::mem::take(&mut self.nodes[n].workers);
        for worker in workers.values_mut() {
            let source_database = worker.project * 2;
            let open = |me: &Self, out| !me.cut_database.contains(&(n, source_database, out));
            let source =
                (open(self, true) && open(self, false)).then_some(self.databases[worker.project].0.end);
            let store = self.store_of(n, worker, &state);
            let latest = self.state().component(&worker.id, worker.kind);
            let current = latest.is_some_and(|c| c.epoch == worker.epoch);
            let mut disk = self.nodes[n].disk.get(&worker.project).copied();
            let requests = worker.step(&mut Surroundings {
                state: &state,
                now_us: self.nodes[n].mono_us,
                source,
                disk: &mut disk,
                store,
                current,
                breach: self.breach,
                random: &mut self.random,
            })?;
            if let Some(disk) = disk {
                self.nodes[n].disk.insert(worker.project, disk);
            }
            for (request, op) in requests {
                let caller = Caller {
                    node: n,
                    start: self.nodes[n].start,
                    project: worker.project,
                    kind: worker.kind,
                    epoch: worker.epoch,
                    request,
                };
                self.ask(caller, op);
            }
            if self.tick.is_multiple_of(4)
                && let Some(report) = worker.news(&state)
            {
                self.propose(n, Body::ReportComponent(report));
            }
        }
        self.nodes[n].workers = workers;
        Ok(())
    }

    /// What the Store's owner has, if this node reaches it.
    fn store_of(&self, n: usize, worker: &Worker, state: &MetaState) -> Option<(u64, u64)> {
        if worker.kind != ComponentKind::IncrSync {
            return None;
        }
        let store = state.component(&worker.id, ComponentKind::Store)?;
        let owner = self.place_of(store.node)?;
        let runs = owner == n
            || self.nodes[owner]
                .workers
                .contains_key(&(worker.project, ComponentKind::Store));
        if !runs || !self.nodes[owner].acts(self.tick) || !self.linked(n, owner) || !self.linked(owner, n) {
            return None;
        }
        self.nodes[owner].disk.get(&worker.project).copied()
    }

    pub(super) fn count_overlaps(&mut self) {
        let mut owners = BTreeSet::new();
        for node in self.nodes.iter().filter(|n| n.acts(self.tick)) {
            for ((project, kind), w) in &node.workers {
                if w.fenced.is_none() && !owners.insert((*project, *kind)) {
                    self.tally.overlaps += 1;
                }
            }
        }
    }
}
