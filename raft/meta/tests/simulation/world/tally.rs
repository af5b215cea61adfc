//! What happened, for people.

/// Counts of one run or of many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) failovers: u64,
    pub(crate) moves: u64,
    /// Commits and claims of former owners that were refused.
    pub(crate) refused: u64,
    /// Ticks in which two nodes ran the same component.
    pub(crate) overlaps: u64,
    pub(crate) leaders: u64,
    /// Entries that were never committed.
    pub(crate) dropped: u64,
    /// Sets of voters that became another, and how often that was finished by another leader than it was begun by.
    pub(crate) voters: u64,
    pub(crate) halfway: u64,
    /// Nodes lost for good.
    pub(crate) gone: u64,
    pub(crate) transactions: u64,
    /// Claims that found transactions above the watermark.
    pub(crate) gaps: u64,
    /// Runs of verification that told a result.
    pub(crate) verified: u64,
    pub(crate) damaged: u64,
    pub(crate) faults: u64,
    /// Components that got the place of a verification, where quotas left none.
    pub(crate) made_room: u64,
}

impl Tally {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            failovers: self.failovers + other.failovers,
            moves: self.moves + other.moves,
            refused: self.refused + other.refused,
            overlaps: self.overlaps + other.overlaps,
            leaders: self.leaders + other.leaders,
            dropped: self.dropped + other.dropped,
            voters: self.voters + other.voters,
            halfway: self.halfway + other.halfway,
            gone: self.gone + other.gone,
            transactions: self.transactions + other.transactions,
            gaps: self.gaps + other.gaps,
            verified: self.verified + other.verified,
            damaged: self.damaged + other.damaged,
            faults: self.faults + other.faults,
            made_room: self.made_room + other.made_room,
        }
    }
}
