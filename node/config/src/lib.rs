//! Node configuration: TOML file < environment < flags.
//!
//! Every key has a default, so that a node starts without any file. Unknown keys are refused: a
//! misspelt setting must not be silently without effect.

mod load;
mod settings;

pub use load::{ConfigError, Source, load};
pub use settings::{NodeConfig, TelemetryConfig};
