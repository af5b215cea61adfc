//! What a run shows of itself.

use oms_core::Watermark;

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyProgress {
    /// Everything up to here is at the destination. `None` before the run began.
    pub watermark: Option<Watermark>,
    /// What the destination itself knows to be applied: a new claim's checkpoint is not before it. It may
    /// be behind `watermark` by transactions without rows and by heartbeats.
    pub durable: Option<Watermark>,
    /// When the source committed the last transaction of the prefix, or said that there is nothing
    /// more: now minus this is the lag. In microseconds since the epoch.
    pub source_time_us: Option<i64>,
    /// Transactions that were read and are not at the destination.
    pub transactions_in_flight: usize,
    /// Bytes of rows in memory.
    pub bytes_in_memory: usize,
    /// The most bytes of rows that were in memory at any time of the run.
    pub peak_bytes: usize,
    /// Whether a transaction larger than memory is being streamed.
    pub streaming: bool,
}
