//! The logs of all nodes: a tree, because a leader that was deposed may have entries that nobody else has.

use std::{collections::BTreeSet, sync::Arc};

use oms_meta::MetaState;
use oms_proto::meta::ReportComponent;

/// Who takes part in consensus, by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Sets of voters of which each must agree: two while a change is under way.
    pub(crate) sets: Vec<BTreeSet<u64>>,
    pub(crate) learners: BTreeSet<u64>,
}

impl Config {
    pub(crate) fn votes(&self, id: u64) -> bool {
        self.sets.iter().any(|s| s.contains(&id))
    }

    pub(crate) fn members(&self) -> BTreeSet<u64> {
        self.sets
            .iter()
            .flatten()
            .chain(&self.learners)
            .copied()
            .collect()
    }

    /// Whether of each set of voters a majority fulfils this.
    pub(crate) fn agrees(&self, yes: impl Fn(u64) -> bool) -> bool {
        self.sets.iter().all(|s| is_majority(s, &yes))
    }
}

/// Whether a majority fulfils this.
pub(crate) fn is_majority(set: &BTreeSet<u64>, yes: impl Fn(u64) -> bool) -> bool {
    set.iter().filter(|id| yes(**id)).count() > set.len() / 2
}

/// An entry, with what the metadata and the members are behind it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    parent: usize,
    pub(crate) index: u64,
    pub(crate) term: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) state: MetaState,
    /// The report that was taken with it, if it is one.
    pub(crate) report: Option<Box<ReportComponent>>,
}

/// All entries of all nodes, known by their numbers. 0 is the root, which everybody has.
#[derive(Clone, Debug)]
pub(crate) struct Log(Vec<Entry>);

impl Log {
    pub(crate) fn new(state: MetaState, config: Config) -> Self {
        Self(vec![Entry {
            parent: 0,
            index: 0,
            term: 0,
            config: Arc::new(config),
            state,
            report: None,
        }])
    }

    pub(crate) fn entry(&self, number: usize) -> &Entry {
        &self.0[number]
    }

    /// An entry behind another one. What is not given is as before.
    pub(crate) fn append(
        &mut self,
        parent: usize,
        term: u64,
        config: Option<Config>,
        state: Option<MetaState>,
        report: Option<Box<ReportComponent>>,
    ) -> usize {
        let before = &self.0[parent];
        let entry = Entry {
            parent,
            index: before.index + 1,
            term,
            config: config.map_or_else(|| Arc::clone(&before.config), Arc::new),
            state: state.unwrap_or_else(|| before.state.clone()),
            report,
        };
        self.0.push(entry);
        self.0.len() - 1
    }

    /// Whether the log that ends at `end` contains the entry.
    pub(crate) fn contains(&self, end: usize, entry: usize) -> bool {
        let index = self.0[entry].index;
        let mut at = end;
        while self.0[at].index > index {
            at = self.0[at].parent;
        }
        at == entry
    }

    /// The entries behind `from` up to `to`, which follows it.
    pub(crate) fn between(&self, from: usize, to: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut at = to;
        while at != from {
            path.push(at);
            at = self.0[at].parent;
        }
        path.reverse();
        path
    }

    /// How many entries are not in the log that ends here.
    pub(crate) fn beside(&self, end: usize) -> u64 {
        (self.0.len() as u64).saturating_sub(self.0[end].index + 1)
    }

    /// Whether a log that ends here is at least as new as one that ends there.
    pub(crate) fn is_as_new(&self, here: usize, there: usize) -> bool {
        let key = |n: usize| (self.0[n].term, self.0[n].index);
        key(here) >= key(there)
    }
}
