//! Which nodes are there, as the leader knows from their heartbeats.

use std::{collections::BTreeMap, time::Duration};

use oms_meta::{ClusterView, Liveness, NodeView};
use oms_proto::{peer::Trouble, v1::NodeLoad};
use oms_raft::{RaftStatus, Role};
use parking_lot::Mutex;
use tokio::time::Instant;

/// What a node said in its last heartbeat.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// When it arrived.
    pub(crate) at: Instant,
    pub(crate) generation: u64,
    pub(crate) applied_index: u64,
    pub(crate) load: Option<NodeLoad>,
    pub(crate) troubles: Vec<Trouble>,
    /// It is about to stop: as good as lost.
    pub(crate) leaving: bool,
    /// It holds no lease: our answers do not reach it.
    pub(crate) without_lease: bool,
}

#[derive(Debug)]
struct Entry {
    last: Heard,
    /// When it was last heard to hold its lease. `None`: never, so it may not hear this leader.
    leased: Option<Instant>,
}

/// The leader's memory of heartbeats. Empty on every other node, and empty again with every new leadership.
///
/// A node counts as lost when 1.2 leases have passed since it was last heard, or since it last held a lease: where
/// only its own messages come through, it has stopped everything and waits in vain for answers. A leader that has led for less
/// cannot tell about nodes that it has not heard, because an earlier leader may have renewed their leases.
/// A leader that was itself asleep for a lease begins anew: nobody could have been heard meanwhile.
#[derive(Debug)]
pub(crate) struct LivenessTable {
    me: u64,
    lease: Duration,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    leading: Option<Leading>,
    heard: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Leading {
    term: u64,
    since: Instant,
    /// A majority confirmed this leadership in answer to something that was sent then.
    confirmed: Option<Instant>,
}

impl LivenessTable {
    pub(crate) fn new(me: u64, lease: Duration) -> Self {
        Self {
            me,
            lease,
            table: Mutex::default(),
        }
    }

    /// The lease that nodes are given.
    pub(crate) fn lease(&self) -> Duration {
        self.lease
    }

    /// The silence after which a node's lease has certainly run out.
    fn patience(&self) -> Duration {
        self.lease * 6 / 5
    }

    /// Follows consensus: what was heard under another leadership is forgotten. True while this node leads.
    pub(crate) fn observe(&self, status: &RaftStatus, now: Instant) -> bool {
        let mut table = self.table.lock();
        let leads = status.role == Role::Leader && status.leader == Some(self.me);
        if !leads {
            *table = Table::default();
        } else if table.leading.as_ref().is_none_or(|l| l.term != status.term) {
            *table = Table {
                leading: Some(Leading {
                    term: status.term,
                    since: now,
                    confirmed: None,
                }),
                heard: BTreeMap::new(),
            };
        }
        leads
    }

    /// How long this node has led, if it does. Counts anew after a freeze.
    pub(crate) fn led(&self, now: Instant) -> Option<Duration> {
        let table = self.table.lock();
        let leading = table.leading.as_ref()?;
        Some(now.saturating_duration_since(leading.since))
    }

    /// A majority confirmed the leadership of `term`, asked at `sent`. False when that is over meanwhile.
    pub(crate) fn confirm(&self, term: u64, sent: Instant, now: Instant) -> bool {
        let mut table = self.table.lock();
        let Some(leading) = table.leading.as_mut().filter(|l| l.term == term) else {
            return false;
        };
        let slept = leading
            .confirmed
            .is_some_and(|last| now.duration_since(last) > self.lease);
        leading.confirmed = leading.confirmed.max(Some(sent));
        if slept {
            leading.since = now;
            table.heard.clear();
        }
        true
    }

    /// How long after it was sent a heartbeat that arrives now may count; `None` when this node leads too
    /// uncertainly to say so. Never longer than this leader's own lease lasts, so that no node goes on
    /// longer than a new leader waits.
    pub(crate) fn grant(&self, now: Instant) -> Option<Duration> {
        let table = self.table.lock();
        let confirmed = table.leading.as_ref()?.confirmed?;
        let left = self.lease.checked_sub(now.duration_since(confirmed))?;
        (left >= self.lease / 5).then_some(left)
    }

    /// A heartbeat arrived. Ignored unless this node leads.
    pub(crate) fn hear(&self, node: u64, heard: Heard) {
        let mut table = self.table.lock();
        if table.leading.is_none() {
            return;
        }
        let known = table.heard.get(&node);
        let outdated = known.is_some_and(|known| {
            let known = &known.last;
            known.at > heard.at
                || known.generation > heard.generation
                // Said before the goodbye, and arrived after it.
                || (known.leaving && known.generation == heard.generation)
        });
        if outdated {
            return;
        }
        let leased = match heard.without_lease {
            true => known.and_then(|k| k.leased),
            false => Some(heard.at),
        };
        table.heard.insert(node, Entry { last: heard, leased });
    }

    /// What a node said last, on the leader.
    pub(crate) fn heard(&self, node: u64) -> Option<Heard> {
        self.table.lock().heard.get(&node).map(|e| e.last.clone())
    }

    /// Whether a node is there. `Unknown` on a node that does not lead.
    pub(crate) fn liveness(&self, node: u64, now: Instant) -> Liveness {
        self.judge(&self.table.lock(), node, now)
    }

    fn judge(&self, table: &Table, node: u64, now: Instant) -> Liveness {
        let Some(leading) = &table.leading else {
            return Liveness::Unknown;
        };
        if node == self.me {
            return Liveness::Alive;
        }
        // Somebody who has not reached a majority lately may have been asleep himself.
        let awake = leading
            .confirmed
            .is_some_and(|at| now.duration_since(at) <= self.lease);
        if !awake {
            return Liveness::Unknown;
        }
        let leaving = table.heard.get(&node).is_some_and(|e| e.last.leaving);
        let (last, known) = match table.heard.get(&node).and_then(|e| e.leased) {
            Some(leased) => (leased, true),
            None => (leading.since, false),
        };
        let silent = now.duration_since(last);
        if leaving || silent > self.patience() {
            Liveness::Lost {
                for_ms: u64::try_from(silent.as_millis()).unwrap_or(u64::MAX),
            }
        } else if known {
            Liveness::Alive
        } else {
            Liveness::Unknown
        }
    }

    /// The named nodes as this leader sees them.
    pub(crate) fn view(&self, nodes: impl IntoIterator<Item = u64>, now: Instant) -> ClusterView {
        let table = self.table.lock();
        let nodes = nodes
            .into_iter()
            .map(|id| {
                let heard = table.heard.get(&id).map(|e| &e.last);
                let aged = |t: &Trouble| Trouble {
                    for_ms: heard.map_or(t.for_ms, |h| {
                        let age = now.duration_since(h.at).as_millis();
                        t.for_ms.saturating_add(u64::try_from(age).unwrap_or(u64::MAX))
                    }),
                    ..t.clone()
                };
                let view = NodeView {
                    liveness: self.judge(&table, id, now),
                    load: heard.and_then(|h| h.load),
                    troubles: heard
                        .map(|h| h.troubles.iter().map(aged).collect())
                        .unwrap_or_default(),
                };
                (id, view)
            })
            .collect();
        ClusterView { me: self.me, nodes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(2_500);

    fn at(base: Instant, ms: u64) -> Instant {
        base + Duration::from_millis(ms)
    }

    fn status(leader: u64, term: u64) -> RaftStatus {
        RaftStatus {
            role: if leader == 1 { Role::Leader } else { Role::Follower },
            term,
            leader: Some(leader),
            applied: 0,
        }
    }

    fn beat(now: Instant) -> Heard {
        Heard {
            at: now,
            generation: 1,
            applied_index: 7,
            load: None,
            troubles: Vec::new(),
            leaving: false,
            without_lease: false,
        }
    }

    /// A leader since `t`, confirmed every 250 ms up to `until`.
    fn leader(t: Instant, until: u64) -> LivenessTable {
        let table = LivenessTable::new(1, LEASE);
        assert!(table.observe(&status(1, 3), t));
        for ms in (0..=until).step_by(250) {
            assert!(table.confirm(3, at(t, ms), at(t, ms)));
        }
        table
    }

    #[test]
    fn a_new_leader_does_not_know_until_every_old_lease_is_over() {
        let t = Instant::now();
        let table = leader(t, 3_000);
        assert_eq!(table.liveness(1, t), Liveness::Alive);
        assert_eq!(table.liveness(2, at(t, 3_000)), Liveness::Unknown);
        assert_eq!(table.liveness(2, at(t, 3_001)), Liveness::Lost { for_ms: 3_001 });
        table.hear(2, beat(at(t, 3_001)));
        assert_eq!(table.liveness(2, at(t, 3_002)), Liveness::Alive);
    }

    #[test]
    fn silence_longer_than_the_lease_is_a_loss() {
        let t = Instant::now();
        let table = leader(t, 4_000);
        table.hear(2, beat(at(t, 1_000)));
        assert_eq!(table.liveness(2, at(t, 4_000)), Liveness::Alive);
        assert_eq!(table.liveness(2, at(t, 4_001)), Liveness::Lost { for_ms: 3_001 });
        // One that was heard by an earlier process of the node must not hide a newer one.
        table.hear(
            2,
            Heard {
                generation: 2,
                ..beat(at(t, 4_100))
            },
        );
        table.hear(2, beat(at(t, 4_200)));
        assert_eq!(table.heard(2).unwrap().generation, 2);
    }

    #[test]
    fn who_says_goodbye_is_lost_until_it_starts_again() {
        let t = Instant::now();
        let table = leader(t, 4_000);
        table.hear(2, beat(at(t, 1_000)));
        table.hear(
            2,
            Heard {
                leaving: true,
                ..beat(at(t, 1_100))
            },
        );
        table.hear(2, beat(at(t, 1_200)));
        assert!(matches!(table.liveness(2, at(t, 1_200)), Liveness::Lost { .. }));
        table.hear(
            2,
            Heard {
                generation: 2,
                ..beat(at(t, 1_300))
            },
        );
        assert_eq!(table.liveness(2, at(t, 1_300)), Liveness::Alive);
    }

    #[test]
    fn who_speaks_and_hears_nothing_is_lost() {
        let t = Instant::now();
        let table = leader(t, 6_000);
        let deaf = |ms| Heard {
            without_lease: true,
            ..beat(at(t, ms))
        };
        // At its start every node is without a lease for a moment; only its next word shows that it hears.
        table.hear(2, deaf(500));
        assert_eq!(table.liveness(2, at(t, 500)), Liveness::Unknown);
        table.hear(2, beat(at(t, 1_000)));
        for ms in (1_500..=4_000).step_by(500) {
            table.hear(2, deaf(ms));
        }
        assert_eq!(table.liveness(2, at(t, 4_000)), Liveness::Alive);
        assert_eq!(table.liveness(2, at(t, 4_001)), Liveness::Lost { for_ms: 3_001 });
        table.hear(2, beat(at(t, 4_500)));
        assert_eq!(table.liveness(2, at(t, 4_500)), Liveness::Alive);
        // Started anew it is as it was for a moment, and nobody moves away from it or to it for that.
        let anew = Heard {
            generation: 2,
            ..deaf(5_000)
        };
        table.hear(2, anew);
        assert_eq!(table.liveness(2, at(t, 5_000)), Liveness::Alive);
        assert!(table.heard(2).unwrap().generation == 2);
    }

    /// A leader that was cut off and hears others again does not know yet whether they hear it.
    #[test]
    fn who_only_speaks_is_not_there_for_a_leader_that_slept() {
        let t = Instant::now();
        let table = leader(t, 1_000);
        table.hear(2, beat(at(t, 1_000)));
        table.confirm(3, at(t, 60_000), at(t, 60_000));
        for ms in (60_250..=63_250).step_by(250) {
            table.confirm(3, at(t, ms), at(t, ms));
            let deaf = Heard {
                without_lease: true,
                ..beat(at(t, ms))
            };
            table.hear(2, deaf);
            assert_ne!(table.liveness(2, at(t, ms)), Liveness::Alive);
        }
        assert_eq!(table.liveness(2, at(t, 63_250)), Liveness::Lost { for_ms: 3_250 });
    }

    #[test]
    fn leadership_that_ends_forgets_everything() {
        let t = Instant::now();
        let table = leader(t, 4_000);
        table.hear(2, beat(at(t, 4_000)));
        assert!(!table.observe(&status(2, 4), at(t, 4_001)));
        assert_eq!(table.liveness(2, at(t, 9_000)), Liveness::Unknown);
        assert!(table.heard(2).is_none());
        assert!(table.grant(at(t, 4_001)).is_none());
        table.hear(2, beat(at(t, 4_002)));
        assert!(table.heard(2).is_none());
        assert!(table.observe(&status(1, 5), at(t, 5_000)));
        assert_eq!(table.liveness(2, at(t, 5_001)), Liveness::Unknown);
    }

    #[test]
    fn a_leader_gives_no_lease_beyond_its_own() {
        let t = Instant::now();
        let table = leader(t, 0);
        assert_eq!(table.grant(at(t, 400)), Some(LEASE - Duration::from_millis(400)));
        assert_eq!(table.grant(at(t, 2_001)), None);
        // A confirmation of an earlier leadership is worth nothing.
        assert!(!table.confirm(2, at(t, 2_000), at(t, 2_000)));
        assert_eq!(table.grant(at(t, 2_001)), None);
        table.confirm(3, at(t, 2_000), at(t, 2_001));
        assert_eq!(table.grant(at(t, 2_001)), Some(LEASE - Duration::from_millis(1)));
    }

    #[test]
    fn a_leader_that_slept_does_not_take_its_own_absence_for_theirs() {
        let t = Instant::now();
        let table = leader(t, 1_000);
        table.hear(2, beat(at(t, 1_000)));
        assert_eq!(table.liveness(2, at(t, 60_000)), Liveness::Unknown);
        table.confirm(3, at(t, 60_000), at(t, 60_010));
        assert_eq!(table.liveness(2, at(t, 60_020)), Liveness::Unknown);
        for ms in (60_250..=63_250).step_by(250) {
            table.confirm(3, at(t, ms), at(t, ms));
        }
        assert!(matches!(table.liveness(2, at(t, 63_250)), Liveness::Lost { .. }));
    }

    #[test]
    fn the_view_shows_what_was_said_and_how_long_ago() {
        let t = Instant::now();
        let table = leader(t, 1_000);
        let trouble = Trouble {
            component: "p_1.store".into(),
            epoch: 4,
            for_ms: 500,
            code: "OMS-SRC-0001".into(),
        };
        table.hear(
            2,
            Heard {
                troubles: vec![trouble],
                ..beat(at(t, 600))
            },
        );
        let view = table.view([1, 2, 3], at(t, 1_000));
        assert_eq!(view.me, 1);
        assert!(view.is_alive(1) && view.is_alive(2) && !view.is_alive(3));
        assert_eq!(view.nodes[&2].troubles[0].for_ms, 900);
    }
}
