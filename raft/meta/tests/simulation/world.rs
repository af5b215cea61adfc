//! Everything there is, and what happens in one tick.

use std::collections::{BTreeMap, BTreeSet};

use oms_meta::{Liveness, MetaCommand, MetaState, SchedulePolicy};
use oms_proto::{
    meta::{Command, Desired, ReportComponent, command::Body},
    peer::Trouble,
    v1::{ComponentState, NodeState},
};
use oms_types::ComponentKind;

use crate::{
    database::{Answer, Destination, Guards, Op, Source, Violation},
    node::Node,
    random::Random,
    rules::Rules,
    worker::{Surroundings, Worker},
};

/// Who asked a database, and for what.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    node: usize,
    start: u64,
    project: usize,
    kind: ComponentKind,
    epoch: u64,
    request: u64,
}

#[derive(Clone, Debug)]
enum Message {
    Heartbeat {
        from: usize,
        to: usize,
        sent: i64,
        troubles: Vec<Trouble>,
    },
    Lease {
        to: usize,
        sent: i64,
        lease: i64,
    },
    Propose {
        to: usize,
        body: Box<MetaCommand>,
    },
    Request {
        caller: Caller,
        op: Op,
    },
    Reply {
        caller: Caller,
        answer: Answer,
    },
}

/// What happened, for people.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) failovers: u64,
    pub(crate) moves: u64,
    /// Commits and claims of former owners that were refused.
    pub(crate) refused: u64,
    /// Ticks in which two nodes ran the same component.
    pub(crate) overlaps: u64,
    pub(crate) leaders: u64,
    pub(crate) transactions: u64,
    pub(crate) faults: u64,
}

impl Tally {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            failovers: self.failovers + other.failovers,
            moves: self.moves + other.moves,
            refused: self.refused + other.refused,
            overlaps: self.overlaps + other.overlaps,
            leaders: self.leaders + other.leaders,
            transactions: self.transactions + other.transactions,
            faults: self.faults + other.faults,
        }
    }
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) tick: u64,
    pub(crate) nodes: Vec<Node>,
    /// The state after each entry of the log.
    pub(crate) history: Vec<MetaState>,
    pub(crate) leader: Option<usize>,
    term: u64,
    leaderless: u64,
    patience: u64,
    /// Links that carry nothing, each in one direction.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// The same between nodes and databases; true: towards the database.
    pub(crate) cut_database: BTreeSet<(usize, usize, bool)>,
    queue: BTreeMap<(u64, u64), Message>,
    messages: u64,
    pub(crate) databases: Vec<(Source, Destination)>,
    rules: Rules,
    policy: SchedulePolicy,
    seen: (usize, Vec<Liveness>),
    pub(crate) writing: bool,
    pub(crate) tally: Tally,
}

impl World {
    pub(crate) fn new(
        random: Random,
        guards: Guards,
        state: MetaState,
        nodes: Vec<Node>,
        projects: usize,
    ) -> Self {
        let databases = (0..projects)
            .map(|_| (Source { end: 20 }, Destination::new(guards)))
            .collect();
        Self {
            random,
            tick: 0,
            nodes,
            history: vec![state],
            leader: None,
            term: 0,
            leaderless: 100,
            patience: 10,
            cut: BTreeSet::new(),
            cut_database: BTreeSet::new(),
            queue: BTreeMap::new(),
            messages: 0,
            databases,
            rules: Rules::default(),
            policy: SchedulePolicy {
                residence_ms: 3_000,
                rebalance_every_ms: 1_000,
                trouble_ms: 3_000,
                ..SchedulePolicy::default()
            },
            seen: (0, Vec::new()),
            writing: true,
            tally: Tally::default(),
        }
    }

    /// The metadata that are committed.
    pub(crate) fn state(&self) -> &MetaState {
        self.history.last().unwrap()
    }

    pub(crate) fn project_id(project: usize) -> String {
        format!("p{project}")
    }

    /// Number of a project's source; its destination is the next.
    pub(crate) fn database(project: usize, kind: ComponentKind) -> usize {
        project * 2 + usize::from(kind != ComponentKind::Store)
    }

    fn linked(&self, from: usize, to: usize) -> bool {
        from == to || !self.cut.contains(&(from, to))
    }

    fn votes(&self, node: usize) -> bool {
        let record = self.state().node(self.nodes[node].id);
        record.is_some_and(|n| n.state() != NodeState::Removed)
    }

    fn has_majority(&self, node: usize) -> bool {
        let voters: Vec<usize> = (0..self.nodes.len()).filter(|n| self.votes(*n)).collect();
        let reached = voters
            .iter()
            .filter(|n| self.nodes[**n].acts(self.tick) && self.linked(node, **n) && self.linked(**n, node))
            .count();
        reached > voters.len() / 2
    }

    /// The leader, if it can commit now.
    pub(crate) fn able_leader(&self) -> Option<usize> {
        self.leader.filter(|l| {
            let node = &self.nodes[*l];
            let leads = node.leading.as_ref().is_some_and(|l| l.term == self.term);
            leads && node.acts(self.tick) && self.votes(*l) && self.has_majority(*l)
        })
    }

    /// Commits a command. The leader's clock is the command's.
    pub(crate) fn commit(
        &mut self,
        leader: usize,
        body: MetaCommand,
    ) -> Result<Result<u64, String>, Violation> {
        let mut state = self.state().clone();
        let former = match &body {
            Body::ReportComponent(r) => self.rules.is_former(r),
            _ => None,
        };
        let reply = state.apply(&Command {
            version: oms_meta::VERSION,
            now_ms: self.nodes[leader].wall_ms(self.tick),
            body: Some(body),
        });
        if let Some(refusal) = reply.refusal {
            return Ok(Err(format!("{}: {}", refusal.code, refusal.message)));
        }
        if let Some(violation) = former {
            return Err(violation);
        }
        self.rules.state(&state)?;
        self.history.push(state);
        self.nodes[leader].applied = self.history.len() - 1;
        Ok(Ok(reply.object_version))
    }

    fn send(&mut self, delay: u64, message: Message) {
        self.messages += 1;
        self.queue.insert((self.tick + delay, self.messages), message);
    }

    /// Most are fast, some are not.
    fn delay(&mut self) -> u64 {
        if self.random.percent(2) {
            self.random.within(3, 40)
        } else {
            self.random.below(3)
        }
    }

    /// One moment of the world.
    pub(crate) fn advance(&mut self) -> Result<(), Violation> {
        self.tick += 1;
        for node in &mut self.nodes {
            node.pass();
        }
        self.deliver()?;
        self.elect();
        self.replicate();
        self.lead()?;
        for n in 0..self.nodes.len() {
            if self.nodes[n].acts(self.tick) {
                self.act(n)?;
            }
        }
        self.count_overlaps();
        if self.writing && self.random.percent(40) {
            for (source, _) in &mut self.databases {
                source.end += self.random.below(3);
            }
        }
        Ok(())
    }

    fn deliver(&mut self) -> Result<(), Violation> {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > self.tick {
                return Ok(());
            }
            let message = entry.remove();
            let receiver = match &message {
                Message::Heartbeat { to, .. } | Message::Lease { to, .. } | Message::Propose { to, .. } => {
                    Some(*to)
                }
                Message::Reply { caller, .. } => Some(caller.node),
                Message::Request { .. } => None,
            };
            if let Some(to) = receiver {
                let node = &self.nodes[to];
                if !node.up {
                    continue;
                }
                // What arrives at a process that is stopped waits in its socket.
                if node.frozen_until > self.tick {
                    let wait = node.frozen_until - self.tick;
                    self.send(wait, message);
                    continue;
                }
            }
            self.receive(message)?;
        }
        Ok(())
    }

    fn receive(&mut self, message: Message) -> Result<(), Violation> {
        match message {
            Message::Heartbeat {
                from,
                to,
                sent,
                troubles,
            } => {
                // Removed nodes get no lease.
                let known = self.history[self.nodes[to].applied]
                    .node(self.nodes[from].id)
                    .is_some_and(|n| n.state() != NodeState::Removed);
                let id = self.nodes[from].id;
                let lease = if known {
                    self.nodes[to].hear(id, troubles)
                } else {
                    None
                };
                if let Some(lease) = lease
                    && self.linked(to, from)
                {
                    let delay = self.delay();
                    self.send(
                        delay,
                        Message::Lease {
                            to: from,
                            sent,
                            lease,
                        },
                    );
                }
            }
            Message::Lease { to, sent, lease } => {
                let node = &mut self.nodes[to];
                node.lease_until = node.lease_until.max(sent + lease);
            }
            Message::Propose { to, body } => {
                if self.able_leader() == Some(to) {
                    let _ = self.commit(to, *body)?;
                }
            }
            Message::Request { caller, op } => {
                let (_, destination) = &mut self.databases[caller.project];
                let answer = destination.execute(caller.kind, caller.epoch, &op)?;
                let database = Self::database(caller.project, caller.kind);
                if !self.cut_database.contains(&(caller.node, database, false)) {
                    let delay = self.delay();
                    self.send(delay, Message::Reply { caller, answer });
                }
            }
            Message::Reply { caller, answer } => {
                let node = &mut self.nodes[caller.node];
                let now = node.mono_us;
                if node.start == caller.start
                    && let Some(worker) = node.workers.get_mut(&(caller.project, caller.kind))
                    && worker.epoch == caller.epoch
                {
                    worker.answered(caller.request, answer, now);
                }
            }
        }
        Ok(())
    }

    fn elect(&mut self) {
        if let Some(leader) = self.able_leader() {
            self.leaderless = 0;
            self.nodes[leader].confirm();
            return;
        }
        self.leaderless += 1;
        if self.leaderless < self.patience {
            return;
        }
        let able: Vec<usize> = (0..self.nodes.len())
            .filter(|n| self.nodes[*n].acts(self.tick) && self.votes(*n) && self.has_majority(*n))
            .collect();
        if able.is_empty() {
            return;
        }
        let chosen = self.random.pick(&able);
        self.term += 1;
        self.leader = Some(chosen);
        self.leaderless = 0;
        self.patience = self.random.within(8, 20);
        self.tally.leaders += 1;
        let last = self.history.len() - 1;
        let node = &mut self.nodes[chosen];
        node.applied = last;
        node.leader = Some(chosen);
        node.lead(self.term);
    }

    fn replicate(&mut self) {
        let Some(leader) = self.able_leader() else { return };
        for n in 0..self.nodes.len() {
            if n == leader || !self.nodes[n].acts(self.tick) || !self.linked(leader, n) || !self.votes(n) {
                continue;
            }
            let slow = self.random.percent(20);
            let last = self.history.len() - 1;
            let node = &mut self.nodes[n];
            node.term = self.term;
            node.leader = Some(leader);
            node.leading = None;
            if !slow {
                node.applied = last;
            }
        }
    }

    /// The leader's controller: after every change, when a node comes or goes, and now and then.
    fn lead(&mut self) -> Result<(), Violation> {
        let Some(leader) = self.able_leader() else {
            return Ok(());
        };
        let node = &self.nodes[leader];
        let ids: Vec<u64> = self.state().nodes().map(|n| n.id).collect();
        let view = node.view(ids.into_iter());
        let alive: Vec<Liveness> = view
            .nodes
            .values()
            .map(|n| match n.liveness {
                Liveness::Lost { .. } => Liveness::Lost { for_ms: 0 },
                other => other,
            })
            .collect();
        let seen = (self.history.len(), alive);
        if seen == self.seen && !self.tick.is_multiple_of(10) {
            return Ok(());
        }
        let plan = self.policy.plan(self.state(), &view, node.wall_ms(self.tick));
        for body in plan {
            if let Body::AssignComponent(a) = &body
                && a.raise_epoch
            {
                self.tally.failovers += u64::from(a.failover);
                self.tally.moves += u64::from(!a.failover && a.expected_epoch > 0);
            }
            let _ = self.commit(leader, body)?;
        }
        self.seen = seen;
        Ok(())
    }

    fn act(&mut self, n: usize) -> Result<(), Violation> {
        let node = &self.nodes[n];
        if node.leading.is_some() {
            // It needs no messages for its own lease, only a majority.
            if self.able_leader() == Some(n) {
                let node = &mut self.nodes[n];
                node.lease_until = node.mono_us + crate::node::LEASE_US;
            }
        } else if node.mono_us >= node.next_beat
            && let Some(leader) = node.leader
        {
            let (sent, troubles) = (node.mono_us, node.troubles());
            self.nodes[n].next_beat = sent + crate::node::LEASE_US / 5;
            if self.linked(n, leader) {
                let delay = self.delay();
                self.send(
                    delay,
                    Message::Heartbeat {
                        from: n,
                        to: leader,
                        sent,
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

    /// Brings what runs in line with the lease and with the metadata as this node knows them.
    fn obey(&mut self, n: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        if node.mono_us > node.lease_until {
            node.workers.clear();
            return Ok(());
        }
        let state = self.history[node.applied].clone();
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

    fn propose(&mut self, n: usize, body: MetaCommand) {
        let Some(leader) = self.nodes[n].leader else {
            return;
        };
        if self.linked(n, leader) {
            let delay = self.delay();
            self.send(
                delay,
                Message::Propose {
                    to: leader,
                    body: Box::new(body),
                },
            );
        }
    }

    fn work(&mut self, n: usize) -> Result<(), Violation> {
        if self.nodes[n].workers.is_empty() {
            return Ok(());
        }
        let state = self.history[self.nodes[n].applied].clone();
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
            let request = worker.step(&mut Surroundings {
                state: &state,
                now_us: self.nodes[n].mono_us,
                source,
                disk: &mut disk,
                store,
                current,
                random: &mut self.random,
            })?;
            if let Some(disk) = disk {
                self.nodes[n].disk.insert(worker.project, disk);
            }
            if let Some((request, op)) = request {
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

    fn ask(&mut self, caller: Caller, op: Op) {
        self.messages = self.messages.max(caller.request) + 1;
        let cut =
            self.cut_database
                .contains(&(caller.node, Self::database(caller.project, caller.kind), true));
        let delay = match (cut, self.random.percent(50)) {
            (false, _) => self.delay(),
            (true, true) => return,
            // It is sent again and again, and arrives when nobody expects it any more.
            (true, false) => self.random.within(10, 200),
        };
        self.send(delay, Message::Request { caller, op });
    }

    /// What the Store's owner has, if this node reaches it.
    fn store_of(&self, n: usize, worker: &Worker, state: &MetaState) -> Option<(u64, u64)> {
        if worker.kind != ComponentKind::IncrSync {
            return None;
        }
        let store = state.component(&worker.id, ComponentKind::Store)?;
        let owner = self.nodes.iter().position(|m| m.id == store.node)?;
        let runs = owner == n
            || self.nodes[owner]
                .workers
                .contains_key(&(worker.project, ComponentKind::Store));
        if !runs || !self.nodes[owner].acts(self.tick) || !self.linked(n, owner) || !self.linked(owner, n) {
            return None;
        }
        self.nodes[owner].disk.get(&worker.project).copied()
    }

    fn count_overlaps(&mut self) {
        let mut owners = BTreeSet::new();
        for node in self.nodes.iter().filter(|n| n.acts(self.tick)) {
            for ((project, kind), w) in &node.workers {
                if w.fenced.is_none() && !owners.insert((*project, *kind)) {
                    self.tally.overlaps += 1;
                }
            }
        }
    }

    /// Whether every project that was not given up has everything its source has.
    pub(crate) fn caught_up(&self) -> bool {
        self.databases
            .iter()
            .enumerate()
            .all(|(project, (source, destination))| {
                use oms_proto::v1::{ProjectState, StepState};
                let Some(p) = self
                    .state()
                    .project(&Self::project_id(project))
                    .and_then(|r| r.public.as_ref())
                else {
                    return true;
                };
                match p.state() {
                    ProjectState::Released => true,
                    ProjectState::Running => {
                        p.steps.iter().any(|s| s.state() == StepState::Monitoring)
                            && destination.equals(source).is_ok()
                    }
                    _ => false,
                }
            })
    }

    /// What stands in the way, for people.
    pub(crate) fn stuck(&self) -> String {
        let mut words = Vec::new();
        for (project, (source, destination)) in self.databases.iter().enumerate() {
            let Some(record) = self.state().project(&Self::project_id(project)) else {
                continue;
            };
            let p = record.public.as_ref().unwrap();
            words.push(format!(
                "{} {:?}, {:?} of {}",
                p.id,
                p.state(),
                destination.applied,
                source.end
            ));
            for c in &record.components {
                let at = format!(
                    "{} {:?} {:?} on {} in {}",
                    c.kind,
                    c.desired(),
                    c.state(),
                    c.node,
                    c.epoch
                );
                words.push(format!("{at} {}", c.waiting));
            }
        }
        let nodes = self
            .state()
            .nodes()
            .map(|n| format!("node {} {:?}", n.id, n.state()));
        words.extend(nodes);
        for node in &self.nodes {
            let (now, applied, last) = (node.mono_us, node.applied, self.history.len() - 1);
            words.push(format!(
                "process {} at {now} has {applied} of {last}, lease {}",
                node.id, node.lease_until
            ));
            words.extend(node.disk.iter().map(|(p, d)| format!("store {p} {d:?}")));
            words.extend(node.workers.values().map(|w| format!("{w:?}")));
        }
        words.join("; ")
    }
}
