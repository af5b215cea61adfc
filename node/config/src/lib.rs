//! Node configuration: TOML file, environment, flags.
