//! What the scheduler may be told.

/// Limits and times of placement. All times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulePolicy {
    /// A component that could stay is not moved before it was with its node for this long.
    pub residence_ms: i64,
    /// Between two moves of components that could stay, in the whole cluster.
    pub rebalance_every_ms: i64,
    /// How many more components than another a node must have before one of them is moved.
    pub imbalance: usize,
    /// A component that cannot reach a database for this long is given to a node that may.
    pub trouble_ms: u64,
    /// Nodes that a component may fail on before its project fails.
    pub crash_moves: usize,
    /// A node that uses more of its processors is taken last. Percent.
    pub cpu_percent: u32,
    /// A node that uses more of its memory is taken last. Percent.
    pub memory_percent: u32,
    /// A node that uses more of its disk is taken last. Percent.
    pub disk_percent: u64,
}

impl Default for SchedulePolicy {
    fn default() -> Self {
        Self {
            residence_ms: 60_000,
            rebalance_every_ms: 10_000,
            imbalance: 2,
            trouble_ms: 5_000,
            crash_moves: 2,
            cpu_percent: 85,
            memory_percent: 85,
            disk_percent: 90,
        }
    }
}
