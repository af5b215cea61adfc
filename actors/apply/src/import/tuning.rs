//! What can be changed while an import runs.

/// How many chunks are copied at the same time; each has a connection to both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// So many; at least one.
    Fixed(usize),
    /// As many as make it faster, at most this many, and fewer when a database suffers ([`crate::Climber`]).
    Auto(usize),
}

/// The limits under which an import works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportTuning {
    /// Workers.
    pub workers: Workers,
    /// Rows per second over all workers.
    pub rows_per_second: Option<u64>,
    /// Bytes per second over all workers.
    pub bytes_per_second: Option<u64>,
}

impl Default for ImportTuning {
    fn default() -> Self {
        Self {
            workers: Workers::Auto(16),
            rows_per_second: None,
            bytes_per_second: None,
        }
    }
}

impl ImportTuning {
    /// Most rows and bytes of a chunk: not more than a second's worth, so that a transaction does not stand open while
    /// its worker waits for its turn.
    pub(super) fn bound_chunk(&self, rows: u64, bytes: u64) -> (u64, u64) {
        let bound = |most: u64, limit: Option<u64>| limit.map_or(most, |limit| most.min(limit.max(1)));
        (
            bound(rows, self.rows_per_second),
            bound(bytes, self.bytes_per_second),
        )
    }
}
