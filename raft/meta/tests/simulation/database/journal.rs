//! The records of a run of verification.

use std::collections::BTreeSet;

/// What is written into a journal, one in a transaction.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// Keys whose rows differed when they were read.
    Candidates(BTreeSet<u64>),
    /// A chunk was compared.
    Chunk(u64),
    /// Keys whose difference is proven.
    Found(BTreeSet<u64>),
    /// Every candidate is proven or gone.
    Drained,
    /// The run is complete, and these rows differ.
    Result(BTreeSet<u64>),
}

/// What a run has noted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    pub(crate) chunks: BTreeSet<u64>,
    pub(crate) candidates: BTreeSet<u64>,
    pub(crate) differences: BTreeSet<u64>,
    pub(crate) result: Option<BTreeSet<u64>>,
}

impl Journal {
    pub(crate) fn note(&mut self, note: Note) {
        match note {
            Note::Candidates(keys) => self.candidates.extend(keys),
            Note::Chunk(chunk) => {
                self.chunks.insert(chunk);
            }
            Note::Found(keys) => self.differences.extend(keys),
            Note::Drained => self.candidates.clear(),
            Note::Result(keys) => self.result = Some(keys),
        }
    }
}
