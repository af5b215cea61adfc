//! Rules that a run may leave out, to show that their absence is noticed.

/// One rule that does not hold. Everything else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// The destination compares neither epoch nor claim.
    Fence,
    /// The same, and nobody watches epochs: only the data can tell.
    FenceUnwatched,
    /// A claim raises the rows of the lanes that it will use, not those of all that there ever were.
    OldLanes,
    /// Of the lanes' rows only the watermark is read, not what lies above it.
    WatermarkAlone,
    /// A lane begins without what others applied above the watermark, and overwrites a row that named it.
    ForgetfulLane,
    /// The metadata are told what is applied before the destination could tell it after a claim.
    HastyNote,
    /// A chunk is noted as compared before the candidates that were found in it.
    ChunkBeforeCandidates,
    /// Candidates are removed before what became of them is noted.
    DrainBeforeFound,
    /// A run of verification goes on with the journal of an earlier one.
    FormerJournal,
    /// Voters change in one step, without a time in which both sets must agree, and another than the leader may be the only
    /// one afterwards.
    OneStep,
    /// Voters are chosen as if everybody was there.
    BlindVoters,
    /// A removed node ends although it still votes.
    EarlyEnd,
    /// A change of voters that stopped half way is not known to be one.
    HalfwayUnseen,
    /// A vote is given also to those who lack entries.
    ShortLogs,
    /// What captures or applies changes waits until a verification ends by itself.
    NoRoom,
}
