//! A node: a process with clocks of its own, a copy of the metadata, a lease and workers.

use std::collections::BTreeMap;

use oms_meta::{ClusterView, Liveness, NodeView};
use oms_proto::peer::Trouble;
use oms_types::ComponentKind;

use crate::{TICK_MS, worker::Worker};

pub(crate) const LEASE_US: i64 = 2_500_000;
const PATIENCE_US: i64 = LEASE_US * 6 / 5;

/// What a leader remembers, and who only believes to be one.
#[derive(Clone, Debug)]
pub(crate) struct Leading {
    pub(crate) term: u64,
    since: i64,
    confirmed: i64,
    heard: BTreeMap<u64, (i64, Vec<Trouble>)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: u64,
    pub(crate) up: bool,
    /// Stopped, with everything in memory and in its sockets kept, until this tick.
    pub(crate) frozen_until: u64,
    /// Speed of its monotonic clock in thousandths.
    rate: i64,
    /// Error of its wall clock.
    skew_ms: i64,
    pub(crate) mono_us: i64,
    /// Entries of the log that it has applied.
    pub(crate) applied: usize,
    pub(crate) term: u64,
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
            frozen_until: 0,
            rate,
            skew_ms,
            mono_us: 0,
            applied: 0,
            term: 0,
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

    pub(crate) fn pass(&mut self) {
        self.mono_us += i64::try_from(TICK_MS).unwrap() * self.rate;
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

    pub(crate) fn restart(&mut self) {
        self.up = true;
        self.frozen_until = 0;
        self.lease_until = self.mono_us;
    }

    pub(crate) fn lead(&mut self, term: u64) {
        self.term = term;
        self.leading = Some(Leading {
            term,
            since: self.mono_us,
            confirmed: self.mono_us,
            heard: BTreeMap::new(),
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

    /// A heartbeat arrived; the lease that it gives, if this node may give one.
    pub(crate) fn hear(&mut self, from: u64, troubles: Vec<Trouble>) -> Option<i64> {
        let now = self.mono_us;
        let leading = self.leading.as_mut()?;
        leading.heard.insert(from, (now, troubles));
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
