//! Contract suites for implementations of this crate's traits (feature `testing`).

mod history;
pub mod sink;
mod table_shape;

pub use table_shape::{TableShape, numbered_position};
