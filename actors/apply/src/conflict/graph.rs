//! Who holds which lock.

use smallvec::SmallVec;

use super::{
    hash::HashedMap,
    keys::{KeyLock, TransactionKeys},
};

/// Where a transaction may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// It conflicts with nothing in flight: any lane.
    Anywhere,
    /// All it conflicts with is on this lane: behind it.
    Behind(u32),
    /// It conflicts with transactions on several lanes: wait until one of them is left.
    Wait,
}

/// The locks of all transactions in flight.
///
/// Pure. The caller asks [`ConflictGraph::place`] in log order, enters the transaction on a lane
/// that the answer allows, and leaves once it is committed. Lanes execute in the order of entering.
#[derive(Debug, Default)]
pub struct ConflictGraph {
    held: HashedMap<Holders>,
}

/// Lanes that hold a lock. Nearly always one.
type Holders = SmallVec<[Holder; 1]>;

#[derive(Clone, Copy, Debug)]
struct Holder {
    lane: u32,
    shared: u32,
    exclusive: u32,
}

impl ConflictGraph {
    /// A graph with nothing in flight.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where a transaction with these locks may go now.
    pub fn place(&self, keys: &TransactionKeys) -> Placement {
        let mut found = Placement::Anywhere;
        for lock in keys.locks() {
            let Some(holders) = self.held.get(&lock.hash) else {
                continue;
            };
            for holder in holders {
                if lock.shared && holder.exclusive == 0 {
                    continue;
                }
                match found {
                    Placement::Anywhere => found = Placement::Behind(holder.lane),
                    Placement::Behind(lane) if lane == holder.lane => {}
                    Placement::Behind(_) | Placement::Wait => return Placement::Wait,
                }
            }
        }
        found
    }

    /// Notes that a transaction was given to a lane.
    pub fn enter(&mut self, keys: &TransactionKeys, lane: u32) {
        for KeyLock { hash, shared } in keys.locks() {
            let holders = self.held.entry(*hash).or_default();
            let at = match holders.iter().position(|h| h.lane == lane) {
                Some(at) => at,
                None => {
                    holders.push(Holder {
                        lane,
                        shared: 0,
                        exclusive: 0,
                    });
                    holders.len() - 1
                }
            };
            if let Some(holder) = holders.get_mut(at) {
                let count = if *shared {
                    &mut holder.shared
                } else {
                    &mut holder.exclusive
                };
                *count += 1;
            }
        }
    }

    /// Releases the locks of a transaction that was entered on a lane.
    pub fn leave(&mut self, keys: &TransactionKeys, lane: u32) {
        for KeyLock { hash, shared } in keys.locks() {
            let Some(holders) = self.held.get_mut(hash) else {
                continue;
            };
            if let Some(holder) = holders.iter_mut().find(|h| h.lane == lane) {
                let count = if *shared {
                    &mut holder.shared
                } else {
                    &mut holder.exclusive
                };
                *count = count.saturating_sub(1);
            }
            holders.retain(|h| h.shared > 0 || h.exclusive > 0);
            if holders.is_empty() {
                self.held.remove(hash);
            }
        }
    }

    /// Number of different locks that are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn keys(locks: &[(u64, bool)]) -> TransactionKeys {
        TransactionKeys::new(
            locks
                .iter()
                .map(|&(hash, shared)| KeyLock { hash, shared })
                .collect(),
        )
    }

    #[test]
    fn readers_do_not_exclude_each_other() {
        let mut graph = ConflictGraph::new();
        graph.enter(&keys(&[(1, true)]), 0);
        assert_eq!(graph.place(&keys(&[(1, true)])), Placement::Anywhere);
        graph.enter(&keys(&[(1, true)]), 1);
        assert_eq!(graph.place(&keys(&[(1, false)])), Placement::Wait);
        graph.leave(&keys(&[(1, true)]), 0);
        assert_eq!(graph.place(&keys(&[(1, false)])), Placement::Behind(1));
        graph.leave(&keys(&[(1, true)]), 1);
        assert!(graph.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// Conflicting transactions end in log order whatever the lanes do, and nobody waits for ever.
        #[test]
        fn conflicting_transactions_end_in_log_order(
            history in prop::collection::vec(prop::collection::vec((0u64..12, any::<bool>()), 0..4), 1..40),
            lanes in 1u32..5,
            choices in prop::collection::vec(any::<u8>(), 200),
        ) {
            let all: Vec<_> = history.iter().map(|locks| keys(locks)).collect();
            let conflict = |a: &TransactionKeys, b: &TransactionKeys| a.locks().iter().any(|x| {
                b.locks().iter().any(|y| x.hash == y.hash && !(x.shared && y.shared))
            });
            let mut graph = ConflictGraph::new();
            let mut queues = vec![VecDeque::new(); lanes as usize];
            let mut ended: Vec<usize> = Vec::new();
            let mut choice = choices.into_iter().cycle();
            let mut next = 0;
            while ended.len() < all.len() {
                let pick = choice.next().unwrap();
                if next < all.len() && pick & 1 == 0 {
                    let lane = match graph.place(&all[next]) {
                        Placement::Anywhere => Some(u32::from(pick >> 1) % lanes),
                        Placement::Behind(lane) => Some(lane),
                        Placement::Wait => None,
                    };
                    if let Some(lane) = lane {
                        graph.enter(&all[next], lane);
                        queues[lane as usize].push_back(next);
                        next += 1;
                        continue;
                    }
                }
                let lane = (0..lanes as usize)
                    .map(|i| (i + usize::from(pick)) % lanes as usize)
                    .find(|l| !queues[*l].is_empty());
                match lane {
                    Some(lane) => {
                        let number: usize = queues[lane].pop_front().unwrap();
                        graph.leave(&all[number], lane as u32);
                        ended.push(number);
                    }
                    None => prop_assert!(next < all.len() && graph.place(&all[next]) != Placement::Wait),
                }
            }
            prop_assert!(graph.is_empty());
            for (i, a) in ended.iter().enumerate() {
                for b in &ended[i + 1..] {
                    prop_assert!(a < b || !conflict(&all[*a], &all[*b]));
                }
            }
        }
    }
}
