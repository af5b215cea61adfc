//! The change log in segment files.
//!
//! `tail` appends, `cursor` reads, `open` recovers, `retain` removes; all four agree through `engine`.

mod config;
mod consumers;
#[cfg(test)]
mod crash_model;
mod cursor;
mod disk;
mod engine;
mod frame;
mod header;
mod lookup;
mod mark;
mod open;
mod reader;
mod retain;
mod scan;
mod segment_log;
mod tail;
mod writer;

pub use config::{LogConfig, LogId, LogOrigin};
pub(crate) use frame::HEAD as FRAME_HEAD;
pub use open::Recovery;
pub use segment_log::SegmentLog;
