//! Consensus on metadata: openraft embedded over an omsnode key-value engine.
