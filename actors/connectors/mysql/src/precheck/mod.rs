//! Checks before anything is changed.
