//! What `deploy/bench` measures.

mod failover;
mod result;

pub use failover::failover;
pub use result::BenchResult;
