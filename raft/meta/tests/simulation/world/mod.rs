//! Everything there is, and what happens in one tick.

mod agent;
mod consensus;
mod members;
mod outcome;
mod room;
mod tally;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use oms_meta::{Liveness, MetaState, SchedulePolicy, VoterPolicy};
use oms_types::ComponentKind;

use crate::{
    breach::Breach,
    database::{Destination, KEYS, ROWS, Source, Violation},
    log::{Config, Log},
    node::Node,
    random::Random,
    rules::Rules,
};

pub(crate) use consensus::Outcome;
pub(crate) use tally::Tally;
use wire::Message;

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) breach: Option<Breach>,
    pub(crate) tick: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) log: Log,
    /// The last entry that anybody committed.
    pub(crate) committed: usize,
    /// Links that carry nothing, each in one direction.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// Links that are slow, each in one direction, by so many ticks.
    pub(crate) slow: BTreeMap<(usize, usize), u64>,
    /// The same between nodes and databases; true: towards the database.
    pub(crate) cut_database: BTreeSet<(usize, usize, bool)>,
    queue: BTreeMap<(u64, u64), Message>,
    messages: u64,
    pub(crate) databases: Vec<(Source, Destination)>,
    rules: Rules,
    policy: SchedulePolicy,
    voters: VoterPolicy,
    /// Draws what concerns quotas, where nodes have them.
    pub(crate) quotas: Option<Random>,
    pub(crate) writing: bool,
    /// When the last node was lost for good.
    pub(crate) lost_at: u64,
    pub(crate) tally: Tally,
}

impl World {
    pub(crate) fn new(
        random: Random,
        breach: Option<Breach>,
        state: MetaState,
        nodes: Vec<Node>,
        projects: usize,
        quotas: Option<Random>,
    ) -> Self {
        let databases = (0..projects)
            .map(|_| (Source { end: 20 }, Destination::new(breach)))
            .collect();
        // The first node founded the cluster; the others are let in.
        let founder = Config {
            sets: vec![BTreeSet::from([1])],
            learners: BTreeSet::new(),
        };
        Self {
            random,
            breach,
            tick: 0,
            nodes,
            log: Log::new(state, founder),
            committed: 0,
            cut: BTreeSet::new(),
            slow: BTreeMap::new(),
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
            voters: VoterPolicy { lost_ms: 4_000 },
            quotas,
            writing: true,
            lost_at: 0,
            tally: Tally::default(),
        }
    }

    pub(crate) fn project_id(project: usize) -> String {
        format!("p{project}")
    }

    /// Number of a project's source; its destination is the next.
    pub(crate) fn database(project: usize, kind: ComponentKind) -> usize {
        project * 2 + usize::from(kind != ComponentKind::Store)
    }

    /// One moment of the world.
    pub(crate) fn advance(&mut self) -> Result<(), Violation> {
        self.tick += 1;
        for node in &mut self.nodes {
            node.pass(self.tick);
        }
        self.deliver()?;
        self.elect()?;
        for l in self.leaders() {
            self.replicate(l)?;
        }
        for l in self.leaders() {
            self.care(l)?;
            self.lead(l)?;
        }
        for n in 0..self.nodes.len() {
            if self.nodes[n].acts(self.tick) {
                self.act(n)?;
            }
        }
        self.count_overlaps();
        if self.writing {
            self.write();
        }
        Ok(())
    }

    /// Applications write to the sources, and now and then somebody spoils a row of a destination.
    fn write(&mut self) {
        let busy = self.random.percent(40);
        for (source, destination) in &mut self.databases {
            if busy {
                source.end += self.random.below(3);
            }
            let copied = destination.receipts.len() as u64 > crate::database::CHUNKS;
            if copied && !destination.is_verifying() && self.random.percent(1) {
                destination.rows.damage(self.random.within(KEYS, ROWS - 1));
                self.tally.damaged += 1;
            }
        }
    }

    /// A leader's controller: after every change, when a node comes or goes, and now and then.
    fn lead(&mut self, leader: usize) -> Result<(), Violation> {
        let node = &self.nodes[leader];
        let Some(leading) = &node.leading else {
            return Ok(());
        };
        // It waits for the answer to what it proposed last.
        if node.last != node.commit {
            return Ok(());
        }
        let state = self.known(leader).clone();
        let ids: Vec<u64> = state.nodes().map(|n| n.id).collect();
        let view = node.view(ids.into_iter());
        let alive: Vec<Liveness> = view
            .nodes
            .values()
            .map(|n| match n.liveness {
                Liveness::Lost { .. } => Liveness::Lost { for_ms: 0 },
                other => other,
            })
            .collect();
        let seen = (node.commit, alive);
        if seen == leading.planned && !self.tick.is_multiple_of(10) {
            return Ok(());
        }
        let mut plan = self.policy.plan(&state, &view, node.wall_ms(self.tick));
        if self.quotas.is_some() {
            if self.breach == Some(Breach::NoRoom) {
                plan = room::without(plan);
            }
            self.tally.made_room += room::made(&plan);
            // What the leader has nothing to say about is as it wants it.
            if plan.is_empty() {
                room::given(&state, &view)?;
            }
        }
        for body in plan {
            if self.nodes[leader].leading.is_some() {
                let _ = self.commit(leader, body)?;
            }
        }
        if let Some(leading) = self.nodes[leader].leading.as_mut() {
            leading.planned = seen;
        }
        Ok(())
    }
}
