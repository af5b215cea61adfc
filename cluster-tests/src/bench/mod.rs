//! What `deploy/bench` measures.
//!
//! A bench is one file with one function of the shape of [`failover`], its `mod` line here and one line in `list.rs`: its
//! module, what `deploy/servers` has to install for it, the rows and rounds it takes when nothing else is asked for, and
//! a sentence. It prepares its own servers ([`BenchServer`]), lets contestants take turns ([`Contest`]), reads what
//! processes used ([`Meter`], [`Tool`]), judges the outcome without the product's code ([`content`]) and gives one
//! [`BenchResult`] per case.

mod bench_server;
mod content;
mod contest;
mod list;
mod logged_load;
mod machine;
mod meter;
mod options;
mod report;
mod result;
mod tool;

// One line per bench; the other one is in `list.rs`.
mod capture;
mod decode;
mod failover;
mod full_import;
mod idle;
mod incr_sync;
mod kafka;
mod latency;
mod memory;
mod verify;

pub use bench_server::BenchServer;
pub use capture::capture;
pub use content::{TableContent, content, ensure_same_content};
pub use contest::{Contest, Figures, Spread, Turn};
pub use decode::decode;
pub use failover::failover;
pub use full_import::full_import;
pub use idle::idle;
pub use incr_sync::incr_sync;
pub use kafka::kafka;
pub use latency::latency;
pub use list::{Bench, BenchFuture, benches};
pub use machine::Machine;
pub use memory::memory;
pub use meter::{Meter, ProcessUse};
pub use options::BenchOptions;
pub use report::Report;
pub use result::{BenchResult, Better};
pub use tool::{Tool, ToolRun};
pub use verify::verify;
