//! Supervised component actors: store, full import, incremental synchronization, verification.
