//! Testbed with real servers, end-to-end tests, fault injection and benches.
