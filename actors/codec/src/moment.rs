//! What a message says about a change beside its rows.

/// What a message says about a change beside its rows: when, where, in which transaction.
///
/// Everything comes from the caller, so encoding the same change twice gives the same bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment<'a> {
    /// When the source committed the change, Unix seconds. Of rows of full synchronization: when they were read.
    pub event_seconds: i64,
    /// When the message is written, Unix milliseconds.
    pub processed_ms: i64,
    /// The time from which on a restart would read again, Unix seconds; at or before `event_seconds`.
    pub checkpoint_seconds: i64,
    /// The change's number, if numbers are given.
    pub sequence: Option<Sequence>,
    /// Name of the transaction.
    pub transaction: Option<&'a str>,
    /// Number of the transaction in the Store.
    pub unique_id: Option<&'a str>,
    /// The source's number of the session or cluster that made the change.
    pub cluster: Option<&'a str>,
    /// Name of the stream the change came by; of full synchronization: any counter.
    pub stream: Option<&'a str>,
    /// Number of the change in its transaction, from 1.
    pub ordinal: u32,
    /// Byte offset of the change in the source's log.
    pub offset: u64,
    /// A number that no other message has.
    pub message_id: u128,
}

/// Number of a change: Unix milliseconds and a counter within them, as one number of 18 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence(u64);

impl Sequence {
    /// The number of the `counter`-th change of a millisecond; `None` when that is not below 100 000, or the
    /// time is too large.
    pub fn new(ms: u64, counter: u32) -> Option<Self> {
        if counter > 99_999 {
            return None;
        }
        ms.checked_mul(100_000)?.checked_add(u64::from(counter)).map(Self)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}
