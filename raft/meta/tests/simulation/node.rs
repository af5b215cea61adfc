//! A node: a process with clocks of its own, a copy of the metadata, a lease and workers.

use std::collections::{BTreeMap, BTreeSet};

use oms_meta::{ClusterView, Liveness, NodeView};
use oms_proto::peer::Trouble;
use oms_types::ComponentKind;

use crate::{TICK_MS, breach::Breach, worker::Worker};

pub(crate) const LEASE_US: i64 = 2_500_000;
const PATIENCE_US: i64 = LEASE_US * 6 / 5;

/// What a leader remembers, and who only believes to be one.
#[derive(Clone, Debug)]
pub(crate) struct Leading {
    /// When it was elected, in ticks.
    pub(crate) elected: u64,
    since: i64,
    confirmed: i64,
    heard: BTreeMap<u64, (i64, Vec<Trouble>)>,
    /// The voters that it is changing to, as long as both sets must agree.
    pub(crate) changing: Option<BTreeSet<u64>>,
    /// When each member last answered it, in ticks. What really was, not what it concludes from heartbeats.
    pub(crate) answered: BTreeMap<u64, u64>,
    /// What it last planned for.
    pub(crate) planned: (usize, Vec<Liveness>),
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) up: bool,
    /// Lost for good, with its disk.
    pub(crate) gone: bool,
    /// Stopped, with everything in memory and in its sockets kept, until this tick.
    pub(crate) frozen_until: u64,
    /// Speed of its monotonic clock in thousandths.
    rate: i64,
    /// Error of its wall clock.
    skew_ms: i64,
    pub(crate) mono_us: i64,
    /// The last entry of its log, and the last of it that it knows to be committed.
    pub(crate) last: usize,
    pub(crate) commit: usize,
    pub(crate) term: u64,
    /// Whether it gave its vote of this term away.
    pub(crate) voted: bool,
    /// When it last heard a leader, in ticks, and how long it waits for one.
    pub(crate) heard_at: u64,
    pub(crate) patience: u64,
    pub(crate) leader: Option<usize>,
    pub(crate) lease_until: i64,
    pub(crate) next_beat: i64,
    pub(crate) leading: Option<Leading>,
    pub(crate) workers: BTreeMap<(usize, ComponentKind), Worker>,
    /// The change logs on its disk.
    pub(crate) disk: BTreeMap<usize, (u64, u64)>,
    /// Which start of the process this is.
    pub(crate) start: u64,
}

impl Node {
    pub(crate) fn new(id: u64, rate: i64, skew_ms: i64) -> Self {
        Self {
            id,
            up: true,
            gone: false,
            frozen_until: 0,
            rate,
            skew_ms,
            mono_us: 0,
            last: 0,
            commit: 0,
            term: 0,
            voted: false,
            heard_at: 0,
            patience: 10,
            leader: None,
            lease_until: 0,
            next_beat: 0,
            leading: None,
            workers: BTreeMap::new(),
            disk: BTreeMap::new(),
            start: 0,
        }
    }

    /// Whether it does anything at this tick.
    pub(crate) fn acts(&self, tick: u64) -> bool {
        self.up && self.frozen_until <= tick
    }

    pub(crate) fn pass(&mut self, tick: u64) {
        self.mono_us += i64::try_from(TICK_MS).unwrap() * self.rate;
        // What waited in its sockets tells it that everybody was there when it fell asleep.
        if self.up
            && self.frozen_until > tick
            && let Some(leading) = self.leading.as_mut()
        {
            leading.elected += 1;
            leading.answered.values_mut().for_each(|at| *at += 1);
        }
    }

    pub(crate) fn wall_ms(&self, tick: u64) -> i64 {
        1_000_000_000 + i64::try_from(tick * TICK_MS).unwrap() + self.skew_ms
    }

    pub(crate) fn crash(&mut self) {
        self.up = false;
        self.workers.clear();
        self.leading = None;
        self.start += 1;
    }

    /// Starts it if it is down and can be started.
    pub(crate) fn restart(&mut self, tick: u64) {
        if !self.up && !self.gone {
            self.up = true;
            self.frozen_until = 0;
            self.lease_until = self.mono_us;
            self.heard_at = tick;
        }
    }

    /// Somebody sets its time of day.
    pub(crate) fn set_clock(&mut self, skew_ms: i64) {
        self.skew_ms = skew_ms;
    }

    /// It hears of a later term.
    pub(crate) fn enter(&mut self, term: u64) {
        if term > self.term {
            self.term = term;
            self.voted = false;
            self.leading = None;
        }
    }

    pub(crate) fn lead(&mut self, tick: u64) {
        self.leading = Some(Leading {
            elected: tick,
            since: self.mono_us,
            confirmed: self.mono_us,
            heard: BTreeMap::new(),
            changing: None,
            answered: BTreeMap::new(),
            planned: (0, Vec::new()),
        });
    }

    /// A majority answered just now.
    pub(crate) fn confirm(&mut self) {
        let now = self.mono_us;
        if let Some(leading) = self.leading.as_mut() {
            if now - leading.confirmed > LEASE_US {
                leading.since = now;
                leading.heard.clear();
            }
            leading.confirmed = now;
        }
    }

    /// A heartbeat arrived; the lease that it gives, if this node may give one. Who says that it holds no lease does not
    /// hear this node, or not yet: that counts for nothing.
    pub(crate) fn hear(
        &mut self,
        from: u64,
        leased: bool,
        troubles: Vec<Trouble>,
        breach: Option<Breach>,
    ) -> Option<i64> {
        let now = self.mono_us;
        let leading = self.leading.as_mut()?;
        let last = leading.heard.get(&from).map(|(at, _)| *at);
        // Among voters that hear their leader one step between sets is hardly ever noticed.
        let hasty = breach == Some(Breach::OneStep);
        let at = match leased {
            true => Some(now),
            false => last.or(hasty.then_some(now)),
        };
        if let Some(at) = at {
            leading.heard.insert(from, (at, troubles));
        }
        let left = LEASE_US - (now - leading.confirmed);
        (left >= LEASE_US / 5).then_some(left)
    }

    /// The cluster as this node sees it while it believes to lead.
    pub(crate) fn view(&self, nodes: impl Iterator<Item = u64>) -> ClusterView {
        let view = |id: u64| {
            let Some(leading) = &self.leading else {
                return NodeView::default();
            };
            let heard = leading.heard.get(&id);
            let silent = self.mono_us - heard.map_or(leading.since, |(at, _)| *at);
            let liveness = if id == self.id {
                Liveness::Alive
            } else if self.mono_us - leading.confirmed > LEASE_US {
                Liveness::Unknown
            } else if silent > PATIENCE_US {
                Liveness::Lost {
                    for_ms: u64::try_from(silent / 1000).unwrap(),
                }
            } else if heard.is_some() {
                Liveness::Alive
            } else {
                Liveness::Unknown
            };
            NodeView {
                liveness,
                load: None,
                troubles: heard.map(|(_, t)| t.clone()).unwrap_or_default(),
            }
        };
        ClusterView {
            me: self.id,
            nodes: nodes.map(|id| (id, view(id))).collect(),
        }
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        let trouble = |w: &Worker| {
            Some(Trouble {
                component: format!("{}.{}", w.id, w.kind),
                epoch: w.epoch,
                for_ms: w.trouble_ms(self.mono_us)?,
                code: "OMS-DST-0001".into(),
            })
        };
        self.workers.values().filter_map(trouble).collect()
    }
}
