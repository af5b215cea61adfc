//! The replicated state machine: pure, deterministic, without I/O or clock.
